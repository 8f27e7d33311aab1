use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc;
use std::time::Duration;

use bugle_core::gateway::{
    Config, Gateway, Hold, Link, Memory, Output, Presented, Reach, RegistrationRequest, Rejection,
};
use bugle_core::{
    Activation, Allocation, ApplicationId, Content, Description, DownEntry, GatewayId, GroupId, GroupRequest,
    InitialState, LateJoiners, Operation, Pacing, PeripheralId, Priority, Protocol, Receipt, RegistrationId, RequestId,
    Sleepers, StopCause, Time, UpEntry, Verdict, Waker,
};
use tempfile::TempDir;

use super::*;

/// A gateway that keeps what it keeps twice: in the store, and in the model that the store is held
/// against.
struct Twice {
    gateway: Gateway,
    store: GatewayStore,
    model: Memory,
    now: Time,
    down: u64,
    folder: TempDir,
}

fn group(text: &str) -> GroupId {
    GroupId::new(text).expect("a group id")
}

fn peripheral(text: &str) -> PeripheralId {
    PeripheralId::new(text).expect("a peripheral id")
}

fn application() -> ApplicationId {
    ApplicationId::new("metering").expect("an application id")
}

fn allocation(id: &str) -> Allocation {
    Allocation {
        peripheral: peripheral(id),
        application: application(),
        groups: BTreeSet::from([group("g"), group("h")]),
        initial_state: InitialState::Allocated,
        credential: None,
        waker: Waker::Window,
        labels: BTreeMap::from([("floor".into(), "2".into())]),
        lifetime: Some(Duration::from_secs(900)),
        idle: None,
    }
}

impl Twice {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let (store, restored) = GatewayStore::open(&folder.path().join("gateway.db")).expect("opens");
        assert_eq!(restored, Restored::default());
        let config = Config::new(GatewayId::new("gw").expect("a gateway id"));
        let mut gateway = Gateway::new(config, 1);
        gateway.handle_link(Link::Up);
        Self { gateway, store, model: Memory::default(), now: Time::from_millis(1_000), down: 0, folder }
    }

    /// Persists in both, and holds them against each other.
    fn run(&mut self) {
        let mut last = None;
        while let Some(output) = self.gateway.poll_output(self.now) {
            if let Output::Persist(batch) = output {
                last = Some(batch);
            }
        }
        let Some(batch) = last else { return };
        batch.changes.iter().cloned().for_each(|change| self.model.apply(change));
        let (sender, receiver) = mpsc::channel();
        self.store.persist(Arc::new(batch), move |result| sender.send(result).expect("somebody waits"));
        self.gateway.handle_persisted(receiver.recv().expect("it answers").expect("it is stored"));
        let kept = self.store.database.read(restore::restore).wait().expect("it is read");
        assert_eq!(kept, self.model.restored());
        self.run();
    }

    fn register(&mut self, id: &str) {
        let request = RegistrationRequest {
            peripheral: peripheral(id),
            asker: 1,
            presented: Presented::default(),
            description: Description {
                protocol: Protocol::Mqtt311,
                address: "[::1]:1".into(),
                lifetime: Duration::from_secs(600),
                objects: String::new(),
            },
            hold: Hold::Connection,
        };
        self.gateway.handle_registration(self.now, request);
        self.run();
        let asked = self.model.up_after(0).filter_map(|(_, entry)| match entry {
            UpEntry::RegistrationAsked { asked, .. } if asked.peripheral == peripheral(id) => Some(asked.registration),
            _ => None,
        });
        let registration = asked.last().unwrap_or(RegistrationId::new(0));
        let verdict = Verdict::Authorized { groups: BTreeSet::from([group("g")]), lease: Duration::from_secs(60) };
        self.down(DownEntry::Decision { peripheral: peripheral(id), registration, verdict });
        let slot = self.gateway.slot(&peripheral(id)).expect("it is allocated");
        self.gateway.handle_reach(self.now, slot, Reach::Open);
        self.run();
    }

    fn down(&mut self, entry: DownEntry) {
        self.down += 1;
        self.gateway.handle_down(self.now, self.down, entry);
        self.run();
    }

    fn request(&mut self, number: u64) -> RequestId {
        self.request_with(number, LateJoiners::Exclude)
    }

    fn request_with(&mut self, number: u64, late_joiners: LateJoiners) -> RequestId {
        let id = RequestId::from_number(number).expect("a request id");
        self.down(DownEntry::Request(GroupRequest {
            id,
            application: application(),
            group: group("g"),
            contained: BTreeSet::new(),
            operation: Operation::Message { content: Content { content_type: "x".into(), bytes: vec![0, 255] } },
            activation: Activation::Percentage(50),
            sleepers: Sleepers::Queue,
            receipt: Receipt::Executed,
            late_joiners,
            deadline: self.now + Duration::from_secs(300),
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
        }));
        id
    }
}

