//! The group configurations by behaviour, and as a property of whole histories.

mod history;

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::{
    Deregistered, Description, EndCause, Event, Evidence, GatewayId, GroupId, PeripheralId, Presence, PresenceChanged,
    Protocol, RegistrationAsked, RegistrationId, Time, Verdict, limits,
};

const LEASE: Duration = Duration::from_secs(60);

fn peripheral(id: &str) -> PeripheralId {
    PeripheralId::new(id).expect("a peripheral id")
}

fn gateway(id: &str) -> GatewayId {
    GatewayId::new(id).expect("a gateway id")
}

fn groups(ids: &[&str]) -> BTreeSet<GroupId> {
    ids.iter().map(|id| GroupId::new(*id).expect("a group id")).collect()
}

fn asking(id: &str, registration: u64, asked: BTreeSet<GroupId>) -> RegistrationAsked {
    RegistrationAsked {
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        groups: asked,
        evidence: Evidence::default(),
        description: Description {
            protocol: Protocol::Mqtt5,
            address: "192.0.2.1:1883".into(),
            lifetime: Duration::from_secs(60),
            objects: String::new(),
        },
    }
}

/// Decides by the first letter: `a…` may join, `m…` needs a person's approval, others may not.
struct ByLetter;

impl Authorizer for ByLetter {
    fn authorize(&self, _: Time, question: &RegistrationQuestion<'_>) -> Decision {
        let groups = question.asked.groups.clone();
        match question.asked.peripheral.as_str().as_bytes()[0] {
            b'a' => Decision::Authorized { groups, lease: LEASE },
            b'm' => Decision::Pending { groups, lease: LEASE },
            _ => Decision::refused("not welcome"),
        }
    }
}

#[derive(Default)]
struct Harness {
    configurations: GroupConfigurations,
    changes: Vec<Change>,
}

impl Harness {
    fn handle(&mut self, event: &Event) -> Vec<(String, u64, bool)> {
        self.handle_with(event, &ByLetter)
    }

    /// The answers that the next event leads to: gateway, registration, whether it is a yes.
    fn handle_with(&mut self, event: &Event, authorizer: &impl Authorizer) -> Vec<(String, u64, bool)> {
        let sequence = self.configurations.cursor() + 1;
        self.configurations.handle_event(Time::from_millis(sequence), sequence, event, authorizer, &mut self.changes);
        self.answers()
    }

    fn answers(&mut self) -> Vec<(String, u64, bool)> {
        let answers = self.changes.drain(..).filter_map(|change| match change {
            Change::Answered(Answer { gateway, registration, verdict, .. }) => {
                let is_yes = matches!(verdict, Verdict::Authorized { .. });
                Some((gateway.to_string(), registration.number(), is_yes))
            }
            _ => None,
        });
        answers.collect()
    }

    fn ask(&mut self, at: &str, id: &str, registration: u64) -> Vec<(String, u64, bool)> {
        let asked = asking(id, registration, groups(&["g"]));
        self.handle(&Event::RegistrationAsked { gateway: gateway(at), asked })
    }

    fn presence(&mut self, at: &str, id: &str, registration: u64, presence: Presence) {
        self.handle(&told(at, id, registration, "g", presence));
    }

    fn end(&mut self, at: &str, id: &str, registration: u64) {
        let ended = Deregistered {
            peripheral: peripheral(id),
            registration: RegistrationId::new(registration),
            groups: groups(&["g"]),
            cause: EndCause::Peripheral,
            at: Time::ZERO,
        };
        self.handle(&Event::Deregistered { gateway: gateway(at), ended });
    }

    /// Through which registration a peripheral is a member.
    fn member(&self, id: &str) -> Option<(String, u64)> {
        self.configurations.member(&peripheral(id)).map(|(known, _)| (known.gateway.to_string(), known.id.number()))
    }

    fn groups(&self) -> Vec<&str> {
        self.configurations.groups().keys().map(GroupId::as_str).collect()
    }
}

fn told(at: &str, id: &str, registration: u64, group: &str, presence: Presence) -> Event {
    let changed = PresenceChanged {
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        groups: groups(&[group]),
        presence,
        at: Time::ZERO,
    };
    Event::PresenceChanged { gateway: gateway(at), changed }
}

