//! One thread's share of the simulated peripherals: sockets, timers and orders in one loop.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use bugle_core::Time;
use mio::{Events, Poll, Token, Waker};

use crate::command::{Command, Order};
use crate::event::Happening;
use crate::mqtt::connection::{Connection, Got, Progress};
use crate::mqtt::packet::ToServer;
use crate::mqtt::peripheral::{Output, Peripheral, SimulatedPeripheral};
use crate::seed::Numbers;
use crate::told::Told;
use crate::turns::{Pace, Turns};

const WAKE: Token = Token(usize::MAX);
const EVENTS_AT_ONCE: usize = 1024;
const SCRATCH_BYTES: usize = 64 * 1024;

/// One thread's share.
pub(crate) struct Worker {
    poll: Poll,
    waker: Arc<Waker>,
    began: Instant,
    seats: Vec<Seat>,
    timeouts: BTreeSet<(Time, usize)>,
    /// Connections being made.
    turns: Turns,
    scratch: Box<[u8]>,
    told: Told,
    orders: Receiver<Order>,
}

/// One peripheral of the share.
struct Seat {
    machine: SimulatedPeripheral,
    /// As it stands in `timeouts`.
    timeout: Option<Time>,
    link: Link,
    /// Its place among all peripherals.
    index: usize,
}

/// A peripheral's way to its server.
enum Link {
    None,
    /// It waits for its turn to connect.
    Wanted,
    Present(Connection),
}

