//! Following a group request until it has ended.

use std::pin::pin;
use std::time::{Duration, Instant};

use bugle_api::{MemberFilter, MemberQuery, Request, RequestMember};
use bugle_client::Client;
use bugle_core::{ExpiryCause, Operation, Outcome, OutcomeKind, Stage, Totals};
use serde::Serialize;

use crate::bars::Bars;
use crate::command::Context;
use crate::command::paging::{Found, Limit};
use crate::failure::{Ended, Failure};
use crate::output::{count, facts, table};
use crate::when::Wall;

/// How often bars show how a request stands while it is young, and later.
const LOOK_SOON: Duration = Duration::from_millis(200);
const LOOK_LATER: Duration = Duration::from_secs(1);
const YOUNG: Duration = Duration::from_secs(10);
/// Members that are shown with what went wrong.
const SHOWN_MAX: u32 = 100;
/// What of an answer fits into a table.
const ANSWER_SHOWN_MAX: usize = 60;

/// How long a request is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// Until every member has its outcome.
    UntilItEnds,
}

/// A request that has ended, and for whom it did not end well.
#[derive(Debug, Serialize)]
struct Followed {
    #[serde(flatten)]
    request: Request,
    not_served: Vec<RequestMember>,
}

/// Follows a request that was accepted, and prints how it ended.
pub(crate) async fn follow(
    context: &Context,
    client: &Client,
    request: Request,
    patience: Patience,
) -> Result<Ended, Failure> {
    if patience == Patience::None {
        context.output.print(&request, |request| {
            format!("Request {} is accepted; `bugle request watch {0}` shows how it ends.", request.id)
        })?;
        return Ok(Ended::Well);
    }
    let mut bars = Bars::new(context.output, &request);
    let ended = tokio::select! {
        ended = wait(client, request.clone(), &mut bars) => ended,
        _ = tokio::signal::ctrl_c() => {
            bars.clear();
            eprintln!("The request goes on; `bugle request watch {}` shows how it ends.", request.id);
            return Ok(Ended::Interrupted);
        }
    };
    bars.clear();
    let request = ended?;
    let not_served = not_served(client, &request).await?;
    let totals = request.totals;
    context.output.print(&Followed { request, not_served: not_served.items }, |result| {
        let mut text = format!("{}\n\n{}", describe(&result.request), outcome_table(&result.request.totals));
        if !result.not_served.is_empty() {
            text.push_str(&format!("\n\nNot served:\n{}", member_rows(&result.not_served)));
        }
        text
    })?;
    Ok(if totals.served() == totals.members { Ended::Well } else { Ended::MembersNotServed })
}

/// Shows how the request comes along until it is complete.
async fn wait(client: &Client, mut request: Request, bars: &mut Bars) -> Result<Request, Failure> {
    let started = Instant::now();
    let (application, id) = (request.application.clone(), request.id);
    let mut complete = pin!(client.complete_request(&application, id));
    loop {
        bars.show(&request);
        let look = if started.elapsed() < YOUNG { LOOK_SOON } else { LOOK_LATER };
        tokio::select! {
            request = &mut complete => return Ok(request?),
            () = tokio::time::sleep(look), if bars.are_seen() => request = client.request(&application, id).await?,
        }
    }
}

async fn not_served(client: &Client, request: &Request) -> Result<Found<RequestMember>, Failure> {
    let mut all = Found::default();
    let is_served = |kind: &OutcomeKind| matches!(kind, OutcomeKind::Executed | OutcomeKind::Delivered);
    for kind in OutcomeKind::ALL.iter().filter(|kind| !is_served(kind) && request.totals.count(**kind) > 0) {
        let outcome = Some(MemberFilter::Ended(*kind));
        let query = |cursor, limit| MemberQuery { outcome, stage: None, cursor, limit };
        let found = Limit { limit: SHOWN_MAX }
            .collect(async |cursor, limit| {
                client.request_members(&request.application, request.id, &query(cursor, limit)).await
            })
            .await?;
        all.items.extend(found.items);
    }
    Ok(all)
}

/// What a request is and where it stands.
pub(crate) fn describe(request: &Request) -> String {
    let wall = Wall::here();
    let took = request.completed_at.map(|at| {
        let took = at.saturating_since(request.accepted_at);
        format!("{:.1} s after it was accepted", took.as_secs_f64())
    });
    facts([
        ("request", Some(request.id.to_string())),
        ("group", Some(request.group.to_string())),
        ("operation", Some(word_of(&request.operation))),
        ("state", Some(request.state.to_string())),
        ("accepted", Some(wall.tell(request.accepted_at))),
        ("ended", took),
        ("deadline", request.completed_at.is_none().then(|| wall.tell(request.deadline))),
        ("members", Some(members_of(request))),
    ])
}

