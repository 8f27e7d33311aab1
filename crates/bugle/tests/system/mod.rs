//! All four parts as processes of their own, to be killed and started again at will.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bugle_api::{EventQuery, PAGE_MAX, Submission};
use bugle_api::{
    GroupDetail, MemberQuery, NewGateway, NewToken, PageQuery, Request, RequestMember, RequestState, Scope,
};
use bugle_client::Client;
use bugle_core::{ApplicationId, Event, GatewayId, GroupId, Report, RequestId};
use bugle_load::mqtt::{Behaviour, Peripheral};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) mod authority;
pub(crate) mod small_disk;

pub(crate) use authority::Authority;

/// How long anything may take that takes no time at all.
pub(crate) const SOON: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Waits until `what` comes to something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    until_within(SOON, what, &mut look).await
}

pub(crate) async fn until_within<T>(patience: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < patience, "waited {patience:?} for {what}");
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// One part, as a process.
pub(crate) struct Part {
    program: PathBuf,
    name: &'static str,
    config: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Part {
    fn new(program: &Path, name: &'static str, folder: &Path, file: &str, config: &str) -> Self {
        let config_path = folder.join(format!("{file}.toml"));
        fs::write(&config_path, config).expect("the configuration is written");
        Self {
            program: program.to_owned(),
            name,
            config: config_path,
            log: folder.join(format!("{file}.log")),
            process: None,
        }
    }

    pub(crate) fn start(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).expect("the log is opened");
        let process = Command::new(&self.program)
            .arg(self.name)
            .arg("--config")
            .arg(&self.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the part starts");
        self.process = Some(process);
    }

    /// `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is killed");
            process.wait().expect("it has ended");
        }
    }

    pub(crate) fn restart(&mut self) {
        self.kill();
        self.start();
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Tells it to end in good order, as the system's service manager does.
    pub(crate) fn terminate(&self) {
        let told = Command::new("kill").args(["-TERM", &self.process_id().to_string()]).status();
        assert!(told.expect("kill is there").success());
    }

    /// Whether it was started, and has ended without being told to.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| process.try_wait().expect("its state is known").is_some())
    }

    /// Waits for the process to end by itself; whether it ended well.
    pub(crate) async fn ended(&mut self) -> bool {
        let mut process = self.process.take().expect("it runs");
        until("the process to end", async || process.try_wait().expect("its state is known")).await.success()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- {} ---\n{}", self.log.display(), lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}

/// One gateway: its process, and where it is.
pub(crate) struct GatewayPart {
    pub(crate) part: Part,
    pub(crate) mqtt: u16,
    /// LwM2M over plain CoAP, and over DTLS.
    pub(crate) coap: u16,
    pub(crate) coaps: u16,
    pub(crate) http: u16,
    pub(crate) allocations: PathBuf,
}

/// More settings of a gateway, each a line with its end.
#[derive(Default)]
pub(crate) struct More<'a> {
    /// Of MQTT.
    pub(crate) mqtt: &'a str,
    /// Of registering.
    pub(crate) registration: &'a str,
    /// Sections of their own.
    pub(crate) sections: &'a str,
}

pub(crate) struct System {
    pub(crate) platform: Part,
    pub(crate) application: Part,
    pub(crate) gateways: BTreeMap<&'static str, GatewayPart>,
    pub(crate) client: Client,
    pub(crate) url: String,
    /// Where gateways dial in.
    pub(crate) link: SocketAddr,
    pub(crate) application_url: String,
    /// Who has certified the gateways, and whose certificates they trust.
    pub(crate) authority: Authority,
    pub(crate) folder: TempDir,
}

pub(crate) fn app() -> ApplicationId {
    "metering".parse().expect("an application id")
}

pub(crate) fn group(text: &str) -> GroupId {
    text.parse().expect("a group id")
}

/// Ports that the system gives out to nobody by itself.
const PORTS: Range<u16> = 20_000..32_000;
/// How far apart processes begin to take them.
const PORTS_PER_PROCESS: u32 = 40;

/// Where a port is held while it is ours: nobody listens there for anything else.
const HELD_AT: Ipv4Addr = Ipv4Addr::new(127, 77, 0, 1);

