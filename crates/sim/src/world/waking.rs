//! Wake-ups on their way: they come late, get lost, come to somebody who does not hear, or cannot be sent.

use bugle_core::PeripheralId;
use bugle_core::gateway::{Slot, WakeUp};
use bugle_edge::WakeCall;

use super::{Happening, World};
use crate::fact::Fact;
use crate::network::Place;

/// How often in a thousand a wake-up cannot be sent,
const FAILURE: u64 = 150;
/// and how often whoever it is for does not hear it.
const DEAFNESS: u64 = 150;

impl World {
    pub(super) fn send_wake_up(&mut self, number: usize, call: &WakeCall) {
        let WakeCall { slot, request, wake_up, peripheral, tries, .. } = call;
        let place = Place::Gateway(number);
        self.note(&place, format_args!("sends wake-up {tries} to {peripheral} for {request:?}"));
        let Some(effort) = call.waker.effort().copied() else {
            return self.break_promise("only who can be woken is", format!("{peripheral} wakes by itself"));
        };
        let gateway = self.gateways[number].id().clone();
        self.tell(&Fact::WakeSent { gateway: &gateway, peripheral, request: *request, effort, tries: *tries });
        if !self.is_healed && self.random.chance(FAILURE) {
            let at = self.now + self.random.millis(1..1_500).min(effort.time_limit);
            let start = self.gateways[number].starts();
            let (slot, wake_up, peripheral) = (*slot, *wake_up, peripheral.clone());
            let failed = Happening::WakeUpFailed { gateway: number, start, slot, wake_up, peripheral };
            return self.schedule.plan(at, failed);
        }
        let Some(to) = self.place_of(peripheral) else { return };
        for at in self.network.call(self.now, place, to) {
            self.schedule.plan(at, Happening::WakeUpArrives { place: to });
        }
    }

    pub(super) fn on_wake_up_failed(&mut self, number: usize, slot: Slot, wake_up: WakeUp, peripheral: &PeripheralId) {
        let gateway = self.gateways[number].id().clone();
        self.tell(&Fact::WakeFailed { gateway: &gateway, peripheral });
        let mut out = Vec::new();
        self.gateways[number].handle_wake_failed(self.now, slot, wake_up, &mut out);
        self.carry_gateway(number, out);
    }

    pub(super) fn wake_up(&mut self, place: Place) {
        if !self.is_healed && self.random.chance(DEAFNESS) {
            return;
        }
        self.note(&place, format_args!("hears a wake-up"));
        match place {
            Place::Peripheral(number) => {
                self.peripherals[number].handle_wake_up(self.now);
                self.carry_peripheral(number);
            }
            Place::Device(number) => {
                self.devices[number].handle_wake_up(self.now);
                self.carry_device(number);
            }
            Place::Gateway(_) | Place::Platform | Place::Application(_) => {}
        }
    }

    fn place_of(&self, peripheral: &PeripheralId) -> Option<Place> {
        let client = self.peripherals.iter().position(|known| known.id() == peripheral).map(Place::Peripheral);
        client.or_else(|| self.devices.iter().position(|known| known.id() == peripheral).map(Place::Device))
    }
}
