//! Backups of parts that run, and bringing them back.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use bugle_core::OutcomeKind;
use bugle_gateway::KEEPING_KEY_FILE;
use bugle_load::mqtt::{Behaviour, Reconnecting};
use bugle_load::{MqttVersion, Options, Peripherals};
use bugle_store::platform::{MemberCursor, MembersShown, PlatformStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::program::{Ran, run};
use super::system::{System, allocations, app, fleet, ids, until};

const MEMBERS: usize = 20;
/// The data folders of the parts.
const FOLDERS: [&str; 3] = ["platform", "application", "north-data"];

async fn system() -> (System, Peripherals) {
    let system = System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await;
    let reconnecting = Reconnecting { first: Duration::from_millis(50), most: Duration::from_millis(500), tries: None };
    let behaviour = Behaviour { reconnecting, ..Behaviour::steady(MqttVersion::Mqtt5) };
    let fleet = fleet(system.gateways["north"].mqtt, ids("m", MEMBERS), &Arc::new(behaviour));
    let members = Peripherals::start(fleet, Options::default()).expect("they start");
    system.members("meters", MEMBERS as u64).await;
    (system, members)
}

fn message() -> Value {
    json!({"operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed", "deadline_seconds": 60})
}

async fn all_execute(system: &System) {
    let sent = system.submit("meters", message()).await;
    let ended = system.completed(sent).await;
    assert_eq!(ended.totals.count(OutcomeKind::Executed), MEMBERS as u64, "{ended:?}");
}

fn backup(folder: &Path, name: &str) -> Ran {
    run(folder, &["backup", name, "--to", &format!("{name}-backup")])
}

fn restore(folder: &Path, name: &str, more: &[&str]) -> Ran {
    let backup = format!("{name}-backup");
    run(folder, &[&["restore", &backup, "--to", name][..], more].concat())
}

/// Waits until the logs between the parts are empty, so that backups made one after the other fit.
async fn quiet(system: &System) {
    until("nothing to be under way", async || {
        let url = format!("http://127.0.0.1:{}/v1/status", system.gateways["north"].http);
        let status: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        (status["up_log"].as_u64()? == 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_back_from_backups_that_were_made_while_it_ran() {
    let (mut system, members) = system().await;
    let folder = system.folder.path().to_owned();
    all_execute(&system).await;
    quiet(&system).await;
    for name in FOLDERS {
        let told = backup(&folder, name).into_output();
        assert!(told.contains("files"), "{told}");
    }
    // What happens after the backup is lost with what it happened to.
    let late = system.submit("meters", message()).await;
    system.completed(late).await;
    system.platform.kill();
    system.application.kill();
    system.gateway("north").part.kill();
    assert!(folder.join("north-data").join(KEEPING_KEY_FILE).exists());
    for name in FOLDERS {
        restore(&folder, name, &[]).assert_refused(2, &[name, "--replace"]);
        let told = restore(&folder, name, &["--replace"]).into_output();
        assert!(told.contains(&format!("{name}.replaced")), "{told}");
    }
    // Sessions of DTLS as they were then must not go on.
    assert!(!folder.join("north-data").join(KEEPING_KEY_FILE).exists());
    system.platform.start();
    system.application.start();
    system.gateway("north").part.start();
    until("the platform", async || system.client.ready().await.ok()).await;
    system.linked().await;
    assert!(system.request(late).await.is_none());
    system.members("meters", MEMBERS as u64).await;
    for id in ids("m", MEMBERS) {
        system.configured("meters", &id, Some("active")).await;
    }
    all_execute(&system).await;
    let _ = members.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_load_is_one_state_of_the_store() {
    let (system, members) = system().await;
    let folder = system.folder.path().to_owned();
    let is_over = AtomicBool::new(false);
    let load = async {
        while !is_over.load(Relaxed) {
            let sent = system.submit("meters", message()).await;
            system.completed(sent).await;
        }
    };
    let backups = async {
        for number in 0..5 {
            let (from, to) = (folder.join("platform"), folder.join(format!("backup-{number}")));
            let made = tokio::task::spawn_blocking(move || {
                run(Path::new("."), &["backup", &from.display().to_string(), "--to", &to.display().to_string()])
            });
            made.await.expect("it is not broken off").into_output();
        }
        is_over.store(true, Relaxed);
    };
    tokio::join!(load, backups);
    for number in 0..5 {
        let restored = format!("restored-{number}");
        run(&folder, &["restore", &format!("backup-{number}"), "--to", &restored]).into_output();
        let path = folder.join(&restored).join("platform.db");
        let store = PlatformStore::open(&path).expect("a backup is as good as the store");
        let requests = store.requests(&app(), None, None, None, 1_000).recv().await.expect("read");
        for request in requests {
            let shown = store.members(request.id, MembersShown::All, MemberCursor::default(), 1_000);
            let settled =
                shown.recv().await.expect("read").iter().filter(|(_, (_, _, row))| row.outcome.is_some()).count();
            assert_eq!(settled as u64, request.row.totals.settled(), "totals and members are of one moment");
        }
    }
    let _ = members.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_part_and_a_damaged_backup_are_left_alone() {
    let (system, members) = system().await;
    let folder = system.folder.path().to_owned();
    backup(&folder, "platform").into_output();
    backup(&folder, "platform").assert_refused(2, &["platform-backup", "is there already"]);
    restore(&folder, "platform", &["--replace"]).assert_refused(1, &["platform", "in use by process", "end it first"]);
    all_execute(&system).await;

    let file = folder.join("platform-backup/ca.pem");
    let mut bytes = fs::read(&file).expect("it is there");
    bytes[100] ^= 1;
    fs::write(&file, bytes).expect("written");
    let restored = run(&folder, &["restore", "platform-backup", "--to", "elsewhere"]);
    restored.assert_refused(1, &["ca.pem", "damaged"]);
    fs::remove_file(folder.join("platform-backup/backup.toml")).expect("it is there");
    let restored = run(&folder, &["restore", "platform-backup", "--to", "elsewhere"]);
    restored.assert_refused(2, &["broken off"]);
    assert!(!folder.join("elsewhere").exists());
    let _ = members.stop();
}

#[test]
fn what_is_no_data_folder_is_not_backed_up() {
    let folder = TempDir::new().expect("a folder");
    run(folder.path(), &["backup", "nowhere", "--to", "b"]).assert_refused(2, &["nowhere"]);
    fs::create_dir(folder.path().join("empty")).expect("made");
    run(folder.path(), &["backup", "empty", "--to", "b"]).assert_refused(2, &["no store"]);
    assert!(!folder.path().join("b").exists());
}
