//! Tokens, enrolment, and starting.

use std::os::unix::fs::PermissionsExt;

use bugle_platform::{Config, OPERATOR_TOKEN_FILE, start};
use bugle_runtime::Shutdown;
use bugle_runtime::tls::TlsFiles;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::world::{World, allocated, answer, config, message, signing_request};

#[tokio::test]
async fn the_first_operators_token_is_in_a_file_that_only_its_owner_reads() {
    let world = World::start().await;
    let file = world.folder.path().join(OPERATOR_TOKEN_FILE);
    assert_eq!(world.handle.operator_token_file, file);
    let mode = std::fs::metadata(&file).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let database = std::fs::read(world.folder.path().join("platform.db-wal")).expect("is there");
    let secret = world.operator.as_bytes();
    assert!(!database.windows(secret.len()).any(|window| window == secret), "the secret is stored");
    let operator = world.operator.clone();
    let world = World::start_in(world.end().await).await;
    assert_eq!(world.operator, operator, "no new one is made");
    assert_eq!(world.get("/v1/tokens").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_data_folder_in_use_and_a_port_in_use_are_named() {
    let world = World::start().await;
    let shared = start(config(&world.folder), Shutdown::manual()).await.expect_err("in use").to_string();
    assert!(shared.contains("is in use by process"), "{shared}");
    let folder = tempfile::TempDir::new().expect("a folder");
    let taken = Config { http_listen: world.handle.http_address, ..config(&folder) };
    let error = start(taken, Shutdown::manual()).await.expect_err("taken").to_string();
    assert!(error.starts_with("http_listen = "), "{error}");
}

#[tokio::test]
async fn without_a_valid_token_nothing_but_health_and_enrolment_is_open() {
    let world = World::start().await;
    let bare = |path: &str| world.client.get(format!("{}{path}", world.base));
    assert_eq!(answer(bare("/healthz")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(answer(bare("/readyz")).await.status, StatusCode::NO_CONTENT);
    let document = answer(bare("/v1/openapi.json")).await;
    assert_eq!(document.body["openapi"], "3.1.0");
    for request in [bare("/v1/gateways"), bare("/v1/gateways").bearer_auth("bugle_nonsense")] {
        let refused = answer(request).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::UNAUTHORIZED, "unauthenticated"));
        assert_eq!(refused.headers["www-authenticate"], "Bearer");
    }
}

#[tokio::test]
async fn a_token_does_what_its_scopes_say_and_in_its_application_alone() {
    let world = World::furnished().await;
    world.post("/v1/applications", json!({"id": "lighting"})).await;
    let token = world.token(json!({"name": "reader", "scopes": ["groups:read"], "application": "metering"})).await;
    let secret = &token.secret;
    assert_eq!(world.get_as(secret, "/v1/applications/metering/groups").await.status, StatusCode::OK);
    for path in ["/v1/applications/metering/requests", "/v1/gateways", "/v1/applications/lighting/groups"] {
        let refused = world.get_as(secret, path).await;
        assert_eq!((refused.status, refused.problem()), (StatusCode::FORBIDDEN, "forbidden"), "{path}");
    }
    let path = format!("/v1/tokens/{}", token.token.id);
    assert_eq!(answer(world.request(Method::DELETE, &path)).await.status, StatusCode::NO_CONTENT);
    assert_eq!(world.get_as(secret, "/v1/applications/metering/groups").await.problem(), "unauthenticated");
}

#[tokio::test]
async fn another_applications_peripherals_are_out_of_sight_and_reach() {
    let world = World::furnished().await;
    world.post("/v1/applications", json!({"id": "lighting"})).await;
    let scopes = json!(["peripherals:read", "peripherals:write"]);
    let token = world.token(json!({"name": "other", "scopes": scopes, "application": "lighting"})).await;
    let list = world.get_as(&token.secret, "/v1/peripherals").await;
    assert_eq!(list.body["items"], json!([]));
    assert_eq!(world.get_as(&token.secret, "/v1/peripherals?application=metering").await.problem(), "forbidden");
    let path = "/v1/gateways/gw1/peripherals/m1";
    assert_eq!(world.get_as(&token.secret, path).await.problem(), "unknown-peripheral");
    let own =
        |method, path: &str| world.client.request(method, format!("{}{path}", world.base)).bearer_auth(&token.secret);
    assert_eq!(answer(own(Method::POST, &format!("{path}/block"))).await.problem(), "unknown-peripheral");
    let steal = json!({"application": "lighting", "groups": ["east"]});
    assert_eq!(answer(own(Method::PUT, path).json(&steal)).await.problem(), "allocated-elsewhere");
    let foreign = json!({"application": "metering", "groups": ["east"]});
    assert_eq!(answer(own(Method::PUT, path).json(&foreign)).await.problem(), "forbidden");
}

#[tokio::test]
async fn an_expired_token_is_told_apart_from_an_unknown_one() {
    let world = World::furnished().await;
    let body = json!({"name": "short", "scopes": ["groups:read"], "expires_in_seconds": 1});
    let token = world.token(body).await;
    let groups = "/v1/applications/metering/groups";
    let refused = loop {
        let answer = world.get_as(&token.secret, groups).await;
        if answer.status != StatusCode::OK {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((refused.status, refused.problem()), (StatusCode::UNAUTHORIZED, "token-expired"));
}

#[tokio::test]
async fn tokens_that_make_no_sense_are_not_issued() {
    let world = World::start().await;
    for (body, code) in [
        (json!({"name": "t", "scopes": []}), "invalid"),
        (json!({"name": "", "scopes": ["groups:read"]}), "invalid"),
        (json!({"name": "t", "scopes": ["groups:write"]}), "invalid"),
        (json!({"name": "t", "scopes": ["groups:read"], "expires_in_seconds": 0}), "invalid"),
        (json!({"name": "t", "scopes": ["operator"], "application": "metering"}), "invalid"),
        (json!({"name": "t", "scopes": ["groups:read"], "application": "metering"}), "unknown-application"),
    ] {
        assert_eq!(world.post("/v1/tokens", body).await.problem(), code);
    }
    assert_eq!(world.get("/v1/tokens").await.body["items"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn an_enrolment_token_serves_once_and_carries_the_authoritys_fingerprint() {
    let world = World::start().await;
    let token = world.enrolment_token("gw1").await;
    let (_, csr) = signing_request();
    let enrol = |token: &str, csr: &str| {
        let body = json!({"token": token, "csr_pem": csr});
        answer(world.client.post(format!("{}/v1/enrollments", world.base)).json(&body))
    };
    assert_eq!(enrol("bugle-enroll.x.y", &csr).await.problem(), "enrollment-refused");
    assert_eq!(enrol(&token.token, "no request").await.problem(), "invalid");
    let enrolled = enrol(&token.token, &csr).await;
    assert_eq!(enrolled.status, StatusCode::CREATED, "{enrolled:?}");
    assert_eq!(enrolled.body["gateway"], "gw1");
    assert_eq!(enrolled.body["link_address"], world.handle.link_address.to_string());
    let ca = enrolled.body["ca_pem"].as_str().expect("a certificate");
    let fingerprint = bugle_runtime::Authority::fingerprint_of(ca).expect("a certificate");
    assert_eq!(token.token.split('.').nth(1), Some(fingerprint.as_str()));
    assert_eq!(enrol(&token.token, &csr).await.problem(), "enrollment-refused");
    let gateways = world.get("/v1/gateways").await;
    assert_eq!(gateways.body["items"][0]["is_enrolled"], true);
    assert_eq!(gateways.body["items"][0]["is_connected"], false);
}

#[tokio::test]
async fn an_authority_without_its_key_is_not_silently_made_anew() {
    let world = World::start().await;
    let folder = world.end().await;
    std::fs::remove_file(folder.path().join("ca.key")).expect("removed");
    let error = start(config(&folder), Shutdown::manual()).await.expect_err("half an authority").to_string();
    assert!(error.contains("ca.pem is there without"), "{error}");
}

#[tokio::test]
async fn the_api_is_served_over_tls_where_a_certificate_is_configured() {
    bugle_runtime::tls::install_provider();
    let folder = tempfile::TempDir::new().expect("a folder");
    let key = rcgen::KeyPair::generate().expect("a key");
    let certificate = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name").self_signed(&key);
    let pem = certificate.expect("a certificate").pem();
    let files =
        TlsFiles { certificate: folder.path().join("c.pem"), key: folder.path().join("k.pem"), client_ca: None };
    std::fs::write(&files.certificate, &pem).expect("written");
    std::fs::write(&files.key, key.serialize_pem()).expect("written");
    let shutdown = Shutdown::manual();
    let tls = Config { http_tls: Some(files), ..config(&folder) };
    let handle = start(tls, shutdown.clone()).await.expect("starts");
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a certificate");
    let client = reqwest::Client::builder().add_root_certificate(root).build().expect("a client");
    let port = handle.http_address.port();
    let health = answer(client.get(format!("https://localhost:{port}/healthz"))).await;
    assert_eq!(health.status, StatusCode::NO_CONTENT);
    assert!(client.get(format!("http://localhost:{port}/healthz")).send().await.is_err());
    shutdown.request();
    handle.ended().await;
}

#[tokio::test]
async fn an_ended_platform_goes_on_where_it_was() {
    let world = World::furnished().await;
    let submitted = world.post("/v1/applications/metering/groups/east/requests", message()).await;
    let path = format!("/v1/applications/metering/requests/{}", submitted.body["id"].as_str().expect("an id"));
    let shown = world.get(&path).await.body;
    let world = World::start_in(world.end().await).await;
    assert_eq!(world.get(&path).await.body, shown);
    world.up("gw1", 3, vec![allocated("m7", &["east"])]).await;
}
