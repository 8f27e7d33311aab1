//! `bugle request`: group requests and what became of them.

use bugle_api::{MemberFilter, MemberQuery, Request, RequestMember, RequestQuery, RequestState};
use bugle_core::{GroupId, RequestId, Stage};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::paging::Limit;
use crate::failure::{Ended, Failure};
use crate::following::{Patience, describe, follow, member_rows, word_of};
use crate::output::table;
use crate::when::Wall;

/// Group requests: list them, look at outcomes, cancel them
#[derive(Debug, Args)]
pub(crate) struct RequestCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the application's group requests, the latest first
    #[command(after_long_help = "Examples:\n  bugle request list\n  bugle request list --group lamps")]
    List {
        /// Only those for this group
        #[arg(long)]
        group: Option<GroupId>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a group request and the outcome of each member
    #[command(after_long_help = "\
Examples (of the latest request):
  bugle request show $(bugle request list --limit 1 --json | jq -r '.[0].id')
  bugle request show $(bugle request list --limit 1 --json | jq -r '.[0].id') --stage asleep")]
    Show {
        /// Which request, as `bugle request list` prints it
        request: RequestId,
        /// Only members that ended so, as expired; or waiting
        #[arg(long)]
        outcome: Option<MemberFilter>,
        /// Only members that wait there: at-gateway, asleep, activating or sent
        #[arg(long, value_parser = parse_stage, conflicts_with = "outcome")]
        stage: Option<Stage>,
        #[command(flatten)]
        limit: Limit,
    },
    /// Cancel a group request: members that it has not reached are left out
    #[command(after_long_help = "\
Example (of the latest request):
  bugle request cancel $(bugle request list --limit 1 --json | jq -r '.[0].id')")]
    Cancel {
        /// Which request
        request: RequestId,
    },
    /// Wait until a group request has ended, as `bugle group send` does
    #[command(after_long_help = "\
Example (of the latest request):
  bugle request watch $(bugle request list --limit 1 --json | jq -r '.[0].id')")]
    Watch {
        /// Which request
        request: RequestId,
    },
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    request: Request,
    members: Vec<RequestMember>,
}

impl RequestCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        let application = context.connection.application()?;
        match self.command {
            Command::List { group, limit } => list(context, group, limit).await,
            Command::Show { request, outcome, stage, limit } => show(context, request, (outcome, stage), limit).await,
            Command::Cancel { request } => {
                let request = client.cancel(application, request).await?;
                context.output.print(&request, |request| {
                    format!("Request {} is being cancelled; `bugle request watch {0}` shows how it ends.", request.id)
                })?;
                Ok(Ended::Well)
            }
            Command::Watch { request } => {
                let request = client.request(application, request).await?;
                follow(context, &client, request, Patience::UntilItEnds).await
            }
        }
    }
}

fn parse_stage(text: &str) -> Result<Stage, String> {
    let found = Stage::ALL.iter().copied().find(|stage| stage.as_str().replace('_', "-") == text);
    found.ok_or_else(|| "stages are at-gateway, asleep, activating and sent".to_owned())
}

async fn list(context: &Context, group: Option<GroupId>, limit: Limit) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    let query = |cursor, limit| RequestQuery { group: group.clone(), state: None, cursor, limit };
    let found = limit.collect(async |cursor, limit| client.requests(application, &query(cursor, limit)).await).await?;
    context.output.print(&found.items, |requests| format!("{}{}", request_table(requests), found.note()))?;
    Ok(Ended::Well)
}

fn request_table(requests: &[Request]) -> String {
    let wall = Wall::here();
    let rows = requests.iter().map(|request| {
        let ends = match request.state {
            RequestState::Open | RequestState::Cancelling => format!("deadline {}", wall.tell(request.deadline)),
            RequestState::Complete => {
                request.completed_at.map_or_else(|| "-".to_owned(), |at| format!("ended {}", wall.tell(at)))
            }
        };
        [
            request.id.to_string(),
            request.group.to_string(),
            word_of(&request.operation),
            format!("{}/{}", request.totals.served(), request.totals.members),
            wall.tell(request.accepted_at),
            ends,
        ]
    });
    table(["request", "group", "operation", "served", "accepted", "end"], rows, "No group request yet.")
}

async fn show(
    context: &Context,
    request: RequestId,
    (outcome, stage): (Option<MemberFilter>, Option<Stage>),
    limit: Limit,
) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    let shown = client.request(application, request).await?;
    let query = |cursor, limit| MemberQuery { outcome, stage, cursor, limit };
    let found = limit
        .collect(async |cursor, limit| client.request_members(application, request, &query(cursor, limit)).await)
        .await?;
    let note = found.note();
    context.output.print(&Shown { request: shown, members: found.items }, |shown| {
        format!("{}\n\n{}{note}", describe(&shown.request), member_rows(&shown.members))
    })?;
    Ok(Ended::Well)
}
