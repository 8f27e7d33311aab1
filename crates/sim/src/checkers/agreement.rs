//! After healing all tiers agree: allocations and registrations at the gateways, routing at the
//! platform, group configurations at the applications; and whoever may be in is in.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::StoredRegistration;
use bugle_core::platform::{GroupCount, PeripheralKey, PeripheralRow};
use bugle_core::{ApplicationId, GatewayId, GroupId, InitialState, PeripheralId};

use super::Checker;
use crate::fact::Fact;
use crate::gateway::Gateway;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug)]
pub(super) struct Agreement;

impl Checker for Agreement {
    fn promise(&self) -> &'static str {
        "after healing all tiers agree"
    }

    fn observe(&mut self, _: Moment, _: &Fact<'_>) -> Result<(), String> {
        Ok(())
    }

    fn conclude(&mut self, state: &State<'_>) -> Result<(), String> {
        let mut keys = BTreeSet::new();
        for gateway in state.gateways {
            gateway_and_platform(gateway, state, &mut keys)?;
        }
        if let Some(key) = state.platform.kept().peripherals().keys().find(|key| !keys.contains(key)) {
            return Err(format!("the platform knows {key:?}, and the gateway does not"));
        }
        counts(state)?;
        for application in state.applications {
            platform_and_application(application.id(), state)?;
        }
        everybody_is_in(state)
    }
}

fn gateway_and_platform(
    gateway: &Gateway,
    state: &State<'_>,
    keys: &mut BTreeSet<PeripheralKey>,
) -> Result<(), String> {
    let id = gateway.id();
    let kept = gateway.kept().restored();
    let registrations: BTreeMap<_, _> = kept.registrations.into_iter().collect();
    for stored in kept.allocations {
        let peripheral = &stored.allocation.peripheral;
        let key = (id.clone(), peripheral.clone());
        let Some(row) = state.platform.kept().peripherals().get(&key) else {
            return Err(format!("{peripheral} is allocated at {id}, and the platform does not know"));
        };
        let is_blocked = row.initial_state == InitialState::Blocked;
        if row.groups != stored.allocation.groups
            || row.application != stored.allocation.application
            || row.origin != stored.origin
            || is_blocked != stored.is_blocked
        {
            return Err(format!("{peripheral} at {id} is {stored:?}, and the platform has {row:?}"));
        }
        let registration = registrations.get(&stored.slot);
        if !is_same_registration(registration, row) {
            return Err(format!("{peripheral} at {id} has {registration:?}, and the platform has {row:?}"));
        }
        let state = gateway.state(peripheral);
        if state != Some(row.state()) {
            return Err(format!("{peripheral} at {id} is {state:?}, and to the platform {}", row.state()));
        }
        keys.insert(key);
    }
    Ok(())
}

fn is_same_registration(registration: Option<&StoredRegistration>, row: &PeripheralRow) -> bool {
    match registration {
        None => row.registration.is_none() && row.member_of.is_empty(),
        Some(registration) => {
            row.registration == Some(registration.id)
                && row.member_of == *registration.groups
                && row.presence == registration.presence.into()
        }
    }
}

fn counts(state: &State<'_>) -> Result<(), String> {
    let mut counted: BTreeMap<((ApplicationId, GroupId), GatewayId), GroupCount> = BTreeMap::new();
    for ((gateway, _), row) in state.platform.kept().peripherals() {
        let mut count = |group: &GroupId, of: fn(&mut GroupCount) -> &mut u64| {
            let key = ((row.application.clone(), group.clone()), gateway.clone());
            *of(counted.entry(key).or_default()) += 1;
        };
        row.groups.iter().for_each(|group| count(group, |share| &mut share.allocated));
        row.member_of.iter().for_each(|group| count(group, |share| &mut share.members));
        if row.state() == bugle_core::State::Active {
            row.member_of.iter().for_each(|group| count(group, |share| &mut share.active));
        }
    }
    let mut kept = state.platform.kept().counts().clone();
    kept.retain(|_, count| *count != GroupCount::default());
    if kept == counted { Ok(()) } else { Err(format!("the platform counts {kept:?}, and there are {counted:?}")) }
}

fn platform_and_application(id: &ApplicationId, state: &State<'_>) -> Result<(), String> {
    let application = state.applications.iter().find(|application| application.id() == id);
    let Some(configurations) = application.and_then(|application| application.configurations()) else {
        return Err(format!("{id} is down"));
    };
    let mut members: BTreeMap<GroupId, BTreeSet<PeripheralId>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for ((gateway, peripheral), row) in state.platform.kept().peripherals() {
        let Some(registration) = row.registration.filter(|_| row.application == *id) else { continue };
        if !seen.insert(peripheral.clone()) {
            return Err(format!("{peripheral} is registered at two gateways"));
        }
        for group in &row.member_of {
            members.entry(group.clone()).or_default().insert(peripheral.clone());
        }
        let member = configurations.member(peripheral);
        let is_same = member.is_some_and(|(known, member)| {
            known.is(gateway, registration)
                && member.groups == row.member_of
                && member.presence.map(bugle_core::State::from) == Some(row.presence)
        });
        if !is_same {
            return Err(format!("to {id} {peripheral} is {member:?}, and to the platform, at {gateway}, {row:?}"));
        }
    }
    let configured = configurations.groups().iter().map(|(group, known)| (group.clone(), known.members().clone()));
    let configured: BTreeMap<_, _> = configured.collect();
    if configured == members {
        return Ok(());
    }
    Err(format!("to {id} the groups are {configured:?}, and to the platform {members:?}"))
}

/// Whoever is allocated where it is, and neither blocked nor refused, is registered there.
pub(super) fn everybody_is_in(state: &State<'_>) -> Result<(), String> {
    let by_mqtt = state.peripherals.iter().map(|one| (one.id(), one.gateway(), one.is_settled()));
    let by_lwm2m = state.devices.iter().map(|one| (one.id(), one.gateway(), one.is_settled()));
    for (peripheral, gateway, is_settled) in by_mqtt.chain(by_lwm2m) {
        let gateway = &state.gateways[gateway];
        let Some(known) = gateway.state(peripheral) else { continue };
        let key = (gateway.id().clone(), peripheral.clone());
        let Some(row) = state.platform.kept().peripherals().get(&key) else {
            return Err(format!("the platform does not know of {key:?}"));
        };
        let application = state.applications.iter().find(|application| *application.id() == row.application);
        let is_welcome = application.is_some_and(|application| application.admits(peripheral));
        let should_be_in = is_welcome && known != bugle_core::State::Blocked;
        if should_be_in != known.is_registered() {
            return Err(format!("{peripheral} is {known} at {}, where it is", gateway.id()));
        }
        if should_be_in && !is_settled {
            return Err(format!("{peripheral} is registered at {} and does not get through", gateway.id()));
        }
    }
    Ok(())
}
