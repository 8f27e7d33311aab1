//! What is not right is told in a sentence, with a status that says whose fault it is.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;

use super::program::{run, run_as_operator, run_with_token};
use super::system::{System, allocations, free_port, until};

#[test]
fn a_platform_that_does_not_run_is_told_with_what_runs_one() {
    let folder = TempDir::new().expect("a folder");
    let url = format!("http://127.0.0.1:{}", free_port());
    let ran = run(folder.path(), &["--platform", &url, "--token", "x", "gateway", "list"]);
    ran.assert_refused(3, &[&url, "cannot be reached", "`bugle up`"]);
    // What is not said at all is told before anything is sent.
    run(folder.path(), &["gateway", "list"]).assert_refused(2, &["where the platform is", "--platform", "bugle up"]);
    run(folder.path(), &["--platform", &url, "gateway", "list"]).assert_refused(2, &["which token", "--token-file"]);
}

#[test]
fn a_deadline_out_of_bounds_is_refused_before_anything_is_sent() {
    let folder = TempDir::new().expect("a folder");
    for deadline in ["0s", "1000days"] {
        let line = ["--platform", "http://127.0.0.1:1", "--token", "x", "--application", "metering"];
        let send = ["group", "send", "lamps", "--message", "on", "--deadline", deadline];
        run(folder.path(), &[&line[..], &send].concat()).assert_refused(2, &["deadline", "between 1 second and"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_platform_does_not_know_is_told_apart() {
    let system = System::start(&[("north", allocations("lamps", ["one".to_owned()].into_iter()))]).await;
    let operator = |arguments: &[&str]| run_as_operator(&system, arguments);
    operator(&["group", "send", "nowhere", "--message", "on"]).assert_refused(3, &["group is unknown"]);
    operator(&["group", "show", "nowhere"]).assert_refused(3, &["group is unknown"]);
    operator(&["peripheral", "allocate", "east/x", "--group", "lamps"]).assert_refused(3, &["gateway is unknown"]);
    operator(&["peripheral", "show", "north/x"]).assert_refused(3, &["peripheral is unknown"]);
}

/// A file with the secret of a token made just now.
fn token(system: &System, name: &str, more: &[&str]) -> PathBuf {
    let made = run_as_operator(system, &[&["--json", "token", "create", name][..], more].concat());
    let made: Value = serde_json::from_str(&made.into_output()).expect("JSON");
    let file = system.folder.path().join(format!("{name}.token"));
    fs::write(&file, made["secret"].as_str().expect("a secret")).expect("written");
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_good_is_told_apart_from_one_that_is_good_for_less() {
    let system = System::start(&[]).await;
    let wrong = system.folder.path().join("wrong.token");
    fs::write(&wrong, "no token at all").expect("written");
    run_with_token(&system, &wrong, &["group", "list"]).assert_refused(3, &["token"]);
    run_with_token(&system, &system.folder.path().join("missing"), &["group", "list"]).assert_refused(1, &["missing"]);

    let reader = token(&system, "reader", &["--scope", "groups:read"]);
    run_with_token(&system, &reader, &["group", "list"]).into_output();
    let send = ["group", "send", "lamps", "--message", "on"];
    run_with_token(&system, &reader, &send).assert_refused(3, &["requests:write"]);

    let brief = token(&system, "brief", &["--scope", "groups:read", "--expires", "1s"]);
    let refused = until("the token to expire", async || {
        Some(run_with_token(&system, &brief, &["group", "list"])).filter(|ran| ran.status != 0)
    })
    .await;
    refused.assert_refused(3, &["token"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_is_none_is_answered_with_a_problem() {
    let system = System::start(&[]).await;
    let token = fs::read_to_string(system.folder.path().join("platform/operator.token")).expect("it is there");
    let url = format!("{}/v1/applications/metering/groups/lamps/requests", system.url);
    let send = |body: &'static str| {
        let request = reqwest::Client::new().post(&url).bearer_auth(token.trim());
        request.header("content-type", "application/json").body(body).send()
    };
    for body in
        ["{\"operation\": ", "{}", "{\"operation\": {\"do\": \"read\", \"path\": \"/3\"}, \"deadline_seconds\": -1}"]
    {
        let answer = send(body).await.expect("it answers");
        assert!(answer.status().is_client_error(), "{body}: {}", answer.status());
        let problem: Value = answer.json().await.expect("a problem is JSON");
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{body}: {problem}");
    }
}

#[test]
fn a_configuration_that_is_not_right_is_told_with_its_line_and_binds_nothing() {
    let folder = TempDir::new().expect("a folder");
    let refused = |part: &str, text: &str, words: &[&str]| {
        let file = format!("{part}.toml");
        fs::write(folder.path().join(&file), text).expect("written");
        run(folder.path(), &[part, "--config", &file]).assert_refused(2, words);
    };
    refused(
        "platform",
        "data_folder = \"d\"\nhttp_lisen = 1\n",
        &["platform.toml:2:1", "http_lisen", "bugle config platform"],
    );
    refused("gateway", "id = \"north\"\ndata_folder = \n", &["gateway.toml:2:", "bugle config gateway"]);
    refused("application", "id = \"a/b\"\n", &["application.toml:1:", "application id"]);
    run(folder.path(), &["gateway", "--config", "none.toml"]).assert_refused(2, &["none.toml"]);

    // A plain listener beyond loopback must be asked for by name.
    let platform = "data_folder = \"d\"\nhttp_listen = \"0.0.0.0:0\"\n";
    refused("platform", platform, &["http_listen", "http_plain = \"anywhere\""]);
    let gateway = "id = \"north\"\ndata_folder = \"d\"\n[platform]\nurl = \"http://127.0.0.1:1\"\n[mqtt]\nlisten = \"0.0.0.0:0\"\n";
    refused("gateway", gateway, &["mqtt.listen", "mqtt.plain = \"anywhere\""]);
    let application = "id = \"a\"\ndata_folder = \"d\"\npolicy = \"p\"\nhttp_listen = \"0.0.0.0:0\"\n[platform]\n\
                       url = \"http://127.0.0.1:1\"\ntoken = \"t\"\n";
    refused("application", application, &["http_listen", "http_plain = \"anywhere\""]);
    assert!(!folder.path().join("d").exists(), "nothing was made before all was checked");
}
