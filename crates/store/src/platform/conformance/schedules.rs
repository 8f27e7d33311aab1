//! Schedules.

use bugle_core::limits;
use bugle_core::platform::{
    CancelSchedule, Fire, Fired, PutSchedule, Recurrence, ScheduleKey, ScheduleRow, Timing, UnknownSchedule,
};

use super::*;

fn key(name: &str) -> ScheduleKey {
    (application(), name.parse().expect("a schedule id"))
}

fn soon(seconds: u64) -> Time {
    NOW + Duration::from_secs(seconds)
}

fn put(name: &str, timing: Timing, first_due: Time) -> PutSchedule {
    PutSchedule { key: key(name), submitted: submission(1).submitted, timing, first_due }
}

fn world(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
}

fn fire(store: &PlatformStore, name: &str, due: Time, number: u32, next_due: Option<Time>) -> RequestId {
    let Submit { id, submitted, .. } = submission(number);
    let fired = perform(store, Fire { key: key(name), due, submitted, id, next_due }, due);
    assert_eq!(fired, Fired::Accepted(id));
    id
}

pub(super) fn a_schedule_is_kept_until_it_is_cancelled(store: &PlatformStore) {
    world(store);
    let recurrence = Recurrence { cron: "*/5 * * * *".into(), time_zone: "Europe/Vienna".into() };
    let timing = Timing::Recurring { recurrence, not_before: Some(soon(5)) };
    perform(store, put("b", timing.clone(), soon(9)), NOW);
    perform(store, put("a", Timing::Once(soon(7)), soon(7)), NOW);
    let find = |name: &str| store.schedule(&key(name)).wait().expect("read");
    let kept = ScheduleRow {
        submitted: submission(1).submitted,
        timing,
        created_at: NOW,
        next_due: Some(soon(9)),
        last: None,
    };
    assert_eq!(find("b"), Some(kept));
    let request = fire(store, "b", soon(9), 1, Some(soon(20)));
    let row = find("b").expect("it is there");
    assert_eq!((row.next_due, row.last.and_then(|last| last.request)), (Some(soon(20)), Some(request)));
    let record = store.request(&application(), request).wait().expect("read").expect("there");
    assert_eq!(record.row.schedule, Some(key("b").1));
    let list = |after: &str, limit| -> Vec<String> {
        let page = store.schedules(&application(), after.to_owned(), limit).wait().expect("read");
        page.into_iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(
        (list("", 9), list("a", 9), list("", 1)),
        (vec!["a".into(), "b".into()], vec!["b".into()], vec!["a".into()])
    );
    perform(store, CancelSchedule { key: key("b") }, NOW);
    assert_eq!(find("b"), None);
    let again = store.perform(CancelSchedule { key: key("b") }, NOW).wait();
    assert!(matches!(again, Err(Failure::Refused(UnknownSchedule))));
}

pub(super) fn the_next_schedule_is_the_one_that_is_due_first(store: &PlatformStore) {
    world(store);
    let next = || store.next_schedule().wait().expect("read").map(|(key, _, due)| (key.1.to_string(), due));
    assert_eq!(next(), None);
    perform(store, put("late", Timing::Once(soon(9)), soon(9)), NOW);
    perform(store, put("early", Timing::Once(soon(7)), soon(7)), NOW);
    assert_eq!(next(), Some(("early".into(), soon(7))));
    fire(store, "early", soon(7), 1, None);
    assert_eq!(next(), Some(("late".into(), soon(9))));
    fire(store, "late", soon(9), 2, None);
    assert_eq!(next(), None);
}

pub(super) fn a_schedule_that_is_over_is_forgotten_after_a_while(store: &PlatformStore) {
    world(store);
    perform(store, put("once", Timing::Once(soon(7)), soon(7)), NOW);
    perform(store, put("to-come", Timing::Once(soon(9)), soon(9)), NOW);
    fire(store, "once", soon(7), 1, None);
    let names = |now| -> Vec<String> {
        store.forget(now).wait().expect("forgets");
        let page = store.schedules(&application(), String::new(), 9).wait().expect("read");
        page.into_iter().map(|(id, _)| id.to_string()).collect()
    };
    assert_eq!(names(soon(7) + limits::REQUEST_KEPT), ["once", "to-come"]);
    assert_eq!(names(soon(8) + limits::REQUEST_KEPT), ["to-come"]);
}
