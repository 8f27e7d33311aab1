//! Registering and standby, as the platform carries them.
//!
//! 1. A gateway passes on that a peripheral asks to register; the application is told (step 4).
//! 2. The application decides; the gateway is told ([`Decide`](super::Decide), step 6).
//! 3. The gateway has put a yes in force: the first `active` of a registration makes it a member
//!    (step 7). A lease lets a gateway do so without asking.
//! 4. Every change between active and standby after that is told to the application.
//!
//! A peripheral that registers at one gateway while its registration at another is on record has
//! roamed: the other gateway is told, once, to end that one.

use super::up_log::Taken;
use super::{PeripheralRow, Work};
use crate::{
    ApplicationId, DownEntry, EndCause, Event, GatewayId, PeripheralId, PresenceChanged, RegistrationAsked,
    RegistrationId, Time,
};

pub(super) fn on_asked(
    work: &mut Work,
    gateway: &GatewayId,
    application: &ApplicationId,
    asked: &RegistrationAsked,
    now: Time,
) -> Taken {
    let Some(row) = of_application(work, gateway, &asked.peripheral, application) else { return Taken::Ignored };
    if is_older(asked.registration, row.registration) {
        return Taken::Ignored;
    }
    if row.registration.is_none() {
        row.since = now;
    }
    row.description = Some(asked.description.clone());
    row.asked = Some(asked.clone());
    work.tell(application, Event::RegistrationAsked { gateway: gateway.clone(), asked: asked.clone() });
    Taken::Applied
}

pub(super) fn on_presence_changed(
    work: &mut Work,
    gateway: &GatewayId,
    application: &ApplicationId,
    changed: &PresenceChanged,
) -> Taken {
    let Some(row) = of_application(work, gateway, &changed.peripheral, application) else { return Taken::Ignored };
    if is_older(changed.registration, row.registration) {
        return Taken::Ignored;
    }
    let is_new = row.registration != Some(changed.registration);
    if is_new {
        row.end_registration(changed.at);
        row.registration = Some(changed.registration);
        row.settle_asking(changed.registration);
    }
    row.member_of = changed.groups.clone();
    row.presence = changed.presence.into();
    row.since = changed.at;
    row.next_wake = changed.presence.next_wake();
    work.tell(application, Event::PresenceChanged { gateway: gateway.clone(), changed: changed.clone() });
    if is_new {
        end_elsewhere(work, gateway, application, &changed.peripheral);
    }
    Taken::Applied
}

/// Ends the registrations of a peripheral at other gateways than `here`, each once.
pub(super) fn end_elsewhere(work: &mut Work, here: &GatewayId, application: &ApplicationId, peripheral: &PeripheralId) {
    let namesake = (application.clone(), peripheral.clone());
    let gateways = work.namesakes.get(&namesake).cloned().unwrap_or_default();
    for gateway in gateways.into_iter().filter(|gateway| gateway != here) {
        let Some(row) = of_application(work, &gateway, peripheral, application) else { continue };
        if row.registration.is_none() || row.roamed == row.registration {
            continue;
        }
        row.roamed = row.registration;
        let registration = row.registration;
        let entry = DownEntry::Deregister { peripheral: peripheral.clone(), registration, cause: EndCause::Roamed };
        work.send(&gateway, entry);
    }
}

/// The row of a peripheral that is allocated to this application, to be changed.
pub(super) fn of_application<'a>(
    work: &'a mut Work,
    gateway: &GatewayId,
    peripheral: &PeripheralId,
    application: &ApplicationId,
) -> Option<&'a mut PeripheralRow> {
    let row = work.peripherals.get_mut(&(gateway.clone(), peripheral.clone()))?;
    (row.application == *application).then_some(row)
}

/// Whether `registration` is older than the one on record.
pub(super) fn is_older(registration: RegistrationId, on_record: Option<RegistrationId>) -> bool {
    on_record.is_some_and(|on_record| registration < on_record)
}
