//! Group requests: submitting, receipts, cancelling, closing.

use super::*;
use crate::{Abort, ExpiryCause, FailuresMax, OutcomeKind, RequestError, Totals};

fn completed(memory: &Memory) -> Vec<Totals> {
    let totals = |event: &Event| match event {
        Event::RequestCompleted { totals, .. } => Some(*totals),
        _ => None,
    };
    memory.events().iter().filter_map(totals).collect()
}

/// Closes page by page until nothing is left, and says how many pages it took.
fn close(memory: &mut Memory, request: RequestId, now: Time) -> usize {
    let mut from = None;
    for pages in 1..100 {
        match memory.perform(&Close { request, after: from.take() }, now) {
            Ok(Closed::Partly { after }) => from = after,
            Ok(Closed::Wholly) => return pages,
        }
    }
    panic!("closing never ends");
}

#[test]
fn a_request_goes_to_every_gateway_with_allocations_in_the_group() {
    let mut memory = registered_world();
    let east = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    memory.perform(&submission("all", 2), at(10)).expect("accepted");
    assert_eq!(memory.sent_to("gw1").len(), 2);
    let [DownEntry::Request(request)] = memory.sent_to("gw2")[..] else { panic!("one request") };
    assert_eq!((request.id, request.deadline), (east, at(70)));
}

#[test]
fn a_group_that_no_allocation_names_is_unknown() {
    let mut memory = registered_world();
    assert_eq!(memory.perform(&submission("west", 1), at(10)), Err(SubmitRefusal::UnknownGroup));
    memory.up("gw1", vec![allocated("m2", &["east"])]);
    memory.up("gw1", vec![deregistered("m2", 2, EndCause::User)]);
    assert_eq!(memory.perform(&submission("all", 1), at(10)), Err(SubmitRefusal::UnknownGroup));
}

#[test]
fn a_deadline_out_of_range_is_refused() {
    let mut memory = registered_world();
    for lifespan in [Duration::ZERO, Duration::from_secs(41 * 86_400)] {
        let mut submit = submission("east", 1);
        submit.submitted.lifespan = lifespan;
        let result = memory.perform(&submit, at(10));
        assert_eq!(result, Err(SubmitRefusal::Request(RequestError::Deadline)));
    }
}

#[test]
fn the_same_idempotency_key_is_the_same_request_for_a_day() {
    let mut memory = registered_world();
    let mut submit = submission("east", 1);
    submit.idempotency_key = Some(IdempotencyKey::new("order-66").expect("a key"));
    let first = memory.perform(&submit, at(10)).expect("accepted");
    let mut again = submit.clone();
    again.id = RequestId::compose(at(11), 7);
    assert_eq!(memory.perform(&again, at(11)), Ok(first));
    assert_eq!(memory.requests.len(), 1);
    let mut other = again.clone();
    other.submitted.receipt = Receipt::Executed;
    assert_eq!(memory.perform(&other, at(12)), Err(SubmitRefusal::KeyReused(first)));
    assert_eq!(memory.perform(&other, at(10 + 86_400)), Ok(other.id));
}

#[test]
fn an_idempotency_key_is_short_visible_ascii() {
    for text in ["", "two words", "ü", &"x".repeat(129)] {
        assert_eq!(IdempotencyKey::new(text), Err(IdempotencyKeyError), "{text}");
    }
    assert!(IdempotencyKey::new("x".repeat(128)).is_ok());
}

#[test]
fn an_id_that_is_taken_is_not_given_twice() {
    let mut memory = registered_world();
    memory.perform(&submission("east", 1), at(10)).expect("accepted");
    assert_eq!(memory.perform(&submission("east", 1), at(10)), Err(SubmitRefusal::IdTaken));
}

#[test]
fn a_request_is_complete_once_when_every_member_of_every_gateway_has_its_outcome() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &["m1"], false), receipts(request, &[("m1", Outcome::Delivered)])]);
    assert!(completed(&memory).is_empty());
    memory.up("gw1", vec![members_fixed(request, &["m2"], true), receipts(request, &[("m2", Outcome::Left)])]);
    assert!(completed(&memory).is_empty());
    memory.up("gw2", vec![members_fixed(request, &["m3"], true), receipts(request, &[("m3", Outcome::Delivered)])]);
    assert_eq!(completed(&memory), [Totals { members: 3, delivered: 2, left: 1, ..Totals::default() }]);
    memory.up("gw2", vec![members_fixed(request, &["m4"], true), receipts(request, &[("m3", Outcome::Left)])]);
    assert_eq!(completed(&memory).len(), 1);
    assert_eq!(memory.requests[&request].totals.members, 3);
}

#[test]
fn a_request_without_members_is_complete_as_soon_as_its_gateways_say_so() {
    let mut memory = world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &[], true)]);
    memory.up("gw2", vec![members_fixed(request, &[], true)]);
    assert_eq!(completed(&memory), [Totals::default()]);
}

