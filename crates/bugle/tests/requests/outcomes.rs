//! Every way for a member to end without being served.

use bugle_core::Stage;
use serde_json::{Value, json};

use super::row::{Deaf, Row, Step, row, sent};
use super::world::World;

/// A message that must be answered, for which nobody is woken, with more fields.
fn message(more: Value) -> Value {
    merged(json!({"do": "message", "content": {"text": "on"}}), more)
}

/// What all lamps but those of MQTT 3.1.1 refuse: three at each gateway.
fn refused(more: Value) -> Value {
    merged(json!({"do": "read", "path": "/9/9/9"}), more)
}

fn merged(operation: Value, more: Value) -> Value {
    let mut request = json!({"operation": operation, "receipt": "executed", "activation": "none"});
    let fields = request.as_object_mut().expect("it has fields");
    for (name, value) in more.as_object().expect("more fields") {
        fields.insert(name.clone(), value.clone());
    }
    request
}

/// What becomes of those that refuse; the meters end so.
fn refusals(meters: &'static str) -> [(&'static str, &'static str); 3] {
    [("lamps mqtt3", "executed"), ("lamps", "refused"), ("meters", meters)]
}

/// Ended by somebody's word.
fn by_word() -> Vec<Row> {
    vec![
        row(
            "cancelled while they sleep",
            vec![
                Step::Send(sent("town", message(json!({})), [("lamps", "executed"), ("meters", "cancelled")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Have("lamps"),
                Step::Cancel,
            ],
        ),
        row(
            "cancelled while they are woken",
            vec![
                Step::Send(sent("meters", message(json!({"activation": "all"})), [("meters", "cancelled")])),
                Step::Seen("meters", Stage::Activating),
                Step::Cancel,
            ],
        )
        .waking("meters")
        .with_deaf(Deaf::Always("meters")),
        row(
            "left while it waits for them",
            vec![
                Step::Send(sent("meters", message(json!({})), [("n-coap, s-lan", "left"), ("meters", "cancelled")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Leave("n-coap, s-lan"),
                Step::Are("n-coap, s-lan", None),
                Step::Cancel,
                Step::Come("n-coap, s-lan"),
            ],
        ),
        row(
            "taken out by the application",
            vec![
                Step::Send(sent(
                    "meters",
                    message(json!({})),
                    [("n-lan, n-exec, s-window, s-exec", "left"), ("meters", "cancelled")],
                )),
                Step::Seen("meters", Stage::Asleep),
                Step::Dismiss("n-lan, n-exec, s-window, s-exec"),
                Step::Are("n-lan, n-exec, s-window, s-exec", None),
                Step::Cancel,
                Step::Come("n-lan, n-exec, s-window, s-exec"),
            ],
        ),
        row(
            "replaced by a newer one of the same group and key",
            vec![
                Step::Send(sent("meters", message(json!({"collapse_key": "switch"})), [("meters", "replaced")])),
                Step::Send(sent("north", message(json!({"collapse_key": "switch"})), [("north", "executed")])),
                Step::Send(sent("meters", message(json!({"collapse_key": "dim"})), [("meters", "executed")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Send(sent("meters", message(json!({"collapse_key": "switch"})), [("meters", "executed")])),
                Step::Seen("meters", Stage::Asleep),
                Step::Come("meters"),
            ],
        ),
    ]
}

/// Ended because of others.
fn by_failures() -> Vec<Row> {
    vec![
        row(
            "aborted where more fail than is borne",
            vec![Step::Send(sent("town", refused(json!({"abort": {"failures": "2"}})), refusals("aborted")))],
        ),
        row(
            "aborted where more fail at all gateways together",
            vec![Step::Send(sent("town", refused(json!({"abort": {"failures": "5"}})), refusals("aborted")))],
        ),
        row(
            "aborted once enough have ended to count a share",
            vec![Step::Send(sent(
                "town",
                refused(json!({"abort": {"failures": "70%", "minimum": 8}})),
                refusals("aborted"),
            ))],
        ),
        row(
            "not aborted while as many fail as is borne",
            vec![Step::Send(sent(
                "town",
                refused(json!({"abort": {"failures": "6"}, "deadline_seconds": 4})),
                refusals("expired asleep"),
            ))],
        ),
    ]
}

/// Ended by the deadline.
fn out_of_reach() -> Vec<Row> {
    vec![
        row(
            "out of reach, and nobody knows yet",
            vec![
                Step::Vanish("n-mqtt5, s-mqtt3, n-lwm2m, s-cert"),
                Step::Send(sent(
                    "lamps",
                    message(json!({"deadline_seconds": 2})),
                    [("n-mqtt5, s-mqtt3, n-lwm2m, s-cert", "expired unreachable"), ("lamps", "executed")],
                )),
                Step::Have("lamps"),
                Step::Come("n-mqtt5, s-mqtt3, n-lwm2m, s-cert"),
            ],
        ),
        row(
            "out of reach for so long that they count as asleep",
            vec![
                Step::Vanish("n-lwm2m, s-cert"),
                Step::Send(sent(
                    "lamps",
                    message(json!({"deadline_seconds": 8})),
                    [("n-lwm2m, s-cert", "expired asleep"), ("lamps", "executed")],
                )),
                Step::Have("lamps"),
                Step::Come("n-lwm2m, s-cert"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_served_ends_once_and_for_the_reason_that_it_was() {
    World::start().await.play(by_word().into_iter().chain(by_failures()).chain(out_of_reach())).await;
}
