//! `bugle group send`: one operation for a whole group.

use std::num::NonZeroU32;
use std::time::Duration;

use bugle_api::Submission;
use bugle_core::{
    Abort, Activation, CollapseKey, Content, FailuresMax, GroupId, LateJoiners, Operation, Pacing, Priority, Receipt,
    ResourcePath, Sleepers,
};
use clap::{Args, ValueEnum};

use super::Context;
use crate::failure::{Ended, Failure};
use crate::following::{Patience, follow};
use crate::foresight;
use crate::output::Output;

/// Send one request to every member of a group, and see what becomes of it
///
/// Members that are active get it now, those in standby when they wake. Unless --no-wait is given,
/// the command goes on until every member has its outcome or the deadline has passed, and ends with
/// status 0 only if all of them were served.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle group send lamps --message on
  bugle group send lamps --message on --deadline 5m --dry-run
  bugle group send lamps --read /3/0/9 --receipt executed
  bugle group send lamps --write /3311/0/5850=1 --activation 50% --deadline 1m
  bugle group send lamps --message on --late-joiners include --deadline 1h
  bugle group send lamps --message on --activation 'zone=north,!spare,kind in (a,b)'
  bugle group send lamps --message on --priority urgent --collapse-key switch
  bugle group send lamps --execute /3/0/4 --members-per-second 50 --abort 10% --abort-minimum 20 --no-wait")]
pub(crate) struct SendArgs {
    #[command(flatten)]
    asked: AskedArgs,
    /// A word of yours that makes sending twice the same as sending once
    #[arg(long, value_name = "WORD")]
    idempotency_key: Option<String>,
    /// Print the request and end, without waiting for outcomes
    #[arg(long)]
    no_wait: bool,
    /// Send nothing: say what the request would meet, by what is on record
    #[arg(long, conflicts_with_all = ["no_wait", "idempotency_key"])]
    dry_run: bool,
}

