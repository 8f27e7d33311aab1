//! `bugle group`: groups, their members, and sending them requests.

use std::time::Duration;

use bugle_api::{Group, GroupDetail, PageQuery, Peripheral, WholeGroup};
use bugle_core::{GroupId, Time};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::paging::{Found, Limit};
use super::send::SendArgs;
use crate::failure::{Ended, Failure};
use crate::output::{count, facts, table};
use crate::when::Wall;

/// How often a watched group is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Groups: list them, look at their members, send them requests
#[derive(Debug, Args)]
pub(crate) struct GroupCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the groups of the application
    #[command(after_long_help = "Example:\n  bugle group list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a group: how many members are where, and who
    #[command(after_long_help = "Example:\n  bugle group show lamps")]
    Show {
        /// Which group
        group: GroupId,
        #[command(flatten)]
        limit: Limit,
    },
    /// Nest groups in another: whatever is asked of its members is asked of theirs too
    ///
    /// A peripheral that is reached on several ways gets a request once. Groups lie at most 8 deep in each
    /// other.
    #[command(after_long_help = "Example:\n  bugle group nest building floor-1 floor-2")]
    Nest(NestArgs),
    /// Take groups out of another
    #[command(after_long_help = "Example:\n  bugle group unnest building floor-2")]
    Unnest(NestArgs),
    Send(Box<SendArgs>),
    /// Activate all members that are in standby: each is woken as its allocation says
    #[command(after_long_help = "Example:\n  bugle group activate lamps")]
    Activate {
        /// Which group
        group: GroupId,
    },
    /// Put all members into standby: they are left alone until they wake
    #[command(after_long_help = "Example:\n  bugle group standby lamps")]
    Standby {
        /// Which group
        group: GroupId,
    },
    /// Show how a group changes, as it changes
    ///
    /// A line is printed whenever members come, go, fall asleep or wake. Ctrl-C ends it.
    #[command(after_long_help = "Example:\n  bugle group watch lamps")]
    Watch {
        /// Which group
        group: GroupId,
    },
}

/// What was asked of the gateways of a group.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    group: &'a GroupId,
    asked: &'static str,
}

fn tell_asked(context: &Context, group: &GroupId, what: &'static str) -> Result<Ended, Failure> {
    let asked = Asked { group, asked: what };
    context.output.print_line(&asked, |_| format!("{group}: {what} is on its way to the gateways."))?;
    Ok(Ended::Well)
}

#[derive(Debug, Args)]
struct NestArgs {
    /// The group around the others
    group: GroupId,
    /// The groups that lie in it
    #[arg(required = true)]
    contained: Vec<GroupId>,
}

/// A group and who is in it.
#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    detail: GroupDetail,
    member_list: Vec<Peripheral>,
}

impl GroupCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        match self.command {
            Command::List { limit } => list(context, limit).await,
            Command::Show { group, limit } => show(context, &group, limit).await,
            Command::Nest(args) => nest(context, args).await,
            Command::Unnest(args) => unnest(context, args).await,
            Command::Send(args) => args.run(context).await,
            Command::Activate { group } => {
                context.client()?.activate_group(context.connection.application()?, &group).await?;
                tell_asked(context, &group, "activate")
            }
            Command::Standby { group } => {
                context.client()?.put_group_into_standby(context.connection.application()?, &group).await?;
                tell_asked(context, &group, "standby")
            }
            Command::Watch { group } => watch(context, &group).await,
        }
    }
}

async fn list(context: &Context, limit: Limit) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    let found =
        limit.collect(async |cursor, limit| client.groups(application, &PageQuery { cursor, limit }).await).await?;
    context.output.print(&found.items, |groups| format!("{}{}", group_table(groups), found.note()))?;
    Ok(Ended::Well)
}

fn group_table(groups: &[Group]) -> String {
    let rows = groups.iter().map(|group| {
        let Group { group, allocated, members, active, .. } = group;
        [
            group.to_string(),
            allocated.to_string(),
            members.to_string(),
            active.to_string(),
            (members - active).to_string(),
        ]
    });
    let headings = ["group", "allocated", "members", "active", "asleep"];
    table(headings, rows, "No group yet: a group is there once a peripheral is allocated to it.")
}

