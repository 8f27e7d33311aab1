//! Whoever submits group requests: one after the other, each until it is accepted.

use std::time::{Duration, Instant};

use bugle_api::Submission;
use bugle_client::Client;
use bugle_core::RequestId;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::system::{app, group};

/// Between two group requests, in milliseconds.
const PAUSE_MILLIS: std::ops::Range<u64> = 200..900;
/// After how long one that was not accepted is sent again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// How long an answer may take: a platform that is killed gives none.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// A group request that the platform has accepted, in the order of acceptance.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) id: RequestId,
    pub(crate) at: Instant,
    pub(crate) deadline: Duration,
    /// Whether somebody tried to cancel it.
    pub(crate) is_cancelled: bool,
}

pub(crate) struct Submitter {
    stop: watch::Sender<bool>,
    working: JoinHandle<Vec<Accepted>>,
}

impl Submitter {
    pub(crate) fn start(client: Client, seed: u64, deadline: Duration) -> Self {
        let (stop, stopped) = watch::channel(false);
        let working = tokio::spawn(submit(client, fastrand::Rng::with_seed(seed), seed, deadline, stopped));
        Self { stop, working }
    }

    /// What was accepted.
    pub(crate) async fn stop(self) -> Vec<Accepted> {
        self.stop.send_replace(true);
        self.working.await.expect("whoever submits does not panic")
    }
}

async fn submit(
    client: Client,
    mut random: fastrand::Rng,
    seed: u64,
    deadline: Duration,
    mut stopped: watch::Receiver<bool>,
) -> Vec<Accepted> {
    let mut accepted = Vec::new();
    for number in 0_u64.. {
        let to = *random.choice(&["all", "all", "messages", "resources"]).expect("there are some");
        let submission: Submission = serde_json::from_value(draw(&mut random, number, deadline)).expect("a submission");
        let key = format!("{seed}-{number}");
        let id = loop {
            let answer = async { client.submit(&app(), &group(to), &submission, Some(&key)).await };
            match tokio::time::timeout(ANSWER_PATIENCE, answer).await {
                Ok(Ok(request)) => break request.id,
                Ok(Err(error)) => assert!(error.is_passing(), "{error}"),
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        };
        let mut request = Accepted { id, at: Instant::now(), deadline, is_cancelled: false };
        if random.u32(..100) < 5 {
            // Whether it comes in time is not to be known.
            request.is_cancelled = true;
            let _ = tokio::time::timeout(ANSWER_PATIENCE, client.cancel(&app(), id)).await;
        }
        accepted.push(request);
        let pause = Duration::from_millis(random.u64(PAUSE_MILLIS));
        if tokio::time::timeout(pause, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            break;
        }
    }
    accepted
}

fn draw(random: &mut fastrand::Rng, number: u64, deadline: Duration) -> Value {
    let operation = match random.u32(..10) {
        0..2 => json!({"do": "read", "path": "/3/0/0"}),
        _ => json!({"do": "message", "content": {"text": format!("number {number}")}}),
    };
    let mut pick = |words: &[&'static str]| *random.choice(words).expect("there are some");
    json!({
        "operation": operation,
        "activation": pick(&["all", "all", "none", "50%"]),
        "sleepers": pick(&["queue", "queue", "queue", "skip"]),
        "receipt": pick(&["executed", "executed", "delivered"]),
        "deadline_seconds": deadline.as_secs(),
    })
}
