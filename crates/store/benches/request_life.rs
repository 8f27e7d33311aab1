//! What a group request costs the platform's store for each member, from its acceptance to its end: flat, however
//! many members there are.
//!
//! `cargo bench -p bugle-store --bench request_life`, with numbers of members after `--` for others than the
//! usual. The members are told by the thousand, as gateways do it, and settled by the thousand where all of them
//! answer at once, by the hundred and in any order where they take their time. Of as many requests as there are rounds the median is
//! shown: by the clock, which waits for the disk and for other work on the same machine, and of the processor for the
//! thread that writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bugle_core::platform::{ApplyUp, Procedure, RequestState, Submit, Submitted};
use bugle_core::{
    Activation, AllocationNotice, ApplicationId, Content, GatewayId, GroupId, InitialState, LateJoiners, MemberOutcome,
    Operation, Origin, Outcome, Pacing, PeripheralId, Presence, PresenceChanged, Priority, Receipt, RegistrationId,
    RequestId, Sighting, Sleepers, Stage, Time, UpEntry, limits,
};
use bugle_store::platform::{MemberCursor, MembersShown, PlatformStore};

const MEMBERS: &[usize] = &[1_000, 10_000, 100_000];
const GATEWAYS: usize = 10;
/// Gateways, receipts in an entry, and how far in the list of the members one is from the next.
const MANNERS: &[(usize, usize, usize)] = &[(GATEWAYS, 1_000, 1), (1, 1_000, 1), (1, 100, 1), (1, 100, 3_571)];
const ROUNDS: u32 = 5;
const NOW: Time = Time::from_millis(1_700_000_000_000);

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("microseconds for each member, by the clock / of the processor; one fsync an entry");
    println!(
        "{:>9}  {:>8}  {:>8}  {:>5}  {:>13}  {:>13}  {:>13}  {:>13}  {:>13}",
        "members", "gateways", "an entry", "apart", "accepted", "fixed", "settled", "read", "all"
    );
    for &members in if asked.is_empty() { MEMBERS } else { &asked } {
        for &(gateways, an_entry, apart) in MANNERS {
            let mut bench = Bench::new(members, gateways);
            let lives: Vec<[Spent; 4]> = (1..=ROUNDS).map(|number| bench.live(number, an_entry, apart)).collect();
            let [accepted, fixed, settled, read] =
                std::array::from_fn(|part| Spent::median(lives.iter().map(|life| life[part])).each(members));
            let all = Spent::median(lives.iter().map(Spent::sum)).each(members);
            println!(
                "{members:>9}  {gateways:>8}  {an_entry:>8}  {apart:>5}  {accepted:>13}  {fixed:>13}  {settled:>13}  {read:>13}  {all:>13}"
            );
        }
    }
}

/// What something has cost.
#[derive(Clone, Copy)]
struct Spent {
    time: Duration,
    /// Of the processor, for the thread that writes; none where that is not told.
    processor: Duration,
}

impl Spent {
    fn on<T>(work: impl FnOnce() -> T) -> (Self, T) {
        let (processor, begin) = (processor_time(), Instant::now());
        let done = work();
        (Self { time: begin.elapsed(), processor: processor_time().saturating_sub(processor) }, done)
    }

    fn sum(life: &[Self; 4]) -> Self {
        Self {
            time: life.iter().map(|spent| spent.time).sum(),
            processor: life.iter().map(|spent| spent.processor).sum(),
        }
    }

    fn median(all: impl Iterator<Item = Self>) -> Self {
        let (mut times, mut processors): (Vec<_>, Vec<_>) = all.map(|spent| (spent.time, spent.processor)).unzip();
        times.sort_unstable();
        processors.sort_unstable();
        Self { time: times[times.len() / 2], processor: processors[processors.len() / 2] }
    }

    fn each(self, members: usize) -> String {
        let each = |time: Duration| time.as_secs_f64() * 1e6 / members as f64;
        format!("{:.2} / {:.2}", each(self.time), each(self.processor))
    }
}

/// What the thread that writes has had of the processor, on Linux.
fn processor_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let of_thread = |task: std::io::Result<std::fs::DirEntry>| {
        let folder = task.ok()?.path();
        let is_writer = std::fs::read_to_string(folder.join("comm")).ok()?.trim() == "platform-writer";
        let told = std::fs::read_to_string(folder.join("schedstat")).ok()?;
        told.split_whitespace().next()?.parse().ok().filter(|_| is_writer).map(Duration::from_nanos)
    };
    tasks.filter_map(of_thread).sum()
}

/// A store with the members of one group, and where the up log of each gateway stands.
struct Bench {
    store: PlatformStore,
    _folder: tempfile::TempDir,
    members: usize,
    up_applied: Vec<u64>,
}

