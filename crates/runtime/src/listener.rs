//! Sockets that others reach the process by.

use std::io;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::net::{TcpListener, UdpSocket};

/// How far a listener without encryption may be reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainReach {
    /// From this machine alone.
    #[default]
    Loopback,
    /// From anywhere: whoever can listen in on the network can read all of it.
    Anywhere,
}

/// Why a process does not listen.
#[derive(Debug, Error)]
pub enum ListenError {
    /// It was not asked for by name. The fault is of whoever configured it.
    #[error(
        "{setting} = \"{address}\" listens without encryption where others can listen in: \
         set {reach_setting} = \"anywhere\" if that is meant, or listen on a loopback address"
    )]
    PlainBeyondLoopback {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// The setting that would allow it.
        reach_setting: &'static str,
    },
    /// The system does not give out the address.
    #[error("{setting} = \"{address}\": {source}")]
    Unavailable {
        /// The setting that names the address.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// Checks that a listener without encryption is no farther reachable than was asked for.
///
/// # Errors
/// If it is.
pub const fn check_plain(
    setting: &'static str,
    address: SocketAddr,
    reach_setting: &'static str,
    reach: PlainReach,
) -> Result<(), ListenError> {
    match reach {
        PlainReach::Loopback if !is_loopback(address) => {
            Err(ListenError::PlainBeyondLoopback { setting, address, reach_setting })
        }
        PlainReach::Loopback | PlainReach::Anywhere => Ok(()),
    }
}

/// Also where an IPv4 address is written as one of IPv6.
const fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Listens for TCP connections; `setting` is what the address is called in the configuration.
///
/// # Errors
/// If the system does not give out the address.
pub async fn listen_tcp(setting: &'static str, address: SocketAddr) -> Result<TcpListener, ListenError> {
    let unavailable = |source| ListenError::Unavailable { setting, address, source };
    TcpListener::bind(address).await.map_err(unavailable)
}

/// Listens for UDP datagrams; `setting` is what the address is called in the configuration.
///
/// # Errors
/// If the system does not give out the address.
pub async fn listen_udp(setting: &'static str, address: SocketAddr) -> Result<UdpSocket, ListenError> {
    let unavailable = |source| ListenError::Unavailable { setting, address, source };
    UdpSocket::bind(address).await.map_err(unavailable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, reach: PlainReach) -> Result<(), ListenError> {
        let address = address.parse().expect("an address");
        check_plain("mqtt.listen", address, "mqtt.plain", reach)
    }

    #[test]
    fn a_plain_listener_beyond_loopback_names_the_setting_that_allows_it() {
        for address in ["0.0.0.0:1883", "[::]:1883", "10.1.2.3:1883", "[::ffff:10.1.2.3]:1883"] {
            let error = check(address, PlainReach::Loopback).expect_err("not asked for").to_string();
            assert!(error.contains("mqtt.listen") && error.contains("mqtt.plain = \"anywhere\""), "{error}");
            assert!(check(address, PlainReach::Anywhere).is_ok());
        }
    }

    #[test]
    fn a_plain_listener_on_loopback_needs_no_permission() {
        for address in ["127.0.0.1:1883", "127.9.9.9:0", "[::1]:1883", "[::ffff:127.0.0.1]:1883"] {
            assert!(check(address, PlainReach::Loopback).is_ok(), "{address}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_told_with_its_setting() {
        let first = listen_tcp("mqtt.listen", "127.0.0.1:0".parse().expect("an address")).await.expect("a free port");
        let taken = first.local_addr().expect("it listens");
        let error = listen_tcp("mqtt.listen", taken).await.expect_err("it is taken").to_string();
        assert!(error.starts_with(&format!("mqtt.listen = \"{taken}\": ")), "{error}");
    }
}
