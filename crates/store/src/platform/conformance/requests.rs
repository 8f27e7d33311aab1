//! Group requests and their members.

use bugle_core::platform::{Cancel, IdempotencyKey, RequestState, SubmitRefusal};
use bugle_core::{
    DownEntry, EventKind, ExpiryCause, MemberProgress, OutcomeKind, Sighting, Stage, StopCause, Totals, limits,
};

use super::*;
use crate::platform::{MemberCursor, MembersShown};

fn world(store: &PlatformStore) {
    add_gateway(store, "gw1");
    up(store, "gw1", 1, vec![allocated("m1", &["east"])]);
}

pub(super) fn every_outcome_is_kept_with_its_detail(store: &PlatformStore) {
    world(store);
    let id = perform(store, submission(1), NOW);
    let outcomes = vec![
        ("a", Outcome::Executed { answer: Content { content_type: "x/y".into(), bytes: vec![0xff, 0] } }),
        ("b", Outcome::Delivered),
        ("c", Outcome::Refused { code: "4.05".into(), reason: "no".into() }),
        ("d", Outcome::Failed { reason: "silent".into() }),
        ("e", Outcome::Expired { cause: ExpiryCause::Asleep }),
        ("f", Outcome::Skipped),
        ("g", Outcome::Left),
        ("h", Outcome::Cancelled),
        ("i", Outcome::Aborted),
        ("j", Outcome::Replaced),
    ];
    let names: Vec<_> = outcomes.iter().map(|(name, _)| *name).collect();
    up(store, "gw1", 2, vec![members_fixed(id, &names), receipts(id, outcomes.clone())]);
    let members = store.members(id, MembersShown::All, MemberCursor::default(), 100).wait().expect("read");
    let kept: Vec<_> = members.into_iter().map(|(_, (_, name, member))| (name, member.outcome)).collect();
    let sent: Vec<_> = outcomes.into_iter().map(|(name, outcome)| (peripheral(name), Some((outcome, NOW)))).collect();
    assert_eq!(kept, sent);
    let request = store.request(&application(), id).wait().expect("read").expect("there");
    let each = Totals {
        members: 10,
        executed: 1,
        delivered: 1,
        refused: 1,
        failed: 1,
        expired: 1,
        skipped: 1,
        left: 1,
        cancelled: 1,
        aborted: 1,
        replaced: 1,
    };
    assert_eq!((request.row.state, request.row.totals), (RequestState::Complete, each));
    assert_eq!(request.submitted, submission(1).submitted);
    let other = "other".parse().expect("an application id");
    assert_eq!(store.request(&other, id).wait(), Ok(None));
}

pub(super) fn members_are_listed_by_outcome_in_pages(store: &PlatformStore) {
    world(store);
    let id = perform(store, submission(1), NOW);
    let outcomes = vec![("b", Outcome::Delivered), ("d", Outcome::Delivered), ("e", Outcome::Left)];
    up(store, "gw1", 2, vec![members_fixed(id, &["a", "b", "c", "d", "e"]), receipts(id, outcomes)]);
    let list = |shown, after: MemberCursor, limit| -> Vec<(MemberCursor, String)> {
        let page = store.members(id, shown, after, limit).wait().expect("read");
        page.into_iter().map(|(cursor, (_, name, _))| (cursor, name.to_string())).collect()
    };
    let names = |page: &[(MemberCursor, String)]| page.iter().map(|(_, name)| name.clone()).collect::<Vec<_>>();
    let first = list(MembersShown::All, MemberCursor::default(), 3);
    assert_eq!(names(&first), ["a", "b", "c"]);
    assert_eq!(names(&list(MembersShown::All, first[2].0.clone(), 3)), ["d", "e"]);
    assert_eq!(names(&list(MembersShown::Waiting, MemberCursor::default(), 9)), ["a", "c"]);
    let delivered = MembersShown::Ended(OutcomeKind::Delivered);
    assert_eq!(names(&list(delivered, first[1].0.clone(), 9)), ["d"]);
}

