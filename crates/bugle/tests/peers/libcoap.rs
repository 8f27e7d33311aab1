//! libcoap's `coap-client` as the only peripheral, by hand: plain, and with OpenSSL and GnuTLS under it.
//!
//! Each call is a process of its own, so each comes from another port, and under DTLS with another session.

use std::process::{Command, Stdio};

use super::system::authority::Certified;
use super::system::{Authority, System, until};

const OBJECTS: &str = r#"</>;rt="oma.lwm2m";ct="60 110 112",</1/0>,</3/0>,</5/0>"#;
const KEY: &str = "a-key-of-16-byte";

/// A build of `coap-client`.
#[derive(Clone, Copy, Debug)]
enum Build {
    Plain,
    OpenSsl,
    GnuTls,
}

impl Build {
    const fn program(self) -> &'static str {
        match self {
            Self::Plain => "coap-client-notls",
            Self::OpenSsl => "coap-client-openssl",
            Self::GnuTls => "coap-client-gnutls",
        }
    }
}

/// `coap-client`, and how it shows who it is.
struct CoapClient {
    program: &'static str,
    server: String,
    shows: Vec<String>,
}

/// What came back.
#[derive(Debug)]
struct Answer {
    /// None if no response came.
    code: Option<String>,
    /// The path that it names, as `rd/…`.
    location: String,
    all: String,
}

impl CoapClient {
    fn plain(system: &System) -> Self {
        let server = format!("coap://127.0.0.1:{}", system.gateways["north"].coap);
        Self { program: Build::Plain.program(), server, shows: Vec::new() }
    }

    fn secured(system: &System, build: Build, shows: &[&str]) -> Self {
        let server = format!("coaps://127.0.0.1:{}", system.gateways["north"].coaps);
        Self { program: build.program(), server, shows: shows.iter().map(|text| (*text).to_owned()).collect() }
    }

    fn with_key(system: &System, build: Build, identity: &str, key: &str) -> Self {
        Self::secured(system, build, &["-u", identity, "-k", key])
    }

    fn post(&self, path: &str, payload: Option<&str>) -> Answer {
        let payload = payload.map(|payload| ["-t", "40", "-e", payload]);
        self.run("post", path, payload.as_ref().map_or(&[], |arguments| arguments))
    }

    fn register(&self, query: &str) -> Answer {
        self.post(&format!("rd?{query}"), Some(OBJECTS))
    }

    fn delete(&self, path: &str) -> Answer {
        self.run("delete", path, &[])
    }

    /// Waits up to 10 seconds for the response, and shows every message.
    fn run(&self, method: &str, path: &str, arguments: &[&str]) -> Answer {
        let output = Command::new(self.program)
            .args(["-v", "7", "-B", "10", "-m", method])
            .args(&self.shows)
            .args(arguments)
            .arg(format!("{}/{path}", self.server))
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; `cargo xtask test` installs libcoap3-bin", self.program));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Answer::read(text(&output.stdout) + &text(&output.stderr))
    }
}

impl Answer {
    /// A response is shown as `v:1 t:ACK c:2.01 i:8e1c {01} [ Location-Path:rd, Location-Path:0-1234 ]`.
    fn read(all: String) -> Self {
        let field = |line: &str, name: &str| {
            line.split([' ', ',', ']']).find_map(|word| word.strip_prefix(name)).map(str::to_owned)
        };
        let is_response = |code: &String| code.starts_with(['2', '4', '5']);
        let response = all
            .lines()
            .filter(|line| line.starts_with("v:1 "))
            .find_map(|line| field(line, "c:").filter(is_response).map(|code| (code, line)));
        let location = response.as_ref().map_or_else(String::new, |(_, line)| {
            let parts: Vec<&str> =
                line.split([' ', ',', ']']).filter_map(|word| word.strip_prefix("Location-Path:")).collect();
            parts.join("/")
        });
        Self { code: response.map(|(code, _)| code), location, all }
    }

    #[track_caller]
    fn is(&self, code: &str) {
        assert_eq!(self.code.as_deref(), Some(code), "{}", self.all);
    }

    /// The application has refused, and says why.
    #[track_caller]
    fn is_refused_because(&self, reason: &str) {
        self.is("4.03");
        assert!(self.all.contains(reason), "{}", self.all);
    }

    /// The handshake has ended with an alert, and nothing was answered.
    #[track_caller]
    fn is_alert(&self) {
        assert_eq!(self.code, None, "{}", self.all);
        assert!(self.all.to_lowercase().contains("alert"), "{}", self.all);
    }
}

