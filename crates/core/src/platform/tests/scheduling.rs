//! Scheduled group requests.

use super::*;
use crate::limits;

fn key(name: &str) -> ScheduleKey {
    (application(), name.parse().expect("a schedule id"))
}

fn once(name: &str, seconds: u64) -> PutSchedule {
    let submitted = submission("east", 1).submitted;
    PutSchedule { key: key(name), submitted, timing: Timing::Once(at(seconds)), first_due: at(seconds) }
}

/// Every hundred seconds, as the caller has worked out.
fn recurring(name: &str) -> PutSchedule {
    let recurrence = Recurrence { cron: "*/5 * * * *".into(), time_zone: "UTC".into() };
    let timing = Timing::Recurring { recurrence, not_before: None };
    PutSchedule { timing, first_due: at(100), ..once(name, 100) }
}

fn fire(name: &str, due: u64, id: u32, next_due: Option<u64>) -> Fire {
    let submit = submission("east", id);
    Fire { key: key(name), due: at(due), submitted: submit.submitted, id: submit.id, next_due: next_due.map(at) }
}

fn put(memory: &mut Memory, put: &PutSchedule) {
    memory.perform(put, at(10)).expect("it is in order");
}

#[test]
fn a_schedule_fires_once_for_each_due_time() {
    let mut memory = registered_world();
    put(&mut memory, &recurring("s"));
    let first = fire("s", 100, 1, Some(200));
    assert_eq!(memory.perform(&first, at(99)), Ok(Fired::Stale), "it is not due yet");
    assert_eq!(memory.perform(&first, at(100)), Ok(Fired::Accepted(first.id)));
    let again = fire("s", 100, 2, Some(200));
    assert_eq!(memory.perform(&again, at(101)), Ok(Fired::Stale), "another node of the platform was faster");
    let second = fire("s", 200, 3, Some(300));
    assert_eq!(memory.perform(&second, at(200)), Ok(Fired::Accepted(second.id)));
    assert_eq!(memory.requests.len(), 2);
    let row = &memory.schedules[&key("s")];
    assert_eq!((row.next_due, row.last.as_ref().and_then(|last| last.request)), (Some(at(300)), Some(second.id)));
    assert_eq!(memory.requests[&second.id].schedule, Some(key("s").1));
}

#[test]
fn a_schedule_for_once_is_over_when_it_has_fired() {
    let mut memory = registered_world();
    put(&mut memory, &once("s", 100));
    memory.perform(&fire("s", 100, 1, None), at(500)).expect("accepted, late as it is");
    assert_eq!(memory.schedules[&key("s")].next_due, None);
    put(&mut memory, &once("s", 100));
    assert_eq!(memory.schedules[&key("s")].next_due, None, "the same put again is the same");
    put(&mut memory, &once("s", 600));
    assert_eq!(memory.schedules[&key("s")].next_due, Some(at(600)), "another is another");
}

#[test]
fn a_request_that_cannot_be_accepted_is_passed_over_and_told() {
    let mut memory = registered_world();
    put(&mut memory, &recurring("s"));
    for (at_gateway, names) in [("gw1", &["m1", "m2"][..]), ("gw2", &["m3"])] {
        for name in names {
            memory.up(at_gateway, vec![deregistered(name, 2, EndCause::User), allocated(name, &["west"])]);
        }
    }
    memory.forget_logs();
    let fired = memory.perform(&fire("s", 100, 1, Some(200)), at(100));
    assert_eq!(fired, Ok(Fired::PassedOver(SubmitRefusal::UnknownGroup)));
    assert!(matches!(&memory.events()[..], [Event::SchedulePassedOver { due, .. }] if *due == at(100)));
    assert_eq!(memory.schedules[&key("s")].next_due, Some(at(200)));
    assert!(memory.requests.is_empty());
}

#[test]
fn a_request_id_that_is_taken_leaves_the_schedule_due() {
    let mut memory = registered_world();
    put(&mut memory, &recurring("s"));
    memory.perform(&submission("east", 1), at(10)).expect("accepted");
    let taken = fire("s", 100, 1, Some(200));
    assert_eq!(memory.perform(&taken, at(100)), Err(taken.id));
    assert_eq!(memory.schedules[&key("s")].next_due, Some(at(100)));
}

#[test]
fn a_schedule_that_was_cancelled_or_replaced_fires_no_more() {
    let mut memory = registered_world();
    put(&mut memory, &recurring("s"));
    let mut other = recurring("s");
    other.submitted.receipt = Receipt::Executed;
    put(&mut memory, &other);
    assert_eq!(memory.perform(&fire("s", 100, 1, Some(200)), at(100)), Ok(Fired::Stale));
    memory.perform(&CancelSchedule { key: key("s") }, at(100)).expect("it is there");
    assert_eq!(memory.perform(&fire("s", 100, 1, Some(200)), at(100)), Ok(Fired::Stale));
    assert_eq!(memory.perform(&CancelSchedule { key: key("s") }, at(100)), Err(UnknownSchedule));
}

#[test]
fn what_no_request_may_be_no_schedule_may_be() {
    let mut memory = registered_world();
    let mut short = once("s", 100);
    short.submitted.lifespan = Duration::ZERO;
    assert!(matches!(memory.perform(&short, at(10)), Err(PutScheduleRefusal::Request(_))));
    let mut nobody = once("s", 100);
    nobody.submitted.group = group("west");
    assert_eq!(memory.perform(&nobody, at(10)), Err(PutScheduleRefusal::UnknownGroup));
    let mut stranger = once("s", 100);
    stranger.key.0 = "other".parse().expect("an application id");
    assert_eq!(memory.perform(&stranger, at(10)), Err(PutScheduleRefusal::UnknownApplication));
}

#[test]
fn an_application_has_so_many_schedules_and_no_more() {
    let mut memory = registered_world();
    for number in 0..limits::SCHEDULES_PER_APPLICATION_MAX {
        put(&mut memory, &once(&format!("s{number}"), 100));
    }
    assert_eq!(memory.perform(&once("t", 100), at(10)), Err(PutScheduleRefusal::TooMany));
    put(&mut memory, &once("s0", 200));
}
