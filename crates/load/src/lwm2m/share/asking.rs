//! What peripherals ask of their servers, and what comes of it.

use bugle_coap::{Delivery, ExchangeId, Failure};
use bugle_core::Time;
use bugle_edge::carriage;
use bugle_lwm2m::client::Input;
use bugle_lwm2m::registration::RESOURCE;
use bugle_lwm2m::{Code, Method, Request, SEND_RESOURCE};

use super::Share;
use crate::event::{Ending, Happening, Session};
use crate::lwm2m::occupant::{Power, Waking};

/// Something that a peripheral has asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    seat: usize,
    /// What its device knows it by.
    exchange: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Register,
    Update,
    Deregister,
    Send,
}

impl What {
    fn of(request: &Request) -> Self {
        match (request.method, &request.path[..]) {
            (Method::Delete, _) => Self::Deregister,
            (_, [one]) if one == RESOURCE => Self::Register,
            (_, [one]) if one == SEND_RESOURCE => Self::Send,
            _ => Self::Update,
        }
    }
}

impl Share {
    pub(super) fn ask(&mut self, now: Time, seat: usize, exchange: u64, request: &Request) {
        let what = What::of(request);
        if what == What::Register && !self.seats[seat].observers.is_empty() {
            // What was observed before is over (LwM2M 1.1 core, 6.4.1), and nobody is told.
            self.seats[seat].observers.clear();
            self.endpoint.forget(now, seat);
        }
        let coap = carriage::to_coap_request(request);
        match self.endpoint.request(now, seat, coap, Delivery::default()) {
            Ok(id) => {
                self.asked.insert(id, Asked { seat, exchange, what });
            }
            Err(error) => self.on_no_answer(now, Asked { seat, exchange, what }, error.to_string()),
        }
    }

    pub(super) fn on_response(&mut self, now: Time, exchange: ExchangeId, response: &bugle_coap::Response) {
        let Some(Asked { seat, exchange, what }) = self.asked.remove(&exchange) else { return };
        let response = carriage::from_coap_response(response);
        match what {
            What::Update if response.code == Code::CHANGED => self.on_updated(now, seat),
            What::Send if response.code.is_success() => self.happened(seat, Happening::Published),
            What::Send => self.happened(seat, Happening::Rejected { code: response.code.byte() }),
            What::Register | What::Update | What::Deregister => {}
        }
        self.put(now, seat, Input::Answered { exchange, response });
    }

    pub(super) fn on_unanswered(&mut self, now: Time, exchange: ExchangeId, failure: Failure) {
        let Some(asked) = self.asked.remove(&exchange) else { return };
        match (failure, self.seats[asked.seat].power) {
            (_, Power::Off) => {}
            // It is no matter of the server's: what has been asked is overtaken.
            (Failure::Forgotten, Power::On) => {
                self.put(now, asked.seat, Input::Unanswered { exchange: asked.exchange });
            }
            (failure, Power::On) => self.on_no_answer(now, asked, failure.to_string()),
        }
    }

    fn on_no_answer(&mut self, now: Time, asked: Asked, reason: String) {
        let Asked { seat, exchange, what } = asked;
        self.happened(seat, Happening::Disconnected(Ending::Broken { reason }));
        if matches!(what, What::Register | What::Update) {
            self.lose(seat);
        }
        self.put(now, seat, Input::Unanswered { exchange });
        if what == What::Register {
            self.fail(now, seat);
        }
    }

    fn on_updated(&mut self, now: Time, seat: usize) {
        match self.seats[seat].waking {
            Waking::Yes => self.connected(now, seat, Session::Resumed),
            Waking::No => self.happened(seat, Happening::Updated),
        }
    }

    pub(super) fn on_refused(&mut self, now: Time, seat: usize, code: Code) {
        self.lose(seat);
        let reason = Some(format!("{code} {}", code.meaning()));
        self.happened(seat, Happening::Refused { code: code.byte(), reason });
        self.fail(now, seat);
    }

    /// A try to register has failed: the device tries again by itself, unless it has tried often enough.
    fn fail(&mut self, now: Time, seat: usize) {
        self.end_turn(seat);
        let occupant = &mut self.seats[seat];
        occupant.failures += 1;
        if occupant.behaviour.tries.is_some_and(|tries| occupant.failures >= tries) {
            self.give_up(now, seat);
        }
    }
}
