//! DTLS on a simulated peripheral's way to its server.

use std::collections::VecDeque;

use bugle_core::Time;
use bugle_dtls::{Client, ClientConfig, ClientCredential, Event, Output};

/// What waits for a session; more is lost, as any datagram may be.
const UNSENT_MAX: usize = 16;

/// What comes out on either side.
#[derive(Debug)]
pub(super) enum Passed {
    /// A datagram for the server.
    Out(Vec<u8>),
    /// A datagram of the server's, opened.
    In(Vec<u8>),
}

/// A session with the server, or the way to one.
#[derive(Debug)]
pub(super) struct Secured {
    client: Client<()>,
    unsent: VecDeque<Vec<u8>>,
    /// Whether the session has failed its peripheral: the next word begins another.
    has_failed: bool,
}

impl Secured {
    pub(super) fn new(credential: ClientCredential, seed: [u8; 32]) -> Self {
        Self {
            client: Client::new(ClientConfig::new(credential), (), seed),
            unsent: VecDeque::new(),
            has_failed: false,
        }
    }

    /// Begins a session, in place of the one that there was.
    pub(super) fn begin(&mut self, now: Time) {
        self.has_failed = false;
        self.client.connect(now);
    }

    /// Nobody answers in the session, or what was asked for in it is refused, and may be heard of no more when it is
    /// asked for again.
    pub(super) const fn handle_failure(&mut self) {
        self.has_failed = true;
    }

    /// Has a datagram sent under the session, once there is one.
    pub(super) fn send(&mut self, now: Time, datagram: &[u8]) {
        if self.has_failed {
            self.begin(now);
        }
        self.put(datagram);
    }

    fn put(&mut self, datagram: &[u8]) {
        if self.client.send(datagram).is_err() && self.unsent.len() < UNSENT_MAX {
            self.unsent.push_back(datagram.to_vec());
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        self.client.handle_datagram(now, datagram);
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.client.handle_timeout(now);
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        self.client.next_timeout()
    }

    pub(super) fn poll(&mut self) -> Option<Passed> {
        loop {
            match self.client.poll_output()? {
                Output::Transmit { datagram, .. } => return Some(Passed::Out(datagram)),
                Output::Event(Event::Received { plaintext, .. }) => return Some(Passed::In(plaintext)),
                Output::Event(Event::Established { .. }) => {
                    for datagram in std::mem::take(&mut self.unsent) {
                        self.put(&datagram);
                    }
                }
                // What comes of these is heard of above: nobody answers.
                Output::Event(Event::Moved { .. } | Event::Closed { .. } | Event::HandshakeFailed { .. }) => {}
            }
        }
    }
}
