//! Forgetting what the standard no longer asks to remember.
//!
//! What must be remembered of a peer has its end written on it, but no timer: that would cost more memory than
//! the rest. Instead a sweep goes round all peers, a small number at a time, and drops what is over.

use std::hash::Hash;
use std::time::Duration;

use bugle_core::Time;

use crate::endpoint::Endpoint;
use crate::peers::PeerIndex;
use crate::timers::Timer;

/// How long a round takes: so much later than it could be, at most, something is forgotten.
const ROUND: Duration = Duration::from_secs(60);

/// How many places are looked at in one go.
const PLACES_AT_ONCE: usize = 512;

/// How far the round is.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    next_place: usize,
    is_planned: bool,
}

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// The record of a peer, which the sweep will look at; none if there is no room for one more.
    pub(crate) fn enter(&mut self, now: Time, peer: P) -> Option<PeerIndex> {
        let index = self.peers.enter(peer, self.config.limits.peers_max)?;
        if !self.sweep.is_planned {
            self.sweep.is_planned = true;
            self.timers.push(now + ROUND, Timer::Sweep);
        }
        Some(index)
    }

    /// Looks at the next places, and plans to look at those behind them.
    pub(crate) fn on_sweep_due(&mut self, now: Time) {
        let places = self.peers.places();
        let from = if self.sweep.next_place < places { self.sweep.next_place } else { 0 };
        let to = places.min(from + PLACES_AT_ONCE);
        for place in from..to {
            if let Some(index) = self.peers.at(place) {
                self.tidy(now, index);
            }
        }
        self.sweep.next_place = to;
        if to == places {
            self.exchanges.shrink_to(2 * self.exchanges.len());
            self.incoming.shrink_to(2 * self.incoming.len());
            self.lanes.shrink();
        }
        self.sweep.is_planned = self.peers.len() > 0;
        if self.sweep.is_planned {
            let rounds = places.div_ceil(PLACES_AT_ONCE).max(1);
            let pause = ROUND / u32::try_from(rounds).unwrap_or(u32::MAX);
            self.timers.push(now + pause.max(Duration::from_millis(1)), Timer::Sweep);
        } else {
            self.peers.shrink();
            self.remembered.shrink();
        }
    }

    /// Forgets what is over of a peer, and the peer itself if nothing is left.
    fn tidy(&mut self, now: Time, index: PeerIndex) {
        let is_needed = [
            self.remembered.purge(now, index),
            self.uploads.purge(now, index),
            self.bodies.purge(now, index),
            self.peers.message_ids_until(index) > now,
            self.peers.unanswered(index) > 0,
            !self.lanes.is_idle(index),
            self.observers.of(index).next().is_some(),
            self.observations.of(index).next().is_some(),
        ];
        if !is_needed.contains(&true) {
            self.peers.remove(index);
        }
    }
}
