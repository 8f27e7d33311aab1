//! Whether a request went as slowly as it was to go, by the clock of each gateway.

use std::collections::BTreeMap;

use bugle_api::RequestMember;
use bugle_core::{Pacing, Stage, Time};
use serde_json::Value;

/// From when to when the request was with members.
type Spans = Vec<(Time, Time)>;

pub(crate) fn assert_kept(name: &str, request: &Value, members: &[RequestMember]) {
    let Some(pacing) = request.get("pacing") else { return };
    let pacing: Pacing = serde_json::from_value(pacing.clone()).expect("a pacing");
    let mut spans: BTreeMap<String, Spans> = BTreeMap::new();
    for member in members {
        if let (Some(sent), Some(at)) = (sent_at(member), member.at) {
            spans.entry(member.gateway.to_string()).or_default().push((sent, at));
        }
    }
    for (gateway, mut spans) in spans {
        spans.sort_unstable();
        if let Some(most) = pacing.members_per_second {
            let most = most.get() as usize;
            let is_kept = spans.windows(most + 1).all(|window| window[most].0 - window[0].0 >= Pacing::SECOND);
            assert!(is_kept, "{name}: more than {most} a second at {gateway}: {spans:?}");
        }
        if let Some(most) = pacing.members_in_flight {
            let at_once = |now: Time| spans.iter().filter(|(sent, at)| *sent <= now && now < *at).count();
            let is_kept = spans.iter().all(|(sent, _)| at_once(*sent) <= most.get() as usize);
            assert!(is_kept, "{name}: more than {most} in flight at {gateway}: {spans:?}");
        }
    }
}

fn sent_at(member: &RequestMember) -> Option<Time> {
    member.seen.iter().find(|sighting| sighting.stage == Stage::Sent).map(|sighting| sighting.at)
}