pub(super) fn members_are_kept_with_where_they_were_seen_on_the_way(store: &PlatformStore) {
    add_gateway(store, "gw2");
    world(store);
    up(store, "gw2", 1, vec![allocated("m9", &["east"]), present("m9", 1, Presence::Active)]);
    let id = perform(store, submission(1), NOW);
    let sighting = |stage, seconds| Sighting { stage, at: NOW + Duration::from_secs(seconds) };
    let seen = vec![sighting(Stage::Asleep, 1), sighting(Stage::Activating, 2)];
    let progress =
        UpEntry::Progress { request: id, members: vec![MemberProgress { peripheral: peripheral("a"), seen }] };
    up(store, "gw1", 2, vec![members_fixed(id, &["a", "b", "c"]), progress]);
    let list = |shown| store.members(id, shown, MemberCursor::default(), 9).wait().expect("read");
    let names = |shown| list(shown).into_iter().map(|(_, (_, name, _))| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(MembersShown::At(Stage::Activating)), ["a"]);
    assert_eq!(names(MembersShown::At(Stage::AtGateway)), ["b", "c"]);
    let receipt = MemberOutcome {
        peripheral: peripheral("a"),
        outcome: Outcome::Delivered,
        at: NOW,
        seen: vec![sighting(Stage::Sent, 3)],
    };
    up(store, "gw1", 4, vec![UpEntry::Receipts { request: id, receipts: vec![receipt] }]);
    assert_eq!(names(MembersShown::At(Stage::Activating)), [] as [&str; 0]);
    let (_, (_, _, member)) = list(MembersShown::Ended(OutcomeKind::Delivered)).remove(0);
    let stages: Vec<_> = member.seen.sightings().map(|seen| seen.stage).collect();
    assert_eq!(stages, [Stage::AtGateway, Stage::Asleep, Stage::Activating, Stage::Sent]);
    assert_eq!(member.seen.sent, Some(NOW + Duration::from_secs(3)));
    let record = store.request(&application(), id).wait().expect("read").expect("there");
    assert_eq!((record.row.stages.at_gateway, record.row.stages.activating), (2, 0));
    assert_eq!(record.accepted, 1, "the other gateway has not told its members");
}

pub(super) fn an_event_has_its_receipts_as_they_came(store: &PlatformStore) {
    world(store);
    let id = perform(store, submission(1), NOW);
    let sighting = |stage| Sighting { stage, at: NOW + Duration::from_secs(1) };
    let receipt = |name, outcome, seen| MemberOutcome { peripheral: peripheral(name), outcome, at: NOW, seen };
    let receipts = vec![
        receipt("a", Outcome::Executed { answer: Content::text("21.5") }, vec![sighting(Stage::Sent)]),
        receipt("b", Outcome::Refused { code: "4.05".into(), reason: "no".into() }, Vec::new()),
    ];
    up(
        store,
        "gw1",
        2,
        vec![members_fixed(id, &["a", "b", "c"]), UpEntry::Receipts { request: id, receipts: receipts.clone() }],
    );
    let of_kind = |event: &Event| matches!(event, Event::Receipts { .. });
    let event = Event::Receipts { request: id, gateway: gateway("gw1"), receipts };
    assert_eq!(events(store, 0).into_iter().find(of_kind).as_ref(), Some(&event));
    let kinds = Some(BTreeSet::from([EventKind::Receipts]));
    let log = store.events(&application(), None, kinds, (9, usize::MAX)).wait().expect("read").expect("known");
    let [(_, body)] = &log.events[..] else { panic!("one: {log:?}") };
    assert_eq!(*body, serde_json::to_string(&event).expect("it is written"));
}