/// What is asked, and of whom.
#[derive(Debug, Args)]
pub(crate) struct AskedArgs {
    /// Which group
    pub(crate) group: GroupId,
    #[command(flatten)]
    operation: OperationArgs,
    /// The media type of what --message or --write carries
    #[arg(long, value_name = "TYPE", default_value = "text/plain")]
    content_type: String,
    /// Which members in standby are activated: all, none, a count as 25, a share as 10%, or a label
    /// selector as zone=north, zone!=north, 'kind in (a,b)', 'kind not in (a,b)' or !spare, several of
    /// which are separated by commas
    #[arg(long, value_name = "WHICH", default_value_t = Activation::All)]
    activation: Activation,
    /// What happens to members in standby that are not activated
    #[arg(long, value_name = "WHAT", default_value = "queue")]
    sleepers: SleepersWord,
    /// When a member counts as served
    #[arg(long, value_name = "WHEN", default_value = "delivered")]
    receipt: ReceiptWord,
    /// What becomes of peripherals of the group that register before the deadline
    #[arg(long, value_name = "WHAT", default_value = "exclude")]
    late_joiners: LateJoinersWord,
    /// How long the request may live, as 90s, 10m, 2h or 3days
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = humantime::parse_duration)]
    deadline: Duration,
    /// Before which others it goes
    #[arg(long, value_name = "PRIORITY", default_value = "normal")]
    priority: PriorityWord,
    /// The most deliveries that begin within a second at each gateway
    #[arg(long, value_name = "COUNT")]
    members_per_second: Option<NonZeroU32>,
    /// The most deliveries that are under way at once at each gateway
    #[arg(long, value_name = "COUNT")]
    members_in_flight: Option<NonZeroU32>,
    /// The most wake-ups that are sent within a minute at each gateway
    #[arg(long, value_name = "COUNT")]
    activations_per_minute: Option<NonZeroU32>,
    /// Give up the rest when more members fail than this: a count as 5, or a share as 10% of those that
    /// were served or failed
    #[arg(long, value_name = "FAILURES")]
    abort: Option<FailuresMax>,
    /// But not before so many members were served or failed
    #[arg(long, value_name = "COUNT", requires = "abort", default_value_t = 0)]
    abort_minimum: u32,
    /// A word of yours: a newer request of the group with the same one replaces what still waits of this
    #[arg(long, value_name = "WORD")]
    collapse_key: Option<CollapseKey>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OperationArgs {
    /// Read the value at an LwM2M path
    #[arg(long, value_name = "PATH")]
    read: Option<ResourcePath>,
    /// Write a value to an LwM2M path
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_write)]
    write: Option<(ResourcePath, String)>,
    /// Execute the resource at an LwM2M path
    #[arg(long, value_name = "PATH")]
    execute: Option<ResourcePath>,
    /// Hand over a message
    #[arg(long, value_name = "TEXT")]
    message: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SleepersWord {
    /// They get it at their next wake, if that is before the deadline
    Queue,
    /// They are left out
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PriorityWord {
    /// It overtakes what is not urgent, but for what is being delivered
    Urgent,
    /// As most are
    Normal,
    /// It goes when nothing else waits
    Background,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReceiptWord {
    /// The transport has acknowledged the delivery
    Delivered,
    /// The peripheral has answered
    Executed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LateJoinersWord {
    /// They are left out
    Exclude,
    /// They get it too; the request goes on until its deadline
    Include,
}

fn parse_write(text: &str) -> Result<(ResourcePath, String), String> {
    let (path, value) = text.split_once('=').ok_or("write it as PATH=VALUE, as /3311/0/5850=1")?;
    Ok((path.parse().map_err(|error: bugle_core::PathError| error.to_string())?, value.to_owned()))
}

impl SendArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        let application = context.connection.application()?;
        let submission = self.asked.submission()?;
        if self.dry_run {
            let foresight = client.foresee(application, &self.asked.group, &submission).await?;
            context.output.print(&foresight, foresight::describe)?;
            return Ok(Ended::Well);
        }
        let request =
            client.submit(application, &self.asked.group, &submission, self.idempotency_key.as_deref()).await?;
        if let (Output::People, Some(warning)) = (context.output, foresight::warning(request.foresight.as_ref())) {
            eprintln!("{warning}");
        }
        let patience = if self.no_wait { Patience::None } else { Patience::UntilItEnds };
        follow(context, &client, request, patience).await
    }
}

impl AskedArgs {
    pub(crate) fn submission(&self) -> Result<Submission, Failure> {
        let operation = self.operation();
        let pacing = Pacing {
            members_per_second: self.members_per_second,
            members_in_flight: self.members_in_flight,
            activations_per_minute: self.activations_per_minute,
        };
        bugle_core::check_request(&operation, self.deadline, &pacing)
            .map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Submission {
            operation,
            activation: self.activation.clone(),
            sleepers: match self.sleepers {
                SleepersWord::Queue => Sleepers::Queue,
                SleepersWord::Skip => Sleepers::Skip,
            },
            receipt: match self.receipt {
                ReceiptWord::Delivered => Receipt::Delivered,
                ReceiptWord::Executed => Receipt::Executed,
            },
            late_joiners: match self.late_joiners {
                LateJoinersWord::Exclude => LateJoiners::Exclude,
                LateJoinersWord::Include => LateJoiners::Include,
            },
            deadline_seconds: self.deadline.as_secs(),
            priority: match self.priority {
                PriorityWord::Urgent => Priority::Urgent,
                PriorityWord::Normal => Priority::Normal,
                PriorityWord::Background => Priority::Background,
            },
            pacing,
            abort: self.abort.map(|failures| Abort { failures, minimum: self.abort_minimum }),
            collapse_key: self.collapse_key.clone(),
        })
    }

    fn operation(&self) -> Operation {
        let content = |text: &str| Content { content_type: self.content_type.clone(), bytes: text.as_bytes().to_vec() };
        let OperationArgs { read, write, execute, message } = &self.operation;
        match (read, write, execute) {
            (Some(path), ..) => Operation::Read { path: *path },
            (_, Some((path, value)), _) => Operation::Write { path: *path, content: content(value) },
            (.., Some(path)) => Operation::Execute { path: *path, arguments: String::new() },
            (None, None, None) => Operation::Message { content: content(message.as_deref().unwrap_or_default()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: AskedArgs,
    }

    fn parse(line: &str) -> Result<AskedArgs, String> {
        let words = std::iter::once("send").chain(line.split(' '));
        Line::try_parse_from(words).map(|line| line.send).map_err(|error| error.to_string())
    }

    #[test]
    fn each_operation_is_sent_as_it_is_said() {
        let operation = |line| parse(line).expect("a command").operation();
        let path = |text: &str| text.parse::<ResourcePath>().expect("a path");
        assert_eq!(operation("lamps --read /3/0/9"), Operation::Read { path: path("/3/0/9") });
        assert_eq!(
            operation("lamps --write /3311/0/5850=a=b"),
            Operation::Write { path: path("/3311/0/5850"), content: Content::text("a=b") }
        );
        let execute = Operation::Execute { path: path("/3/0/4"), arguments: String::new() };
        assert_eq!(operation("lamps --execute /3/0/4"), execute);
        assert_eq!(operation("lamps --message on"), Operation::Message { content: Content::text("on") });
    }

    #[test]
    fn policy_receipt_and_deadline_are_sent_as_they_are_said() {
        let line = "lamps --message on --activation 10% --sleepers skip --receipt executed --late-joiners include --deadline 2m";
        let submission = parse(line).expect("a command").submission().expect("within bounds");
        assert_eq!(submission.activation, Activation::Percentage(10));
        assert_eq!((submission.sleepers, submission.receipt), (Sleepers::Skip, Receipt::Executed));
        assert_eq!((submission.late_joiners, submission.deadline()), (LateJoiners::Include, Duration::from_secs(120)));
    }

    #[test]
    fn manner_is_sent_as_it_is_said() {
        let line = "lamps --message on --priority background --members-per-second 5 --activations-per-minute 2 \
            --abort 10% --abort-minimum 20 --collapse-key switch --activation zone=north,!spare";
        let submission = parse(line).expect("a command").submission().expect("within bounds");
        assert_eq!(submission.priority, Priority::Background);
        let (members_per_second, activations_per_minute) = (NonZeroU32::new(5), NonZeroU32::new(2));
        assert_eq!(submission.pacing, Pacing { members_per_second, members_in_flight: None, activations_per_minute });
        assert_eq!(submission.abort, Some(Abort { failures: FailuresMax::Percentage(10), minimum: 20 }));
        assert_eq!(submission.collapse_key.as_ref().map(CollapseKey::as_str), Some("switch"));
        assert_eq!(submission.activation.to_string(), "zone=north,!spare");
    }

    #[test]
    fn one_operation_is_needed_and_no_more() {
        assert!(parse("lamps").expect_err("no operation").contains("required"));
        assert!(parse("lamps --read /3 --message on").expect_err("two operations").contains("cannot be used"));
        assert!(parse("lamps --write /3").expect_err("no value").contains("PATH=VALUE"));
    }

    #[test]
    fn a_deadline_out_of_bounds_is_told_before_anything_is_sent() {
        let sent = parse("lamps --message on --deadline 0s").expect("a command").submission();
        assert!(matches!(sent, Err(Failure::Usage(reason)) if reason.contains("deadline")));
    }
}
