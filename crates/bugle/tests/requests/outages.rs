//! Parts that die while a request is under way, and live again.

use bugle_core::{Stage, State};
use serde_json::{Value, json};

use super::row::{Deaf, Row, Step, row, sends, sent};
use super::world::World;

fn message(activation: &str, sleepers: &str) -> Value {
    json!({
        "operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed",
        "activation": activation, "sleepers": sleepers,
    })
}

/// The part dies while a request waits for sleepers, who wake before it lives again.
fn dies_while_they_sleep(name: &'static str, part: &'static str) -> Row {
    row(
        name,
        vec![
            Step::Send(sent("meters", message("none", "queue"), [("meters", "executed")])),
            Step::Seen("meters", Stage::Asleep),
            Step::Kill(part),
            Step::Come("meters"),
            Step::Start(part),
        ],
    )
}

fn rows() -> Vec<Row> {
    let mut brief = message("none", "skip");
    brief["deadline_seconds"] = 1.into();
    vec![
        // The first, as a gateway that has just started leaves sleepers alone for a minute: whoever was there before may
        // have woken them.
        row(
            "a gateway dies while it wakes, and wakes nobody again for that",
            vec![
                Step::Send(sent("south", message("all", "queue"), [("south", "executed")])),
                Step::Have("south lamps"),
                Step::Seen("south meters", Stage::Activating),
                Step::Kill("south"),
                Step::Start("south"),
                Step::Come("south meters"),
            ],
        )
        .waking("south meters")
        .with_deaf(Deaf::Always("south meters")),
        row(
            "a gateway is dead, and what it may have done nobody knows",
            vec![
                Step::Kill("south"),
                Step::Send(sent(
                    "town",
                    brief,
                    [("south", "expired gateway offline"), ("lamps", "executed"), ("meters", "skipped")],
                )),
                Step::Have("town"),
                Step::Start("south"),
                Step::Are("south lamps", Some(State::Active)),
            ],
        ),
        row(
            "a gateway lives again in time",
            vec![
                Step::Kill("south"),
                // The one with a session of DTLS has to begin another, and counts as asleep until then.
                Step::Send(sent("lamps", message("none", "queue"), [("lamps", "executed")])),
                Step::Have("north lamps"),
                Step::Start("south"),
            ],
        ),
        dies_while_they_sleep("the platform dies", "platform"),
        dies_while_they_sleep("the application dies", "application"),
        sends("and all is as before", "town", message("none", "skip"), [("lamps", "executed"), ("meters", "skipped")]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_part_dies_every_member_ends_once_and_as_it_must() {
    World::start().await.play(rows()).await;
}
