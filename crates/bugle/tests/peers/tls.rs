//! MQTT over TLS, with other people's clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use bugle_core::Outcome;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use super::mosquitto::{MQTT_5, MQTT_311, PASSWORD, Subscriber, Version, id_of, message, program, spawn};
use super::paho::paho_over_tls;
use super::system::{More, SOON, System, free_port, until};

/// A gateway with a TLS listener, and whom its clients are to trust.
struct Secured {
    system: System,
    tls: u16,
    authority: PathBuf,
}

/// An authority's certificate in a file; with `server`, also a certificate and key that it made for
/// this machine.
fn authority(folder: &Path, name: &str, server: Option<(&Path, &Path)>) -> PathBuf {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([]).expect("no names");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate").pem();
    let path = folder.join(format!("{name}.pem"));
    fs::write(&path, certificate).expect("written");
    if let Some((certificate, server_key)) = server {
        let issuer = Issuer::new(params, key);
        let own = KeyPair::generate().expect("a key");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let issued = CertificateParams::new(names).and_then(|params| params.signed_by(&own, &issuer));
        fs::write(certificate, issued.expect("a certificate").pem()).expect("written");
        fs::write(server_key, own.serialize_pem()).expect("written");
    }
    path
}

async fn secured() -> Secured {
    let mut system = System::start(&[]).await;
    let folder = system.folder.path().to_owned();
    let (certificate, key) = (folder.join("north.pem"), folder.join("north.key"));
    let authority = authority(&folder, "authority", Some((&certificate, &key)));
    let tls = free_port();
    let settings =
        format!("tls_listen = \"127.0.0.1:{tls}\"\n[mqtt.tls]\ncertificate = {certificate:?}\nkey = {key:?}\n");
    let mut allocations = "[defaults]\napplication = \"metering\"\ngroups = [\"meters\"]\n".to_owned();
    for id in ["meter-1", "meter-2"] {
        allocations += &format!("[[peripheral]]\nid = \"{id}\"\npassword = \"{PASSWORD}\"\n");
    }
    allocations += "[[peripheral]]\nid = \"one\"\ngroups = [\"sensors\"]\n";
    let more = More { mqtt: &settings, ..More::default() };
    system.add_gateway_with("north", &allocations, more).await;
    system.linked().await;
    Secured { system, tls, authority }
}

impl Secured {
    fn program(&self, name: &str, version: Version, id: &str, authority: &Path) -> Command {
        let mut command = program(name, version, self.tls, id, PASSWORD);
        command.arg("--cafile").arg(authority);
        command
    }

    fn subscriber(&self, version: Version, id: &str) -> Subscriber {
        let mut command = self.program("mosquitto_sub", version, id, &self.authority);
        command.args(["-C", "1", "-t", &format!("bugle/{id}/requests")]);
        Subscriber::of(command)
    }

