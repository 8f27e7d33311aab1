//! A client: one association with one server, as a peripheral has it.

use std::collections::VecDeque;

use bugle_core::Time;

use crate::config::ClientConfig;
use crate::connection_id;
use crate::crypto::Generator;
use crate::error::HandshakeError;
use crate::event::{CloseReason, Event, Output, PLAINTEXT_BYTES_MAX, SendError};
use crate::handshake::{ClientContext, ClientHandshake, ClientProgress};
use crate::session::{Opened, Session};
use crate::wire::{Alert, AlertLevel, ContentType, Record, Records};

/// The client side of DTLS with one server.
///
/// `P` says which server, and comes back with everything that is for it or from it.
#[derive(Debug)]
pub struct Client<P> {
    config: ClientConfig,
    server: P,
    generator: Generator,
    state: State,
    outputs: VecDeque<Output<P>>,
}

#[derive(Debug)]
enum State {
    Apart,
    ShakingHands(Box<ClientHandshake>),
    Together(Box<Session>),
}

impl<P: Copy> Client<P> {
    /// A client that has not begun. `seed` must be random, and another one at each start.
    #[must_use]
    pub fn new(config: ClientConfig, server: P, seed: [u8; 32]) -> Self {
        Self { config, server, generator: Generator::new(seed), state: State::Apart, outputs: VecDeque::new() }
    }

    /// Begins a handshake. A session that there was is forgotten, and the server not told: so does a peripheral that
    /// comes back from sleep.
    pub fn connect(&mut self, now: Time) {
        let mut out = Vec::new();
        let Self { config, generator, .. } = self;
        let handshake = ClientHandshake::begin(&mut ClientContext { now, config, generator, out: &mut out });
        self.state = State::ShakingHands(Box::new(handshake));
        self.transmit_all(out);
    }

    /// Whether there is a session.
    #[must_use]
    pub const fn is_established(&self) -> bool {
        matches!(self.state, State::Together(_))
    }

    /// A datagram came from the server.
    pub fn handle_datagram(&mut self, now: Time, datagram: &[u8]) {
        for record in Records::new(datagram, connection_id::OURS_BYTES).map_while(Result::ok) {
            match &mut self.state {
                State::Apart => {}
                State::ShakingHands(_) => self.on_handshake_record(now, &record),
                State::Together(session) => {
                    if let Ok(opened) = session.open(&record) {
                        self.on_opened(opened);
                    }
                }
            }
        }
    }

    /// Sends something to the server.
    pub fn send(&mut self, plaintext: &[u8]) -> Result<(), SendError> {
        let State::Together(session) = &mut self.state else { return Err(SendError::NoSession) };
        let datagram = seal_data(session, plaintext)?;
        self.transmit(datagram);
        Ok(())
    }

    /// Ends the session, and tells the server.
    pub fn close(&mut self) {
        if let State::Together(session) = &mut self.state {
            let datagram = seal_alert(session, AlertLevel::Warning, Alert::CLOSE_NOTIFY);
            self.transmit(datagram);
            self.event(Event::Closed { peer: self.server, reason: CloseReason::ByCaller });
        }
        self.state = State::Apart;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        let Self { config, generator, state, .. } = self;
        let State::ShakingHands(handshake) = state else { return };
        if handshake.due() > now {
            return;
        }
        let mut out = Vec::new();
        match handshake.on_due(&mut ClientContext { now, config, generator, out: &mut out }) {
            Ok(()) => self.transmit_all(out),
            Err(error) => self.fail(error),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) may have something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        match &self.state {
            State::ShakingHands(handshake) => Some(handshake.due()),
            State::Apart | State::Together(_) => None,
        }
    }

    /// What is to be sent, or has happened, next.
    pub fn poll_output(&mut self) -> Option<Output<P>> {
        self.outputs.pop_front()
    }

    fn on_handshake_record(&mut self, now: Time, record: &Record<'_>) {
        let Self { config, generator, state, .. } = self;
        let State::ShakingHands(handshake) = state else { return };
        let mut out = Vec::new();
        let progress = handshake.handle_record(record, &mut ClientContext { now, config, generator, out: &mut out });
        match progress {
            Ok(ClientProgress::UnderWay) => self.transmit_all(out),
            Ok(ClientProgress::Done(identity, session)) => {
                self.state = State::Together(session);
                self.transmit_all(out);
                self.event(Event::Established { peer: self.server, identity });
            }
            Err(error) => self.fail(error),
        }
    }

    fn on_opened(&mut self, opened: Opened) {
        let peer = self.server;
        match opened.content_type {
            ContentType::ApplicationData => self.event(Event::Received { peer, plaintext: opened.text }),
            ContentType::Alert => {
                if let Some(reason) = close_reason(&opened.text) {
                    self.state = State::Apart;
                    self.event(Event::Closed { peer, reason });
                }
            }
            // The last flight of the server again, or an invitation to negotiate again.
            ContentType::Handshake | ContentType::ChangeCipherSpec | ContentType::ConnectionId => {}
        }
    }

    fn fail(&mut self, error: HandshakeError) {
        if let (State::ShakingHands(handshake), Some(alert)) = (&mut self.state, error.alert()) {
            let datagram = handshake.alert(alert);
            self.transmit(datagram);
        }
        self.state = State::Apart;
        self.event(Event::HandshakeFailed { peer: self.server, claimed: None, error });
    }

    fn transmit_all(&mut self, datagrams: Vec<Vec<u8>>) {
        datagrams.into_iter().for_each(|datagram| self.transmit(datagram));
    }

    fn transmit(&mut self, datagram: Vec<u8>) {
        self.outputs.push_back(Output::Transmit { peer: self.server, datagram });
    }

    fn event(&mut self, event: Event<P>) {
        self.outputs.push_back(Output::Event(event));
    }
}

/// A datagram with data.
pub(crate) fn seal_data(session: &mut Session, plaintext: &[u8]) -> Result<Vec<u8>, SendError> {
    if plaintext.len() > PLAINTEXT_BYTES_MAX {
        return Err(SendError::TooLong(plaintext.len()));
    }
    if !session.may_send() {
        return Err(if session.is_kept() { SendError::MustBeKept } else { SendError::UsedUp });
    }
    let mut datagram = Vec::new();
    session.seal(ContentType::ApplicationData, plaintext, &mut datagram);
    Ok(datagram)
}

/// A datagram with an alert.
pub(crate) fn seal_alert(session: &mut Session, level: AlertLevel, alert: Alert) -> Vec<u8> {
    let mut datagram = Vec::new();
    session.seal(ContentType::Alert, &alert.to_bytes(level), &mut datagram);
    datagram
}

/// Whether an alert ends the session, and why.
pub(crate) fn close_reason(text: &[u8]) -> Option<CloseReason> {
    match Alert::parse(text)? {
        (_, Alert::CLOSE_NOTIFY) => Some(CloseReason::ByPeer),
        (AlertLevel::Fatal, alert) => Some(CloseReason::Alert(alert)),
        (AlertLevel::Warning, _) => None,
    }
}
