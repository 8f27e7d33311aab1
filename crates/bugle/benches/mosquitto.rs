//! One group request to all members of a group, held against a stock mosquitto that pushes the same to
//! the same number of subscribers, in the same run and in turns; then registrations, end to end with
//! the application's decision. Everything durable, all four parts as processes of their own.
//!
//! `cargo bench -p bugle --bench mosquitto`, with numbers of peripherals after `--` for others than the
//! usual.

#[path = "../tests/system/mod.rs"]
#[allow(dead_code, reason = "shared with the tests, which use more of it")]
mod system;

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::time::Duration;

use bugle_api::RequestState;
use bugle_core::{Content, Protocol, RequestId, Totals};
use bugle_load::measure::{
    Admission, Bugle, FanOut, GroupService, Member, Mosquitto, Registrations, Target, unwatched,
};
use serde_json::json;
use tokio::runtime::Runtime;

use system::{System, allocations, app};

const MEMBERS: &[usize] = &[1_000, 10_000];
const REPETITIONS: usize = 7;
/// Files that a server needs beside its connections.
const OTHER_FILES: usize = 1_024;
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the platform is asked whether all receipts are in.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);
/// The queue of the gateway's listener.
const CONNECTING_MAX: NonZeroUsize = NonZeroUsize::new(900).expect("not zero");

fn ids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("member-{number}"))
}

fn group_service(runtime: &Runtime, system: &System) -> GroupService {
    let (send_with, wait_with) = (runtime.handle().clone(), runtime.handle().clone());
    let (sender, waiter) = (system.client.clone(), system.client.clone());
    let send = move |content: &Content| -> Result<RequestId, String> {
        let submission = json!({
            "operation": {"do": "message", "content": content}, "receipt": "delivered", "deadline_seconds": 100,
        });
        let submission = serde_json::from_value(submission).map_err(|error| error.to_string())?;
        let sent = send_with.block_on(sender.submit(&app(), &system::group("members"), &submission, None));
        sent.map(|request| request.id).map_err(|error| error.to_string())
    };
    let wait = move |request: RequestId| -> Result<Totals, String> {
        loop {
            let known = wait_with.block_on(waiter.request(&app(), request)).map_err(|error| error.to_string())?;
            if known.state == RequestState::Complete {
                return Ok(known.totals);
            }
            std::thread::sleep(LOOK_INTERVAL);
        }
    };
    GroupService { send: Box::new(send), wait: Box::new(wait) }
}

fn bugle(runtime: &Runtime, system: &System, count: usize) -> Target {
    let gateway = &system.gateways["north"];
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, gateway.mqtt));
    let member = |id: String| Member { id: id.parse().expect("a peripheral id"), gateway: address, credentials: None };
    Target::Bugle(Bugle {
        members: ids(count).map(member).collect(),
        processes: vec![gateway.part.process_id()],
        connecting_max: CONNECTING_MAX,
        group: group_service(runtime, system),
    })
}

fn main() -> anyhow::Result<()> {
    let protocol = Protocol::Mqtt5;
    let asked: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    for &members in if asked.is_empty() { MEMBERS } else { &asked } {
        // What this process may open, the servers may that it starts.
        bugle_load::allow_open_files(members + OTHER_FILES)?;
        let runtime = Runtime::new()?;
        let system = runtime.block_on(System::start(&[("north", allocations("members", ids(members)))]));
        let mut targets = [Target::Mosquitto(Mosquitto::start()?), bugle(&runtime, &system, members)];
        let fan_out = FanOut { members, repetitions: REPETITIONS, payload_bytes: 64, protocol, patience: PATIENCE };
        println!("one message to {members} members, medians of {REPETITIONS}; the memory is the gateway's");
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
