use std::collections::BTreeMap;

use bugle_core::{Content, ExpiryCause, Outcome, OutcomeKind, Seen, Sighting, Stage, Time};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use super::*;

const REQUEST: RequestId = RequestId::compose(Time::from_millis(1_800_000_000_000), 1);
const GATEWAY: i64 = 1;

/// Tables with nothing in them but a gateway.
fn tables() -> Connection {
    let connection = crate::platform::tables();
    connection.execute("INSERT INTO gateway (number, id, created_at) VALUES (1, 'gw', 0)", []).expect("added");
    connection
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Delivered),
        Just(Outcome::Replaced),
        Just(Outcome::Expired { cause: ExpiryCause::Asleep }),
        prop_oneof![Just(String::new()), ".{0,20}"].prop_map(|text| Outcome::Executed { answer: Content::text(text) }),
        Just(Outcome::Executed { answer: Content::default() }),
        ".{0,20}|\t\n\\\\|x{6000}".prop_map(|reason| Outcome::Failed { reason }),
    ]
}

fn member() -> impl Strategy<Value = MemberRow> {
    const STAGES: [Stage; 4] = [Stage::AtGateway, Stage::Asleep, Stage::Activating, Stage::Sent];
    let seen = STAGES.map(|stage| option::of(any::<u32>()).prop_map(move |at| at.map(|at| (stage, at))));
    let outcome = option::of((outcome(), any::<u32>().prop_map(|at| Time::from_millis(at.into()))));
    (prop::sample::select(&STAGES[..]), seen, outcome).prop_map(|(stage, sightings, outcome)| {
        let mut seen = Seen::default();
        for (stage, at) in sightings.into_iter().flatten() {
            seen.note(Sighting { stage, at: Time::from_millis(at.into()) });
        }
        MemberRow { stage, seen, outcome }
    })
}

fn peripheral() -> impl Strategy<Value = PeripheralId> {
    let id = |text: String| text.parse().expect("a peripheral id");
    prop_oneof![
        (0_u32..400).prop_map(|number| format!("m{number:03}")),
        "[!a-z$~]{1,40}".prop_map(|id| format!("{id}."))
    ]
    .prop_map(id)
}

fn some_members() -> impl Strategy<Value = BTreeMap<PeripheralId, MemberRow>> {
    prop_oneof![btree_map(peripheral(), member(), 0..5), btree_map(peripheral(), member(), 100..200)]
}

fn texts(connection: &Connection) -> Vec<String> {
    let mut statement = connection.prepare("SELECT members FROM member_page ORDER BY last").expect("sound");
    let pages = statement.query_map([], |row| row.get(0)).expect("read");
    pages.collect::<Result<_, _>>().expect("read")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn members_are_found_and_listed_as_they_were_put(
        steps in vec((some_members(), any::<bool>()), 1..5),
        asked in prop::collection::btree_set(peripheral(), 0..50),
        limit in 1_u32..200,
    ) {
        let connection = tables();
        let mut members = BTreeMap::new();
        for (step, is_found_first) in steps {
            let mut transaction = Members::new(&connection);
            if is_found_first {
                transaction.find((REQUEST, GATEWAY), &step.keys().chain(&asked).cloned().collect()).expect("read");
            }
            let puts: Vec<_> = step.iter().map(|(key, row)| {
                Put { key: key.clone(), is_new: !members.contains_key(key), row: Some(row.clone()) }
            }).collect();
            transaction.put((REQUEST, GATEWAY), &puts).expect("stored");
            members.extend(step);
        }

        let found = Members::new(&connection).find((REQUEST, GATEWAY), &asked).expect("read");
        let expected: Vec<_> = asked.into_iter().map(|id| { let row = members.get(&id).cloned(); (id, row) }).collect();
        prop_assert_eq!(found, expected);

        let of = |shown| {
            let (mut listed, mut after) = (Vec::new(), MemberCursor::default());
            loop {
                let page = list(&connection, REQUEST, shown, &after, limit).expect("read");
                let Some((last, _)) = page.last() else { return listed };
                after = last.clone();
                listed.extend(page.into_iter().map(|(_, (_, id, row))| (id, row)));
            }
        };
        type Expected<'a> = &'a dyn Fn(&MemberRow) -> bool;
        let kind = |row: &MemberRow| row.outcome.as_ref().map(|(outcome, _)| outcome.kind());
        let all: [(MembersShown, Expected<'_>); 4] = [
            (MembersShown::All, &|_| true),
            (MembersShown::Waiting, &|row| row.outcome.is_none()),
            (MembersShown::At(Stage::Asleep), &|row| row.outcome.is_none() && row.stage == Stage::Asleep),
            (MembersShown::Ended(OutcomeKind::Failed), &|row| kind(row) == Some(OutcomeKind::Failed)),
        ];
        for (shown, is_expected) in all {
            let expected: Vec<_> =
                members.iter().filter(|(_, row)| is_expected(row)).map(|(id, row)| (id.clone(), row.clone())).collect();
            prop_assert_eq!(of(shown), expected);
        }

        for page in texts(&connection) {
            let lines = page.split('\n').count();
            let longest = page.split('\n').map(str::len).max().unwrap_or_default();
            prop_assert!(lines <= PAGE_MEMBERS_MAX, "{} members on a page", lines);
            prop_assert!(page.len() <= PAGE_BYTES_MAX + longest, "{} bytes on a page", page.len());
        }
    }
}

#[test]
fn members_that_come_singly_share_pages() {
    let connection = tables();
    for number in 0..1_000 {
        let key = format!("m{:04}", number * 7 % 1_000).parse().expect("a peripheral id");
        let row = MemberRow { stage: Stage::AtGateway, seen: Seen::default(), outcome: None };
        Members::new(&connection)
            .put((REQUEST, GATEWAY), &[Put { key, is_new: true, row: Some(row) }])
            .expect("stored");
    }
    let pages = texts(&connection).len();
    assert!((32..=64).contains(&pages), "{pages} pages");
}

#[test]
fn members_of_a_request_go_page_by_page() {
    let connection = tables();
    let row = MemberRow { stage: Stage::AtGateway, seen: Seen::default(), outcome: None };
    let puts = (0..100).map(|number| {
        let key = format!("m{number:02}").parse().expect("a peripheral id");
        Put { key, is_new: true, row: Some(row.clone()) }
    });
    Members::new(&connection).put((REQUEST, GATEWAY), &puts.collect::<Vec<_>>()).expect("stored");
    assert_eq!(forget(&connection, REQUEST, PAGE_MEMBERS_MAX), Ok(false));
    assert!(!texts(&connection).is_empty());
    assert_eq!(forget(&connection, REQUEST, 1_000), Ok(true));
    assert!(texts(&connection).is_empty());
}