impl Link {
    fn connection(&mut self) -> Option<&mut Connection> {
        match self {
            Self::Present(connection) => Some(connection),
            Self::None | Self::Wanted => None,
        }
    }
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
        let now = Time::ZERO;
        let seats: Vec<Seat> = share
            .into_iter()
            .map(|(index, peripheral)| {
                let machine = SimulatedPeripheral::new(now, peripheral, Numbers::new(seed, index));
                Seat { machine, timeout: None, link: Link::None, index }
            })
            .collect();
        let began = Instant::now();
        Ok(Self {
            poll,
            waker,
            began,
            timeouts: BTreeSet::new(),
            turns: Turns::new(began, pace),
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            told,
            orders,
            seats,
        })
    }

    pub(crate) fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Until it is told to stop, or the system fails it.
    pub(crate) fn run(mut self) {
        let mut events = Events::with_capacity(EVENTS_AT_ONCE);
        for seat in 0..self.seats.len() {
            self.drive(seat);
        }
        loop {
            self.handle_timeouts();
            self.open_connections();
            match self.poll.poll(&mut events, self.patience()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return tracing::error!(%error, "a worker of the simulated peripherals cannot go on"),
            }
            for event in &events {
                match event.token() {
                    WAKE => {
                        if self.handle_orders() == Continue::No {
                            return;
                        }
                    }
                    Token(seat) => self.handle_ready(seat, Expected::of(event)),
                }
            }
        }
    }

    fn now(&self) -> Time {
        Time::from_millis(u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    /// How long nothing is to be done unless something comes.
    fn patience(&self) -> Option<Duration> {
        let timeout = self.timeouts.first().map(|(at, _)| at.saturating_since(self.now()));
        [timeout, self.turns.patience(Instant::now())].into_iter().flatten().min()
    }

    fn handle_timeouts(&mut self) {
        let now = self.now();
        while let Some((at, seat)) = self.timeouts.first().copied()
            && at <= now
        {
            self.seats[seat].machine.handle_timeout(now);
            self.drive(seat);
        }
    }

    fn handle_orders(&mut self) -> Continue {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Tell(seat, command) if seat < self.seats.len() => self.tell(seat, command),
                Order::Tell(..) => {}
                Order::TellAll(command) => (0..self.seats.len()).for_each(|seat| self.tell(seat, command.clone())),
                Order::Stop => return Continue::No,
            }
        }
        Continue::Yes
    }

    fn tell(&mut self, seat: usize, command: Command) {
        let now = self.now();
        self.seats[seat].machine.handle_command(now, command);
        self.drive(seat);
    }

    /// Makes the connections that the pace allows.
    fn open_connections(&mut self) {
        while let Some(seat) = self.turns.begin(Instant::now()) {
            if !matches!(self.seats[seat].link, Link::Wanted) {
                self.turns.end();
                continue;
            }
            let Seat { machine, index, .. } = &self.seats[seat];
            let (server, version) = (machine.server(), machine.version());
            let opened = Connection::open(self.poll.registry(), Token(seat), *index, server, version);
            match opened {
                Ok(connection) => self.seats[seat].link = Link::Present(connection),
                Err(error) => {
                    self.turns.end();
                    self.close_seat(seat, Some(error.to_string()));
                }
            }
        }
    }

    /// The socket of `seat` can be read, written, or has ended.
    fn handle_ready(&mut self, seat: usize, expected: Expected) {
        let Some(connection) = self.seats[seat].link.connection() else { return };
        match connection.check_opened() {
            Ok(true) => {
                let now = self.now();
                self.seats[seat].machine.handle_opened(now);
                self.drive(seat);
            }
            Ok(false) if connection.progress() == Progress::Opening => return,
            Ok(false) => self.flush(seat),
            Err(error) => return self.close_seat(seat, Some(error.to_string())),
        }
        self.read(seat, expected);
    }

    fn read(&mut self, seat: usize, expected: Expected) {
        loop {
            let Some(connection) = self.seats[seat].link.connection() else { return };
            let got = match connection.read(&mut self.scratch) {
                Ok(got) => got,
                Err(error) => return self.close_seat(seat, Some(error.to_string())),
            };
            self.handle_packets(seat);
            match got {
                Got::Full => {}
                Got::Short if expected == Expected::End => {}
                Got::Short | Got::Nothing => return,
                Got::End => return self.close_seat(seat, None),
            }
        }
    }

    fn handle_packets(&mut self, seat: usize) {
        let now = self.now();
        loop {
            let Seat { link: Link::Present(connection), machine, .. } = &mut self.seats[seat] else { return };
            match connection.next_packet() {
                Ok(Some(packet)) => machine.handle_packet(now, packet),
                Ok(None) => return,
                Err(error) => return self.close_seat(seat, Some(error.to_string())),
            }
            self.drive(seat);
        }
    }

    /// Does what the machine of `seat` wants done.
    fn drive(&mut self, seat: usize) {
        while let Some(output) = self.seats[seat].machine.poll_output() {
            match output {
                Output::Open => {
                    self.seats[seat].link = Link::Wanted;
                    self.turns.wait(seat);
                }
                Output::Close => self.release(seat),
                Output::Send(packet) => self.send(seat, packet),
                Output::Happened(happening) => self.happened(seat, happening),
            }
        }
        self.flush(seat);
        let Seat { machine, timeout, .. } = &mut self.seats[seat];
        let next = machine.next_timeout();
        if *timeout != next {
            if let Some(at) = timeout.take() {
                self.timeouts.remove(&(at, seat));
            }
            self.timeouts.extend(next.map(|at| (at, seat)));
            *timeout = next;
        }
    }

    fn send(&mut self, seat: usize, packet: ToServer) {
        let Some(connection) = self.seats[seat].link.connection() else { return };
        if let Err(error) = connection.send(packet) {
            self.close_seat(seat, Some(error.to_string()));
        }
    }

    fn happened(&mut self, seat: usize, happening: Happening) {
        let Seat { link, index, .. } = &mut self.seats[seat];
        match (happening, link.connection()) {
            // It counts when the acknowledgement has gone out.
            (Happening::Acknowledged, Some(connection)) => connection.acknowledged_with_next_flush(),
            (happening, connection) => {
                if let (Happening::Connected { .. }, Some(connection)) = (&happening, connection) {
                    connection.set_accepted();
                    self.turns.end();
                }
                self.told.tell(*index, happening);
            }
        }
    }

    fn flush(&mut self, seat: usize) {
        let Seat { link: Link::Present(connection), index, .. } = &mut self.seats[seat] else { return };
        match connection.flush() {
            Ok(acknowledged) => (0..acknowledged).for_each(|_| self.told.tell(*index, Happening::Acknowledged)),
            Err(error) => self.close_seat(seat, Some(error.to_string())),
        }
    }

    /// The connection has ended by itself.
    fn close_seat(&mut self, seat: usize, reason: Option<String>) {
        self.release(seat);
        let now = self.now();
        self.seats[seat].machine.handle_closed(now, reason);
        self.drive(seat);
    }

    /// Lets go of the connection of `seat`, or of its wish for one.
    fn release(&mut self, seat: usize) {
        let Seat { link, index, .. } = &mut self.seats[seat];
        let Link::Present(mut connection) = mem::replace(link, Link::None) else { return };
        // What the socket takes now still goes out, DISCONNECT above all; the rest is lost, as it is
        // with any client that closes.
        for _ in 0..connection.flush().unwrap_or_default() {
            self.told.tell(*index, Happening::Acknowledged);
        }
        if connection.progress() == Progress::Accepted {
            self.told.ended();
        } else {
            self.turns.end();
        }
    }
}

/// What a socket has been said to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Bytes, perhaps.
    Bytes,
    /// Bytes, perhaps, and the end. It is told only once, so that one must read up to it.
    End,
}

impl Expected {
    fn of(event: &mio::event::Event) -> Self {
        if event.is_read_closed() { Self::End } else { Self::Bytes }
    }
}

/// Whether a worker goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Continue {
    Yes,
    No,
}
