//! Files of allocations, as people write them.

use std::fs;

use bugle_core::credential::{PasswordVerifier, PreSharedKey};
use bugle_core::{Credential, InitialState, PeripheralId, WakeEffort, Waker};
use proptest::prelude::*;

use super::*;

/// All that is in a file.
fn read(file: &mut AllocationFile) -> Result<Vec<Allocation>, AllocationFileError> {
    let mut allocations = Vec::new();
    let count = file.read(|part| {
        assert!(part.len() <= PART_ALLOCATIONS, "{}", part.len());
        allocations.extend(part);
        Ok::<_, AllocationFileError>(())
    })?;
    assert_eq!(count, allocations.len());
    Ok(allocations)
}

fn read_as(name: &str, text: &str) -> Result<Vec<Allocation>, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    fs::write(&path, text).expect("written");
    let prefix = format!("{}/", folder.path().display());
    let told = |error: AllocationFileError| error.to_string().replace(&prefix, "");
    read(&mut AllocationFile::new(path)).map_err(|error| {
        let told = told(error);
        told.strip_prefix(&format!("{name} is refused whole, and what was in force stays:\n"))
            .map_or(told.clone(), unindent)
    })
}

fn unindent(text: &str) -> String {
    text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n")
}

fn read_toml(text: &str) -> Result<Vec<Allocation>, String> {
    read_as("a.toml", text)
}

fn read_csv(text: &str) -> Result<Vec<Allocation>, String> {
    read_as("a.csv", text)
}

fn id(text: &str) -> PeripheralId {
    PeripheralId::new(text).expect("a peripheral id")
}

fn groups(allocation: &Allocation) -> Vec<&str> {
    allocation.groups.iter().map(|group| group.as_str()).collect()
}

#[test]
fn a_table_says_what_differs_from_the_defaults() {
    let allocations = read_toml(
        r#"
        [defaults]
        application = "metering"
        groups = ["meters"]
        lifetime = 86_400
        labels = { city = "Bonn", street = "none" }

        [[peripheral]]
        id = "m1"

        [[peripheral]]
        id = "m2"
        application = "lighting"
        groups = ["lamps", "east"]
        initial_state = "blocked"
        lifetime = 60
        idle = 30
        waker = "window"
        labels = { street = "Main" }
        "#,
    )
    .expect("nothing is wrong");
    let [first, second] = &allocations[..] else { panic!("two allocations") };
    assert_eq!((first.peripheral.as_str(), first.application.as_str()), ("m1", "metering"));
    assert_eq!((groups(first), first.initial_state), (vec!["meters"], InitialState::Allocated));
    assert_eq!((first.lifetime.map(|d| d.as_secs()), first.idle), (Some(86_400), None));
    assert_eq!((second.application.as_str(), second.initial_state), ("lighting", InitialState::Blocked));
    assert_eq!(groups(second), ["east", "lamps"]);
    assert_eq!((second.lifetime.map(|d| d.as_secs()), second.idle.map(|d| d.as_secs())), (Some(60), Some(30)));
    let labels: Vec<_> = second.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(labels, [("city", "Bonn"), ("street", "Main")]);
}

#[test]
fn a_row_says_the_same_as_a_table() {
    let verifier = PasswordVerifier::derive(&id("m2"), b"secret");
    let csv = read_csv(&format!(
        "id,application,groups,initial_state,username,password,verifier,waker,lifetime,idle,label.city\n\
         m1, metering, meters, , , , , , , ,\n\
         m2,metering,meters; east ;,blocked,user,,{verifier},window,60,30,\"Bonn, \"\"old\"\"\"\n"
    ));
    let toml = read_toml(&format!(
        r#"
        [[peripheral]]
        id = "m1"
        application = "metering"
        groups = ["meters"]
        [[peripheral]]
        id = "m2"
        application = "metering"
        groups = ["meters", "east"]
        initial_state = "blocked"
        username = "user"
        verifier = "{verifier}"
        lifetime = 60
        idle = 30
        labels = {{ city = 'Bonn, "old"' }}
        "#
    ));
    assert_eq!(csv.expect("nothing is wrong"), toml.expect("nothing is wrong"));
}

