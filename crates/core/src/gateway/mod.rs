//! The gateway's machine: allocations, states, and the distribution of group requests.
//!
//! It speaks of peripherals, not of protocols: the edge tells it what a peripheral did
//! (`handle_registration`, `handle_word`, `handle_answer`, …) and carries out its [`Effect`]s. Each
//! of the procedures is one file here.
//!
//! Nothing that promises something leaves before it is durable: `handle_*` records [`Change`]s and
//! effects, [`poll_output`](Gateway::poll_output) gives out the changes as a [`Batch`] to persist, and
//! an effect follows once the batch that it rests on came back through
//! [`handle_persisted`](Gateway::handle_persisted).

mod activation;
mod admission;
mod allocating;
mod asks;
mod change;
mod deregistration;
mod directing;
mod distribution;
mod late_joining;
mod memory;
mod observing;
mod outbox;
mod pacing;
mod presented;
mod progress;
mod registration;
mod registry;
mod restore;
mod standby;
mod stopping;
#[cfg(test)]
mod tests;
mod timers;
mod up_log;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use activation::WakeUp;
pub use allocating::{AllocationConflict, FileContents};
pub use change::{Batch, Change, Settlement, StoredAllocation, StoredAsk, StoredRegistration, StoredRequest, Ticket};
pub use directing::{Allocated, Direction, DirectionRefusal};
pub use distribution::Rejection;
pub use memory::Memory;
pub use presented::{Presented, TransportIdentity};
pub use registration::{Hold, Refusal, RegistrationRequest};
pub use registry::Slot;
pub use restore::Restored;

use crate::{
    ApplicationId, CollapseKey, Content, DownEntry, EndCause, GatewayId, GroupId, GroupRequest, Pacing, PeripheralId,
    Priority, Report, RequestId, ResourcePath, State, Time, Totals, Waker,
};
use admission::Admission;
use asks::Asks;
use distribution::{TakenRequest, meters};
use late_joining::LateJoining;
use outbox::Outbox;
use pacing::{Lane, Meter};
use progress::Noted;
use registry::Registry;
use timers::{Timer, Timers};
use up_log::UpLog;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Config {
    /// Which gateway this is.
    pub gateway: GatewayId,
    /// How long the application may take to decide about a registration.
    pub decision_time: Duration,
    /// What happens when it takes longer, or cannot be reached.
    pub undecided: Undecided,
    /// After how long a refused peripheral is asked to try again.
    pub retry_after: Duration,
    /// How many peripherals may ask an application within any second; no bound without it.
    pub admissions_per_second: Option<NonZeroU32>,
    /// How long a peripheral may take to acknowledge a delivery, and again to answer it.
    pub answer_time: Duration,
    /// How fast members of all requests together are served and woken.
    pub pacing: Pacing,
}

impl Config {
    /// The defaults, for this gateway.
    #[must_use]
    pub const fn new(gateway: GatewayId) -> Self {
        Self {
            gateway,
            decision_time: Duration::from_secs(10),
            undecided: Undecided::Refuse,
            retry_after: Duration::from_secs(30),
            admissions_per_second: None,
            answer_time: Duration::from_secs(30),
            pacing: Pacing { members_per_second: None, members_in_flight: None, activations_per_minute: None },
        }
    }
}

/// What happens to a peripheral about which the application does not decide in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undecided {
    /// It is refused, with a hint when to try again.
    Refuse,
    /// It waits for as long as it likes.
    Hold,
}

/// Whether entries reach the platform now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// They do.
    Up,
    /// They wait in the up log.
    Down,
}

/// Whether a group request can be put to an active peripheral now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It can.
    Open,
    /// It cannot, as when an MQTT peripheral has not subscribed.
    Closed,
}

