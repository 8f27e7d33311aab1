//! What members are asked to do, and when they count as served.

use serde_json::{Value, json};

use super::row::{Row, sends};
use super::world::World;

fn read(path: &str) -> Value {
    json!({"do": "read", "path": path})
}

fn write(path: &str, text: &str) -> Value {
    json!({"do": "write", "path": path, "content": {"content_type": "text/plain", "text": text}})
}

fn execute(path: &str) -> Value {
    json!({"do": "execute", "path": path})
}

/// An operation that must be carried out, and wakes nobody.
fn executed(operation: Value) -> Value {
    json!({"operation": operation, "receipt": "executed", "activation": "none", "sleepers": "skip"})
}

/// One that must arrive.
fn delivered(operation: Value) -> Value {
    json!({"operation": operation, "receipt": "delivered", "activation": "none", "sleepers": "skip"})
}

/// What all can do.
fn possible() -> Vec<Row> {
    let message = json!({"do": "message", "content": {"text": "on"}});
    let bytes = json!({"do": "message", "content": {"content_type": "application/octet-stream", "base64": "AP8Q"}});
    vec![
        sends("a value is read", "lamps", executed(read("/3/0/9")), [("lamps", "executed 100")]),
        sends(
            "an id is read",
            "lamps",
            executed(read("/3/0/2")),
            [
                ("n-mqtt5", "executed n-mqtt5"),
                ("n-key", "executed n-key"),
                ("s-lwm2m", "executed s-lwm2m"),
                ("lamps", "executed"),
            ],
        ),
        sends("a value is written", "lamps", executed(write("/3311/0/5851", "40")), [("lamps", "executed")]),
        sends("and read back", "lamps", executed(read("/3311/0/5851")), [("lamps", "executed 40")]),
        sends("a message is taken", "lamps", executed(message.clone()), [("lamps", "executed")]),
        sends("bytes are taken", "lamps", executed(bytes), [("lamps", "executed")]),
        // With LwM2M the answer is the acknowledgement, and says more than was asked for.
        sends(
            "a message arrives",
            "lamps",
            delivered(message.clone()),
            [("lamps mqtt", "delivered"), ("lamps lwm2m", "executed")],
        ),
    ]
}

/// What none can do.
fn impossible() -> Vec<Row> {
    let unwritable = write("/3/0/9", "50");
    vec![
        // MQTT 3.1.1 has no word for no: what the peripheral says is its answer.
        sends(
            "what is not there is refused",
            "lamps",
            executed(read("/9/9/9")),
            [
                ("lamps lwm2m", "refused 4.04"),
                ("lamps mqtt5", "refused refused"),
                ("lamps mqtt3", "executed refused: /9/9/9 does not exist"),
            ],
        ),
        sends(
            "where arriving is enough, MQTT is not asked",
            "lamps",
            delivered(read("/9/9/9")),
            [("lamps lwm2m", "refused 4.04"), ("lamps mqtt", "delivered")],
        ),
        sends(
            "what cannot be executed is refused",
            "lamps",
            executed(execute("/3/0/9")),
            [
                ("lamps lwm2m", "refused 4.05"),
                ("lamps mqtt5", "refused refused"),
                ("lamps mqtt3", "executed refused: /3/0/9 cannot be executed"),
            ],
        ),
        sends(
            "what cannot be written is refused",
            "lamps",
            executed(unwritable),
            [
                ("lamps lwm2m", "refused 4.05"),
                ("lamps mqtt5", "refused refused"),
                ("lamps mqtt3", "executed refused: /3/0/9 cannot be written"),
            ],
        ),
        sends(
            "no number is refused before it is sent",
            "lamps",
            executed(write("/3311/0/5851", "half")),
            [("lamps lwm2m", "refused 4.00"), ("lamps mqtt", "executed")],
        ),
    ]
}

/// What some make trouble about.
fn troublesome() -> Vec<Row> {
    let message = json!({"do": "message", "content": {"text": "on"}});
    vec![
        sends(
            "some say no, some say nothing, and one has nowhere to put it",
            "trouble",
            executed(message.clone()),
            [
                ("n-refusing", "refused refused"),
                ("n-stern", "refused 0x83"),
                ("s-mute", "failed no answer within 5 s"),
                ("s-garbled", "refused 4.04"),
                ("n-sleepy", "skipped"),
            ],
        ),
        sends(
            "if arriving is enough, most have it",
            "trouble",
            delivered(message),
            [
                ("n-refusing, s-mute", "delivered"),
                ("n-stern", "refused 0x83"),
                ("s-garbled", "refused 4.04"),
                ("n-sleepy", "skipped"),
            ],
        ),
        sends(
            "what is no answer counts as none",
            "trouble",
            delivered(read("/3/0/9")),
            [
                ("n-refusing, s-mute", "delivered"),
                ("n-stern", "refused 0x83"),
                ("s-garbled", "failed the answer is not understood:"),
                ("n-sleepy", "skipped"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_ends_as_the_member_answers_it_in_its_protocol() {
    // They restart for it, and register anew a little later.
    let last = sends("a resource is executed", "lamps", executed(execute("/3/0/4")), [("lamps", "executed")]);
    World::start().await.play(possible().into_iter().chain(impossible()).chain(troublesome()).chain([last])).await;
}
