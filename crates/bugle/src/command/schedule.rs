//! `bugle schedule`: group requests that are to come.

use std::time::Duration;

use bugle_api::{LastDue, NewSchedule, PageQuery, Schedule};
use bugle_core::{ScheduleId, Time};
use clap::{Args, Subcommand};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::Context;
use super::paging::Limit;
use super::send::AskedArgs;
use crate::failure::{Ended, Failure};
use crate::following::word_of;
use crate::output::{facts, table};
use crate::when::Wall;

/// Schedules: group requests that are sent later, once or again and again
#[derive(Debug, Args)]
pub(crate) struct ScheduleCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Put(Box<PutArgs>),
    /// List the application's schedules
    #[command(after_long_help = "Example:\n  bugle schedule list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    /// Show a schedule: when it is due, and what became of its last due time
    #[command(after_long_help = "Example:\n  bugle schedule show evening-off")]
    Show {
        /// Which schedule
        schedule: ScheduleId,
    },
    /// Cancel a schedule; requests that it has sent go on
    #[command(after_long_help = "Example:\n  bugle schedule cancel evening-off")]
    Cancel {
        /// Which schedule
        schedule: ScheduleId,
    },
}

/// Put a schedule: a group request that is sent later, once or again and again
///
/// With --not-before alone it is sent once, at that time. With --cron it is sent again and again, by
/// the clock of --time-zone, and with --not-before from that time on. If the platform does not run at
/// a time that is due, it sends the request once when it runs again, however often it was due. Another
/// schedule of the same name is replaced.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle schedule put evening-off lamps --message off --cron '30 22 * * 1-5' --time-zone Europe/Vienna
  bugle schedule put fireworks lamps --message on --not-before 'in 2h' --deadline 30m
  bugle schedule put new-year lamps --message on --not-before '2099-12-31T23:59:50[Europe/Vienna]'")]
struct PutArgs {
    /// What to call it
    schedule: ScheduleId,
    #[command(flatten)]
    asked: AskedArgs,
    /// When, or from when on: a time here as 2099-12-31T23:59, elsewhere with its zone in brackets, or as 'in 2h'
    #[arg(long, value_name = "TIME", value_parser = parse_time, required_unless_present = "cron")]
    not_before: Option<Time>,
    /// When, again and again: minute, hour, day of the month, month and day of the week, as cron has them
    #[arg(long, value_name = "EXPRESSION")]
    cron: Option<String>,
    /// Whose clock --cron goes by, as Europe/Vienna; UTC without it
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<String>,
}

/// A time here, in a zone that it names, or so long from now.
fn parse_time(text: &str) -> Result<Time, String> {
    let now = Timestamp::now();
    if let Some(ahead) = text.strip_prefix("in ") {
        let ahead: Duration = humantime::parse_duration(ahead).map_err(|error| error.to_string())?;
        return to_time(now).map(|now| now + ahead);
    }
    if let Ok(zoned) = text.parse::<Zoned>() {
        return to_time(zoned.timestamp());
    }
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return to_time(timestamp);
    }
    let here = text.parse::<DateTime>().ok().and_then(|here| here.to_zoned(TimeZone::system()).ok());
    let here = here.ok_or("write a time as 2099-12-31T23:59, 2099-12-31T23:59[Europe/Vienna] or 'in 2h'")?;
    to_time(here.timestamp())
}

fn to_time(timestamp: Timestamp) -> Result<Time, String> {
    let millis = u64::try_from(timestamp.as_millisecond()).map_err(|_| "that was before the epoch")?;
    Ok(Time::from_millis(millis))
}

impl ScheduleCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        let application = context.connection.application()?;
        match self.command {
            Command::Put(args) => {
                let (id, new) = args.schedule()?;
                let schedule = client.put_schedule(application, &id, &new).await?;
                context.output.print(&schedule, describe)?;
            }
            Command::List { limit } => {
                let page = async |cursor, limit| client.schedules(application, &PageQuery { cursor, limit }).await;
                let found = limit.collect(page).await?;
                context.output.print(&found.items, |schedules| format!("{}{}", list(schedules), found.note()))?;
            }
            Command::Show { schedule } => {
                let schedule = client.schedule(application, &schedule).await?;
                context.output.print(&schedule, describe)?;
            }
            Command::Cancel { schedule } => {
                client.cancel_schedule(application, &schedule).await?;
                context.output.print(&schedule, |schedule| format!("Schedule {schedule} is cancelled."))?;
            }
        }
        Ok(Ended::Well)
    }
}