/// What the edge does at the machine's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The peripheral is registered; answer whoever asked.
    Admitted {
        /// The one who asked, as in [`RegistrationRequest::asker`].
        asker: u64,
        /// Which peripheral.
        slot: Slot,
        /// How long its registration lasts without a word from it.
        lifetime: Duration,
    },
    /// The peripheral is not registered; answer whoever asked.
    Refused {
        /// The one who asked.
        asker: u64,
        /// Why.
        refusal: Refusal,
    },
    /// Put a group request to an active peripheral.
    Deliver {
        /// Which peripheral.
        slot: Slot,
        /// Tells this delivery from the others to the same peripheral, never zero; the protocol's
        /// own identifier is made of it, so that a repetition after a crash carries the same.
        delivery: u16,
        /// Whether it may have been sent before.
        is_repeat: bool,
        /// The request.
        request: Arc<GroupRequest>,
    },
    /// A peripheral did not acknowledge a delivery in time: its session is of no use any more.
    Stalled {
        /// Which peripheral.
        slot: Slot,
    },
    /// What is with a peripheral has its outcome, though the peripheral has said nothing: send it no more.
    Withdrawn {
        /// Which peripheral.
        slot: Slot,
    },
    /// The registration ended, and not at the peripheral's own wish: tell it, as its protocol allows.
    Dismissed {
        /// Which peripheral.
        slot: Slot,
        /// Why.
        cause: EndCause,
    },
    /// Send a wake-up to a peripheral; tell of it with [`Gateway::handle_wake_failed`] if that fails.
    Wake {
        /// Which peripheral.
        slot: Slot,
        /// The request on whose behalf; none if somebody asked for just that.
        request: Option<RequestId>,
        /// Which wake-up.
        wake_up: WakeUp,
        /// How.
        waker: Waker,
        /// Which try this is, from 1.
        tries: u8,
    },
    /// The application puts the peripheral into standby: tell it, as its protocol allows.
    PutIntoStandby {
        /// Which peripheral.
        slot: Slot,
    },
    /// Observe a path, if the peripheral is registered.
    Observe {
        /// Which peripheral.
        slot: Slot,
        /// Which path.
        path: ResourcePath,
    },
    /// Observe a path no more.
    ObserveNoMore {
        /// Which peripheral.
        slot: Slot,
        /// Which path.
        path: ResourcePath,
    },
    /// What the edge handed over with this token is on disk.
    Taken {
        /// Whose it was.
        slot: Slot,
        /// The token.
        token: u64,
    },
    /// What an operator directed with this token is on disk.
    Directed {
        /// The token.
        token: u64,
    },
    /// The up log holds entries up to this sequence number.
    UpAvailable {
        /// The last one.
        through: u64,
    },
    /// The down log is applied up to this sequence number.
    DownAcknowledged {
        /// The last one.
        through: u64,
    },
}

/// What [`Gateway::poll_output`] gives out.
#[derive(Debug)]
pub enum Output {
    /// Make this durable, then call [`Gateway::handle_persisted`] with its ticket. No other follows before.
    Persist(Batch),
    /// Do this.
    Effect(Effect),
}

/// The gateway's machine.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    link: Link,
    registry: Registry,
    asks: Asks,
    admission: Admission,
    registrations: registration::Numbers,
    requests: BTreeMap<RequestId, TakenRequest>,
    /// When each of them ends.
    deadlines: BTreeSet<(Time, RequestId)>,
    /// What applications want to hear of, whether or not the peripheral is registered.
    observed: BTreeMap<Slot, BTreeSet<ResourcePath>>,
    late_joining: LateJoining,
    noted: Noted,
    strangers: registration::Strangers,
    timers: Timers,
    up_log: UpLog,
    down_applied: u64,
    outbox: Outbox,
    /// What waits to be delivered.
    deliveries: Lane,
    /// What waits to be woken.
    wakes: Lane,
    last_wake_up: WakeUp,
    /// The newest request of each collapse key.
    collapses: BTreeMap<(ApplicationId, GroupId, CollapseKey), RequestId>,
    /// Requests of which more members have failed than they bear.
    to_abort: BTreeSet<RequestId>,
    /// Slots that may have something to deliver, gathered while an input is handled.
    to_pump: VecDeque<Slot>,
    /// Whether they are looked at when the disk has got to work on the changes of the input, and not before: a group
    /// has many members.
    pumps_later: bool,
}

impl Gateway {
    /// A gateway that has never run. `seed` makes the identifiers of its deliveries hard to guess.
    #[must_use]
    pub fn new(config: Config, seed: u64) -> Self {
        let [deliveries, wakes] = meters(&config.pacing).map(Lane::new);
        let admission = Admission::new(config.admissions_per_second);
        let mut wakes = wakes;
        wakes.open(None, Priority::Normal, Meter::default());
        Self {
            config,
            link: Link::Down,
            registry: Registry::new(seed),
            asks: Asks::default(),
            admission,
            registrations: registration::Numbers::default(),
            requests: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            observed: BTreeMap::new(),
            late_joining: LateJoining::default(),
            noted: Noted::default(),
            strangers: registration::Strangers::default(),
            timers: Timers::default(),
            up_log: UpLog::default(),
            down_applied: 0,
            outbox: Outbox::default(),
            deliveries,
            wakes,
            last_wake_up: WakeUp::default(),
            collapses: BTreeMap::new(),
            to_abort: BTreeSet::new(),
            to_pump: VecDeque::new(),
            pumps_later: false,
        }
    }