#[test]
fn the_store_keeps_what_the_model_keeps() {
    let mut twice = Twice::new();
    let allocations = (0..5).map(|number| allocation(&format!("p{number}"))).collect();
    assert!(twice.gateway.handle_allocations(twice.now, allocations).is_empty());
    twice.run();
    (0..4).for_each(|number| twice.register(&format!("p{number}")));
    let slots: Vec<_> = (0..5).map(|n| twice.gateway.slot(&peripheral(&format!("p{n}"))).expect("allocated")).collect();
    twice.gateway.keep_session(slots[0], vec![0, 1, 2]);
    twice.gateway.handle_standby(twice.now, slots[0], Some(Duration::from_secs(30)));
    twice.gateway.handle_standby(twice.now, slots[1], None);
    twice.run();
    let first = twice.request(11);
    let second = twice.request(12);
    let no = Rejection { code: "4.05".into(), reason: "no".into() };
    twice.gateway.handle_acknowledged(twice.now, slots[2], 1);
    twice.gateway.handle_answer(twice.now, slots[2], first, Content::text("yes"), 3);
    twice.gateway.handle_refusing_answer(twice.now, slots[3], first, no, 4);
    twice.gateway.handle_report(twice.now, slots[2], "power".into(), Content::text("7"), 5);
    twice.run();
    twice.down(DownEntry::Cancel { request: second, cause: StopCause::Cancelled });
    twice.gateway.handle_deregistration(twice.now, slots[3]);
    twice.down(DownEntry::Allocate(allocation("q")));
    twice.down(DownEntry::Block { peripheral: peripheral("p4") });
    twice.gateway.handle_up_acknowledged(10);
    twice.run();
    assert!(twice.gateway.handle_allocations(twice.now, vec![allocation("p1"), allocation("p2")]).is_empty());
    twice.run();
    twice.now += Duration::from_secs(300);
    twice.gateway.handle_timeout(twice.now);
    twice.run();
}

#[test]
fn members_that_join_late_are_kept_with_those_that_were_there() {
    let mut twice = Twice::new();
    let mut allocations: Vec<_> = (0..3).map(|number| allocation(&format!("p{number}"))).collect();
    assert!(twice.gateway.handle_allocations(twice.now, allocations.clone()).is_empty());
    twice.register("p0");
    twice.request_with(11, LateJoiners::Include);
    twice.register("p1");
    let restored = twice.model.restored();
    assert_eq!((restored.requests[0].members.len(), restored.requests[0].met.len()), (2, 2));
    let place = twice.gateway.slot(&peripheral("p0")).expect("it is allocated");
    allocations.remove(0);
    assert!(twice.gateway.handle_allocations(twice.now, allocations.clone()).is_empty());
    twice.run();
    allocations.push(allocation("q"));
    assert!(twice.gateway.handle_allocations(twice.now, allocations).is_empty());
    twice.register("q");
    assert_eq!(twice.gateway.slot(&peripheral("q")), Some(place), "in the place of the one that is gone");
    let restored = twice.model.restored();
    assert_eq!((restored.requests[0].members.len(), restored.requests[0].met.len()), (2, 3));
    twice.now += Duration::from_secs(300);
    twice.gateway.handle_timeout(twice.now);
    twice.run();
    assert_eq!(twice.model.restored().requests, []);
}

#[test]
fn a_store_that_is_opened_again_gives_back_what_it_kept() {
    let mut twice = Twice::new();
    assert!(twice.gateway.handle_allocations(twice.now, vec![allocation("p0"), allocation("p1")]).is_empty());
    twice.register("p0");
    twice.request(11);
    let Twice { store, model, folder, .. } = twice;
    drop(store);
    let (_store, restored) = GatewayStore::open(&folder.path().join("gateway.db")).expect("opens again");
    assert_eq!(restored, model.restored());
}

#[test]
fn the_up_log_is_read_in_pages_as_it_is_shipped() {
    let mut twice = Twice::new();
    let allocations = (0..5).map(|number| allocation(&format!("p{number}"))).collect();
    assert!(twice.gateway.handle_allocations(twice.now, allocations).is_empty());
    twice.run();
    let page = twice.store.up_after(2, 2).wait().expect("it is read");
    let expected: Vec<_> =
        twice.model.up_after(2).take(2).map(|(sequence, entry)| (sequence, bugle_wire::encode_up(entry))).collect();
    assert_eq!(page, expected);
}