async fn show(context: &Context, group: &GroupId, limit: Limit) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    let detail = client.group(application, group).await?;
    let found = limit
        .collect(async |cursor, limit| client.group_members(application, group, &PageQuery { cursor, limit }).await)
        .await?;
    let note = found.note();
    let Found { items: member_list, .. } = found;
    context.output.print(&Shown { detail, member_list }, |shown| format!("{}{note}", describe(shown)))?;
    Ok(Ended::Well)
}

async fn nest(context: &Context, NestArgs { group, contained }: NestArgs) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    for inner in &contained {
        client.nest(application, &group, inner).await?;
    }
    told_nesting(context, &client.group(application, &group).await?)
}

async fn unnest(context: &Context, NestArgs { group, contained }: NestArgs) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    for inner in &contained {
        client.unnest(application, &group, inner).await?;
    }
    match client.group(application, &group).await {
        Ok(detail) => told_nesting(context, &detail),
        // Without a group in it, and with no allocation to it, it is none any more.
        Err(error) if error.status() == Some(404) => {
            context.output.print(&(), |()| format!("Group {group} contains no group now."))?;
            Ok(Ended::Well)
        }
        Err(error) => Err(error.into()),
    }
}

fn told_nesting(context: &Context, detail: &GroupDetail) -> Result<Ended, Failure> {
    context.output.print(detail, |detail| {
        let group = &detail.group.group;
        match names(&detail.contains) {
            Some(contained) => format!("Group {group} contains {contained}."),
            None => format!("Group {group} contains no group now."),
        }
    })?;
    Ok(Ended::Well)
}

/// Nothing if there are none.
fn names(groups: &[GroupId]) -> Option<String> {
    let names: Vec<&str> = groups.iter().map(GroupId::as_str).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn describe(shown: &Shown) -> String {
    let group = &shown.detail.group;
    let wall = Wall::here();
    let head = facts([
        ("group", Some(group.group.to_string())),
        ("application", Some(group.application.to_string())),
        ("allocated", Some(count(group.allocated, "peripheral"))),
        ("members", Some(format!("{}, {} of them active", group.members, group.active))),
        ("contains", names(&shown.detail.contains)),
        ("lies in", names(&shown.detail.contained_in)),
        ("with all it contains", shown.detail.whole.as_ref().map(whole)),
    ]);
    let places =
        shown.detail.gateways.iter().map(|at| {
            [at.gateway.to_string(), at.allocated.to_string(), at.members.to_string(), at.active.to_string()]
        });
    let places = table(["gateway", "allocated", "members", "active"], places, "");
    let members = shown.member_list.iter().map(|member| {
        [
            format!("{}/{}", member.gateway, member.peripheral),
            member.state.to_string(),
            wall.tell(member.since),
            member.next_wake.map_or_else(|| "-".to_owned(), |wake| wall.tell(wake)),
        ]
    });
    let members = table(["member", "state", "since", "next wake"], members, "No member is registered.");
    format!("{head}\n\n{places}\n\n{members}")
}

fn whole(WholeGroup { groups, allocated, members, active }: &WholeGroup) -> String {
    let (groups, allocated) = (count(*groups, "more group"), count(*allocated, "peripheral"));
    format!("{groups}, {allocated}, {}, {active} of them active", count(*members, "member"))
}

async fn watch(context: &Context, group: &GroupId) -> Result<Ended, Failure> {
    let client = context.client()?;
    let application = context.connection.application()?;
    let mut before = None;
    loop {
        let detail = client.group(application, group).await?;
        if before.as_ref() != Some(&detail) {
            context.output.print_line(&detail, watch_line)?;
            before = Some(detail);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = tokio::signal::ctrl_c() => return Ok(Ended::Well),
        }
    }
}

fn watch_line(detail: &GroupDetail) -> String {
    let group = &detail.group;
    let asleep = group.members - group.active;
    let places: Vec<String> =
        detail.gateways.iter().map(|at| format!("{} {}/{}", at.gateway, at.active, at.members)).collect();
    let now = Wall::here().clock(now());
    format!(
        "{now}  {}, {} active, {asleep} asleep  ({})",
        count(group.members, "member"),
        group.active,
        places.join(", ")
    )
}

fn now() -> Time {
    Time::from_millis(u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default())
}