#[test]
fn the_first_outcome_of_a_member_stands_and_others_have_none() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &["m2", "m1"], true)]);
    memory.forget_logs();
    let twice = receipts(request, &[("m2", Outcome::Delivered), ("m2", Outcome::Left), ("m7", Outcome::Left)]);
    memory.up("gw1", vec![twice, receipts(request, &[("m2", Outcome::Cancelled)])]);
    assert_eq!(memory.requests[&request].totals.settled(), 1);
    assert_eq!(memory.requests[&request].totals.count(OutcomeKind::Delivered), 1);
    let [Event::Receipts { receipts, .. }] = &memory.events()[..] else { panic!("one event: {:?}", memory.events()) };
    assert_eq!(receipts.len(), 1);
}

#[test]
fn receipts_of_a_gateway_that_has_no_part_in_the_request_count_for_nothing() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    let entries = vec![members_fixed(request, &["m3"], true), receipts(request, &[("m3", Outcome::Delivered)])];
    memory.up("gw2", entries);
    assert_eq!(memory.requests[&request].totals, Totals::default());
}

#[test]
fn cancelling_tells_every_gateway_once_and_members_settle_as_reported() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    memory.forget_logs();
    let cancel = Cancel { application: application(), request };
    assert_eq!(memory.perform(&cancel, at(11)), Ok(()));
    assert_eq!(memory.perform(&cancel, at(11)), Ok(()));
    assert_eq!(memory.sent_to("gw1"), [&DownEntry::Cancel { request, cause: StopCause::Cancelled }]);
    assert_eq!(memory.sent_to("gw2"), [&DownEntry::Cancel { request, cause: StopCause::Cancelled }]);
    let outcomes = [("m1", Outcome::Delivered), ("m2", Outcome::Cancelled)];
    memory.up("gw1", vec![members_fixed(request, &["m1", "m2"], true), receipts(request, &outcomes)]);
    memory.up("gw2", vec![members_fixed(request, &["m3"], true), receipts(request, &[("m3", Outcome::Cancelled)])]);
    assert_eq!(completed(&memory), [Totals { members: 3, delivered: 1, cancelled: 2, ..Totals::default() }]);
}

/// A request for group east that bears half of its members failing, once two have ended.
fn bearing_half(memory: &mut Memory) -> RequestId {
    let mut submit = submission("east", 1);
    submit.submitted.abort = Some(Abort { failures: FailuresMax::Percentage(50), minimum: 2 });
    let request = memory.perform(&submit, at(10)).expect("accepted");
    memory.forget_logs();
    request
}

#[test]
fn failures_at_all_gateways_together_abort_a_request_once() {
    let mut memory = registered_world();
    let request = bearing_half(&mut memory);
    let failed = || Outcome::Failed { reason: "silent".into() };
    memory.up("gw1", vec![members_fixed(request, &["m1", "m2"], true), receipts(request, &[("m1", failed())])]);
    assert!(memory.down.is_empty());
    let refused = Outcome::Refused { code: "4.05".into(), reason: "no".into() };
    memory.up("gw2", vec![members_fixed(request, &["m3"], true), receipts(request, &[("m3", refused)])]);
    let told = [&DownEntry::Cancel { request, cause: StopCause::Aborted }];
    assert_eq!((memory.sent_to("gw1"), memory.sent_to("gw2")), (told.to_vec(), told.to_vec()));
    memory.forget_logs();
    memory.up("gw1", vec![receipts(request, &[("m2", Outcome::Aborted)])]);
    assert!(memory.down.is_empty());
    let ended = Totals { members: 3, failed: 1, refused: 1, aborted: 1, ..Totals::default() };
    assert_eq!(completed(&memory), [ended]);
}

#[test]
fn members_that_are_served_keep_a_request_from_being_aborted() {
    let mut memory = registered_world();
    let request = bearing_half(&mut memory);
    let failed = Outcome::Failed { reason: "silent".into() };
    let outcomes = [("m1", Outcome::Delivered), ("m2", failed)];
    memory.up("gw1", vec![members_fixed(request, &["m1", "m2"], true), receipts(request, &outcomes)]);
    assert!(memory.down.is_empty());
    assert_eq!(memory.requests[&request].state, RequestState::Open);
}

#[test]
fn every_gateway_of_a_group_is_told_to_activate_its_members_or_to_put_them_into_standby() {
    let mut memory = registered_world();
    memory.forget_logs();
    let direct =
        |in_group: &str, direction| DirectGroup { application: application(), group: group(in_group), direction };
    assert_eq!(memory.perform(&direct("east", GroupDirection::Activate), at(10)), Ok(()));
    let (application, in_group) = (application(), group("east"));
    let entry = DownEntry::ActivateGroup { application, group: in_group };
    assert_eq!((memory.sent_to("gw1"), memory.sent_to("gw2")), (vec![&entry], vec![&entry]));
    let unknown = memory.perform(&direct("nowhere", GroupDirection::Standby), at(10));
    assert_eq!(unknown, Err(DirectGroupRefusal::UnknownGroup));
}

#[test]
fn another_applications_request_cannot_be_cancelled() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    let cancel = Cancel { application: "other".parse().expect("an application id"), request };
    assert_eq!(memory.perform(&cancel, at(11)), Err(CancelRefusal::UnknownRequest));
}

