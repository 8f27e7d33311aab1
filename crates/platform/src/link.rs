//! The platform's end of the links: who is connected, and one session for each.

mod down;
mod session;
mod up;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use bugle_core::GatewayId;
use bugle_runtime::link::Listener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::Platform;

/// The gateways whose link is up.
#[derive(Debug, Default)]
pub(crate) struct Links(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    sessions: BTreeMap<GatewayId, Slot>,
    latest: u64,
}

/// A session. When it is dropped from the table, the session finds that it was replaced.
#[derive(Debug)]
struct Slot {
    number: u64,
    _replace: oneshot::Sender<()>,
}

/// A session's place in the table.
#[derive(Debug)]
struct Place {
    number: u64,
    /// Ends when another session of the same gateway has taken the place.
    replaced: oneshot::Receiver<()>,
}

impl Links {
    pub(crate) fn is_connected(&self, gateway: &GatewayId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sessions.contains_key(gateway)
    }

    /// A session of this gateway begins; one that is there ends.
    fn enter(&self, gateway: &GatewayId) -> Place {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.latest += 1;
        let number = table.latest;
        let (replace, replaced) = oneshot::channel();
        table.sessions.insert(gateway.clone(), Slot { number, _replace: replace });
        Place { number, replaced }
    }

    /// A session ends; the place is another's if it was replaced.
    fn leave(&self, gateway: &GatewayId, place: &Place) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if table.sessions.get(gateway).is_some_and(|slot| slot.number == place.number) {
            table.sessions.remove(gateway);
        }
    }
}

/// Takes links until the process is to end, and then lets the sessions end.
pub(crate) async fn take_links(platform: Platform, mut listener: Listener) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            connected = listener.accept() => match connected {
                Some(connected) => drop(sessions.spawn(session::serve(platform.clone(), connected))),
                None => break,
            },
            Some(_) = sessions.join_next() => {}
            () = platform.shutdown().requested() => break,
        }
    }
    drop(listener);
    while sessions.join_next().await.is_some() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_session_of_a_gateway_replaces_the_first() {
        let links = Links::default();
        let gateway: GatewayId = "gw".parse().expect("a gateway id");
        let mut first = links.enter(&gateway);
        assert!(first.replaced.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        let second = links.enter(&gateway);
        assert!(first.replaced.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        links.leave(&gateway, &first);
        assert!(links.is_connected(&gateway));
        links.leave(&gateway, &second);
        assert!(!links.is_connected(&gateway));
    }
}
