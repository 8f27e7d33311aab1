//! Gateways on their links.

use bugle_api::Enrolled;
use bugle_core::{DownEntry, PeripheralId, Time, UpEntry};
use bugle_runtime::link::{KeepAlive, LinkIdentity, Receiver, Sender, dial};
use bugle_wire::{CloseReason, Entries, FromGateway, FromPlatform, Hello, VERSION, decode_down, encode_up};
use reqwest::Method;

use crate::world::{World, active, allocated, answer, gateway, id};

struct Link {
    to: Sender<FromGateway>,
    from: Receiver<FromPlatform>,
}

fn hello(name: &str) -> Hello {
    Hello {
        version: VERSION,
        gateway: gateway(name),
        down_received: 0,
        up_first: 1,
        up_last: 0,
        boot: 1,
        software: "test".into(),
    }
}

impl Link {
    async fn dial(key_pem: &str, enrolled: &Enrolled) -> Self {
        let identity = LinkIdentity {
            ca_pem: enrolled.ca_pem.clone(),
            certificate_pem: enrolled.certificate_pem.clone(),
            key_pem: key_pem.to_owned(),
        };
        let (to, from) = dial(&enrolled.link_address, &identity, KeepAlive::default()).await.expect("a link");
        Self { to, from }
    }

    async fn open(key_pem: &str, enrolled: &Enrolled, hello: Hello) -> (Self, FromPlatform) {
        let mut link = Self::dial(key_pem, enrolled).await;
        link.send(FromGateway::Hello(hello)).await;
        let first = link.next().await;
        (link, first)
    }

    async fn send(&self, message: FromGateway) {
        self.to.send(message).await.expect("the link is up");
    }

    async fn next(&mut self) -> FromPlatform {
        self.from.next().await.expect("the link is up").expect("a message")
    }

    async fn close_reason(&mut self) -> CloseReason {
        loop {
            if let FromPlatform::Closing { reason, .. } = self.next().await {
                return reason;
            }
        }
    }
}

fn up(first: u64, entries: &[UpEntry]) -> FromGateway {
    let bytes = entries.iter().map(|entry| encode_up(entry).into()).collect();
    FromGateway::Up(Entries::new(first, bytes).expect("entries"))
}

#[tokio::test]
async fn the_up_log_is_acknowledged_once_it_is_applied_and_not_applied_again() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw3").await;
    let (mut link, welcome) = Link::open(&key, &enrolled, hello("gw3")).await;
    assert_eq!(welcome, FromPlatform::Welcome { up_applied: 0 });
    link.send(up(1, &[allocated("p1", &["south"]), active("p1", 1)])).await;
    assert_eq!(link.next().await, FromPlatform::UpAcknowledged { through: 2 });
    assert_eq!(world.get("/v1/gateways/gw3/peripherals/p1").await.body["state"], "active");
    drop(link);
    let again = Hello { up_last: 3, ..hello("gw3") };
    let (mut link, welcome) = Link::open(&key, &enrolled, again).await;
    assert_eq!(welcome, FromPlatform::Welcome { up_applied: 2 });
    link.send(up(2, &[active("p1", 1), allocated("p2", &["south"])])).await;
    assert_eq!(link.next().await, FromPlatform::UpAcknowledged { through: 3 });
    assert_eq!(world.get("/v1/applications/metering/groups/south").await.body["allocated"], 2);
    assert_eq!(world.get("/v1/applications/metering/groups/east").await.body["members"], 1);
    link.send(FromGateway::Ping { token: 9 }).await;
    assert_eq!(link.next().await, FromPlatform::Pong { token: 9 });
}