#[test]
fn a_waker_is_a_text_or_says_all_of_itself() {
    let toml = read_toml(
        r#"
        [defaults]
        application = "metering"
        groups = ["meters"]
        waker = "https://sms.example/wake/{peripheral}"

        [[peripheral]]
        id = "m1"

        [[peripheral]]
        id = "m2"
        waker = "wake-on-lan 02:00:5e:10:00:01"

        [[peripheral]]
        id = "m3"
        waker.exec = { program = "page-it", arguments = ["{peripheral}"], effort = { tries = 2, back_off = 300 } }
        "#,
    );
    let csv = read_csv(
        r#"id,application,groups,waker
m1,metering,meters,https://sms.example/wake/{peripheral}
m2,metering,meters,wake-on-lan 02:00:5e:10:00:01
m3,metering,meters,"{""exec"":{""program"":""page-it"",""arguments"":[""{peripheral}""],""effort"":{""tries"":2,""back_off"":300}}}"
"#,
    );
    let allocations = toml.expect("nothing is wrong");
    assert!(matches!(&allocations[2].waker, Waker::Exec { effort: WakeEffort { tries: 2, .. }, .. }));
    assert_eq!(csv.expect("nothing is wrong"), allocations);
}

#[test]
fn a_waker_that_is_of_no_use_is_told_with_its_line() {
    let toml = read_toml(
        r#"[[peripheral]]
id = "m1"
application = "a"
groups = ["g"]
waker.exec = { program = "/bin/sh" }
[[peripheral]]
id = "m2"
application = "a"
groups = ["g"]
waker.http = { url = "http://a", shout = true }"#,
    );
    let told = toml.expect_err("it is refused");
    assert!(told.contains("a.toml:5: waker: the program of a waker is the name of a file"), "{told}");
    assert!(told.contains("a.toml:10: waker: unexpected keys in table: shout"), "{told}");
}

#[test]
fn a_password_becomes_the_verifier_of_its_peripheral() {
    let allocations = read_csv("id,application,groups,username,password\nm1,a,g,,secret\nm2,a,g,user,secret\n");
    let credentials: Vec<_> = allocations.expect("nothing is wrong").into_iter().map(|a| a.credential).collect();
    let expected = [("m1", None), ("m2", Some("user".to_owned()))].map(|(peripheral, username)| {
        Some(Credential::Password { username, verifier: PasswordVerifier::derive(&id(peripheral), b"secret") })
    });
    assert_eq!(credentials, expected);
}

#[test]
fn a_password_said_for_one_counts_more_than_the_default_verifier() {
    let verifier = PasswordVerifier::derive(&id("m1"), b"other");
    let allocations = read_toml(&format!(
        r#"
        defaults = {{ application = "a", groups = ["g"], verifier = "{verifier}" }}
        [[peripheral]]
        id = "m1"
        [[peripheral]]
        id = "m2"
        password = "secret"
        "#
    ))
    .expect("nothing is wrong");
    let verifiers: Vec<_> = allocations
        .into_iter()
        .map(|allocation| match allocation.credential {
            Some(Credential::Password { verifier, .. }) => verifier,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(verifiers, [verifier, PasswordVerifier::derive(&id("m2"), b"secret")]);
}

#[test]
fn a_changed_password_is_derived_anew_and_the_others_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.csv");
    let mut file = AllocationFile::new(path.clone());
    let mut read_with = |second: &str| {
        let text = format!("id,application,groups,password\nm1,a,g,one\nm2,a,g,{second}\n");
        fs::write(&path, text).expect("written");
        read(&mut file).expect("nothing is wrong")
    };
    let (before, after) = (read_with("two"), read_with("three"));
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    assert_eq!(read_with("two"), before);
}

#[test]
fn all_that_is_wrong_with_tables_is_told_with_its_line() {
    let error = read_toml(
        r#"[defaults]
application = "metering"
id = "m0"
lifetme = 3

[[peripheral]]
id = "a/b"
groups = ["lamps/east", "g"]
idle = "soon"

[[peripheral]]
groups = []
password = "x"
verifier = "y"
waker = "bell"

[[peripheral]]
id = "m1"
groups = ["g"]
username = "u"
labels = { a = 1 }

[[peripheral]]
id = "m2"
groups = ["g"]
verifier = "y"
lifetime = 0

[[peripherals]]
id = "m3"
"#,
    )
    .expect_err("much is wrong");
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "a.toml:3: id: there is no such default",
            "a.toml:4: lifetme: there is no such setting",
            "a.toml:6: id: a peripheral id must not contain '/'; allowed are printable ASCII characters other than / + # ? % \" \\",
            "a.toml:8: groups: a group id must not contain '/'; allowed are letters, digits and . _ - :",
            "a.toml:9: idle: must be a number of seconds",
            "a.toml:11: an id is missing",
            "a.toml:14: one of password, verifier, pre_shared_key and certificate, not several",
            "a.toml:15: waker: a waker is window, wake-on-lan MAC, a coap, http or https URL, exec PROGRAM, or its JSON",
            "a.toml:20: username: needs a password or a verifier beside it",
            "a.toml:21: labels: must be a table of texts",
            "a.toml:23: peripheral m2: lifetime must be at least one second",
            "a.toml:26: verifier: a password verifier is the text that `bugle config password` prints, as pbkdf2-sha256$…",
            "a.toml:29: peripherals: there is no such setting",
        ]
    );
}

