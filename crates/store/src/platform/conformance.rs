//! What every store of the platform does, whatever it is built on.
//!
//! Each check is a function over a store that is empty; a backend runs them all by naming itself in
//! [`conformance`].

mod access;
mod closing;
mod logs;
mod nesting;
mod requests;
mod rows;
mod schedules;
mod standing;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use bugle_core::platform::{Applied, ApplyUp, Procedure, Submit, Submitted};
use bugle_core::{
    Abort, Activation, AllocationNotice, ApplicationId, Content, Deregistered, Description, EndCause, Event, Evidence,
    FailuresMax, GatewayId, GroupId, InitialState, LateJoiners, MemberOutcome, Operation, Origin, Outcome, Pacing,
    PeripheralId, Presence, PresenceChanged, Priority, Protocol, Receipt, RegistrationAsked, RegistrationId, RequestId,
    Sleepers, Time, UpEntry, Wakes,
};

use super::{Failure, Performed, PlatformStore};

macro_rules! conformance {
    ($backend:ident, $open:expr, $($module:ident::$check:ident,)*) => {
        mod $backend {
            $(
                #[test]
                fn $check() {
                    let (store, _kept) = $open;
                    super::$module::$check(&store);
                }
            )*
        }
    };
}

conformance! {
    sqlite, crate::platform::conformance::open_sqlite(),
    access::a_token_is_found_by_its_secret_alone_until_it_is_removed,
    access::an_enrolment_token_serves_once_and_the_latest_only,
    access::a_token_of_an_unknown_application_is_not_added,
    closing::a_silent_gateway_is_taken_by_the_record_page_by_page,
    closing::the_next_deadline_is_that_of_a_request_that_is_not_complete,
    closing::what_is_over_age_is_forgotten_a_page_at_a_time,
    logs::events_are_numbered_from_one_without_gaps_for_each_application,
    logs::a_down_log_is_read_after_any_entry_and_goes_as_it_is_acknowledged,
    logs::a_request_that_is_no_longer_kept_leaves_no_gap_in_a_down_log,
    logs::a_page_of_large_events_is_cut_short,
    logs::events_of_other_kinds_are_passed_over,
    nesting::a_group_is_shown_with_what_lies_in_it_and_around_it,
    nesting::members_of_a_group_that_contains_groups_are_listed_once,
    nesting::a_request_keeps_what_its_group_contained,
    nesting::a_circle_of_groups_is_refused,
    requests::every_outcome_is_kept_with_its_detail,
    requests::members_are_listed_by_outcome_in_pages,
    requests::members_are_kept_with_where_they_were_seen_on_the_way,
    requests::an_event_has_its_receipts_as_they_came,
    requests::receipts_find_their_members_wherever_these_lie,
    requests::members_are_added_among_those_that_are_there,
    requests::many_members_are_found_and_listed_whatever_is_known_of_them,
    requests::requests_are_listed_the_latest_first,
    requests::an_idempotency_key_is_remembered,
    requests::a_request_that_includes_late_joiners_is_kept_as_one,
    requests::a_request_that_includes_late_joiners_goes_to_gateways_that_come_later,
    rows::a_peripheral_is_kept_with_all_that_is_known_of_it,
    rows::a_snapshot_holds_who_is_registered_and_who_awaits_a_decision,
    rows::peripherals_are_listed_by_every_filter_in_pages,
    rows::groups_are_counted_and_vanish_with_their_last_allocation,
    requests::failures_at_several_gateways_abort_the_rest,
    rows::a_peripheral_may_go_over_to_another_application,
    rows::entries_that_are_refused_change_nothing,
    rows::strangers_are_bounded_and_the_latest_come_first,
    schedules::a_schedule_is_kept_until_it_is_cancelled,
    schedules::the_next_schedule_is_the_one_that_is_due_first,
    schedules::a_schedule_that_is_over_is_forgotten_after_a_while,
    standing::members_stand_as_on_record,
    standing::what_wakes_a_member_is_on_record,
    standing::a_member_of_several_groups_stands_once,
}

fn open_sqlite() -> (PlatformStore, tempfile::TempDir) {
    let folder = tempfile::TempDir::new().expect("a folder");
    let store = PlatformStore::open(&folder.path().join("platform.db")).expect("opens");
    (store, folder)
}

#[test]
fn a_store_that_was_closed_goes_on_where_it_was() {
    let folder = tempfile::TempDir::new().expect("a folder");
    let path = folder.path().join("platform.db");
    let store = PlatformStore::open(&path).expect("opens");
    add_gateway(&store, "gw1");
    up(&store, "gw1", 1, vec![allocated("m1", &["east"])]);
    drop(store);
    let store = PlatformStore::open(&path).expect("opens again");
    let applied = up(&store, "gw1", 1, vec![allocated("m1", &["east"]), allocated("m2", &["east"])]);
    assert_eq!(applied.up_applied, 2);
}

