//! What must outlive a connection, and a restart, of an MQTT session.

use std::time::Duration;

use bugle_mqtt::PacketId;
use serde::{Deserialize, Serialize};

/// The state of an MQTT session that is not in the gateway's machine (MQTT 5 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Session {
    /// How long the session outlives a connection, in seconds.
    #[serde(rename = "expiry")]
    expiry_seconds: u64,
    /// How long a silent connection counts as alive, in milliseconds; none if for ever.
    #[serde(rename = "grace")]
    grace_millis: Option<u64>,
    /// Whether the peripheral has subscribed to its requests.
    #[serde(rename = "subscribed")]
    pub(crate) is_subscribed: bool,
    /// Publications of quality of service 2 that it has not released.
    #[serde(rename = "received", default)]
    received: Vec<u16>,
}

impl Session {
    pub(crate) fn new(expiry: Duration, grace: Option<Duration>) -> Self {
        let mut session = Self::default();
        session.connect(expiry, grace);
        session
    }

    /// A new connection goes on with the session, on its own terms.
    pub(crate) fn connect(&mut self, expiry: Duration, grace: Option<Duration>) {
        self.expiry_seconds = expiry.as_secs();
        self.grace_millis = grace.map(|grace| u64::try_from(grace.as_millis()).unwrap_or(u64::MAX));
    }

    pub(crate) fn expiry(&self) -> Duration {
        Duration::from_secs(self.expiry_seconds)
    }

    pub(crate) fn grace(&self) -> Option<Duration> {
        self.grace_millis.map(Duration::from_millis)
    }

    pub(crate) fn set_received(&mut self, ids: impl Iterator<Item = PacketId>) {
        self.received = ids.map(PacketId::number).collect();
    }

    pub(crate) fn received(&self) -> Vec<PacketId> {
        self.received.iter().filter_map(|number| PacketId::new(*number)).collect()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a session is JSON")
    }

    /// Reads what [`encode`](Self::encode) wrote; none if it is not that.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_reads_back_as_written() {
        let mut session = Session::new(Duration::from_secs(60), Some(Duration::from_millis(1500)));
        session.is_subscribed = true;
        session.set_received([PacketId::new(7).expect("not zero")].into_iter());
        assert_eq!(Session::decode(&session.encode()), Some(session));
        assert_eq!(Session::decode(b"\x00"), None);
    }
}
