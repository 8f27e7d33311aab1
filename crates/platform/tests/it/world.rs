//! A platform on ports of its own, and those who talk with it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_api::{Enrolled, EnrollmentToken, IssuedToken};
use bugle_core::{
    AllocationNotice, ApplicationId, Deregistered, Description, EndCause, Evidence, GatewayId, GroupId, InitialState,
    MemberOutcome, Origin, Outcome, PeripheralId, Presence, PresenceChanged, Protocol, RegistrationAsked,
    RegistrationId, RequestId, Time, UpEntry,
};
use bugle_platform::{Config, Handle, OPERATOR_TOKEN_FILE, Platform, start};
use bugle_runtime::Shutdown;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
    pub(crate) operator: String,
    pub(crate) shutdown: Shutdown,
    pub(crate) handle: Handle,
}

/// An answer, with what the tests look at.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The code of the problem that it is.
    pub(crate) fn problem(&self) -> &str {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], self.status.as_u16());
        let detail = self.body["detail"].as_str().expect("a detail");
        assert!(detail.ends_with('.'), "a sentence: {detail}");
        self.body["type"].as_str().and_then(|text| text.strip_prefix("urn:bugle:problem:")).expect("a type")
    }
}

pub(crate) fn config(folder: &TempDir) -> Config {
    let free = "127.0.0.1:0".parse().expect("an address");
    Config { http_listen: free, link_listen: free, ..Config::new(folder.path()) }
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::start_in(TempDir::new().expect("a folder")).await
    }

    pub(crate) async fn start_in(folder: TempDir) -> Self {
        bugle_runtime::tls::install_provider();
        let shutdown = Shutdown::manual();
        let handle = start(config(&folder), shutdown.clone()).await.expect("starts");
        let token = std::fs::read_to_string(folder.path().join(OPERATOR_TOKEN_FILE)).expect("a token");
        Self {
            base: format!("http://{}", handle.http_address),
            client: reqwest::Client::new(),
            operator: token.trim().to_owned(),
            folder,
            shutdown,
            handle,
        }
    }

    /// With application `metering`, gateways `gw1` and `gw2`, `m1` and `m2` allocated to `east` at the
    /// first and `m3` at the second.
    pub(crate) async fn furnished() -> Self {
        let world = Self::start().await;
        world.post("/v1/applications", json!({"id": "metering"})).await;
        for gateway in ["gw1", "gw2"] {
            world.post("/v1/gateways", json!({"id": gateway})).await;
        }
        world.up("gw1", 1, vec![allocated("m1", &["east"]), allocated("m2", &["east"])]).await;
        world.up("gw2", 1, vec![allocated("m3", &["east"])]).await;
        world
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.handle.platform
    }

    pub(crate) async fn up(&self, gateway: &str, first: u64, entries: Vec<UpEntry>) {
        let entries = (first..).zip(entries).collect();
        self.platform().apply_up(&id(gateway), entries).await.expect("applied");
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.operator)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn get_as(&self, token: &str, path: &str) -> Answer {
        answer(self.client.get(format!("{}{path}", self.base)).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        answer(self.request(Method::POST, path).json(&body)).await
    }

    pub(crate) async fn token(&self, body: Value) -> IssuedToken {
        let issued = self.post("/v1/tokens", body).await;
        assert_eq!(issued.status, StatusCode::CREATED, "{issued:?}");
        serde_json::from_value(issued.body).expect("a token")
    }

    pub(crate) async fn enrolment_token(&self, gateway: &str) -> EnrollmentToken {
        let issued = self.post("/v1/gateways", json!({"id": gateway})).await;
        assert_eq!(issued.status, StatusCode::CREATED, "{issued:?}");
        serde_json::from_value(issued.body).expect("an enrolment token")
    }

    /// Enrols a gateway, and returns its key in PEM with what it got.
    pub(crate) async fn enrol(&self, gateway: &str) -> (String, Enrolled) {
        let token = self.enrolment_token(gateway).await;
        let (key, csr) = signing_request();
        let body = json!({"token": token.token, "csr_pem": csr});
        let enrolled = answer(self.client.post(format!("{}/v1/enrollments", self.base)).json(&body)).await;
        assert_eq!(enrolled.status, StatusCode::CREATED, "{enrolled:?}");
        (key, serde_json::from_value(enrolled.body).expect("an enrolment"))
    }

    /// Ends the platform, and returns its data folder.
    pub(crate) async fn end(self) -> TempDir {
        self.shutdown.request();
        self.handle.ended().await;
        self.folder
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect("JSON") };
    Answer { status, headers, body }
}

/// A key and a certificate signing request for it, in PEM.
pub(crate) fn signing_request() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).expect("a request");
    (key.serialize_pem(), request.pem().expect("PEM"))
}

pub(crate) fn message() -> Value {
    json!({"operation": {"do": "message", "content": {"text": "on"}}})
}

pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("an id")
}

fn groups(texts: &[&str]) -> BTreeSet<GroupId> {
    texts.iter().map(|text| id(text)).collect()
}

pub(crate) fn application() -> ApplicationId {
    id("metering")
}

pub(crate) const AT: Time = Time::from_millis(1_700_000_000_000);

pub(crate) fn allocated(name: &str, in_groups: &[&str]) -> UpEntry {
    UpEntry::Allocated(AllocationNotice {
        peripheral: id(name),
        application: application(),
        groups: groups(in_groups),
        initial_state: InitialState::Allocated,
        labels: BTreeMap::new(),
        origin: Origin::Platform,
        wakes: None,
    })
}

pub(crate) fn asked(name: &str, registration: u64) -> UpEntry {
    let asked = RegistrationAsked {
        peripheral: id(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        evidence: Evidence::default(),
        description: Description {
            protocol: Protocol::Mqtt5,
            address: "192.0.2.1:5000".into(),
            lifetime: Duration::from_secs(60),
            objects: String::new(),
        },
    };
    UpEntry::RegistrationAsked { application: application(), asked }
}

pub(crate) fn active(name: &str, registration: u64) -> UpEntry {
    present(name, registration, Presence::Active)
}

pub(crate) fn present(name: &str, registration: u64, presence: Presence) -> UpEntry {
    let changed = PresenceChanged {
        peripheral: id(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        presence,
        at: AT,
    };
    UpEntry::PresenceChanged { application: application(), changed }
}

pub(crate) fn left(name: &str, registration: u64) -> UpEntry {
    let ended = Deregistered {
        peripheral: id(name),
        registration: RegistrationId::new(registration),
        groups: groups(&["east"]),
        cause: EndCause::Peripheral,
        at: AT,
    };
    UpEntry::Deregistered { application: application(), ended }
}

pub(crate) fn members_fixed(request: RequestId, names: &[&str]) -> UpEntry {
    UpEntry::MembersFixed {
        request,
        members: names.iter().map(|name| id::<PeripheralId>(name)).collect(),
        is_last: true,
    }
}

pub(crate) fn receipts(request: RequestId, outcomes: Vec<(&str, Outcome)>) -> UpEntry {
    let receipt =
        |(name, outcome): (&str, Outcome)| MemberOutcome { peripheral: id(name), outcome, at: AT, seen: Vec::new() };
    UpEntry::Receipts { request, receipts: outcomes.into_iter().map(receipt).collect() }
}

pub(crate) fn gateway(text: &str) -> GatewayId {
    id(text)
}
