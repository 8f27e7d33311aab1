//! Calls and their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use bugle_api::{
    AllocationBody, Endpoint, Enrollment, EventQuery, MemberQuery, NewGateway, NewSchedule, NewToken, PageQuery,
    PeripheralQuery, ProblemCode, RequestQuery, Submission,
};
use bugle_client::{Client, ClientError};
use bugle_core::{ApplicationId, GatewayId, GroupId, PeripheralId, RequestId, ResourcePath, ScheduleId};

use crate::server::{Call, Server, problem};

fn application() -> ApplicationId {
    "metering".parse().expect("an application id")
}

fn gateway() -> GatewayId {
    "gw-1".parse().expect("a gateway id")
}

fn group() -> GroupId {
    "meters".parse().expect("a group id")
}

fn request() -> RequestId {
    RequestId::from_number(7).expect("a request id")
}

fn submission() -> Submission {
    let json = r#"{"operation":{"do":"message","content":{"text":"on"}}}"#;
    serde_json::from_str(json).expect("a submission")
}

fn schedule() -> ScheduleId {
    "nightly".parse().expect("a schedule id")
}

fn new_schedule() -> NewSchedule {
    let (group, request) = (group(), submission());
    NewSchedule { group, request, not_before: None, cron: Some("0 2 * * *".into()), time_zone: None }
}

fn allocation() -> AllocationBody {
    serde_json::from_str(r#"{"application":"metering","groups":["meters"]}"#).expect("an allocation")
}

/// Calls every function once, of which each is told that there is nothing.
async fn call_all(client: &Client, peripheral: &PeripheralId) {
    let (application, gateway, group) = (application(), gateway(), group());
    let contained: GroupId = "floor".parse().expect("a group id");
    let value: ResourcePath = "/3303/0/5700".parse().expect("a path");
    let page = PageQuery::default();
    let new_token = NewToken { name: "n".into(), scopes: BTreeSet::new(), application: None, expires_in_seconds: None };
    let new_gateway = NewGateway { id: gateway.clone(), expires_in_seconds: None };
    let enrollment = Enrollment { token: "t".into(), csr_pem: "c".into() };
    let mut errors = vec![
        client.ready().await.err(),
        client.add_application(&application).await.err(),
        client.applications(&page).await.err(),
        client.issue_token(&new_token).await.err(),
        client.tokens(&page).await.err(),
        client.revoke_token("t1").await.err(),
        client.add_gateway(&new_gateway).await.err(),
        client.gateways(&page).await.err(),
        client.enrol(&enrollment).await.err(),
        client.strangers(&page).await.err(),
        client.peripherals(&PeripheralQuery::default()).await.err(),
        client.peripheral(&gateway, peripheral).await.err(),
        client.allocate(&gateway, peripheral, &allocation()).await.err(),
        client.remove(&gateway, peripheral).await.err(),
        client.release(&gateway, peripheral).await.err(),
        client.block(&gateway, peripheral).await.err(),
        client.deregister(&gateway, peripheral).await.err(),
        client.standby(&gateway, peripheral).await.err(),
        client.activate(&gateway, peripheral).await.err(),
        client.observe(&gateway, peripheral, value).await.err(),
        client.observe_no_more(&gateway, peripheral, value).await.err(),
    ];
    errors.extend([
        client.groups(&application, &page).await.err(),
        client.group(&application, &group).await.err(),
        client.group_members(&application, &group, &page).await.err(),
        client.nest(&application, &group, &contained).await.err(),
        client.unnest(&application, &group, &contained).await.err(),
        client.activate_group(&application, &group).await.err(),
        client.put_group_into_standby(&application, &group).await.err(),
        client.submit(&application, &group, &submission(), None).await.err(),
        client.foresee(&application, &group, &submission()).await.err(),
        client.requests(&application, &RequestQuery::default()).await.err(),
        client.request(&application, request()).await.err(),
        client.request_members(&application, request(), &MemberQuery::default()).await.err(),
        client.cancel(&application, request()).await.err(),
        client.put_schedule(&application, &schedule(), &new_schedule()).await.err(),
        client.schedules(&application, &page).await.err(),
        client.schedule(&application, &schedule()).await.err(),
        client.cancel_schedule(&application, &schedule()).await.err(),
        client.decide(&application, Vec::new()).await.err(),
        client.events(&application, &EventQuery::default()).await.err(),
        client.snapshot(&application, &page).await.err(),
    ]);
    let statuses: BTreeSet<_> = errors.iter().map(|error| error.as_ref().and_then(ClientError::status)).collect();
    assert_eq!(statuses, BTreeSet::from([Some(404)]));
}

fn method_and_path(call: &Call) -> (String, String) {
    (call.method.to_string(), call.path.clone())
}

#[tokio::test]
async fn every_endpoint_is_called_as_the_api_lists_it() {
    let server = Server::start([]).await;
    call_all(&server.client(), &"m1".parse().expect("a peripheral id")).await;
    let (application, gateway, group, request) = (application(), gateway(), group(), request().to_string());
    let names = BTreeMap::from([
        ("{application}", application.as_str()),
        ("{gateway}", gateway.as_str()),
        ("{group}", group.as_str()),
        ("{contained}", "floor"),
        ("{peripheral}", "m1"),
        ("{request}", &request),
        ("{schedule}", "nightly"),
        ("{token}", "t1"),
    ]);
    // What is for probes and for people is not the client's.
    let is_called = |endpoint: &&Endpoint| !matches!(endpoint, Endpoint::Healthz | Endpoint::Document);
    let listed: BTreeSet<(String, String)> = Endpoint::ALL
        .iter()
        .filter(is_called)
        .map(|endpoint| {
            let path = names.iter().fold(endpoint.path().to_owned(), |path, (name, value)| path.replace(name, value));
            (format!("{:?}", endpoint.method()).to_uppercase(), path)
        })
        .collect();
    assert_eq!(server.calls().iter().map(method_and_path).collect::<BTreeSet<_>>(), listed);
}

#[tokio::test]
async fn an_identifier_stays_one_part_of_the_path() {
    let server = Server::start([]).await;
    let peripheral: PeripheralId = "urn:imei:1@x&y=z;{a}|<b>^`'".parse().expect("a peripheral id");
    server.client().peripheral(&gateway(), &peripheral).await.expect_err("there is nothing");
    let path = server.calls()[0].path.clone();
    let (before, encoded) = path.rsplit_once('/').expect("a path");
    assert_eq!(before, "/v1/gateways/gw-1/peripherals");
    assert_eq!(percent_decode(encoded), peripheral.as_str());
}

fn percent_decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next().expect("a digit"), bytes.next().expect("a digit")];
            let digits = std::str::from_utf8(&digits).expect("digits");
            decoded.push(u8::from_str_radix(digits, 16).expect("a number"));
        } else {
            decoded.push(byte);
        }
    }
    String::from_utf8(decoded).expect("text")
}

