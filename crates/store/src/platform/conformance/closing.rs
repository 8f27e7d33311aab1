//! Deadlines, and what is over age.

use bugle_core::limits;
use bugle_core::platform::{CLOSING_PAGE, Close, Closed, IdempotencyKey, RequestState};

use super::*;
use crate::platform::{MemberCursor, MembersShown};

const MEMBERS: usize = CLOSING_PAGE * 2 + 1;

fn world(store: &PlatformStore) {
    add_gateway(store, "gw1");
    let entries = (0..MEMBERS).flat_map(|number| {
        let name = format!("m{number}");
        [allocated(&name, &["east"]), present(&name, 1, Presence::Active)]
    });
    up(store, "gw1", 1, entries.collect());
}

pub(super) fn a_silent_gateway_is_taken_by_the_record_page_by_page(store: &PlatformStore) {
    world(store);
    let request = perform(store, submission(1), NOW);
    let due = NOW + Duration::from_secs(60) + limits::DEADLINE_GRACE;
    let mut after = None;
    let mut pages = 0;
    while let Closed::Partly { after: next } = perform(store, Close { request, after: after.take() }, due) {
        after = next;
        pages += 1;
    }
    assert_eq!(pages, 5);
    let row = store.request(&application(), request).wait().expect("read").expect("there").row;
    assert_eq!((row.state, row.completed_at), (RequestState::Complete, Some(due)));
    assert_eq!((row.totals.members, row.totals.expired), (MEMBERS as u64, MEMBERS as u64));
    let waiting = store.members(request, MembersShown::Waiting, MemberCursor::default(), 9).wait();
    assert_eq!(waiting, Ok(Vec::new()));
}

pub(super) fn the_next_deadline_is_that_of_a_request_that_is_not_complete(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
    assert_eq!(store.next_deadline().wait(), Ok(None));
    let late = perform(store, submission(1), NOW);
    let mut sooner = submission(2);
    sooner.submitted.lifespan = Duration::from_secs(5);
    let soon = perform(store, sooner, NOW);
    assert_eq!(store.next_deadline().wait(), Ok(Some((soon, NOW + Duration::from_secs(5)))));
    up(store, "gw1", 2, vec![members_fixed(soon, &[])]);
    assert_eq!(store.next_deadline().wait(), Ok(Some((late, NOW + Duration::from_secs(60)))));
}

pub(super) fn what_is_over_age_is_forgotten_a_page_at_a_time(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
    let key = Some(IdempotencyKey::new("k").expect("a key"));
    let request = perform(store, Submit { idempotency_key: key.clone(), ..submission(1) }, NOW);
    let names: Vec<String> = (0..6_000).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let outcomes = names.iter().map(|name| (*name, Outcome::Delivered)).collect();
    up(store, "gw1", 2, vec![members_fixed(request, &names), receipts(request, outcomes)]);
    let young = NOW + limits::IDEMPOTENCY_KEPT;
    assert_eq!(store.forget(young).wait(), Ok(false));
    assert!(store.request(&application(), request).wait().expect("read").is_some());
    let old = NOW + limits::REQUEST_KEPT + Duration::from_secs(1);
    let mut pages = 0;
    while store.forget(old).wait().expect("stored") {
        pages += 1;
    }
    assert_eq!(pages, 2);
    assert_eq!(store.request(&application(), request).wait(), Ok(None));
    let members = store.members(request, MembersShown::All, MemberCursor::default(), 9).wait();
    assert_eq!(members, Ok(Vec::new()));
    let again = perform(store, Submit { idempotency_key: key, ..submission(2) }, old);
    assert_ne!(again, request);
}
