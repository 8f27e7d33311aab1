//! A client of the application's own HTTP API: its groups, and what people approve.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use bugle_api::{Page, Problem};
use bugle_core::{GatewayId, GroupId, PeripheralId, Time};
use reqwest::{Method, RequestBuilder};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;

const PATIENCE: Duration = Duration::from_secs(10);

/// The application's own HTTP API. Never shown: it holds a token.
#[derive(Clone)]
pub(crate) struct ApplicationApi {
    http: reqwest::Client,
    url: String,
    token: String,
}

/// What a person is asked, or has decided, about a peripheral.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Approval {
    /// Who.
    pub(crate) peripheral: PeripheralId,
    /// `waiting`, `approved` or `refused`.
    pub(crate) state: String,
    /// The groups that it is about.
    pub(crate) groups: BTreeSet<GroupId>,
    /// Through which gateway it asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) gateway: Option<GatewayId>,
    /// When it came to stand so.
    pub(crate) since: Time,
    /// Whether the peripheral waits for the answer now.
    pub(crate) is_asking: bool,
}

/// A group configuration.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct GroupConfiguration {
    /// Which group.
    pub(crate) group: GroupId,
    /// How many members it has.
    pub(crate) members: u64,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ApprovalDecision {
    /// It may register.
    Approve,
    /// It may not.
    Refuse,
}

#[derive(Serialize)]
struct Decision {
    decision: ApprovalDecision,
}

impl ApplicationApi {
    /// A client of the application at `url`.
    pub(crate) fn new(url: &str, token: String) -> Result<Self, Failure> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build().context("cannot speak HTTP")?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// The approvals, a page at a time.
    pub(crate) async fn approvals(&self, cursor: Option<&str>) -> Result<Page<Approval>, Failure> {
        self.ask(self.request(Method::GET, "/v1/approvals").query(&[("cursor", cursor)])).await
    }

    /// Decides about a peripheral.
    pub(crate) async fn decide(
        &self,
        peripheral: &PeripheralId,
        decision: ApprovalDecision,
    ) -> Result<Approval, Failure> {
        let path = format!("/v1/approvals/{peripheral}");
        self.ask(self.request(Method::POST, &path).json(&Decision { decision })).await
    }

    /// The group configurations: the first page of them, which holds all that `bugle up` makes.
    pub(crate) async fn groups(&self) -> Result<Vec<GroupConfiguration>, Failure> {
        let page: Page<GroupConfiguration> = self.ask(self.request(Method::GET, "/v1/groups")).await?;
        Ok(page.items)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.token)
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let out_of_reach = |error: reqwest::Error| {
            let advice = "is it running? `bugle up` or `bugle application --config FILE` runs it";
            Failure::There(format!("the application at {} is out of reach ({}): {advice}", self.url, root_of(&error)))
        };
        let answer = request.send().await.map_err(out_of_reach)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(out_of_reach)?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&body).context("the application answered with something unexpected")?);
        }
        Err(Failure::There(match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => format!("{}: {}", problem.title, problem.detail),
            Err(_) => format!("{} answered {status}: is that the application's own HTTP?", self.url),
        }))
    }
}

/// What is at the bottom of an error, without the layers above.
fn root_of(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