impl Bench {
    fn new(members: usize, gateways: usize) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = PlatformStore::open(&folder.path().join("platform.db")).expect("opens");
        let mut bench = Self { store, _folder: folder, members, up_applied: vec![0; gateways] };
        for number in 0..gateways {
            let hash = [number as u8; 32];
            bench
                .store
                .add_enrollment(hash, &gateway(number), NOW + Duration::from_secs(60), NOW)
                .wait()
                .expect("added");
            for page in bench.names(number).chunks(limits::RECEIPTS_PER_ENTRY_MAX) {
                bench.up(number, page.iter().map(allocated).collect());
                bench.up(number, page.iter().map(active).collect());
            }
        }
        bench
    }

    /// Accepts a request, has it fixed and settled, and reads what became of it; what each has cost.
    fn live(&mut self, number: u32, an_entry: usize, apart: usize) -> [Spent; 4] {
        let gateways: Vec<Vec<PeripheralId>> = (0..self.up_applied.len()).map(|number| self.names(number)).collect();
        let (accepted, request) = Spent::on(|| self.perform(submission(number)));
        let (fixed, ()) = Spent::on(|| {
            for (number, names) in gateways.iter().enumerate() {
                let mut pages = names.chunks(limits::RECEIPTS_PER_ENTRY_MAX).peekable();
                while let Some(page) = pages.next() {
                    let is_last = pages.peek().is_none();
                    self.up(number, vec![UpEntry::MembersFixed { request, members: page.to_vec(), is_last }]);
                }
            }
        });
        let (settled, ()) = Spent::on(|| {
            for (number, names) in gateways.iter().enumerate() {
                let places: Vec<usize> = (0..names.len()).map(|at| at * apart % names.len()).collect();
                for page in places.chunks(an_entry) {
                    let receipts = page.iter().map(|place| delivered(&names[*place])).collect();
                    self.up(number, vec![UpEntry::Receipts { request, receipts }]);
                }
            }
        });
        let (read, ()) = Spent::on(|| {
            let record = self.store.request(&application(), request).wait().expect("read").expect("there");
            assert_eq!((record.row.state, record.row.totals.delivered), (RequestState::Complete, self.members as u64));
            assert_eq!(self.read_members(request), self.members);
        });
        [accepted, fixed, settled, read]
    }

    fn read_members(&self, request: RequestId) -> usize {
        let (mut after, mut read) = (MemberCursor::default(), 0);
        loop {
            let page = self.store.members(request, MembersShown::All, after, 1_000).wait().expect("read");
            let Some((cursor, _)) = page.last() else { return read };
            after = cursor.clone();
            read += page.len();
        }
    }

    fn names(&self, number: usize) -> Vec<PeripheralId> {
        let here = (number..self.members).step_by(self.up_applied.len());
        here.map(|member| format!("meter-{member:07}").parse().expect("a peripheral id")).collect()
    }

    fn up(&mut self, number: usize, entries: Vec<UpEntry>) {
        let entries = (self.up_applied[number] + 1..).zip(entries).collect();
        self.up_applied[number] = self.perform(ApplyUp { gateway: gateway(number), entries }).up_applied;
    }

    fn perform<P>(&self, procedure: P) -> P::Answer
    where
        P: Procedure + Send + 'static,
        P::Answer: Send + 'static,
        P::Refusal: Send + std::fmt::Debug + 'static,
    {
        self.store.perform(procedure, NOW).wait().expect("performed").answer
    }
}

fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

fn gateway(number: usize) -> GatewayId {
    format!("gateway-{number}").parse().expect("a gateway id")
}

fn group() -> GroupId {
    "meters".parse().expect("a group id")
}

fn allocated(peripheral: &PeripheralId) -> UpEntry {
    UpEntry::Allocated(AllocationNotice {
        peripheral: peripheral.clone(),
        application: application(),
        groups: BTreeSet::from([group()]),
        initial_state: InitialState::Allocated,
        labels: BTreeMap::new(),
        origin: Origin::Platform,
        wakes: None,
    })
}

fn active(peripheral: &PeripheralId) -> UpEntry {
    let changed = PresenceChanged {
        peripheral: peripheral.clone(),
        registration: RegistrationId::new(1),
        groups: BTreeSet::from([group()]),
        presence: Presence::Active,
        at: NOW,
    };
    UpEntry::PresenceChanged { application: application(), changed }
}

fn delivered(peripheral: &PeripheralId) -> MemberOutcome {
    let seen = vec![Sighting { stage: Stage::Sent, at: NOW }];
    MemberOutcome { peripheral: peripheral.clone(), outcome: Outcome::Delivered, at: NOW, seen }
}

fn submission(number: u32) -> Submit {
    Submit {
        application: application(),
        id: RequestId::compose(NOW, number),
        idempotency_key: None,
        schedule: None,
        submitted: Submitted {
            group: group(),
            operation: Operation::Message { content: Content::text("on") },
            activation: Activation::All,
            sleepers: Sleepers::Queue,
            receipt: Receipt::Delivered,
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
            late_joiners: LateJoiners::Exclude,
            lifespan: Duration::from_secs(600),
        },
    }
}
