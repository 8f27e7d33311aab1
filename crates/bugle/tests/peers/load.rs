//! `bugle load`, with few peripherals: each measurement comes to an end, and says what it found.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What a measurement found.
fn load(arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_bugle"))
        .args(["--json", "load"])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[test]
fn one_message_reaches_all_members_whatever_they_speak() {
    for protocol in ["mqtt", "mqtt-3.1.1", "lwm2m", "lwm2m-1.0"] {
        let found = load(&["fan-out", "--protocol", protocol, "--peripherals", "20", "--repetitions", "2", "--alone"]);
        let bugle = &found["results"][0];
        let median = |what: &str| number(&bugle[what]["median_ms"]);
        assert!(median("received") > 0.0 && median("received") <= median("acknowledged"), "{found}");
        assert_eq!(bugle["settled"]["count"], 2, "{found}");
        assert!(number(&bugle["memory"]) > 0.0, "{found}");
    }
}

#[test]
fn lwm2m_is_held_against_the_raw_limit() {
    let found = load(&["fan-out", "--protocol", "lwm2m", "--peripherals", "5", "--repetitions", "1"]);
    assert!(number(&found["results"][0]["raw"]["median_ms"]) > 0.0, "{found}");
    assert!(number(&found["share_of_raw"]) > 0.0, "{found}");
}

#[test]
fn peripherals_register_on_the_applications_word_and_under_a_lease() {
    for protocol in ["mqtt", "lwm2m"] {
        for lease in [&[][..], &["--lease"][..]] {
            let scale = ["registrations", "--protocol", protocol, "--peripherals", "20", "--repetitions", "2"];
            let found = load(&[&scale[..], lease].concat());
            assert_eq!(found["results"][0]["accepted"]["count"], 2, "{found}");
            assert!(number(&found["results"][0]["per_second"]) > 0.0, "{found}");
        }
    }
}

#[test]
fn under_dtls_every_member_is_reached_registers_and_is_weighed() {
    let lwm2m = ["--protocol", "lwm2m", "--dtls", "--peripherals", "20"];
    let fan_out = load(&[&["fan-out", "--repetitions", "2"][..], &lwm2m].concat());
    assert_eq!(fan_out["security"], "dtls", "{fan_out}");
    assert_eq!(fan_out["results"][0]["settled"]["count"], 2, "{fan_out}");
    assert!(number(&fan_out["results"][0]["raw"]["median_ms"]) > 0.0, "{fan_out}");
    for lease in [&[][..], &["--lease"][..]] {
        let found = load(&[&["registrations", "--repetitions", "2"][..], &lwm2m, lease].concat());
        assert_eq!(found["results"][0]["accepted"]["count"], 2, "{found}");
    }
    let memory = load(&[&["memory"][..], &lwm2m].concat());
    assert!(number(&memory["registered"]) > 0.0, "{memory}");
}

#[test]
fn dtls_is_for_lwm2m_and_for_keys_that_are_made_for_it() {
    let named = ["--gateway", "north", "--at", "127.0.0.1:5684", "--group", "lamps", "--protocol", "lwm2m"];
    let many = ["--protocol", "lwm2m", "--peripherals", "100001"];
    for (more, expected) in [(&[][..], "--protocol lwm2m"), (&named, "--gateway"), (&many, "at most 100000")] {
        let output = Command::new(env!("CARGO_BIN_EXE_bugle")).args(["load", "fan-out", "--dtls"]).args(more).output();
        let output = output.expect("it starts");
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{more:?}");
    }
}

#[test]
fn a_storm_is_let_in_at_the_rate_that_is_asked_for() {
    let scale = ["registrations", "--peripherals", "20", "--repetitions", "1", "--admissions-per-second", "10"];
    let found = load(&scale);
    let per_second = number(&found["results"][0]["per_second"]);
    assert!(per_second <= 20.0, "{found}");
}

#[test]
fn memory_is_told_without_with_allocated_and_with_registered_peripherals() {
    let found = load(&["memory", "--protocol", "lwm2m", "--peripherals", "20"]);
    for what in ["empty", "allocated", "registered", "peak"] {
        assert!(number(&found[what]) > 0.0, "{found}");
    }
}

#[test]
fn a_gateway_is_back_with_its_store_and_serves_what_waited() {
    let found = load(&["recovery", "--allocations", "300", "--deliveries", "100"]);
    for what in ["store_bytes", "served_seconds", "memory", "backup_seconds"] {
        assert!(number(&found[what]) > 0.0, "{found}");
    }
}

#[test]
fn a_gateway_is_named_with_all_that_it_takes_or_not_at_all() {
    let output = Command::new(env!("CARGO_BIN_EXE_bugle")).args(["load", "fan-out", "--gateway", "north"]).output();
    let output = output.expect("it starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--at"));
}