/// Members close together and far apart, peripherals that are none before, between and after them, and the same at
/// another gateway.
pub(super) fn receipts_find_their_members_wherever_these_lie(store: &PlatformStore) {
    world(store);
    add_gateway(store, "gw2");
    up(store, "gw2", 1, vec![allocated("m1", &["east"])]);
    let id = perform(store, submission(1), NOW);
    let even: Vec<String> = (0..100).step_by(2).map(|number| format!("m{number:02}")).collect();
    let even: Vec<&str> = even.iter().map(String::as_str).collect();
    assert_eq!(up(store, "gw1", 2, vec![members_fixed(id, &even)]).ignored, 0);
    assert_eq!(up(store, "gw2", 2, vec![members_fixed(id, &even)]).ignored, 0);
    let names = ["a", "m00", "m01", "m02", "m04", "m40", "m43", "m44", "m96", "m97", "m98", "m99", "z"];
    let delivered = names.map(|name| (name, Outcome::Delivered)).to_vec();
    up(store, "gw1", 3, vec![receipts(id, delivered)]);
    let delivered = MembersShown::Ended(OutcomeKind::Delivered);
    let members = store.members(id, delivered, MemberCursor::default(), 100).wait().expect("read");
    let found: Vec<_> = members.iter().map(|(_, (at, name, _))| (at.as_str(), name.as_str())).collect();
    assert_eq!(found, ["m00", "m02", "m04", "m40", "m44", "m96", "m98"].map(|name| ("gw1", name)));
    let record = store.request(&application(), id).wait().expect("read").expect("there");
    assert_eq!((record.row.totals.members, record.row.totals.delivered), (100, 7));
}

/// As members that register late are told: one by one, among those that are there.
pub(super) fn members_are_added_among_those_that_are_there(store: &PlatformStore) {
    world(store);
    let id = perform(store, submission(1), NOW);
    let told = |names: &[&str]| UpEntry::MembersFixed {
        request: id,
        members: names.iter().map(|name| peripheral(name)).collect(),
        is_last: false,
    };
    up(store, "gw1", 2, vec![told(&["m2", "m4", "m6"])]);
    up(store, "gw1", 3, vec![told(&["m1", "m2", "m3", "m6", "m7"]), told(&["m5", "m7"])]);
    let members = store.members(id, MembersShown::All, MemberCursor::default(), 100).wait().expect("read");
    let names: Vec<_> = members.iter().map(|(_, (_, name, _))| name.as_str()).collect();
    assert_eq!(names, ["m1", "m2", "m3", "m4", "m5", "m6", "m7"]);
    let record = store.request(&application(), id).wait().expect("read").expect("there");
    assert_eq!((record.row.totals.members, record.row.stages.at_gateway), (7, 7));
}

