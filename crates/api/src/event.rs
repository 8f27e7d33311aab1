//! The event log of an application, and the snapshot to start from.

use bugle_core::{Event, EventKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An event and its place in the log. As a server-sent event, `data` is this and `id` the sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRecord {
    /// Its place in the log: one more than that of the event before.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What is read of an [`EventRecord`] to know whether the rest is wanted: of a thousand receipts it costs a small part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct EventHead {
    /// Its place in the log.
    pub sequence: u64,
    /// What kind of event it is.
    #[serde(rename = "event")]
    pub kind: EventKind,
}

/// A page of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events, in order.
    pub items: Vec<EventRecord>,
    /// What to ask for next, as `after`: the sequence of the last event here.
    pub next_after: u64,
}

/// Which events. A `Last-Event-ID` header counts more than `after`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Those after this sequence; all that are kept without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// How many on a page, 1 to 1000; 100 without it. A stream has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A page of what is registered and what awaits a decision, told as the events that lead there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotPage {
    /// What is on this page is at least as new as this event. Who reads all pages and then the events
    /// after the sequence of the first page has missed nothing.
    pub sequence: u64,
    /// `presence_changed` for each registration, `registration_asked` for each that awaits a decision.
    pub items: Vec<Event>,
    /// Where the next page starts; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use bugle_core::{RequestId, Time, Totals};

    use super::*;

    #[test]
    fn an_event_record_is_the_event_and_its_sequence_in_one_object() {
        let json = r#"{"sequence":7,"event":"reports_lost","gateway":"gw","count":3}"#;
        let record: EventRecord = serde_json::from_str(json).expect("an event record");
        assert_eq!(record.sequence, 7);
        assert_eq!(serde_json::to_string(&record).expect("is JSON"), json);
    }

    #[test]
    fn the_head_of_an_event_record_says_what_kind_of_event_it_is() {
        let totals = serde_json::to_string(&Totals::default()).expect("they are JSON");
        let request = RequestId::compose(Time::from_millis(5), 1);
        let request = format!(r#""request":"{request}""#);
        let of_member = r#""gateway":"gw","peripheral":"m","registration":1,"groups":["g"]"#;
        let description = r#"{"protocol":"mqtt5","address":"192.0.2.1:1883","lifetime":60,"objects":""}"#;
        let events = [
            format!(r#""registration_asked",{of_member},"evidence":{{}},"description":{description}"#),
            format!(r#""presence_changed",{of_member},"state":"active","at":5"#),
            format!(r#""deregistered",{of_member},"cause":"peripheral","at":5"#),
            format!(r#""request_accepted",{request},"group":"g""#),
            r#""schedule_passed_over","schedule":"s","due":5,"reason":"r""#.to_owned(),
            format!(r#""members_fixed",{request},"gateway":"gw","members":1"#),
            format!(r#""progress",{request},"gateway":"gw","members":[]"#),
            format!(r#""receipts",{request},"gateway":"gw","receipts":[]"#),
            format!(r#""request_completed",{request},"totals":{totals}"#),
            r#""report","gateway":"gw","peripheral":"m","name":"n","content":{"text":"t"},"at":5"#.to_owned(),
            r#""reports_lost","gateway":"gw","count":3"#.to_owned(),
        ];
        for event in events {
            let json = format!(r#"{{"sequence":7,"event":{event}}}"#);
            let record: EventRecord = serde_json::from_str(&json).expect(&json);
            let head: EventHead = serde_json::from_str(&json).expect(&json);
            assert_eq!(head, EventHead { sequence: 7, kind: record.event.kind() });
        }
    }
}
