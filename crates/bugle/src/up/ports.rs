//! Ports: those that are wanted, or free ones in their place.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use anyhow::Context;

use crate::failure::Failure;

/// The address that is wanted for connections, if it can be had, or one with a free port.
pub(crate) fn choose(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    choose_by(wanted, |address| TcpListener::bind(address)?.local_addr())
}

/// The same for datagrams.
pub(crate) fn choose_for_datagrams(wanted: SocketAddr) -> Result<SocketAddr, Failure> {
    choose_by(wanted, |address| UdpSocket::bind(address)?.local_addr())
}

fn choose_by(wanted: SocketAddr, bind: impl Fn(SocketAddr) -> io::Result<SocketAddr>) -> Result<SocketAddr, Failure> {
    let free = || bind((Ipv4Addr::LOCALHOST, 0).into());
    Ok(bind(wanted).or_else(|_| free()).context("no port is free")?)
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
