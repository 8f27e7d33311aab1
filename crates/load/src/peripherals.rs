//! Many simulated peripherals, as one handle.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::command::{Command, Order};
use crate::event::{Counters, Counts, Event};
use crate::open_files::{self, OpenFilesError};
use crate::told::Told;
use crate::turns::Pace;
use crate::{lwm2m, mqtt};

/// Files that a process needs beside its connections.
const OTHER_FILES: usize = 256;

/// A peripheral to simulate.
#[derive(Debug, Clone)]
pub enum Peripheral {
    /// One that speaks MQTT.
    Mqtt(mqtt::Peripheral),
    /// One that speaks LwM2M.
    Lwm2m(lwm2m::Peripheral),
}

impl From<mqtt::Peripheral> for Peripheral {
    fn from(peripheral: mqtt::Peripheral) -> Self {
        Self::Mqtt(peripheral)
    }
}

impl From<lwm2m::Peripheral> for Peripheral {
    fn from(peripheral: lwm2m::Peripheral) -> Self {
        Self::Lwm2m(peripheral)
    }
}

/// How peripherals are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What everything that looks random is drawn from.
    pub seed: u64,
    /// Threads that share the peripherals of one protocol.
    pub workers: NonZeroUsize,
    /// Connections, or registrations, that are being made at once: a server has only so long a queue
    /// of them. One is made when the server has accepted or refused it.
    pub connecting_max: NonZeroUsize,
    /// Connections, or registrations, begun in a second; without a limit, as fast as the server goes along.
    pub connects_per_second: Option<NonZeroUsize>,
    /// Events that wait to be fetched; further ones are lost, and counted as such.
    pub events_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            workers: NonZeroUsize::MIN,
            connecting_max: NonZeroUsize::new(500).unwrap_or(NonZeroUsize::MIN),
            connects_per_second: None,
            events_max: 0,
        }
    }
}

