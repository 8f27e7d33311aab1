//! What is committed is there after a crash, and what is not was never there.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use bugle_core::application::{
    Answer, Approval, ApprovalState, Authorizer, Change, Decision, GroupConfigurations, Member, Registration,
    RegistrationQuestion, Standing,
};
use bugle_core::{
    Description, EndCause, Event, Evidence, GatewayId, GroupId, PeripheralId, Presence, PresenceChanged, Protocol,
    RegistrationAsked, RegistrationId, Time, Verdict,
};
use tempfile::TempDir;

use super::*;

fn application() -> ApplicationId {
    ApplicationId::new("metering").expect("an application id")
}

fn peripheral(id: &str) -> PeripheralId {
    PeripheralId::new(id).expect("a peripheral id")
}

fn gateway() -> GatewayId {
    GatewayId::new("gw").expect("a gateway id")
}

fn groups(ids: &[&str]) -> BTreeSet<GroupId> {
    ids.iter().map(|id| GroupId::new(*id).expect("a group id")).collect()
}

struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("application.db")
    }

    fn open(&self) -> ApplicationStore {
        ApplicationStore::open(&self.path(), &application()).expect("opens")
    }
}

/// Runs what a service awaits. The answers come from the threads of the store.
fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

fn member(presence: Option<Presence>) -> Member {
    Member { groups: groups(&["g", "h"]), presence, since: Time::from_millis(9), sequence: 3 }
}

/// A registration of every standing, with every presence.
fn registrations() -> Vec<(PeripheralId, Registration)> {
    let pending = Standing::Pending { groups: groups(&["g"]), lease: Duration::from_secs(60), sequence: 4 };
    let refused = Standing::Refused { reason: "not welcome".into() };
    let asleep = Presence::Standby { next_wake: Some(Time::from_millis(77)) };
    let standings = [
        pending,
        refused,
        Standing::Member(member(None)),
        Standing::Member(member(Some(Presence::Active))),
        Standing::Member(member(Some(asleep))),
        Standing::Member(member(Some(Presence::Standby { next_wake: None }))),
        Standing::Replaced(member(Some(Presence::Activating { next_wake: Some(Time::from_millis(78)) }))),
    ];
    let numbered = standings.into_iter().zip(1..);
    let registration =
        |(standing, slot)| Registration { slot, gateway: gateway(), id: RegistrationId::new(slot + 100), standing };
    numbered.map(|(standing, slot)| (peripheral(&format!("m{slot}")), registration((standing, slot)))).collect()
}

fn answers() -> [Answer; 2] {
    let answer = |id, registration, verdict| Answer {
        gateway: gateway(),
        peripheral: peripheral(id),
        registration: RegistrationId::new(registration),
        verdict,
    };
    let yes = Verdict::Authorized { groups: groups(&["g", "h"]), lease: Duration::from_secs(3600) };
    [answer("m1", 7, yes), answer("m2", 8, Verdict::Refused { reason: "not welcome".into() })]
}

#[test]
fn every_kind_of_change_is_read_back_as_it_was_committed() {
    let fixture = Fixture::new();
    let approvals = [ApprovalState::Waiting, ApprovalState::Approved, ApprovalState::Refused].map(|state| {
        let gateway = (state != ApprovalState::Refused).then(gateway);
        let approval = Approval { state, groups: groups(&["g"]), gateway, since: Time::from_millis(5) };
        (peripheral(state.as_str()), approval)
    });
    let group = GroupId::new("g").expect("a group id");
    let mut changes = Vec::new();
    for (peripheral, registration) in registrations() {
        changes.push(Change::Recorded { peripheral, registration });
    }
    for (peripheral, approval) in approvals.clone() {
        changes.push(Change::ApprovalRecorded { peripheral, approval });
    }
    changes.push(Change::GroupCreated { group: group.clone(), since: Time::from_millis(9) });
    changes.extend(answers().map(Change::Answered));
    let outgoing = wait(fixture.open().commit(12, changes)).expect("stored");

    let restored = wait(fixture.open().restore()).expect("reads");
    assert_eq!(outgoing.iter().map(|outgoing| outgoing.answer.clone()).collect::<Vec<_>>(), answers());
    assert_eq!(restored.outgoing, outgoing);
    assert_eq!(restored.recorded.cursor, 12);
    assert_eq!(restored.recorded.registrations, registrations());
    assert_eq!(restored.recorded.groups, [(group, Time::from_millis(9))]);
    let mut read_back = restored.recorded.approvals;
    read_back.sort_by_key(|(_, approval)| approval.state);
    assert_eq!(read_back, approvals);
}

