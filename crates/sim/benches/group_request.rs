//! One group request from its acceptance to its end: members behind ten gateways, half of them asleep.
//!
//! `cargo bench -p bugle-sim --bench group_request`, with numbers of members after `--` for others than the usual.
//! Gateways are the real machine, the platform is its real rules on its real SQLite store, one fsync a transaction;
//! what is between them is left out. Time is virtual: who sleeps wakes within the hour, a delivery is acknowledged
//! after a fifth of a second, and each gateway ships what it has about as often as a hundred sleepers wake.
//! What is printed of time is what was really spent, in microseconds for each member: at the platform and at the
//! gateways by the clock, which other work on the same machine makes slower, and of the processor for both.

#![allow(clippy::disallowed_methods, reason = "what was really spent is read from a clock")]

mod machine;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bugle_core::gateway::{Effect, Slot};
use bugle_core::platform::{ApplyUp, Decide, Decision, Procedure, RequestState, Submit, Submitted, weight};
use bugle_core::{
    Activation, Content, GatewayId, LateJoiners, Operation, Pacing, PeripheralId, Priority, Receipt, RegistrationId,
    RequestId, Sleepers, Time, UpEntry, Verdict, Waker,
};
use bugle_store::platform::PlatformStore;
use machine::{Machine, allocation, application, group};

const MEMBERS: &[usize] = &[1_000, 10_000, 100_000];
const GATEWAYS: usize = 10;
const START: Time = Time::from_millis(1_700_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);
/// How long after a word a sleeper is awake.
const AWAKE: Duration = Duration::from_secs(93);
const EXCHANGE: Duration = Duration::from_millis(200);
/// How much one transaction of the platform applies, as its service has it.
const WEIGHT_MAX: usize = 1_000;

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("microseconds for each member; {GATEWAYS} gateways, half of the members asleep");
    println!(
        "{:>9}  {:>9}  {:>9}  {:>9}  {:>11}  {:>10}  {:>11}  {:>9}",
        "members", "platform", "gateways", "processor", "completed", "after", "took", "memory"
    );
    for &members in if asked.is_empty() { MEMBERS } else { &asked } {
        forget_peak();
        let spent = Bench::new(members).live();
        let each = |time: Duration| format!("{:.1}", time.as_secs_f64() * 1e6 / members as f64);
        println!(
            "{members:>9}  {:>9}  {:>9}  {:>9}  {:>11}  {:>8} s  {:>9.1} s  {:>9}",
            each(spent.platform),
            each(spent.gateways),
            spent.processor.map_or_else(|| "-".into(), each),
            spent.delivered,
            spent.after.as_secs(),
            (spent.platform + spent.gateways).as_secs_f64(),
            peak()
        );
    }
}

/// What a request has cost.
struct Spent {
    platform: Duration,
    gateways: Duration,
    /// Of the processor, where that is told.
    processor: Option<Duration>,
    delivered: u64,
    /// How long it took, in virtual time.
    after: Duration,
}

/// Something that happens at a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Wakes(usize, Slot),
    Acknowledges(usize, Slot, u16),
    /// All gateways ship what they have.
    Ship,
}

struct Bench {
    store: PlatformStore,
    _folder: tempfile::TempDir,
    members: usize,
    machines: Vec<Machine>,
    down_taken: Vec<u64>,
    now: Time,
    planned: BinaryHeap<Reverse<(Time, Happening)>>,
    platform: Duration,
    gateways: Duration,
}