/// Why peripherals cannot be started. The fault is of the system.
#[derive(Debug, Error)]
pub enum StartError {
    /// Too few files may be open.
    #[error(transparent)]
    OpenFiles(#[from] OpenFilesError),
    /// The system refuses what a worker needs.
    #[error("cannot start a worker: {0}")]
    Worker(#[from] io::Error),
}

/// Simulated peripherals at work. Dropping it closes their connections, without a word to the servers.
#[derive(Debug)]
pub struct Peripherals {
    workers: Vec<Handle>,
    /// Where each of them is.
    places: Vec<Place>,
    counters: Arc<Counters>,
    events: Receiver<Event>,
}

/// One seat at one worker.
#[derive(Debug, Clone, Copy)]
struct Place {
    worker: usize,
    seat: usize,
}

/// The peripherals of one thread, each with its place among all.
type Share<P> = Vec<(usize, P)>;

#[derive(Debug)]
struct Handle {
    orders: Sender<Order>,
    waker: Arc<mio::Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Peripherals {
    /// Starts `peripherals`; they connect at once, as fast as `options` let them.
    ///
    /// # Errors
    /// If the process may not open enough files, or a thread cannot be started.
    pub fn start(
        peripherals: impl IntoIterator<Item = impl Into<Peripheral>>,
        options: Options,
    ) -> Result<Self, StartError> {
        let mut shares = Shares::new(options.workers);
        peripherals.into_iter().for_each(|peripheral| shares.add(peripheral.into()));
        open_files::allow(shares.connections + OTHER_FILES)?;
        let counters = Arc::new(Counters::default());
        let (events_in, events) = mpsc::sync_channel(options.events_max);
        let told = Told { counters: Arc::clone(&counters), events: (options.events_max > 0).then_some(events_in) };
        let pace = options.pace();
        let mut workers = Vec::with_capacity(2 * options.workers.get());
        for share in shares.mqtt {
            let (orders, orders_out) = mpsc::channel();
            let worker = mqtt::Worker::new(share, options.seed, pace, told.clone(), orders_out)?;
            workers.push(Handle::start(orders, worker.waker(), move || worker.run())?);
        }
        for share in shares.lwm2m {
            let (orders, orders_out) = mpsc::channel();
            let worker = lwm2m::Worker::new(share, options.seed, pace, told.clone(), orders_out)?;
            workers.push(Handle::start(orders, worker.waker(), move || worker.run())?);
        }
        Ok(Self { workers, places: shares.places, counters, events })
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counters.read()
    }

    /// The next event, if one comes within `patience`.
    #[must_use]
    pub fn next_event(&self, patience: Duration) -> Option<Event> {
        self.events.recv_timeout(patience).ok()
    }

    /// The next event, if one has come.
    #[must_use]
    pub fn poll_event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Tells the peripheral at place `peripheral` what to do. One that does not exist does nothing.
    pub fn command(&self, peripheral: usize, command: Command) {
        if let Some(Place { worker, seat }) = self.places.get(peripheral).copied() {
            self.workers[worker].order(Order::Tell(seat, command));
        }
    }

    /// Tells all of them.
    pub fn command_all(&self, command: &Command) {
        for worker in &self.workers {
            worker.order(Order::TellAll(command.clone()));
        }
    }

    /// Closes all connections without a word, and says what has happened.
    #[must_use]
    pub fn stop(mut self) -> Counts {
        self.end();
        self.counts()
    }

    fn end(&mut self) {
        for worker in &self.workers {
            worker.order(Order::Stop);
        }
        for thread in self.workers.iter_mut().filter_map(|worker| worker.thread.take()) {
            if thread.join().is_err() {
                tracing::error!("a worker of the simulated peripherals has panicked");
            }
        }
    }
}

impl Options {
    /// That of one of the threads.
    fn pace(&self) -> Pace {
        let workers = self.workers.get();
        Pace {
            connecting_max: self.connecting_max.get().div_ceil(workers),
            between_connects: self
                .connects_per_second
                .map(|rate| Duration::from_secs_f64(workers as f64 / rate.get() as f64)),
        }
    }
}

/// Peripherals dealt out to threads. Each protocol has threads of its own; those of MQTT come first.
struct Shares {
    mqtt: Vec<Share<mqtt::Peripheral>>,
    lwm2m: Vec<Share<lwm2m::Peripheral>>,
    places: Vec<Place>,
    /// How many have a socket of their own.
    connections: usize,
}

impl Shares {
    fn new(workers: NonZeroUsize) -> Self {
        let workers = workers.get();
        Self { mqtt: vec![Vec::new(); workers], lwm2m: vec![Vec::new(); workers], places: Vec::new(), connections: 0 }
    }

    fn add(&mut self, peripheral: Peripheral) {
        let index = self.places.len();
        let turn = index % self.mqtt.len();
        let (worker, seat) = match peripheral {
            Peripheral::Mqtt(peripheral) => {
                self.connections += 1;
                self.mqtt[turn].push((index, peripheral));
                (turn, self.mqtt[turn].len() - 1)
            }
            Peripheral::Lwm2m(peripheral) => {
                self.connections += usize::from(lwm2m::shared_way_to(peripheral.server).is_none());
                self.lwm2m[turn].push((index, peripheral));
                (self.mqtt.len() + turn, self.lwm2m[turn].len() - 1)
            }
        };
        self.places.push(Place { worker, seat });
    }
}

impl Handle {
    fn start(
        orders: Sender<Order>,
        waker: Arc<mio::Waker>,
        run: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartError> {
        let thread = thread::Builder::new().name("peripherals".into()).spawn(run)?;
        Ok(Self { orders, waker, thread: Some(thread) })
    }

    /// A worker that has ended takes no orders, and needs none.
    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok()
            && let Err(error) = self.waker.wake()
        {
            tracing::error!(%error, "cannot wake a worker of the simulated peripherals");
        }
    }
}

impl Drop for Peripherals {
    fn drop(&mut self) {
        self.end();
    }
}
