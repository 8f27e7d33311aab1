//! The peripherals at work, and what each of them has seen.
//!
//! Those that do not sleep report now and then, one report after the other: the next is made when the gateway has
//! taken the one before, so that it is known which of them was acknowledged.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bugle_core::RequestId;
use bugle_load::{Command, Delivery, Ending, Event, Happening, Options, Peripherals};
use bugle_lwm2m::{Path, Value, objects};

use super::fleet::{Fleet, Kind};
use super::system::System;

/// Events that wait to be looked at.
const EVENTS_MAX: usize = 1_000_000;
/// What is kept of one peripheral to say where it got stuck.
const HAPPENINGS_KEPT: usize = 12;
const TICK: Duration = Duration::from_millis(20);
/// How long one that reports waits after its last report was taken.
const REPORT_PAUSE: Duration = Duration::from_millis(1_500);
/// By when an exchange of CoAP is over, one way or the other (RFC 7252 §4.8.2, MAX_TRANSMIT_WAIT).
const EXCHANGE_OVER: Duration = Duration::from_secs(95);
/// One in so many that do not sleep deregisters now and then, and comes back.
const LEAVER_OF: usize = 4;
const LEAVE_EVERY: Duration = Duration::from_secs(9);
const BACK_AFTER: Duration = Duration::from_millis(700);
const TEMPERATURE: Path = Path::of_resource(objects::TEMPERATURE, 0, 5700);

/// A report of which a gateway has said that it has taken it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    pub(crate) number: u32,
    pub(crate) made: Instant,
    pub(crate) taken: Instant,
    /// Whether the connection broke in between, so that it may have been sent again.
    pub(crate) is_interrupted: bool,
}

/// What one peripheral has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests in the order in which they came, other than as retransmissions.
    pub(crate) requests: Vec<(RequestId, Delivery)>,
    pub(crate) retransmissions: u64,
    /// Answers that a gateway has taken.
    pub(crate) answered: Vec<(RequestId, Instant)>,
    pub(crate) reports: Vec<Taken>,
    /// Reports that were made, taken or not.
    pub(crate) reports_made: u32,
    /// What happened last.
    pub(crate) last_happenings: VecDeque<Happening>,
}

/// A report on its way.
#[derive(Debug, Clone, Copy)]
struct OnItsWay {
    number: u32,
    made: Instant,
    is_interrupted: bool,
}

/// One peripheral, as whoever watches it knows it.
struct Watched {
    kind: Kind,
    topic: String,
    seen: Seen,
    on_its_way: Option<OnItsWay>,
    rests_until: Instant,
    leaves_at: Option<Instant>,
    /// It has been told to leave, and has not.
    is_leaving: bool,
    back_at: Option<Instant>,
}

/// Runs the peripherals, and watches them.
pub(crate) struct Witness {
    is_reporting: Arc<AtomicBool>,
    stop: mpsc::Sender<()>,
    watching: JoinHandle<Vec<Seen>>,
}

impl Witness {
    pub(crate) fn start(fleet: &Fleet, system: &System, seed: u64) -> Self {
        let options = Options { seed, events_max: EVENTS_MAX, ..Options::default() };
        let peripherals = Peripherals::start(fleet.peripherals(system), options).expect("they start");
        let now = Instant::now();
        let watched = fleet.members.iter().enumerate().map(|(place, member)| Watched {
            kind: member.kind,
            topic: format!("bugle/{}/reports/audit", member.id),
            seen: Seen::default(),
            on_its_way: None,
            rests_until: now,
            leaves_at: (!member.kind.sleeps() && place % LEAVER_OF == 0).then(|| now + LEAVE_EVERY),
            is_leaving: false,
            back_at: None,
        });
        let watched: Vec<Watched> = watched.collect();
        let is_reporting = Arc::new(AtomicBool::new(false));
        let reporting = Arc::clone(&is_reporting);
        let (stop, stopped) = mpsc::channel();
        let watching = thread::spawn(move || watch(peripherals, watched, &reporting, &stopped));
        Self { is_reporting, stop, watching }
    }

    /// Whether those that do not sleep report, and some of them come and go.
    pub(crate) fn set_reporting(&self, is_reporting: bool) {
        self.is_reporting.store(is_reporting, Ordering::Relaxed);
    }

