//! CONNECT and CONNACK.

use std::time::Duration;

use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Ending, Event, Fault, Refusal, Resumption, Start, limits};
use rmqtt_codec::types::QoS;
use rmqtt_codec::{v3, v5};

use crate::client::{
    CLIENT_ID, Client, REPORT, Reply, VERSIONS, config, connect_5, connect_311, id, publication, resumed,
};

fn refused(client: &mut Client) -> Refusal {
    match client.closed().reason {
        CloseReason::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_connack_waits_for_the_decision() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        client.connect();
        let Some(Event::Connect(connect)) = client.event() else { panic!("a CONNECT") };
        assert_eq!((connect.peripheral.as_str(), connect.version), (CLIENT_ID, version));
        assert_eq!((connect.start, connect.keep_alive), (Start::Clean, Some(Duration::from_secs(60))));
        client.pass(Duration::from_secs(3600));
        assert_eq!(client.replies(), []);
        assert!(client.connection.next_timeout().is_none(), "the owner limits its decision itself");
        client.accept(Resumption::New);
        assert_eq!(client.replies(), [Reply::ConnectAck { code: 0, session_present: false }]);
        assert!(client.connection.next_timeout().is_some());
    }
}

#[test]
fn what_comes_ahead_of_the_connack_is_handled_after_it() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        client.connect();
        assert!(!client.connection.is_paused());
        client.publish(1, QoS::AtLeastOnce, REPORT);
        client.ping();
        assert!(client.connection.is_paused());
        assert!(matches!(client.events().as_slice(), [Event::Connect(_)]));
        assert_eq!(client.replies(), []);
        client.accept(Resumption::New);
        assert!(matches!(client.events().as_slice(), [Event::Publish(_), Event::Ping]));
        assert!(matches!(client.replies().as_slice(), [Reply::ConnectAck { code: 0, .. }, Reply::Ping]));
    }
}

#[test]
fn too_much_ahead_of_the_connack_is_refused() {
    for (version, code) in [(Version::Mqtt311, 3), (Version::Mqtt5, 0x97)] {
        let mut client = Client::new(version);
        client.connect();
        client.send_bytes(&vec![0xC0; config().held_bytes_max]);
        assert!(!client.connection.is_closed());
        client.send_bytes(&[0xC0]);
        assert_eq!(client.replies(), [Reply::ConnectAck { code, session_present: false }]);
        assert!(matches!(client.event(), Some(Event::Connect(_))));
        assert_eq!(refused(&mut client), Refusal::HeldBytes);
    }
}

#[test]
fn a_refusal_is_told_in_the_code_of_the_version() {
    for (refusal, code_311, code_5) in [
        (Refusal::BadCredentials, 4, 0x86),
        (Refusal::NotAuthorized, 5, 0x87),
        (Refusal::Unavailable, 3, 0x88),
        (Refusal::Blocked, 5, 0x8A),
        (Refusal::Busy, 3, 0x97),
    ] {
        for (version, code) in [(Version::Mqtt311, code_311), (Version::Mqtt5, code_5)] {
            let mut client = Client::new(version);
            client.connect();
            assert!(matches!(client.event(), Some(Event::Connect(_))));
            client.connection.refuse(refusal, "try again in 30 seconds");
            assert_eq!(client.replies(), [Reply::ConnectAck { code, session_present: false }]);
            if version == Version::Mqtt5 {
                assert_eq!(client.reason.as_deref(), Some("try again in 30 seconds"));
            }
            assert_eq!(refused(&mut client), refusal);
        }
    }
}

#[test]
fn a_session_that_ends_before_the_decision_is_unavailable() {
    for (version, code) in [(Version::Mqtt311, 3), (Version::Mqtt5, 0x88)] {
        let mut client = Client::new(version);
        client.connect();
        assert!(matches!(client.event(), Some(Event::Connect(_))));
        client.connection.disconnect(Ending::ShuttingDown);
        assert_eq!(client.replies(), [Reply::ConnectAck { code, session_present: false }]);
        assert_eq!(client.closed().reason, CloseReason::Ended(Ending::ShuttingDown));
    }
}

