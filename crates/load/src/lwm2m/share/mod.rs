//! The LwM2M peripherals of one thread as a pure machine: it knows no clock and no socket.
//!
//! 1. Each waits for its turn ([`Output::WantsTurn`]), is switched on, and registers; its turn is over when the
//!    server has said yes or no, or nothing at all.
//! 2. What it asks of its server goes out as a CoAP exchange, and what comes of it goes back to it.
//! 3. What the server asks, it does and answers at once, if it is awake: one that sleeps hears nothing.
//! 4. It tells whoever observes it of changes, and sends by itself.
//! 5. It sleeps and wakes in queue mode, and leaves when it is told to.

mod answering;
mod asking;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bugle_coap::{Config, Datagram, Endpoint, ExchangeId, RequestHandle};
use bugle_core::Time;
use bugle_lwm2m::client::{self, Input};

use self::asking::Asked;
use super::behaviour::{Peripheral, Port, Telling};
use super::occupant::{Due, Occupant, Power, Standing, TEMPERATURE, Turn, Waking};
use crate::command::Command;
use crate::event::{Ending, Happening, Session};
use crate::seed::Numbers;

/// What the machine wants done, in order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// To be asked when it is this one's turn to register.
    WantsTurn { seat: usize },
    /// That turn is over.
    TurnOver { seat: usize },
    /// A datagram sent.
    Transmit { seat: usize, datagram: Datagram },
    /// From now on, datagrams sent from another port.
    Move { seat: usize },
    /// What was told as connected counted as ended.
    Ended,
    /// Something told.
    Happened { seat: usize, what: Happening },
}

#[derive(Debug)]
pub(super) struct Share {
    /// Its peers are the seats: each has one server.
    endpoint: Endpoint<usize>,
    seats: Vec<Occupant>,
    timeouts: BTreeSet<(Time, usize)>,
    /// What peripherals have asked, and have no answer to yet.
    asked: BTreeMap<ExchangeId, Asked>,
    /// The request that is being answered, by the token that its device knows it by.
    answering: Option<(u64, RequestHandle)>,
    last_token: u64,
    /// Who has answered, and the answer has not gone out yet.
    answered: Vec<usize>,
    repeated: u64,
    outputs: VecDeque<Output>,
}

impl Share {
    /// Peripherals that want to register. They look random by `numbers`, one for each, and by `secret`.
    pub(super) fn new(peripherals: Vec<(Peripheral, Numbers)>, secret: [u8; 16]) -> Self {
        let seats: Vec<Occupant> =
            peripherals.into_iter().map(|(peripheral, numbers)| Occupant::new(peripheral, numbers)).collect();
        let mut share = Self {
            endpoint: Endpoint::new(Config::default(), secret),
            timeouts: BTreeSet::new(),
            asked: BTreeMap::new(),
            answering: None,
            last_token: 0,
            answered: Vec::new(),
            repeated: 0,
            outputs: VecDeque::new(),
            seats,
        };
        (0..share.seats.len()).for_each(|seat| share.want_turn(seat));
        share
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(super) fn next_timeout(&self) -> Option<Time> {
        let own = self.timeouts.first().map(|(at, _)| *at);
        [own, self.endpoint.next_timeout()].into_iter().flatten().min()
    }

    /// How many datagrams have come again since this was asked last.
    pub(super) fn take_repeated(&mut self) -> u64 {
        let known = std::mem::replace(&mut self.repeated, self.endpoint.counters().duplicates);
        self.repeated - known
    }

    /// It is this one's turn.
    pub(super) fn handle_turn(&mut self, now: Time, seat: usize) {
        let occupant = &mut self.seats[seat];
        if occupant.turn != Turn::Waiting {
            self.outputs.push_back(Output::TurnOver { seat });
            return;
        }
        occupant.turn = Turn::Taken;
        occupant.power = Power::On;
        if occupant.device.is_asleep() {
            self.end_turn(seat);
            self.put(now, seat, Input::Wake);
        } else {
            self.put(now, seat, Input::Start);
        }
        self.settle(now);
    }

    /// The system gives this one no port.
    pub(super) fn handle_no_port(&mut self, now: Time, seat: usize, reason: String) {
        self.happened(seat, Happening::Disconnected(Ending::Broken { reason }));
        self.give_up(now, seat);
        self.settle(now);
    }

    /// A datagram has come for this one.
    pub(super) fn handle_datagram(&mut self, now: Time, seat: usize, datagram: &[u8]) {
        if self.seats[seat].hears() {
            self.endpoint.handle_datagram(now, seat, datagram);
            self.settle(now);
        }
    }

    /// Time has come.
    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.endpoint.handle_timeout(now);
        while let Some((at, seat)) = self.timeouts.first().copied()
            && at <= now
        {
            while let Some(due) = self.seats[seat].take_due(now) {
                match due {
                    Due::Report => self.report(now, seat),
                    Due::Leave => self.put(now, seat, Input::Leave),
                }
            }
            if self.seats[seat].power == Power::On {
                self.seats[seat].device.handle_timeout(now);
            }
            self.drain(now, seat);
        }
        self.settle(now);
    }

