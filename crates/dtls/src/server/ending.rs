//! How handshakes and sessions end, and when.

use std::hash::Hash;

use bugle_core::Time;

use super::Server;
use crate::client::seal_alert;
use crate::error::HandshakeError;
use crate::event::{CloseReason, Event};
use crate::handshake::Context;
use crate::wire::{Alert, AlertLevel};

impl<P: Copy + Eq + Hash> Server<P> {
    /// Has the timer of a handshake stand where it is due.
    pub(super) fn set_timer(&mut self, place: u32) {
        let pending = self.associations.at_mut(place).and_then(|association| association.pending.as_mut());
        let Some(pending) = pending else { return };
        let due = pending.handshake.due();
        self.timers.remove(&(pending.due, place));
        pending.due = due;
        self.timers.insert((due, place));
    }

    pub(super) fn on_handshake_due(&mut self, now: Time, place: u32) {
        let mut out = Vec::new();
        let Self { config, generator, associations, .. } = self;
        let Some(association) = associations.at_mut(place) else { return };
        let peer = association.peer;
        let Some(pending) = &mut association.pending else { return };
        // Keys are looked up when the peer says something, never here.
        let keys = &|_: &[u8]| None;
        match pending.handshake.on_due(&mut Context { now, config, keys, generator, out: &mut out }) {
            Ok(()) => {
                self.counters.retransmissions += 1;
                self.set_timer(place);
                self.transmit_all(peer, out);
            }
            Err(error) => self.fail(place, error),
        }
    }

    /// A handshake comes to nothing.
    pub(super) fn fail(&mut self, place: u32, error: HandshakeError) {
        let Some(association) = self.associations.at_mut(place) else { return };
        let peer = association.peer;
        let Some(mut pending) = association.pending.take() else { return };
        self.census.handshakes -= 1;
        self.timers.remove(&(pending.due, place));
        match error {
            HandshakeError::UnknownIdentity => self.counters.unknown_identities += 1,
            _ => self.counters.failed += 1,
        }
        let datagram = error.alert().map(|alert| pending.handshake.alert(alert));
        self.transmit_all(peer, datagram.into_iter().collect());
        self.event(Event::HandshakeFailed { peer, claimed: pending.handshake.into_claimed(), error });
        self.associations.tidy(place);
    }

    /// A handshake is forgotten, and nobody told.
    pub(super) fn drop_pending(&mut self, place: u32) {
        let pending = self.associations.at_mut(place).and_then(|association| association.pending.take());
        if let Some(pending) = pending {
            self.census.handshakes -= 1;
            self.timers.remove(&(pending.due, place));
        }
    }

    /// A session ends, if there is one. The peer is told where it may still listen under the old keys.
    pub(super) fn end(&mut self, place: u32, reason: CloseReason) {
        let Some(association) = self.associations.at_mut(place) else { return };
        let peer = association.peer;
        let Some(mut live) = association.live.take() else { return };
        self.census.sessions -= 1;
        self.idle.remove(&(live.listed, place));
        match reason {
            CloseReason::Replaced | CloseReason::Displaced | CloseReason::Alert(_) => {}
            _ if !live.session.may_end() => {}
            CloseReason::ByPeer | CloseReason::ByCaller | CloseReason::Idle | CloseReason::NoRoom => {
                let level = AlertLevel::Warning;
                let datagram = seal_alert(&mut live.session, level, Alert::CLOSE_NOTIFY);
                self.transmit_all(peer, vec![datagram]);
            }
        }
        self.event(Event::Closed { peer, reason });
    }

    /// The session whose peer was silent for longest; with a time, only if that was for too long.
    ///
    /// A session stands where it was put, however often its peer is heard, and is put in its right place only when its
    /// turn comes.
    pub(super) fn idlest(&mut self, now: Option<Time>) -> Option<u32> {
        let idle_after = self.config.limits.idle_after;
        loop {
            let (listed, place) = *self.idle.first()?;
            if now.is_some_and(|now| listed + idle_after > now) {
                return None;
            }
            let live = self.associations.at_mut(place).and_then(|association| association.live.as_mut());
            let live = live.expect("only sessions stand among the idle");
            if live.heard <= listed {
                return Some(place);
            }
            live.listed = live.heard;
            self.idle.remove(&(listed, place));
            self.idle.insert((live.heard, place));
        }
    }
}
