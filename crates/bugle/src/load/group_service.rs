//! Group requests of a measurement, over the platform's HTTP API.

use std::time::Duration;

use bugle_api::Submission;
use bugle_client::Client;
use bugle_core::{ApplicationId, Content, GroupId, Protocol, RequestId, Totals};
use bugle_load::measure::GroupService;
use serde_json::json;
use tokio::runtime::Handle;

/// What a member's receipt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Receipt {
    /// The message has been acknowledged.
    Delivered,
    /// The member has answered.
    Executed,
}

impl Receipt {
    /// What peripherals of a measurement can give: those that speak LwM2M answer everything.
    pub(super) const fn of(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Mqtt311 | Protocol::Mqtt5 => Self::Delivered,
            Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12 => Self::Executed,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Executed => "executed",
        }
    }
}

/// Sends messages to a group. Its calls block, outside of the runtime that they work on.
pub(super) fn group_service(
    client: &Client,
    application: &ApplicationId,
    group: GroupId,
    receipt: Receipt,
    patience: Duration,
) -> GroupService {
    let (sender, waiter) = (client.clone(), client.clone());
    let (send_to, wait_for) = (application.clone(), application.clone());
    let (send_on, wait_on) = (Handle::current(), Handle::current());
    let send = move |content: &Content| -> Result<RequestId, String> {
        let submission: Submission = serde_json::from_value(json!({
            "operation": {"do": "message", "content": content},
            "receipt": receipt.word(),
            "deadline_seconds": patience.as_secs().max(1),
        }))
        .map_err(|error| error.to_string())?;
        let sent = send_on.block_on(sender.submit(&send_to, &group, &submission, None));
        sent.map(|request| request.id).map_err(|error| error.to_string())
    };
    let wait = move |request: RequestId| -> Result<Totals, String> {
        let complete = wait_on.block_on(waiter.complete_request(&wait_for, request));
        complete.map(|request| request.totals).map_err(|error| error.to_string())
    };
    GroupService { send: Box::new(send), wait: Box::new(wait) }
}
