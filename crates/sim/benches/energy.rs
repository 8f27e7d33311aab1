//! What it costs sleepers to get group requests: seconds awake and wake-ups for each request delivered, as they
//! gather for the next wake, and with a wake-up for each.
//!
//! `cargo bench -p bugle-sim --bench energy`. A day of 1,000 peripherals that wake by themselves every hour, each at
//! its own minute, and 200 group requests to all of them, spread over the day. The gateway's machine is the real
//! one, and all that is counted is what it does. Nothing is drawn but from a fixed seed.
//!
//! A peripheral that is awake stays so for a window after the last exchange with its gateway, as LwM2M's queue mode
//! has it (93 s unless told otherwise; RFC 7252 §4.8.2, `MAX_TRANSMIT_WAIT`), and an exchange takes half a second.

mod machine;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use bugle_core::gateway::{Effect, Slot};
use bugle_core::{
    Activation, Content, DownEntry, GatewayId, GroupRequest, LateJoiners, MemberOutcome, Operation, Outcome, Pacing,
    PeripheralId, Priority, Receipt, RequestId, Sleepers, Time, UpEntry, Verdict, Waker,
};
use machine::{Machine, allocation, application, group};

const PERIPHERALS: u64 = 1_000;
const REQUESTS: u64 = 200;
const START: Time = Time::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
const EXCHANGE: Duration = Duration::from_millis(500);
/// How long a wake-up takes to wake.
const STIRRING: Duration = Duration::from_secs(2);

fn main() {
    println!("{PERIPHERALS} peripherals that wake every hour, {REQUESTS} group requests to all of them in a day");
    println!(
        "{:>8}  {:<24}  {:>9}  {:>9}  {:>12}  {:>12}  {:>12}",
        "window", "requests", "delivered", "wake-ups", "each", "awake", "each"
    );
    for window in [93, 20].map(Duration::from_secs) {
        let gathered = Day::new(window, Manner::Gathered).live();
        let alone = Day::new(window, Manner::Alone).live();
        for (manner, spent) in [("wait for the next wake", gathered), ("have a wake-up each", alone)] {
            println!(
                "{:>6} s  {manner:<24}  {:>9}  {:>9}  {:>12.3}  {:>10} s  {:>10.2} s",
                window.as_secs(),
                spent.delivered,
                spent.wake_ups,
                spent.wake_ups as f64 / spent.delivered as f64,
                spent.awake.as_secs(),
                spent.awake.as_secs_f64() / spent.delivered as f64
            );
        }
        let each = |spent: Spent| (spent.awake.as_secs_f64(), spent.wake_ups as f64, spent.delivered as f64);
        let ((awake, wakes, delivered), (awake_alone, wakes_alone, delivered_alone)) = (each(gathered), each(alone));
        println!(
            "{:>6} s  ratio: {:.3} of the seconds awake, {:.3} of the wake-ups",
            window.as_secs(),
            (awake / delivered) / (awake_alone / delivered_alone),
            (wakes / delivered) / (wakes_alone / delivered_alone)
        );
    }
}

/// How a request reaches who sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// It waits for the next wake, with whatever else waits.
    Gathered,
    /// It has everybody woken for it.
    Alone,
}

/// What a day has cost.
#[derive(Debug, Clone, Copy, Default)]
struct Spent {
    delivered: u64,
    wake_ups: u64,
    awake: Duration,
}

/// Something that happens to a peripheral, or to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    /// It wakes by itself.
    Wakes(Slot),
    /// A wake-up wakes it.
    IsWoken(Slot),
    /// It has acknowledged a delivery.
    Acknowledges(Slot, u16),
    /// Its window may be over.
    MaySleep(Slot),
    Request(u64),
}

struct Day {
    machine: Machine,
    window: Duration,
    manner: Manner,
    now: Time,
    planned: BinaryHeap<Reverse<(Time, Happening)>>,
    /// Since when who is awake is so, and until when.
    awake: BTreeMap<Slot, (Time, Time)>,
    down: u64,
    spent: Spent,
}

impl Day {
    fn new(window: Duration, manner: Manner) -> Self {
        let gateway: GatewayId = "gateway-1".parse().expect("a gateway id");
        let mut day = Self {
            machine: Machine::new(&gateway),
            window,
            manner,
            now: START,
            planned: BinaryHeap::new(),
            awake: BTreeMap::new(),
            down: 0,
            spent: Spent::default(),
        };
        let waker = match manner {
            Manner::Gathered => Waker::Window,
            Manner::Alone => "coap://192.0.2.250/wake".parse().expect("a waker"),
        };
        let names: Vec<PeripheralId> =
            (0..PERIPHERALS).map(|number| format!("meter-{number:04}").parse().expect("an id")).collect();
        let allocations = names.iter().map(|name| allocation(name.clone(), waker.clone())).collect();
        assert!(day.machine.gateway.handle_allocations(START, allocations).is_empty(), "nothing is in conflict");
        let mut random = SplitMix(7);
        for name in &names {
            day.register(name);
            let slot = day.machine.gateway.slot(name).expect("it is allocated");
            day.machine.gateway.handle_standby(START, slot, None);
            day.plan(Duration::from_millis(random.below(HOUR.as_millis() as u64)), Happening::Wakes(slot));
        }
        for number in 1..=REQUESTS {
            day.plan(Duration::from_millis(random.below(DAY.as_millis() as u64)), Happening::Request(number));
        }
        day.machine.effects(START);
        day
    }

