//! One function for every endpoint.

use std::time::{Duration, Instant};

use bugle_api::{
    AllocationBody, Application, Decision, Decisions, DecisionsAnswer, Enrolled, Enrollment, EnrollmentToken,
    EventPage, EventQuery, Foresight, Gateway, Group, GroupDetail, IDEMPOTENCY_KEY, IssuedToken, MemberQuery,
    NewApplication, NewGateway, NewSchedule, NewToken, ObservationBody, Page, PageQuery, Peripheral, PeripheralQuery,
    Problem, ProblemCode, Request, RequestMember, RequestQuery, RequestState, RequestWait, Schedule, SnapshotPage,
    StrangerRecord, Submission, Token,
};
use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId, RequestId, ResourcePath, ScheduleId};
use bugle_runtime::tls;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ClientError;
use crate::follower::Follower;

/// How long a call may take, but for the event log.
const PATIENCE: Duration = Duration::from_secs(30);
/// For how long the platform is asked to wait until a group request is complete. Whoever stands between lets a
/// call be silent for so long, and it is less than [`PATIENCE`].
const WAIT_SECONDS: u32 = 20;
/// The time between two calls that both find it incomplete, at least.
const WAIT_MIN: Duration = Duration::from_secs(1);
/// How long a connection may take to come up.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// A platform's HTTP API, spoken to with one token. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    base: Url,
    token: Option<String>,
    http: reqwest::Client,
}

impl Client {
    /// Speaks to the platform at `url` with `token`. Nothing is sent yet.
    ///
    /// # Errors
    /// If `url` is none.
    pub fn new(url: &str, token: impl Into<String>) -> Result<Self, ClientError> {
        Self::build(url, Some(token.into()))
    }

    /// Speaks to the platform at `url` without a token, which is enough to enrol.
    ///
    /// # Errors
    /// If `url` is none.
    pub fn without_token(url: &str) -> Result<Self, ClientError> {
        Self::build(url, None)
    }

    fn build(url: &str, token: Option<String>) -> Result<Self, ClientError> {
        tls::install_provider();
        let wrong = || ClientError::Address(url.to_owned());
        let base = Url::parse(url).map_err(|_| wrong())?;
        if !matches!(base.scheme(), "http" | "https") || base.cannot_be_a_base() {
            return Err(wrong());
        }
        let http = reqwest::Client::builder().connect_timeout(CONNECT_TIME).build().map_err(|_| wrong())?;
        Ok(Self { base, token, http })
    }

    /// Where the platform is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Whether the platform can store and answer.
    ///
    /// # Errors
    /// If it cannot, or is out of reach.
    pub async fn ready(&self) -> Result<(), ClientError> {
        self.send(self.call(Method::GET, &["readyz"])).await.map(drop)
    }

