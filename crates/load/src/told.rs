//! Where what happened is told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use crate::event::{Counters, Event, Happening};

/// Counts what happens, and hands it on if somebody wants to see it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) counters: Arc<Counters>,
    pub(crate) events: Option<SyncSender<Event>>,
}

impl Told {
    pub(crate) fn tell(&self, peripheral: usize, what: Happening) {
        self.counters.count(&what);
        if let Some(events) = &self.events
            && events.try_send(Event { peripheral, at: Instant::now(), what }).is_err()
        {
            self.counters.events_lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What was told as connected has ended.
    pub(crate) fn ended(&self) {
        self.counters.ended.fetch_add(1, Ordering::Relaxed);
    }
}