    /// Ends all peripherals without a word; what each has seen.
    pub(crate) fn stop(self) -> Vec<Seen> {
        // It may have ended already, and then it says why.
        let _ = self.stop.send(());
        self.watching.join().expect("whoever watches does not panic")
    }
}

fn watch(
    peripherals: Peripherals,
    mut watched: Vec<Watched>,
    is_reporting: &AtomicBool,
    stopped: &mpsc::Receiver<()>,
) -> Vec<Seen> {
    let mut ticked = Instant::now();
    while stopped.try_recv().is_err() {
        if let Some(event) = peripherals.next_event(TICK) {
            watched[event.peripheral].on_event(&event);
        }
        let now = Instant::now();
        if now - ticked < TICK {
            continue;
        }
        ticked = now;
        let goes_on = is_reporting.load(Ordering::Relaxed);
        for (place, one) in watched.iter_mut().enumerate() {
            for command in one.commands(now, goes_on) {
                peripherals.command(place, command);
            }
        }
    }
    while let Some(event) = peripherals.next_event(TICK) {
        watched[event.peripheral].on_event(&event);
    }
    let counts = peripherals.stop();
    assert_eq!(counts.events_lost, 0, "there was room for everything that was seen");
    watched.into_iter().map(|one| one.seen).collect()
}

impl Watched {
    fn on_event(&mut self, event: &Event) {
        if self.seen.last_happenings.len() == HAPPENINGS_KEPT {
            self.seen.last_happenings.pop_front();
        }
        self.seen.last_happenings.push_back(event.what.clone());
        match &event.what {
            Happening::Received { delivery: Delivery::Again, .. } => self.seen.retransmissions += 1,
            Happening::Received { request: Some(request), delivery } => self.seen.requests.push((*request, *delivery)),
            Happening::Answered { request } => self.seen.answered.push((*request, event.at)),
            Happening::Published => self.on_taken(event.at),
            Happening::Rejected { .. } => self.on_its_way = None,
            Happening::Disconnected(Ending::Left) => {
                self.is_leaving = false;
                self.back_at = Some(event.at + BACK_AFTER);
            }
            Happening::Disconnected(_) | Happening::Connected { .. } | Happening::Refused { .. } => self.interrupt(),
            _ => {}
        }
    }

    fn interrupt(&mut self) {
        if let Some(on_its_way) = &mut self.on_its_way {
            on_its_way.is_interrupted = true;
        }
    }

    fn on_taken(&mut self, at: Instant) {
        if self.is_leaving {
            return;
        }
        self.rests_until = at + REPORT_PAUSE;
        if let Some(OnItsWay { number, made, is_interrupted }) = self.on_its_way.take() {
            self.seen.reports.push(Taken { number, made, taken: at, is_interrupted });
        }
    }

    fn commands(&mut self, now: Instant, goes_on: bool) -> Vec<Command> {
        if self.back_at.is_some_and(|at| at <= now) {
            self.back_at = None;
            return vec![Command::Connect];
        }
        if !goes_on || self.kind.sleeps() || self.back_at.is_some() {
            return Vec::new();
        }
        if self.is_leaving {
            return Vec::new();
        }
        // Only once its last report is settled: the word that it leaves is acknowledged like one.
        if self.leaves_at.is_some_and(|at| at <= now) && self.on_its_way.is_none() {
            self.leaves_at = Some(now + LEAVE_EVERY);
            self.is_leaving = true;
            return vec![Command::Deregister];
        }
        // What was sent by CoAP and not answered by now is known to nobody.
        self.on_its_way.take_if(|report| !self.kind.is_mqtt() && report.made + EXCHANGE_OVER <= now);
        if self.on_its_way.is_some() || self.rests_until > now {
            return Vec::new();
        }
        self.seen.reports_made += 1;
        let number = self.seen.reports_made;
        self.on_its_way = Some(OnItsWay { number, made: now, is_interrupted: false });
        if self.kind.is_mqtt() {
            return vec![Command::Publish { topic: self.topic.clone(), payload: number.to_string().into() }];
        }
        let value = Value::Float(f64::from(number));
        vec![Command::Set { path: TEMPERATURE, value }, Command::Send { paths: vec![TEMPERATURE] }]
    }
}
