//! One gateway with a store, driven by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::gateway::{
    Batch, Config, Effect, Gateway, Hold, Link, Memory, Output, Presented, Reach, RegistrationRequest, Slot,
};
use crate::{
    Activation, Allocation, ApplicationId, Content, Description, DownEntry, GatewayId, GroupId, GroupRequest,
    LateJoiners, MemberOutcome, Operation, Outcome, Pacing, PeripheralId, Priority, Protocol, Receipt, RegistrationId,
    RequestId, Sleepers, State, Time, UpEntry, Verdict, limits,
};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) struct World {
    pub(super) now: Time,
    pub(super) gateway: Gateway,
    pub(super) disk: Memory,
    pub(super) effects: Vec<Effect>,
    in_flight: Vec<Batch>,
    down_sequence: u64,
    asker: u64,
    config: Config,
}

pub(super) fn group(text: &str) -> GroupId {
    GroupId::new(text).expect("a group id")
}

pub(super) fn peripheral(text: &str) -> PeripheralId {
    PeripheralId::new(text).expect("a peripheral id")
}

pub(super) fn application() -> ApplicationId {
    ApplicationId::new("metering").expect("an application id")
}

pub(super) fn allocation(id: &str, groups: &[&str]) -> Allocation {
    Allocation {
        peripheral: peripheral(id),
        application: application(),
        groups: groups.iter().map(|text| group(text)).collect(),
        initial_state: crate::InitialState::Allocated,
        credential: None,
        waker: crate::Waker::Window,
        labels: std::collections::BTreeMap::new(),
        lifetime: None,
        idle: None,
    }
}

pub(super) fn yes(groups: &[&str]) -> Verdict {
    Verdict::Authorized { groups: groups.iter().map(|text| group(text)).collect(), lease: HOUR }
}

pub(super) fn request(number: u64, deadline: Time) -> GroupRequest {
    GroupRequest {
        id: RequestId::from_number(number).expect("a request id"),
        application: application(),
        group: group("g"),
        contained: BTreeSet::new(),
        operation: Operation::Message { content: Content::text("hello") },
        activation: Activation::All,
        sleepers: Sleepers::Queue,
        receipt: Receipt::Delivered,
        late_joiners: LateJoiners::Exclude,
        deadline,
        priority: Priority::Normal,
        pacing: Pacing::default(),
        abort: None,
        collapse_key: None,
    }
}

fn config() -> Config {
    Config::new(GatewayId::new("gw").expect("a gateway id"))
}

impl World {
    pub(super) fn new(allocations: Vec<Allocation>) -> Self {
        Self::paced(allocations, Pacing::default())
    }

    /// Whose gateway keeps this pacing.
    pub(super) fn paced(allocations: Vec<Allocation>, pacing: Pacing) -> Self {
        let config = Config { pacing, ..config() };
        let mut world = Self {
            now: Time::from_millis(1_000_000),
            gateway: Gateway::new(config.clone(), 7),
            disk: Memory::default(),
            effects: Vec::new(),
            in_flight: Vec::new(),
            down_sequence: 0,
            asker: 0,
            config,
        };
        world.gateway.handle_link(Link::Up);
        assert!(world.gateway.handle_allocations(world.now, allocations).is_empty());
        world.run();
        world.effects.clear();
        world
    }

    /// With `count` registered peripherals `p0`, `p1`, … in group `g`, reachable.
    pub(super) fn with_members(count: usize) -> Self {
        let mut world = Self::new((0..count).map(|number| allocation(&format!("p{number}"), &["g"])).collect());
        for number in 0..count {
            world.register(&format!("p{number}"));
        }
        world.effects.clear();
        world
    }

    /// Persists what there is to persist, and gathers the effects.
    pub(super) fn run(&mut self) {
        loop {
            self.drain();
            if self.in_flight.is_empty() {
                return;
            }
            self.persist();
        }
    }

