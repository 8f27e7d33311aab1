//! The link over real sockets, with certificates made for it.

use std::net::SocketAddr;
use std::time::Duration;

use bugle_core::{GatewayId, Time};
use bugle_runtime::Authority;
use bugle_runtime::link::{
    Connected, DialError, KeepAlive, LinkIdentity, Listener, MESSAGE_BYTES_MAX, PLATFORM_NAME, ReceiveError, dial,
};
use bugle_wire::{Entries, FromGateway, FromPlatform, Hello, VERSION, WireError, proto};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

/// Long enough for a machine under load, and never waited for in full.
const PATIENCE: Duration = Duration::from_secs(30);

struct Pki {
    authority: Authority,
}

impl Pki {
    fn new() -> Self {
        Self { authority: Authority::create(now()).expect("an authority") }
    }

    fn platform(&self) -> LinkIdentity {
        let issued = self.authority.issue_platform(now()).expect("issued");
        self.identity(issued.certificate_pem, issued.key_pem)
    }

    fn gateway(&self, id: &str) -> LinkIdentity {
        let key = rcgen::KeyPair::generate().expect("a key");
        let request = rcgen::CertificateParams::default().serialize_request(&key).and_then(|request| request.pem());
        let gateway = GatewayId::new(id).expect("a gateway id");
        let certificate = self.authority.sign_gateway(&request.expect("a request"), &gateway, now()).expect("signed");
        self.identity(certificate, key.serialize_pem())
    }

    fn identity(&self, certificate_pem: String, key_pem: String) -> LinkIdentity {
        LinkIdentity { ca_pem: self.authority.certificate_pem().to_owned(), certificate_pem, key_pem }
    }

    async fn listen(&self) -> Listener {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        Listener::new(socket, &self.platform(), KeepAlive::default()).expect("a listener")
    }
}

fn now() -> Time {
    bugle_runtime::Clock::start().now()
}

fn hello() -> FromGateway {
    FromGateway::Hello(Hello {
        version: VERSION,
        gateway: GatewayId::new("gw-1").expect("a gateway id"),
        down_received: 3,
        up_first: 1,
        up_last: 9,
        boot: 42,
        software: "test".into(),
    })
}

fn entries(first: u64, bytes: &[&[u8]]) -> Entries {
    Entries::new(first, bytes.iter().map(|bytes| Bytes::copy_from_slice(bytes)).collect()).expect("entries")
}

async fn accept(listener: &mut Listener) -> Connected {
    timeout(PATIENCE, listener.accept()).await.expect("in time").expect("a gateway")
}

async fn refusal(address: SocketAddr, identity: &LinkIdentity) -> String {
    let dialled = timeout(PATIENCE, dial(&address.to_string(), identity, KeepAlive::default())).await;
    match dialled.expect("in time") {
        Err(DialError::Unreachable { reason, .. }) => reason,
        other => panic!("not refused: {:?}", other.map(|_| ())),
    }
}

#[tokio::test]
async fn messages_go_both_ways_and_the_certificate_names_the_gateway() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let address = listener.address().to_string();
    let (sender, mut receiver) =
        dial(&address, &pki.gateway("gw-1"), KeepAlive::default()).await.expect("the platform answers");
    let mut connected = accept(&mut listener).await;
    assert_eq!(connected.gateway.as_str(), "gw-1");
    assert!(connected.address.ip().is_loopback());

    let up = FromGateway::Up(entries(4, &[b"four", b"five"]));
    for message in [hello(), up] {
        sender.send(message.clone()).await.expect("the link is up");
        assert_eq!(connected.receiver.next().await.expect("a message"), Some(message));
    }
    let down = FromPlatform::Down(entries(1, &[b""]));
    for message in [FromPlatform::Welcome { up_applied: 3 }, down] {
        connected.sender.send(message.clone()).await.expect("the link is up");
        assert_eq!(receiver.next().await.expect("a message"), Some(message));
    }
}

#[tokio::test]
async fn the_largest_message_passes() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let address = listener.address().to_string();
    let (sender, _receiver) =
        dial(&address, &pki.gateway("gw-1"), KeepAlive::default()).await.expect("the platform answers");
    let mut connected = accept(&mut listener).await;
    let largest = vec![7; MESSAGE_BYTES_MAX - 64];
    let message = FromGateway::Up(entries(1, &[&largest]));
    let (sent, received) = tokio::join!(sender.send(message.clone()), connected.receiver.next());
    assert_eq!(sent, Ok(()));
    assert!(received.expect("a message") == Some(message));
}

#[tokio::test]
async fn a_gateway_of_another_authority_is_refused() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let listener = pki.listen().await;
    let mut identity = stranger.gateway("gw-1");
    identity.ca_pem = pki.gateway("gw-1").ca_pem;
    let reason = refusal(listener.address(), &identity).await;
    assert!(reason.contains("UnknownCA") || reason.contains("UnknownIssuer") || reason.contains("alert"), "{reason}");
}

#[tokio::test]
async fn a_platform_of_another_authority_is_not_trusted() {
    let (pki, stranger) = (Pki::new(), Pki::new());
    let listener = stranger.listen().await;
    let reason = refusal(listener.address(), &pki.gateway("gw-1")).await;
    assert!(reason.contains("UnknownIssuer") || reason.contains("BadSignature"), "{reason}");
}

#[tokio::test]
async fn a_gateway_cannot_pose_as_the_platform() {
    let pki = Pki::new();
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listener = Listener::new(socket, &pki.gateway("gw-2"), KeepAlive::default()).expect("a listener");
    let reason = refusal(listener.address(), &pki.gateway("gw-1")).await;
    assert!(reason.contains("certificate"), "{reason}");
}