#[tokio::test]
async fn token_query_key_and_body_are_sent() {
    let server = Server::start([]).await;
    let client = server.client();
    let query = PeripheralQuery { group: Some(group()), limit: Some(5), ..PeripheralQuery::default() };
    client.peripherals(&query).await.expect_err("there is nothing");
    client.submit(&application(), &group(), &submission(), Some("key-1")).await.expect_err("there is nothing");
    let calls = server.calls();
    assert_eq!(calls[0].path, "/v1/peripherals?group=meters&limit=5");
    assert_eq!(calls[0].header("authorization"), Some("Bearer secret"));
    assert_eq!((calls[1].method.clone(), calls[1].header("idempotency-key")), (Method::POST, Some("key-1")));
    assert_eq!(calls[1].header("content-type"), Some("application/json"));
    assert_eq!(serde_json::from_str::<Submission>(&calls[1].body).expect("a submission"), submission());
}

#[tokio::test]
async fn an_address_with_a_path_keeps_it() {
    let server = Server::start([]).await;
    let url = format!("{}/bugle/", server.client().url());
    let client = Client::without_token(&url).expect("an address");
    client.ready().await.expect_err("there is nothing");
    let calls = server.calls();
    assert_eq!((calls[0].path.as_str(), calls[0].header("authorization")), ("/bugle/readyz", None));
}

#[tokio::test]
async fn a_refusal_keeps_what_the_platform_said() {
    let server = Server::start([problem(ProblemCode::Overloaded, "later, please")]).await;
    let error = server.client().applications(&PageQuery::default()).await.expect_err("it is refused");
    let ClientError::Refused { problem, .. } = &error else { panic!("{error}") };
    assert_eq!(problem.code(), Some(ProblemCode::Overloaded));
    assert_eq!(error.retry_after(), Some(Duration::from_secs(1)));
    assert_eq!(error.to_string(), "Too much waits already: later, please");
    assert!(error.is_passing());
}

#[tokio::test]
async fn a_refusal_by_something_in_between_is_told_as_it_is() {
    let server = Server::start([(StatusCode::BAD_GATEWAY, "<h1>no</h1>").into_response()]).await;
    let error = server.client().ready().await.expect_err("it is refused");
    assert_eq!((error.status(), error.is_passing()), (Some(502), true));
    assert_eq!(error.to_string(), "Bad Gateway: <h1>no</h1>");
}

#[tokio::test]
async fn an_answer_that_is_none_is_not_taken_for_one() {
    let server = Server::start(["<h1>welcome</h1>".into_response()]).await;
    let error = server.client().gateways(&PageQuery::default()).await.expect_err("it is no page");
    assert!(matches!(error, ClientError::Answer { .. }) && !error.is_passing(), "{error}");
}

#[tokio::test]
async fn a_platform_out_of_reach_is_told_with_its_address_and_why() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", socket.local_addr().expect("it listens"));
    drop(socket);
    let error = Client::new(&url, "secret").expect("an address").ready().await.expect_err("nobody is there");
    assert!(error.is_passing());
    let text = error.to_string();
    assert!(text.contains(&url) && text.contains("refused"), "{text}");
}

#[test]
fn what_is_no_address_is_refused() {
    for url in ["", "platform:8480", "ftp://platform", "http://", "mailto:a@b"] {
        assert!(matches!(Client::new(url, "secret"), Err(ClientError::Address(_))), "{url:?}");
    }
}