#[test]
fn what_is_dropped_is_gone() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (group, approval) = (
        GroupId::new("g").expect("a group id"),
        Approval { state: ApprovalState::Waiting, groups: groups(&["g"]), gateway: None, since: Time::ZERO },
    );
    let (who, registration) = registrations().remove(0);
    let made = vec![
        Change::Recorded { peripheral: who.clone(), registration: registration.clone() },
        Change::GroupCreated { group: group.clone(), since: Time::ZERO },
        Change::ApprovalRecorded { peripheral: who.clone(), approval },
    ];
    wait(store.commit(1, made)).expect("stored");
    let undone = vec![
        Change::Dropped { slot: registration.slot },
        Change::GroupEnded { group },
        Change::ApprovalDropped { peripheral: who },
    ];
    wait(store.commit(2, undone)).expect("stored");
    assert_eq!(wait(store.restore()).expect("reads").recorded, Recorded { cursor: 2, ..Recorded::default() });
}

#[test]
fn acknowledged_answers_are_forgotten_and_their_numbers_never_given_out_again() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let first = wait(store.commit(1, answers().map(Change::Answered).into())).expect("stored");
    wait(store.acknowledge(first[0].number)).expect("stored");
    assert_eq!(wait(store.restore()).expect("reads").outgoing, first[1..]);
    wait(store.acknowledge(first[1].number)).expect("stored");
    drop(store);
    let store = fixture.open();
    let second = wait(store.commit(2, answers().map(Change::Answered).into())).expect("stored");
    assert!(second[0].number > first[1].number);
}

#[test]
fn a_batch_that_fails_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (who, registration) = registrations().remove(0);
    // Stands for a disk that fails in the middle of the batch.
    let sabotage = |connection: &Connection| -> Result<(), StoreError> {
        connection
            .execute_batch("CREATE TRIGGER broken BEFORE INSERT ON answer BEGIN SELECT RAISE(ABORT, 'broken'); END")?;
        Ok(())
    };
    store.database.write(sabotage).wait().expect("is broken");
    let mut changes = vec![Change::Recorded { peripheral: who, registration }];
    changes.extend(answers().map(Change::Answered));
    assert!(wait(store.commit(5, changes)).is_err());
    assert_eq!(wait(store.restore()).expect("reads"), Restored::default());
}

#[test]
fn a_file_is_of_one_application() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let other = ApplicationId::new("lighting").expect("an application id");
    let error = ApplicationStore::open(&fixture.path(), &other).expect_err("is another's");
    assert!(matches!(&error, ApplicationStoreError::Foreign { found, .. } if found == "metering"), "{error}");
}

#[test]
fn a_row_that_no_release_has_written_is_named_as_damage() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let damage = |connection: &Connection| -> Result<(), StoreError> {
        let sql =
            "INSERT INTO registration (slot, peripheral, gateway, number, standing) VALUES (1, 'm', 'gw', 1, 'member')";
        connection.execute(sql, [])?;
        Ok(())
    };
    store.database.write(damage).wait().expect("is damaged");
    assert!(matches!(wait(store.restore()), Err(StoreError::Corrupt(_))));
}

/// Lets anybody join.
struct Anybody;

impl Authorizer for Anybody {
    fn authorize(&self, _: Time, question: &RegistrationQuestion<'_>) -> Decision {
        Decision::Authorized { groups: question.asked.groups.clone(), lease: Duration::from_secs(60) }
    }
}

#[test]
fn the_machine_goes_on_after_a_crash_where_it_was() {
    let fixture = Fixture::new();
    let mut configurations = GroupConfigurations::default();
    for (number, sequence) in (0..50_u64).zip(1..) {
        let (id, registration) = (peripheral(&format!("m{}", number % 7)), RegistrationId::new(1 + number / 7));
        let event = match number % 3 {
            0 => Event::RegistrationAsked { gateway: gateway(), asked: asked(id, registration) },
            1 => {
                let (groups, presence, at) = (groups(&["g"]), Presence::Active, Time::ZERO);
                let changed = PresenceChanged { peripheral: id, registration, groups, presence, at };
                Event::PresenceChanged { gateway: gateway(), changed }
            }
            _ => {
                let (groups, cause, at) = (groups(&["g"]), EndCause::Peripheral, Time::ZERO);
                let ended = bugle_core::Deregistered { peripheral: id, registration, groups, cause, at };
                Event::Deregistered { gateway: gateway(), ended }
            }
        };
        let mut changes = Vec::new();
        configurations.handle_event(Time::from_millis(sequence), sequence, &event, &Anybody, &mut changes);
        let store = fixture.open();
        wait(store.commit(configurations.cursor(), changes)).expect("stored");
        let restored = wait(store.restore()).expect("reads");
        let restored = GroupConfigurations::restore(restored.recorded);
        assert_eq!(restored.groups(), configurations.groups());
        for number in 0..7 {
            let id = peripheral(&format!("m{number}"));
            assert_eq!(restored.member(&id), configurations.member(&id));
        }
        configurations = restored;
    }
    assert!(!configurations.groups().is_empty());
}

fn asked(peripheral: PeripheralId, registration: RegistrationId) -> RegistrationAsked {
    let (protocol, address, lifetime) = (Protocol::Mqtt5, "192.0.2.1:1883".into(), Duration::from_secs(60));
    let description = Description { protocol, address, lifetime, objects: String::new() };
    RegistrationAsked { peripheral, registration, groups: groups(&["g"]), evidence: Evidence::default(), description }
}