    /// Somebody tells this one what to do.
    pub(super) fn handle_command(&mut self, now: Time, seat: usize, command: Command) {
        let occupant = &mut self.seats[seat];
        match command {
            Command::Deregister => {
                occupant.power = Power::On;
                self.put(now, seat, Input::Leave);
            }
            Command::Connect if occupant.device.is_asleep() => self.put(now, seat, Input::Wake),
            Command::Connect if occupant.turn == Turn::None => self.want_turn(seat),
            Command::Vanish => self.vanish(now, seat),
            Command::Set { path, value } => self.put(now, seat, Input::Set { path, value }),
            Command::Send { paths } => self.put(now, seat, Input::Send { paths }),
            Command::Connect | Command::Sleep(_) | Command::Publish { .. } => {}
        }
        self.settle(now);
    }

    fn want_turn(&mut self, seat: usize) {
        self.seats[seat].turn = Turn::Waiting;
        self.outputs.push_back(Output::WantsTurn { seat });
    }

    /// One that only waits for its turn will be found not to when it comes.
    fn end_turn(&mut self, seat: usize) {
        if std::mem::replace(&mut self.seats[seat].turn, Turn::None) == Turn::Taken {
            self.outputs.push_back(Output::TurnOver { seat });
        }
    }

    fn happened(&mut self, seat: usize, what: Happening) {
        self.outputs.push_back(Output::Happened { seat, what });
    }

    /// The server has accepted it, or heard it wake.
    fn connected(&mut self, now: Time, seat: usize, session: Session) {
        self.lose(seat);
        let occupant = &mut self.seats[seat];
        occupant.standing = Standing::Connected;
        occupant.waking = Waking::No;
        occupant.failures = 0;
        occupant.begin(now);
        self.happened(seat, Happening::Connected { session });
    }

    /// It is not connected any more, if it was.
    fn lose(&mut self, seat: usize) {
        if std::mem::replace(&mut self.seats[seat].standing, Standing::Away) == Standing::Connected {
            self.outputs.push_back(Output::Ended);
        }
    }

    fn vanish(&mut self, now: Time, seat: usize) {
        if self.seats[seat].power == Power::On {
            self.switch_off(now, seat);
            self.happened(seat, Happening::Disconnected(Ending::Vanished));
        }
        self.end_turn(seat);
    }

    fn give_up(&mut self, now: Time, seat: usize) {
        self.switch_off(now, seat);
        self.end_turn(seat);
        self.happened(seat, Happening::GaveUp);
    }

    fn switch_off(&mut self, now: Time, seat: usize) {
        self.seats[seat].switch_off();
        self.lose(seat);
        self.endpoint.forget(now, seat);
        self.schedule(seat);
    }