#[test]
fn a_request_is_not_closed_before_its_deadline_and_the_grace_are_over() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    let before = memory.clone();
    assert_eq!(memory.perform(&Close { request, after: None }, at(71)), Ok(Closed::Wholly));
    assert_eq!(memory, before);
}

#[test]
fn at_the_deadline_the_rest_expires_and_a_silent_gateway_is_taken_by_the_record() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("east", 1), at(10)).expect("accepted");
    memory.up("gw1", vec![members_fixed(request, &["m1"], false), receipts(request, &[("m1", Outcome::Delivered)])]);
    close(&mut memory, request, at(72));
    assert_eq!(completed(&memory), [Totals { members: 3, delivered: 1, expired: 2, ..Totals::default() }]);
    let offline = Outcome::Expired { cause: ExpiryCause::GatewayOffline };
    let ended = |at: &str, name: &str| {
        let (outcome, _) = memory.members[&(request, gateway(at), peripheral(name))].outcome.clone()?;
        Some(outcome)
    };
    assert_eq!(ended("gw1", "m1"), Some(Outcome::Delivered));
    assert_eq!(ended("gw1", "m2"), Some(offline.clone()));
    assert_eq!(ended("gw2", "m3"), Some(offline));
}

#[test]
fn a_request_without_members_is_closed_with_its_last_silent_gateway() {
    let mut memory = world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    let close = Close { request, after: None };
    assert_eq!(memory.perform(&close, at(72)), Ok(Closed::Partly { after: None }));
    assert_eq!(completed(&memory), [Totals::default()]);
}

#[test]
fn a_large_group_is_closed_page_by_page() {
    let mut memory = world();
    let names: Vec<String> = (0..CLOSING_PAGE * 2 + 1).map(|number| format!("n{number}")).collect();
    for name in &names {
        memory.up("gw1", vec![allocated(name, &["large"]), present(name, 1, &["large"], Presence::Active)]);
    }
    memory.forget_logs();
    let request = memory.perform(&submission("large", 1), at(10)).expect("accepted");
    let pages = close(&mut memory, request, at(72));
    assert_eq!(pages, 6);
    let totals = completed(&memory);
    assert_eq!(totals.len(), 1);
    assert_eq!((totals[0].members, totals[0].expired), (2_001, 2_001));
}

#[test]
fn what_a_gateway_reports_while_its_request_is_being_closed_still_counts() {
    let mut memory = registered_world();
    let request = memory.perform(&submission("all", 1), at(10)).expect("accepted");
    assert_eq!(memory.perform(&Close { request, after: None }, at(72)), Ok(Closed::Partly { after: None }));
    memory.up("gw1", vec![receipts(request, &[("m2", Outcome::Delivered)])]);
    assert_eq!(completed(&memory), [Totals { members: 1, delivered: 1, ..Totals::default() }]);
    assert_eq!(memory.perform(&Close { request, after: None }, at(72)), Ok(Closed::Wholly));
    assert_eq!(completed(&memory).len(), 1);
}

#[test]
fn a_gateway_that_comes_to_have_allocations_in_the_group_gets_a_request_that_includes_late_joiners() {
    let mut memory = registered_world();
    memory.add_gateway(gateway("gw3"));
    memory
        .perform(&Nest { application: application(), outer: group("site"), inner: group("east") }, at(9))
        .expect("ok");
    let mut submit = submission("site", 1);
    submit.submitted.late_joiners = LateJoiners::Include;
    let request = memory.perform(&submit, at(10)).expect("accepted");
    memory.perform(&submission("site", 2), at(10)).expect("accepted");
    memory.forget_logs();
    memory.up("gw3", vec![allocated("m4", &["west"]), allocated("m5", &["east"]), allocated("m6", &["east"])]);
    memory.up("gw1", vec![allocated("m7", &["east"])]);
    let [DownEntry::Request(sent)] = memory.sent_to("gw3")[..] else { panic!("one request") };
    assert_eq!((sent.id, &sent.contained), (request, &groups(&["east"])));
    assert!(memory.sent_to("gw1").is_empty());
    assert_eq!(memory.requests[&request].gateways, 3);
    close(&mut memory, request, at(72));
    let counted = completed(&memory);
    assert_eq!(counted.len(), 1);
    assert_eq!(memory.requests[&request].state, RequestState::Complete);
}

#[test]
fn a_gateway_that_comes_after_the_deadline_or_the_end_gets_nothing() {
    let mut memory = registered_world();
    memory.add_gateway(gateway("gw3"));
    let submit = |id| {
        let mut submit = submission("east", id);
        submit.submitted.late_joiners = LateJoiners::Include;
        submit.submitted.lifespan = Duration::from_millis(1_000);
        submit
    };
    let cancelled = memory.perform(&submit(1), at(0)).expect("accepted");
    memory.perform(&Cancel { application: application(), request: cancelled }, at(0)).expect("cancelled");
    memory.perform(&submit(2), at(0)).expect("accepted");
    memory.forget_logs();
    memory.up("gw3", vec![allocated("m5", &["east"])]);
    assert!(memory.sent_to("gw3").is_empty());
}