/// Told by the hundred, by the score among these, and singly; of some more is known than that they were told.
pub(super) fn many_members_are_found_and_listed_whatever_is_known_of_them(store: &PlatformStore) {
    world(store);
    add_gateway(store, "gw2");
    up(store, "gw2", 1, vec![allocated("m1", &["east"])]);
    let id = perform(store, submission(1), NOW);
    let peripherals = |numbers: &[u32]| numbers.iter().map(|number| peripheral(&format!("m{number:04}"))).collect();
    let told = |numbers: &[u32]| UpEntry::MembersFixed { request: id, members: peripherals(numbers), is_last: false };
    let even: Vec<u32> = (0..1_200).step_by(2).collect();
    let odd: Vec<u32> = (301..341).step_by(2).collect();
    let behind: Vec<u32> = (2_000..2_040).collect();
    up(store, "gw1", 2, vec![told(&even)]);
    up(store, "gw1", 3, vec![told(&odd), told(&[5, 6]), told(&behind), told(&even)]);
    up(store, "gw2", 2, vec![told(&even)]);
    let mut members = BTreeMap::new();
    for (at, numbers) in [("gw1", [&even[..], &odd, &[5], &behind].concat()), ("gw2", even.clone())] {
        members.extend(numbers.iter().map(|number| ((at, *number), Stage::AtGateway)));
    }
    let asleep: Vec<u32> = (0..2_100).step_by(7).collect();
    let progress = peripherals(&asleep).into_iter().map(|peripheral: PeripheralId| MemberProgress {
        peripheral,
        seen: vec![Sighting { stage: Stage::Asleep, at: NOW + Duration::from_secs(1) }],
    });
    up(store, "gw1", 7, vec![UpEntry::Progress { request: id, members: progress.collect() }]);
    asleep.iter().for_each(|number| {
        members.entry(("gw1", *number)).and_modify(|stage| *stage = Stage::Asleep);
    });
    let ended: Vec<u32> = (0..2_100).step_by(5).collect();
    let names: Vec<String> = ended.iter().map(|number| format!("m{number:04}")).collect();
    let delivered = || names.iter().map(|name| (name.as_str(), Outcome::Delivered)).collect();
    up(store, "gw1", 8, vec![receipts(id, delivered())]);
    up(store, "gw2", 3, vec![receipts(id, delivered()), receipts(id, delivered())]);
    let is_ended = |number: u32| number.is_multiple_of(5);

    let listed = |shown| {
        let (mut listed, mut after) = (Vec::new(), MemberCursor::default());
        loop {
            let page = store.members(id, shown, after.clone(), 97).wait().expect("read");
            let Some((last, _)) = page.last() else { return listed };
            after = last.clone();
            for (_, (at, name, row)) in page {
                assert_eq!(row.seen.at_gateway, Some(NOW));
                listed.push((at.to_string(), name.to_string()));
            }
        }
    };
    let expected = |of: &dyn Fn(u32, Stage) -> bool| -> Vec<_> {
        let members = members.iter().filter(|((_, number), stage)| of(*number, **stage));
        members.map(|((at, number), _)| ((*at).to_owned(), format!("m{number:04}"))).collect()
    };
    assert_eq!(listed(MembersShown::All), expected(&|_, _| true));
    assert_eq!(listed(MembersShown::Waiting), expected(&|number, _| !is_ended(number)));
    for at in [Stage::AtGateway, Stage::Asleep] {
        assert_eq!(listed(MembersShown::At(at)), expected(&|number, stage| !is_ended(number) && stage == at));
    }
    assert_eq!(listed(MembersShown::Ended(OutcomeKind::Delivered)), expected(&|number, _| is_ended(number)));
    let row = store.request(&application(), id).wait().expect("read").expect("there").row;
    let delivered = expected(&|number, _| is_ended(number)).len() as u64;
    assert_eq!((row.totals.members, row.totals.delivered), (members.len() as u64, delivered));
}

pub(super) fn requests_are_listed_the_latest_first(store: &PlatformStore) {
    world(store);
    let ids: Vec<_> = (1..=3).map(|number| perform(store, submission(number), NOW)).collect();
    up(store, "gw1", 2, vec![members_fixed(ids[1], &[])]);
    let list = |group: Option<&str>, state, before| -> Vec<RequestId> {
        let page = store.requests(&application(), group.map(super::group), state, before, 2).wait().expect("read");
        page.into_iter().map(|request| request.id).collect()
    };
    assert_eq!(list(None, None, None), [ids[2], ids[1]]);
    assert_eq!(list(Some("east"), None, Some(ids[1])), [ids[0]]);
    assert_eq!(list(None, Some(RequestState::Open), None), [ids[2], ids[0]]);
    assert_eq!(list(Some("west"), None, None), []);
}

pub(super) fn a_request_that_includes_late_joiners_is_kept_as_one(store: &PlatformStore) {
    world(store);
    let mut submit = submission(1);
    submit.submitted.late_joiners = LateJoiners::Include;
    let id = perform(store, submit.clone(), NOW);
    let record = store.request(&application(), id).wait().expect("read").expect("there");
    assert_eq!(record.submitted, submit.submitted);
    let down = store.down(&gateway("gw1"), 0, 10).wait().expect("read");
    let [(1, DownEntry::Request(request))] = &down[..] else { panic!("a request") };
    assert_eq!(request.late_joiners, LateJoiners::Include);
}

