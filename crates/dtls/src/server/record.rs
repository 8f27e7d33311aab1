//! Records of those who have said hello.

use std::hash::Hash;

use bugle_core::Time;

use super::associations::Live;
use super::{Keys, Server};
use crate::client::{close_reason, seal_alert};
use crate::connection_id::ConnectionId;
use crate::credential::Identity;
use crate::event::{CloseReason, Event};
use crate::handshake::{Context, Farewell, ServerProgress};
use crate::replay::Standing;
use crate::session::{Opened, Session, Unopened};
use crate::wire::{Alert, AlertLevel, ContentType, Fragment, MessageType, Reader, Record};

impl<P: Copy + Eq + Hash> Server<P> {
    /// A record that is known by the address that it came from.
    pub(super) fn on_record(&mut self, now: Time, peer: P, record: &Record<'_>, keys: Keys<'_>) {
        let Some(place) = self.associations.find(peer) else {
            self.counters.ignored += 1;
            return;
        };
        // Old and new keys are in use under one epoch while a session is being replaced: what the one does not open
        // may be the other's.
        let opened = (record.epoch > 0).then(|| self.open(place, record)).flatten();
        let has_pending = self.associations.at(place).is_some_and(|association| association.pending.is_some());
        match opened {
            Some(Ok(opened)) => self.on_opened(now, place, peer, opened),
            Some(Err(Unopened::Replayed)) => self.counters.replayed += 1,
            _ if has_pending => self.on_handshake_record(now, place, record, keys),
            Some(Err(Unopened::Forged)) => self.counters.forged += 1,
            Some(Err(Unopened::Foreign)) | None => self.counters.ignored += 1,
        }
    }

    /// A record that is known by its connection id, wherever it came from (RFC 9146 §6).
    pub(super) fn on_identified(&mut self, now: Time, peer: P, record: &Record<'_>, keys: Keys<'_>) {
        let is_of = |id: Option<ConnectionId>| id.is_some_and(|id| id.as_bytes() == record.connection_id);
        let place = ConnectionId::from_bytes(record.connection_id).map(ConnectionId::at);
        let Some((place, association)) = place.and_then(|place| Some((place, self.associations.at(place)?))) else {
            self.counters.ignored += 1;
            return;
        };
        let is_live = is_of(association.live.as_ref().and_then(|live| live.session.connection_id()));
        let is_pending = association.peer == peer
            && is_of(association.pending.as_ref().and_then(|pending| pending.handshake.connection_id()));
        if !is_live {
            return if is_pending {
                self.on_handshake_record(now, place, record, keys);
            } else {
                self.counters.ignored += 1;
            };
        }
        match self.open(place, record) {
            Some(Ok(opened)) => {
                let peer = self.follow(place, peer, opened.standing);
                self.on_opened(now, place, peer, opened);
            }
            Some(Err(Unopened::Replayed)) => self.counters.replayed += 1,
            Some(Err(Unopened::Forged)) => self.counters.forged += 1,
            Some(Err(Unopened::Foreign)) | None => self.counters.ignored += 1,
        }
    }

    fn open(&mut self, place: u32, record: &Record<'_>) -> Option<Result<Opened, Unopened>> {
        let live = self.associations.at_mut(place)?.live.as_mut()?;
        Some(live.session.open(record))
    }

    /// RFC 9146 §6: only a record that is later than all others shows where a peer is now.
    fn follow(&mut self, place: u32, to: P, standing: Standing) -> P {
        let Some(from) = self.associations.at(place).map(|association| association.peer) else { return to };
        if from == to || standing != Standing::Latest {
            return from;
        }
        if let Some(other) = self.associations.find(to) {
            self.drop_pending(other);
            self.end(other, CloseReason::Displaced);
            self.associations.tidy(other);
        }
        // A handshake that someone began at the old address has nothing to do with the one who moved.
        self.drop_pending(place);
        self.associations.rename(place, to);
        self.counters.moved += 1;
        self.event(Event::Moved { from, to });
        to
    }

    fn on_opened(&mut self, now: Time, place: u32, peer: P, opened: Opened) {
        let live = self.associations.at_mut(place).and_then(|association| association.live.as_mut());
        let Some(live) = live else { return };
        live.heard = now;
        match opened.content_type {
            ContentType::ApplicationData => self.event(Event::Received { peer, plaintext: opened.text }),
            ContentType::Alert => {
                if let Some(reason) = close_reason(&opened.text) {
                    self.end(place, reason);
                    self.associations.tidy(place);
                }
            }
            ContentType::Handshake => {
                let datagram = answer_in_session(live, &opened.text);
                self.counters.retransmissions += u64::from(datagram.is_some());
                self.transmit_all(peer, datagram.into_iter().collect());
            }
            ContentType::ChangeCipherSpec | ContentType::ConnectionId => self.counters.ignored += 1,
        }
    }

    fn on_handshake_record(&mut self, now: Time, place: u32, record: &Record<'_>, keys: Keys<'_>) {
        let mut out = Vec::new();
        let Self { config, generator, associations, .. } = self;
        let Some(association) = associations.at_mut(place) else { return };
        let peer = association.peer;
        let Some(pending) = &mut association.pending else { return };
        let context = &mut Context { now, config, keys, generator, out: &mut out };
        match pending.handshake.handle_record(record, context) {
            Ok(ServerProgress::UnderWay) => {
                self.set_timer(place);
                self.transmit_all(peer, out);
            }
            Ok(ServerProgress::Done(identity, end)) => {
                self.transmit_all(peer, out);
                self.establish(now, place, identity, *end);
            }
            Err(error) => self.fail(place, error),
        }
    }

    /// The handshake is done, and its session takes the place of the one before.
    fn establish(&mut self, now: Time, place: u32, identity: Identity, end: (Session, Farewell)) {
        let Some(association) = self.associations.at(place) else { return };
        let peer = association.peer;
        let hello = association.pending.as_ref().map_or(0, |pending| pending.hello);
        self.drop_pending(place);
        self.end(place, CloseReason::Replaced);
        if self.census.sessions >= self.config.limits.sessions_max
            && let Some(idlest) = self.idlest(None)
        {
            self.end(idlest, CloseReason::NoRoom);
            self.associations.tidy(idlest);
        }
        let (session, farewell) = end;
        if let Some(association) = self.associations.at_mut(place) {
            association.live = Some(Live::begin(now, session, Some(farewell), hello));
            self.census.sessions += 1;
            self.idle.insert((now, place));
            self.event(Event::Established { peer, identity });
        }
    }
}

/// What a message of a handshake means in the middle of a session.
fn answer_in_session(live: &mut Live, text: &[u8]) -> Option<Vec<u8>> {
    if !live.session.may_send() {
        return None;
    }
    match Fragment::read(&mut Reader::new(text))?.message_type {
        // RFC 6347 §4.2.4: the peer has not received the last flight.
        MessageType::FINISHED => Some(live.farewell.as_mut()?.repeat(&mut live.session)),
        // RFC 5746 §4.2: a session is not renegotiated. A peer that wants another says so outside of it.
        MessageType::CLIENT_HELLO => Some(seal_alert(&mut live.session, AlertLevel::Warning, Alert::NO_RENEGOTIATION)),
        _ => None,
    }
}
