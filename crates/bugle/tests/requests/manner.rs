//! How a request goes: how fast, before which others, how often, and when.

use bugle_core::Stage;
use serde_json::{Value, json};

use super::row::{Row, Step, row, sends, sent};
use super::world::World;

fn message(pacing: Value) -> Value {
    json!({
        "operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed", "pacing": pacing,
        "activation": "none", "sleepers": "skip",
    })
}

fn write(text: &str) -> Value {
    json!({
        "operation": {"do": "write", "path": "/3311/0/5851", "content": {"content_type": "text/plain", "text": text}},
        "receipt": "executed", "activation": "none",
    })
}

fn read(priority: &str) -> Value {
    json!({
        "operation": {"do": "read", "path": "/3311/0/5851"}, "receipt": "executed", "activation": "none",
        "priority": priority,
    })
}

fn foreseen(activation: &str, sleepers: &str, deadline_seconds: u64) -> Value {
    json!({
        "operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed",
        "activation": activation, "sleepers": sleepers, "deadline_seconds": deadline_seconds,
    })
}

const LAMPS: [(&str, &str); 1] = [("lamps", "executed")];
const METERS: [(&str, &str); 1] = [("meters", "executed")];

/// How fast, and how often.
fn paced() -> Vec<Row> {
    let keyed = sent("lamps", message(json!({})), LAMPS).with_key("night");
    vec![
        sends("so many in a second", "lamps", message(json!({"members_per_second": 2})), LAMPS),
        sends("so many at once", "lamps", message(json!({"members_in_flight": 1})), LAMPS),
        row("so many wake-ups in a minute, and windows cost none", {
            let mut request = message(json!({"activations_per_minute": 1}));
            request["activation"] = "all".into();
            request["deadline_seconds"] = 5.into();
            vec![
                Step::Send(sent(
                    "meters",
                    request,
                    [("n-lan, s-coap, window", "executed"), ("meters", "expired asleep")],
                )),
                Step::Seen("window", Stage::Activating),
                Step::Come("window"),
            ]
        })
        .waking("n-lan, s-coap"),
        row(
            "the same key twice is the same request",
            vec![
                Step::Send(keyed.clone()),
                Step::Again(keyed.clone()),
                Step::Have("lamps"),
                Step::Again(keyed),
                Step::Contradict(sent("lamps", write("1"), LAMPS).with_key("night")),
            ],
        ),
    ]
}

/// When, and before which others.
fn in_turn() -> Vec<Row> {
    vec![
        row(
            "in the order of sending",
            vec![
                Step::Send(sent("town", write("1"), [("town", "executed")])),
                Step::Send(sent("town", read("normal"), [("town", "executed 1")])),
                Step::Send(sent("town", write("2"), [("town", "executed")])),
                Step::Send(sent("town", read("normal"), [("town", "executed 2")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Come("meters"),
            ],
        ),
        row(
            "what is urgent overtakes, and what is in the background is overtaken",
            vec![
                Step::Send(sent("meters", read("background"), [("meters", "executed 3")])),
                Step::Send(sent("meters", write("3"), METERS)),
                Step::Send(sent("meters", read("urgent"), [("meters", "executed 2")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Come("meters"),
            ],
        )
        .in_order([2, 1, 0]),
        row(
            "not before its time",
            vec![Step::Scheduled(sent("town", message(json!({})), [("lamps", "executed"), ("meters", "skipped")]))],
        ),
        row(
            "it meets what was foreseen",
            vec![
                Step::Foreseen(sent("town", foreseen("2", "skip", 60_000), []), [18, 8, 4, 0, 6, 0]),
                Step::Foreseen(sent("town", foreseen("zone=south", "queue", 60_000), []), [18, 8, 5, 5, 0, 0]),
                // Four have said that they sleep for two hours and more.
                Step::Foreseen(sent("town", foreseen("none", "queue", 5_400), []), [18, 8, 0, 10, 0, 4]),
                Step::Send(sent(
                    "town",
                    foreseen("2", "skip", 60_000),
                    [("n-lan, n-http, s-coap, s-exec, lamps", "executed"), ("meters", "skipped")],
                )),
            ],
        )
        .waking("n-lan, n-http, s-coap, s-exec"),
        row("who is woken does not miss it, however long it has said to sleep", {
            const HOUR_AND_A_HALF: u64 = 5_400;
            let request = |activation, sleepers| foreseen(activation, sleepers, HOUR_AND_A_HALF);
            let woken = "waker in (lan,coap,http,exec)";
            vec![
                // The only one that says when it wakes by itself, and is woken by nothing.
                Step::Foreseen(sent("town", request("all", "queue"), []), [18, 8, 10, 0, 0, 1]),
                // That one, and one that could be woken and is not.
                Step::Foreseen(sent("town", request("zone=south", "queue"), []), [18, 8, 5, 5, 0, 2]),
                Step::Foreseen(sent("town", request(woken, "skip"), []), [18, 8, 8, 0, 2, 0]),
                Step::Send(sent("town", request(woken, "skip"), [("window", "skipped"), ("town", "executed")])),
            ]
        })
        .waking("town lan, town coap, town http, town exec"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_goes_as_fast_as_it_may_in_its_turn_at_its_time_and_once() {
    World::start().await.play(paced().into_iter().chain(in_turn())).await;
}
