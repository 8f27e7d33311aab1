//! A file of every earlier layout is brought to the present one, with all that it held.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};

use bugle_core::gateway::{Config, Gateway, Output, Restored};
use bugle_core::{EventKind, ExpiryCause, Outcome, OutcomeKind, RequestId, Stage, Time, UpEntry, Wakes};
use bugle_store::gateway::GatewayStore;
use bugle_store::platform::{MemberCursor, MembersShown, PlatformStore};
use bugle_store::sqlite::{Connection, look_through};
use tempfile::TempDir;

use super::file::Kind;

/// The last layout of the platform in which each member had a row.
const LAST_WITH_SINGLE_MEMBERS: usize = 6;

/// The statements that make the tables of a file, in the order of their names.
fn tables(path: &std::path::Path) -> Vec<(String, String)> {
    let connection = Connection::open(path).expect("it is there");
    let sql = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY name";
    let mut statement = connection.prepare(sql).expect("sound");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("read");
    rows.collect::<Result<_, _>>().expect("read")
}

fn layout(path: &std::path::Path) -> usize {
    let connection = Connection::open(path).expect("it is there");
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).expect("read")
}

#[test]
fn a_file_of_every_earlier_layout_ends_as_one_of_today() {
    for kind in Kind::ALL {
        let folder = TempDir::new().expect("a folder");
        let fresh = folder.path().join("fresh.db");
        drop(kind.open(&fresh).unwrap_or_else(|error| panic!("{error}")));
        let present = layout(&fresh);
        let kept = kind.layouts().len();
        assert!(
            kept + 1 >= present,
            "keep a file of layout {} of the {kind:?} under tests/it/layouts, as others are kept there",
            present - 1
        );
        for earlier in 1..=kept {
            let path = kind.make(&folder, earlier);
            let opened = kind.open(&path).unwrap_or_else(|error| panic!("{kind:?} {earlier}: {error}"));
            let held = match kind {
                Kind::Gateway => 4,
                Kind::Platform => 6,
                Kind::Application => 5,
            };
            assert_eq!(opened.count(), Ok(held), "{kind:?} {earlier}");
            drop(opened);
            assert_eq!(layout(&path), present);
            assert_eq!(tables(&path), tables(&fresh), "{kind:?} {earlier}");
            look_through(&path).expect("sound");
        }
    }
}

/// A gateway goes on from `restored`, until its store holds all that comes of that.
fn go_on(store: &GatewayStore, restored: Restored) {
    let config = Config::new("gw".parse().expect("a gateway id"));
    let mut gateway = Gateway::restore(Time::from_millis(1_800_000_000_000), config, 7, restored);
    while let Some(output) = gateway.poll_output(Time::from_millis(1_800_000_000_000)) {
        let Output::Persist(batch) = output else { continue };
        let (sender, stored) = mpsc::channel();
        store.persist(Arc::new(batch), move |result| sender.send(result).expect("it is waited for"));
        gateway.handle_persisted(stored.recv().expect("it answers").expect("it is stored"));
    }
}

#[test]
fn the_platform_is_told_once_what_wakes_the_peripherals_of_an_earlier_gateway() {
    for layout in 1..=Kind::Gateway.layouts().len() {
        let folder = TempDir::new().expect("a folder");
        let path = Kind::Gateway.make(&folder, layout);
        let woken = r#"{"http":{"url":"http://192.0.2.1/wake"}}"#;
        let sql = "UPDATE allocation SET body = json_set(body, '$.waker', json(?1)) WHERE slot = 3";
        Connection::open(&path).and_then(|connection| connection.execute(sql, [woken])).expect("sound");
        let notices = || {
            let (store, restored) = GatewayStore::open(&path).expect("it opens");
            let begins = restored.up_last;
            go_on(&store, restored);
            let entries = store.up_after(begins, 100).wait().expect("read");
            let entries = entries.iter().map(|(_, entry)| bugle_wire::decode_up(entry).expect("an entry"));
            let told = entries.filter_map(|entry| match entry {
                UpEntry::Allocated(notice) => Some((notice.peripheral.to_string(), notice.wakes)),
                _ => None,
            });
            told.collect::<BTreeMap<_, _>>()
        };
        let told = ["lamp-01", "lamp-03", "meter-01", "meter-03"].map(|id| {
            let wakes = if id == "meter-03" { Wakes::WhenWoken } else { Wakes::ByItself };
            (id.to_owned(), Some(wakes))
        });
        assert_eq!(notices(), told.into(), "layout {layout}");
        assert_eq!(notices(), BTreeMap::new(), "layout {layout}: it was told");
    }
}

