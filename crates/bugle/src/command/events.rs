//! `bugle events`: the event log of the application.

use bugle_api::{EventKinds, EventQuery, EventRecord, PAGE_MAX, PageQuery};
use bugle_client::Client;
use bugle_core::{ApplicationId, EndCause, Event, Presence, Time};
use clap::Args;

use super::Context;
use crate::failure::{Ended, Failure};
use crate::following::stage_of;
use crate::output::{Output, count, list};
use crate::when::Wall;

/// Follow what happens to the application's groups
///
/// Every event has a sequence. Ctrl-C ends it; --after with the last sequence goes on from there, and
/// nothing is missed.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle events
  bugle events --after 0 --no-follow
  bugle events --kinds receipts,request_completed")]
pub(crate) struct EventsArgs {
    /// Only events after this sequence; 0 is all that are kept. New ones without it
    #[arg(long, value_name = "SEQUENCE")]
    after: Option<u64>,
    /// Only events of these kinds, with commas between, as --json names them
    #[arg(long)]
    kinds: Option<EventKinds>,
    /// Print what is there, and end
    #[arg(long)]
    no_follow: bool,
}

impl EventsArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        let application = context.connection.application()?;
        let mut last = match self.after {
            Some(after) => after,
            None => newest(&client, application).await?,
        };
        if self.no_follow {
            last = print_kept(context.output, &client, application, self.kinds, last).await?;
        } else {
            tokio::select! {
                followed = follow(context.output, &client, application, self.kinds, &mut last) => match followed? {},
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        if context.output == Output::People {
            eprintln!("`bugle events --after {last}` goes on from here.");
        }
        Ok(Ended::Well)
    }
}

async fn newest(client: &Client, application: &ApplicationId) -> Result<u64, Failure> {
    Ok(client.snapshot(application, &PageQuery { cursor: None, limit: Some(1) }).await?.sequence)
}

async fn print_kept(
    output: Output,
    client: &Client,
    application: &ApplicationId,
    kinds: Option<EventKinds>,
    mut after: u64,
) -> Result<u64, Failure> {
    loop {
        let query = EventQuery { after: Some(after), kinds: kinds.clone(), limit: Some(PAGE_MAX) };
        let page = client.events(application, &query).await?;
        if page.next_after == after {
            return Ok(after);
        }
        for record in &page.items {
            output.print_line(record, describe)?;
        }
        after = page.next_after;
    }
}

async fn follow(
    output: Output,
    client: &Client,
    application: &ApplicationId,
    kinds: Option<EventKinds>,
    last: &mut u64,
) -> Result<std::convert::Infallible, Failure> {
    let mut follower = client.follow(application, Some(*last));
    if let Some(kinds) = kinds {
        follower = follower.of_kinds(kinds);
    }
    loop {
        for record in follower.next().await? {
            output.print_line(&record, describe)?;
        }
        *last = follower.after().unwrap_or(*last);
    }
}

/// `17  14:05:09  east/lamp-01 is active`
fn describe(record: &EventRecord) -> String {
    let wall = Wall::here();
    let (at, text) = tell(&record.event);
    format!("{:>7}  {:>8}  {text}", record.sequence, at.map(|at| wall.clock(at)).unwrap_or_default())
}

fn tell(event: &Event) -> (Option<Time>, String) {
    match event {
        Event::RegistrationAsked { gateway, asked } => {
            (None, format!("{gateway}/{} asks to register with {}", asked.peripheral, list(&asked.groups)))
        }
        Event::PresenceChanged { gateway, changed } => {
            (Some(changed.at), format!("{gateway}/{} {}", changed.peripheral, presence(changed.presence)))
        }
        Event::Deregistered { gateway, ended } => {
            let (peripheral, groups, cause) = (&ended.peripheral, list(&ended.groups), end(ended.cause));
            (Some(ended.at), format!("{gateway}/{peripheral} is no longer in {groups}: {cause}"))
        }
        Event::RequestAccepted { request, group, schedule } => {
            let by = schedule.as_ref().map(|schedule| format!(", sent by schedule {schedule}")).unwrap_or_default();
            (None, format!("request {request} to {group} is accepted{by}"))
        }
        Event::SchedulePassedOver { schedule, due, reason } => {
            (Some(*due), format!("schedule {schedule} was due and is passed over: {reason}"))
        }
        Event::MembersFixed { request, gateway, members } => {
            (None, format!("request {request} goes to {} at {gateway}", count(*members, "member")))
        }
        Event::Progress { request, gateway, members } => {
            let at = members.iter().filter_map(|member| member.seen.last()).map(|sighting| sighting.at).max();
            let each = members.iter().filter_map(|member| Some((&member.peripheral, member.seen.last()?.stage)));
            let each = each.map(|(peripheral, stage)| format!("{peripheral} {}", stage_of(stage)));
            (at, format!("request {request} at {gateway}: {}", list(each)))
        }
        Event::Receipts { request, gateway, receipts } => {
            let at = receipts.iter().map(|receipt| receipt.at).max();
            let each = receipts.iter().map(|receipt| format!("{} {}", receipt.peripheral, receipt.outcome.kind()));
            (at, format!("request {request} at {gateway}: {}", list(each)))
        }
        Event::RequestCompleted { request, totals } => {
            (None, format!("request {request} is complete: {} of {} served", totals.served(), totals.members))
        }
        Event::Report { gateway, report } => {
            let content = report.content.as_text().map_or_else(
                || count(report.content.bytes.len() as u64, "byte"),
                |text| text.escape_default().to_string(),
            );
            (Some(report.at), format!("{gateway}/{} reports {}: {content}", report.peripheral, report.name))
        }
        Event::ReportsLost { gateway, count: lost } => (None, format!("{} lost at {gateway}", count(*lost, "report"))),
    }
}

const fn presence(presence: Presence) -> &'static str {
    match presence {
        Presence::Active => "is active",
        Presence::Standby { .. } => "is in standby",
        Presence::Activating { .. } => "is being woken",
    }
}

const fn end(cause: EndCause) -> &'static str {
    match cause {
        EndCause::Peripheral => "it deregistered",
        EndCause::Application => "the application ended it",
        EndCause::User => "the user ended it",
        EndCause::LifetimeOver => "its lifetime is over",
        EndCause::Roamed => "it registered at another gateway",
        EndCause::Refused => "the application said no",
        EndCause::Unanswered => "the application did not answer in time",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_in_one_line_however_a_report_is_written() {
        let json = r#"{"sequence":7,"event":"report","gateway":"east","peripheral":"m1","name":"level",
            "content":{"text":"two\nlines"},"at":5}"#;
        let record: EventRecord = serde_json::from_str(json).expect("an event");
        let told = describe(&record);
        assert!(told.ends_with(r"east/m1 reports level: two\nlines") && !told.contains('\n'), "{told}");
    }
}
