//! Datagrams by the batch: one call to the system for up to [`BATCH_MAX`] of them (`recvmmsg`, `sendmmsg`).

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg, setsockopt, sockopt,
};

/// Datagrams in one call.
pub const BATCH_MAX: usize = 64;
/// The largest datagram that is taken: more than fits through any ordinary network in one piece.
pub const DATAGRAM_BYTES_MAX: usize = 2_048;
/// What the system may keep of datagrams that wait, in either direction.
const QUEUE_BYTES: usize = 16 << 20;

/// What is needed to receive and send by the batch at one socket.
#[derive(Debug)]
pub struct Batches {
    received: MultiHeaders<SockaddrStorage>,
    sent: MultiHeaders<SockaddrStorage>,
    buffers: Box<[u8]>,
}

/// What one call received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Datagrams, those that are too large among them.
    pub datagrams: usize,
    /// Those that are too large, of which nothing was told.
    pub oversized: usize,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            received: MultiHeaders::preallocate(BATCH_MAX, None),
            sent: MultiHeaders::preallocate(BATCH_MAX, None),
            buffers: vec![0; BATCH_MAX * DATAGRAM_BYTES_MAX].into(),
        }
    }
}

impl Batches {
    /// Receives what is there, up to a batch, and tells `each` of every datagram.
    ///
    /// # Errors
    /// `WouldBlock` if nothing is there, or whatever the system says.
    pub fn receive(&mut self, socket: &impl AsRawFd, mut each: impl FnMut(SocketAddr, &[u8])) -> io::Result<Received> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> =
            self.buffers.chunks_exact_mut(DATAGRAM_BYTES_MAX).map(|buffer| [IoSliceMut::new(buffer)]).collect();
        let results =
            recvmmsg(socket.as_raw_fd(), &mut self.received, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
        let mut received = Received::default();
        for message in results {
            received.datagrams += 1;
            if message.flags.contains(MsgFlags::MSG_TRUNC) {
                received.oversized += 1;
                continue;
            }
            if let (Some(address), Some(bytes)) = (message.address.and_then(to_std), message.iovs().next()) {
                each(address, bytes);
            }
        }
        Ok(received)
    }

    /// Sends datagrams, up to a batch, in order. Returns how many the system took.
    ///
    /// # Errors
    /// `WouldBlock` if it takes none now, or whatever it says of the first.
    pub fn send<'d>(
        &mut self,
        socket: &impl AsRawFd,
        datagrams: impl Iterator<Item = (SocketAddr, &'d [u8])>,
    ) -> io::Result<usize> {
        let (addresses, slices): (Vec<_>, Vec<_>) = datagrams
            .take(BATCH_MAX)
            .map(|(address, bytes)| (Some(SockaddrStorage::from(address)), [IoSlice::new(bytes)]))
            .unzip();
        let none: [ControlMessage<'_>; 0] = [];
        let results =
            sendmmsg(socket.as_raw_fd(), &mut self.sent, slices.iter(), addresses, none, MsgFlags::MSG_DONTWAIT)?;
        Ok(results.count())
    }
}

/// Has the system keep as many waiting datagrams as it lets this process ask for. A burst that finds no room
/// is lost, and has to be sent again seconds later.
pub fn widen_queues(socket: &impl AsFd) {
    // Beyond the system's limit only for the privileged; up to it for everybody.
    if setsockopt(socket, sockopt::RcvBufForce, &QUEUE_BYTES).is_err() {
        warn_unless(setsockopt(socket, sockopt::RcvBuf, &QUEUE_BYTES));
    }
    if setsockopt(socket, sockopt::SndBufForce, &QUEUE_BYTES).is_err() {
        warn_unless(setsockopt(socket, sockopt::SndBuf, &QUEUE_BYTES));
    }
}

fn warn_unless(result: Result<(), Errno>) {
    if let Err(error) = result {
        tracing::warn!(%error, "the queue of a UDP socket stays as small as it is");
    }
}

fn to_std(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|address| SocketAddrV4::from(*address).into());
    v4.or_else(|| address.as_sockaddr_in6().map(|address| SocketAddrV6::from(*address).into()))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn socket(address: &str) -> UdpSocket {
        let socket = UdpSocket::bind(address).expect("a port is free");
        widen_queues(&socket);
        socket
    }

    #[test]
    fn what_is_sent_by_the_batch_arrives_by_the_batch() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let (here, there) = (socket(address), socket(address));
            let to = there.local_addr().expect("it is bound");
            let texts: Vec<String> = (0..100).map(|number| format!("datagram {number}")).collect();
            let (mut sender, mut receiver) = (Batches::default(), Batches::default());
            let mut sent = 0;
            while sent < texts.len() {
                sent += sender
                    .send(&here, texts[sent..].iter().map(|text| (to, text.as_bytes())))
                    .expect("there is room for a hundred");
            }
            let mut arrived = Vec::new();
            while arrived.len() < texts.len() {
                receiver
                    .receive(&there, |from, bytes| {
                        assert_eq!(from, here.local_addr().expect("it is bound"));
                        arrived.push(String::from_utf8(bytes.to_vec()).expect("a text"));
                    })
                    .expect("loopback delivers at once");
            }
            assert_eq!(arrived, texts);
            let nothing = receiver.receive(&there, |_, _| {}).expect_err("nothing is there");
            assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        }
    }

    #[test]
    fn a_datagram_that_is_too_large_is_counted_and_harms_no_other() {
        let (here, there) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let to = there.local_addr().expect("it is bound");
        let (large, largest) = ([1; DATAGRAM_BYTES_MAX + 1], [2; DATAGRAM_BYTES_MAX]);
        let datagrams: [&[u8]; 3] = [&large, &largest, b"small"];
        let mut batches = Batches::default();
        batches.send(&here, datagrams.into_iter().map(|bytes| (to, bytes))).expect("there is room");
        let mut lengths = Vec::new();
        let received = batches.receive(&there, |_, bytes| lengths.push(bytes.len())).expect("they are there");
        assert_eq!((received.datagrams, received.oversized), (3, 1));
        assert_eq!(lengths, [DATAGRAM_BYTES_MAX, 5]);
    }
}