#[test]
fn members_of_a_group_request_are_on_their_way_as_they_were_before() {
    for layout in 2..=LAST_WITH_SINGLE_MEMBERS {
        let folder = TempDir::new().expect("a folder");
        let path = Kind::Platform.make(&folder, layout);
        // As they were kept while they waited: with room for the outcome, which says nothing.
        let sql = "INSERT INTO member (request, gateway, peripheral, detail, stage, at_gateway, asleep)
            VALUES (1882879658074761879, 1, 'meter-04', '                     ', 'asleep', 1000, 2000),
                (1882879658074761879, 2, 'lamp-04', NULL, 'at_gateway', 1000, NULL)";
        Connection::open(&path).and_then(|connection| connection.execute(sql, [])).expect("sound");
        let store = PlatformStore::open(&path).unwrap_or_else(|error| panic!("{error}"));
        let request = RequestId::from_number(1_882_879_658_074_761_879).expect("a request id");
        let list = |shown| {
            let members = store.members(request, shown, MemberCursor::default(), 100).wait().expect("read");
            members.into_iter().map(|(_, (_, id, row))| (id.to_string(), row)).collect::<Vec<_>>()
        };
        let names = list(MembersShown::All).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        let all = ["lamp-01", "lamp-03", "meter-01", "meter-03", "meter-04", "lamp-02", "lamp-04", "meter-02"];
        assert_eq!(names, all, "layout {layout}");
        let [(meter, asleep), (lamp, told)] = &list(MembersShown::Waiting)[..] else { panic!("two wait") };
        assert_eq!(
            (meter.as_str(), asleep.stage, lamp.as_str(), told.stage),
            ("meter-04", Stage::Asleep, "lamp-04", Stage::AtGateway)
        );
        assert_eq!(
            (asleep.seen.at_gateway, asleep.seen.asleep),
            (Some(Time::from_millis(1_000)), Some(Time::from_millis(2_000)))
        );
        let expired = list(MembersShown::Ended(OutcomeKind::Expired)).remove(0).1.outcome;
        let outcome = Outcome::Expired { cause: ExpiryCause::Asleep };
        assert_eq!(expired, Some((outcome, Time::from_millis(1_795_653_978_793))));
    }
}

#[test]
fn receipts_are_told_as_they_were_before() {
    let application = "town".parse().expect("an application id");
    for layout in 1..=Kind::Platform.layouts().len() {
        let folder = TempDir::new().expect("a folder");
        let path = Kind::Platform.make(&folder, layout);
        let kept: Vec<String> = {
            let connection = Connection::open(&path).expect("it is there");
            let sql = "SELECT body FROM event WHERE body ->> 'event' = 'receipts' ORDER BY key";
            let mut statement = connection.prepare(sql).expect("sound");
            let rows = statement.query_map([], |row| row.get(0)).expect("read");
            rows.collect::<Result<_, _>>().expect("read")
        };
        let store = PlatformStore::open(&path).unwrap_or_else(|error| panic!("{error}"));
        let kinds = Some([EventKind::Receipts].into());
        let log = store.events(&application, None, kinds, (1_000, usize::MAX)).wait().expect("read").expect("known");
        let read: Vec<String> = log.events.into_iter().map(|(_, event)| event).collect();
        assert_eq!((read.len(), read), (6, kept), "layout {layout}");
    }
}

/// Before the first layout was settled, one index had a column less.
#[test]
fn a_platforms_file_from_before_its_first_layout_was_settled_serves_as_it_is() {
    let folder = TempDir::new().expect("a folder");
    let path = Kind::Platform.make(&folder, 1);
    let older = "DROP INDEX peripheral_by_id; CREATE INDEX peripheral_by_id ON peripheral (application, id)";
    Connection::open(&path).and_then(|connection| connection.execute_batch(older)).expect("sound");
    let opened = Kind::Platform.open(&path).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(opened.count(), Ok(6));
}
