//! Any order of events: what must hold whatever happens.
//!
//! The reference keeps, for each peripheral, the requests that it was a member of in order of
//! acceptance. Against it are held the deliveries and the receipts: never a delivery before the
//! outcome of the request before is on disk, never one after its own, and in the end exactly one
//! outcome for every member.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::world::{HOUR, World, allocation, peripheral, request, yes};
use crate::gateway::{Effect, Presented, Reach};
use crate::{
    Activation, DownEntry, GroupRequest, LateJoiners, PeripheralId, Receipt, RegistrationId, RequestId, Sleepers,
    State, UpEntry, Verdict,
};

const PERIPHERALS: u8 = 4;

#[derive(Debug, Clone)]
enum Step {
    Ask { who: u8, password: bool },
    Decide { who: u8, is_yes: bool },
    Open { who: u8 },
    Word { who: u8 },
    Sleep { who: u8 },
    LoseConnection { who: u8 },
    Leave { who: u8 },
    Block { who: u8 },
    Release { who: u8 },
    Send { activation: Activation, sleepers: Sleepers, receipt: Receipt, late_joiners: LateJoiners, seconds: u64 },
    Cancel { number: u64 },
    Acknowledge { who: u8 },
    Answer { who: u8 },
    Pass { seconds: u64 },
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
        (1..=100_u8).prop_map(Activation::Percentage)
    ];
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
        4 => (activation, sleepers, receipt, late_joiners, 1..600_u64).prop_map(
            |(activation, sleepers, receipt, late_joiners, seconds)| {
                Step::Send { activation, sleepers, receipt, late_joiners, seconds }
            }
        ),
        1 => (1..10_u64).prop_map(|number| Step::Cancel { number }),
        6 => who.clone().prop_map(|who| Step::Acknowledge { who }),
        4 => who.prop_map(|who| Step::Answer { who }),
        3 => (0..120_u64).prop_map(|seconds| Step::Pass { seconds }),
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
    /// Up to where the effects were looked at.
    effects_checked: usize,
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
            Step::Send { activation, sleepers, receipt, late_joiners, seconds } => {
                self.requests += 1;
                let request = request(self.requests, world.now + Duration::from_secs(seconds));
                world.send(GroupRequest { activation, sleepers, receipt, late_joiners, ..request });
            }
            Step::Cancel { number } => {
                let request = RequestId::from_number(number).expect("a request id");
                world.down(DownEntry::Cancel { request });
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
            let Effect::Deliver { slot, request, .. } = effect else { continue };
            let who = self.world.gateway.peripheral(*slot).expect("it is allocated");
            let number = request.id.number();
            let before = memberships[who].iter().take_while(|member| **member < number);
            for earlier in before {
                assert!(settled.contains(&(who.clone(), *earlier)), "{who}: {number} overtakes {earlier}");
            }
        }
        self.effects_checked = self.world.effects.len();
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
        let allocations = (0..PERIPHERALS).map(|who| allocation(&id(who), &["g"])).collect();
        Self { world: World::new(allocations), requests: 0, effects_checked: 0 }
    }

    fn apply(mut state: Self, reference: &Reference, step: Step) -> Self {
        state.step(step);
        assert_eq!(state.requests, reference.requests);
        state.check_effects();
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
