//! Many simulated peripherals, as one handle.

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use crate::event::{Counters, Counts, Event};
use crate::mqtt::{Command, Peripheral};
use crate::mqtt::{Order, Pace, Worker};
use crate::open_files::{self, OpenFilesError};

/// Files that a process needs beside its connections.
const OTHER_FILES: usize = 256;

/// How peripherals are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// What everything that looks random is drawn from.
    pub seed: u64,
    /// Threads that share the peripherals.
    pub workers: NonZeroUsize,
    /// Connections that are being made at once: a server has only so long a queue of them. A
    /// connection is made when the server has accepted or refused it.
    pub connecting_max: NonZeroUsize,
    /// Connections begun in a second; without a limit, as fast as the server goes along.
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
    counters: Arc<Counters>,
    events: Receiver<Event>,
}

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
    pub fn start(peripherals: Vec<Peripheral>, options: Options) -> Result<Self, StartError> {
        open_files::allow(peripherals.len() + OTHER_FILES)?;
        let counters = Arc::new(Counters::default());
        let (events_in, events) = mpsc::sync_channel(options.events_max);
        let workers = options.workers.get();
        let pace = Pace {
            connecting_max: options.connecting_max.get().div_ceil(workers),
            between_connects: options
                .connects_per_second
                .map(|rate| Duration::from_secs_f64(workers as f64 / rate.get() as f64)),
        };
        let mut shares: Vec<Vec<(usize, Peripheral)>> = vec![Vec::new(); workers];
        for (index, peripheral) in peripherals.into_iter().enumerate() {
            shares[index % workers].push((index, peripheral));
        }
        let mut handles = Vec::with_capacity(workers);
        for share in shares {
            let (orders, orders_out) = mpsc::channel();
            let events = (options.events_max > 0).then(|| events_in.clone());
            let worker = Worker::new(share, options.seed, pace, Arc::clone(&counters), events, orders_out)?;
            let waker = worker.waker();
            let thread = thread::Builder::new().name("peripherals".into()).spawn(move || worker.run())?;
            handles.push(Handle { orders, waker, thread: Some(thread) });
        }
        Ok(Self { workers: handles, counters, events })
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

    /// Tells the peripheral at place `peripheral` what to do. One that does not exist does nothing.
    pub fn command(&self, peripheral: usize, command: Command) {
        self.workers[peripheral % self.workers.len()].order(Order::Tell(peripheral / self.workers.len(), command));
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

impl Handle {
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
