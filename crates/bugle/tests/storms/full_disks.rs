//! A platform, and an application, whose disk is full: what is new is refused or waits, and nothing is lost.

use std::sync::Arc;

use bugle_load::mqtt::Behaviour;
use bugle_load::{Command, MqttVersion, Options, Peripherals};
use serde_json::json;

use super::served;
use super::system::small_disk::SmallDisk;
use super::system::{Part, System, allocations, app, fleet, group, ids, until};

/// More than what a write-ahead log that is there already has room for.
const MEMBERS: usize = 200;
/// Those that are registered before the disk is full.
const EARLY: usize = 3;
const DISK_MEBIBYTES: u32 = 8;

/// A system with the first of its members, and they.
async fn with_early_members() -> (System, Peripherals) {
    let system = System::start(&[("north", allocations("meters", ids("m", MEMBERS)))]).await;
    let peripherals = start(&system, 0, EARLY);
    system.members("meters", EARLY as u64).await;
    (system, peripherals)
}

fn start(system: &System, first: usize, count: usize) -> Peripherals {
    let steady = Arc::new(Behaviour::steady(MqttVersion::Mqtt5));
    let fleet = fleet(system.gateways["north"].mqtt, ids("m", MEMBERS).skip(first).take(count), &steady);
    Peripherals::start(fleet, Options::default()).expect("they start")
}

/// Puts the data folder of a part on a small disk, and starts the part anew.
fn move_to_small_disk(part: &mut Part, folder: std::path::PathBuf) -> SmallDisk {
    part.kill();
    let disk = SmallDisk::mount_with_content(folder, DISK_MEBIBYTES);
    part.start();
    disk
}

fn report(peripherals: &Peripherals, name: &str) {
    let topic = format!("bugle/m-0/reports/{name}");
    peripherals.command(0, Command::Publish { topic, payload: "1".into() });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_whose_disk_is_full_says_so_and_goes_on_when_it_is_not() {
    let (mut system, peripherals) = with_early_members().await;
    let folder = system.folder.path().join("platform");
    let disk = move_to_small_disk(&mut system.platform, folder);
    until("the platform", async || system.client.ready().await.ok()).await;
    system.linked().await;

    disk.fill();
    let submission = serde_json::from_value(json!({"operation": {"do": "message", "content": {"text": "on"}}}));
    let submission = submission.expect("a submission");
    let refused = until("a group request to be refused", async || {
        system.client.submit(&app(), &group("meters"), &submission, None).await.err()
    })
    .await;
    assert!(refused.to_string().contains("the platform's disk is full"), "{refused}");
    report(&peripherals, "in-need");
    let others = start(&system, EARLY, MEMBERS - EARLY);
    until("the gateway to know that the platform takes nothing", async || (others.counts().refused > 0).then_some(()))
        .await;

    disk.clear();
    system.members("meters", MEMBERS as u64).await;
    assert_eq!(system.reports("in-need", 1).await.len(), 1);
    served(&system, "meters", MEMBERS as u64).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_whose_disk_is_full_says_yes_to_nobody_and_goes_on_when_it_is_not() {
    let (mut system, peripherals) = with_early_members().await;
    let folder = system.folder.path().join("application");
    let disk = move_to_small_disk(&mut system.application, folder);
    system.configured("meters", "m-0", Some("active")).await;

    disk.fill();
    report(&peripherals, "in-need");
    let others = start(&system, EARLY, MEMBERS - EARLY);
    until("the others to be told to try again", async || (others.counts().refused > 0).then_some(())).await;
    assert!(system.application.log().contains("full"), "the operator is told why");
    assert!(system.group("meters").await.group.members < MEMBERS as u64);

    disk.clear();
    system.members("meters", MEMBERS as u64).await;
    for id in ids("m", MEMBERS) {
        system.configured("meters", &id, Some("active")).await;
    }
    assert_eq!(system.reports("in-need", 1).await.len(), 1);
}
