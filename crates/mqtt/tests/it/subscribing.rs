//! SUBSCRIBE and UNSUBSCRIBE.

use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Event, Fault, Noise, limits};
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5;

use crate::client::{Client, REQUESTS, Reply, VERSIONS, id};

#[test]
fn the_suback_waits_until_the_subscription_is_recorded() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.subscribe(3, &[(REQUESTS, QoS::ExactlyOnce)]);
        assert_eq!(client.events(), [Event::Subscribe { packet_id: id(3) }]);
        assert_eq!(client.replies(), []);
        assert!(!client.connection.is_subscribed());
        client.acknowledge(3);
        assert_eq!(client.replies(), [Reply::SubscribeAck { id: 3, codes: vec![1] }], "QoS 1 is granted");
        assert!(client.connection.is_subscribed());
    }
}

#[test]
fn everything_but_its_requests_is_refused() {
    let filters = [
        ("bugle/meter-2/requests", 0x87),
        ("bugle/meter-1/reports/power", 0x87),
        ("bugle/meter-1/#", 0xA2),
        ("bugle/+/requests", 0xA2),
        ("$share/all/bugle/meter-1/requests", 0x9E),
    ];
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.subscribe(3, &filters.map(|(filter, _)| (filter, QoS::AtLeastOnce)));
        assert_eq!(client.events(), [Event::Noise(Noise::ForeignFilter)]);
        let codes = filters.map(|(_, code)| if version == Version::Mqtt5 { code } else { 0x80 });
        assert_eq!(client.replies(), [Reply::SubscribeAck { id: 3, codes: codes.into() }]);
    }
}

#[test]
fn a_subscription_without_acknowledgements_is_refused_and_told_why() {
    for (version, code) in [(Version::Mqtt311, 0x80), (Version::Mqtt5, 0x83)] {
        let mut client = Client::accepted(version);
        client.subscribe(3, &[(REQUESTS, QoS::AtMostOnce)]);
        assert_eq!(client.events(), [Event::Noise(Noise::ForeignFilter)]);
        assert_eq!(client.replies(), [Reply::SubscribeAck { id: 3, codes: vec![code] }]);
        if version == Version::Mqtt5 {
            let reason = client.reason.as_deref();
            assert_eq!(reason, Some("subscribe with QoS 1: receipts need acknowledgements"));
        }
    }
}

#[test]
fn of_several_filters_each_gets_its_own_code() {
    for (version, code) in [(Version::Mqtt311, 0x80), (Version::Mqtt5, 0x87)] {
        let mut client = Client::accepted(version);
        client.subscribe(3, &[("news", QoS::AtLeastOnce), (REQUESTS, QoS::AtLeastOnce)]);
        assert_eq!(client.events(), [Event::Noise(Noise::ForeignFilter), Event::Subscribe { packet_id: id(3) }]);
        client.acknowledge(3);
        assert_eq!(client.replies(), [Reply::SubscribeAck { id: 3, codes: vec![code, 1] }]);
        assert!(client.connection.is_subscribed());
    }
}

#[test]
fn after_unsubscribing_nothing_is_published() {
    for version in VERSIONS {
        let mut client = Client::subscribed(version);
        client.unsubscribe(4, REQUESTS);
        assert_eq!(client.events(), [Event::Unsubscribe { packet_id: id(4) }]);
        assert!(!client.connection.is_subscribed());
        assert_eq!(client.replies(), []);
        client.acknowledge(4);
        assert_eq!(client.replies(), [Reply::UnsubscribeAck { id: 4 }]);
        let codes: &[u8] = if version == Version::Mqtt5 { &[0] } else { &[] };
        assert_eq!(client.unsubscribe_codes, codes);
    }
}

#[test]
fn unsubscribing_from_nothing_is_answered_at_once() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.unsubscribe(4, REQUESTS);
        assert_eq!(client.events(), [Event::Noise(Noise::ForeignFilter)]);
        assert_eq!(client.replies(), [Reply::UnsubscribeAck { id: 4 }]);
        let codes: &[u8] = if version == Version::Mqtt5 { &[0x11] } else { &[] };
        assert_eq!(client.unsubscribe_codes, codes);
    }
}

#[test]
fn the_last_of_subscribing_and_unsubscribing_counts() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.subscribe(1, &[(REQUESTS, QoS::AtLeastOnce)]);
        client.unsubscribe(2, REQUESTS);
        client.acknowledge(1);
        client.acknowledge(2);
        assert!(!client.connection.is_subscribed());
        client.subscribe(3, &[(REQUESTS, QoS::AtLeastOnce)]);
        client.acknowledge(3);
        assert!(client.connection.is_subscribed());
    }
}

#[test]
fn a_subscription_identifier_is_a_fault_as_announced() {
    let mut client = Client::accepted(Version::Mqtt5);
    client.send_5(v5::Packet::Subscribe(v5::Subscribe {
        packet_id: std::num::NonZeroU16::MIN,
        id: Some(std::num::NonZeroU32::MIN),
        user_properties: Vec::new(),
        topic_filters: vec![(REQUESTS.into(), v5::SubscriptionOptions::default())],
    }));
    assert_eq!(client.replies(), [Reply::Disconnect { code: 0xA1 }]);
    assert_eq!(client.closed().reason, CloseReason::Fault(Fault::SubscriptionIdentifier));
}

#[test]
fn a_flood_of_subscriptions_closes_the_connection() {
    for (version, told) in [(Version::Mqtt5, true), (Version::Mqtt311, false)] {
        let mut client = Client::accepted(version);
        let max = if told { limits::SUBSCRIPTIONS_IN_FLIGHT_MAX } else { 4 };
        for number in 1..=u16::try_from(max).expect("small") {
            client.subscribe(number, &[(REQUESTS, QoS::AtLeastOnce)]);
        }
        assert_eq!(client.events().len(), max);
        client.subscribe(100, &[(REQUESTS, QoS::AtLeastOnce)]);
        if told {
            assert!(matches!(client.closed().reason, CloseReason::Fault(Fault::Quota(_))));
            assert_eq!(client.replies(), [Reply::Disconnect { code: 0x97 }]);
        } else {
            assert!(client.connection.is_paused(), "a 3.1.1 client waits, as with publications");
        }
    }
}

#[test]
fn an_answer_too_large_for_the_client_closes_the_connection() {
    let mut client = Client::new(Version::Mqtt5);
    let max_packet_size = std::num::NonZeroU32::new(limits::CLIENT_PACKET_BYTES_MIN);
    client.send_5(v5::Connect { max_packet_size, ..crate::client::connect_5() }.into());
    client.accept(bugle_mqtt::Resumption::New);
    assert!(matches!(client.event(), Some(Event::Connect(_))));
    client.replies();
    client.subscribe(1, &[("news", QoS::AtLeastOnce); 40]);
    assert_eq!(client.replies(), [Reply::SubscribeAck { id: 1, codes: vec![0x87; 40] }]);
    assert_eq!(client.reason, None, "there was no room for it");
    assert_eq!(client.events(), [Event::Noise(Noise::ForeignFilter)]);
    client.subscribe(2, &[("news", QoS::AtLeastOnce); 80]);
    assert_eq!(client.replies(), [Reply::Disconnect { code: 0x95 }]);
    assert_eq!(client.event(), Some(Event::Noise(Noise::ForeignFilter)));
    assert_eq!(client.closed().reason, CloseReason::Fault(Fault::AnswerTooLarge));
}
