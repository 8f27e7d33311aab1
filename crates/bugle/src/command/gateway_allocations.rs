//! Allocations at the gateway itself: what it is told goes to the one that runs on this machine.

use std::path::PathBuf;

use bugle_core::PeripheralId;
use bugle_core::gateway::{Allocated, Direction};
use bugle_gateway::Control;
use clap::Args;
use serde::Serialize;

use super::Context;
use super::paging::{Found, Limit};
use super::peripheral::AllocationArgs;
use crate::failure::{Ended, Failure};
use crate::output::{list, table};
use crate::part::PartArgs;

/// Which gateway.
#[derive(Debug, Args)]
struct Here {
    /// The configuration file that the gateway runs with
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Allocate a peripheral to groups at the gateway itself, or change such an allocation
///
/// It counts at once, is kept in the gateway's store, and is told to the platform when that can be
/// reached. Allocations in the gateway's file, or made through the platform, are changed there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle gateway allocate new-lamp --group lamps --application town --config gateway.toml
  bugle gateway allocate new-lamp --group lamps --config bugle-data/gateway-east.toml")]
pub(crate) struct AllocateArgs {
    /// Which peripheral
    peripheral: PeripheralId,
    #[command(flatten)]
    allocation: AllocationArgs,
    #[command(flatten)]
    here: Here,
}

/// List the allocations that the gateway holds, wherever they were made
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  bugle gateway allocations --config gateway.toml")]
pub(crate) struct AllocationsArgs {
    #[command(flatten)]
    limit: Limit,
    #[command(flatten)]
    here: Here,
}

/// Peripherals at the gateway, to be directed.
#[derive(Debug, Args)]
pub(crate) struct Peripherals {
    /// Which peripherals
    #[arg(required = true, value_name = "PERIPHERAL")]
    peripherals: Vec<PeripheralId>,
    #[command(flatten)]
    here: Here,
}

/// What the gateway did.
#[derive(Debug, Serialize)]
struct Done<'a> {
    peripheral: &'a PeripheralId,
    done: &'static str,
}

impl Here {
    async fn connect(&self) -> Result<Control, Failure> {
        let config: bugle_gateway::Config = PartArgs::read(self.config.as_deref(), "gateway")?;
        Ok(Control::connect(&config.data_folder).await?)
    }
}

impl AllocateArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let body = self.allocation.into_body(context.connection.application()?.clone());
        let direction = Direction::Allocate(Box::new(body.into_allocation(self.peripheral)));
        direct(context, &mut self.here.connect().await?, direction).await
    }
}

impl Peripherals {
    pub(crate) async fn direct(
        self,
        context: &Context,
        what: impl Fn(PeripheralId) -> Direction,
    ) -> Result<Ended, Failure> {
        let mut control = self.here.connect().await?;
        for peripheral in self.peripherals {
            direct(context, &mut control, what(peripheral)).await?;
        }
        Ok(Ended::Well)
    }
}

async fn direct(context: &Context, control: &mut Control, direction: Direction) -> Result<Ended, Failure> {
    let done = match direction {
        Direction::Allocate(_) => "allocated",
        Direction::Remove(_) => "removed",
        Direction::Release(_) => "released",
        Direction::Block(_) => "blocked",
    };
    let peripheral = direction.peripheral().clone();
    control.direct(direction).await?;
    let told = Done { peripheral: &peripheral, done };
    context.output.print_line(&told, |told| format!("{}: {}.", told.peripheral, told.done))?;
    Ok(Ended::Well)
}

impl AllocationsArgs {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let more_by_one = self.limit.limit as usize + 1;
        let found = Found::cut(self.here.connect().await?.allocations(more_by_one).await?, self.limit);
        context.output.print(&found.items, |items| format!("{}{}", allocation_table(items), found.note()))?;
        Ok(Ended::Well)
    }
}

fn allocation_table(allocations: &[Allocated]) -> String {
    let rows = allocations.iter().map(|known| {
        [
            known.peripheral.to_string(),
            known.state.to_string(),
            known.application.to_string(),
            list(&known.groups),
            known.origin.place().to_owned(),
        ]
    });
    table(["peripheral", "state", "application", "groups", "allocated"], rows, "Nothing is allocated here yet.")
}