const NOW: Time = Time::from_millis(1_700_000_000_000);

fn gateway(text: &str) -> GatewayId {
    text.parse().expect("a gateway id")
}

fn peripheral(text: &str) -> PeripheralId {
    text.parse().expect("a peripheral id")
}

fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

fn group(text: &str) -> GroupId {
    text.parse().expect("a group id")
}

fn groups(texts: &[&str]) -> BTreeSet<GroupId> {
    texts.iter().map(|text| group(text)).collect()
}

fn add_gateway(store: &PlatformStore, id: &str) {
    let hash = std::array::from_fn(|index| id.as_bytes().get(index).copied().unwrap_or_default());
    store.add_enrollment(hash, &gateway(id), NOW + Duration::from_secs(60), NOW).wait().expect("stored");
}

fn perform<P>(store: &PlatformStore, procedure: P, now: Time) -> P::Answer
where
    P: Procedure + Send + 'static,
    P::Answer: Send + 'static,
    P::Refusal: Send + std::fmt::Debug + 'static,
{
    let performed: Result<Performed<P::Answer>, Failure<P::Refusal>> = store.perform(procedure, now).wait();
    performed.expect("performed").answer
}

fn up(store: &PlatformStore, at: &str, first: u64, entries: Vec<UpEntry>) -> Applied {
    perform(store, ApplyUp { gateway: gateway(at), entries: (first..).zip(entries).collect() }, NOW)
}

fn events(store: &PlatformStore, after: u64) -> Vec<Event> {
    let log =
        store.events(&application(), Some(after), None, (1_000, usize::MAX)).wait().expect("read").expect("known");
    log.events.iter().map(|(_, body)| serde_json::from_str(body).expect("an event")).collect()
}

fn allocated(name: &str, in_groups: &[&str]) -> UpEntry {
    UpEntry::Allocated(AllocationNotice {
        peripheral: peripheral(name),
        application: application(),
        groups: groups(in_groups),
        initial_state: InitialState::Allocated,
        labels: BTreeMap::from([("floor".to_owned(), "3".to_owned())]),
        origin: Origin::Platform,
        wakes: Some(Wakes::WhenWoken),
    })
}

fn asked(name: &str, registration: u64) -> UpEntry {
    let asked = RegistrationAsked {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        evidence: Evidence { attested: true, ..Evidence::default() },
        description: Description {
            protocol: Protocol::Mqtt5,
            address: "192.0.2.1:5000".into(),
            lifetime: Duration::from_secs(60),
            objects: String::new(),
        },
    };
    UpEntry::RegistrationAsked { application: application(), asked }
}

fn present(name: &str, registration: u64, presence: Presence) -> UpEntry {
    let changed = PresenceChanged {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        presence,
        at: NOW,
    };
    UpEntry::PresenceChanged { application: application(), changed }
}

fn deregistered(name: &str, registration: u64) -> UpEntry {
    let ended = Deregistered {
        peripheral: peripheral(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        cause: EndCause::Peripheral,
        at: NOW,
    };
    UpEntry::Deregistered { application: application(), ended }
}

fn submission(number: u32) -> Submit {
    Submit {
        application: application(),
        id: RequestId::compose(NOW, number),
        idempotency_key: None,
        schedule: None,
        submitted: Submitted {
            group: group("east"),
            operation: Operation::Message { content: Content::text("on") },
            activation: Activation::Percentage(10),
            sleepers: Sleepers::Skip,
            receipt: Receipt::Executed,
            late_joiners: LateJoiners::Exclude,
            lifespan: Duration::from_secs(60),
            priority: Priority::Urgent,
            pacing: Pacing { members_per_second: NonZeroU32::new(7), ..Pacing::default() },
            abort: Some(Abort { failures: FailuresMax::Percentage(50), minimum: 100 }),
            collapse_key: Some("brightness".parse().expect("a collapse key")),
        },
    }
}

fn members_fixed(request: RequestId, names: &[&str]) -> UpEntry {
    UpEntry::MembersFixed { request, members: names.iter().map(|name| peripheral(name)).collect(), is_last: true }
}

fn receipts(request: RequestId, outcomes: Vec<(&str, Outcome)>) -> UpEntry {
    let receipt = |(name, outcome): (&str, Outcome)| MemberOutcome {
        peripheral: peripheral(name),
        outcome,
        at: NOW,
        seen: Vec::new(),
    };
    UpEntry::Receipts { request, receipts: outcomes.into_iter().map(receipt).collect() }
}