    /// Adds an application; does nothing if it is there.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn add_application(&self, application: &ApplicationId) -> Result<Application, ClientError> {
        let body = NewApplication { id: application.clone() };
        self.post(&["v1", "applications"], &body).await
    }

    /// Lists applications.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn applications(&self, query: &PageQuery) -> Result<Page<Application>, ClientError> {
        self.get(&["v1", "applications"], query).await
    }

    /// Issues a token.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn issue_token(&self, token: &NewToken) -> Result<IssuedToken, ClientError> {
        self.post(&["v1", "tokens"], token).await
    }

    /// Lists tokens, without their secrets.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn tokens(&self, query: &PageQuery) -> Result<Page<Token>, ClientError> {
        self.get(&["v1", "tokens"], query).await
    }

    /// Makes a token worthless.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn revoke_token(&self, token: &str) -> Result<(), ClientError> {
        self.send(self.call(Method::DELETE, &["v1", "tokens", token])).await.map(drop)
    }

    /// Adds a gateway, or lets one that is there enrol again.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn add_gateway(&self, gateway: &NewGateway) -> Result<EnrollmentToken, ClientError> {
        self.post(&["v1", "gateways"], gateway).await
    }

    /// Lists gateways.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn gateways(&self, query: &PageQuery) -> Result<Page<Gateway>, ClientError> {
        self.get(&["v1", "gateways"], query).await
    }

    /// Enrols a gateway.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn enrol(&self, enrollment: &Enrollment) -> Result<Enrolled, ClientError> {
        self.post(&["v1", "enrollments"], enrollment).await
    }

    /// Lists peripherals without an allocation that asked to register.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn strangers(&self, query: &PageQuery) -> Result<Page<StrangerRecord>, ClientError> {
        self.get(&["v1", "strangers"], query).await
    }

    /// Lists peripherals.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn peripherals(&self, query: &PeripheralQuery) -> Result<Page<Peripheral>, ClientError> {
        self.get(&["v1", "peripherals"], query).await
    }

    /// Shows a peripheral.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn peripheral(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<Peripheral, ClientError> {
        self.read(self.call(Method::GET, &at(gateway, peripheral))).await
    }

    /// Makes or changes an allocation. It counts once its gateway has it.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn allocate(
        &self,
        gateway: &GatewayId,
        peripheral: &PeripheralId,
        allocation: &AllocationBody,
    ) -> Result<(), ClientError> {
        self.send(self.call(Method::PUT, &at(gateway, peripheral)).json(allocation)).await.map(drop)
    }

    /// Removes an allocation, ending the registration.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn remove(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.send(self.call(Method::DELETE, &at(gateway, peripheral))).await.map(drop)
    }

    /// Lets a blocked peripheral register.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn release(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.command(gateway, peripheral, "release").await
    }

    /// Ends a peripheral's registration and lets it not register again.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn block(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.command(gateway, peripheral, "block").await
    }

    /// Ends a peripheral's registration.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn deregister(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.command(gateway, peripheral, "deregister").await
    }

    /// Puts a peripheral into standby.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn standby(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.command(gateway, peripheral, "standby").await
    }

    /// Has a value of a peripheral reported whenever it changes.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn observe(
        &self,
        gateway: &GatewayId,
        peripheral: &PeripheralId,
        path: ResourcePath,
    ) -> Result<(), ClientError> {
        let [v1, gateways, gateway, peripherals, peripheral] = at(gateway, peripheral);
        let call = self.call(Method::POST, &[v1, gateways, gateway, peripherals, peripheral, "observe"]);
        self.send(call.json(&ObservationBody { path })).await.map(drop)
    }

    /// Has it reported no more.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn observe_no_more(
        &self,
        gateway: &GatewayId,
        peripheral: &PeripheralId,
        path: ResourcePath,
    ) -> Result<(), ClientError> {
        let [v1, gateways, gateway, peripherals, peripheral] = at(gateway, peripheral);
        let call = self.call(Method::POST, &[v1, gateways, gateway, peripherals, peripheral, "observe-no-more"]);
        self.send(call.json(&ObservationBody { path })).await.map(drop)
    }

    /// Activates a peripheral in standby: it is woken as its allocation says.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn activate(&self, gateway: &GatewayId, peripheral: &PeripheralId) -> Result<(), ClientError> {
        self.command(gateway, peripheral, "activate").await
    }

    /// Lists an application's groups.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn groups(&self, application: &ApplicationId, query: &PageQuery) -> Result<Page<Group>, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "groups"], query).await
    }

    /// Shows a group and where its members are.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn group(&self, application: &ApplicationId, group: &GroupId) -> Result<GroupDetail, ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", group.as_str()];
        self.read(self.call(Method::GET, &path)).await
    }

    /// Lists a group's members.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn group_members(
        &self,
        application: &ApplicationId,
        group: &GroupId,
        query: &PageQuery,
    ) -> Result<Page<Peripheral>, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "groups", group.as_str(), "members"], query).await
    }

    /// Nests a group in another: whatever is asked of the outer group's members is asked of the inner group's
    /// too.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn nest(&self, application: &ApplicationId, outer: &GroupId, inner: &GroupId) -> Result<(), ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", outer.as_str(), "groups", inner.as_str()];
        self.send(self.call(Method::PUT, &path)).await.map(drop)
    }

    /// Takes a group out of another.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn unnest(
        &self,
        application: &ApplicationId,
        outer: &GroupId,
        inner: &GroupId,
    ) -> Result<(), ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", outer.as_str(), "groups", inner.as_str()];
        self.send(self.call(Method::DELETE, &path)).await.map(drop)
    }

    /// Activates all members of a group that are in standby.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn activate_group(&self, application: &ApplicationId, group: &GroupId) -> Result<(), ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", group.as_str(), "activate"];
        self.send(self.call(Method::POST, &path)).await.map(drop)
    }

    /// Puts all members of a group into standby.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn put_group_into_standby(
        &self,
        application: &ApplicationId,
        group: &GroupId,
    ) -> Result<(), ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", group.as_str(), "standby"];
        self.send(self.call(Method::POST, &path)).await.map(drop)
    }

    /// Sends a group request: one operation to every member of the group. With a key, sending it again
    /// is the same as sending it once.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn submit(
        &self,
        application: &ApplicationId,
        group: &GroupId,
        submission: &Submission,
        idempotency_key: Option<&str>,
    ) -> Result<Request, ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", group.as_str(), "requests"];
        let mut call = self.call(Method::POST, &path).json(submission);
        if let Some(key) = idempotency_key {
            call = call.header(IDEMPOTENCY_KEY, key);
        }
        self.read(call).await
    }

    /// Foresees what a group request would meet, without sending it.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn foresee(
        &self,
        application: &ApplicationId,
        group: &GroupId,
        submission: &Submission,
    ) -> Result<Foresight, ClientError> {
        let path = ["v1", "applications", application.as_str(), "groups", group.as_str(), "foresight"];
        self.read(self.call(Method::POST, &path).json(submission)).await
    }

    /// Lists an application's group requests, the latest first.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn requests(
        &self,
        application: &ApplicationId,
        query: &RequestQuery,
    ) -> Result<Page<Request>, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "requests"], query).await
    }

    /// Shows a group request.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn request(&self, application: &ApplicationId, request: RequestId) -> Result<Request, ClientError> {
        self.request_after(application, request, RequestWait::default()).await
    }

    /// The group request when it is complete, however long that takes.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn complete_request(
        &self,
        application: &ApplicationId,
        request: RequestId,
    ) -> Result<Request, ClientError> {
        loop {
            let asked = Instant::now();
            let known =
                self.request_after(application, request, RequestWait { wait_seconds: Some(WAIT_SECONDS) }).await?;
            if known.state == RequestState::Complete {
                return Ok(known);
            }
            // A platform that stops, or is of a release that does not wait, answers sooner than it is asked to.
            if asked.elapsed() < WAIT_MIN {
                tokio::time::sleep(WAIT_MIN).await;
            }
        }
    }

    /// Lists the members of a group request and what became of it for each.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn request_members(
        &self,
        application: &ApplicationId,
        request: RequestId,
        query: &MemberQuery,
    ) -> Result<Page<RequestMember>, ClientError> {
        let id = request.to_string();
        self.get(&["v1", "applications", application.as_str(), "requests", &id, "members"], query).await
    }

    /// Cancels a group request: members that it has not reached yet are left out.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn cancel(&self, application: &ApplicationId, request: RequestId) -> Result<Request, ClientError> {
        let id = request.to_string();
        let path = ["v1", "applications", application.as_str(), "requests", &id, "cancel"];
        self.read(self.call(Method::POST, &path)).await
    }

    /// Puts a schedule, in place of another of the same name.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn put_schedule(
        &self,
        application: &ApplicationId,
        schedule: &ScheduleId,
        new: &NewSchedule,
    ) -> Result<Schedule, ClientError> {
        let path = ["v1", "applications", application.as_str(), "schedules", schedule.as_str()];
        self.read(self.call(Method::PUT, &path).json(new)).await
    }

    /// Lists an application's schedules.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn schedules(
        &self,
        application: &ApplicationId,
        page: &PageQuery,
    ) -> Result<Page<Schedule>, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "schedules"], page).await
    }

    /// Shows a schedule.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn schedule(&self, application: &ApplicationId, schedule: &ScheduleId) -> Result<Schedule, ClientError> {
        let path = ["v1", "applications", application.as_str(), "schedules", schedule.as_str()];
        self.read(self.call(Method::GET, &path)).await
    }

    /// Cancels a schedule. Group requests that it has sent go on.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn cancel_schedule(&self, application: &ApplicationId, schedule: &ScheduleId) -> Result<(), ClientError> {
        let path = ["v1", "applications", application.as_str(), "schedules", schedule.as_str()];
        self.send(self.call(Method::DELETE, &path)).await.map(drop)
    }

    /// Decides about registrations, at most [`DECISIONS_MAX`](bugle_api::DECISIONS_MAX) at once.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn decide(
        &self,
        application: &ApplicationId,
        decisions: Vec<Decision>,
    ) -> Result<DecisionsAnswer, ClientError> {
        self.post(&["v1", "applications", application.as_str(), "decisions"], &Decisions { decisions }).await
    }

    /// Reads a page of the event log.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn events(&self, application: &ApplicationId, query: &EventQuery) -> Result<EventPage, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "events"], query).await
    }

    /// Follows the event log after `after`, or from the first event that is kept.
    #[must_use]
    pub fn follow(&self, application: &ApplicationId, after: Option<u64>) -> Follower {
        Follower::new(self.clone(), application.clone(), after)
    }

    /// Reads a page of what is registered and what awaits a decision.
    ///
    /// # Errors
    /// If the platform says no or is out of reach.
    pub async fn snapshot(&self, application: &ApplicationId, query: &PageQuery) -> Result<SnapshotPage, ClientError> {
        self.get(&["v1", "applications", application.as_str(), "snapshot"], query).await
    }

    /// Opens the event log as a stream of server-sent events.
    pub(crate) async fn open_events(
        &self,
        application: &ApplicationId,
        query: &EventQuery,
    ) -> Result<Response, ClientError> {
        let path = ["v1", "applications", application.as_str(), "events"];
        let call = self.call_without_limit(Method::GET, &path).header(header::ACCEPT, "text/event-stream");
        self.send(call.query(query)).await
    }

    async fn request_after(
        &self,
        application: &ApplicationId,
        request: RequestId,
        wait: RequestWait,
    ) -> Result<Request, ClientError> {
        let id = request.to_string();
        self.get(&["v1", "applications", application.as_str(), "requests", &id], &wait).await
    }

    async fn command(&self, gateway: &GatewayId, peripheral: &PeripheralId, verb: &str) -> Result<(), ClientError> {
        let [v1, gateways, gateway, peripherals, peripheral] = at(gateway, peripheral);
        let path = [v1, gateways, gateway, peripherals, peripheral, verb];
        self.send(self.call(Method::POST, &path)).await.map(drop)
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: &impl Serialize) -> Result<T, ClientError> {
        self.read(self.call(Method::GET, path).query(query)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, ClientError> {
        self.read(self.call(Method::POST, path).json(body)).await
    }

    async fn read<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, ClientError> {
        let bytes = self.send(call).await?.bytes().await.map_err(|error| self.unreachable(&error))?;
        serde_json::from_slice(&bytes).map_err(|error| self.not_understood(&error))
    }

    fn call(&self, method: Method, path: &[&str]) -> RequestBuilder {
        self.call_without_limit(method, path).timeout(PATIENCE)
    }

    fn call_without_limit(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("the address was checked to be a base").pop_if_empty().extend(path);
        let call = self.http.request(method, url);
        match &self.token {
            Some(token) => call.bearer_auth(token),
            None => call,
        }
    }

    async fn send(&self, call: RequestBuilder) -> Result<Response, ClientError> {
        let answer = call.send().await.map_err(|error| self.unreachable(&error))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let seconds = answer.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let problem = serde_json::from_slice(&bytes).unwrap_or_else(|_| unnamed(status, &bytes));
        Err(ClientError::Refused { problem, retry_after })
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        // The outermost error says no more than that there was one.
        let mut reason = error as &dyn std::error::Error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        ClientError::Unreachable { url: self.url().to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn not_understood(&self, reason: &dyn std::fmt::Display) -> ClientError {
        ClientError::Answer { url: self.url().to_owned(), reason: reason.to_string() }
    }
}

fn at<'a>(gateway: &'a GatewayId, peripheral: &'a PeripheralId) -> [&'a str; 5] {
    ["v1", "gateways", gateway.as_str(), "peripherals", peripheral.as_str()]
}

/// A refusal that is no problem document, as of something that stands between.
fn unnamed(status: StatusCode, body: &[u8]) -> Problem {
    let detail = String::from_utf8_lossy(body).chars().take(200).collect::<String>();
    let mut problem = Problem::new(ProblemCode::Internal, detail);
    problem.status = status.as_u16();
    status.canonical_reason().unwrap_or("refused").clone_into(&mut problem.title);
    problem
}
