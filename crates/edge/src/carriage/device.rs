//! A simulated device's end of CoAP, for what drives gateways without a socket.
//!
//! What the device asks becomes an exchange with its server, and what comes of it goes back to it; what servers ask,
//! it is told, and answers when it likes. All else that it does is for the caller.

use std::collections::BTreeMap;
use std::hash::Hash;

use bugle_coap::{Config, Datagram, Delivery, Endpoint, Event, ExchangeId, ObserverId, Reliability, RequestHandle};
use bugle_core::Time;
use bugle_lwm2m::client::{self, Device, Input, Settings};
use bugle_lwm2m::{Code, Request, Response, Transmission};

use super::{from_coap_request, from_coap_response, to_coap_request, to_coap_response};

/// A simulated device that speaks CoAP with servers, each known by a `P`.
#[derive(Debug)]
pub struct CoapDevice<P> {
    device: Device,
    endpoint: Endpoint<P>,
    /// What it has asked, by what the device knows it by.
    asked: BTreeMap<ExchangeId, u64>,
    /// What it is to answer, by the token that the device knows it by.
    answering: BTreeMap<u64, RequestHandle>,
    observers: BTreeMap<u64, ObserverId>,
    last_token: u64,
}

/// What comes of it, in order.
#[derive(Debug)]
pub enum Output<P> {
    /// Send this.
    Transmit {
        /// To whom.
        peer: P,
        /// What.
        datagram: Datagram,
    },
    /// The device did something that is nothing to its server, or more than that: all but asking and answering.
    Did(client::Output),
    /// Nobody has answered what it asked.
    Unanswered,
}

impl<P: Copy + Eq + Hash> CoapDevice<P> {
    /// One that is switched off. What must not be guessed is drawn from `secret`.
    #[must_use]
    pub fn new(settings: Settings, secret: [u8; 16]) -> Self {
        Self {
            device: Device::new(settings),
            endpoint: Endpoint::new(Config::default(), secret),
            asked: BTreeMap::new(),
            answering: BTreeMap::new(),
            observers: BTreeMap::new(),
            last_token: 0,
        }
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &Device {
        &self.device
    }

    /// Something happens to the device.
    pub fn handle_input(&mut self, now: Time, input: Input) {
        self.device.handle_input(now, input);
    }

    /// A datagram has come.
    pub fn handle_datagram(&mut self, now: Time, peer: P, datagram: &[u8]) {
        self.endpoint.handle_datagram(now, peer, datagram);
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: Time) {
        self.device.handle_timeout(now);
        self.endpoint.handle_timeout(now);
    }

    /// When it wants to be told the time.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        [self.device.next_timeout(), self.endpoint.next_timeout()].into_iter().flatten().min()
    }

    /// The next thing to do. What the device asks, it asks `server`.
    pub fn poll_output(&mut self, now: Time, server: P) -> Option<Output<P>> {
        loop {
            if let Some(output) = self.device.poll_output() {
                if let Some(did) = self.on_device(now, server, output) {
                    return Some(Output::Did(did));
                }
                continue;
            }
            match self.endpoint.poll_output()? {
                bugle_coap::Output::Transmit { peer, datagram } => return Some(Output::Transmit { peer, datagram }),
                bugle_coap::Output::Event(event) => {
                    if let Some(output) = self.on_event(now, event) {
                        return Some(output);
                    }
                }
            }
        }
    }

    /// Carries out what concerns the endpoint, and returns what does not.
    fn on_device(&mut self, now: Time, server: P, output: client::Output) -> Option<client::Output> {
        match output {
            client::Output::Ask { exchange, request } => self.ask(now, server, exchange, &request),
            client::Output::Answer { token, response } => self.answer(now, token, &response),
            client::Output::Notify { token, response, transmission } => {
                self.notify(now, token, &response, transmission);
            }
            other => return Some(other),
        }
        None
    }

    fn ask(&mut self, now: Time, server: P, exchange: u64, request: &Request) {
        match self.endpoint.request(now, server, to_coap_request(request), Delivery::default()) {
            Ok(asked) => {
                self.asked.insert(asked, exchange);
            }
            Err(_) => self.device.handle_input(now, Input::Unanswered { exchange }),
        }
    }

    fn answer(&mut self, now: Time, token: u64, response: &Response) {
        let Some(handle) = self.answering.remove(&token) else { return };
        // Whoever asked may have given up.
        if response.observe.is_none() {
            let _ = self.endpoint.respond(now, handle, to_coap_response(response));
        } else if let Ok(Some(observer)) = self.endpoint.accept_observer(now, handle, to_coap_response(response)) {
            self.observers.insert(token, observer);
        }
    }

    fn notify(&mut self, now: Time, token: u64, response: &Response, transmission: Transmission) {
        let Some(observer) = self.observers.get(&token) else { return };
        let reliability = match transmission {
            Transmission::Confirmable => Reliability::Confirmable,
            Transmission::NonConfirmable => Reliability::NonConfirmable,
        };
        if self.endpoint.notify(now, *observer, to_coap_response(response), reliability).is_err() {
            self.forget(now, token);
        }
    }

    fn forget(&mut self, now: Time, token: u64) {
        self.observers.remove(&token);
        self.device.handle_input(now, Input::Forgotten { token });
    }

    fn on_event(&mut self, now: Time, event: Event<P>) -> Option<Output<P>> {
        match event {
            Event::Request { handle, request, .. } => match from_coap_request(&request) {
                Some(request) => {
                    self.last_token += 1;
                    self.answering.insert(self.last_token, handle);
                    self.device.handle_input(now, Input::Asked { token: self.last_token, request });
                }
                None => {
                    let response = to_coap_response(&Response::new(Code::METHOD_NOT_ALLOWED));
                    let _ = self.endpoint.respond(now, handle, response);
                }
            },
            Event::Response { exchange, response, .. } => {
                if let Some(exchange) = self.asked.remove(&exchange) {
                    let response = from_coap_response(&response);
                    self.device.handle_input(now, Input::Answered { exchange, response });
                }
            }
            Event::Failed { exchange, .. } => {
                let exchange = self.asked.remove(&exchange)?;
                self.device.handle_input(now, Input::Unanswered { exchange });
                return Some(Output::Unanswered);
            }
            Event::ObserverGone { observer, .. } => {
                let token = self.observers.iter().find(|(_, known)| **known == observer).map(|(token, _)| *token)?;
                self.forget(now, token);
            }
            // It observes nothing and pings nobody, and asks not how its answers fare.
            Event::Acknowledged { .. }
            | Event::Pong { .. }
            | Event::Notification { .. }
            | Event::NotificationDelivered { .. }
            | Event::ObservationEnded { .. }
            | Event::ResponseDelivered { .. }
            | Event::ResponseFailed { .. } => {}
        }
        None
    }
}
