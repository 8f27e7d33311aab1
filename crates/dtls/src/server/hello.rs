//! ClientHellos: from whoever sends them, to a handshake with someone who is where he says (RFC 6347 §4.2.1, §4.2.8).
//!
//! 1. A hello without a valid cookie is answered with one, and nothing is kept.
//! 2. With a valid cookie, it begins a handshake, if there is room.
//! 3. A session that there is with the same address stays in use until the handshake is done: anybody could have
//!    asked for it in the peer's name, and the peer itself may have lost what it knew while it slept.

use std::hash::Hash;

use bugle_core::Time;

use super::associations::Pending;
use super::{Keys, Server};
use crate::error::HandshakeError;
use crate::event::Event;
use crate::handshake::{Context, ServerHandshake, Start};
use crate::limits::WhenFull;
use crate::wire::{
    AlertLevel, ClientHello, ContentType, Fragment, MessageType, Record, Version, hello_verify_request, put_message,
    put_plain,
};

/// A hello comes first, and again with each cookie. Ours are good for so long that nobody needs many.
const HELLO_SEQUENCE_MAX: u16 = 16;

impl<P: Copy + Eq + Hash> Server<P> {
    pub(super) fn on_hello(&mut self, now: Time, peer: P, record: &Record<'_>, fragment: Fragment<'_>, keys: Keys<'_>) {
        if !fragment.is_whole() {
            self.counters.fragmented_hellos += 1;
            return;
        }
        let hello = ClientHello::parse(fragment.body).filter(|_| fragment.sequence <= HELLO_SEQUENCE_MAX);
        let Some(hello) = hello else {
            self.counters.malformed += 1;
            return;
        };
        if !self.cookies.has_cookie(now, &peer, &hello) {
            return self.send_cookie(now, peer, record, &fragment, &hello);
        }
        let known = self.associations.find(peer);
        match known.map(|place| self.recognise(place, &hello)) {
            Some(Recognised::Pending(place)) => self.repeat(now, place, keys),
            Some(Recognised::Live) => self.counters.ignored += 1,
            None | Some(Recognised::New) if self.has_room(known) => {
                let place = known.unwrap_or_else(|| self.associations.next_place());
                let start = Start { hello, fragment, record_sequence: record.sequence, place };
                self.begin(now, peer, &start, keys);
            }
            None | Some(Recognised::New) => self.counters.refused += 1,
        }
    }

    /// Step 1. The answer has the numbers of the hello, since no others are kept.
    fn send_cookie(
        &mut self,
        now: Time,
        peer: P,
        record: &Record<'_>,
        fragment: &Fragment<'_>,
        hello: &ClientHello<'_>,
    ) {
        self.counters.cookies += 1;
        let body = hello_verify_request(&self.cookies.cookie(now, &peer, hello));
        let mut message = Vec::new();
        put_message(&mut message, MessageType::HELLO_VERIFY_REQUEST, fragment.sequence, &body);
        let mut datagram = Vec::new();
        put_plain(&mut datagram, ContentType::Handshake, Version::DTLS_1_0, record.sequence, &message);
        self.transmit_all(peer, vec![datagram]);
    }

    fn recognise(&self, place: u32, hello: &ClientHello<'_>) -> Recognised {
        let Some(association) = self.associations.at(place) else { return Recognised::New };
        if association.pending.as_ref().is_some_and(|pending| pending.handshake.began_with(hello)) {
            return Recognised::Pending(place);
        }
        match &association.live {
            Some(live) if live.hello == fingerprint(hello) => Recognised::Live,
            _ => Recognised::New,
        }
    }

    /// Whether one handshake more may begin, and one session more come of it.
    fn has_room(&self, known: Option<u32>) -> bool {
        let limits = &self.config.limits;
        let association = known.and_then(|place| self.associations.at(place));
        let replaces_handshake = association.is_some_and(|association| association.pending.is_some());
        let replaces_session = association.is_some_and(|association| association.live.is_some());
        let has_handshake = replaces_handshake || self.census.handshakes < limits.handshakes_max;
        let has_session =
            replaces_session || limits.when_full == WhenFull::EndIdlest || self.census.sessions < limits.sessions_max;
        has_handshake && has_session && limits.sessions_max > 0
    }

    /// Step 2.
    fn begin(&mut self, now: Time, peer: P, start: &Start<'_>, keys: Keys<'_>) {
        let mut out = Vec::new();
        let Self { config, generator, .. } = self;
        let begun = ServerHandshake::begin(start, &mut Context { now, config, keys, generator, out: &mut out });
        match begun {
            Ok(handshake) => {
                let place = self.associations.find(peer).unwrap_or_else(|| self.associations.enter(peer));
                self.drop_pending(place);
                let due = handshake.due();
                let pending = Pending { handshake: Box::new(handshake), hello: fingerprint(&start.hello), due };
                if let Some(association) = self.associations.at_mut(place) {
                    association.pending = Some(pending);
                    self.census.handshakes += 1;
                    self.timers.insert((due, place));
                }
            }
            Err(error) => out.extend(self.refuse(peer, start.record_sequence, error)),
        }
        self.transmit_all(peer, out);
    }

    /// The hello is not such that a handshake could come of it.
    fn refuse(&mut self, peer: P, sequence: u64, error: HandshakeError) -> Option<Vec<u8>> {
        self.counters.failed += 1;
        self.event(Event::HandshakeFailed { peer, claimed: None, error });
        let alert = error.alert()?.to_bytes(AlertLevel::Fatal);
        let mut datagram = Vec::new();
        put_plain(&mut datagram, ContentType::Alert, Version::DTLS_1_2, sequence, &alert);
        Some(datagram)
    }

    /// The hello came again: its answer was lost.
    fn repeat(&mut self, now: Time, place: u32, keys: Keys<'_>) {
        let mut out = Vec::new();
        let Self { config, generator, associations, .. } = self;
        let Some(association) = associations.at_mut(place) else { return };
        let peer = association.peer;
        if let Some(pending) = &mut association.pending {
            pending.handshake.repeat(&mut Context { now, config, keys, generator, out: &mut out });
        }
        self.counters.retransmissions += 1;
        self.set_timer(place);
        self.transmit_all(peer, out);
    }
}

/// What a hello is to what there is.
enum Recognised {
    /// It began the handshake that is under way.
    Pending(u32),
    /// It began the session that there is.
    Live,
    New,
}

/// Enough of a hello to tell it from others.
fn fingerprint(hello: &ClientHello<'_>) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = hello.random;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