#[tokio::test]
async fn the_down_log_is_sent_as_it_grows_and_again_until_it_is_acknowledged() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw1").await;
    let direct =
        |direction| answer(world.request(Method::POST, &format!("/v1/gateways/gw1/peripherals/m1/{direction}")));
    direct("standby").await;
    let (mut link, _) = Link::open(&key, &enrolled, Hello { up_last: 2, up_first: 3, ..hello("gw1") }).await;
    let m1: PeripheralId = id("m1");
    let expect = |message, first, entries: &[DownEntry]| {
        let FromPlatform::Down(sent) = message else { panic!("entries: {message:?}") };
        assert_eq!(sent.first(), first);
        let sent: Vec<_> = sent.into_iter().map(|(_, bytes)| decode_down(&bytes, Time::ZERO).expect("one")).collect();
        assert_eq!(sent, entries);
    };
    let standby = DownEntry::Standby { peripheral: m1.clone() };
    let block = DownEntry::Block { peripheral: m1 };
    expect(link.next().await, 1, std::slice::from_ref(&standby));
    direct("block").await;
    expect(link.next().await, 2, std::slice::from_ref(&block));
    drop(link);
    let (mut link, _) = Link::open(&key, &enrolled, Hello { up_last: 2, up_first: 3, ..hello("gw1") }).await;
    expect(link.next().await, 1, &[standby, block.clone()]);
    link.send(FromGateway::DownAcknowledged { through: 1 }).await;
    link.send(FromGateway::Ping { token: 1 }).await;
    link.next().await;
    let resumed = Hello { up_last: 2, up_first: 3, down_received: 1, ..hello("gw1") };
    let (mut link, _) = Link::open(&key, &enrolled, resumed).await;
    expect(link.next().await, 2, &[block]);
    let shown = world.get("/v1/gateways").await;
    assert_eq!(shown.body["items"][0]["down_acknowledged"], 1);
    assert_eq!(shown.body["items"][0]["is_connected"], true);
    assert!(shown.body["items"][0]["last_seen"].is_u64());
}

#[tokio::test]
async fn a_second_link_of_a_gateway_replaces_the_first() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw3").await;
    let (mut first, _) = Link::open(&key, &enrolled, hello("gw3")).await;
    let (mut second, _) = Link::open(&key, &enrolled, hello("gw3")).await;
    assert_eq!(first.close_reason().await, CloseReason::Replaced);
    second.send(FromGateway::Ping { token: 1 }).await;
    assert_eq!(second.next().await, FromPlatform::Pong { token: 1 });
}

#[tokio::test]
async fn only_the_certificate_of_the_latest_enrolment_is_taken() {
    let world = World::furnished().await;
    let (old_key, old) = world.enrol("gw3").await;
    let (key, enrolled) = world.enrol("gw3").await;
    let mut refused = Link::dial(&old_key, &old).await;
    assert_eq!(refused.close_reason().await, CloseReason::Identity);
    let (_, welcome) = Link::open(&key, &enrolled, hello("gw3")).await;
    assert!(matches!(welcome, FromPlatform::Welcome { .. }));
}

#[tokio::test]
async fn a_gateway_that_misbehaves_is_told_what_was_wrong() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw3").await;
    let refused = async |first: FromGateway| {
        let mut link = Link::dial(&key, &enrolled).await;
        link.send(first).await;
        link.close_reason().await
    };
    assert_eq!(refused(FromGateway::Ping { token: 1 }).await, CloseReason::Protocol);
    assert_eq!(refused(FromGateway::Hello(Hello { version: 99, ..hello("gw3") })).await, CloseReason::Version);
    assert_eq!(refused(FromGateway::Hello(hello("gw1"))).await, CloseReason::Identity);
    let ahead = Hello { down_received: 5, ..hello("gw3") };
    assert_eq!(refused(FromGateway::Hello(ahead)).await, CloseReason::LogConflict);
    let behind = Hello { up_first: 4, up_last: 9, ..hello("gw3") };
    assert_eq!(refused(FromGateway::Hello(behind)).await, CloseReason::LogConflict);
    let (mut link, _) = Link::open(&key, &enrolled, hello("gw3")).await;
    link.send(up(2, &[allocated("p1", &["south"])])).await;
    assert_eq!(link.close_reason().await, CloseReason::Protocol);
}

#[tokio::test]
async fn a_link_ends_with_the_platform() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw3").await;
    let (mut link, _) = Link::open(&key, &enrolled, hello("gw3")).await;
    world.shutdown.request();
    assert_eq!(link.close_reason().await, CloseReason::Stopping);
    drop(link);
    world.handle.ended().await;
}

#[tokio::test]
async fn a_flood_of_entries_is_applied_in_order() {
    let world = World::furnished().await;
    let (key, enrolled) = world.enrol("gw3").await;
    let (mut link, _) = Link::open(&key, &enrolled, Hello { up_last: 5_000, ..hello("gw3") }).await;
    let entries: Vec<_> = (0..5_000).map(|number| allocated(&format!("p{number}"), &["south"])).collect();
    for (index, part) in entries.chunks(100).enumerate() {
        link.send(up(index as u64 * 100 + 1, part)).await;
    }
    let mut acknowledged = 0;
    while acknowledged < 5_000 {
        let FromPlatform::UpAcknowledged { through } = link.next().await else { panic!("an acknowledgement") };
        assert!(through > acknowledged);
        acknowledged = through;
    }
    assert_eq!(world.get("/v1/applications/metering/groups/south").await.body["allocated"], 5_000);
}
