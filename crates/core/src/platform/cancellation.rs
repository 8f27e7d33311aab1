//! An application cancels a group request.
//!
//! 1. Every gateway that has not told all its members, or some of whose members wait, may still have
//!    something to stop: all of them are told.
//! 2. Members settle as the gateways report them: cancelled, or what they truly are.
//! 3. At the deadline the platform closes the rest ([`Close`](super::Close)).
//!
//! Cancelling twice, or what is complete, does nothing.

use thiserror::Error;

use super::rows::RequestState;
use super::{Needs, Procedure, Work};
use crate::{ApplicationId, DownEntry, GatewayId, RequestId, StopCause, Time};

/// A group request to cancel.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// Whose.
    pub application: ApplicationId,
    /// Which.
    pub request: RequestId,
}

/// Why nothing was cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CancelRefusal {
    /// The application has no such group request.
    #[error("the group request is unknown")]
    UnknownRequest,
    /// A down log is full.
    #[error("too much waits for gateway {0}")]
    DownLogFull(GatewayId),
}

impl Procedure for Cancel {
    type Answer = ();
    type Refusal = CancelRefusal;

    fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        needs.requests.insert(self.request);
        needs.request_all_gateways.insert(self.request);
        needs
    }

    fn decide(&self, work: &mut Work, _now: Time) -> Result<(), CancelRefusal> {
        let row = work.requests.get(&self.request).filter(|row| row.application == self.application);
        let state = row.ok_or(CancelRefusal::UnknownRequest)?.state;
        if state != RequestState::Open {
            return Ok(());
        }
        let gateways: Vec<GatewayId> = work.request_gateways.iter().map(|((_, gateway), _)| gateway.clone()).collect();
        if let Some(full) = gateways.iter().find(|gateway| !work.has_room(gateway)) {
            return Err(CancelRefusal::DownLogFull(full.clone()));
        }
        for gateway in gateways {
            work.send(&gateway, DownEntry::Cancel { request: self.request, cause: StopCause::Cancelled });
        }
        if let Some(row) = work.requests.get_mut(&self.request) {
            row.state = RequestState::Cancelling;
        }
        Ok(())
    }
}