fn active(at: &str, id: &str, registration: u64, group: &str) -> Event {
    told(at, id, registration, group, Presence::Active)
}

fn yes(at: &str, registration: u64) -> Vec<(String, u64, bool)> {
    vec![(at.into(), registration, true)]
}

fn no(at: &str, registration: u64) -> Vec<(String, u64, bool)> {
    vec![(at.into(), registration, false)]
}

#[test]
fn a_group_configuration_begins_with_its_first_member_and_ends_with_its_last() {
    let mut h = Harness::default();
    assert_eq!(h.ask("gw", "a1", 1), yes("gw", 1));
    assert_eq!(h.ask("gw", "a2", 2), yes("gw", 2));
    h.end("gw", "a1", 1);
    assert_eq!(h.groups(), ["g"]);
    h.end("gw", "a2", 2);
    assert_eq!(h.groups(), [""; 0]);
}

#[test]
fn a_no_makes_nobody_a_member_and_is_repeated_for_the_same_asking() {
    let mut h = Harness::default();
    assert_eq!(h.ask("gw", "x", 1), no("gw", 1));
    assert_eq!(h.member("x"), None);
    let asked = asking("x", 1, groups(&["g"]));
    let again = Event::RegistrationAsked { gateway: gateway("gw"), asked };
    let anybody = |_: Time, question: &RegistrationQuestion<'_>| Decision::Authorized {
        groups: question.asked.groups.clone(),
        lease: LEASE,
    };
    assert_eq!(h.handle_with(&again, &Fn(anybody)), no("gw", 1));
}

/// An authorizer made of a function.
struct Fn<F>(F);

impl<F: std::ops::Fn(Time, &RegistrationQuestion<'_>) -> Decision + Send> Authorizer for Fn<F> {
    fn authorize(&self, now: Time, question: &RegistrationQuestion<'_>) -> Decision {
        (self.0)(now, question)
    }
}

#[test]
fn an_event_that_comes_again_changes_nothing() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    let before = h.configurations.clone();
    let asked = asking("a1", 1, groups(&["g"]));
    let event = Event::RegistrationAsked { gateway: gateway("gw"), asked };
    h.configurations.handle_event(Time::ZERO, 1, &event, &ByLetter, &mut h.changes);
    assert_eq!((h.configurations, h.changes), (before, vec![]));
}

#[test]
fn what_is_passed_over_moves_the_cursor_and_only_forward() {
    let mut h = Harness::default();
    h.configurations.pass_over(5);
    assert_eq!(h.ask("gw", "a1", 1), yes("gw", 1));
    let before = h.configurations.clone();
    assert_eq!(before.cursor(), 6);
    h.configurations.pass_over(3);
    assert_eq!(h.configurations, before);
}

#[test]
fn a_roaming_peripheral_is_a_member_where_it_registered_last() {
    let mut h = Harness::default();
    h.ask("a", "a1", 5);
    h.presence("a", "a1", 5, Presence::Active);
    assert_eq!(h.ask("b", "a1", 2), yes("b", 2));
    assert_eq!(h.member("a1"), Some(("b".into(), 2)));
    h.presence("a", "a1", 5, Presence::Standby { next_wake: None });
    assert_eq!(h.member("a1"), Some(("b".into(), 2)), "the last words from its former gateway are old");
    h.end("a", "a1", 5);
    assert_eq!(h.member("a1"), Some(("b".into(), 2)));
    assert_eq!(h.configurations.registrations(&peripheral("a1")).len(), 1);
}

#[test]
fn the_end_of_an_older_registration_is_ignored() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    h.ask("gw", "a1", 2);
    h.end("gw", "a1", 1);
    assert_eq!(h.member("a1"), Some(("gw".into(), 2)));
}

#[test]
fn a_registration_that_came_to_nothing_leaves_the_one_that_it_replaced() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    h.presence("gw", "a1", 1, Presence::Active);
    assert_eq!(h.ask("gw", "a1", 2), yes("gw", 2));
    assert_eq!(h.member("a1"), Some(("gw".into(), 2)));
    h.end("gw", "a1", 2);
    assert_eq!(h.member("a1"), Some(("gw".into(), 1)), "its gateway never put the newer one in force");
}

