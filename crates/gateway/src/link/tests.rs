//! The link against a platform that keeps both logs, over real sockets.

use std::sync::{Arc, Mutex, MutexGuard};

use bugle_core::{PeripheralId, Time, UpEntry};
use bugle_runtime::Authority;
use bugle_runtime::link::{Connected, Listener};
use bugle_wire::{CloseReason, Entries, FromGateway, FromPlatform, Hello, decode_up, encode_down, encode_up};
use bytes::Bytes;
use proptest::prelude::*;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;

/// Long enough for a machine under load, and never waited for in full.
const PATIENCE: Duration = Duration::from_secs(60);

fn up_entry(number: u64) -> UpEntry {
    UpEntry::ReportsLost { application: "metering".parse().expect("an application id"), count: number }
}

fn down_entry(number: u64) -> DownEntry {
    DownEntry::Release { peripheral: PeripheralId::new(format!("m{number}")).expect("a peripheral id") }
}

/// The gateway's side: its up log, and what the link told it.
struct Gateway {
    up: Arc<Mutex<Vec<Vec<u8>>>>,
    available: watch::Sender<u64>,
    applied: watch::Sender<u64>,
    events: mpsc::UnboundedReceiver<LinkEvent>,
    state: watch::Receiver<LinkState>,
    holding: JoinHandle<()>,
}

/// The platform's side: a listener, and what it keeps.
struct Platform {
    listener: Listener,
    up: Vec<UpEntry>,
    down: Vec<DownEntry>,
    down_acknowledged: u64,
}

async fn scene() -> (Gateway, Platform) {
    let clock = Clock::start();
    let authority = Authority::create(clock.now()).expect("an authority");
    let ca_pem = authority.certificate_pem().to_owned();
    let issued = authority.issue_platform(clock.now()).expect("issued");
    let platform =
        LinkIdentity { ca_pem: ca_pem.clone(), certificate_pem: issued.certificate_pem, key_pem: issued.key_pem };
    let key = rcgen::KeyPair::generate().expect("a key");
    let request = rcgen::CertificateParams::default().serialize_request(&key).and_then(|request| request.pem());
    let gateway: GatewayId = "gw-1".parse().expect("a gateway id");
    let certificate_pem = authority.sign_gateway(&request.expect("a request"), &gateway, clock.now()).expect("signed");
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let listener = Listener::new(socket, &platform, KeepAlive::default()).expect("a listener");

    let up = Arc::new(Mutex::new(Vec::new()));
    let (available, up_available) = watch::channel(0);
    let (applied, down_acknowledged) = watch::channel(0);
    let (tell, events) = mpsc::unbounded_channel();
    let rows = Arc::clone(&up);
    let session = Session {
        gateway,
        address: listener.address().to_string(),
        identity: LinkIdentity { ca_pem, certificate_pem, key_pem: key.serialize_pem() },
        boot: 7,
        clock,
        read_up: Box::new(move |after, limit| {
            let rows = lock(&rows).iter().skip(after as usize).take(limit).cloned().collect::<Vec<_>>();
            let rows = (after + 1..).zip(rows).collect();
            Box::pin(async move { Ok(rows) })
        }),
        up_available,
        down_acknowledged,
        on_event: Box::new(move |event| drop(tell.send(event))),
    };
    let (follow, state) = watch::channel(LinkState::Down { since: clock.now(), failure: None });
    let holding = tokio::spawn(async move {
        let retry = Retry { backoff: Backoff::new(WAIT_FIRST, WAIT_LONGEST, 7), clock, state: &follow };
        match session.hold_forever(retry).await {}
    });
    let gateway = Gateway { up, available, applied, events, state, holding };
    (gateway, Platform { listener, up: Vec::new(), down: Vec::new(), down_acknowledged: 0 })
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().expect("nobody panics with it")
}

impl Gateway {
    fn append(&self, entries: impl IntoIterator<Item = UpEntry>) {
        let mut up = lock(&self.up);
        up.extend(entries.into_iter().map(|entry| encode_up(&entry)));
        self.available.send_replace(up.len() as u64);
    }

    async fn event(&mut self) -> LinkEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("the link lives")
    }

    async fn failure(&mut self) -> String {
        let state = timeout(PATIENCE, self.state.wait_for(|state| state.failure().is_some())).await;
        let state = state.expect("in time").expect("the link lives");
        state.failure().expect("it was waited for").to_owned()
    }

    /// The link comes up, and with it word of how much the platform has.
    async fn comes_up(&mut self, up_applied: u64) {
        assert_eq!(self.event().await, LinkEvent::UpAcknowledged { through: up_applied });
        assert_eq!(self.event().await, LinkEvent::Up);
    }
}

fn entry(number: u64) -> LinkEvent {
    LinkEvent::Entry { sequence: number, entry: Box::new(down_entry(number)) }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.holding.abort();
    }
}

impl Platform {
    async fn accept(&mut self) -> (Connected, Hello) {
        let mut connected = timeout(PATIENCE, self.listener.accept()).await.expect("in time").expect("a gateway");
        match next(&mut connected).await {
            Some(FromGateway::Hello(hello)) => (connected, hello),
            other => panic!("not a hello: {other:?}"),
        }
    }

