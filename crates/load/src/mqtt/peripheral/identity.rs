//! Who a simulated peripheral is.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bugle_core::PeripheralId;

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