impl PutArgs {
    fn schedule(self) -> Result<(ScheduleId, NewSchedule), Failure> {
        let Self { schedule, asked, not_before, cron, time_zone } = self;
        let request = asked.submission()?;
        Ok((schedule, NewSchedule { group: asked.group, request, not_before, cron, time_zone }))
    }
}

fn list(schedules: &[Schedule]) -> String {
    let wall = Wall::here();
    let rows = schedules.iter().map(|schedule| {
        [
            schedule.id.to_string(),
            schedule.group.to_string(),
            word_of(&schedule.request.operation),
            when(schedule, &wall),
            schedule.next_due.map_or_else(|| "over".to_owned(), |due| wall.tell(due)),
            schedule.last.as_ref().map_or_else(|| "-".to_owned(), |last| last_of(last, &wall)),
        ]
    });
    table(["schedule", "group", "operation", "when", "next due", "last"], rows, "No schedule yet.")
}

fn describe(schedule: &Schedule) -> String {
    let wall = Wall::here();
    facts([
        ("schedule", Some(schedule.id.to_string())),
        ("group", Some(schedule.group.to_string())),
        ("operation", Some(word_of(&schedule.request.operation))),
        ("when", Some(when(schedule, &wall))),
        ("next due", Some(schedule.next_due.map_or_else(|| "never, it is over".to_owned(), |due| wall.tell(due)))),
        ("last", schedule.last.as_ref().map(|last| last_of(last, &wall))),
    ])
}

fn when(schedule: &Schedule, wall: &Wall) -> String {
    let from = schedule.not_before.map(|time| wall.tell(time));
    match (&schedule.cron, from) {
        (Some(cron), from) => {
            let zone = schedule.time_zone.as_deref().unwrap_or("UTC");
            let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
            format!("{cron} {zone}{from}")
        }
        (None, Some(at)) => format!("once, {at}"),
        (None, None) => "-".to_owned(),
    }
}

fn last_of(last: &LastDue, wall: &Wall) -> String {
    let what = match (&last.request, &last.passed_over) {
        (Some(request), _) => format!("request {request}"),
        (None, reason) => format!("passed over: {}", reason.as_deref().unwrap_or("-")),
    };
    format!("{what}, {}", wall.tell(last.at))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        put: PutArgs,
    }

    fn parse(words: &[&str]) -> Result<NewSchedule, String> {
        let line = Line::try_parse_from(["put", "s", "lamps", "--message", "on"].iter().chain(words));
        let (_, new) = line.map_err(|error| error.to_string())?.put.schedule().map_err(|error| error.to_string())?;
        Ok(new)
    }

    #[test]
    fn a_time_is_read_here_elsewhere_or_from_now() {
        assert_eq!(parse_time("2026-07-01T12:00:00Z"), Ok(Time::from_millis(1_782_907_200_000)));
        assert_eq!(parse_time("2026-07-01T14:00[Europe/Vienna]"), Ok(Time::from_millis(1_782_907_200_000)));
        assert!(parse_time("2026-07-01T14:00").is_ok() && parse_time("2026-07-01 14:00").is_ok());
        assert!(parse_time("in 2h") > parse_time("in 1h"));
        assert!(parse_time("tomorrow").is_err());
    }

    #[test]
    fn a_schedule_says_when() {
        assert!(parse(&[]).expect_err("never").contains("--not-before"));
        assert!(parse(&["--not-before", "in 1h", "--time-zone", "UTC"]).is_err());
        let daily = parse(&["--cron", "0 22 * * *", "--time-zone", "UTC"]).expect("a schedule");
        assert_eq!((daily.cron.as_deref(), daily.not_before), (Some("0 22 * * *"), None));
        assert!(parse(&["--cron", "0 22 * * *", "--not-before", "in 1h"]).is_ok_and(|new| new.not_before.is_some()));
    }
}
