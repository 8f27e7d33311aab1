//! `bugle approval`: the last word of a person about who may register.

use bugle_core::PeripheralId;
use clap::{Args, Subcommand};

use super::Context;
use crate::application_api::{ApplicationApi, Approval, ApprovalDecision};
use crate::failure::{Ended, Failure};
use crate::output::{list, table};
use crate::when::Wall;

/// Approvals: peripherals about which a person has the last word
///
/// Where a rule of the policy says approval = "manual", a peripheral waits here until a person has
/// approved or refused it. These commands speak to the application itself.
#[derive(Debug, Args)]
pub(crate) struct ApprovalArgs {
    /// Where the application's own HTTP is
    #[arg(long, global = true, value_name = "URL", env = "BUGLE_APPLICATION_URL", help_heading = "Connection")]
    url: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List approvals: those that wait, and those that were decided
    #[command(after_long_help = "Example:\n  bugle approval list")]
    List,
    /// Let a peripheral register with the groups that it asked for
    #[command(after_long_help = "Example (of a peripheral that waits):\n  bugle approval approve valve-1")]
    Approve {
        /// Who
        #[arg(required = true, value_name = "PERIPHERAL")]
        peripherals: Vec<PeripheralId>,
    },
    /// Let a peripheral not register, whatever the rules say
    #[command(after_long_help = "Example:\n  bugle approval refuse valve-1")]
    Refuse {
        /// Who
        #[arg(required = true, value_name = "PERIPHERAL")]
        peripherals: Vec<PeripheralId>,
    },
}

impl ApprovalArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let url = context.connection.application_url(self.url.as_deref())?;
        let api = ApplicationApi::new(&url, context.connection.application_token()?)?;
        match self.command {
            Command::List => {
                context.output.print(&all(&api).await?, |approvals| approval_table(approvals))?;
            }
            Command::Approve { peripherals } => decide(context, &api, &peripherals, ApprovalDecision::Approve).await?,
            Command::Refuse { peripherals } => decide(context, &api, &peripherals, ApprovalDecision::Refuse).await?,
        }
        Ok(Ended::Well)
    }
}

async fn all(api: &ApplicationApi) -> Result<Vec<Approval>, Failure> {
    let mut approvals = Vec::new();
    let mut cursor = None;
    loop {
        let page = api.approvals(cursor.as_deref()).await?;
        approvals.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(approvals);
        }
    }
}

async fn decide(
    context: &Context,
    api: &ApplicationApi,
    peripherals: &[PeripheralId],
    decision: ApprovalDecision,
) -> Result<(), Failure> {
    for peripheral in peripherals {
        let approval = api.decide(peripheral, decision).await?;
        context.output.print_line(&approval, |approval| {
            let when = if approval.is_asking { "it is told now" } else { "it is told when it asks next" };
            format!("{} is {} for {}; {when}.", approval.peripheral, approval.state, list(&approval.groups))
        })?;
    }
    Ok(())
}

fn approval_table(approvals: &[Approval]) -> String {
    let wall = Wall::here();
    let rows = approvals.iter().map(|approval| {
        [
            approval.peripheral.to_string(),
            approval.state.clone(),
            list(&approval.groups),
            list(&approval.gateway),
            wall.tell(approval.since),
        ]
    });
    table(["peripheral", "approval", "groups", "gateway", "since"], rows, "No peripheral waits for an approval.")
}
