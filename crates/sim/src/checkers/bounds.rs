//! Every bound of the core's `limits` holds, as far as a world of this size can reach it.

use std::collections::{BTreeMap, BTreeSet};

use bugle_core::gateway::{Change, Slot};
use bugle_core::{GatewayId, UpEntry, limits};

use super::Checker;
use crate::fact::Fact;
use crate::network::Moment;
use crate::state::State;

#[derive(Debug, Default)]
pub(super) struct Bounds {
    allocations: BTreeMap<GatewayId, BTreeSet<Slot>>,
    registering: BTreeMap<GatewayId, usize>,
    up: BTreeMap<GatewayId, (u64, u64)>,
}

impl Checker for Bounds {
    fn promise(&self) -> &'static str {
        "every bound holds"
    }

    fn observe(&mut self, _: Moment, fact: &Fact<'_>) -> Result<(), String> {
        match fact {
            Fact::GatewayKept { gateway, change } => self.on_gateway(gateway, change),
            Fact::PlatformKept { changes } => {
                for put in &changes.requests {
                    let lifespan = put.row.as_ref().map(bugle_core::platform::RequestRow::lifespan);
                    let is_allowed =
                        |lifespan| (limits::REQUEST_DEADLINE_MIN..=limits::REQUEST_DEADLINE_MAX).contains(&lifespan);
                    if !lifespan.is_none_or(is_allowed) {
                        return Err(format!("request {} lives for {lifespan:?}", put.key));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn conclude(&mut self, state: &State<'_>) -> Result<(), String> {
        let logs = state.platform.kept().gateways();
        match logs.iter().find(|(_, logs)| logs.down_waiting() > limits::DOWN_LOG_ENTRIES_MAX) {
            Some((gateway, logs)) => Err(format!("{} entries wait for {gateway}", logs.down_waiting())),
            None => Ok(()),
        }
    }
}

impl Bounds {
    fn on_gateway(&mut self, gateway: &GatewayId, change: &Change) -> Result<(), String> {
        let check = |what: &str, count: usize, most: usize| {
            if count > most { Err(format!("{gateway}: {count} {what}, and {most} is the bound")) } else { Ok(()) }
        };
        match change {
            Change::Allocated(stored) => {
                let allocations = self.allocations.entry(gateway.clone()).or_default();
                allocations.insert(stored.slot);
                check("allocations", allocations.len(), limits::ALLOCATIONS_MAX)?;
                check("groups of one peripheral", stored.allocation.groups.len(), limits::GROUPS_PER_PERIPHERAL_MAX)
            }
            Change::Removed { slot } => {
                self.allocations.entry(gateway.clone()).or_default().remove(slot);
                Ok(())
            }
            Change::Taken(stored) => check(
                "bytes of an operation",
                stored.request.operation.payload_bytes(),
                limits::OPERATION_PAYLOAD_BYTES_MAX,
            ),
            Change::Up { sequence, entry } => {
                if let UpEntry::Receipts { receipts, .. } = entry {
                    check("receipts in one entry", receipts.len(), limits::RECEIPTS_PER_ENTRY_MAX)?;
                }
                if let UpEntry::MembersFixed { members, .. } = entry {
                    check("members in one entry", members.len(), limits::RECEIPTS_PER_ENTRY_MAX)?;
                }
                let (last, trimmed) = self.up.entry(gateway.clone()).or_default();
                *last = (*last).max(*sequence);
                check("entries of the up log", (*last - *trimmed) as usize, limits::UP_LOG_ENTRIES_MAX)
            }
            Change::UpTrimmed { through } => {
                self.up.entry(gateway.clone()).or_default().1 = *through;
                Ok(())
            }
            Change::Asked(_) => {
                let registering = self.registering.entry(gateway.clone()).or_default();
                *registering += 1;
                check("peripherals that register", *registering, limits::REGISTERING_MAX)
            }
            Change::AskEnded { .. } => {
                let registering = self.registering.entry(gateway.clone()).or_default();
                *registering = registering.saturating_sub(1);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