#[test]
fn what_the_core_refuses_is_told_with_the_entrys_line() {
    let error = read_toml("[[peripheral]]\nid = \"m1\"\napplication = \"a\"\ngroups = []\n").expect_err("no group");
    assert_eq!(error, "a.toml:1: peripheral m1: at least one group is needed");
    let error = read_csv("id,application,groups,idle\nm1,a,g,0\n").expect_err("no time");
    assert_eq!(error, "a.csv:2: peripheral m1: idle must be at least one second");
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let error = read_toml("[[peripheral]]\nid = \"m1\nid = 3 4\n").expect_err("no TOML");
    assert!(error.lines().all(|line| line.starts_with("a.toml:2: ") || line.starts_with("a.toml:3: ")), "{error}");
    assert!(error.lines().count() >= 2, "{error}");
}

#[test]
fn all_that_is_wrong_with_rows_is_told_with_its_line() {
    let error = read_csv(
        "id,application,groups,lifetime,password,verifier\n\
         a/b,,g,soon,,\n\
         m1,metering,\"g;\nlamps/east\",,,\n\
         m2,metering\n\
         m3,metering,g,,,\n\
         # m4 is broken\n\
         \n\
         m3,metering,g,,x,y\n\
         m3,metering,g,,,\n",
    )
    .expect_err("much is wrong");
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "a.csv:2: an application is missing",
            "a.csv:2: id: a peripheral id must not contain '/'; allowed are printable ASCII characters other than / + # ? % \" \\",
            "a.csv:2: lifetime: \"soon\" is no number of seconds",
            "a.csv:3: groups: a group id must not contain '/'; allowed are letters, digits and . _ - :",
            "a.csv:5: 2 cells, where the first row has 6",
            "a.csv:9: one of password, verifier, pre_shared_key and certificate, not several",
            "a.csv:10: peripheral m3 is in line 6 already",
        ]
    );
}

#[test]
fn what_is_wrong_with_the_columns_is_told_alone() {
    let error = read_csv("id,id,group,label.\nm1,m1,g,x\n").expect_err("wrong columns");
    assert_eq!(
        error.lines().collect::<Vec<_>>(),
        [
            "a.csv:1: column \"application\" is missing",
            "a.csv:1: column \"id\" is there twice",
            "a.csv:1: there is no column \"group\"",
            "a.csv:1: there is no column \"label.\"",
        ]
    );
    let error = read_csv("").expect_err("no columns");
    assert!(error.contains("column \"id\" is missing"), "{error}");
}

#[test]
fn an_empty_file_of_tables_allocates_nobody() {
    assert_eq!(read_toml("# nobody yet\n"), Ok(Vec::new()));
    assert_eq!(read_csv("id,application\n"), Ok(Vec::new()));
}

#[test]
fn only_the_first_hundred_faults_are_told_and_the_rest_counted() {
    let rows: String = (0..250).map(|number| format!("m/{number},a,g\n")).collect();
    let error = read_csv(&format!("id,application,groups\n{rows}")).expect_err("all is wrong");
    assert_eq!(error.lines().count(), 101);
    assert!(error.ends_with("a.csv: and 150 more"), "{error}");
}

#[test]
fn a_file_that_is_not_there_is_told_with_its_path() {
    let error = read(&mut AllocationFile::new("/nowhere/a.toml".into())).expect_err("no file").to_string();
    assert!(error.starts_with("/nowhere/a.toml: "), "{error}");
}

#[test]
fn a_hundred_thousand_rows_are_taken() {
    let rows: String = (0..100_000).map(|number| format!("meter-{number:06},metering,meters;east,3600\n")).collect();
    let allocations = read_csv(&format!("id,application,groups,lifetime\n{rows}")).expect("nothing is wrong");
    assert_eq!(allocations.len(), 100_000);
}

/// More tables than are read at once, each as this says.
fn many_tables(table: impl Fn(usize) -> String) -> String {
    (0..2_500).map(|number| format!("[[peripheral]]\nid = \"m{number}\"\n{}\n", table(number))).collect()
}

