//! The simulated peripherals' way to a server on the same machine: one socket for all of a thread.
//!
//! A server knows a peripheral by the address that it speaks from. The loopback interface has sixteen
//! million of them (RFC 1122 §3.2.1.3), and one socket may speak from, and hear, all of them. So a hundred
//! thousand peripherals need no hundred thousand open files, and cost the machine that they share with their
//! server as little as can be: what is measured is the server.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;

use bugle_core::NumberMap;
use bugle_runtime::datagrams;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use nix::cmsg_space;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg, setsockopt, sockopt,
};
use rustix::net::sockopt::{Ipv4PathMtuDiscovery, set_ip_mtu_discover};
use socket2::{Domain, Socket, Type};

use super::port::is_noise;

const INTERFACE: &[u8] = b"lo";
/// The first address that a peripheral may have, and the last.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
const LAST: Ipv4Addr = Ipv4Addr::new(127, 255, 255, 254);
/// Datagrams in one call to the system.
const BATCH_MAX: usize = 64;
/// Batches taken before others have their turn.
const BATCHES_PER_TURN_MAX: usize = 16;
const DATAGRAM_BYTES_MAX: usize = 2_048;

/// The server's address, if peripherals share the way to it.
pub(crate) fn shared_way_to(server: SocketAddr) -> Option<SocketAddrV4> {
    match server {
        SocketAddr::V4(server) if server.ip().is_loopback() => Some(server),
        SocketAddr::V4(_) | SocketAddr::V6(_) => None,
    }
}

/// Whether more may have come than was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rest {
    None,
    Perhaps,
}

/// What is needed to receive by the batch. It stays in the thread that made it.
#[derive(Debug)]
pub(super) struct Batches {
    headers: MultiHeaders<SockaddrIn>,
    buffers: Box<[u8]>,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH_MAX, Some(cmsg_space!(libc::in_pktinfo))),
            buffers: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX].into(),
        }
    }
}

/// A socket that speaks from many addresses, and who has which.
#[derive(Debug)]
pub(super) struct Loopback {
    socket: UdpSocket,
    /// By the numbers of their addresses, which are given out one after the other.
    seats: NumberMap<u32, usize>,
    next: Ipv4Addr,
}

