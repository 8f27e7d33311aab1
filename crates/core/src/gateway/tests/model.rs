//! Any order of events: what must hold whatever happens.
//!
//! The reference keeps, for each peripheral, the requests that it was a member of in order of
//! acceptance. Against it are held the deliveries and the receipts: never a delivery before the
//! outcome of the request of its priority before is on disk, never one that something more urgent
//! should have overtaken, never one after its own, and in the end exactly one outcome for every member.
//! Pacing and the wake budget are never exceeded, not even across a crash, and no peripheral is woken
//! anew while a wake-up may yet wake it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::world::{HOUR, World, allocation, application, group, peripheral, request, yes};
use crate::gateway::{Effect, Presented, Reach, Rejection, Slot};
use crate::{
    Abort, Activation, Allocation, CollapseKey, DownEntry, FailuresMax, GroupRequest, LateJoiners, Pacing,
    PeripheralId, Priority, Receipt, RegistrationId, RequestId, Sleepers, State, StopCause, Time, UpEntry, Verdict,
    Waker,
};

const PERIPHERALS: u8 = 4;
const SECOND: Duration = Duration::from_secs(1);
/// How long a try to wake a peripheral may take; the pause after it is longer.
const TRY: Duration = Duration::from_secs(10);
const TRIES: u8 = 2;

fn number(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

const PER_SECOND: u32 = 2;
const IN_FLIGHT: u32 = 3;
const WAKE_UPS_PER_MINUTE: u32 = 2;

/// Of every second request.
fn own_pacing() -> Pacing {
    Pacing { members_per_second: number(1), members_in_flight: number(2), activations_per_minute: number(1) }
}

/// How a request goes, as far as it is drawn.
#[derive(Debug, Clone, Copy)]
struct Manner {
    priority: Priority,
    is_paced: bool,
    failures_max: Option<u32>,
    key: Option<bool>,
}

#[derive(Debug, Clone)]
enum Step {
    Ask {
        who: u8,
        password: bool,
    },
    Decide {
        who: u8,
        is_yes: bool,
    },
    Open {
        who: u8,
    },
    Word {
        who: u8,
    },
    Sleep {
        who: u8,
    },
    LoseConnection {
        who: u8,
    },
    Leave {
        who: u8,
    },
    Block {
        who: u8,
    },
    Release {
        who: u8,
    },
    Send {
        activation: Activation,
        sleepers: Sleepers,
        receipt: Receipt,
        late_joiners: LateJoiners,
        seconds: u64,
        manner: Manner,
    },
    Cancel {
        number: u64,
        cause: StopCause,
    },
    Activate {
        who: u8,
    },
    ActivateGroup,
    StandbyGroup,
    WakeFailed {
        who: u8,
    },
    Refuse {
        who: u8,
    },
    Acknowledge {
        who: u8,
    },
    Answer {
        who: u8,
    },
    Pass {
        seconds: u64,
    },
    Crash,
}

#[derive(Debug, Clone, Default)]
struct Reference {
    requests: u64,
}

fn steps() -> impl Strategy<Value = Step> {
    let who = 0..PERIPHERALS;
    let activation = prop_oneof![
        Just(Activation::All),
        Just(Activation::None),
        (1..3_u32).prop_map(Activation::Count),
        (1..=100_u8).prop_map(Activation::Percentage),
        Just(Activation::Labels("who in (0,2)".parse().expect("a selector"))),
    ];
    let priority = prop::sample::select(vec![Priority::Urgent, Priority::Normal, Priority::Background]);
    let bears = prop::option::weighted(0.3, 0..2_u32);
    let manner = (priority, any::<bool>(), bears, prop::option::weighted(0.3, any::<bool>()))
        .prop_map(|(priority, is_paced, failures_max, key)| Manner { priority, is_paced, failures_max, key });
    let cause = prop::sample::select(vec![StopCause::Cancelled, StopCause::Aborted]);
    let sleepers = prop_oneof![Just(Sleepers::Queue), Just(Sleepers::Skip)];
    let receipt = prop_oneof![Just(Receipt::Delivered), Just(Receipt::Executed)];
    let late_joiners = prop_oneof![Just(LateJoiners::Exclude), Just(LateJoiners::Include)];
    prop_oneof![
        4 => (who.clone(), prop::bool::weighted(0.2)).prop_map(|(who, password)| Step::Ask { who, password }),
        4 => (who.clone(), prop::bool::weighted(0.8)).prop_map(|(who, is_yes)| Step::Decide { who, is_yes }),
        4 => who.clone().prop_map(|who| Step::Open { who }),
        1 => who.clone().prop_map(|who| Step::Word { who }),
        2 => who.clone().prop_map(|who| Step::Sleep { who }),
        2 => who.clone().prop_map(|who| Step::LoseConnection { who }),
        1 => who.clone().prop_map(|who| Step::Leave { who }),
        1 => who.clone().prop_map(|who| Step::Block { who }),
        1 => who.clone().prop_map(|who| Step::Release { who }),
        5 => (activation, sleepers, receipt, late_joiners, 1..600_u64, manner).prop_map(
            |(activation, sleepers, receipt, late_joiners, seconds, manner)| {
                Step::Send { activation, sleepers, receipt, late_joiners, seconds, manner }
            }
        ),
        1 => (1..10_u64, cause).prop_map(|(number, cause)| Step::Cancel { number, cause }),
        1 => who.clone().prop_map(|who| Step::Activate { who }),
        1 => Just(Step::ActivateGroup),
        1 => Just(Step::StandbyGroup),
        2 => who.clone().prop_map(|who| Step::WakeFailed { who }),
        2 => who.clone().prop_map(|who| Step::Refuse { who }),
        6 => who.clone().prop_map(|who| Step::Acknowledge { who }),
        4 => who.prop_map(|who| Step::Answer { who }),
        4 => prop_oneof![0..3_u64, 0..120_u64].prop_map(|seconds| Step::Pass { seconds }),
        1 => Just(Step::Crash),
    ]
}

impl ReferenceStateMachine for Reference {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_state: &Self) -> BoxedStrategy<Step> {
        steps().boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        if matches!(step, Step::Send { .. }) {
            state.requests += 1;
        }
        state
    }
}

