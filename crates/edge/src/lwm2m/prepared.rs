//! A group request as it is put to a client: made once for all clients that are alike, which often are all.

use std::sync::Arc;

use bugle_core::{GroupRequest, RequestId};
use bugle_lwm2m::operation::{Delivery, DeliveryError};
use bugle_lwm2m::registration::Registration;

use crate::carriage::to_coap_request;

/// A delivery, and what goes out for it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) delivery: Delivery,
    pub(super) request: bugle_coap::Request,
}

impl From<Delivery> for Prepared {
    fn from(delivery: Delivery) -> Self {
        let request = to_coap_request(delivery.request());
        Self { delivery, request }
    }
}

/// What was prepared last, and for which client.
#[derive(Debug, Default)]
pub(super) struct Latest(Option<(RequestId, Registration, Arc<Prepared>)>);

impl Latest {
    /// Prepares a request for a client.
    pub(super) fn prepare(
        &mut self,
        request: &GroupRequest,
        client: &Registration,
    ) -> Result<Arc<Prepared>, DeliveryError> {
        if let Some((id, like, prepared)) = &self.0
            && *id == request.id
            && client.is_asked_like(like)
        {
            return Ok(Arc::clone(prepared));
        }
        let prepared = Arc::new(Prepared::from(Delivery::new(&request.operation, client)?));
        self.0 = Some((request.id, client.clone(), Arc::clone(&prepared)));
        Ok(prepared)
    }
}