#[test]
fn a_gateway_that_put_the_newer_registration_in_force_has_ended_the_older_one_there() {
    let mut h = Harness::default();
    h.ask("b", "a1", 1);
    h.presence("b", "a1", 1, Presence::Active);
    h.ask("b", "a1", 2);
    h.ask("a", "a1", 3);
    h.presence("b", "a1", 2, Presence::Active);
    h.end("b", "a1", 2);
    h.end("a", "a1", 3);
    assert_eq!(h.member("a1"), None, "found by the property of histories");
}

#[test]
fn an_impostor_who_is_refused_ends_nobodys_membership() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    h.presence("gw", "a1", 1, Presence::Active);
    let refuse = Fn(|_: Time, _: &RegistrationQuestion<'_>| Decision::refused("who is this?"));
    let asked = |registration| asking("a1", registration, groups(&["g"]));
    let impostor = Event::RegistrationAsked { gateway: gateway("gw"), asked: asked(2) };
    assert_eq!(h.handle_with(&impostor, &refuse), no("gw", 2));
    let elsewhere = Event::RegistrationAsked { gateway: gateway("other"), asked: asked(9) };
    assert_eq!(h.handle_with(&elsewhere, &refuse), no("other", 9));
    assert_eq!(h.member("a1"), Some(("gw".into(), 1)));
    assert_eq!(h.ask("gw", "a1", 1), yes("gw", 1), "the lease is over, and the member renews");
}

#[test]
fn a_renewal_that_is_refused_leaves_the_member_until_its_gateway_ends_it() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    h.presence("gw", "a1", 1, Presence::Active);
    let refuse = Fn(|_: Time, _: &RegistrationQuestion<'_>| Decision::refused("revoked"));
    let renewal = Event::RegistrationAsked { gateway: gateway("gw"), asked: asking("a1", 1, groups(&["g"])) };
    assert_eq!(h.handle_with(&renewal, &refuse), no("gw", 1));
    assert_eq!(h.member("a1"), Some(("gw".into(), 1)));
    h.end("gw", "a1", 1);
    assert_eq!(h.member("a1"), None);
}

#[test]
fn a_member_that_renews_is_not_put_on_the_approval_list() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    let manual = Fn(|_: Time, question: &RegistrationQuestion<'_>| Decision::Pending {
        groups: question.asked.groups.clone(),
        lease: LEASE,
    });
    let renewal = Event::RegistrationAsked { gateway: gateway("gw"), asked: asking("a1", 1, groups(&["g"])) };
    assert_eq!(h.handle_with(&renewal, &manual), yes("gw", 1));
    assert!(h.configurations.approvals().is_empty());
}

#[test]
fn groups_that_were_not_asked_for_do_not_count() {
    let mut h = Harness::default();
    let generous = |ids: &'static [&'static str]| {
        Fn(move |_: Time, _: &RegistrationQuestion<'_>| Decision::Authorized { groups: groups(ids), lease: LEASE })
    };
    let ask = |registration| Event::RegistrationAsked {
        gateway: gateway("gw"),
        asked: asking("a1", registration, groups(&["g", "h"])),
    };
    assert_eq!(h.handle_with(&ask(1), &generous(&["h", "vault"])), yes("gw", 1));
    assert_eq!(h.groups(), ["h"]);
    assert_eq!(h.handle_with(&ask(2), &generous(&["vault"])), no("gw", 2));
}

#[test]
fn an_approval_answers_what_waits_and_is_remembered() {
    let mut h = Harness::default();
    assert_eq!(h.ask("gw", "m1", 1), []);
    assert_eq!(h.ask("gw", "m1", 1), [], "it goes on waiting");
    assert_eq!(h.member("m1"), None);
    h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).expect("it has asked");
    assert_eq!(h.answers(), yes("gw", 1));
    assert_eq!(h.member("m1"), Some(("gw".into(), 1)));
    h.end("gw", "m1", 1);
    assert_eq!(h.ask("gw", "m1", 2), yes("gw", 2));
}

#[test]
fn an_asking_that_ended_while_it_waited_stays_on_the_list_but_is_not_answered() {
    let mut h = Harness::default();
    h.ask("gw", "m1", 1);
    h.end("gw", "m1", 1);
    assert!(!h.configurations.is_pending(&peripheral("m1")));
    assert_eq!(h.configurations.approvals()[&peripheral("m1")].state, ApprovalState::Waiting);
    h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).expect("it has asked");
    assert_eq!(h.answers(), []);
    assert_eq!(h.ask("gw", "m1", 2), yes("gw", 2));
}