/// The gateway, and what was seen of it so far.
struct Seen {
    world: World,
    requests: u64,
    priorities: BTreeMap<u64, Priority>,
    /// Up to where the effects were looked at.
    effects_checked: usize,
    /// When deliveries began, and of which request.
    begun: Vec<(Time, u64)>,
    /// When wake-ups were sent.
    wake_ups: Vec<Time>,
    /// Of peripherals that were not heard since: when the last was sent.
    unanswered: BTreeMap<Slot, Time>,
}

/// In any time as long as `per`, from its first instant on, at most `count`.
fn assert_paced(times: &[Time], count: u32, per: Duration) {
    for window in times.windows(count as usize + 1) {
        assert!(window[count as usize] - window[0] >= per, "{} within {per:?}: {window:?}", count + 1);
    }
}

fn id(who: u8) -> String {
    format!("p{who}")
}

impl Seen {
    fn step(&mut self, step: Step) {
        let world = &mut self.world;
        match step {
            Step::Ask { who, password } => {
                let password = password.then(|| b"other".to_vec());
                world.ask_with(&id(who), Presented { password, ..Presented::default() });
            }
            Step::Decide { who, is_yes } => {
                let asked = world.up().iter().any(|entry| {
                    matches!(entry, UpEntry::RegistrationAsked { asked, .. } if asked.peripheral == peripheral(&id(who)))
                });
                if asked {
                    let no = Verdict::Refused { reason: "no".into() };
                    world.decide(&id(who), if is_yes { yes(&["g"]) } else { no });
                }
            }
            Step::Open { who } => world.gateway.handle_reach(world.now, world.slot(&id(who)), Reach::Open),
            Step::Word { who } => world.gateway.handle_word(world.now, world.slot(&id(who))),
            Step::Sleep { who } => world.sleep(&id(who)),
            Step::LoseConnection { who } => {
                let slot = world.slot(&id(who));
                world.gateway.handle_connection_lost(world.now, slot, Duration::from_secs(30), HOUR);
            }
            Step::Leave { who } => world.gateway.handle_deregistration(world.now, world.slot(&id(who))),
            Step::Block { who } => world.down(DownEntry::Block { peripheral: peripheral(&id(who)) }),
            Step::Release { who } => world.down(DownEntry::Release { peripheral: peripheral(&id(who)) }),
            Step::Send { activation, sleepers, receipt, late_joiners, seconds, manner } => {
                self.requests += 1;
                let deadline = world.now + Duration::from_secs(seconds);
                let Manner { priority, is_paced, failures_max, key } = manner;
                self.priorities.insert(self.requests, priority);
                let request = request(self.requests, deadline);
                let pacing = if is_paced { own_pacing() } else { Pacing::default() };
                let abort = failures_max.map(|count| Abort { failures: FailuresMax::Count(count), minimum: 0 });
                let collapse_key = key.map(|key| CollapseKey::new(key.to_string()).expect("a collapse key"));
                let manner = GroupRequest { priority, pacing, abort, collapse_key, ..request };
                world.send(GroupRequest { activation, sleepers, receipt, late_joiners, ..manner });
            }
            Step::Cancel { number, cause } => {
                let request = RequestId::from_number(number).expect("a request id");
                world.down(DownEntry::Cancel { request, cause });
            }
            Step::Activate { who } => world.down(DownEntry::Activate { peripheral: peripheral(&id(who)) }),
            Step::ActivateGroup => {
                world.down(DownEntry::ActivateGroup { application: application(), group: group("g") });
            }
            Step::StandbyGroup => {
                world.down(DownEntry::StandbyGroup { application: application(), group: group("g") });
            }
            Step::WakeFailed { who } => {
                let wanted = world.slot(&id(who));
                let last = world.effects.iter().rev().find_map(|effect| match effect {
                    Effect::Wake { slot, wake_up, .. } if *slot == wanted => Some(*wake_up),
                    _ => None,
                });
                if let Some(wake_up) = last {
                    world.gateway.handle_wake_failed(world.now, wanted, wake_up);
                }
            }
            Step::Refuse { who } => {
                if let Some((_, delivery, _)) = world.deliveries(&id(who)).last().copied() {
                    let no = Rejection { code: "0x83".into(), reason: "cannot".into() };
                    world.gateway.handle_rejected(world.now, world.slot(&id(who)), delivery, no);
                }
            }
            Step::Acknowledge { who } => {
                if let Some((_, delivery, _)) = world.deliveries(&id(who)).last().copied() {
                    world.gateway.handle_acknowledged(world.now, world.slot(&id(who)), delivery);
                }
            }
            Step::Answer { who } => {
                if let Some((number, _, _)) = world.deliveries(&id(who)).last().copied() {
                    world.answer(&id(who), number, "done");
                }
            }
            Step::Pass { seconds } => world.pass(Duration::from_secs(seconds)),
            Step::Crash => {
                world.run();
                self.check_effects();
                self.world.crash();
                self.effects_checked = 0;
                for who in 0..PERIPHERALS {
                    let slot = self.world.slot(&id(who));
                    self.world.gateway.handle_connection_lost(self.world.now, slot, Duration::ZERO, HOUR);
                }
            }
        }
        self.world.run();
    }