    /// How many connections the gateway holds, as it says itself.
    async fn connections(&self) -> Option<u64> {
        let url = format!("http://127.0.0.1:{}/v1/status", self.system.gateways["north"].http);
        let status: Value = reqwest::get(url).await.ok()?.json().await.ok()?;
        status["connections"].as_u64()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_registers_is_asked_and_answers_over_tls() {
    let secured = secured().await;
    for (version, id) in [(MQTT_311, "meter-1"), (MQTT_5, "meter-2")] {
        let subscriber = secured.subscriber(version, id);
        secured.system.configured("meters", id, Some("active")).await;
        let sent = secured.system.submit("meters", message("well?", "executed")).await;
        assert_eq!(id_of(&subscriber.request()), sent);
        assert!(subscriber.wait().success());
        let mut answer = secured.program("mosquitto_pub", version, id, &secured.authority);
        answer.args(["-t", &format!("bugle/{id}/responses/{sent}"), "-m", "fine"]);
        assert!(spawn(answer).wait_with_output().expect("it has ended").status.success());
        let Some(Outcome::Executed { answer }) = secured.system.outcome(sent).await.outcome else {
            panic!("it was answered")
        };
        assert_eq!(answer.as_text(), Some("fine"));
        let mut leave = secured.program("mosquitto_pub", version, id, &secured.authority);
        leave.args(["-t", &format!("bugle/{id}/deregister"), "-m", "now"]);
        assert!(spawn(leave).wait_with_output().expect("it has ended").status.success());
        secured.system.configured("meters", id, None).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn paho_registers_is_asked_and_answers_over_tls() {
    let secured = secured().await;
    let paho = paho_over_tls(secured.tls, "one", "answer", &secured.authority);
    assert_eq!(paho.next("connected")["code"], 0);
    paho.next("subscribed");
    secured.system.configured("sensors", "one", Some("active")).await;
    let read =
        json!({"operation": {"do": "read", "path": "/3303/0/5700"}, "receipt": "executed", "deadline_seconds": 60});
    let sent = secured.system.submit("sensors", read).await;
    assert_eq!(paho.next("request")["correlation"], sent.to_string());
    assert_eq!(paho.next("published")["code"], 0);
    assert!(matches!(secured.system.outcome(sent).await.outcome, Some(Outcome::Executed { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_trusts_another_authority_does_not_connect() {
    let secured = secured().await;
    let other = authority(secured.system.folder.path(), "other", None);
    let mut command = secured.program("mosquitto_pub", MQTT_5, "meter-1", &other);
    command.args(["-t", "bugle/meter-1/reports/x", "-m", "1"]);
    let output = spawn(command).wait_with_output().expect("it has ended");
    assert!(!output.status.success(), "{output:?}");
    assert!(secured.system.configuration("meters").await.is_empty());
    until("the connection to be gone", async || (secured.connections().await? == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_speak_no_tls_harm_nobody() {
    let secured = secured().await;
    let subscriber = secured.subscriber(MQTT_5, "meter-1");
    secured.system.configured("meters", "meter-1", Some("active")).await;

    // A stock client without TLS, rubbish, half a handshake, and one that says nothing.
    let mut plain = program("mosquitto_pub", MQTT_5, secured.tls, "meter-2", PASSWORD);
    plain.args(["-t", "bugle/meter-2/reports/x", "-m", "1"]);
    assert!(!spawn(plain).wait_with_output().expect("it has ended").status.success());
    let rubbish: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", &[0x16, 0x03, 0x01, 0xff, 0xff], &[0xff; 4096]];
    for bytes in rubbish {
        let mut stream = TcpStream::connect(("127.0.0.1", secured.tls)).expect("it listens");
        stream.set_read_timeout(Some(SOON)).expect("it has time");
        // It may be closed while it is still being written to.
        let _ = stream.write_all(bytes);
        let mut answer = Vec::new();
        let ended = stream.read_to_end(&mut answer);
        assert!(ended.is_ok() || ended.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    let silent = TcpStream::connect(("127.0.0.1", secured.tls)).expect("it listens");
    drop(silent);

    until("only the member to be left", async || (secured.connections().await? == 1).then_some(())).await;
    let sent = secured.system.submit("meters", message("still there?", "delivered")).await;
    assert_eq!(id_of(&subscriber.request()), sent);
    assert_eq!(secured.system.outcome(sent).await.outcome, Some(Outcome::Delivered));
    assert!(subscriber.wait().success());
}

/// A gateway whose TLS listener wants certificates of the system's authority, and an application that wants to see them.
async fn certifying() -> (System, u16) {
    let mut system = System::start(&[]).await;
    let certified = system.authority.certify("north-mqtt");
    let tls = free_port();
    let settings = format!(
        "tls_listen = \"127.0.0.1:{tls}\"\n[mqtt.tls]\ncertificate = {:?}\nkey = {:?}\nclient_ca = {:?}\n",
        certified.certificate, certified.key, system.authority.certificate
    );
    let allocations = format!(
        "[defaults]\napplication = \"metering\"\ngroups = [\"meters\"]\n\
         [[peripheral]]\nid = \"meter-1\"\ncertificate = \"meter-1\"\n\
         [[peripheral]]\nid = \"meter-2\"\ncertificate = \"the second meter\"\n\
         [[peripheral]]\nid = \"meter-3\"\npassword = \"{PASSWORD}\"\n"
    );
    system.add_gateway_with("north", &allocations, More { mqtt: &settings, ..More::default() }).await;
    system.linked().await;
    fs::copy(&system.authority.certificate, system.folder.path().join("meters-ca.pem")).expect("it is copied");
    system
        .decide_by(
            "[[rule]]\nperipherals = [\"meter-3\"]\ngroups = \"all\"\nevidence = \"attested\"\nlease = 3600\n\
             [[rule]]\nperipherals = \"all\"\ngroups = \"all\"\nevidence = \"certificate\"\nlease = 3600\n\
             [certificates]\nauthorities = [\"meters-ca.pem\"]\n",
        )
        .await;
    (system, tls)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_shows_over_tls_who_a_peripheral_is() {
    let (system, tls) = certifying().await;
    let command = |name, version, id: &str, shown: &str| {
        let own = system.authority.certify(shown);
        let mut command = program(name, version, tls, id, PASSWORD);
        command.arg("--cafile").arg(&system.authority.certificate).arg("--cert").arg(own.certificate);
        command.arg("--key").arg(own.key);
        command
    };
    let refused = |mut command: Command| {
        command.args(["-t", "bugle/meter/reports/x", "-m", "1"]);
        let output = spawn(command).wait_with_output().expect("it has ended");
        assert!(!output.status.success(), "{output:?}");
    };
    for version in [MQTT_311, MQTT_5] {
        refused(command("mosquitto_pub", version, "meter-1", "meter-2"));
        // The gateway knows by its allocation whose the name is; the application does not take its word.
        refused(command("mosquitto_pub", version, "meter-2", "the second meter"));
        // Without TLS nobody shows a certificate.
        refused(program("mosquitto_pub", version, system.gateways["north"].mqtt, "meter-1", PASSWORD));
    }
    assert!(system.configuration("meters").await.is_empty());

    for (version, id, shown) in [(MQTT_311, "meter-1", "meter-1"), (MQTT_5, "meter-3", "any of the meters")] {
        let mut subscribing = command("mosquitto_sub", version, id, shown);
        subscribing.args(["-C", "1", "-t", &format!("bugle/{id}/requests")]);
        let subscriber = Subscriber::of(subscribing);
        system.configured("meters", id, Some("active")).await;
        let sent = system.submit("meters", message("well?", "delivered")).await;
        assert_eq!(id_of(&subscriber.request()), sent);
        assert!(subscriber.wait().success());
        let mut leave = command("mosquitto_pub", version, id, shown);
        leave.args(["-t", &format!("bugle/{id}/deregister"), "-m", "now"]);
        assert!(spawn(leave).wait_with_output().expect("it has ended").status.success());
        system.configured("meters", id, None).await;
    }
}
