//! What a simulated peripheral is told: who it is, and what to do.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bugle_core::PeripheralId;
use bytes::Bytes;

use crate::mqtt::behaviour::Behaviour;

/// A peripheral to simulate.
#[derive(Debug, Clone)]
pub struct Peripheral {
    /// Who it is; its MQTT client id.
    pub id: PeripheralId,
    /// Where it connects to.
    pub server: SocketAddr,
    /// What it shows to be let in, if anything.
    pub credentials: Option<Credentials>,
    /// What it does.
    pub behaviour: Arc<Behaviour>,
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a simulated peripheral is told to do, beside what it does by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// End the registration, and stay away until told to connect.
    Deregister,
    /// Go to sleep for so long, now.
    Sleep(Duration),
    /// Connect, whatever it is waiting for.
    Connect,
    /// Close the connection without a word, as when the power fails, and stay away until told to connect.
    Vanish,
    /// Publish this with QoS 1.
    Publish {
        /// On which topic.
        topic: String,
        /// What.
        payload: Bytes,
    },
}
