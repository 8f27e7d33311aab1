//! What a gateway lets connections do.

use std::num::NonZeroU16;
use std::time::Duration;

/// The bounds of every connection of one gateway; share one between all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The largest packet that is taken, its header included; announced in MQTT 5.
    pub packet_bytes_max: u32,
    /// How long after the transport is up the CONNECT must have come.
    pub connect_time: Duration,
    /// The longest keep-alive of an MQTT 5 client, which it is told; in whole seconds. A 3.1.1
    /// client cannot be told and gets the one that it asks for.
    pub keep_alive_max: Duration,
    /// The longest that a session outlives its connection, which an MQTT 5 client is told; in whole
    /// seconds.
    pub session_expiry_max: Duration,
    /// Publications of quality of service 1 and 2 in flight from one peripheral. An MQTT 5 client is
    /// told, and is at fault with more; a 3.1.1 client is not read from until there is room.
    pub receive_maximum: NonZeroU16,
    /// Bytes held for a peripheral that does not wait for its CONNACK.
    pub held_bytes_max: usize,
}

impl Config {
    pub(crate) fn keep_alive_seconds_max(&self) -> u16 {
        u16::try_from(self.keep_alive_max.as_secs()).unwrap_or(u16::MAX).max(1)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            packet_bytes_max: 68 * 1024,
            connect_time: Duration::from_secs(10),
            keep_alive_max: Duration::from_secs(3600),
            session_expiry_max: Duration::from_secs(7 * 86_400),
            receive_maximum: const { NonZeroU16::new(32).expect("32 is not zero") },
            held_bytes_max: 16 * 1024,
        }
    }
}
