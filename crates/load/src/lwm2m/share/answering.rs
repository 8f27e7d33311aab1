//! What servers ask of peripherals, and what they are told after.

use bugle_coap::{ObserverId, Reliability, RequestHandle, Token};
use bugle_core::{RequestId, Time};
use bugle_edge::carriage;
use bugle_lwm2m::client::Input;
use bugle_lwm2m::{Code, Response, Transmission};

use super::Share;
use crate::event::{Delivery, Happening};

impl Share {
    pub(super) fn on_request(&mut self, now: Time, seat: usize, handle: RequestHandle, request: &bugle_coap::Request) {
        let request_id = self.endpoint.token_of(handle).and_then(request_of);
        self.happened(seat, Happening::Received { request: request_id, delivery: Delivery::First });
        self.last_token += 1;
        let token = self.last_token;
        self.answering = Some((token, handle));
        match carriage::from_coap_request(request) {
            Some(request) => self.put(now, seat, Input::Asked { token, request }),
            None => self.answer(now, seat, token, &Response::new(Code::METHOD_NOT_ALLOWED)),
        }
    }

    /// The device answers before anything else is put to it.
    pub(super) fn answer(&mut self, now: Time, seat: usize, token: u64, response: &Response) {
        let Some((_, handle)) = self.answering.take_if(|(asked, _)| *asked == token) else { return };
        let is_observed = response.observe.is_some();
        let response = carriage::to_coap_response(response);
        let answered = if is_observed {
            self.endpoint.accept_observer(now, handle, response)
        } else {
            self.endpoint.respond(now, handle, response).map(|()| None)
        };
        match answered {
            Ok(Some(observer)) => {
                let observers = &mut self.seats[seat].observers;
                observers.retain(|(_, known)| *known != observer);
                observers.push((token, observer));
                self.answered.push(seat);
            }
            Ok(None) => self.answered.push(seat),
            // Its server has gone away in the meantime.
            Err(_) => {}
        }
    }

    pub(super) fn notify(
        &mut self,
        now: Time,
        seat: usize,
        token: u64,
        response: &Response,
        transmission: Transmission,
    ) {
        let observer =
            self.seats[seat].observers.iter().find(|(known, _)| *known == token).map(|(_, observer)| *observer);
        let reliability = match transmission {
            Transmission::Confirmable => Reliability::Confirmable,
            Transmission::NonConfirmable => Reliability::NonConfirmable,
        };
        let response = carriage::to_coap_response(response);
        let is_told =
            observer.is_some_and(|observer| self.endpoint.notify(now, observer, response, reliability).is_ok());
        if !is_told {
            self.seats[seat].observers.retain(|(known, _)| *known != token);
            self.seats[seat].device.handle_input(now, Input::Forgotten { token });
        }
    }

    pub(super) fn on_observer_gone(&mut self, now: Time, seat: usize, observer: ObserverId) {
        let observers = &mut self.seats[seat].observers;
        if let Some(place) = observers.iter().position(|(_, known)| *known == observer) {
            let (token, _) = observers.remove(place);
            self.put(now, seat, Input::Forgotten { token });
        }
    }
}

/// The request that a gateway asks for: it makes the token of the request's id.
fn request_of(token: Token) -> Option<RequestId> {
    RequestId::from_number(u64::from_be_bytes(token.as_bytes().try_into().ok()?))
}
