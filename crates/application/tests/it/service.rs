//! The service under test, in a runtime of its own, so that it can be killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bugle_application::{Application, Authorizer, Config, Handle, StartError};
use bugle_runtime::Shutdown;
use bugle_runtime::listener::PlainReach;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::platform::{APPLICATION, Platform, TOKEN};

/// Longer than anything takes that is going to happen.
const PATIENCE: Duration = Duration::from_secs(20);
pub(crate) const ANYBODY: &str = "[[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"none\"\nlease = 60\n";
pub(crate) const NOBODY: &str = "";

/// What stays on disk when the service is killed.
pub(crate) struct Disk {
    folder: TempDir,
}

pub(crate) struct Service {
    runtime: Option<Runtime>,
    handle: Option<Handle>,
    shutdown: Shutdown,
    pub(crate) url: String,
    pub(crate) token: String,
}

impl Disk {
    pub(crate) fn new(policy: &str) -> Self {
        let disk = Self { folder: TempDir::new().expect("a folder") };
        disk.write_policy(policy);
        disk
    }

    pub(crate) fn write_policy(&self, policy: &str) {
        std::fs::write(self.policy(), policy).expect("written");
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.path().join("policy.toml")
    }

    /// Runs SQL in the store, beside the service that has it open.
    pub(crate) fn tamper(&self, sql: &str) {
        let store = rusqlite::Connection::open(self.folder.path().join("data/application.db")).expect("opens");
        store.busy_timeout(PATIENCE).expect("is set");
        store.execute_batch(sql).expect("is run");
    }

    pub(crate) fn config(&self, platform: &Platform) -> Config {
        let (url, token) = (platform.url.clone(), Some(TOKEN.into()));
        self.config_for(bugle_application::Platform { url, token, token_file: None })
    }

    pub(crate) fn config_for(&self, platform: bugle_application::Platform) -> Config {
        Config {
            id: APPLICATION.parse().expect("an application id"),
            data_folder: self.folder.path().join("data"),
            policy: Some(self.policy()),
            http_listen: "127.0.0.1:0".parse().expect("an address"),
            http_plain: PlainReach::Loopback,
            platform,
        }
    }
}

impl Service {
    pub(crate) fn start(disk: &Disk, platform: &Platform) -> Self {
        Self::try_start(disk.config(platform)).expect("starts")
    }

    pub(crate) fn try_start(config: Config) -> Result<Self, StartError> {
        Self::run(async |shutdown| Application::start(config, shutdown).await)
    }

    pub(crate) fn with_authorizer(authorizer: impl Authorizer + Sync + 'static, config: Config) -> Self {
        Self::run(async |shutdown| Application::with_authorizer(authorizer).start(config, shutdown).await)
            .expect("starts")
    }

    fn run(start: impl AsyncFnOnce(Shutdown) -> Result<Handle, StartError>) -> Result<Self, StartError> {
        let runtime = Runtime::new().expect("a runtime");
        let shutdown = Shutdown::manual();
        let handle = runtime.block_on(start(shutdown.clone()))?;
        let url = format!("http://{}", handle.address());
        let token = std::fs::read_to_string(handle.token_file()).expect("a token");
        Ok(Self { runtime: Some(runtime), handle: Some(handle), shutdown, url, token })
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it runs until it is killed")
    }

    /// Ends it in good order.
    pub(crate) fn end(mut self) {
        self.shutdown.request();
        let handle = self.handle.take().expect("it runs");
        self.runtime().block_on(handle.ended()).expect("ends well");
    }

    /// Status and body of the answer.
    pub(crate) fn call_with(
        &self,
        token: &str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.runtime().block_on(async {
            let mut call = reqwest::Client::new().request(method, format!("{}{path}", self.url)).bearer_auth(token);
            if let Some(body) = body {
                call = call.json(&body);
            }
            let answer = call.send().await.expect("it answers");
            let (status, body) = (answer.status(), answer.bytes().await.expect("a body"));
            (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
        })
    }

    pub(crate) fn call(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.call_with(&self.token, method, path, body)
    }

    pub(crate) fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None);
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    /// The answer, once it is so.
    pub(crate) fn get_until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let (_, body) = self.call(Method::GET, path, None);
            if is_so(&body) {
                return body;
            }
            assert!(begun.elapsed() < PATIENCE, "{path}: {body}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The ids of a group's members.
    pub(crate) fn members(&self, group: &str) -> Vec<String> {
        let (_, body) = self.call(Method::GET, &format!("/v1/groups/{group}"), None);
        let items = body["items"].as_array().cloned().unwrap_or_default();
        items.iter().map(|item| item["peripheral"].as_str().expect("an id").to_owned()).collect()
    }
}

/// Killed: nothing of it runs on, nothing is tidied up.
impl Drop for Service {
    fn drop(&mut self) {
        // The handle's tasks end with the runtime.
        drop(self.handle.take());
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(PATIENCE);
        }
    }
}