pub(super) fn a_request_that_includes_late_joiners_goes_to_gateways_that_come_later(store: &PlatformStore) {
    world(store);
    add_gateway(store, "gw2");
    let including = |number| {
        let mut submit = submission(number);
        submit.submitted.late_joiners = LateJoiners::Include;
        submit
    };
    let id = perform(store, including(1), NOW);
    let cancelled = perform(store, including(2), NOW);
    perform(store, Cancel { application: application(), request: cancelled }, NOW);
    perform(store, submission(3), NOW);
    up(store, "gw2", 1, vec![allocated("m2", &["west"])]);
    assert_eq!(store.down(&gateway("gw2"), 0, 10).wait(), Ok(Vec::new()));
    up(store, "gw2", 2, vec![allocated("m3", &["east"]), allocated("m4", &["east"])]);
    up(store, "gw2", 4, vec![allocated("m5", &["east"])]);
    let [(1, DownEntry::Request(request))] = &store.down(&gateway("gw2"), 0, 10).wait().expect("read")[..] else {
        panic!("one request")
    };
    assert_eq!((request.id, request.late_joiners), (id, LateJoiners::Include));
    let record = || store.request(&application(), id).wait().expect("read").expect("there").row;
    assert_eq!((record().gateways, record().gateways_fixed), (2, 0));
    up(store, "gw1", 2, vec![members_fixed(id, &["m1"]), receipts(id, vec![("m1", Outcome::Delivered)])]);
    assert_eq!(record().state, RequestState::Open);
    up(store, "gw2", 5, vec![members_fixed(id, &["m3"]), receipts(id, vec![("m3", Outcome::Delivered)])]);
    assert_eq!((record().state, record().totals.delivered), (RequestState::Complete, 2));
}

pub(super) fn an_idempotency_key_is_remembered(store: &PlatformStore) {
    world(store);
    let key = Some(IdempotencyKey::new("k").expect("a key"));
    let first = perform(store, Submit { idempotency_key: key.clone(), ..submission(1) }, NOW);
    assert_eq!(perform(store, Submit { idempotency_key: key.clone(), ..submission(2) }, NOW), first);
    let mut other = Submit { idempotency_key: key, ..submission(3) };
    other.submitted.sleepers = Sleepers::Queue;
    let refused = store.perform(other.clone(), NOW).wait();
    assert!(matches!(refused, Err(Failure::Refused(SubmitRefusal::KeyReused(request))) if request == first));
    // After a day it stands for another, whether or not it was forgotten by then.
    let next_day = NOW + limits::IDEMPOTENCY_KEPT;
    let second = perform(store, other.clone(), next_day);
    assert_ne!(second, first);
    let later = Submit { id: submission(4).id, ..other };
    assert_eq!(perform(store, later, next_day + Duration::from_secs(3_600)), second);
}

pub(super) fn failures_at_several_gateways_abort_the_rest(store: &PlatformStore) {
    world(store);
    add_gateway(store, "gw2");
    up(store, "gw2", 1, vec![allocated("m2", &["east"])]);
    let mut submit = submission(1);
    submit.submitted.abort = Some(Abort { failures: FailuresMax::Count(1), minimum: 0 });
    let id = perform(store, submit, NOW);
    let failed = || Outcome::Failed { reason: "silent".into() };
    up(store, "gw1", 2, vec![members_fixed(id, &["a", "b"]), receipts(id, vec![("a", failed())])]);
    assert_eq!(store.down(&gateway("gw2"), 1, 9).wait(), Ok(vec![]));
    up(store, "gw2", 2, vec![members_fixed(id, &["c"]), receipts(id, vec![("c", failed())])]);
    let aborted = DownEntry::Cancel { request: id, cause: StopCause::Aborted };
    for at in ["gw1", "gw2"] {
        assert_eq!(store.down(&gateway(at), 1, 9).wait(), Ok(vec![(2, aborted.clone())]), "{at}");
    }
    let row = store.request(&application(), id).wait().expect("read").expect("there").row;
    assert_eq!(row.state, RequestState::Cancelling);
}