fn allocations() -> String {
    let key: String = KEY.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[defaults]\napplication = \"metering\"\ngroups = [\"valves\"]\n\
         [[peripheral]]\nid = \"plain\"\n\
         [[peripheral]]\nid = \"sleeper\"\nidle = 4\n\
         [[peripheral]]\nid = \"keyed\"\npre_shared_key = \"{key}\"\n\
         [[peripheral]]\nid = \"other\"\npre_shared_key = \"{key}\"\n\
         [[peripheral]]\nid = \"aliased\"\npre_shared_key = \"{key}\"\nidentity = \"the alias\"\n\
         [[peripheral]]\nid = \"certified\"\ncertificate = \"certified\"\n\
         [[peripheral]]\nid = \"called-otherwise\"\ncertificate = \"the alias\"\n"
    )
}

async fn system() -> System {
    System::start(&[("north", allocations())]).await
}

/// Register, Update in all its forms, De-register.
async fn a_life(system: &System, client: &CoapClient, id: &str) {
    let registered = client.register(&format!("lwm2m=1.1&ep={id}&b=U&lt=300"));
    registered.is("2.01");
    assert!(registered.location.starts_with("rd/"), "{}", registered.all);
    system.configured("valves", id, Some("active")).await;

    client.post(&registered.location, None).is("2.04");
    client.post(&format!("{}?lt=600&b=U", registered.location), None).is("2.04");
    client.post(&registered.location, Some("</1/0>,</3/0>,</3303/0>")).is("2.04");
    client.post(&format!("{}?lt=never", registered.location), None).is("4.00");
    client.post("rd/0-00000000", None).is("4.04");
    system.configured("valves", id, Some("active")).await;

    // The same again is no new registration.
    let again = client.register(&format!("ep={id}&lt=300&lwm2m=1.1"));
    again.is("2.01");
    assert_eq!(again.location, registered.location);

    client.delete(&registered.location).is("2.02");
    system.configured("valves", id, None).await;
    client.post(&registered.location, None).is("4.04");
    client.delete(&registered.location).is("4.04");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_by_hand_over_plain_coap() {
    let system = system().await;
    a_life(&system, &CoapClient::plain(&system), "plain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_by_hand_under_dtls_with_a_key() {
    let system = system().await;
    for build in [Build::OpenSsl, Build::GnuTls] {
        a_life(&system, &CoapClient::with_key(&system, build, "keyed", KEY), "keyed").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_life_by_hand_under_dtls_with_a_certificate() {
    let system = system().await;
    let own = system.authority.certify("certified");
    let files = [&own.certificate, &own.key, &system.authority.certificate].map(|path| path.display().to_string());
    let [certificate, key, authority] = &files;
    for build in [Build::OpenSsl, Build::GnuTls] {
        let client = CoapClient::secured(&system, build, &["-c", certificate, "-j", key, "-C", authority]);
        a_life(&system, &client, "certified").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn under_dtls_the_name_may_be_left_to_what_the_handshake_shows() {
    let system = system().await;
    let own = system.authority.certify("certified");
    let files = [&own.certificate, &own.key, &system.authority.certificate].map(|path| path.display().to_string());
    let [certificate, key, authority] = &files;
    let clients = [
        ("keyed", CoapClient::with_key(&system, Build::OpenSsl, "keyed", KEY)),
        ("aliased", CoapClient::with_key(&system, Build::OpenSsl, "the alias", KEY)),
        ("certified", CoapClient::secured(&system, Build::GnuTls, &["-c", certificate, "-j", key, "-C", authority])),
    ];
    for (id, client) in clients {
        client.register("lwm2m=1.1&lt=300").is("2.01");
        system.configured("valves", id, Some("active")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_wrong_key_or_certificate_comes_to_no_session() {
    let system = system().await;
    let strangers = tempfile::TempDir::new().expect("a folder");
    let own = Authority::new(strangers.path()).certify("certified");
    let files = [&own.certificate, &own.key, &system.authority.certificate].map(|path| path.display().to_string());
    let [certificate, key, authority] = &files;
    for build in [Build::OpenSsl, Build::GnuTls] {
        let wrong_key = CoapClient::with_key(&system, build, "keyed", "another-key-here");
        wrong_key.register("lwm2m=1.1&ep=keyed&lt=300").is_alert();
        let unknown = CoapClient::with_key(&system, build, "nobody", KEY);
        unknown.register("lwm2m=1.1&ep=nobody&lt=300").is_alert();
        // Certified by somebody else.
        let stranger = CoapClient::secured(&system, build, &["-c", certificate, "-j", key, "-C", authority]);
        stranger.register("lwm2m=1.1&ep=certified&lt=300").is_alert();
    }
    assert!(system.configuration("valves").await.is_empty());
}

/// The gateway trusts two authorities, the application one of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_application_checks_the_certificate_by_authorities_of_its_own() {
    let mut system = System::start(&[]).await;
    let others = tempfile::TempDir::new().expect("a folder");
    let other = Authority::new(others.path());
    let authorities = system.folder.path().join("meters-ca.pem");
    std::fs::copy(&system.authority.certificate, &authorities).expect("the authority is copied");
    system.authority.join(&other);
    system.add_gateway("north", &allocations()).await;
    system.linked().await;
    system
        .decide_by(
            "[[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"certificate\"\nlease = 3600\n\
             [certificates]\nauthorities = [\"meters-ca.pem\"]\n",
        )
        .await;
    let client = |own: &Certified| {
        let files = [&own.certificate, &own.key, &authorities].map(|path| path.display().to_string());
        let [certificate, key, authority] = &files;
        CoapClient::secured(&system, Build::OpenSsl, &["-c", certificate, "-j", key, "-C", authority])
    };
    let (trusted, untrusted) = (system.authority.certify("certified"), other.certify("certified"));
    let alias = system.authority.certify("the alias");
    let register = |own: &Certified, id: &str| client(own).register(&format!("lwm2m=1.1&ep={id}&b=U&lt=300"));

    // The gateway lets it in, the application does not.
    register(&untrusted, "certified").is_refused_because("the certificate is from no authority that is trusted");
    // The gateway knows by its allocation whose the name is; the application does not take its word.
    register(&alias, "called-otherwise").is_refused_because("the certificate is of another");
    // A key is no certificate.
    let keyed = CoapClient::with_key(&system, Build::OpenSsl, "keyed", KEY).register("lwm2m=1.1&ep=keyed&lt=300");
    keyed.is_refused_because("the peripheral showed no certificate");
    assert!(system.configuration("valves").await.is_empty());

    register(&trusted, "certified").is("2.01");
    system.configured("valves", "certified", Some("active")).await;
    // The lease is for who has shown just this certificate.
    register(&untrusted, "certified").is_refused_because("the certificate is from no authority that is trusted");
    register(&trusted, "certified").is("2.01");
    system.configured("valves", "certified", Some("active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_registers_as_another() {
    let system = system().await;
    let own = system.authority.certify("certified");
    let files = [&own.certificate, &own.key, &system.authority.certificate].map(|path| path.display().to_string());
    let [certificate, key, authority] = &files;
    for build in [Build::OpenSsl, Build::GnuTls] {
        let keyed = CoapClient::with_key(&system, build, "other", KEY);
        for id in ["keyed", "certified", "plain"] {
            keyed.register(&format!("lwm2m=1.1&ep={id}&lt=300")).is("4.03");
        }
        let certified = CoapClient::secured(&system, build, &["-c", certificate, "-j", key, "-C", authority]);
        certified.register("lwm2m=1.1&ep=keyed&lt=300").is("4.03");
    }
    // Without DTLS nobody shows a key at all.
    CoapClient::plain(&system).register("lwm2m=1.1&ep=keyed&lt=300").is("4.03");
    assert!(system.configuration("valves").await.is_empty());

    // What another has is not to be had by knowing where.
    let registered = CoapClient::with_key(&system, Build::OpenSsl, "keyed", KEY).register("ep=keyed&lwm2m=1.1");
    registered.is("2.01");
    for thief in [CoapClient::with_key(&system, Build::GnuTls, "other", KEY), CoapClient::plain(&system)] {
        thief.post(&registered.location, None).is("4.04");
        thief.delete(&registered.location).is("4.04");
    }
    system.configured("valves", "keyed", Some("active")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_registration_is_said_by_its_code() {
    let system = system().await;
    let client = CoapClient::plain(&system);
    client.register("lwm2m=1.1&ep=stranger&lt=300").is("4.03");
    until("the stranger to be reported", async || {
        system.strangers().await.contains(&"stranger".to_owned()).then_some(())
    })
    .await;
    client.register("lwm2m=1.1&lt=300").is("4.00");
    client.register("lwm2m=1.1&ep=plain&lt=soon").is("4.00");
    client.register("lwm2m=1.1&ep=plain&lt=1&lt=2").is("4.00");
    client.register("lwm2m=1.1&ep=plain&b=X").is("4.00");
    client.register("lwm2m=one&ep=plain").is("4.00");
    client.post("rd?lwm2m=1.1&ep=plain", Some("no links")).is("4.00");
    client.register("lwm2m=2.0&ep=plain").is("4.12");
    client.post("rdx?ep=plain", Some(OBJECTS)).is("4.04");
    client.run("get", "rd", &[]).is("4.05");
    assert!(system.configuration("valves").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_from_another_port_ends_standby() {
    let system = system().await;
    let client = CoapClient::plain(&system);
    let registered = client.register("lwm2m=1.1&ep=sleeper&lt=300&b=U&Q");
    registered.is("2.01");
    system.configured("valves", "sleeper", Some("standby")).await;
    client.post(&registered.location, None).is("2.04");
    system.configured("valves", "sleeper", Some("active")).await;
    client.delete(&registered.location).is("2.02");
    system.configured("valves", "sleeper", None).await;
}
