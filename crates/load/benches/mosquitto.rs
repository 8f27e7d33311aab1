//! The yardstick: what a stock mosquitto does on this machine, with the same peripherals that a Bugle
//! is measured with.
//!
//! `cargo bench -p bugle-load`, with numbers of peripherals after `--` for others than the usual.

use std::time::Duration;

use bugle_core::Protocol;
use bugle_load::measure::{Admission, FanOut, Mosquitto, Registrations, Target, unwatched};

const MEMBERS: &[usize] = &[1_000, 10_000];
const REPETITIONS: usize = 7;
/// Files that a server needs beside its connections.
const OTHER_FILES: usize = 1_024;
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<()> {
    let protocol = Protocol::Mqtt5;
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for &members in if asked.is_empty() { MEMBERS } else { &asked } {
        // What this process may open, the servers may that it starts.
        bugle_load::allow_open_files(members + OTHER_FILES)?;
        let mut targets = [Target::Mosquitto(Mosquitto::start()?)];
        let fan_out = FanOut { members, repetitions: REPETITIONS, payload_bytes: 64, protocol, patience: PATIENCE };
        println!("one message to {members} members, medians of {REPETITIONS}");
        print!("{}", fan_out.run(&mut targets, &unwatched)?);
        let registrations = Registrations {
            peripherals: members,
            repetitions: 3,
            protocol,
            admission: Admission::Application,
            patience: PATIENCE,
        };
        print!("{}", registrations.run(&targets, &unwatched)?);
    }
    Ok(())
}
