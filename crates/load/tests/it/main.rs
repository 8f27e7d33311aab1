//! Simulated peripherals over real sockets: against a server played by the test, and against mosquitto.

mod certified;
mod lwm2m;
mod mosquitto;
mod played_server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bugle_core::PeripheralId;
use bugle_load::mqtt::{Behaviour, Peripheral};
use bugle_load::{Event, Happening, Peripherals};

/// Longer than anything here takes, on however slow a machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// `count` peripherals that behave alike.
fn alike(count: usize, server: SocketAddr, behaviour: Behaviour) -> Vec<Peripheral> {
    let behaviour = Arc::new(behaviour);
    let peripheral = |number| Peripheral {
        id: PeripheralId::new(format!("m{number}")).expect("a peripheral id"),
        server,
        credentials: None,
        behaviour: Arc::clone(&behaviour),
    };
    (0..count).map(peripheral).collect()
}

/// Waits until `count` events have happened that `is_wanted` wants, and gives them.
fn wait_for(peripherals: &Peripherals, count: usize, is_wanted: impl Fn(&Happening) -> bool) -> Vec<Event> {
    let until = Instant::now() + PATIENCE;
    let mut wanted = Vec::new();
    while wanted.len() < count {
        let left = until.saturating_duration_since(Instant::now());
        let event = peripherals.next_event(left);
        let event = event.unwrap_or_else(|| panic!("{} of {count}: {:?}", wanted.len(), peripherals.counts()));
        if is_wanted(&event.what) {
            wanted.push(event);
        }
    }
    wanted
}