    /// Requests that a peripheral is a member of, in order of acceptance.
    fn memberships(&self) -> BTreeMap<PeripheralId, Vec<u64>> {
        let mut memberships: BTreeMap<PeripheralId, Vec<u64>> = BTreeMap::new();
        for number in 1..=self.requests {
            for member in self.world.members(number) {
                memberships.entry(member).or_default().push(number);
            }
        }
        memberships
    }

    /// Everything that was put to a peripheral was its turn.
    fn check_effects(&mut self) {
        let memberships = self.memberships();
        let settled: BTreeSet<_> = (1..=self.requests)
            .flat_map(|number| self.world.receipts(number).into_iter().map(move |receipt| (receipt.peripheral, number)))
            .collect();
        for effect in &self.world.effects[self.effects_checked..] {
            let Effect::Deliver { slot, request, is_repeat, .. } = effect else { continue };
            let who = self.world.gateway.peripheral(*slot).expect("it is allocated");
            let number = request.id.number();
            let priority = self.priorities[&number];
            for other in &memberships[who] {
                let is_before = self.priorities[other] == priority && *other < number;
                // What is put again goes first, whatever came meanwhile.
                let is_more_urgent = self.priorities[other] < priority && !is_repeat;
                if is_before || is_more_urgent {
                    assert!(settled.contains(&(who.clone(), *other)), "{who}: {number} overtakes {other}");
                }
            }
            self.begun.push((self.world.now, number));
        }
        self.check_wake_ups();
        self.effects_checked = self.world.effects.len();
    }

    /// No peripheral was woken while it was awake, more often than it may be, or while a wake-up may
    /// yet have woken it.
    fn check_wake_ups(&mut self) {
        for effect in &self.world.effects[self.effects_checked..] {
            let Effect::Wake { slot, tries, .. } = effect else { continue };
            assert!((1..=TRIES).contains(tries));
            let now = self.world.now;
            let before = self.unanswered.insert(*slot, now);
            assert!(before.is_none_or(|before| now - before >= TRY), "{slot:?} is woken again after {before:?}");
            self.wake_ups.push(now);
        }
        let is_awake = |slot: &Slot| self.world.gateway.state(*slot) == Some(State::Active);
        self.unanswered.retain(|slot, _| !is_awake(slot));
    }