const METERS: &str = "[defaults]\napplication = \"metering\"\ngroups = [\"meters\"]\n";

#[test]
fn many_tables_are_taken_wherever_the_defaults_are() {
    let tables = many_tables(|number| format!("[peripheral.labels]\nnumber = \"{number}\"\n"));
    for text in [format!("{METERS}{tables}"), format!("{tables}{METERS}")] {
        let allocations = read_toml(&text).expect("nothing is wrong");
        assert_eq!(allocations.len(), 2_500);
        for (number, allocation) in allocations.iter().enumerate() {
            let told = (allocation.peripheral.as_str(), groups(allocation), allocation.labels["number"].as_str());
            assert_eq!(told, (&*format!("m{number}"), vec!["meters"], &*number.to_string()));
        }
    }
}

#[test]
fn a_text_of_several_lines_may_look_like_a_table() {
    let tables = many_tables(|_| "labels = { a = \"\"\"\n[[peripheral]]\n\"\"\" }".to_owned());
    let allocations = read_toml(&format!("{METERS}{tables}")).expect("nothing is wrong");
    assert_eq!(allocations.len(), 2_500);
    assert!(allocations.iter().all(|allocation| allocation.labels["a"] == "[[peripheral]]\n"));
}

#[test]
fn what_is_wrong_with_many_tables_is_told_with_its_line() {
    let told = |text: &str| read_toml(text).expect_err("something is wrong");
    let wrong = many_tables(|number| if number == 2_222 { "idle = true" } else { "" }.to_owned());
    assert_eq!(told(&format!("{METERS}{wrong}")), "a.toml:6672: idle: must be a number of seconds");
    let broken = many_tables(|number| if number == 2_222 { "idle = " } else { "" }.to_owned());
    assert!(told(&format!("{METERS}{broken}")).starts_with("a.toml:6672: "));
    let right = many_tables(|_| String::new());
    assert_eq!(told(&format!("{METERS}{right}[other]\n")), "a.toml:7504: other: there is no such setting");
    assert!(told(&format!("{METERS}{right}{METERS}")).starts_with("a.toml:7504: "), "the defaults are there twice");
    assert!(told(&format!("peripheral = []\n{METERS}{right}")).starts_with("a.toml:5: "));
    let again = format!("{METERS}{right}[[peripheral]]\nid = \"m7\"\n");
    assert_eq!(told(&again), "a.toml:7504: peripheral m7 is in line 25 already");
}

#[test]
fn a_file_whose_name_does_not_tell_what_it_is_is_refused() {
    let error = read_as("a.txt", "").expect_err("neither");
    assert_eq!(error, "a.txt: a file of allocations ends in .toml or .csv");
}

proptest! {
    #[test]
    fn no_text_makes_reading_panic(text in "(\\PC|\n|,|=|\\[|\\]|\"|peripheral|id){0,60}") {
        let _ = (read_csv(&text), read_toml(&text));
    }
}

#[test]
fn keys_and_certificates_are_taken_from_the_file() {
    let allocations = read_toml(
        "[defaults]\napplication = \"a\"\ngroups = [\"g\"]\npassword = \"secret\"\n\
         [[peripheral]]\nid = \"m1\"\npre_shared_key = \"000102030405060708090a0b0c0d0e0f\"\n\
         [[peripheral]]\nid = \"m2\"\nidentity = \"two\"\npre_shared_key = \"000102030405060708090a0b0c0d0e0f\"\n\
         [[peripheral]]\nid = \"m3\"\ncertificate = \"meter three\"\n",
    )
    .expect("a good file");
    let key: PreSharedKey = "000102030405060708090a0b0c0d0e0f".parse().expect("a key");
    let credentials: Vec<_> = allocations.into_iter().filter_map(|allocation| allocation.credential).collect();
    assert_eq!(
        credentials,
        [
            Credential::PreSharedKey { identity: None, key: key.clone() },
            Credential::PreSharedKey { identity: Some("two".into()), key },
            Credential::Certificate { subject: Some("meter three".into()) },
        ]
    );
    let error = read_csv("id,application,groups,pre_shared_key,identity\nm1,a,g,short,\nm2,a,g,,two\n");
    assert_eq!(
        error.expect_err("no keys"),
        "a.csv:2: pre_shared_key: a pre-shared key is 8 to 64 bytes, in hexadecimal\n\
         a.csv:3: identity: needs a pre_shared_key beside it"
    );
}
