//! Deregistering, as the platform carries it.
//!
//! 1. A gateway tells that a registration ended, or was given up before the application's answer.
//! 2. The platform takes it off the record and tells the application (step 2).
//!
//! The end of an older registration than the one on record is old news and told to nobody.

use super::Work;
use super::registration::{is_older, of_application};
use super::up_log::Taken;
use crate::{ApplicationId, Deregistered, Event, GatewayId};

pub(super) fn on_deregistered(
    work: &mut Work,
    gateway: &GatewayId,
    application: &ApplicationId,
    ended: &Deregistered,
) -> Taken {
    let Some(row) = of_application(work, gateway, &ended.peripheral, application) else { return Taken::Ignored };
    if is_older(ended.registration, row.registration) {
        return Taken::Ignored;
    }
    if row.registration == Some(ended.registration) {
        row.end_registration(ended.at);
    } else if row.registration.is_none() {
        row.since = ended.at;
    }
    row.settle_asking(ended.registration);
    work.tell(application, Event::Deregistered { gateway: gateway.clone(), ended: ended.clone() });
    Taken::Applied
}