    /// No more began within a second, or a minute, and no more is in flight, than may be.
    fn check_pacing(&self) {
        let times = |of: Option<u64>| -> Vec<Time> {
            self.begun.iter().filter(|(_, known)| of.is_none_or(|of| of == *known)).map(|(at, _)| *at).collect()
        };
        assert_paced(&times(None), PER_SECOND, SECOND);
        assert_paced(&self.wake_ups, WAKE_UPS_PER_MINUTE, 60 * SECOND);
        let slots = (0..u32::from(PERIPHERALS)).map(Slot::new);
        let registrations = slots.filter_map(|slot| self.world.gateway.registry.registration(slot));
        let in_flight: Vec<RequestId> = registrations
            .filter(|registration| registration.in_flight.is_some())
            .filter_map(|registration| Some(registration.waiting.first()?.request))
            .collect();
        assert!(in_flight.len() <= IN_FLIGHT as usize);
        for (id, taken) in &self.world.gateway.requests {
            if taken.request.pacing == own_pacing() {
                assert_paced(&times(Some(id.number())), 1, SECOND);
                assert!(in_flight.iter().filter(|of| *of == id).count() <= 2);
            }
        }
    }

    /// No member has two outcomes, and nobody else has one.
    fn check_receipts(&self) {
        for number in 1..=self.requests {
            let members = self.world.members(number);
            let mut receipts: Vec<_> = self.world.receipts(number).into_iter().map(|known| known.peripheral).collect();
            let count = receipts.len();
            receipts.sort();
            receipts.dedup();
            assert_eq!(receipts.len(), count, "a second outcome for request {number}");
            assert!(receipts.iter().all(|peripheral| members.contains(peripheral)));
        }
    }

    /// What the platform is told agrees with what the gateway holds.
    fn check_states(&self) {
        let mut told: BTreeMap<PeripheralId, (RegistrationId, State)> = BTreeMap::new();
        for entry in self.world.up() {
            match entry {
                UpEntry::PresenceChanged { changed, .. } => {
                    told.insert(changed.peripheral, (changed.registration, changed.presence.into()));
                }
                UpEntry::Deregistered { ended, .. }
                    if told.get(&ended.peripheral).is_some_and(|(known, _)| *known == ended.registration) =>
                {
                    told.remove(&ended.peripheral);
                }
                _ => {}
            }
        }
        for who in 0..PERIPHERALS {
            let state = Some(self.world.state(&id(who))).filter(|state| state.is_registered());
            let told = told.get(&peripheral(&id(who))).map(|(_, state)| *state);
            assert_eq!(told, state, "of {}", id(who));
        }
    }
}

impl StateMachineTest for Seen {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test(_: &Reference) -> Self {
        let waker =
            |who| match who % 2 {
                0 => Waker::Window,
                _ => r#"{"exec":{"program":"wake","effort":{"time_limit":10,"tries":2,"back_off":20}}}"#
                    .parse()
                    .expect("a waker"),
            };
        let allocation = |who: u8| Allocation {
            waker: waker(who),
            labels: [("who".to_owned(), who.to_string())].into(),
            ..allocation(&id(who), &["g"])
        };
        let pacing = Pacing {
            members_per_second: number(PER_SECOND),
            members_in_flight: number(IN_FLIGHT),
            activations_per_minute: number(WAKE_UPS_PER_MINUTE),
        };
        Self {
            world: World::paced((0..PERIPHERALS).map(allocation).collect(), pacing),
            requests: 0,
            priorities: BTreeMap::new(),
            effects_checked: 0,
            begun: Vec::new(),
            wake_ups: Vec::new(),
            unanswered: BTreeMap::new(),
        }
    }

    fn apply(mut state: Self, reference: &Reference, step: Step) -> Self {
        state.step(step);
        assert_eq!(state.requests, reference.requests);
        state.check_effects();
        state.check_pacing();
        state.check_receipts();
        state.check_states();
        state
    }

    fn teardown(mut state: Self, _: Reference) {
        state.world.pass(HOUR);
        for number in 1..=state.requests {
            let receipts = state.world.receipts(number).len();
            assert_eq!(receipts, state.world.members(number).len(), "request {number} has ended for every member");
        }
        assert_eq!(state.world.gateway.census().requests, 0);
        assert!(state.world.disk.restored().requests.is_empty());
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn every_member_gets_its_requests_in_order_and_exactly_one_outcome(sequential 1..60 => Seen);
}
