//! Foresight: what a group request would meet, by what is on record.
//!
//! Nothing is promised: members may wake, fall asleep or leave before a gateway fixes them, and gateways
//! pick the sleepers that they activate themselves. What they go by is the same, though: those that are
//! expected to wake soonest come first.
//!
//! When a member is expected to wake counts for nothing if its gateway wakes it. One that wakes by itself is
//! waited for, whether it is activated or not. Of one whose gateway has not told which it is, the worst is
//! assumed, until it is being woken.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::submission::Submitted;
use crate::{GatewayId, PeripheralId, Presence, Sleepers, Time, Wakes, limits};

/// The registered members of a group, as on record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// Members that are active.
    pub active: u64,
    /// The others.
    pub sleepers: Vec<Sleeper>,
}

/// A member that is not active, as on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sleeper {
    /// At which gateway.
    pub gateway: GatewayId,
    /// Who.
    pub peripheral: PeripheralId,
    /// In standby, or being woken already.
    pub presence: Presence,
    /// What wakes it, if its gateway has told that.
    pub wakes: Option<Wakes>,
    /// What the M2M user says of it.
    pub labels: BTreeMap<String, String>,
}

/// What a group request would meet now.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Foresight {
    /// Registered members of the group.
    pub members: u64,
    /// Members that are active, and would get it at once.
    pub active: u64,
    /// Members in standby that would be activated.
    pub woken: u64,
    /// Members in standby for which it would wait.
    pub waiting: u64,
    /// Members in standby that would be left out.
    pub skipped: u64,
    /// Those of the woken and the waiting that would miss it: they are expected to wake after the deadline, and
    /// nothing wakes them before.
    pub late: u64,
    /// The first of them, by when they are expected to wake.
    pub late_members: Vec<LateMember>,
}

/// A member that would miss a group request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LateMember {
    /// At which gateway.
    pub gateway: GatewayId,
    /// Who.
    pub peripheral: PeripheralId,
    /// When it is expected to wake.
    pub next_wake: Time,
}

impl Sleeper {
    /// Those that a gateway activates first come first, as it orders them itself.
    fn turn(&self) -> (Time, &PeripheralId) {
        let time = match self.presence {
            Presence::Standby { next_wake } => next_wake.unwrap_or(Time::MAX),
            Presence::Activating { .. } | Presence::Active => Time::ZERO,
        };
        (time, &self.peripheral)
    }
}

/// What `submitted` would meet if it were accepted now.
#[must_use]
pub fn foresee(submitted: &Submitted, standing: Standing, now: Time) -> Foresight {
    let deadline = now + submitted.lifespan;
    let mut foresight = Foresight { active: standing.active, members: standing.active, ..Foresight::default() };
    let mut by_gateway: BTreeMap<GatewayId, Vec<Sleeper>> = BTreeMap::new();
    for sleeper in standing.sleepers {
        by_gateway.entry(sleeper.gateway.clone()).or_default().push(sleeper);
    }
    let mut late = Vec::new();
    for mut sleepers in by_gateway.into_values() {
        sleepers.sort_by(|one, other| one.turn().cmp(&other.turn()));
        let share = submitted.activation.share_of(sleepers.len());
        for (position, sleeper) in sleepers.into_iter().enumerate() {
            foresight.members += 1;
            let is_activated = position < share || submitted.activation.selects(&sleeper.labels);
            match submitted.sleepers {
                _ if is_activated => foresight.woken += 1,
                Sleepers::Queue => foresight.waiting += 1,
                Sleepers::Skip => {
                    foresight.skipped += 1;
                    continue;
                }
            }
            if !(is_activated && sleeper.wakes == Some(Wakes::WhenWoken)) {
                late.extend(late_member(sleeper, deadline));
            }
        }
    }
    foresight.late = late.len() as u64;
    late.sort_by(|one, other| (one.next_wake, &one.peripheral).cmp(&(other.next_wake, &other.peripheral)));
    late.truncate(limits::LATE_MEMBERS_SHOWN_MAX);
    foresight.late_members = late;
    foresight
}

/// Of a sleeper that this request does not have woken.
fn late_member(sleeper: Sleeper, deadline: Time) -> Option<LateMember> {
    let Sleeper { gateway, peripheral, presence, wakes, .. } = sleeper;
    let expected = match presence {
        Presence::Active => None,
        Presence::Standby { next_wake } => next_wake,
        // One that wakes by itself is only waited for. Any other is being woken, for whatever reason.
        Presence::Activating { next_wake } => next_wake.filter(|_| wakes == Some(Wakes::ByItself)),
    };
    let next_wake = expected.filter(|next_wake| *next_wake > deadline)?;
    Some(LateMember { gateway, peripheral, next_wake })
}
