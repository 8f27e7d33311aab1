//! Allocations as the gateways tell them, and strangers that have none (step 1 and 3 of registering).

use super::rows::PeripheralRow;
use super::up_log::Taken;
use super::{PeripheralKey, Work, late_joining};
use crate::{AllocationNotice, ApplicationId, GatewayId, PeripheralId, State, Stranger, Time};

pub(super) fn on_allocated(work: &mut Work, gateway: &GatewayId, notice: &AllocationNotice, now: Time) -> Taken {
    let key = (gateway.clone(), notice.peripheral.clone());
    let row = match work.peripherals.get(&key) {
        Some(row) => changed(row.clone(), notice, now),
        None => {
            work.changes().adopted.insert(key.clone());
            fresh(notice, now)
        }
    };
    // An application may be named by a gateway's file before an operator adds it.
    work.changes().applications.insert(notice.application.clone());
    work.peripherals.put(key, row);
    late_joining::send_open_requests(work, gateway, &notice.application, &notice.groups, now);
    Taken::Applied
}

fn fresh(notice: &AllocationNotice, now: Time) -> PeripheralRow {
    PeripheralRow {
        application: notice.application.clone(),
        groups: notice.groups.clone(),
        initial_state: notice.initial_state,
        labels: notice.labels.clone(),
        origin: notice.origin,
        wakes: notice.wakes,
        registration: None,
        member_of: Default::default(),
        presence: State::Standby,
        since: now,
        next_wake: None,
        asked: None,
        decided: None,
        roamed: None,
        description: None,
    }
}

fn changed(mut row: PeripheralRow, notice: &AllocationNotice, now: Time) -> PeripheralRow {
    if row.application != notice.application {
        return fresh(notice, now);
    }
    if row.registration.is_none() && row.initial_state != notice.initial_state {
        row.since = now;
    }
    row.groups = notice.groups.clone();
    row.initial_state = notice.initial_state;
    row.labels = notice.labels.clone();
    row.origin = notice.origin;
    row.wakes = notice.wakes;
    row
}

pub(super) fn on_removed(
    work: &mut Work,
    gateway: &GatewayId,
    peripheral: &PeripheralId,
    application: &ApplicationId,
) -> Taken {
    let key: PeripheralKey = (gateway.clone(), peripheral.clone());
    if work.peripherals.get(&key).is_none_or(|row| row.application != *application) {
        return Taken::Ignored;
    }
    work.peripherals.remove(key);
    Taken::Applied
}

pub(super) fn on_stranger(work: &mut Work, gateway: &GatewayId, stranger: &Stranger) -> Taken {
    // Allocated since: it is no stranger any more.
    if work.peripherals.get(&(gateway.clone(), stranger.peripheral.clone())).is_some() {
        return Taken::Ignored;
    }
    work.changes().strangers.push((gateway.clone(), stranger.clone()));
    Taken::Applied
}
