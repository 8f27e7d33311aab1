//! What simulated peripherals are told to do.

use std::time::Duration;

use bugle_lwm2m::{Path, Value};
use bytes::Bytes;

/// What a simulated peripheral is told to do, beside what it does by itself. What its protocol does
/// not have it leaves undone.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// End the registration, and stay away until told to connect.
    Deregister,
    /// MQTT: go to sleep for so long, now. With LwM2M that is the peripheral's own affair.
    Sleep(Duration),
    /// Connect, or wake, whatever it is waiting for. With LwM2M, one that is registered registers anew.
    Connect,
    /// Be gone without a word, as when the power fails, and stay away until told to connect.
    Vanish,
    /// MQTT: publish this with QoS 1.
    Publish {
        /// On which topic.
        topic: String,
        /// What.
        payload: Bytes,
    },
    /// LwM2M: something in it changes by itself. Whoever observes it is told.
    Set {
        /// Where.
        path: Path,
        /// What it is now.
        value: Value,
    },
    /// LwM2M from 1.1 on: send values without being asked.
    Send {
        /// Which.
        paths: Vec<Path>,
    },
}

/// What a thread of simulated peripherals is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Tell the peripheral at this place of its share.
    Tell(usize, Command),
    /// Tell all of its share.
    TellAll(Command),
    /// End.
    Stop,
}
