//! OpenSSL's command as the only peripheral, with CoAP put into it by hand: its session of DTLS outlives the gateway.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use bugle_coap::{Code, Message, MessageId, MessageType, Method, OptionNumber, Options, Token};
use bugle_core::OutcomeKind;
use serde_json::json;

use super::system::{SOON, System};

const KEY: &str = "61206b65792066726f6d206f70656e73";

/// `openssl s_client`: each record that comes goes to its standard output, and back.
struct SClient {
    process: Child,
    input: ChildStdin,
    heard: Receiver<Vec<u8>>,
}

impl SClient {
    fn connect(system: &System, identity: &str) -> Self {
        let server = format!("127.0.0.1:{}", system.gateways["north"].coaps);
        let mut process = Command::new("openssl")
            .args(["s_client", "-quiet", "-dtls1_2", "-connect", &server, "-psk_identity", identity, "-psk", KEY])
            .args(["-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("openssl: {error}; `cargo xtask test` installs it"));
        let mut output = process.stdout.take().expect("it is piped");
        let input = process.stdin.take().expect("it is piped");
        let (sender, heard) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4_096];
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { process, input, heard }
    }

    fn say(&mut self, message: &Message<'_>) {
        let mut datagram = Vec::new();
        message.encode_into(&mut datagram);
        self.input.write_all(&datagram).expect("it listens");
        self.input.flush().expect("it listens");
    }

    /// Posts something, and waits for the response: its code, and the path that it names.
    #[track_caller]
    fn post(&mut self, number: u16, path: &[&str], query: &[&str], payload: &str) -> (Code, Vec<String>) {
        let mut options = Options::new();
        for (number, texts) in [(OptionNumber::URI_PATH, path), (OptionNumber::URI_QUERY, query)] {
            texts.iter().for_each(|text| options.add(number, text.as_bytes()).expect("it is short"));
        }
        if !payload.is_empty() {
            options.add_uint(OptionNumber::CONTENT_FORMAT, 40).expect("it is short");
        }
        let token = Token::new(&[number as u8; 8]).expect("it has eight bytes");
        self.say(&Message {
            message_type: MessageType::Confirmable,
            code: Method::Post.code(),
            message_id: MessageId::new(number),
            token,
            options: options.view(),
            payload: payload.as_bytes(),
        });
        loop {
            let heard = self.hear();
            let message = Message::decode(&heard).expect("it is CoAP");
            self.acknowledge(&message, Code::EMPTY);
            if message.token == token {
                let path = message.options.texts(OptionNumber::LOCATION_PATH).map(str::to_owned).collect();
                return (message.code, path);
            }
        }
    }

    /// Answers the next request with 2.04.
    #[track_caller]
    fn obey(&mut self) {
        loop {
            let heard = self.hear();
            let message = Message::decode(&heard).expect("it is CoAP");
            if message.code.is_request() {
                return self.acknowledge(&message, Code::CHANGED);
            }
        }
    }

    fn acknowledge(&mut self, message: &Message<'_>, code: Code) {
        if message.message_type == MessageType::Confirmable {
            let token = if code == Code::EMPTY { Token::EMPTY } else { message.token };
            let empty = Message::empty(MessageType::Acknowledgement, message.message_id);
            self.say(&Message { code, token, ..empty });
        }
    }

    #[track_caller]
    fn hear(&self) -> Vec<u8> {
        self.heard.recv_timeout(SOON).expect("the gateway says something")
    }
}

impl Drop for SClient {
    fn drop(&mut self) {
        // It has ended already, perhaps.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_goes_on_when_the_gateway_was_killed_or_has_stopped() {
    let allocations = format!(
        "[defaults]\napplication = \"metering\"\ngroups = [\"valves\"]\n\
         [[peripheral]]\nid = \"valve\"\npre_shared_key = \"{KEY}\"\n"
    );
    let mut system = System::start(&[("north", allocations)]).await;
    let mut client = SClient::connect(&system, "valve");
    let (code, location) = client.post(1, &["rd"], &["lwm2m=1.1", "ep=valve", "lt=300"], "</1/0>,</3/0>,</5/0>");
    assert_eq!((code, location.len()), (Code::CREATED, 2));
    system.configured("valves", "valve", Some("active")).await;
    let path: Vec<&str> = location.iter().map(String::as_str).collect();
    for round in 2..6 {
        let gateway = &mut system.gateway("north").part;
        if round % 2 == 0 {
            gateway.kill();
        } else {
            gateway.terminate();
            assert!(gateway.ended().await);
        }
        gateway.start();
        system.linked().await;
        // Nothing but the session that it has lets this client say anything.
        let execute = json!({ "operation": {"do": "execute", "path": "/3/0/4"}, "receipt": "executed" });
        let request = system.submit("valves", execute).await;
        client.obey();
        assert_eq!(system.outcome(request).await.outcome.map(|outcome| outcome.kind()), Some(OutcomeKind::Executed));
        assert_eq!(client.post(round, &path, &[], "").0, Code::CHANGED);
        system.configured("valves", "valve", Some("active")).await;
    }
}
