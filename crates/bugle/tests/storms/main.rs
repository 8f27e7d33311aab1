//! More at once than a part is made for, over real sockets: bounded, and nobody else's loss.

mod flood;
mod full_disks;
mod readers;
mod registering;
mod silence;
#[path = "../system/mod.rs"]
#[allow(dead_code, reason = "the other binaries need the rest")]
mod system;

use std::time::{Duration, Instant};

use bugle_core::OutcomeKind;
use serde_json::json;
use system::System;

/// Sends a message to all members of a group, all of whom execute it; how long that takes.
async fn served(system: &System, group: &str, members: u64) -> Duration {
    let began = Instant::now();
    let message = json!({
        "operation": {"do": "message", "content": {"text": "hello"}}, "receipt": "executed", "deadline_seconds": 60,
    });
    let sent = system.submit(group, message).await;
    let ended = system.completed(sent).await;
    assert_eq!((ended.totals.members, ended.totals.count(OutcomeKind::Executed)), (members, members), "{ended:?}");
    began.elapsed()
}
