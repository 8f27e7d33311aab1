//! `bugle up` as a newcomer sees it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::program::{bugle, run};
use super::system::free_port;

/// How long the story may take: its naps and deadlines take about half a minute.
const STORY_TIME: Duration = Duration::from_secs(120);
/// How long Ctrl-C may take.
const ENDING_TIME: Duration = Duration::from_secs(10);

/// `bugle up`, with MQTT where nobody else listens; it finds other ports by itself.
fn up(folder: &Path, more: &[&str]) -> Command {
    let mut command = bugle(folder);
    command.args(["up", "--json", "--mqtt-base-port", &free_port().to_string()]).args(more);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Kills what is still running, so that no test leaves anything behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, mostly.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Tells the whole story, and returns its steps by name.
fn story(folder: &Path) -> Vec<(String, String)> {
    let began = Instant::now();
    let output = up(folder, &["--once"]).output().expect("it starts");
    assert!(began.elapsed() < STORY_TIME);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}\n{}", String::from_utf8_lossy(&output.stdout));
    let steps = output.stdout.lines().map(|line| {
        let step: Value = serde_json::from_str(&line.expect("text")).expect("a line of JSON");
        let text = |name: &str| step[name].as_str().expect("a text").to_owned();
        (text("name"), text("text"))
    });
    steps.collect()
}

fn told<'a>(steps: &'a [(String, String)], name: &str) -> &'a str {
    let found = steps.iter().find(|(known, _)| known == name);
    found.map_or_else(|| panic!("no step {name} in {steps:#?}"), |(_, text)| text)
}

#[test]
fn the_story_is_told_and_goes_on_where_it_was() {
    let folder = TempDir::new().expect("a folder");
    let first = story(folder.path());
    let names = [
        "platform",
        "gateways",
        "allocated",
        "registered",
        "stranger",
        "standby",
        "request",
        "outcome",
        "deregistered",
    ];
    let order = names.map(|name| first.iter().position(|(known, _)| known == name).unwrap_or_else(|| panic!("{name}")));
    assert!(order.is_sorted(), "{first:#?}");
    assert!(told(&first, "gateways").contains("one-time token"));
    assert!(told(&first, "registered").contains("30 of 30"));
    assert!(told(&first, "outcome").contains("expired"));
    assert!(told(&first, "deregistered").contains("had 15 members and has 14"), "{first:#?}");
    assert!(!first.iter().any(|(name, _)| name == "before"));

    let second = story(folder.path());
    assert!(told(&second, "gateways").contains("an earlier time"));
    // One left at the end of the first story.
    assert!(told(&second, "before").contains("29 peripherals"), "{second:#?}");
    assert!(told(&second, "registered").contains("30 of 30"));
}

fn interrupt(running: &mut Running) {
    let id = running.0.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().expect("kill is there").success());
    let began = Instant::now();
    loop {
        if let Some(status) = running.0.try_wait().expect("its state is known") {
            assert!(status.success(), "{status}");
            return;
        }
        assert!(began.elapsed() < ENDING_TIME, "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn ctrl_c_ends_it_within_seconds_and_its_addresses_are_kept_for_the_command_line() {
    let folder = TempDir::new().expect("a folder");
    let mut running = Running(up(folder.path(), &["--peripherals", "0"]).spawn().expect("it starts"));
    let output = running.0.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let last = lines.find(|line| line.contains("\"up\"")).expect("it says that it is up");
    assert!(last.contains("peripheral allocate"), "{last}");
    // The command line finds it in the folder, and says which gateways are there.
    let listed = run(folder.path(), &["gateway", "list"]).into_output();
    assert_eq!(listed.matches("connected").count(), 2, "{listed}");
    interrupt(&mut running);
    run(folder.path(), &["gateway", "list"]).assert_refused(3, &["cannot be reached"]);
}

#[test]
fn ctrl_c_in_the_middle_of_the_story_ends_it_within_seconds() {
    let folder = TempDir::new().expect("a folder");
    let mut running = Running(up(folder.path(), &[]).spawn().expect("it starts"));
    let output = running.0.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.find(|line| line.contains("\"standby\"")).expect("the story gets that far");
    interrupt(&mut running);
}

#[test]
fn a_gateway_that_cannot_reach_the_platform_is_told_and_not_waited_for_without_end() {
    let folder = TempDir::new().expect("a folder");
    let data = folder.path().join("bugle-data");
    // At ports that no other town takes meanwhile: with another one the gateways would enrol anew.
    fs::create_dir(&data).expect("made");
    let (http, link) = (free_port(), free_port());
    let platform =
        format!("data_folder = \"platform\"\nhttp_listen = \"127.0.0.1:{http}\"\nlink_listen = \"127.0.0.1:{link}\"\n");
    fs::write(data.join("platform.toml"), platform).expect("written");
    let mut running = Running(up(folder.path(), &["--peripherals", "0"]).spawn().expect("it starts"));
    let output = running.0.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    lines.find(|line| line.contains("\"up\"")).expect("it says that it is up");
    interrupt(&mut running);
    // A platform that is made anew does not know the gateways that enrolled at the old one.
    fs::remove_dir_all(data.join("platform")).expect("it is there");
    fs::remove_file(data.join("application-at-platform.token")).expect("it is there");
    let ran: super::program::Ran = up(folder.path(), &["--peripherals", "0"]).output().expect("it starts").into();
    ran.assert_refused(1, &["gateway east has not reached the platform within"]);
}
