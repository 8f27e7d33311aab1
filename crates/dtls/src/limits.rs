//! How much is held.

use std::time::Duration;

/// The bounds of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sessions at once.
    pub sessions_max: usize,
    /// Handshakes under way at once. Only peers that have shown that they receive at their address count.
    pub handshakes_max: usize,
    /// Bytes of a peer's handshake messages that are kept at once until they are whole.
    pub handshake_bytes_max: usize,
    /// After this long without a word from its peer, a session ends.
    pub idle_after: Duration,
    /// What happens when one session more is asked for.
    pub when_full: WhenFull,
}

/// What happens when there is no room for another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// The newcomer gets no answer, and will ask again.
    Refuse,
    /// The session that was silent for longest makes room, once the newcomer has shown who it is.
    EndIdlest,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions_max: 100_000,
            handshakes_max: 10_000,
            handshake_bytes_max: 16 * 1024,
            // Longer than a day, the lifetime of a registration when none is said.
            idle_after: Duration::from_secs(25 * 60 * 60),
            when_full: WhenFull::EndIdlest,
        }
    }
}
