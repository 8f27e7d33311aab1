//! What a group request costs the platform's store for each member, from its acceptance to its end: flat, however
//! many members there are.
//!
//! `cargo bench -p bugle-store --bench request_life`, with numbers of members after `--` for others than the
//! usual. The members are at ten gateways, and told and settled by the thousand, as gateways do it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use bugle_core::platform::{ApplyUp, Procedure, RequestState, Submit, Submitted};
use bugle_core::{
    Activation, AllocationNotice, ApplicationId, Content, GatewayId, GroupId, InitialState, LateJoiners, MemberOutcome,
    Operation, Origin, Outcome, Pacing, PeripheralId, Presence, PresenceChanged, Priority, Receipt, RegistrationId,
    RequestId, Sleepers, Time, UpEntry, limits,
};
use bugle_store::platform::{MemberCursor, MembersShown, PlatformStore};

const MEMBERS: &[usize] = &[1_000, 10_000, 100_000];
const GATEWAYS: usize = 10;
const NOW: Time = Time::from_millis(1_700_000_000_000);

fn main() {
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    println!("microseconds for each member; {GATEWAYS} gateways, one request, one fsync a batch");
    println!("{:>9}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}", "members", "accepted", "fixed", "settled", "read", "all");
    for &members in if asked.is_empty() { MEMBERS } else { &asked } {
        let life = Bench::new(members).live();
        let each = |time: Duration| format!("{:.2}", time.as_secs_f64() * 1e6 / members as f64);
        let [accepted, fixed, settled, read] = life.map(each);
        println!("{members:>9}  {accepted:>9}  {fixed:>9}  {settled:>9}  {read:>9}  {:>9}", each(life.iter().sum()));
    }
}

/// A store with the members of one group, and where the up log of each gateway stands.
struct Bench {
    store: PlatformStore,
    _folder: tempfile::TempDir,
    members: usize,
    up_applied: [u64; GATEWAYS],
}

impl Bench {
    fn new(members: usize) -> Self {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = PlatformStore::open(&folder.path().join("platform.db")).expect("opens");
        let mut bench = Self { store, _folder: folder, members, up_applied: [0; GATEWAYS] };
        for number in 0..GATEWAYS {
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

    /// Accepts a request, has it fixed and settled, and reads what became of it; how long each took.
    fn live(mut self) -> [Duration; 4] {
        let begin = Instant::now();
        let request = self.perform(submission());
        let accepted = begin.elapsed();
        let begin = Instant::now();
        for number in 0..GATEWAYS {
            let names = self.names(number);
            let mut pages = names.chunks(limits::RECEIPTS_PER_ENTRY_MAX).peekable();
            while let Some(page) = pages.next() {
                let is_last = pages.peek().is_none();
                self.up(number, vec![UpEntry::MembersFixed { request, members: page.to_vec(), is_last }]);
            }
        }
        let fixed = begin.elapsed();
        let begin = Instant::now();
        for number in 0..GATEWAYS {
            for page in self.names(number).chunks(limits::RECEIPTS_PER_ENTRY_MAX) {
                self.up(number, vec![UpEntry::Receipts { request, receipts: page.iter().map(delivered).collect() }]);
            }
        }
        let settled = begin.elapsed();
        let begin = Instant::now();
        let record = self.store.request(&application(), request).wait().expect("read").expect("there");
        assert_eq!((record.row.state, record.row.totals.delivered), (RequestState::Complete, self.members as u64));
        assert_eq!(self.read_members(request), self.members);
        [accepted, fixed, settled, begin.elapsed()]
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
        let here = (0..self.members).filter(|member| member % GATEWAYS == number);
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
    MemberOutcome { peripheral: peripheral.clone(), outcome: Outcome::Delivered, at: NOW, seen: Vec::new() }
}

fn submission() -> Submit {
    Submit {
        application: application(),
        id: RequestId::compose(NOW, 1),
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