    fn register(&mut self, name: &PeripheralId) {
        let slot = self.machine.ask(START, name, Some(self.window));
        self.machine.effects(START);
        let registration = self.machine.up.iter().rev().find_map(|(_, entry)| match entry {
            UpEntry::RegistrationAsked { asked, .. } => Some(asked.registration),
            _ => None,
        });
        let verdict = Verdict::Authorized { groups: [group()].into(), lease: HOUR };
        let registration = registration.expect("it has asked");
        self.down(DownEntry::Decision { peripheral: name.clone(), registration, verdict });
        self.machine.open(START, slot);
        self.machine.effects(START);
    }

    fn plan(&mut self, after: Duration, what: Happening) {
        self.planned.push(Reverse((self.now + after, what)));
    }

    fn down(&mut self, entry: DownEntry) {
        self.down += 1;
        self.machine.gateway.handle_down(self.now, self.down, entry);
    }

    /// The day, and the hour after it in which all that waits is delivered.
    fn live(mut self) -> Spent {
        self.machine.up.clear();
        while let Some(at) = self.next() {
            self.now = at;
            self.machine.gateway.handle_timeout(at);
            if self.planned.peek().is_some_and(|Reverse((planned, _))| *planned <= at) {
                let Reverse((_, what)) = self.planned.pop().expect("it is there");
                self.happen(what);
            }
            self.carry_out();
        }
        for (since, until) in self.awake.into_values() {
            self.spent.awake += until - since;
        }
        assert_eq!(self.spent.delivered, PERIPHERALS * REQUESTS, "everybody gets every request");
        self.spent
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Wakes(slot) => {
                self.plan(HOUR, Happening::Wakes(slot));
                self.wake(slot);
            }
            Happening::IsWoken(slot) => self.wake(slot),
            Happening::Acknowledges(slot, delivery) => {
                self.machine.gateway.handle_word(self.now, slot);
                self.machine.gateway.handle_acknowledged(self.now, slot, delivery);
                self.stay_awake(slot);
            }
            Happening::MaySleep(slot) => {
                if let Some((since, until)) = self.awake.get(&slot).copied()
                    && until <= self.now
                {
                    self.awake.remove(&slot);
                    self.spent.awake += until - since;
                    self.machine.gateway.handle_standby(self.now, slot, None);
                }
            }
            Happening::Request(number) => self.down(DownEntry::Request(self.request(number))),
        }
    }

    /// When the next thing happens, or is due at the gateway.
    fn next(&self) -> Option<Time> {
        let planned = self.planned.peek().map(|Reverse((at, _))| *at);
        let next = planned.into_iter().chain(self.machine.gateway.next_timeout()).min()?;
        (next <= START + DAY + HOUR).then_some(next.max(self.now))
    }

    fn wake(&mut self, slot: Slot) {
        if !self.awake.contains_key(&slot) {
            self.spent.wake_ups += 1;
            self.awake.insert(slot, (self.now, self.now));
        }
        self.machine.gateway.handle_word(self.now, slot);
        self.stay_awake(slot);
    }

    fn stay_awake(&mut self, slot: Slot) {
        let until = self.now + self.window;
        if let Some(awake) = self.awake.get_mut(&slot) {
            awake.1 = until;
            self.plan(self.window, Happening::MaySleep(slot));
        }
    }

    fn carry_out(&mut self) {
        for effect in self.machine.effects(self.now) {
            match effect {
                Effect::Deliver { slot, delivery, .. } => self.plan(EXCHANGE, Happening::Acknowledges(slot, delivery)),
                Effect::Wake { slot, .. } => self.plan(STIRRING, Happening::IsWoken(slot)),
                _ => {}
            }
        }
        while let Some((sequence, entry)) = self.machine.up.pop_front() {
            if let UpEntry::Receipts { receipts, .. } = entry {
                let is_served = |receipt: &&MemberOutcome| receipt.outcome == Outcome::Delivered;
                self.spent.delivered += receipts.iter().filter(is_served).count() as u64;
            }
            self.machine.gateway.handle_up_acknowledged(sequence);
        }
    }

    fn request(&self, number: u64) -> GroupRequest {
        GroupRequest {
            id: RequestId::from_number(number).expect("a request id"),
            application: application(),
            group: group(),
            contained: [].into(),
            operation: Operation::Message { content: Content::text("tariff 2") },
            activation: match self.manner {
                Manner::Gathered => Activation::None,
                Manner::Alone => Activation::All,
            },
            sleepers: Sleepers::Queue,
            receipt: Receipt::Delivered,
            late_joiners: LateJoiners::Exclude,
            deadline: self.now + 2 * HOUR,
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
        }
    }
}

/// SplitMix64.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    }
}
