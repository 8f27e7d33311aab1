//! The policy file is read at the start and when it changes.

use bugle_application::StartError;

use crate::platform::{Platform, asks};
use crate::service::{ANYBODY, Disk, NOBODY, Service};

#[test]
fn a_policy_that_changes_counts_and_one_with_a_mistake_does_not() {
    let (platform, disk) = (Platform::start(), Disk::new(NOBODY));
    let service = Service::start(&disk, &platform);
    platform.tell([asks("m1", 1)]);
    assert_eq!(platform.answers(1), [("m1".into(), 1, false)]);

    disk.write_policy(&format!("{ANYBODY}\n[[rule]]\nperipherals = 7\n"));
    let status = service.get_until("/v1/status", |status| status["policy_fault"].is_string());
    let fault = status["policy_fault"].as_str().expect("a fault");
    assert!(fault.contains("policy.toml:8: "), "{fault}");
    platform.tell([asks("m1", 2)]);
    assert_eq!(platform.answers(2)[1], ("m1".into(), 2, false), "the policy that runs stays, whole");

    disk.write_policy(ANYBODY);
    service.get_until("/v1/status", |status| status.get("policy_fault").is_none());
    platform.tell([asks("m1", 3)]);
    assert_eq!(platform.answers(3)[2], ("m1".into(), 3, true));
}

#[test]
fn nothing_starts_without_a_sound_policy() {
    let (platform, disk) = (Platform::start(), Disk::new("[[rule]]\nperipherals = \"all\"\n"));
    let error = Service::try_start(disk.config(&platform)).err().expect("a mistake");
    assert!(matches!(error, StartError::Policy(_)), "{error}");
    assert!(error.to_string().contains("policy.toml:1: missing field"), "{error}");
    let mut config = disk.config(&platform);
    config.policy = None;
    assert!(matches!(Service::try_start(config), Err(StartError::NoPolicy)));
}