/// Opens a stream as no gateway does: with messages that are not checked, and a certificate or none.
async fn open_raw(
    listener: &Listener,
    pki: &Pki,
    identity: Option<&LinkIdentity>,
    message: proto::FromGateway,
) -> Result<(), Box<dyn std::error::Error>> {
    let ca = Certificate::from_pem(pki.authority.certificate_pem());
    let mut tls = ClientTlsConfig::new().ca_certificate(ca).domain_name(PLATFORM_NAME);
    if let Some(identity) = identity {
        tls = tls.identity(Identity::from_pem(&identity.certificate_pem, &identity.key_pem));
    }
    let endpoint = Endpoint::from_shared(format!("https://{}", listener.address()))?.tls_config(tls)?;
    let mut client = tonic::client::Grpc::new(endpoint.connect().await?);
    client.ready().await?;
    let path = tonic::codegen::http::uri::PathAndQuery::from_static("/bugle.link.v1.Link/Connect");
    let codec = tonic_prost::ProstCodec::<_, proto::FromPlatform>::new();
    client.streaming(tonic::Request::new(tokio_stream::once(message)), path, codec).await?;
    Ok(())
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let opened = open_raw(&listener, &pki, None, hello().into()).await;
    assert!(opened.is_err());
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err(), "nobody was let in");
}

#[tokio::test]
async fn a_certificate_that_names_no_gateway_is_refused() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let opened = open_raw(&listener, &pki, Some(&pki.platform()), hello().into()).await;
    assert!(opened.is_err());
    assert!(timeout(Duration::ZERO, listener.accept()).await.is_err(), "nobody was let in");
}

#[tokio::test]
async fn what_is_no_message_is_the_peers_fault() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let identity = pki.gateway("gw-1");
    let opening = open_raw(&listener, &pki, Some(&identity), proto::FromGateway { message: None });
    opening.await.expect("the platform answers");
    let mut connected = accept(&mut listener).await;
    let misbehaved = connected.receiver.next().await;
    assert!(matches!(misbehaved, Err(ReceiveError::Misbehaved(WireError::Missing { .. }))), "{misbehaved:?}");
}

#[tokio::test]
async fn an_end_in_good_order_is_no_error() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let address = listener.address().to_string();
    let (sender, _receiver) =
        dial(&address, &pki.gateway("gw-1"), KeepAlive::default()).await.expect("the platform answers");
    let mut connected = accept(&mut listener).await;
    sender.send(FromGateway::Ping { token: 1 }).await.expect("the link is up");
    drop(sender);
    assert_eq!(connected.receiver.next().await.expect("a message"), Some(FromGateway::Ping { token: 1 }));
    assert_eq!(connected.receiver.next().await.expect("no error"), None);
}

#[tokio::test]
async fn a_side_that_goes_away_is_noticed_by_the_other() {
    let pki = Pki::new();
    let mut listener = pki.listen().await;
    let address = listener.address().to_string();
    let (_sender, mut receiver) =
        dial(&address, &pki.gateway("gw-1"), KeepAlive::default()).await.expect("the platform answers");
    let connected = accept(&mut listener).await;
    drop(connected);
    let ended = timeout(PATIENCE, receiver.next()).await.expect("in time");
    assert!(!matches!(ended, Ok(Some(_))));
}

/// Passes bytes on until told to swallow them, as a router does that has lost its state.
async fn half_open_proxy(to: SocketAddr) -> (SocketAddr, watch::Sender<bool>) {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("it listens");
    let (swallow, swallowing) = watch::channel(false);
    tokio::spawn(async move {
        let (near, _) = socket.accept().await.expect("a client");
        let far = TcpStream::connect(to).await.expect("the server is there");
        let (near_in, near_out) = near.into_split();
        let (far_in, far_out) = far.into_split();
        for (mut from, mut to) in [(near_in, far_out), (far_in, near_out)] {
            let swallowing = swallowing.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 16 * 1024];
                while let Ok(read @ 1..) = from.read(&mut buffer).await {
                    if !*swallowing.borrow() && to.write_all(&buffer[..read]).await.is_err() {
                        break;
                    }
                }
                // Neither side hears of the end of the other.
                std::future::pending::<()>().await;
            });
        }
    });
    (address, swallow)
}

#[tokio::test]
async fn a_half_open_link_is_noticed_by_both_sides() {
    let pki = Pki::new();
    let quick = KeepAlive { interval: Duration::from_millis(200), answer: Duration::from_millis(500) };
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let mut listener = Listener::new(socket, &pki.platform(), quick).expect("a listener");
    let (address, swallow) = half_open_proxy(listener.address()).await;
    let (_sender, mut receiver) =
        dial(&address.to_string(), &pki.gateway("gw-1"), quick).await.expect("the platform answers");
    let mut connected = accept(&mut listener).await;
    swallow.send_replace(true);
    let gateway = timeout(PATIENCE, receiver.next()).await.expect("the gateway notices");
    assert!(matches!(gateway, Err(ReceiveError::Broken(_))), "{gateway:?}");
    let platform = timeout(PATIENCE, connected.receiver.next()).await.expect("the platform notices");
    assert!(!matches!(platform, Ok(Some(_))), "{platform:?}");
}

#[tokio::test]
async fn nobody_there_is_told_with_the_address() {
    let pki = Pki::new();
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("it listens").to_string();
    drop(socket);
    let error = dial(&address, &pki.gateway("gw-1"), KeepAlive::default()).await.map(|_| ()).expect_err("nobody");
    assert!(error.to_string().contains(&address), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}
