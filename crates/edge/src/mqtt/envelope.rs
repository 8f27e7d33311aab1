//! How a group request is written for an MQTT peripheral.
//!
//! JSON, the same for both versions: `{"request":"<id>","do":"write","path":"/3311/0/5850","content":
//! {"content_type":"text/plain","text":"1"}}`. What MQTT 5 can carry beside the payload, the response
//! topic and correlation data, repeats the request id.

use std::sync::Arc;

use bugle_core::{GroupRequest, Operation, RequestId};
use bytes::Bytes;
use serde::Serialize;

pub(crate) const CONTENT_TYPE: &str = "application/json";

#[derive(Serialize)]
struct Envelope<'a> {
    request: RequestId,
    #[serde(flatten)]
    operation: &'a Operation,
}

/// Writes envelopes. One request goes to thousands of members in a row, so the last is kept.
#[derive(Debug, Default)]
pub(crate) struct Envelopes {
    last: Option<(RequestId, Bytes)>,
}

impl Envelopes {
    pub(crate) fn of(&mut self, request: &Arc<GroupRequest>) -> Bytes {
        if let Some((id, bytes)) = &self.last
            && *id == request.id
        {
            return bytes.clone();
        }
        let envelope = Envelope { request: request.id, operation: &request.operation };
        let bytes = Bytes::from(serde_json::to_vec(&envelope).expect("an operation is JSON"));
        self.last = Some((request.id, bytes.clone()));
        bytes
    }
}
