//! What clients report without being asked.

use bugle_coap::RequestHandle;
use bugle_core::{Content, Time};
use bugle_lwm2m::codec::{self, Record};
use bugle_lwm2m::{Code, ContentFormat, Path, Response};

use super::peer::Peer;
use super::registering::{STORE_REST, unavailable};
use crate::edge::{Edge, Store};

/// What the reports of Send are called.
const SEND: &str = "send";

impl Edge {
    /// LwM2M 1.1 core, 6.4.6: values at places that they name themselves.
    pub(super) fn on_send(&mut self, now: Time, handle: RequestHandle, peer: Peer, records: &[Record]) {
        let Some(slot) = self.lwm2m.clients.at(peer).filter(|slot| self.gateway.is_registered(*slot)) else {
            return self.answer(now, handle, &Response::new(Code::NOT_FOUND));
        };
        if self.store == Store::Failing {
            self.counters.reports_dropped += 1;
            return self.answer(now, handle, &unavailable(STORE_REST, "the gateway cannot store anything now"));
        }
        match codec::encode(ContentFormat::SENML_JSON, &Path::ROOT, records) {
            Ok(bytes) => {
                let content_type = ContentFormat::SENML_JSON.media_type().unwrap_or_default().to_owned();
                let token = self.lwm2m.confirm_with(handle, Response::new(Code::CHANGED));
                self.gateway.handle_report(now, slot, SEND.to_owned(), Content { content_type, bytes }, token);
            }
            Err(error) => self.answer(now, handle, &Response::refused(Code::BAD_REQUEST, error)),
        }
    }
}
