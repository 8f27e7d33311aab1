//! Whatever dies or is lost, everybody is answered once and the groups are right.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bugle_application::{Authorizer, Decision, RegistrationQuestion, StartError, Time};
use bugle_core::ApplicationId;

use crate::platform::{Platform, asks, is_active, leaves, loses_reports};
use crate::service::{ANYBODY, Disk, NOBODY, Service};

/// Lets anybody join, and counts how often it was asked.
struct Counting(Arc<AtomicUsize>);

impl Authorizer for Counting {
    fn authorize(&self, _: Time, question: &RegistrationQuestion<'_>) -> Decision {
        self.0.fetch_add(1, Ordering::Relaxed);
        Decision::Authorized { groups: question.asked.groups.clone(), lease: Duration::from_secs(60) }
    }
}

#[test]
fn killed_between_the_commit_and_the_answer_it_answers_after_the_restart() {
    let (platform, disk) = (Platform::start(), Disk::new(NOBODY));
    let asked = Arc::new(AtomicUsize::new(0));
    platform.known().takes_none = true;
    let service = Service::with_authorizer(Counting(Arc::clone(&asked)), disk.config(&platform));
    platform.tell([asks("m1", 1), asks("m2", 2)]);
    // An answer leaves only after its commit.
    drop(platform.wait_until("a call", |known| known.calls > 0));
    service.get_until("/v1/status", |status| status["decisions_waiting"] == 2);
    drop(service);
    platform.known().takes_none = false;
    assert!(platform.known().decisions.is_empty());
    let service = Service::with_authorizer(Counting(Arc::clone(&asked)), disk.config(&platform));
    assert_eq!(platform.answers(2), [("m1".into(), 1, true), ("m2".into(), 2, true)]);
    assert_eq!(service.members("g"), ["m1", "m2"]);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "nobody was decided about twice");
    service.get_until("/v1/status", |status| status["decisions_waiting"] == 0);
}

#[test]
fn answers_wait_while_the_platform_takes_none() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    platform.known().takes_none = true;
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    drop(platform.wait_until("it is tried again", |known| known.calls >= 3));
    platform.tell([asks("m2", 2)]);
    service.get_until("/v1/status", |status| status["decisions_waiting"] == 2);
    platform.known().takes_none = false;
    assert_eq!(platform.answers(2), [("m1".into(), 1, true), ("m2".into(), 2, true)]);
}

#[test]
fn while_the_store_fails_nothing_is_answered_and_afterwards_nothing_is_missing() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    platform.answers(1);
    // Stands for a disk that fails in the middle of a batch.
    disk.tamper("CREATE TRIGGER broken BEFORE INSERT ON answer BEGIN SELECT RAISE(ABORT, 'broken'); END");
    platform.tell([asks("m2", 2)]);
    service.get_until("/v1/status", |status| {
        status["out_of_reach"].as_str().is_some_and(|reason| reason.contains("the store failed"))
            || status["type"] == "urn:bugle:problem:unavailable"
    });
    assert_eq!(platform.known().decisions.len(), 1);
    disk.tamper("DROP TRIGGER broken");
    platform.tell([asks("m3", 3)]);
    assert_eq!(platform.answers(3)[1..], [("m2".into(), 2, true), ("m3".into(), 3, true)]);
    assert_eq!(service.members("g"), ["m1", "m2", "m3"]);
}

#[test]
fn where_events_are_gone_it_starts_over_from_the_snapshot() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1), asks("m2", 2), is_active("m1", 1), is_active("m2", 2)]);
    platform.answers(2);
    service.get_until("/v1/status", |status| status["cursor"] == 4);
    service.end();
    // While nobody listens m1 leaves, m3 comes and m4 asks; then the log is cut.
    platform.tell([leaves("m1", 1), is_active("m3", 3), asks("m4", 4)]);
    platform.known().gone = 6;
    platform.known().snapshot = vec![is_active("m2", 2), is_active("m3", 3), asks("m4", 4)];
    let service = Service::start(&disk, &platform);
    assert_eq!(platform.answers(3)[2], ("m4".into(), 4, true));
    assert_eq!(service.members("g"), ["m2", "m3", "m4"]);
    platform.tell([asks("m5", 5)]);
    assert_eq!(platform.answers(4)[3], ("m5".into(), 5, true));
}

#[test]
fn events_that_groups_do_not_rest_on_only_move_the_cursor() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([loses_reports(1)]);
    service.get_until("/v1/status", |status| status["cursor"] == 1);
    platform.tell([loses_reports(2), asks("m1", 1), loses_reports(3)]);
    platform.answers(1);
    service.get_until("/v1/status", |status| status["cursor"] == 4);
    assert_eq!(service.members("g"), ["m1"]);
}

#[test]
fn where_the_log_has_gone_back_it_starts_over_from_the_snapshot() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1), is_active("m1", 1), asks("m2", 2)]);
    platform.answers(2);
    service.get_until("/v1/status", |status| status["cursor"] == 3);
    service.end();
    platform.forget_events();
    platform.known().snapshot = vec![is_active("m9", 9)];
    let service = Service::start(&disk, &platform);
    service.get_until("/v1/status", |status| status["cursor"] == 0);
    platform.tell([asks("m3", 3)]);
    assert_eq!(platform.answers(3)[2], ("m3".into(), 3, true));
    assert_eq!(service.members("g"), ["m3", "m9"]);
}

#[test]
fn a_data_folder_is_of_one_process_and_one_application() {
    let (platform, disk) = (Platform::start(), Disk::new(ANYBODY));
    let service = Service::start(&disk, &platform);
    assert!(matches!(Service::try_start(disk.config(&platform)), Err(StartError::DataFolder(_))));
    service.end();
    let mut config = disk.config(&platform);
    config.id = ApplicationId::new("lighting").expect("an application id");
    assert!(matches!(Service::try_start(config), Err(StartError::Store(_))));
}