    async fn welcome(&mut self) -> Connected {
        let (connected, hello) = self.accept().await;
        let up_applied = self.up.len() as u64;
        connected.sender.send(FromPlatform::Welcome { up_applied }).await.expect("the link is up");
        self.down_acknowledged = hello.down_received;
        connected
    }

    /// Takes part in the link for so many messages of the gateway's, or until there is nothing to do.
    async fn serve(&mut self, messages: usize, until: impl Fn(&Self) -> bool) {
        let mut connected = self.welcome().await;
        let first = self.down_acknowledged + 1;
        let unsent: Vec<_> = self.down.iter().skip(self.down_acknowledged as usize).collect();
        if !unsent.is_empty() {
            let entries = unsent.iter().map(|entry| Bytes::from(encode_down(entry, Time::ZERO))).collect();
            let entries = Entries::new(first, entries).expect("entries");
            connected.sender.send(FromPlatform::Down(entries)).await.expect("the link is up");
        }
        for _ in 0..messages {
            if until(self) {
                return;
            }
            match next(&mut connected).await.expect("the gateway does not end it") {
                FromGateway::Up(entries) => {
                    assert!(entries.first() <= self.up.len() as u64 + 1, "there is a gap");
                    for (_, bytes) in entries.after(self.up.len() as u64).into_iter().flatten() {
                        self.up.push(decode_up(&bytes).expect("an entry"));
                    }
                    let through = self.up.len() as u64;
                    // The gateway may be gone by now.
                    let _ = connected.sender.send(FromPlatform::UpAcknowledged { through }).await;
                }
                FromGateway::DownAcknowledged { through } => self.down_acknowledged = through,
                FromGateway::Ping { token } => drop(connected.sender.send(FromPlatform::Pong { token }).await),
                FromGateway::Hello(_) => panic!("a second hello"),
            }
        }
    }
}

async fn next(connected: &mut Connected) -> Option<FromGateway> {
    timeout(PATIENCE, connected.receiver.next()).await.expect("in time").expect("no error")
}

#[tokio::test]
async fn entries_written_before_and_after_connecting_reach_the_platform() {
    let (mut gateway, mut platform) = scene().await;
    gateway.append((1..=3).map(up_entry));
    let serving = tokio::spawn(async move {
        platform.serve(usize::MAX, |platform| platform.up.len() == 5).await;
        platform
    });
    gateway.comes_up(0).await;
    assert_eq!(gateway.event().await, LinkEvent::UpAcknowledged { through: 3 });
    gateway.append((4..=5).map(up_entry));
    let platform = serving.await.expect("it serves");
    assert_eq!(platform.up, (1..=5).map(up_entry).collect::<Vec<_>>());
}

#[tokio::test]
async fn hello_says_where_both_logs_stand() {
    let (gateway, mut platform) = scene().await;
    let (connected, hello) = platform.accept().await;
    assert_eq!((hello.gateway.as_str(), hello.boot, hello.version), ("gw-1", 7, 1));
    assert_eq!((hello.up_first, hello.up_last, hello.down_received), (1, 0, 0));
    assert_eq!(connected.gateway.as_str(), "gw-1");
    gateway.append((1..=9).map(up_entry));
    gateway.applied.send_replace(4);
    drop(connected);
    let (_connected, hello) = platform.accept().await;
    assert_eq!((hello.up_first, hello.up_last, hello.down_received), (1, 9, 4));
}

#[tokio::test]
async fn entries_of_the_down_log_are_handed_over_and_acknowledged_when_told() {
    let (mut gateway, mut platform) = scene().await;
    platform.down = (1..=3).map(down_entry).collect();
    let serving = tokio::spawn(async move {
        platform.serve(usize::MAX, |platform| platform.down_acknowledged == 3).await;
    });
    gateway.comes_up(0).await;
    for sequence in 1..=3 {
        assert_eq!(gateway.event().await, entry(sequence));
    }
    assert!(!serving.is_finished(), "nothing is acknowledged before the gateway says so");
    gateway.applied.send_replace(3);
    timeout(PATIENCE, serving).await.expect("in time").expect("it serves");
}

#[tokio::test]
async fn a_broken_link_comes_back_and_repeats_what_was_not_acknowledged() {
    let (mut gateway, mut platform) = scene().await;
    platform.down = vec![down_entry(1)];
    let connected = platform.welcome().await;
    let entries = Entries::new(1, vec![encode_down(&down_entry(1), Time::ZERO).into()]).expect("entries");
    connected.sender.send(FromPlatform::Down(entries)).await.expect("the link is up");
    let first = entry(1);
    gateway.comes_up(0).await;
    assert_eq!(gateway.event().await, first);
    drop(connected);
    assert_eq!(gateway.event().await, LinkEvent::Down);
    let serving = tokio::spawn(async move {
        platform.serve(usize::MAX, |platform| platform.down_acknowledged == 1).await;
    });
    gateway.comes_up(0).await;
    assert_eq!(gateway.event().await, first);
    gateway.applied.send_replace(1);
    timeout(PATIENCE, serving).await.expect("in time").expect("it serves");
}

