//! A Bugle that runs already, as a target: the peripherals that are allocated to a group at one of its gateways.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use bugle_api::{PAGE_MAX, PeripheralQuery};
use bugle_client::Client;
use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId, Protocol};
use bugle_load::measure::{Bugle, Member, Shown, Target};
use bugle_load::mqtt::Credentials;
use clap::Args;

use super::group_service::{Receipt, group_service};
use super::world::CONNECTING_MAX;
use crate::command::Context;
use crate::failure::Failure;

/// A Bugle that runs already.
#[derive(Debug, Clone, Args)]
#[group(requires_all = ["gateway", "at", "group"])]
pub(crate) struct Named {
    /// Measure at this gateway of a Bugle that runs, instead of at one that is started for it
    #[arg(long, value_name = "ID", requires_all = ["at", "group"], help_heading = "Target")]
    gateway: Option<GatewayId>,
    /// Where that gateway serves peripherals
    #[arg(long, value_name = "ADDRESS", requires = "gateway", help_heading = "Target")]
    at: Option<SocketAddr>,
    /// The group whose peripherals are simulated: they must be allocated there, and in nobody else's hands
    #[arg(long, value_name = "GROUP", requires = "gateway", help_heading = "Target")]
    group: Option<GroupId>,
    /// MQTT: the password of all of them; the user name is the peripheral's id
    #[arg(
        long,
        value_name = "PASSWORD",
        requires = "gateway",
        env = "BUGLE_LOAD_PASSWORD",
        hide_env_values = true,
        help_heading = "Target"
    )]
    password: Option<String>,
    /// The gateway's process, if it runs on this machine: its memory is told then
    #[arg(long, value_name = "PID", requires = "gateway", help_heading = "Target")]
    process: Option<u32>,
}

impl Named {
    /// Whether a process is named, so that its memory can be looked at.
    pub(crate) const fn has_process(&self) -> bool {
        self.process.is_some()
    }

    /// The target that is named, if one is, with the first `peripherals` of the group.
    pub(crate) async fn target(
        &self,
        context: &Context,
        peripherals: usize,
        protocol: Protocol,
        patience: Duration,
    ) -> Result<Option<Target>, Failure> {
        let Self { gateway: Some(gateway), at: Some(at), group: Some(group), .. } = self else { return Ok(None) };
        let client = context.client()?;
        let application = context.connection.application()?;
        let ids = allocated(&client, application, gateway, group, peripherals).await?;
        if ids.len() < peripherals {
            let there = ids.len();
            return Err(Failure::Usage(format!(
                "at gateway {gateway}, {there} peripherals are allocated to group {group}: say --peripherals {there}"
            )));
        }
        let member = |id: PeripheralId| Member {
            gateway: *at,
            shows: self
                .password
                .clone()
                .map(|password| Shown::Password(Credentials { username: id.to_string(), password })),
            id,
        };
        Ok(Some(Target::Bugle(Bugle {
            members: ids.into_iter().map(member).collect(),
            processes: self.process.into_iter().collect(),
            connecting_max: CONNECTING_MAX,
            group: group_service(&client, application, group.clone(), Receipt::of(protocol), patience),
        })))
    }
}

async fn allocated(
    client: &Client,
    application: &ApplicationId,
    gateway: &GatewayId,
    group: &GroupId,
    peripherals: usize,
) -> Result<Vec<PeripheralId>, Failure> {
    let mut found = Vec::new();
    let mut cursor = None;
    while found.len() < peripherals {
        let query = PeripheralQuery {
            application: Some(application.clone()),
            gateway: Some(gateway.clone()),
            group: Some(group.clone()),
            state: None,
            cursor: cursor.take(),
            limit: Some(PAGE_MAX),
        };
        let page = client.peripherals(&query).await?;
        found.extend(page.items.into_iter().map(|peripheral| peripheral.peripheral));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    found.truncate(peripherals);
    if found.is_empty() {
        return Err(anyhow!("no peripheral is allocated to group {group} at gateway {gateway}").into());
    }
    Ok(found)
}
