//! One thread's share of the simulated LwM2M peripherals: sockets, timers and orders in one loop.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bugle_core::Time;
use bugle_runtime::Clock;
use mio::{Events, Poll, Token, Waker};

use super::behaviour::Peripheral;
use super::loopback::{self, Batches, Loopback, Rest};
use super::port::Port;
use super::secured::{Passed, Secured};
use super::share::{Output, Share};
use crate::command::Order;
use crate::event::{Ending, Happening};
use crate::seed::Numbers;
use crate::told::Told;
use crate::turns::{Pace, Turns};

const WAKE: Token = Token(usize::MAX);
const LOOPBACK: Token = Token(usize::MAX - 1);
const EVENTS_AT_ONCE: usize = 1024;
/// No datagram is larger.
const SCRATCH_BYTES: usize = 64 * 1024;

/// One thread's share.
pub(crate) struct Worker {
    poll: Poll,
    waker: Arc<Waker>,
    /// Certificates are good from one time of the wall clock to another.
    clock: Clock,
    share: Share,
    seats: Vec<Seat>,
    /// What those share whose server is on this machine.
    loopback: Option<Loopback>,
    /// Whether more has come there than was taken.
    rest: Rest,
    /// When sessions, or those that begin, want to be looked after.
    session_timeouts: BTreeSet<(Time, usize)>,
    /// Registrations under way.
    turns: Turns,
    scratch: Box<[u8]>,
    told: Told,
    orders: Receiver<Order>,
}

/// From where a peripheral speaks.
enum Way {
    /// An address of its own, over the socket that all share.
    Address(Ipv4Addr, SocketAddrV4),
    Port(Port),
}

/// Where one peripheral of the share speaks from, and to.
struct Seat {
    way: Option<Way>,
    secured: Option<Box<Secured>>,
    /// As it stands in `session_timeouts`.
    session_timeout: Option<Time>,
    server: SocketAddr,
    /// Its place among all peripherals.
    index: usize,
}