/// A port that nobody listens on, for datagrams neither, and that no other test is given while this process lives:
/// tests run at the same time, each begins to listen a little later, and parts that are killed come back to theirs.
pub(crate) fn free_port() -> u16 {
    static TRIED: AtomicU32 = AtomicU32::new(0);
    static HELD: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    loop {
        let place = process::id().wrapping_mul(PORTS_PER_PROCESS).wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + (place % PORTS.len() as u32) as u16;
        let Ok(held) = TcpListener::bind((HELD_AT, port)) else { continue };
        let address = (Ipv4Addr::LOCALHOST, port);
        if TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok() {
            HELD.lock().expect("nobody fails with it").push(held);
            return port;
        }
    }
}

const POLICY: &str = r#"
[[rule]]
peripherals = ["*"]
groups = ["*"]
gateways = ["*"]
evidence = "none"
approval = "automatic"
lease = 3600
"#;

impl System {
    /// Starts a platform, an application that says yes to everybody, and gateways with these files of
    /// allocations.
    pub(crate) async fn start(gateways: &[(&'static str, String)]) -> Self {
        Self::start_from(Path::new(env!("CARGO_BIN_EXE_bugle")), gateways).await
    }

    /// The same, from this program.
    pub(crate) async fn start_from(program: &Path, gateways: &[(&'static str, String)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path();
        let (http, link, application_http) = (free_port(), free_port(), free_port());
        let url = format!("http://127.0.0.1:{http}");
        let data = |name: &str| path.join(name).display().to_string();
        let mut platform = Part::new(
            program,
            "platform",
            path,
            "platform",
            &format!(
                "data_folder = {:?}\nhttp_listen = \"127.0.0.1:{http}\"\nlink_listen = \"127.0.0.1:{link}\"\n",
                data("platform")
            ),
        );
        platform.start();
        let client = Self::operator(&url, &path.join("platform/operator.token")).await;
        client.add_application(&app()).await.expect("the application is added");
        let token = NewToken {
            name: "application".into(),
            scopes: [Scope::EventsRead, Scope::RegistrationsDecide].into(),
            application: Some(app()),
            expires_in_seconds: None,
        };
        let token = client.issue_token(&token).await.expect("a token is issued").secret;
        fs::write(path.join("application.token"), token).expect("the token is written");
        fs::write(path.join("policy.toml"), POLICY).expect("the policy is written");
        let mut application = Part::new(
            program,
            "application",
            path,
            "application",
            &format!(
                "id = \"metering\"\ndata_folder = {:?}\npolicy = {:?}\nhttp_listen = \"127.0.0.1:{application_http}\"\n\
                 [platform]\nurl = {url:?}\ntoken_file = {:?}\n",
                data("application"),
                data("policy.toml"),
                data("application.token"),
            ),
        );
        application.start();
        let mut system = Self {
            platform,
            application,
            gateways: BTreeMap::new(),
            client,
            url,
            link: SocketAddr::from((Ipv4Addr::LOCALHOST, link)),
            application_url: format!("http://127.0.0.1:{application_http}"),
            authority: Authority::new(folder.path()),
            folder,
        };
        for (id, allocations) in gateways {
            system.add_gateway(id, allocations).await;
        }
        system.linked().await;
        system
    }

    /// Has gateways that enrol from now on dial in by another address.
    pub(crate) async fn link_through(&mut self, address: SocketAddr) {
        let known = fs::read_to_string(&self.platform.config).expect("the configuration is there");
        let others = known.lines().filter(|line| !line.starts_with("link_address"));
        let lines: Vec<String> = others.map(str::to_owned).chain([format!("link_address = \"{address}\"\n")]).collect();
        fs::write(&self.platform.config, lines.join("\n")).expect("the configuration is written");
        self.platform.restart();
        until("the platform", async || self.client.ready().await.ok()).await;
    }

    async fn operator(url: &str, token: &Path) -> Client {
        let token = until("the operator's token", async || fs::read_to_string(token).ok()).await;
        let client = Client::new(url, token.trim()).expect("the address is one");
        until("the platform", async || client.ready().await.ok()).await;
        client
    }

    pub(crate) async fn add_gateway(&mut self, id: &'static str, allocations: &str) {
        self.add_gateway_with(id, allocations, More::default()).await;
    }

    /// With more settings.
    pub(crate) async fn add_gateway_with(&mut self, id: &'static str, allocations: &str, more: More<'_>) {
        let More { mqtt: more_mqtt, registration: more_registration, sections } = more;
        let new = NewGateway { id: id.parse().expect("a gateway id"), expires_in_seconds: None };
        let token = self.client.add_gateway(&new).await.expect("the gateway is added").token;
        let path = self.folder.path();
        let file = path.join(format!("{id}-allocations.toml"));
        fs::write(&file, allocations).expect("the allocations are written");
        let (mqtt, http) = (free_port(), free_port());
        let (coap, coaps) = (free_port(), free_port());
        let certified = self.authority.certify(id);
        let config = format!(
            "id = \"{id}\"\ndata_folder = {:?}\nallocations = {file:?}\nhttp_listen = \"127.0.0.1:{http}\"\n\
             [platform]\nurl = {:?}\nenrollment_token = {token:?}\n[mqtt]\nlisten = \"127.0.0.1:{mqtt}\"\n\
             {more_mqtt}[lwm2m]\nlisten = \"127.0.0.1:{coap}\"\ndtls_listen = \"127.0.0.1:{coaps}\"\n\
             dtls = {{ certificate = {:?}, key = {:?}, client_ca = {:?} }}\n\
             [registration]\nanswer_seconds = 5\n{more_registration}\
             [pacing]\nmembers_per_second = 0\nmembers_in_flight = 0\nactivations_per_minute = 0\n{sections}",
            path.join(format!("{id}-data")),
            self.url,
            certified.certificate,
            certified.key,
            self.authority.certificate,
        );
        let mut part = Part::new(&self.platform.program, "gateway", path, id, &config);
        part.start();
        self.gateways.insert(id, GatewayPart { part, mqtt, coap, coaps, http, allocations: file });
    }

    /// Waits until all gateways are linked and their allocations known to the platform.
    pub(crate) async fn linked(&self) {
        for (id, gateway) in &self.gateways {
            until(&format!("gateway {id} to be ready"), async || {
                let url = format!("http://127.0.0.1:{}/readyz", gateway.http);
                reqwest::get(url).await.ok().filter(|answer| answer.status().is_success())
            })
            .await;
        }
    }

    pub(crate) fn gateway(&mut self, id: &str) -> &mut GatewayPart {
        self.gateways.get_mut(id).expect("there is such a gateway")
    }

    /// Has the application decide by another policy, and waits until it does.
    pub(crate) async fn decide_by(&self, policy: &str) {
        fs::write(self.folder.path().join("policy.toml"), policy).expect("the policy is written");
        until("the application to read its policy", async || {
            self.application.log().contains("the policy was read anew").then_some(())
        })
        .await;
    }

    pub(crate) async fn group(&self, id: &str) -> GroupDetail {
        until(&format!("group {id}"), async || self.client.group(&app(), &group(id)).await.ok()).await
    }

    /// Waits until so many members of a group are registered.
    pub(crate) async fn members(&self, id: &str, count: u64) {
        until(&format!("{count} members of {id}"), async || {
            (self.group(id).await.group.members == count).then_some(())
        })
        .await;
    }

    /// What the application's own group configuration says: each member's state.
    pub(crate) async fn configuration(&self, id: &str) -> BTreeMap<String, String> {
        // The application has made it once it has started.
        let token = fs::read_to_string(self.folder.path().join("application/application.token"));
        let Ok(token) = token else { return BTreeMap::new() };
        let url = format!("{}/v1/groups/{id}?limit=1000", self.application_url);
        let answer = reqwest::Client::new().get(url).bearer_auth(token.trim()).send().await;
        let Ok(answer) = answer else { return BTreeMap::new() };
        let json: Value = answer.json().await.unwrap_or_default();
        let member = |member: &Value| {
            let text = |name: &str| member[name].as_str().map(str::to_owned);
            Some((text("peripheral")?, text("state")?))
        };
        json["items"].as_array().into_iter().flatten().filter_map(member).collect()
    }

    /// Waits until the application's group configuration shows a member in this state, or, if none is
    /// given, not at all.
    pub(crate) async fn configured(&self, id: &str, peripheral: &str, state: Option<&str>) {
        until(&format!("{peripheral} to be {state:?} in the configuration of {id}"), async || {
            let members = self.configuration(id).await;
            (members.get(peripheral).map(String::as_str) == state).then_some(())
        })
        .await;
    }

    pub(crate) async fn submit(&self, id: &str, submission: Value) -> RequestId {
        let submission: Submission = serde_json::from_value(submission).expect("a submission");
        let request = self.client.submit(&app(), &group(id), &submission, None).await;
        request.expect("the request is accepted").id
    }

    pub(crate) async fn request(&self, request: RequestId) -> Option<Request> {
        self.client.request(&app(), request).await.ok()
    }

    pub(crate) async fn completed(&self, request: RequestId) -> Request {
        until_within(Duration::from_secs(90), &format!("request {request} to complete"), async || {
            self.request(request).await.filter(|known| known.state == RequestState::Complete)
        })
        .await
    }

    /// Every member of a request, with its outcome if it has one.
    pub(crate) async fn outcomes(&self, request: RequestId) -> Vec<RequestMember> {
        let mut members = Vec::new();
        let mut cursor = None;
        loop {
            let query = MemberQuery { outcome: None, stage: None, cursor, limit: Some(PAGE_MAX) };
            let page = self.client.request_members(&app(), request, &query).await.expect("the members are listed");
            members.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return members;
            }
        }
    }

    /// The one outcome of a request with a single member, in a word.
    pub(crate) async fn outcome(&self, request: RequestId) -> RequestMember {
        self.completed(request).await;
        let mut members = self.outcomes(request).await;
        assert_eq!(members.len(), 1, "{members:?}");
        members.remove(0)
    }

    pub(crate) async fn strangers(&self) -> Vec<String> {
        let page = self.client.strangers(&PageQuery::default()).await.expect("the strangers are listed");
        page.items.into_iter().map(|stranger| stranger.peripheral.to_string()).collect()
    }

    /// Waits for so many reports of this name to have reached the application; all there are.
    pub(crate) async fn reports(&self, name: &str, count: usize) -> Vec<Report> {
        until(&format!("{count} reports {name}"), async || {
            let query = EventQuery { after: Some(0), kinds: None, limit: Some(PAGE_MAX) };
            let events = self.client.events(&app(), &query).await.ok()?.items.into_iter();
            let reports = events.filter_map(|event| match event.event {
                Event::Report { report, .. } if report.name == name => Some(report),
                _ => None,
            });
            Some(reports.collect()).filter(|reports: &Vec<_>| reports.len() >= count)
        })
        .await
    }

    pub(crate) async fn gateway_is_connected(&self, id: &str) -> bool {
        let id: GatewayId = id.parse().expect("a gateway id");
        let page = self.client.gateways(&PageQuery::default()).await.expect("the gateways are listed");
        page.items.iter().any(|gateway| gateway.id == id && gateway.is_connected)
    }
}

/// A file of allocations for these peripherals, all in one group.
pub(crate) fn allocations(group: &str, peripherals: impl Iterator<Item = String>) -> String {
    let mut file = format!("[defaults]\napplication = \"metering\"\ngroups = [{group:?}]\n");
    for peripheral in peripherals {
        file += &format!("\n[[peripheral]]\nid = {peripheral:?}\n");
    }
    file
}

/// Simulated peripherals that connect at this port and all behave alike.
pub(crate) fn fleet(port: u16, ids: impl Iterator<Item = String>, behaviour: &Arc<Behaviour>) -> Vec<Peripheral> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let one = |id: String| Peripheral {
        id: id.parse().expect("a peripheral id"),
        server,
        credentials: None,
        behaviour: Arc::clone(behaviour),
    };
    ids.map(one).collect()
}

/// So many names.
pub(crate) fn ids(prefix: &'static str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}-{number}"))
}
