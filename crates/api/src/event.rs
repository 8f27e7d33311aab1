//! The event log of an application, and the snapshot to start from.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use bugle_core::{Event, EventKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// An event and its place in the log. As a server-sent event, `data` is this and `id` the sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventRecord {
    /// Its place in the log: one more than that of the event before.
    pub sequence: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// A page of the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events, in order.
    pub items: Vec<EventRecord>,
    /// What to ask for next, as `after`: the sequence of the last event here, or of one after it that is of no kind that
    /// was asked for.
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
    /// Only those of these kinds, with commas between: `registration_asked,deregistered`. Others are passed over, and a
    /// stream says how far it is with an event that has an `id` and no `data`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<EventKinds>,
    /// How many on a page, 1 to 1000; 100 without it. A stream has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Kinds of events, at least one. In text they have commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKinds(BTreeSet<EventKind>);

impl EventKinds {
    /// Those for which `is_wanted`; none if that is no kind at all.
    #[must_use]
    pub fn that(is_wanted: impl Fn(EventKind) -> bool) -> Option<Self> {
        let kinds: BTreeSet<_> = EventKind::ALL.iter().copied().filter(|kind| is_wanted(*kind)).collect();
        (!kinds.is_empty()).then_some(Self(kinds))
    }

    /// Whether a kind is one of them.
    #[must_use]
    pub fn contain(&self, kind: EventKind) -> bool {
        self.0.contains(&kind)
    }
}

impl From<EventKinds> for BTreeSet<EventKind> {
    fn from(EventKinds(kinds): EventKinds) -> Self {
        kinds
    }
}

impl fmt::Display for EventKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.0.iter().map(|kind| kind.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for EventKinds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = || EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        let kind = |word: &str| {
            let kind = EventKind::ALL.iter().copied().find(|kind| kind.as_str() == word.trim());
            kind.ok_or_else(|| format!("{word:?} is no kind of event; they are {}", words()))
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for EventKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

impl PartialSchema for EventKinds {
    fn schema() -> RefOr<Schema> {
        let kind = EventKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join("|");
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(format!("^({kind})(,({kind}))*$"))).into()
    }
}

impl ToSchema for EventKinds {
    fn name() -> Cow<'static, str> {
        "EventKinds".into()
    }
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
    fn an_event_names_its_kind_first() {
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
        for event in &events {
            let event: Event = serde_json::from_str(&format!(r#"{{"event":{event}}}"#)).expect(event);
            let json = serde_json::to_string(&event).expect("is JSON");
            assert!(json.starts_with(&format!(r#"{{"event":"{}","#, event.kind().as_str())), "{json}");
        }
        assert_eq!(events.len(), EventKind::ALL.len());
    }

    #[test]
    fn kinds_read_back_as_written_and_what_is_none_is_told_with_those_there_are() {
        let kinds: EventKinds = "report, deregistered".parse().expect("kinds");
        assert_eq!(kinds.to_string(), "deregistered,report");
        assert!(kinds.contain(EventKind::Report) && !kinds.contain(EventKind::Receipts));
        for text in ["", "report,", "reports"] {
            let error = text.parse::<EventKinds>().expect_err(text);
            assert!(error.contains("is no kind of event; they are registration_asked, presence_changed"), "{error}");
        }
    }
}