impl Loopback {
    pub(super) fn open(registry: &Registry, token: Token) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(socket2::Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // Bound to no address, so that it may have many; but to this interface, so that nobody else hears of it.
        socket.bind_device(Some(INTERFACE))?;
        socket.bind(&SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0).into())?;
        setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
        // No datagram is to be cut up: so the system need not look for a number for each (RFC 6864 §4.1).
        set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?;
        datagrams::widen_queues(&socket);
        let mut socket = UdpSocket::from_std(socket.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { socket, seats: NumberMap::default(), next: FIRST })
    }

    /// An address for the one in this seat, that nobody has, and that nobody has had for long.
    pub(super) fn settle(&mut self, seat: usize) -> Ipv4Addr {
        loop {
            let address = self.next;
            self.next = if address == LAST { FIRST } else { Ipv4Addr::from_bits(address.to_bits() + 1) };
            if !self.seats.contains_key(&address.to_bits()) {
                self.seats.insert(address.to_bits(), seat);
                return address;
            }
        }
    }

    /// Nobody has this address any more.
    pub(super) fn vacate(&mut self, address: Ipv4Addr) {
        self.seats.remove(&address.to_bits());
    }

    /// Sends one datagram. One that the system does not take now is lost, as any may be.
    pub(super) fn send(&self, from: Ipv4Addr, to: SocketAddrV4, datagram: &[u8]) -> io::Result<()> {
        let address = |address: Ipv4Addr| libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) };
        let info =
            libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: address(from), ipi_addr: address(Ipv4Addr::UNSPECIFIED) };
        let control = [ControlMessage::Ipv4PacketInfo(&info)];
        let sent = sendmsg(
            self.socket.as_raw_fd(),
            &[IoSlice::new(datagram)],
            &control,
            MsgFlags::MSG_DONTWAIT,
            Some(&SockaddrIn::from(to)),
        );
        match sent.map_err(io::Error::from) {
            Err(error) if !is_noise(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes what has come, and tells `each` in whose seat, from where, and what.
    pub(super) fn receive(
        &self,
        batches: &mut Batches,
        mut each: impl FnMut(usize, SocketAddrV4, &[u8]),
    ) -> io::Result<Rest> {
        for _ in 0..BATCHES_PER_TURN_MAX {
            match self.receive_batch(batches, &mut each) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Rest::None),
                Err(error) if is_noise(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Rest::Perhaps)
    }

    fn receive_batch(
        &self,
        Batches { headers, buffers }: &mut Batches,
        each: &mut impl FnMut(usize, SocketAddrV4, &[u8]),
    ) -> io::Result<()> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            buffers.chunks_exact_mut(DATAGRAM_BYTES_MAX).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let results = recvmmsg(self.socket.as_raw_fd(), headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        for message in results {
            let address = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes())),
                _ => None,
            });
            let seat = address.and_then(|address| self.seats.get(&address.to_bits()));
            if let (Some(seat), Some(from), Some(bytes)) = (seat, message.address, message.iovs().next()) {
                each(*seat, SocketAddrV4::from(from), bytes);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Server;

    use mio::{Events, Poll};

    use super::*;

    /// Hears until `count` have come: who in which seat, and what.
    fn hear(loopback: &Loopback, poll: &mut Poll, server: SocketAddrV4, count: usize) -> Vec<(usize, Vec<u8>)> {
        let (mut heard, mut batches) = (Vec::new(), Batches::default());
        let mut events = Events::with_capacity(1);
        while heard.len() < count {
            poll.poll(&mut events, None).expect("it waits");
            let rest = loopback.receive(&mut batches, |seat, from, bytes| {
                assert_eq!(from, server);
                heard.push((seat, bytes.to_vec()));
            });
            assert_eq!(rest.expect("nothing is wrong"), Rest::None);
        }
        heard
    }

    #[test]
    fn each_speaks_from_an_address_of_its_own_and_hears_what_is_sent_there() {
        let server = Server::bind("127.0.0.1:0").expect("a port is free");
        let SocketAddr::V4(to) = server.local_addr().expect("it is bound") else {
            unreachable!("it was bound to an address of version 4")
        };
        let mut poll = Poll::new().expect("a poll");
        let mut loopback = Loopback::open(poll.registry(), Token(0)).expect("a socket");
        let addresses: Vec<Ipv4Addr> = (0..3).map(|seat| loopback.settle(seat)).collect();
        for (seat, address) in addresses.iter().enumerate() {
            loopback.send(*address, to, &[seat as u8]).expect("it is sent");
        }
        for _ in 0..3 {
            let mut buffer = [0; 8];
            let (length, from) = server.recv_from(&mut buffer).expect("it has come");
            assert_eq!(from.ip(), addresses[buffer[0] as usize]);
            server.send_to(&[&buffer[..length], b"!"].concat(), from).expect("it is answered");
        }
        let mut heard = hear(&loopback, &mut poll, to, 3);
        heard.sort_unstable();
        assert_eq!(heard, [(0, b"\x00!".to_vec()), (1, b"\x01!".to_vec()), (2, b"\x02!".to_vec())]);
    }

    #[test]
    fn whoever_moves_has_another_address_and_hears_nothing_at_the_former() {
        let poll = Poll::new().expect("a poll");
        let mut loopback = Loopback::open(poll.registry(), Token(0)).expect("a socket");
        let former = loopback.settle(7);
        loopback.vacate(former);
        let address = loopback.settle(7);
        assert_ne!(address, former);
        assert_eq!(loopback.seats.get(&former.to_bits()), None);
        assert_eq!(loopback.seats.get(&address.to_bits()), Some(&7));
    }
}