#[tokio::test]
async fn a_gap_in_the_down_log_ends_the_link() {
    let (mut gateway, mut platform) = scene().await;
    let connected = platform.welcome().await;
    let entries = Entries::new(2, vec![Bytes::from(encode_down(&down_entry(2), Time::ZERO))]).expect("entries");
    connected.sender.send(FromPlatform::Down(entries)).await.expect("the link is up");
    let reason = gateway.failure().await;
    assert!(reason.contains("entry 1 was to be next, but 2 came"), "{reason}");
}

#[tokio::test]
async fn a_platform_that_lost_its_disk_is_found_out() {
    let (mut gateway, mut platform) = scene().await;
    let (connected, _) = platform.accept().await;
    connected.sender.send(FromPlatform::Welcome { up_applied: 8 }).await.expect("the link is up");
    let reason = gateway.failure().await;
    assert!(reason.contains("has entries up to 8, but the sender has made only 0"), "{reason}");
}

#[tokio::test]
async fn why_the_platform_closes_is_told() {
    let (mut gateway, mut platform) = scene().await;
    let connected = platform.welcome().await;
    let closing = FromPlatform::Closing { reason: CloseReason::Stopping, detail: "an upgrade".into() };
    connected.sender.send(closing).await.expect("the link is up");
    assert!(gateway.failure().await.contains("an upgrade"));
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_never_sent_ends_the_link() {
    let (mut gateway, mut platform) = scene().await;
    let connected = platform.welcome().await;
    connected.sender.send(FromPlatform::UpAcknowledged { through: 1 }).await.expect("the link is up");
    assert!(gateway.failure().await.contains("only those up to 0 were sent"));
}

#[tokio::test]
async fn what_the_machine_has_yet_to_apply_is_bounded() {
    let (mut gateway, mut platform) = scene().await;
    let connected = platform.welcome().await;
    let sender = connected.sender.clone();
    tokio::spawn(async move {
        for sequence in 1..=3_000 {
            let entry = Bytes::from(encode_down(&down_entry(sequence), Time::ZERO));
            let entries = Entries::new(sequence, vec![entry]).expect("entries");
            sender.send(FromPlatform::Down(entries)).await.expect("the link is up");
        }
    });
    gateway.comes_up(0).await;
    for sequence in 1..=1_024 {
        assert_eq!(gateway.event().await, entry(sequence));
    }
    assert!(timeout(Duration::from_millis(300), gateway.events.recv()).await.is_err(), "more is not read");
    gateway.applied.send_replace(1);
    assert_eq!(gateway.event().await, entry(1_025));
}

#[tokio::test]
async fn a_large_entry_goes_alone_and_many_small_ones_together() {
    let (gateway, mut platform) = scene().await;
    let large = UpEntry::Stranger(bugle_core::Stranger {
        peripheral: PeripheralId::new("m1").expect("a peripheral id"),
        protocol: bugle_core::Protocol::Mqtt5,
        address: "x".repeat(2 * 1024 * 1024),
        at: Time::ZERO,
    });
    gateway.append((1..=10).map(up_entry).chain([large.clone(), large]).chain([up_entry(13)]));
    let mut connected = platform.welcome().await;
    let mut spans = Vec::new();
    while spans.last() != Some(&(13, 13)) {
        if let Some(FromGateway::Up(entries)) = next(&mut connected).await {
            spans.push((entries.first(), entries.last()));
        }
    }
    assert_eq!(spans, [(1, 10), (11, 11), (12, 12), (13, 13)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn both_logs_arrive_whole_and_in_order_however_often_the_link_breaks(
        breaks in prop::collection::vec(1_usize..6, 1..4),
        up_count in 1_u64..2_000,
        down_count in 1_u64..200,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (mut gateway, mut platform) = scene().await;
            platform.down = (1..=down_count).map(down_entry).collect();
            gateway.append((1..=up_count).map(up_entry));
            let serving = tokio::spawn(async move {
                let is_done = |platform: &Platform| {
                    platform.up.len() as u64 == up_count && platform.down_acknowledged == down_count
                };
                for messages in breaks {
                    platform.serve(messages, is_done).await;
                }
                while !is_done(&platform) {
                    platform.serve(usize::MAX, is_done).await;
                }
                platform
            });
            let mut received = Vec::new();
            while (received.len() as u64) < down_count {
                if let LinkEvent::Entry { sequence, entry } = gateway.event().await {
                    // The machine ignores what it has applied.
                    if sequence == received.len() as u64 + 1 {
                        received.push(*entry);
                        gateway.applied.send_replace(sequence);
                    }
                }
            }
            let platform = timeout(PATIENCE, serving).await.expect("in time").expect("it serves");
            assert_eq!(platform.up, (1..=up_count).map(up_entry).collect::<Vec<_>>());
            assert_eq!(received, (1..=down_count).map(down_entry).collect::<Vec<_>>());
        });
    }
}
