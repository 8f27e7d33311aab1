//! Exchanges: those that this endpoint begins, and those of its peers.

mod answered;
mod asking;
mod incoming;
mod notifying;
mod outgoing;

use std::time::Duration;

use bugle_core::{NumberMap, Time};
use smallvec::SmallVec;

pub(crate) use asking::Asking;
pub(crate) use incoming::Incoming;

use crate::datagram::Datagram;
use crate::event::{ExchangeId, ObserverId, RequestHandle};
use crate::peers::PeerIndex;
use crate::retransmission::Attempts;
use crate::token::{Identity, MessageId, Token};

/// Whether a message is sent again until it is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reliability {
    /// It is.
    #[default]
    Confirmable,
    /// It is sent once.
    NonConfirmable,
}

/// How a request is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delivery {
    /// Whether it is sent again.
    pub reliability: Reliability,
    /// What its first message is known by; drawn by the endpoint if the caller has none that it keeps.
    pub identity: Option<Identity>,
    /// How long to wait for the response once the request has arrived;
    /// [`Config::response_timeout`](crate::Config::response_timeout) if not said.
    pub response_timeout: Option<Duration>,
}

/// An exchange that this endpoint began.
#[derive(Debug)]
pub(crate) struct Outgoing {
    peer: PeerIndex,
    message_id: MessageId,
    token: Token,
    reliability: Reliability,
    stage: Stage,
    /// When something is done about it next.
    due: Time,
    /// What is sent, again and again. A request is written anew each time: so there is none to keep of ten thousand
    /// that are under way at once.
    datagram: Option<Datagram>,
    purpose: Purpose,
}

/// How far an exchange is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Another is in progress with the same peer.
    Waiting,
    /// The message is sent, and nothing has come back.
    InFlight(Attempts),
    /// The request has arrived, or may have; the response has not come.
    Awaiting,
}

#[derive(Debug)]
enum Purpose {
    Request(Box<Asked>),
    /// A response that could not wait for its request's acknowledgement.
    Response(RequestHandle),
    Notification(ObserverId),
    Ping,
}

/// A request that has no response yet.
#[derive(Debug)]
struct Asked {
    asking: Asking,
    response_timeout: Duration,
    report: Report,
}

/// What a response is told as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Report {
    Response,
    /// It is the rest of a notification under this token.
    Notification(Token),
}

/// Where an exchange begins to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is a part of what is already begun: an answer, or the next block.
    First,
    Last,
}

/// The exchanges with each peer that have not ended. One is in progress at a time (RFC 7252 §4.7, `NSTART`).
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    by_peer: NumberMap<PeerIndex, Lane>,
}

#[derive(Debug, Default)]
struct Lane {
    in_progress: Option<ExchangeId>,
    /// Mostly one, and only until its turn has come.
    waiting: SmallVec<[ExchangeId; 1]>,
    /// Those whose request has arrived, or may have, and whose response has not come.
    awaiting: SmallVec<[ExchangeId; 1]>,
}

impl Lane {
    fn all(&self) -> impl Iterator<Item = ExchangeId> {
        self.in_progress.iter().chain(&self.waiting).chain(&self.awaiting).copied()
    }
}

impl Lanes {
    pub(crate) fn is_idle(&self, peer: PeerIndex) -> bool {
        !self.by_peer.contains_key(&peer)
    }

    /// All exchanges with a peer.
    pub(crate) fn of(&self, peer: PeerIndex) -> impl Iterator<Item = ExchangeId> {
        self.by_peer.get(&peer).into_iter().flat_map(Lane::all)
    }

    fn in_progress(&self, peer: PeerIndex) -> Option<ExchangeId> {
        self.by_peer.get(&peer)?.in_progress
    }

    fn push(&mut self, peer: PeerIndex, exchange: ExchangeId, place: Place) {
        let lane = self.by_peer.entry(peer).or_default();
        match place {
            Place::First => lane.waiting.insert(0, exchange),
            Place::Last => lane.waiting.push(exchange),
        }
    }

    /// The exchange waits for nothing but its response.
    fn await_response(&mut self, peer: PeerIndex, exchange: ExchangeId) {
        let Some(lane) = self.by_peer.get_mut(&peer) else { return };
        if lane.in_progress == Some(exchange) {
            lane.in_progress = None;
            lane.awaiting.push(exchange);
        }
    }

    /// The exchange is over.
    fn release(&mut self, peer: PeerIndex, exchange: ExchangeId) {
        let Some(lane) = self.by_peer.get_mut(&peer) else { return };
        if lane.in_progress == Some(exchange) {
            lane.in_progress = None;
        } else {
            lane.waiting.retain(|waiting| *waiting != exchange);
            lane.awaiting.retain(|awaiting| *awaiting != exchange);
        }
        if lane.all().next().is_none() {
            self.by_peer.remove(&peer);
        }
    }

    /// The exchange to be begun now, if none is in progress.
    fn advance(&mut self, peer: PeerIndex) -> Option<ExchangeId> {
        let lane = self.by_peer.get_mut(&peer)?;
        if lane.in_progress.is_some() || lane.waiting.is_empty() {
            return None;
        }
        lane.in_progress = Some(lane.waiting.remove(0));
        lane.in_progress
    }

    /// Gives back the memory of more than twice as many as there are.
    pub(crate) fn shrink(&mut self) {
        self.by_peer.shrink_to(2 * self.by_peer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: PeerIndex = PeerIndex::new(1);

    #[test]
    fn one_exchange_is_in_progress_at_a_time_and_a_lane_without_any_is_gone() {
        let mut lanes = Lanes::default();
        let [a, b, c] = [1, 2, 3].map(ExchangeId::new);
        let all = |lanes: &Lanes| lanes.of(PEER).collect::<Vec<_>>();
        lanes.push(PEER, a, Place::Last);
        assert_eq!(lanes.advance(PEER), Some(a));
        lanes.push(PEER, b, Place::Last);
        lanes.push(PEER, c, Place::First);
        assert_eq!((lanes.advance(PEER), lanes.in_progress(PEER), all(&lanes)), (None, Some(a), vec![a, c, b]));
        lanes.release(PEER, a);
        assert_eq!(lanes.advance(PEER), Some(c));
        lanes.release(PEER, b);
        lanes.await_response(PEER, c);
        assert_eq!((lanes.in_progress(PEER), all(&lanes), lanes.is_idle(PEER)), (None, vec![c], false));
        lanes.release(PEER, c);
        assert!(lanes.is_idle(PEER));
    }
}
