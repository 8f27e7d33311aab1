//! Telling those who wait that there is something new for them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

/// Wakes whoever waits for something new under a key. It carries nothing: what is new is in the
/// store, so that losing a wake-up costs time at most, and a slow reader costs nobody anything.
#[derive(Debug)]
pub(crate) struct Notifier<K>(Mutex<BTreeMap<K, watch::Sender<()>>>);

impl<K> Default for Notifier<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Notifier<K> {
    /// From now on the receiver is changed whenever there is something new under `key`.
    pub(crate) fn subscribe(&self, key: &K) -> watch::Receiver<()> {
        let mut keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        keys.retain(|_, sender| sender.receiver_count() > 0);
        keys.entry(key.clone()).or_default().subscribe()
    }

    /// There is something new under `key`.
    pub(crate) fn notify(&self, key: &K) {
        let keys = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = keys.get(key) {
            sender.send_replace(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_subscribed_before_is_woken_and_only_under_that_key() {
        let notifier = Notifier::default();
        let here = notifier.subscribe(&1);
        let there = notifier.subscribe(&2);
        notifier.notify(&1);
        assert!(here.has_changed().expect("open"));
        assert!(!there.has_changed().expect("open"));
        assert!(!notifier.subscribe(&1).has_changed().expect("open"));
    }

    #[test]
    fn keys_that_nobody_waits_for_are_not_kept() {
        let notifier = Notifier::default();
        for key in 0..1_000 {
            drop(notifier.subscribe(&key));
        }
        assert_eq!(notifier.0.lock().expect("not poisoned").len(), 1);
    }
}