    fn report(&mut self, now: Time, seat: usize) {
        let occupant = &mut self.seats[seat];
        let value = occupant.measure();
        let telling = occupant.behaviour.reporting.map(|reporting| reporting.telling);
        self.put(now, seat, Input::Set { path: TEMPERATURE, value });
        if telling == Some(Telling::Server) {
            self.put(now, seat, Input::Send { paths: vec![TEMPERATURE] });
        }
    }

    /// Puts something to a device, and does what it does.
    fn put(&mut self, now: Time, seat: usize, input: Input) {
        self.seats[seat].device.handle_input(now, input);
        self.drain(now, seat);
    }

    fn drain(&mut self, now: Time, seat: usize) {
        while let Some(output) = self.seats[seat].device.poll_output() {
            self.on_device(now, seat, output);
        }
        self.schedule(seat);
    }

    fn on_device(&mut self, now: Time, seat: usize, output: client::Output) {
        match output {
            client::Output::Ask { exchange, request } => self.ask(now, seat, exchange, &request),
            client::Output::Answer { token, response } => self.answer(now, seat, token, &response),
            client::Output::Notify { token, response, transmission } => {
                self.notify(now, seat, token, &response, transmission);
            }
            client::Output::Registered { .. } => {
                self.connected(now, seat, Session::New);
                self.end_turn(seat);
            }
            client::Output::Refused { code } => self.on_refused(now, seat, code),
            client::Output::Left => {
                self.seats[seat].end();
                self.lose(seat);
                self.end_turn(seat);
                self.happened(seat, Happening::Disconnected(Ending::Left));
            }
            client::Output::Asleep { .. } => {
                self.lose(seat);
                self.happened(seat, Happening::Disconnected(Ending::Slept));
            }
            client::Output::Awake => {
                self.seats[seat].waking = Waking::Yes;
                if self.seats[seat].behaviour.port == Port::Another {
                    self.outputs.push_back(Output::Move { seat });
                }
            }
            client::Output::Written { .. } | client::Output::Executed { .. } => {}
        }
    }

    fn schedule(&mut self, seat: usize) {
        let occupant = &mut self.seats[seat];
        let next = occupant.next_timeout();
        if occupant.timeout != next {
            if let Some(at) = occupant.timeout {
                self.timeouts.remove(&(at, seat));
            }
            self.timeouts.extend(next.map(|at| (at, seat)));
            occupant.timeout = next;
        }
    }

    /// Does what the endpoint wants done, and tells who has answered once the answers are on their way.
    fn settle(&mut self, now: Time) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                bugle_coap::Output::Transmit { peer: seat, datagram } => {
                    self.outputs.push_back(Output::Transmit { seat, datagram });
                }
                bugle_coap::Output::Event(event) => self.on_event(now, event),
            }
        }
        for seat in std::mem::take(&mut self.answered) {
            self.happened(seat, Happening::Acknowledged);
        }
    }

    fn on_event(&mut self, now: Time, event: bugle_coap::Event<usize>) {
        use bugle_coap::Event;
        match event {
            Event::Request { handle, peer: seat, request, .. } => self.on_request(now, seat, handle, &request),
            Event::Response { exchange, response, .. } => self.on_response(now, exchange, &response),
            Event::Failed { exchange, failure, .. } => self.on_unanswered(now, exchange, failure),
            Event::NotificationDelivered { peer: seat, .. } => self.happened(seat, Happening::Published),
            Event::ObserverGone { observer, peer: seat, .. } => self.on_observer_gone(now, seat, observer),
            // It observes nothing and pings nobody, and its answers are piggybacked.
            Event::Acknowledged { .. }
            | Event::Pong { .. }
            | Event::Notification { .. }
            | Event::ObservationEnded { .. }
            | Event::ResponseDelivered { .. }
            | Event::ResponseFailed { .. } => {}
        }
    }
}