fn members_of(request: &Request) -> String {
    let Totals { members, .. } = request.totals;
    let waiting = match request.totals.waiting() {
        0 => String::new(),
        waiting => format!(", {waiting} still waiting"),
    };
    format!("{members} at {}{waiting}", count(request.gateways, "gateway"))
}

/// The operation in a few words.
pub(crate) fn word_of(operation: &Operation) -> String {
    match operation {
        Operation::Read { path } => format!("read {path}"),
        Operation::Write { path, .. } => format!("write {path}"),
        Operation::Execute { path, .. } => format!("execute {path}"),
        Operation::Message { .. } => "message".to_owned(),
    }
}

fn outcome_table(totals: &Totals) -> String {
    let kinds = OutcomeKind::ALL.iter().filter(|kind| totals.count(**kind) > 0);
    let rows = kinds.map(|kind| [kind.to_string(), totals.count(*kind).to_string()]);
    table(["outcome", "members"], rows, "The group has no registered member.")
}

/// Members, and what became of the request for each.
pub(crate) fn member_rows(members: &[RequestMember]) -> String {
    let rows = members.iter().map(|member| {
        let (outcome, detail) = match &member.outcome {
            None => ("waiting".to_owned(), member.stage.map_or("-", stage_of).to_owned()),
            Some(outcome) => (outcome.kind().to_string(), reason_of(outcome)),
        };
        [format!("{}/{}", member.gateway, member.peripheral), outcome, detail]
    });
    table(["member", "outcome", "detail"], rows, "No such member.")
}

/// Where a member is, in a few words.
pub(crate) const fn stage_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Accepted => "its gateway does not have it yet",
        Stage::AtGateway => "its gateway has it",
        Stage::Asleep => "it is asleep",
        Stage::Activating => "it is being woken",
        Stage::Sent => "it was sent",
    }
}

/// Why, or with what answer.
fn reason_of(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Executed { answer } => answer_of(answer),
        Outcome::Refused { code, reason } => format!("{code} {reason}"),
        Outcome::Failed { reason } => reason.clone(),
        Outcome::Expired { cause: ExpiryCause::Asleep } => "it did not wake before the deadline".to_owned(),
        Outcome::Expired { cause: ExpiryCause::Unreachable } => "it had not answered at the deadline".to_owned(),
        Outcome::Expired { cause: ExpiryCause::GatewayOffline } => "its gateway was offline".to_owned(),
        Outcome::Skipped => "it was in standby, and those were to be left out".to_owned(),
        Outcome::Left => "its registration ended first".to_owned(),
        Outcome::Cancelled => "the request was cancelled first".to_owned(),
        Outcome::Aborted => "too many other members failed first".to_owned(),
        Outcome::Replaced => "a newer request replaced this one first".to_owned(),
        Outcome::Delivered => "-".to_owned(),
    }
}

fn answer_of(answer: &bugle_core::Content) -> String {
    match answer.as_text() {
        Some("") => "-".to_owned(),
        Some(text) if text.chars().count() <= ANSWER_SHOWN_MAX && !text.contains(char::is_control) => text.to_owned(),
        _ => format!("{} of {}", count(answer.bytes.len() as u64, "byte"), answer.content_type),
    }
}

#[cfg(test)]
mod tests {
    use bugle_core::Content;

    use super::*;

    #[test]
    fn a_member_is_shown_with_what_became_of_it() {
        let member = |peripheral: &str, outcome| RequestMember {
            gateway: "east".parse().expect("a gateway id"),
            peripheral: peripheral.parse().expect("a peripheral id"),
            stage: None,
            outcome,
            at: None,
            seen: Vec::new(),
        };
        let shown = member_rows(&[
            member("a", None),
            member("b", Some(Outcome::Executed { answer: Content::text("87") })),
            member("c", Some(Outcome::Expired { cause: ExpiryCause::Asleep })),
            member("d", Some(Outcome::Refused { code: "0x87".into(), reason: "no".into() })),
        ]);
        let lines: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(lines[0], ["MEMBER", "OUTCOME", "DETAIL"]);
        assert_eq!(lines[1], ["east/a", "waiting", "-"]);
        assert_eq!(lines[2], ["east/b", "executed", "87"]);
        assert_eq!(lines[3][..4], ["east/c", "expired", "it", "did"]);
        assert_eq!(lines[4], ["east/d", "refused", "0x87", "no"]);
    }

    #[test]
    fn an_answer_that_no_table_can_hold_is_told_by_its_size() {
        let bytes = Content { content_type: "application/octet-stream".into(), bytes: vec![0xff; 7] };
        assert_eq!(answer_of(&bytes), "7 bytes of application/octet-stream");
        assert_eq!(answer_of(&Content::text("")), "-");
        assert_eq!(answer_of(&Content::text("two\nlines")), "9 bytes of text/plain");
    }
}