#[test]
fn a_client_id_that_is_no_peripheral_id_is_refused() {
    for name in ["", "a/b", "bugle+1", "two words"] {
        let mut client = Client::new(Version::Mqtt5);
        client.send_5(v5::Connect { client_id: name.into(), ..connect_5() }.into());
        assert_eq!(client.replies(), [Reply::ConnectAck { code: 0x85, session_present: false }], "{name}");
        assert_eq!(refused(&mut client), Refusal::ClientIdentifier);

        for clean_session in [true, false] {
            let mut client = Client::new(Version::Mqtt311);
            client.send_311(v3::Connect { client_id: name.into(), clean_session, ..connect_311() }.into());
            assert_eq!(client.replies(), [Reply::ConnectAck { code: 2, session_present: false }], "{name}");
            assert_eq!(refused(&mut client), Refusal::ClientIdentifier);
        }
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let mut client = Client::new(Version::Mqtt311);
    client.send_bytes(b"\x10\x10\0\x06MQIsdp\x03\x02\0\x3c\0\x02m1");
    assert_eq!(client.replies(), [Reply::ConnectAck { code: 1, session_present: false }]);
    assert_eq!(refused(&mut client), Refusal::ProtocolVersion);
    let mut client = Client::new(Version::Mqtt5);
    client.send_bytes(b"\x10\x0f\0\x04MQTT\x06\x02\0\x3c\0\0\x02m1");
    assert_eq!(client.replies(), [Reply::ConnectAck { code: 0x84, session_present: false }]);
    assert_eq!(refused(&mut client), Refusal::ProtocolVersion);
}

#[test]
fn a_malformed_connect_is_told_where_the_version_can() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_bytes(b"\x10\x0f\0\x04MQTT\x05\x02\0\x3c\0\0\x09m1");
    assert_eq!(client.replies(), [Reply::ConnectAck { code: 0x81, session_present: false }]);
    assert_eq!(refused(&mut client), Refusal::Malformed);
    let mut client = Client::new(Version::Mqtt311);
    client.send_bytes(b"\x10\x0e\0\x04MQTT\x04\x02\0\x3c\0\x09m1");
    assert_eq!(client.replies(), []);
    assert_eq!(refused(&mut client), Refusal::Malformed);
}

#[test]
fn a_password_needs_a_user_name_in_3_1_1_and_not_in_5() {
    let mut client = Client::new(Version::Mqtt311);
    client.send_311(v3::Connect { password: Some("secret".into()), ..connect_311() }.into());
    assert_eq!(refused(&mut client), Refusal::Malformed);
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { password: Some("secret".into()), ..connect_5() }.into());
    let Some(Event::Connect(connect)) = client.event() else { panic!("a CONNECT") };
    assert_eq!(connect.password.as_ref().map(bugle_mqtt::Password::as_bytes), Some(b"secret".as_slice()));
    assert_eq!(connect.username, None);
    assert!(!format!("{connect:?}").contains("secret"));
}

#[test]
fn enhanced_authentication_is_refused() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { auth_method: Some("SCRAM-SHA-256".into()), ..connect_5() }.into());
    assert_eq!(client.replies(), [Reply::ConnectAck { code: 0x8C, session_present: false }]);
    assert_eq!(refused(&mut client), Refusal::AuthenticationMethod);
}

#[test]
fn a_client_that_takes_next_to_nothing_is_refused() {
    for (bytes_max, told) in [(limits::CLIENT_PACKET_BYTES_MIN - 1, true), (4, false)] {
        let mut client = Client::new(Version::Mqtt5);
        let max_packet_size = std::num::NonZeroU32::new(bytes_max);
        client.send_5(v5::Connect { max_packet_size, ..connect_5() }.into());
        assert_eq!(!client.replies().is_empty(), told);
        assert_eq!(refused(&mut client), Refusal::PacketSize);
    }
    let mut client = Client::new(Version::Mqtt5);
    let max_packet_size = std::num::NonZeroU32::new(limits::CLIENT_PACKET_BYTES_MIN);
    client.send_5(
        v5::Connect { max_packet_size, keep_alive: 0, session_expiry_interval_secs: u32::MAX, ..connect_5() }.into(),
    );
    client.accept(Resumption::New);
    assert_eq!(client.replies(), [Reply::ConnectAck { code: 0, session_present: false }]);
}