#[test]
fn an_approval_is_for_the_groups_that_were_asked_for() {
    let mut h = Harness::default();
    h.ask("gw", "m1", 1);
    h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).expect("it has asked");
    h.end("gw", "m1", 1);
    let more = Event::RegistrationAsked { gateway: gateway("gw"), asked: asking("m1", 2, groups(&["g", "vault"])) };
    assert_eq!(h.handle(&more), []);
    assert_eq!(h.configurations.approvals()[&peripheral("m1")].state, ApprovalState::Waiting);
}

#[test]
fn a_person_refuses_whatever_the_authorizer_says_until_that_is_taken_back() {
    let mut h = Harness::default();
    h.ask("gw", "m1", 1);
    h.configurations.refuse(Time::ZERO, &peripheral("m1"), &mut h.changes);
    assert_eq!(h.answers(), no("gw", 1));
    h.configurations.refuse(Time::ZERO, &peripheral("a1"), &mut h.changes);
    assert_eq!(h.ask("gw", "a1", 2), no("gw", 2));
    assert!(h.configurations.withdraw(&peripheral("a1"), &mut h.changes));
    assert!(!h.configurations.withdraw(&peripheral("a1"), &mut h.changes));
    assert_eq!(h.ask("gw", "a1", 3), yes("gw", 3));
}

#[test]
fn an_approval_without_an_asking_is_an_error() {
    let mut h = Harness::default();
    assert!(h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).is_err());
    h.configurations.refuse(Time::ZERO, &peripheral("m1"), &mut h.changes);
    assert!(h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).is_err());
}

#[test]
fn who_registers_elsewhere_waits_no_longer() {
    let mut h = Harness::default();
    h.ask("a", "m1", 1);
    h.ask("b", "m1", 1);
    h.configurations.approve(Time::ZERO, &peripheral("m1"), &mut h.changes).expect("it has asked");
    assert_eq!(h.answers(), [no("a", 1), yes("b", 1)].concat());
}

#[test]
fn the_list_of_those_that_wait_for_approval_is_bounded() {
    let mut h = Harness::default();
    for number in 0..limits::APPROVALS_WAITING_MAX as u64 {
        assert_eq!(h.ask("gw", &format!("m{number}"), number), []);
    }
    assert_eq!(h.ask("gw", "m-late", 1), no("gw", 1));
    h.end("gw", "m0", 0);
    assert_eq!(h.ask("gw", "m0", 77), [], "who is on the list may ask again");
    h.configurations.withdraw(&peripheral("m1"), &mut h.changes);
    h.changes.clear();
    assert_eq!(h.ask("gw", "m-late", 2), []);
}

#[test]
fn a_snapshot_takes_the_place_of_what_was_known() {
    let mut h = Harness::default();
    h.ask("gw", "a1", 1);
    h.ask("gw", "a2", 2);
    h.ask("gw", "m1", 3);
    h.ask("gw", "m2", 4);
    h.presence("gw", "a1", 1, Presence::Active);
    let asked = |id: &str, registration| {
        let asked = asking(id, registration, groups(&["g"]));
        Event::RegistrationAsked { gateway: gateway("gw"), asked }
    };
    let snapshot = [active("gw", "a2", 2, "g"), active("gw", "a3", 8, "h"), asked("m2", 4), asked("a4", 9)];
    h.configurations.rebuild(Time::ZERO, 40, &snapshot, &ByLetter, &mut h.changes);
    assert_eq!(h.answers(), yes("gw", 9), "what awaits a decision is decided");
    assert_eq!(
        (h.member("a1"), h.member("a2"), h.member("a3")),
        (None, Some(("gw".into(), 2)), Some(("gw".into(), 8)))
    );
    assert_eq!(h.groups(), ["g", "h"]);
    assert!(!h.configurations.is_pending(&peripheral("m1")), "its asking is over");
    assert!(h.configurations.is_pending(&peripheral("m2")), "its asking goes on");
    assert_eq!(h.configurations.approvals()[&peripheral("m1")].state, ApprovalState::Waiting);
    assert_eq!(h.configurations.cursor(), 40);
}
