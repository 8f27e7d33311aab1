//! `bugle gateway`: runs a gateway, manages those of the platform, and directs the one that runs here.

use std::time::Duration;

use anyhow::Context as _;
use bugle_api::{EnrollmentToken, Gateway, NewGateway, PageQuery};
use bugle_core::GatewayId;
use bugle_core::gateway::Direction;
use clap::{Args, Subcommand};

use super::Context;
use super::gateway_allocations::{AllocateArgs, AllocationsArgs, Peripherals};
use super::paging::Limit;
use crate::cli::Global;
use crate::failure::{Ended, Failure};
use crate::output::table;
use crate::part::{PartArgs, shutdown_on_signals};
use crate::when::Wall;

/// Run a gateway, manage the gateways of the platform, or the allocations of the one that runs here
///
/// Without a command it runs a gateway, which serves peripherals and dials the platform. Settings are
/// overridden by variables as BUGLE_GATEWAY__MQTT__LISTEN=127.0.0.1:1884. enroll and list speak to the
/// platform; the other commands speak to the gateway that runs on this machine with the same
/// configuration, whether or not the platform can be reached.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Example, with the platform of `bugle up`:
  bugle gateway enroll north > north.token
  bugle config gateway > gateway.toml
  bugle gateway --config gateway.toml"
)]
pub(crate) struct GatewayArgs {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    part: PartArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Add a gateway to the platform, and print the token with which it enrols once
    ///
    /// A gateway that is there already may enrol again with the new token.
    #[command(after_long_help = "Example:\n  bugle gateway enroll north > north.token")]
    Enroll {
        /// What the gateway is called; its own configuration must say the same
        gateway: GatewayId,
        /// How long the token is good for, as 30m
        #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
        expires: Option<Duration>,
    },
    /// List gateways: are they connected, and how far are their logs?
    #[command(after_long_help = "Example:\n  bugle gateway list")]
    List {
        #[command(flatten)]
        limit: Limit,
    },
    Allocate(Box<AllocateArgs>),
    /// Remove allocations that were made here, ending the registrations
    #[command(after_long_help = "Example:\n  bugle gateway remove new-lamp --config gateway.toml")]
    Remove(Peripherals),
    /// Let blocked peripherals register, at the gateway itself
    #[command(after_long_help = "Example:\n  bugle gateway release lamp-01 --config gateway.toml")]
    Release(Peripherals),
    /// End registrations at the gateway itself, and let the peripherals not register again until released
    #[command(after_long_help = "Example:\n  bugle gateway block lamp-01 --config gateway.toml")]
    Block(Peripherals),
    Allocations(AllocationsArgs),
}

impl GatewayArgs {
    pub(crate) async fn run(self, global: &Global) -> Result<Ended, Failure> {
        match self.command {
            None => {
                let config = self.part.prepare("gateway")?;
                let gateway = bugle_gateway::Gateway::start(config, shutdown_on_signals()?);
                let gateway = gateway.await?;
                gateway.ended().await.context("the gateway could not go on")?;
                Ok(Ended::Well)
            }
            Some(Command::Enroll { gateway, expires }) => enroll(&Context::new(global)?, gateway, expires).await,
            Some(Command::List { limit }) => list(&Context::new(global)?, limit).await,
            Some(Command::Allocate(args)) => args.run(&Context::new(global)?).await,
            Some(Command::Remove(peripherals)) => peripherals.direct(&Context::new(global)?, Direction::Remove).await,
            Some(Command::Release(peripherals)) => peripherals.direct(&Context::new(global)?, Direction::Release).await,
            Some(Command::Block(peripherals)) => peripherals.direct(&Context::new(global)?, Direction::Block).await,
            Some(Command::Allocations(args)) => args.run(&Context::new(global)?).await,
        }
    }
}

async fn enroll(context: &Context, id: GatewayId, expires: Option<Duration>) -> Result<Ended, Failure> {
    let new = NewGateway { id, expires_in_seconds: expires.map(|expires| expires.as_secs()) };
    let token = context.client()?.add_gateway(&new).await?;
    // The token alone, so that it can go into a file as it is.
    context.output.print(&token, |token: &EnrollmentToken| token.token.clone())?;
    Ok(Ended::Well)
}

async fn list(context: &Context, limit: Limit) -> Result<Ended, Failure> {
    let client = context.client()?;
    let found = limit.collect(async |cursor, limit| client.gateways(&PageQuery { cursor, limit }).await).await?;
    context.output.print(&found.items, |gateways| format!("{}{}", gateway_table(gateways), found.note()))?;
    Ok(Ended::Well)
}

fn gateway_table(gateways: &[Gateway]) -> String {
    let wall = Wall::here();
    let rows = gateways.iter().map(|gateway| {
        let link = match (gateway.is_connected, gateway.is_enrolled, gateway.last_seen) {
            (true, ..) => "connected".to_owned(),
            (false, false, _) => "not enrolled yet".to_owned(),
            (false, true, None) => "never connected".to_owned(),
            (false, true, Some(seen)) => format!("last seen {}", wall.tell(seen)),
        };
        let waiting = gateway.down_last.saturating_sub(gateway.down_acknowledged);
        [
            gateway.id.to_string(),
            link,
            gateway.up_applied.to_string(),
            gateway.down_last.to_string(),
            waiting.to_string(),
        ]
    });
    let headings = ["gateway", "link", "up log", "down log", "not taken yet"];
    table(headings, rows, "No gateway yet: `bugle gateway enroll NAME` adds one.")
}