    /// The link to the platform came up or went down.
    pub fn handle_link(&mut self, link: Link) {
        self.link = link;
    }

    /// The batch with this ticket, and all before it, are durable.
    pub fn handle_persisted(&mut self, ticket: Ticket) {
        self.outbox.persisted(ticket);
    }

    /// The platform has the up log up to `through` on disk.
    pub fn handle_up_acknowledged(&mut self, through: u64) {
        if let Some(change) = self.up_log.trim(through) {
            self.outbox.record(change);
        }
    }

    /// An entry of the down log. One that was applied before is ignored.
    pub fn handle_down(&mut self, now: Time, sequence: u64, entry: DownEntry) {
        if sequence <= self.down_applied {
            self.outbox.effect(Effect::DownAcknowledged { through: self.down_applied });
            return;
        }
        match entry {
            DownEntry::Decision { peripheral, registration, verdict } => {
                self.decide(now, &peripheral, registration, verdict);
            }
            DownEntry::Request(request) => self.take(now, request),
            DownEntry::Cancel { request, cause } => self.stop(now, request, cause),
            DownEntry::Allocate(allocation) => self.allocate_from_platform(now, allocation),
            DownEntry::Remove { peripheral } => self.remove_from_platform(now, &peripheral),
            DownEntry::Release { peripheral } => self.release(&peripheral),
            DownEntry::Block { peripheral } => self.block(now, &peripheral),
            DownEntry::Deregister { peripheral, registration, cause } => {
                self.deregister_from_above(now, &peripheral, registration, cause);
            }
            DownEntry::Standby { peripheral } => self.put_into_standby(now, &peripheral),
            DownEntry::Observe { peripheral, path } => self.start_observing(now, &peripheral, path),
            DownEntry::ObserveNoMore { peripheral, path } => self.stop_observing(&peripheral, path),
            DownEntry::Activate { peripheral } => self.activate(now, &peripheral),
            DownEntry::StandbyGroup { application, group } => self.put_group_into_standby(now, &application, &group),
            DownEntry::ActivateGroup { application, group } => self.activate_group(now, &application, &group),
        }
        self.down_applied = sequence;
        self.outbox.record(Change::DownApplied { sequence });
        self.outbox.effect(Effect::DownAcknowledged { through: sequence });
        self.pumps_later = true;
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Time) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Decision(slot) => self.on_undecided(now, slot),
                Timer::Presence(slot) => self.on_silent(now, slot),
                Timer::Lifetime(slot) => self.on_lifetime_over(now, slot),
                Timer::Answer(slot) => self.on_answer_overdue(now, slot),
                Timer::Deadline => self.on_deadlines(now),
                Timer::Wake(slot) => self.on_wake_due(now, slot),
                // What is due is begun below, or polled.
                Timer::Deliveries | Timer::Wakes | Timer::Receipts => {}
                Timer::Progress => self.tell_progress(),
            }
        }
        self.pumps_later = true;
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do next.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// A report of a registered peripheral. [`Effect::Taken`] with `token` follows when it is durable, and not if the
    /// registration has ended: it is nobody's report then, and its peripheral is about to be told.
    pub fn handle_report(&mut self, now: Time, slot: Slot, name: String, content: Content, token: u64) {
        if !self.is_registered(slot) {
            return;
        }
        self.handle_word(now, slot);
        self.handle_will(now, slot, name, content);
        self.outbox.effect(Effect::Taken { slot, token });
    }

    /// A report that a registered peripheral left to be made when it is gone: no word from it.
    pub fn handle_will(&mut self, now: Time, slot: Slot, name: String, content: Content) {
        let Some(peripheral) = self.registry.registered(slot) else { return };
        let report = Report { peripheral: peripheral.id.clone(), name, content, at: now };
        let application = peripheral.profile.application.clone();
        self.up_log.report(&mut self.outbox, application, report);
    }

    /// [`Effect::Taken`] with `token` follows once all that was done before is durable.
    pub fn confirm(&mut self, slot: Slot, token: u64) {
        self.outbox.effect(Effect::Taken { slot, token });
    }

    /// Keeps what the edge must know of a registered peripheral's protocol session after a restart.
    pub fn keep_session(&mut self, slot: Slot, session: Vec<u8>) {
        if self.registry.registered(slot).is_some() {
            self.outbox.record(Change::Session { slot, session });
        }
    }

    /// What is to be persisted, or done, next: the former first, so that the disk is at work meanwhile.
    pub fn poll_output(&mut self, now: Time) -> Option<Output> {
        let batch = self.poll_batch(now).or_else(|| {
            self.pumps_later.then(|| self.pump_all(now))?;
            self.poll_batch(now)
        });
        batch.map(Output::Persist).or_else(|| self.poll_effect(now).map(Output::Effect))
    }

    fn poll_batch(&mut self, now: Time) -> Option<Batch> {
        let batch = self.outbox.poll_batch(now, &mut self.up_log);
        self.timers.set_or_clear(Timer::Receipts, self.outbox.gathers_until());
        batch
    }

    fn poll_effect(&mut self, now: Time) -> Option<Effect> {
        loop {
            let effect = self.outbox.poll_effect()?;
            let leaves = match &effect {
                Effect::Deliver { slot, delivery, request, .. } => {
                    self.delivery_leaves(now, *slot, *delivery, request.id)
                }
                Effect::Wake { slot, request, wake_up, waker, .. } => {
                    self.wake_up_leaves(now, *slot, *request, *wake_up, waker)
                }
                _ => true,
            };
            if leaves {
                return Some(effect);
            }
        }
    }

    /// The gateway is about to stop: what there is to persist is given out without delay from now on.
    pub const fn handle_shutdown(&mut self) {
        self.outbox.end_gathering();
    }

    /// How many changes are not durable yet.
    #[must_use]
    pub fn unpersisted(&self) -> usize {
        self.outbox.unpersisted()
    }

    /// The slot of an allocated peripheral.
    #[must_use]
    pub fn slot(&self, peripheral: &PeripheralId) -> Option<Slot> {
        self.registry.slot(peripheral)
    }

    /// Who is in this slot.
    #[must_use]
    pub fn peripheral(&self, slot: Slot) -> Option<&PeripheralId> {
        self.registry.peripheral(slot).map(|peripheral| &peripheral.id)
    }

    /// Whether the peripheral in this slot is registered.
    #[must_use]
    pub fn is_registered(&self, slot: Slot) -> bool {
        self.registry.registered(slot).is_some()
    }

    /// Whether a delivery is under way to the peripheral in this slot, or waits for the disk to be.
    #[must_use]
    pub fn is_delivering(&self, slot: Slot) -> bool {
        self.registry.registration(slot).is_some_and(|registration| registration.in_flight.is_some())
    }

    /// The state of the peripheral in this slot.
    #[must_use]
    pub fn state(&self, slot: Slot) -> Option<State> {
        let peripheral = self.registry.peripheral(slot)?;
        let is_asking = self.asks.contains(slot);
        Some(peripheral.state(is_asking))
    }

    /// How much it holds.
    #[must_use]
    pub fn census(&self) -> Census {
        Census {
            allocated: self.registry.len(),
            registered: self.registry.registered_len(),
            registering: self.asks.len(),
            requests: self.requests.len(),
            members_waiting: self.requests.values().map(|taken| taken.unsettled).sum(),
            outcomes: self.outbox.totals(),
            unpersisted: self.outbox.unpersisted(),
            up_log: self.up_log.len(),
            down_applied: self.down_applied,
        }
    }
}

/// How much a gateway holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Census {
    /// Allocations.
    pub allocated: usize,
    /// Registered peripherals.
    pub registered: usize,
    /// Peripherals that await the application's decision.
    pub registering: usize,
    /// Group requests that have not ended.
    pub requests: usize,
    /// Members of those that have no outcome yet.
    pub members_waiting: usize,
    /// Outcomes since the start, by kind; the members are not counted.
    pub outcomes: Totals,
    /// Changes that are not durable yet.
    pub unpersisted: usize,
    /// Entries of the up log that the platform has not acknowledged.
    pub up_log: u64,
    /// The last entry of the down log that is applied.
    pub down_applied: u64,
}
