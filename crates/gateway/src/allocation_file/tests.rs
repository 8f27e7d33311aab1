use super::*;

fn toml(text: &str) -> Result<Vec<Allocation>, Vec<Complaint>> {
    allocations(text::from_toml(text)?)
}

fn csv(text: &str) -> Result<Vec<Allocation>, Vec<Complaint>> {
    allocations(text::from_csv(text)?)
}

fn lines(result: Result<Vec<Allocation>, Vec<Complaint>>) -> Vec<u64> {
    result.expect_err("it is refused").into_iter().map(|complaint| complaint.line).collect()
}

const TOML: &str = r#"
[defaults]
application = "metering"
groups = ["meters"]
labels = { site = "north" }

[[peripheral]]
id = "meter-1"

[[peripheral]]
id = "valve-1"
groups = ["valves", "cellar"]
password = "secret"
initial_state = "blocked"
idle = 60
labels = { floor = "-1" }
"#;

const CSV: &str = "\
id,application,groups,initial_state,password,idle,label.site,label.floor
meter-1,metering,meters,,,,north,
valve-1,metering,valves; cellar,blocked,secret,60,north,-1
";

#[test]
fn both_forms_say_the_same() {
    let from_toml = toml(TOML).expect("it is sound");
    assert_eq!(from_toml, csv(CSV).expect("it is sound"));
    assert_eq!(from_toml.len(), 2);
    assert_eq!(from_toml[1].groups.len(), 2);
    assert_eq!(from_toml[1].labels["floor"], "-1");
    assert!(matches!(from_toml[1].credential, Some(bugle_core::Credential::Password { .. })));
}

#[test]
fn everything_that_is_wrong_is_told_with_its_line() {
    let wrong = "[defaults]\napplication = \"a\"\ngroups = [\"g\"]\n\n[[peripheral]]\nid = \"a/b\"\n\n\
                 [[peripheral]]\nid = \"ok\"\n\n[[peripheral]]\nid = \"ok\"\n\n[[peripheral]]\nid = \"x\"\nidle = 0\n";
    assert_eq!(lines(toml(wrong)), [5, 11, 14]);
    let wrong = "id,application,groups,idle\na/b,a,g,\nok,a,g,\nok,a,g,\nx,a,g,soon\ny,,g,\n";
    assert_eq!(lines(csv(wrong)), [5], "a record that cannot be read comes before what records mean");
    let wrong = "id,application,groups\na/b,a,g\nok,a,g\nok,a,g\ny,,g\n";
    assert_eq!(lines(csv(wrong)), [2, 4, 5]);
}

#[test]
fn a_misspelt_word_is_refused_with_its_line() {
    assert_eq!(lines(toml("[[peripheral]]\nid = \"a\"\ngruops = [\"g\"]\n")), [1]);
    assert_eq!(lines(toml("[default]\napplication = \"a\"\n")), [1]);
    assert_eq!(lines(toml("[[peripheral]\n")), [1]);
    assert_eq!(lines(csv("id,aplication\nm,a\n")), [2]);
}

#[test]
fn a_password_and_a_verifier_exclude_each_other() {
    let both = "[[peripheral]]\nid=\"a\"\napplication=\"a\"\ngroups=[\"g\"]\npassword=\"x\"\nverifier=\"y\"\n";
    assert_eq!(lines(toml(both)), [1]);
}

#[test]
fn an_empty_file_allocates_nobody() {
    assert_eq!(toml(""), Ok(Vec::new()));
    assert_eq!(csv("id,application\n"), Ok(Vec::new()));
}