    /// Gathers what comes out, without persisting.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output(self.now) {
            match output {
                Output::Persist(batch) => self.in_flight.push(batch),
                Output::Effect(effect) => self.effects.push(effect),
            }
        }
    }

    pub(super) fn persist(&mut self) {
        for batch in std::mem::take(&mut self.in_flight) {
            batch.changes.into_iter().for_each(|change| self.disk.apply(change));
            self.gateway.handle_persisted(batch.ticket);
        }
    }

    /// The process dies, and another goes on from what was persisted.
    pub(super) fn crash(&mut self) {
        self.in_flight.clear();
        self.effects.clear();
        self.gateway = Gateway::restore(self.now, self.config.clone(), 8, self.disk.restored());
        self.gateway.handle_link(Link::Up);
        self.run();
    }

    /// From now on the gateway keeps this pacing, also after a crash.
    pub(super) fn pace(&mut self, pacing: Pacing) {
        self.config.pacing = pacing;
        self.crash();
        // What began before the crash is long past.
        self.now += HOUR / 4;
        for slot in (0..self.gateway.census().allocated as u32).map(Slot::new) {
            self.gateway.handle_reach(self.now, slot, Reach::Open);
        }
        self.run();
    }

    /// From now on only so many may ask within any second; also after a crash.
    pub(super) fn admit(&mut self, per_second: u32) {
        self.config.admissions_per_second = std::num::NonZeroU32::new(per_second);
        self.crash();
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.gateway.handle_timeout(self.now);
        self.run();
    }

    /// Receipts are gathered no longer.
    pub(super) fn gather(&mut self) {
        self.pass(limits::RECEIPTS_GATHERED_FOR);
    }

    pub(super) fn slot(&self, id: &str) -> Slot {
        self.gateway.slot(&peripheral(id)).expect("it is allocated")
    }

    pub(super) fn state(&self, id: &str) -> State {
        self.gateway.state(self.slot(id)).expect("it is allocated")
    }

    pub(super) fn ask(&mut self, id: &str) -> u64 {
        self.ask_with(id, Presented::default())
    }

    pub(super) fn ask_with(&mut self, id: &str, presented: Presented) -> u64 {
        self.ask_held(id, presented, Hold::Connection)
    }

    pub(super) fn ask_held(&mut self, id: &str, presented: Presented, hold: Hold) -> u64 {
        self.asker += 1;
        let request = RegistrationRequest {
            peripheral: peripheral(id),
            asker: self.asker,
            presented,
            description: Description {
                protocol: Protocol::Mqtt5,
                address: "127.0.0.1:50000".into(),
                lifetime: 24 * HOUR,
                objects: String::new(),
            },
            hold,
        };
        self.gateway.handle_registration(self.now, request);
        self.run();
        self.asker
    }

    /// Asks, has the application say yes, and subscribes.
    pub(super) fn register(&mut self, id: &str) {
        self.ask(id);
        if self.state(id) == State::Registering {
            self.decide(id, yes(&["g"]));
        }
        assert_eq!(self.state(id), State::Active);
        self.open(id);
    }

    pub(super) fn open(&mut self, id: &str) {
        self.gateway.handle_reach(self.now, self.slot(id), Reach::Open);
        self.run();
    }

    pub(super) fn decide(&mut self, id: &str, verdict: Verdict) {
        let registration = self.last_asked(id);
        self.down(DownEntry::Decision { peripheral: peripheral(id), registration, verdict });
    }

    pub(super) fn down(&mut self, entry: DownEntry) {
        self.down_without_disk(entry);
        self.run();
    }

    /// An entry comes while the disk takes nothing.
    pub(super) fn down_without_disk(&mut self, entry: DownEntry) {
        self.down_sequence += 1;
        self.gateway.handle_down(self.now, self.down_sequence, entry);
        self.drain();
    }

    /// Time passes while the disk takes nothing.
    pub(super) fn pass_without_disk(&mut self, time: Duration) {
        self.now += time;
        self.gateway.handle_timeout(self.now);
        self.drain();
    }

    pub(super) fn send(&mut self, request: GroupRequest) {
        self.down(DownEntry::Request(request));
    }

    /// The connection ends in good order, and the session outlives it.
    pub(super) fn sleep(&mut self, id: &str) {
        let slot = self.slot(id);
        self.gateway.handle_standby(self.now, slot, None);
        self.gateway.handle_connection_lost(self.now, slot, Duration::ZERO, HOUR);
        self.run();
    }

    pub(super) fn acknowledge(&mut self, id: &str) {
        let slot = self.slot(id);
        let delivery = self.deliveries(id).last().expect("there was a delivery").1;
        self.gateway.handle_acknowledged(self.now, slot, delivery);
        self.run();
    }

    pub(super) fn answer(&mut self, id: &str, request: u64, text: &str) {
        let request = RequestId::from_number(request).expect("a request id");
        self.gateway.handle_answer(self.now, self.slot(id), request, Content::text(text), 1);
        self.run();
    }

    /// What was put to a peripheral: request, delivery, and whether as a repetition.
    pub(super) fn deliveries(&self, id: &str) -> Vec<(u64, u16, bool)> {
        let wanted = self.slot(id);
        let delivery = |effect: &Effect| match effect {
            Effect::Deliver { slot, delivery, is_repeat, request } if *slot == wanted => {
                Some((request.id.number(), *delivery, *is_repeat))
            }
            _ => None,
        };
        self.effects.iter().filter_map(delivery).collect()
    }

    pub(super) fn up(&self) -> Vec<UpEntry> {
        self.disk.up_after(0).map(|(_, entry)| entry.clone()).collect()
    }

    pub(super) fn last_asked(&self, id: &str) -> RegistrationId {
        let asked = |entry: &UpEntry| match entry {
            UpEntry::RegistrationAsked { asked, .. } if asked.peripheral == peripheral(id) => Some(asked.registration),
            _ => None,
        };
        self.up().iter().rev().find_map(asked).expect("it asked")
    }

    /// The members of a request as the platform is told of them.
    pub(super) fn members(&self, number: u64) -> BTreeSet<PeripheralId> {
        let members = |entry: UpEntry| match entry {
            UpEntry::MembersFixed { request, members, .. } if request.number() == number => members,
            _ => Vec::new(),
        };
        self.up().into_iter().flat_map(members).collect()
    }

    pub(super) fn receipts(&self, number: u64) -> Vec<MemberOutcome> {
        let receipts = |entry: UpEntry| match entry {
            UpEntry::Receipts { request, receipts } if request.number() == number => receipts,
            _ => Vec::new(),
        };
        self.up().into_iter().flat_map(receipts).collect()
    }

    /// The one outcome of a request for a member; none if it has none yet.
    pub(super) fn outcome(&self, number: u64, id: &str) -> Option<Outcome> {
        let mut outcomes = self.receipts(number).into_iter().filter(|receipt| receipt.peripheral == peripheral(id));
        let outcome = outcomes.next();
        assert_eq!(outcomes.next(), None, "{id} has a second outcome for request {number}");
        outcome.map(|receipt| receipt.outcome)
    }
}