#[test]
fn a_client_is_told_what_it_gets_where_that_is_not_what_it_asked_for() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { keep_alive: 0, session_expiry_interval_secs: u32::MAX, ..connect_5() }.into());
    let Some(Event::Connect(connect)) = client.event() else { panic!("a CONNECT") };
    assert_eq!(
        (connect.keep_alive, connect.session_expiry),
        (Some(config().keep_alive_max), config().session_expiry_max)
    );
    client.accept(Resumption::New);
    client.replies();
    let ack = client.connect_ack.take().expect("a CONNACK");
    assert_eq!((ack.server_keepalive_sec, ack.session_expiry_interval_secs), (Some(600), Some(86_400)));
    assert_eq!((ack.receive_max.get(), ack.max_packet_size, ack.max_qos), (4, Some(4096), QoS::ExactlyOnce));
    assert!(!ack.retain_available && !ack.wildcard_subscription_available && !ack.shared_subscription_available);
    assert!(!ack.subscription_identifiers_available && ack.topic_alias_max == 0 && ack.assigned_client_id.is_none());

    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { keep_alive: 600, session_expiry_interval_secs: 60, ..connect_5() }.into());
    client.accept(Resumption::New);
    client.replies();
    let ack = client.connect_ack.expect("a CONNACK");
    assert_eq!((ack.server_keepalive_sec, ack.session_expiry_interval_secs), (None, None));
}

#[test]
fn the_owner_may_shorten_the_session_further() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { session_expiry_interval_secs: 3600, ..connect_5() }.into());
    let accept = bugle_mqtt::Accept { session: Resumption::New, session_expiry_max: Duration::from_secs(300) };
    client.connection.accept(client.now, accept);
    client.replies();
    assert_eq!(client.connect_ack.take().expect("a CONNACK").session_expiry_interval_secs, Some(300));
    client.events();
    client.connection.handle_lost();
    assert_eq!(client.closed().session_expiry, Duration::from_secs(300));
}

#[test]
fn a_3_1_1_session_outlives_its_connection_unless_it_is_clean() {
    for (clean_session, expiry) in [(true, Duration::ZERO), (false, config().session_expiry_max)] {
        let mut client = Client::new(Version::Mqtt311);
        client.send_311(v3::Connect { clean_session, ..connect_311() }.into());
        let Some(Event::Connect(connect)) = client.event() else { panic!("a CONNECT") };
        assert_eq!(connect.session_expiry, expiry);
    }
}

#[test]
fn a_resumed_session_is_subscribed_at_once() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        client.reconnect();
        client.accept(resumed());
        assert_eq!(client.replies(), [Reply::ConnectAck { code: 0, session_present: true }]);
        assert!(client.connection.is_subscribed());
        assert_eq!(client.connection.publish(&publication(7, b"on")), Ok(()));
    }
}

#[test]
fn a_clean_start_is_never_a_resumed_session() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        client.connect();
        client.accept(Resumption::Resumed { is_subscribed: true, exactly_once: vec![id(9)] });
        assert_eq!(client.replies(), [Reply::ConnectAck { code: 0, session_present: false }]);
        assert!(!client.connection.is_subscribed());
        assert_eq!(client.connection.exactly_once().count(), 0);
    }
}

#[test]
fn a_connection_without_connect_ends() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_bytes(&[0x10]);
    client.pass(config().connect_time - Duration::from_millis(1));
    assert!(!client.connection.is_closed());
    client.pass(Duration::from_millis(1));
    assert_eq!(client.replies(), []);
    assert_eq!(client.closed().reason, CloseReason::Fault(Fault::ConnectTime));
}

#[test]
fn whatever_is_no_connect_is_turned_away_at_the_first_byte() {
    for first in [0x16, b'G', 0x30, 0xC0, 0x00, 0x11] {
        let mut client = Client::new(Version::Mqtt5);
        client.send_bytes(&[first]);
        assert_eq!(client.replies(), []);
        assert!(matches!(client.closed().reason, CloseReason::Fault(Fault::Protocol(_))));
    }
}

#[test]
fn a_second_connect_breaks_the_protocol() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.connect();
        assert!(matches!(client.closed().reason, CloseReason::Fault(Fault::Protocol(_))));
    }
}

#[test]
fn a_decision_that_comes_too_late_changes_nothing() {
    let mut client = Client::new(Version::Mqtt5);
    client.connect();
    client.connection.handle_lost();
    client.accept(Resumption::New);
    client.connection.refuse(Refusal::Busy, "");
    assert_eq!(client.replies(), []);
    assert!(matches!(client.events().as_slice(), [Event::Connect(_), Event::Closed(_)]));
}
