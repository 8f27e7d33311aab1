//! One endpoint on the desk, with peers that are played by hand.

use std::collections::VecDeque;
use std::time::Duration;

use bugle_coap::{Config, Delivery, Endpoint, Event, ExchangeId, Output, Request, RequestHandle};
use bugle_core::Time;

use crate::wire::Wire;

pub(crate) type Peer = u32;
pub(crate) const PEER: Peer = 7;

pub(crate) struct Desk {
    pub(crate) endpoint: Endpoint<Peer>,
    pub(crate) now: Time,
    sent: VecDeque<(Peer, Wire)>,
    events: VecDeque<Event<Peer>>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        Self {
            endpoint: Endpoint::new(config, [42; 16]),
            now: Time::from_millis(1_000_000),
            sent: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { peer, datagram } => self.sent.push_back((peer, Wire::read(&datagram))),
                Output::Event(event) => self.events.push_back(event),
            }
        }
    }

    pub(crate) fn receive(&mut self, wire: &Wire) {
        self.receive_from(PEER, &wire.bytes());
    }

    pub(crate) fn receive_from(&mut self, peer: Peer, datagram: &[u8]) {
        self.endpoint.handle_datagram(self.now, peer, datagram);
        self.drain();
    }

    /// Receives a request that the endpoint tells its caller of.
    pub(crate) fn receive_request(&mut self, wire: &Wire) -> (RequestHandle, Request) {
        self.receive(wire);
        match self.event() {
            Event::Request { handle, request, .. } => (handle, request),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn request(&mut self, request: Request) -> ExchangeId {
        self.request_with(request, Delivery::default())
    }

    pub(crate) fn request_with(&mut self, request: Request, delivery: Delivery) -> ExchangeId {
        let exchange = self.endpoint.request(self.now, PEER, request, delivery).expect("a request that can be sent");
        self.drain();
        exchange
    }

    /// Lets time go by, stopping at each timeout.
    pub(crate) fn sleep(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(next) = self.endpoint.next_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    pub(crate) fn sleep_secs(&mut self, seconds: u64) {
        self.sleep(Duration::from_secs(seconds));
    }

    /// The next message that went to the usual peer.
    pub(crate) fn sent(&mut self) -> Wire {
        self.drain();
        let (peer, wire) = self.sent.pop_front().expect("something is sent");
        assert_eq!(peer, PEER);
        wire
    }

    pub(crate) fn sent_to(&mut self) -> (Peer, Wire) {
        self.drain();
        self.sent.pop_front().expect("something is sent")
    }

    pub(crate) fn event(&mut self) -> Event<Peer> {
        self.drain();
        self.events.pop_front().expect("something happened")
    }

    #[track_caller]
    pub(crate) fn expect_silence(&mut self) {
        self.drain();
        assert!(self.sent.is_empty(), "{:?}", self.sent);
        assert!(self.events.is_empty(), "{:?}", self.events);
    }

    /// How many messages went out that were not looked at; they are taken as seen.
    pub(crate) fn skip_sent(&mut self) -> usize {
        self.drain();
        std::mem::take(&mut self.sent).len()
    }
}
