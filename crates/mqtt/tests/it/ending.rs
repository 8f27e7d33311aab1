//! Keep-alive, DISCONNECT, the will, and the end from our side.

use std::time::Duration;

use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Ending, Event, Fault, Refusal, Resumption, Topic, Will};
use bytes::Bytes;
use rmqtt_codec::types::QoS;
use rmqtt_codec::{v3, v5};

use crate::client::{Client, Reply, VERSIONS, config, connect_5, connect_311};

fn will_5() -> v5::LastWill {
    v5::LastWill {
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "bugle/meter-1/reports/gone".into(),
        message: Bytes::from_static(b"bye"),
        will_delay_interval_sec: Some(30),
        correlation_data: None,
        message_expiry_interval: None,
        content_type: Some("text/plain".into()),
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    }
}

fn accepted_5(connect: v5::Connect) -> Client {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(connect.into());
    client.accept(Resumption::New);
    client.events();
    client.replies();
    client
}

fn disconnect_5(code: v5::DisconnectReasonCode, session_expiry: Option<u32>) -> v5::Packet {
    let session_expiry_interval_secs = session_expiry;
    v5::Packet::Disconnect(v5::Disconnect { session_expiry_interval_secs, ..v5::Disconnect::new(code) })
}

#[test]
fn silence_for_one_and_a_half_keep_alives_ends_the_connection() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.pass(Duration::from_secs(89));
        client.ping();
        assert_eq!((client.events(), client.replies()), (vec![Event::Ping], vec![Reply::Ping]));
        client.pass(Duration::from_millis(89_999));
        assert!(!client.connection.is_closed());
        client.pass(Duration::from_millis(1));
        let told: &[Reply] = match version {
            Version::Mqtt311 => &[],
            Version::Mqtt5 => &[Reply::Disconnect { code: 0x8D }],
        };
        assert_eq!(client.replies(), told);
        assert_eq!(client.closed().reason, CloseReason::KeepAlive);
    }
}

#[test]
fn part_of_a_packet_is_no_word() {
    let mut client = Client::accepted(Version::Mqtt5);
    client.pass(Duration::from_secs(89));
    client.send_bytes(&[0xC0]);
    client.pass(Duration::from_secs(1));
    assert_eq!(client.closed().reason, CloseReason::KeepAlive);
}

#[test]
fn a_3_1_1_client_may_do_without_a_keep_alive() {
    let mut client = Client::new(Version::Mqtt311);
    client.send_311(v3::Connect { keep_alive: 0, ..connect_311() }.into());
    let Some(Event::Connect(connect)) = client.event() else { panic!("a CONNECT") };
    assert_eq!(connect.keep_alive, None);
    client.accept(Resumption::New);
    assert_eq!(client.connection.next_timeout(), None);
}

#[test]
fn an_mqtt_5_client_without_a_keep_alive_is_given_one() {
    let mut client = accepted_5(v5::Connect { keep_alive: 0, ..connect_5() });
    client.pass(config().keep_alive_max * 3 / 2);
    assert_eq!(client.closed().reason, CloseReason::KeepAlive);
}

#[test]
fn a_goodbye_leaves_the_session_as_it_was_agreed() {
    for version in VERSIONS {
        let mut clean = Client::accepted(version);
        clean.disconnect();
        let closed = clean.closed();
        assert_eq!((closed.reason, closed.session_expiry), (CloseReason::Disconnected { code: 0 }, Duration::ZERO));
        assert_eq!(clean.replies(), []);

        let mut lasting = Client::new(version);
        lasting.reconnect();
        lasting.accept(Resumption::New);
        lasting.events();
        lasting.disconnect();
        let expiry = if version == Version::Mqtt5 { Duration::from_secs(3600) } else { config().session_expiry_max };
        assert_eq!(lasting.closed().session_expiry, expiry);
    }
}

#[test]
fn a_goodbye_may_change_how_long_the_session_lives() {
    for (asked, expiry) in [(0, 0), (60, 60), (u32::MAX, 86_400)] {
        let mut client = accepted_5(v5::Connect { session_expiry_interval_secs: 3600, ..connect_5() });
        client.send_5(disconnect_5(v5::DisconnectReasonCode::NormalDisconnection, Some(asked)));
        assert_eq!(client.closed().session_expiry, Duration::from_secs(expiry));
    }
    let mut client = accepted_5(connect_5());
    client.send_5(disconnect_5(v5::DisconnectReasonCode::NormalDisconnection, Some(60)));
    assert_eq!(client.replies(), [Reply::Disconnect { code: 0x82 }], "nothing comes to life at the end");
    assert!(matches!(client.closed().reason, CloseReason::Fault(Fault::Protocol(_))));
}

