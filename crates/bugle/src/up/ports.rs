//! Ports: those that are wanted, or free ones in their place.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use anyhow::Context;

use crate::failure::Failure;

/// The address that is wanted, if it can be had, or one with a free port.
pub(crate) fn choose(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    if TcpListener::bind(wanted).is_ok() {
        return Ok(wanted);
    }
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    Ok(free.context("no port is free")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_given_up_for_a_free_one() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let wanted = taken.local_addr().expect("it listens");
        let chosen = choose(wanted).expect("another");
        assert_ne!(chosen, wanted);
        drop(taken);
        assert_eq!(choose(chosen).expect("free still"), chosen);
    }
}
