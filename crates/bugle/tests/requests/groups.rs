//! Groups that change, and groups that lie in each other.

use serde_json::{Value, json};

use super::row::{NO_MEMBER, Row, Step, row, sent};
use super::world::World;

fn message(late_joiners: &str, deadline_seconds: u64) -> Value {
    json!({
        "operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed", "sleepers": "skip",
        "activation": "none", "late_joiners": late_joiners, "deadline_seconds": deadline_seconds,
    })
}

const LATE: &str = "n-mqtt5, s-mqtt3, n-key, s-lwm2m";

/// Members that come and go.
fn coming_and_going() -> Vec<Row> {
    vec![
        row(
            "who comes later is no member",
            vec![
                Step::Leave(LATE),
                Step::Are(LATE, None),
                Step::Send(sent("lamps", message("exclude", 60), [(LATE, NO_MEMBER), ("lamps", "executed")])),
                Step::Have("n-mqtt3, n-lwm2m, s-mqtt5, s-cert"),
                Step::Come(LATE),
            ],
        ),
        row(
            "who comes later is a member, if that is asked for",
            vec![
                Step::Leave(LATE),
                Step::Are(LATE, None),
                Step::Send(sent("lamps", message("include", 6), [("lamps", "executed")])),
                Step::Have("n-mqtt3, n-lwm2m, s-mqtt5, s-cert"),
                Step::Come(LATE),
            ],
        ),
        row(
            "who leaves and comes again gets it once",
            vec![
                Step::Send(sent("lamps", message("include", 6), [("lamps", "executed")])),
                Step::Have("lamps"),
                Step::Leave(LATE),
                Step::Are(LATE, None),
                Step::Come(LATE),
            ],
        ),
        row(
            "nobody is there, and it is over",
            vec![
                Step::Leave("n-refusing, s-mute, n-sleepy"),
                Step::Are("n-refusing, s-mute, n-sleepy", None),
                Step::Send(sent(
                    "trouble",
                    message("exclude", 60),
                    [("n-stern", "refused 0x83"), ("s-garbled", "refused 4.04"), ("trouble", NO_MEMBER)],
                )),
                Step::Have("n-stern, s-garbled"),
                Step::Come("n-refusing, s-mute, n-sleepy"),
            ],
        ),
    ]
}

/// Groups in groups.
fn nested() -> Vec<Row> {
    let all = [("lamps", "executed"), ("meters", "skipped")];
    vec![
        row(
            "whoever is reached by two ways is reached once",
            vec![
                Step::Nest("country", "north"),
                Step::Nest("country", "south"),
                Step::Nest("country", "lamps"),
                Step::Nest("world", "country"),
                Step::Send(sent("country", message("exclude", 60), all)),
                Step::Send(sent("world", message("exclude", 60), all)),
            ],
        ),
        row(
            "who joins a group that lies in another joins that",
            vec![
                Step::Leave(LATE),
                Step::Are(LATE, None),
                Step::Send(sent("world", message("include", 6), all)),
                Step::Have("n-mqtt3, n-lwm2m, s-mqtt5, s-cert, meters"),
                Step::Come(LATE),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_all_that_are_in_a_group_or_in_one_that_lies_in_it_each_once() {
    World::start().await.play(coming_and_going().into_iter().chain(nested())).await;
}
