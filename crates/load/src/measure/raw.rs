//! What the machine's UDP sockets can do at all: datagrams go back and forth between two threads, in
//! batches, and nothing is done with them. No server can be faster.

use std::io::{self, ErrorKind};
use std::iter;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bugle_runtime::datagrams::{BATCH_MAX, Batches, DATAGRAM_BYTES_MAX, widen_queues};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;
use socket2::SockRef;

use super::MeasureError;

/// How long an answer is waited for before what is outstanding counts as lost.
const PATIENCE: Duration = Duration::from_millis(200);
/// What a short datagram takes of a socket's buffer, at most.
const BUFFER_BYTES_PER_DATAGRAM: usize = 1_024;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw {
    /// The size of what goes out.
    pub request_bytes: usize,
    /// The size of what comes back.
    pub answer_bytes: usize,
    /// Requests that have no answer yet, at most; fewer if the system's buffers have no room for so many.
    pub outstanding: usize,
    /// How long.
    pub duration: Duration,
}

impl Default for Raw {
    /// The sizes of a message to an LwM2M peripheral and its answer.
    fn default() -> Self {
        Self { request_bytes: 96, answer_bytes: 12, outstanding: 4_096, duration: Duration::from_secs(2) }
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RawResult {
    /// Answers that came.
    pub round_trips: u64,
    /// Requests without an answer.
    pub lost: u64,
    /// Requests outstanding at once, at most.
    pub outstanding: usize,
    /// Answers a second.
    pub per_second: f64,
}

impl RawResult {
    /// How long so many round trips take.
    #[must_use]
    pub fn time_for(&self, round_trips: usize) -> Duration {
        if self.per_second > 0.0 {
            Duration::from_secs_f64(round_trips as f64 / self.per_second)
        } else {
            Duration::MAX
        }
    }
}

impl Raw {
    /// Measures.
    ///
    /// # Errors
    /// If the system refuses the sockets or the thread.
    pub fn run(&self) -> Result<RawResult, MeasureError> {
        self.measure().map_err(MeasureError::Raw)
    }

    fn measure(&self) -> io::Result<RawResult> {
        let (here, there) = (open()?, open()?);
        let (here_at, there_at) = (here.local_addr()?, there.local_addr()?);
        let outstanding = self.outstanding.min(room(&here)?).min(room(&there)?).max(1);
        let is_over = Arc::new(AtomicBool::new(false));
        let answering = {
            let (is_over, answer) = (Arc::clone(&is_over), vec![0; self.answer_bytes.min(DATAGRAM_BYTES_MAX)]);
            let answer_all = move || Port::new(there, here_at)?.answer(&answer, &is_over);
            thread::Builder::new().name("raw answers".into()).spawn(answer_all)?
        };
        let request = vec![0; self.request_bytes.min(DATAGRAM_BYTES_MAX)];
        let asked = Port::new(here, there_at).and_then(|mut port| port.ask(&request, outstanding, self.duration));
        is_over.store(true, Ordering::Relaxed);
        let answered = answering.join().map_err(|_| io::Error::other("the answering thread has panicked"))?;
        let asked = asked?;
        answered?;
        Ok(asked)
    }
}

fn open() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    widen_queues(&socket);
    Ok(socket)
}

/// Datagrams that can wait at a socket.
fn room(socket: &UdpSocket) -> io::Result<usize> {
    Ok(SockRef::from(socket).recv_buffer_size()? / BUFFER_BYTES_PER_DATAGRAM)
}

/// A socket whose datagrams go in batches, as a gateway's do.
struct Port {
    socket: UdpSocket,
    peer: SocketAddr,
    batches: Batches,
    poll: Poll,
    events: Events,
}

impl Port {
    fn new(mut socket: UdpSocket, peer: SocketAddr) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
        Ok(Self { socket, peer, batches: Batches::default(), poll, events: Events::with_capacity(1) })
    }

    /// Waits for datagrams: how many have come, up to a batch. Zero if none does in time.
    fn receive(&mut self) -> io::Result<usize> {
        loop {
            match none_if_noise(self.batches.receive(&self.socket, |_, _| {}).map(|received| received.datagrams))? {
                0 => {}
                received => return Ok(received),
            }
            self.poll.poll(&mut self.events, Some(PATIENCE))?;
            if self.events.is_empty() {
                return Ok(0);
            }
        }
    }

    /// Sends the same datagram `count` times, up to a batch: how many have gone out.
    fn send(&mut self, datagram: &[u8], count: usize) -> io::Result<usize> {
        let datagrams = iter::repeat_n((self.peer, datagram), count.min(BATCH_MAX));
        none_if_noise(self.batches.send(&self.socket, datagrams))
    }

    fn ask(&mut self, request: &[u8], outstanding: usize, duration: Duration) -> io::Result<RawResult> {
        let began = Instant::now();
        let (mut under_way, mut round_trips, mut lost) = (0, 0, 0);
        while began.elapsed() < duration {
            while under_way < outstanding {
                match self.send(request, outstanding - under_way)? {
                    0 => break,
                    sent => under_way += sent,
                }
            }
            match self.receive()? {
                0 => lost += std::mem::take(&mut under_way) as u64,
                received => {
                    round_trips += received as u64;
                    under_way = under_way.saturating_sub(received);
                }
            }
        }
        let per_second = round_trips as f64 / began.elapsed().as_secs_f64();
        Ok(RawResult { round_trips, lost, outstanding, per_second })
    }

    fn answer(&mut self, answer: &[u8], is_over: &AtomicBool) -> io::Result<()> {
        while !is_over.load(Ordering::Relaxed) {
            let mut left = self.receive()?;
            while left > 0 {
                match self.send(answer, left)? {
                    0 => break,
                    sent => left -= sent,
                }
            }
        }
        Ok(())
    }
}

/// Nothing is there, there is no room, or nobody listens any more: no error of a datagram socket.
fn none_if_noise(count: io::Result<usize>) -> io::Result<usize> {
    let noise = [ErrorKind::WouldBlock, ErrorKind::Interrupted, ErrorKind::ConnectionRefused];
    count.or_else(|error| if noise.contains(&error.kind()) { Ok(0) } else { Err(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_go_back_and_forth_and_none_is_lost() {
        let raw = Raw { duration: Duration::from_millis(200), outstanding: 64, ..Raw::default() };
        let result = raw.run().expect("sockets");
        assert!(result.round_trips > 100 && result.lost == 0, "{result:?}");
        assert!(result.time_for(1_000) > Duration::ZERO);
    }
}
