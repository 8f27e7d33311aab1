//! Who is woken, by what means, and what becomes of those that are not.

use bugle_core::{Stage, State};
use serde_json::{Value, json};

use super::row::{Deaf, Row, Step, row, sends, sent};
use super::world::World;

/// A message that must be answered, with these to be activated.
fn message(activation: &str, sleepers: &str) -> Value {
    json!({
        "operation": {"do": "message", "content": {"text": "on"}}, "receipt": "executed",
        "activation": activation, "sleepers": sleepers,
    })
}

/// One that does not live long.
fn brief(activation: &str, sleepers: &str) -> Value {
    let mut message = message(activation, sleepers);
    message["deadline_seconds"] = 5.into();
    message
}

const EVERYONE: [(&str, &str); 1] = [("town", "executed")];
/// The two at each gateway that have said that they wake before the others.
const SOONEST: &str = "n-lan, n-http, s-coap, s-exec";
const SOONEST_ONLY: [(&str, &str); 3] = [(SOONEST, "executed"), ("meters", "skipped"), ("lamps", "executed")];

/// Activation of all, or of nobody.
fn all_or_nobody() -> Vec<Row> {
    let window_comes = |request| {
        vec![Step::Send(sent("town", request, EVERYONE)), Step::Seen("window", Stage::Activating), Step::Come("window")]
    };
    vec![
        row("all are activated, if nothing is said", {
            let request = json!({"operation": {"do": "read", "path": "/3/0/9"}, "receipt": "executed"});
            window_comes(request)
        })
        .waking("meters"),
        row("a whole of a hundred is all", window_comes(message("100%", "skip"))).waking("meters"),
        row(
            "nobody is woken, and who wakes by itself in time is served",
            vec![
                Step::Send(sent(
                    "town",
                    brief("none", "queue"),
                    [("lan, window", "executed"), ("meters", "expired asleep"), ("lamps", "executed")],
                )),
                Step::Seen("meters", Stage::Asleep),
                Step::Come("meters lan, window"),
            ],
        ),
        sends("sleepers are left out", "town", message("none", "skip"), [("lamps", "executed"), ("meters", "skipped")]),
    ]
}

/// Activation of some.
fn part() -> Vec<Row> {
    vec![
        sends("so many at each gateway, those first that wake soonest", "town", message("2", "skip"), SOONEST_ONLY)
            .waking(SOONEST),
        sends("a share is rounded up", "town", message("21%", "skip"), SOONEST_ONLY).waking(SOONEST),
        row(
            "the others wait for their own time",
            vec![
                Step::Send(sent(
                    "town",
                    brief("2", "queue"),
                    [
                        (SOONEST, "executed"),
                        ("window", "executed"),
                        ("meters", "expired asleep"),
                        ("lamps", "executed"),
                    ],
                )),
                Step::Seen("window", Stage::Asleep),
                Step::Come("window"),
            ],
        )
        .waking(SOONEST),
        sends(
            "those with labels",
            "town",
            message("zone=north,waker in (lan,coap)", "skip"),
            [("n-lan, n-coap, lamps", "executed"), ("meters", "skipped")],
        )
        .waking("n-lan, n-coap"),
        sends(
            "those with other labels",
            "town",
            message("protocol=lwm2m,waker not in (window,exec)", "skip"),
            [("meters lwm2m lan, meters lwm2m coap, meters lwm2m http, lamps", "executed"), ("meters", "skipped")],
        )
        .waking("meters lwm2m lan, meters lwm2m coap, meters lwm2m http"),
        sends(
            "those without a label are nobody",
            "town",
            message("!zone", "skip"),
            [("lamps", "executed"), ("meters", "skipped")],
        ),
    ]
}

/// Activation for requests.
fn for_requests() -> Vec<Row> {
    vec![
        row(
            "several requests share one wake-up",
            vec![
                Step::Send(sent(
                    "meters",
                    message("waker!=window", "skip"),
                    [("window", "skipped"), ("meters", "executed")],
                )),
                Step::Send(sent(
                    "town",
                    message("waker!=window", "skip"),
                    [("window", "skipped"), ("town", "executed")],
                )),
            ],
        )
        .waking("meters"),
        row(
            "one that does not hear at first is woken again",
            vec![Step::Send(sent(
                "trouble",
                json!({"operation": {"do": "message", "content": {"text": "on"}}, "receipt": "delivered"}),
                [("n-stern", "refused 0x83"), ("s-garbled", "refused 4.04"), ("trouble", "delivered")],
            ))],
        )
        .waking("n-sleepy")
        .with_deaf(Deaf::Once("n-sleepy")),
    ]
}

/// Activation and standby that are asked for.
fn for_nothing_else() -> Vec<Row> {
    vec![
        row(
            "one is activated for nothing but that",
            vec![Step::Activate("meters lan, meters coap"), Step::Become("meters lan, meters coap", State::Active)],
        )
        .waking("meters lan, meters coap"),
        row(
            "one that wakes by itself is waited for",
            vec![
                Step::Activate("window"),
                Step::Are("window", Some(State::Activating)),
                Step::Come("window"),
                Step::Become("window", State::Active),
            ],
        ),
        row(
            "a whole group is activated",
            vec![
                Step::ActivateGroup("meters"),
                Step::Are("window", Some(State::Activating)),
                Step::Come("window"),
                Step::Become("meters", State::Active),
            ],
        )
        .waking("meters"),
        row(
            "one is put into standby",
            vec![
                Step::PutIntoStandby("n-lwm2m, s-mqtt5"),
                Step::Become("n-lwm2m, s-mqtt5", State::Standby),
                Step::Are("n-lwm2m", Some(State::Standby)),
                Step::Come("n-lwm2m"),
                Step::Are("s-mqtt5, n-lwm2m", Some(State::Active)),
            ],
        ),
        row(
            "a whole group is put into standby, and gets nothing before it says a word",
            vec![
                Step::PutGroupIntoStandby("lamps"),
                Step::Become("lamps", State::Standby),
                Step::Send(sent("lamps", message("none", "queue"), [("lamps", "executed")])),
                Step::Seen("lamps lwm2m", Stage::Asleep),
                Step::Come("lamps lwm2m"),
            ],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn those_are_woken_that_the_activation_names_each_by_its_own_waker() {
    World::start().await.play(all_or_nobody().into_iter().chain(part())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sleeper_is_woken_once_for_all_that_waits_and_again_only_if_it_does_not_hear() {
    // Whoever was woken in vain is left alone for a minute.
    let last = row(
        "those that do not hear sleep on",
        vec![Step::Send(sent(
            "meters",
            brief("all", "queue"),
            [("s-lan, s-coap, n-exec, n-http, window", "expired asleep"), ("meters", "executed")],
        ))],
    )
    .waking("meters")
    .with_deaf(Deaf::Always("s-lan, s-coap, n-exec, n-http"));
    World::start().await.play(for_requests().into_iter().chain(for_nothing_else()).chain([last])).await;
}
