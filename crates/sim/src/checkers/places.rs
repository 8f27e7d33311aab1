//! Which peripheral is in which slot of a gateway.

use std::collections::BTreeMap;

use bugle_core::gateway::{Change, Slot};
use bugle_core::{GatewayId, PeripheralId};

/// The peripherals of all gateways, as their disks have them.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<(GatewayId, Slot), PeripheralId>);

impl Places {
    pub(super) fn observe(&mut self, gateway: &GatewayId, change: &Change) {
        if let Change::Allocated(stored) = change {
            self.0.insert((gateway.clone(), stored.slot), stored.allocation.peripheral.clone());
        }
    }

    pub(super) fn at(&self, gateway: &GatewayId, slot: Slot) -> Result<PeripheralId, String> {
        let peripheral = self.0.get(&(gateway.clone(), slot)).cloned();
        peripheral.ok_or_else(|| format!("{gateway} speaks of {slot:?}, in which nobody is"))
    }
}
