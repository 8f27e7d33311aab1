//! Observing: an application wants to hear of a value of a peripheral whenever it changes.
//!
//! 1. The wish comes down, and stays with the allocation until it is taken back: `start_observing`.
//! 2. While the peripheral is registered the edge observes what is wished for, as the protocol allows; at
//!    each registration anew: [`Gateway::observed`].
//! 3. Values reach the application as reports, named as the path. An observation that cannot be had is told
//!    in the same place, as a problem: [`Gateway::handle_observation_refused`].

use std::collections::BTreeSet;

use serde_json::json;

use super::{Change, Effect, Gateway, Slot};
use crate::{Content, PeripheralId, Report, ResourcePath, Time, limits};

impl Gateway {
    /// What is wished for of a peripheral.
    #[must_use]
    pub fn observed(&self, slot: Slot) -> BTreeSet<ResourcePath> {
        self.observed.get(&slot).cloned().unwrap_or_default()
    }

    pub(super) fn start_observing(&mut self, now: Time, peripheral: &PeripheralId, path: ResourcePath) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        let paths = self.observed.entry(slot).or_default();
        if paths.len() >= limits::OBSERVED_PER_PERIPHERAL_MAX && !paths.contains(&path) {
            let detail = format!("at most {} paths of a peripheral are observed", limits::OBSERVED_PER_PERIPHERAL_MAX);
            return self.handle_observation_refused(now, slot, path, &detail);
        }
        if paths.insert(path) {
            self.record_observed(slot);
        }
        self.outbox.effect(Effect::Observe { slot, path });
    }

    pub(super) fn stop_observing(&mut self, peripheral: &PeripheralId, path: ResourcePath) {
        let Some(slot) = self.registry.slot(peripheral) else { return };
        let Some(paths) = self.observed.get_mut(&slot) else { return };
        if !paths.remove(&path) {
            return;
        }
        self.record_observed(slot);
        if self.observed.get(&slot).is_some_and(BTreeSet::is_empty) {
            self.observed.remove(&slot);
        }
        self.outbox.effect(Effect::ObserveNoMore { slot, path });
    }

    /// The peripheral, or its protocol, lets a path not be observed.
    pub fn handle_observation_refused(&mut self, now: Time, slot: Slot, path: ResourcePath, detail: &str) {
        let Some(peripheral) = self.registry.peripheral(slot) else { return };
        let problem = json!({ "title": "not observed", "detail": detail }).to_string();
        let content = Content { content_type: "application/problem+json".into(), bytes: problem.into_bytes() };
        let report = Report { peripheral: peripheral.id.clone(), name: path.to_string(), content, at: now };
        let application = peripheral.profile.application.clone();
        self.up_log.report(&mut self.outbox, application, report);
    }

    fn record_observed(&mut self, slot: Slot) {
        self.outbox.record(Change::Observed { slot, paths: self.observed(slot) });
    }
}