#[test]
fn a_will_is_published_unless_the_client_says_goodbye() {
    let will = Will {
        topic: Topic::Report(bugle_mqtt::ReportName::new("gone").expect("a name")),
        payload: Bytes::from_static(b"bye"),
        content_type: "text/plain".into(),
        delay: Duration::from_secs(30),
    };
    let connected = || accepted_5(v5::Connect { last_will: Some(will_5()), ..connect_5() });

    let mut lost = connected();
    lost.connection.handle_lost();
    assert_eq!(lost.closed().will.as_deref(), Some(&will));

    let mut silent = connected();
    silent.pass(Duration::from_secs(90));
    assert_eq!(silent.closed().will.as_deref(), Some(&will));

    let mut at_fault = connected();
    at_fault.send_bytes(&[0xD0, 0]);
    assert_eq!(at_fault.closed().will.as_deref(), Some(&will));

    let mut willing = connected();
    willing.send_5(disconnect_5(v5::DisconnectReasonCode::DisconnectWithWillMessage, None));
    let closed = willing.closed();
    assert_eq!((closed.reason, closed.will.as_deref()), (CloseReason::Disconnected { code: 4 }, Some(&will)));

    let mut polite = connected();
    polite.disconnect();
    assert_eq!(polite.closed().will, None);
}

#[test]
fn a_will_of_a_client_that_was_never_let_in_is_not_published() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { last_will: Some(will_5()), ..connect_5() }.into());
    assert!(matches!(client.event(), Some(Event::Connect(connect)) if connect.has_will));
    client.connection.handle_lost();
    let closed = client.closed();
    assert_eq!((closed.will, closed.session_expiry), (None, Duration::ZERO));
}

#[test]
fn a_3_1_1_client_has_a_will_too() {
    let mut client = Client::new(Version::Mqtt311);
    let last_will = Some(v3::LastWill {
        qos: QoS::AtMostOnce,
        retain: true,
        topic: "bugle/meter-1/deregister".into(),
        message: Bytes::new(),
    });
    client.send_311(v3::Connect { last_will, ..connect_311() }.into());
    client.accept(Resumption::New);
    client.events();
    client.connection.handle_lost();
    assert_eq!(client.closed().will.map(|will| (will.topic, will.delay)), Some((Topic::Deregister, Duration::ZERO)));
}

#[test]
fn a_will_that_could_not_be_published_is_refused() {
    let foreign = v5::LastWill { topic: "bugle/meter-2/reports/gone".into(), ..will_5() };
    let retained = v5::LastWill { retain: true, ..will_5() };
    for (will, code, refusal) in [(foreign, 0x90, Refusal::WillTopic), (retained, 0x9A, Refusal::WillRetain)] {
        let mut client = Client::new(Version::Mqtt5);
        client.send_5(v5::Connect { last_will: Some(will), ..connect_5() }.into());
        assert_eq!(client.replies(), [Reply::ConnectAck { code, session_present: false }]);
        assert_eq!(client.closed().reason, CloseReason::Refused(refusal));
    }
}

#[test]
fn we_may_end_it_and_say_why() {
    for (ending, code) in [
        (Ending::Busy, 0x89),
        (Ending::ShuttingDown, 0x8B),
        (Ending::SessionTakenOver, 0x8E),
        (Ending::AdministrativeAction, 0x98),
    ] {
        for version in VERSIONS {
            let mut client = Client::accepted(version);
            client.connection.disconnect(ending);
            let told: &[Reply] = match version {
                Version::Mqtt311 => &[],
                Version::Mqtt5 => &[Reply::Disconnect { code }],
            };
            assert_eq!(client.replies(), told);
            assert_eq!(client.closed().reason, CloseReason::Ended(ending));
        }
    }
}

#[test]
fn after_the_end_there_is_nothing() {
    for version in VERSIONS {
        let mut client = Client::subscribed(version);
        client.disconnect();
        client.closed();
        client.ping();
        client.connection.handle_lost();
        client.connection.disconnect(Ending::Busy);
        client.acknowledge(1);
        client.pass(Duration::from_secs(3600));
        assert_eq!((client.events(), client.replies()), (vec![], vec![]));
        assert!(client.connection.peripheral().is_none() && !client.connection.is_subscribed());
    }
}

#[test]
fn what_follows_a_goodbye_is_dropped() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.send_bytes(&[0xC0, 0, 0xE0, 0, 0xC0, 0]);
        assert!(matches!(client.events().as_slice(), [Event::Ping, Event::Closed(_)]));
        assert_eq!(client.replies(), [Reply::Ping]);
    }
}