impl Worker {
    pub(crate) fn new(
        share: Vec<(usize, Peripheral)>,
        seed: u64,
        pace: Pace,
        told: Told,
        orders: Receiver<Order>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let seat = |(index, peripheral): &(usize, Peripheral)| {
            let mut numbers = Numbers::new(!seed, *index);
            let mut draw = || {
                let mut seed = [0; 32];
                seed[..16].copy_from_slice(&numbers.secret());
                seed[16..].copy_from_slice(&numbers.secret());
                seed
            };
            let secured = peripheral.credential.clone().map(|credential| Box::new(Secured::new(credential, draw())));
            Seat { way: None, secured, session_timeout: None, server: peripheral.server, index: *index }
        };
        let seats = share.iter().map(seat).collect();
        let first = share.first().map_or(0, |(index, _)| *index);
        let numbered = |(index, peripheral)| (peripheral, Numbers::new(seed, index));
        Ok(Self {
            poll,
            waker,
            clock: Clock::start(),
            share: Share::new(share.into_iter().map(numbered).collect(), Numbers::new(!seed, first).secret()),
            seats,
            loopback: None,
            rest: Rest::None,
            session_timeouts: BTreeSet::new(),
            turns: Turns::new(Instant::now(), pace),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            told,
            orders,
        })
    }

    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Until it is told to stop, or the system fails it.
    pub(crate) fn run(mut self) {
        let (mut events, mut batches) = (Events::with_capacity(EVENTS_AT_ONCE), Batches::default());
        loop {
            self.act();
            self.give_turns();
            self.handle_timeouts();
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return tracing::error!(%error, "a worker of the simulated peripherals cannot go on"),
            }
            for event in &events {
                match event.token() {
                    WAKE => {
                        if self.handle_orders().is_err() {
                            return;
                        }
                    }
                    LOOPBACK => self.rest = Rest::Perhaps,
                    Token(seat) => self.receive(seat),
                }
            }
            self.receive_from_loopback(&mut batches);
            let repeated = self.share.take_repeated();
            self.told.counters.repeated.fetch_add(repeated, Ordering::Relaxed);
        }
    }

    fn now(&self) -> Time {
        self.clock.now()
    }

    /// How long nothing is to be done unless something comes.
    fn patience(&self) -> Option<Duration> {
        if self.rest == Rest::Perhaps {
            return Some(Duration::ZERO);
        }
        let session = self.session_timeouts.first().map(|(at, _)| *at);
        let timeout = [self.share.next_timeout(), session].into_iter().flatten().min();
        let timeout = timeout.map(|at| at.saturating_since(self.now()));
        [timeout, self.turns.patience(Instant::now())].into_iter().flatten().min()
    }

    fn handle_timeouts(&mut self) {
        let now = self.now();
        while let Some((at, seat)) = self.session_timeouts.first().copied().filter(|(at, _)| *at <= now) {
            self.session_timeouts.remove(&(at, seat));
            self.seats[seat].session_timeout = None;
            if let Some(secured) = &mut self.seats[seat].secured {
                secured.handle_timeout(now);
            }
            self.pass(now, seat);
        }
        if self.share.next_timeout().is_some_and(|at| at <= now) {
            self.share.handle_timeout(now);
            self.act();
        }
    }

    fn handle_orders(&mut self) -> Result<(), Stopped> {
        let now = self.now();
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Tell(seat, command) if seat < self.seats.len() => self.share.handle_command(now, seat, command),
                Order::Tell(..) => {}
                Order::TellAll(command) => {
                    (0..self.seats.len()).for_each(|seat| self.share.handle_command(now, seat, command.clone()));
                }
                Order::Stop => return Err(Stopped),
            }
            self.act();
        }
        Ok(())
    }

    /// Has those register whose turn it is.
    fn give_turns(&mut self) {
        while let Some(seat) = self.turns.begin(Instant::now()) {
            let now = self.now();
            match self.open(seat) {
                Ok(()) => {
                    self.begin_session(seat);
                    self.share.handle_turn(now, seat);
                }
                Err(error) => {
                    self.turns.end();
                    self.share.handle_no_port(now, seat, error.to_string());
                }
            }
            self.act();
        }
    }

    /// Sees to it that the one in this seat has somewhere to speak from.
    fn open(&mut self, seat: usize) -> io::Result<()> {
        if self.seats[seat].way.is_some() {
            return Ok(());
        }
        let server = self.seats[seat].server;
        let way = match loopback::shared_way_to(server) {
            Some(server) => {
                let loopback = match self.loopback.take() {
                    Some(open) => open,
                    None => Loopback::open(self.poll.registry(), LOOPBACK)?,
                };
                Way::Address(self.loopback.insert(loopback).settle(seat), server)
            }
            None => Way::Port(Port::open(self.poll.registry(), Token(seat), server)?),
        };
        self.seats[seat].way = Some(way);
        Ok(())
    }

    /// The one in this seat speaks from elsewhere from now on, and hears no more what is sent to where it was.
    fn move_on(&mut self, seat: usize) {
        if let Some(Way::Address(address, _)) = self.seats[seat].way.take()
            && let Some(loopback) = &mut self.loopback
        {
            loopback.vacate(address);
        }
    }

    /// Has the one in this seat begin a session, if it speaks in one.
    fn begin_session(&mut self, seat: usize) {
        let now = self.now();
        if let Some(secured) = &mut self.seats[seat].secured {
            secured.begin(now);
            self.pass(now, seat);
        }
    }

    /// Carries what passes DTLS, in both directions.
    fn pass(&mut self, now: Time, seat: usize) {
        while let Some(passed) = self.seats[seat].secured.as_mut().and_then(|secured| secured.poll()) {
            match passed {
                Passed::Out(datagram) => self.put_out(seat, &datagram),
                Passed::In(datagram) => {
                    self.share.handle_datagram(now, seat, &datagram);
                    self.act();
                }
            }
        }
        let Seat { secured, session_timeout, .. } = &mut self.seats[seat];
        let next = secured.as_ref().and_then(|secured| secured.next_timeout());
        if *session_timeout != next {
            if let Some(at) = session_timeout.take() {
                self.session_timeouts.remove(&(at, seat));
            }
            self.session_timeouts.extend(next.map(|at| (at, seat)));
            *session_timeout = next;
        }
    }

    /// What has come for those who share a socket.
    fn receive_from_loopback(&mut self, batches: &mut Batches) {
        if self.rest == Rest::None {
            return;
        }
        let now = self.now();
        let Some(loopback) = &mut self.loopback else { return };
        let mut in_sessions = Vec::new();
        let rest = loopback.receive(batches, |seat, from, datagram| {
            let Seat { secured, server, .. } = &mut self.seats[seat];
            match secured {
                _ if *server != SocketAddr::V4(from) => {}
                None => self.share.handle_datagram(now, seat, datagram),
                Some(secured) => {
                    secured.handle_datagram(now, datagram);
                    in_sessions.push(seat);
                }
            }
        });
        self.rest = rest.unwrap_or_else(|error| {
            tracing::error!(%error, "simulated peripherals hear nothing just now");
            Rest::None
        });
        self.act();
        for seat in in_sessions {
            self.pass(now, seat);
        }
    }

    /// What has come for the one in this seat, at its port.
    fn receive(&mut self, seat: usize) {
        let now = self.now();
        while let Some(Way::Port(port)) = &self.seats[seat].way {
            match port.receive(&mut self.scratch) {
                Ok(Some(length)) => match &mut self.seats[seat].secured {
                    None => self.share.handle_datagram(now, seat, &self.scratch[..length]),
                    Some(secured) => {
                        secured.handle_datagram(now, &self.scratch[..length]);
                        self.pass(now, seat);
                    }
                },
                Ok(None) => return,
                Err(error) => {
                    self.move_on(seat);
                    self.share.handle_no_port(now, seat, error.to_string());
                }
            }
            self.act();
        }
    }

    /// Does what the share wants done.
    fn act(&mut self) {
        while let Some(output) = self.share.poll_output() {
            match output {
                Output::WantsTurn { seat } => self.turns.wait(seat),
                Output::TurnOver { .. } => self.turns.end(),
                Output::Transmit { seat, datagram } => self.transmit(seat, &datagram),
                Output::Move { seat } => self.move_on(seat),
                Output::Ended => self.told.ended(),
                Output::Happened { seat, what } => self.happened(seat, what),
            }
        }
    }

    fn transmit(&mut self, seat: usize, datagram: &[u8]) {
        match &mut self.seats[seat].secured {
            None => self.put_out(seat, datagram),
            Some(secured) => {
                let now = self.clock.now();
                secured.send(now, datagram);
                self.pass(now, seat);
            }
        }
    }

    fn put_out(&mut self, seat: usize, datagram: &[u8]) {
        let sent = self.open(seat).and_then(|()| match (&self.seats[seat].way, &self.loopback) {
            (Some(Way::Address(address, server)), Some(loopback)) => loopback.send(*address, *server, datagram),
            (Some(Way::Port(port)), _) => port.send(datagram),
            _ => Ok(()),
        });
        if let Err(error) = sent {
            let index = self.seats[seat].index;
            tracing::debug!(%error, peripheral = index, "a datagram of a simulated peripheral is lost");
        }
    }

    fn happened(&mut self, seat: usize, what: Happening) {
        match what {
            // What comes back is somebody else by its address.
            Happening::Disconnected(Ending::Vanished) => self.move_on(seat),
            Happening::Disconnected(Ending::Broken { .. }) | Happening::Refused { .. } => {
                if let Some(secured) = &mut self.seats[seat].secured {
                    secured.handle_failure();
                }
            }
            _ => {}
        }
        self.told.tell(self.seats[seat].index, what);
    }
}

/// A worker was told to stop.
struct Stopped;