impl Bench {
    fn new(members: usize) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = PlatformStore::open(&folder.path().join("platform.db")).expect("opens");
        store.add_application(&application(), START).wait().expect("added");
        let machines = (0..GATEWAYS).map(|number| Machine::new(&gateway(number))).collect();
        let mut bench = Self {
            store,
            _folder: folder,
            members,
            machines,
            down_taken: vec![0; GATEWAYS],
            now: START,
            planned: BinaryHeap::new(),
            platform: Duration::ZERO,
            gateways: Duration::ZERO,
        };
        for number in 0..GATEWAYS {
            let hash = [number as u8; 32];
            let until = START + HOUR;
            bench.store.add_enrollment(hash, &gateway(number), until, START).wait().expect("added");
            bench.register(number);
        }
        (bench.platform, bench.gateways) = (Duration::ZERO, Duration::ZERO);
        bench
    }

    /// Has all members of a gateway registered, and every other one go to sleep until some time of the hour.
    fn register(&mut self, number: usize) {
        let names: Vec<PeripheralId> = (number..self.members)
            .step_by(GATEWAYS)
            .map(|member| format!("meter-{member:07}").parse().expect("a peripheral id"))
            .collect();
        let allocations = names.iter().map(|name| allocation(name.clone(), Waker::Window)).collect();
        let machine = &mut self.machines[number];
        assert!(machine.gateway.handle_allocations(START, allocations).is_empty(), "nothing is in conflict");
        let is_sleeper = |position: usize| position % 2 == 1;
        let mut slots = Vec::new();
        for (position, name) in names.iter().enumerate() {
            slots.push(machine.ask(START, name, is_sleeper(position).then_some(AWAKE)));
        }
        let decisions = self.ship(number);
        for page in decisions.chunks(1_000) {
            self.perform(Decide { application: application(), decisions: page.to_vec() });
        }
        self.ship(number);
        let machine = &mut self.machines[number];
        let sleepers = slots.len() / 2;
        for (position, slot) in slots.into_iter().enumerate() {
            machine.open(START, slot);
            if is_sleeper(position) {
                // At a time of its own within the hour.
                let after = HOUR.mul_f64((position / 2 + 1) as f64 / (sleepers + 1) as f64);
                machine.gateway.handle_standby(START, slot, Some(after));
                self.planned.push(Reverse((START + after, Happening::Wakes(number, slot))));
            }
        }
        self.ship(number);
    }

    fn live(mut self) -> Spent {
        let before = processor_time();
        let request = self.perform(self.submission());
        let sleepers = self.members / 2 / GATEWAYS;
        let interval = HOUR.mul_f64(100.0 / (sleepers.max(100)) as f64);
        for number in 0..GATEWAYS {
            self.ship(number);
        }
        self.planned.push(Reverse((START + Duration::from_secs(1), Happening::Ship)));
        while let Some(Reverse((at, what))) = self.planned.pop() {
            self.now = at;
            if what == Happening::Ship {
                (0..GATEWAYS).for_each(|number| drop(self.ship(number)));
                let record = self.store.request(&application(), request).wait().expect("read").expect("there");
                if record.row.state == RequestState::Complete {
                    let delivered = record.row.totals.delivered;
                    assert_eq!(delivered, self.members as u64, "everybody is served: {:?}", record.row.totals);
                    let (platform, gateways) = (self.platform, self.gateways);
                    let processor = processor_time().zip(before).map(|(now, before)| now - before);
                    return Spent { platform, gateways, processor, delivered, after: self.now - START };
                }
                self.planned.push(Reverse((at + interval, Happening::Ship)));
            } else {
                self.happen(what);
            }
        }
        unreachable!("gateways ship until the request is complete")
    }

    fn happen(&mut self, what: Happening) {
        let begin = Instant::now();
        let number = match what {
            Happening::Wakes(number, slot) => {
                self.machines[number].gateway.handle_word(self.now, slot);
                number
            }
            Happening::Acknowledges(number, slot, delivery) => {
                let gateway = &mut self.machines[number].gateway;
                gateway.handle_word(self.now, slot);
                gateway.handle_acknowledged(self.now, slot, delivery);
                number
            }
            Happening::Ship => return,
        };
        self.carry_out(number);
        self.gateways += begin.elapsed();
    }

    fn carry_out(&mut self, number: usize) {
        let machine = &mut self.machines[number];
        machine.gateway.handle_timeout(self.now);
        for effect in machine.effects(self.now) {
            if let Effect::Deliver { slot, delivery, .. } = effect {
                let at = self.now + EXCHANGE;
                self.planned.push(Reverse((at, Happening::Acknowledges(number, slot, delivery))));
            }
        }
    }

    /// Ships what a gateway has, and hands it what the platform has for it, until there is nothing. Who has asked
    /// to register meanwhile is welcome.
    fn ship(&mut self, number: usize) -> Vec<Decision> {
        let mut decisions = Vec::new();
        loop {
            let begin = Instant::now();
            self.carry_out(number);
            let entries = self.batch(number);
            self.gateways += begin.elapsed();
            decisions.extend(entries.iter().filter_map(|(_, entry)| welcome(number, entry)));
            let is_idle = entries.is_empty();
            if !is_idle {
                let applied = self.perform(ApplyUp { gateway: gateway(number), entries }).up_applied;
                self.machines[number].gateway.handle_up_acknowledged(applied);
            }
            if !self.take_down(number) && is_idle {
                return decisions;
            }
        }
    }

    fn batch(&mut self, number: usize) -> Vec<(u64, UpEntry)> {
        let (mut entries, mut total) = (Vec::new(), 0);
        while let Some((sequence, entry)) = self.machines[number].up.pop_front() {
            total += weight(&entry);
            entries.push((sequence, entry));
            if total >= WEIGHT_MAX {
                break;
            }
        }
        entries
    }

    /// Whether there was anything.
    fn take_down(&mut self, number: usize) -> bool {
        let begin = Instant::now();
        let entries = self.store.down(&gateway(number), self.down_taken[number], 1_000).wait().expect("read");
        if let Some((last, _)) = entries.last() {
            self.store.acknowledge_down(&gateway(number), *last).wait().expect("acknowledged");
            self.down_taken[number] = *last;
        }
        self.platform += begin.elapsed();
        let begin = Instant::now();
        let is_news = !entries.is_empty();
        for (sequence, entry) in entries {
            self.machines[number].gateway.handle_down(self.now, sequence, entry);
        }
        self.gateways += begin.elapsed();
        is_news
    }

    fn perform<P>(&mut self, procedure: P) -> P::Answer
    where
        P: Procedure + Send + 'static,
        P::Answer: Send + 'static,
        P::Refusal: Send + std::fmt::Debug + 'static,
    {
        let begin = Instant::now();
        let performed = self.store.perform(procedure, self.now).wait().expect("performed");
        self.platform += begin.elapsed();
        performed.answer
    }

    fn submission(&self) -> Submit {
        Submit {
            application: application(),
            id: RequestId::compose(START, 1),
            idempotency_key: None,
            schedule: None,
            submitted: Submitted {
                group: group(),
                operation: Operation::Message { content: Content::text("tariff 2") },
                activation: Activation::All,
                sleepers: Sleepers::Queue,
                receipt: Receipt::Delivered,
                late_joiners: LateJoiners::Exclude,
                lifespan: 2 * HOUR,
                priority: Priority::Normal,
                pacing: Pacing::default(),
                abort: None,
                collapse_key: None,
            },
        }
    }
}

fn gateway(number: usize) -> GatewayId {
    format!("gateway-{number}").parse().expect("a gateway id")
}

fn welcome(number: usize, entry: &UpEntry) -> Option<Decision> {
    let UpEntry::RegistrationAsked { asked, .. } = entry else { return None };
    let registration: RegistrationId = asked.registration;
    let verdict = Verdict::Authorized { groups: [group()].into(), lease: HOUR };
    Some(Decision { gateway: gateway(number), peripheral: asked.peripheral.clone(), registration, verdict })
}

/// What all threads have had of the processor, on Linux.
fn processor_time() -> Option<Duration> {
    let of_thread = |thread: std::io::Result<std::fs::DirEntry>| {
        let told = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        told.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    };
    std::fs::read_dir("/proc/self/task").ok()?.map(of_thread).sum()
}

/// From now on the peak of memory is that of what follows, on Linux.
fn forget_peak() {
    // Elsewhere the peak is not told either.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that the process had at once.
fn peak() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"));
    let number = kibibytes.and_then(|text| text.trim().parse::<u64>().ok());
    number.map_or_else(|| "-".into(), |number| format!("{} MiB", number / 1_024))
}
