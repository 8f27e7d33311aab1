//! What the peripheral publishes.

use std::num::{NonZeroU16, NonZeroU32};

use bugle_core::RequestId;
use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Delivery, Event, Fault, Noise, Publish, REFUSED, ReportName, Resumption, Topic, limits};
use bytes::Bytes;
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5;

use crate::client::{Client, REPORT, REQUESTS, Reply, VERSIONS, id, publish_5};

const FOREIGN: &str = "bugle/meter-2/reports/power";

fn report(delivery: Delivery) -> Event {
    Event::Publish(Publish {
        delivery,
        topic: Topic::Report(ReportName::new("power").expect("a name")),
        payload: Bytes::from_static(b"42"),
        content_type: "".into(),
        refusal: None,
    })
}

fn fault(client: &mut Client) -> Fault {
    match client.closed().reason {
        CloseReason::Fault(fault) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_publication_of_quality_of_service_0_just_comes() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.publish(0, QoS::AtMostOnce, REPORT);
        assert_eq!(client.events(), [report(Delivery::AtMostOnce)]);
        assert_eq!(client.replies(), []);
    }
}

#[test]
fn a_publication_of_quality_of_service_1_is_acknowledged_when_the_owner_says_so() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.publish(5, QoS::AtLeastOnce, REPORT);
        assert_eq!(client.events(), [report(Delivery::AtLeastOnce(id(5)))]);
        assert_eq!(client.replies(), []);
        client.acknowledge(5);
        assert_eq!(client.replies(), [Reply::PublishAck { id: 5, code: 0 }]);
        client.acknowledge(5);
        assert_eq!(client.replies(), [], "once");
    }
}

#[test]
fn a_publication_of_quality_of_service_2_comes_exactly_once() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.publish(5, QoS::ExactlyOnce, REPORT);
        client.publish(5, QoS::ExactlyOnce, REPORT);
        assert_eq!(client.events(), [report(Delivery::ExactlyOnce(id(5))), Event::Noise(Noise::Duplicate)]);
        assert_eq!(client.replies(), []);
        client.acknowledge(5);
        assert_eq!(client.replies(), [Reply::PublishReceived { id: 5, code: 0 }]);

        client.publish(5, QoS::ExactlyOnce, REPORT);
        assert_eq!(client.events(), [Event::Noise(Noise::Duplicate)]);
        assert_eq!(client.replies(), [Reply::PublishReceived { id: 5, code: 0 }]);
        assert_eq!(client.connection.exactly_once().collect::<Vec<_>>(), [id(5)]);

        client.publish_release(5);
        client.publish_release(5);
        assert_eq!(client.connection.exactly_once().count(), 0);
        assert_eq!(client.events(), [Event::Released { packet_id: id(5) }, Event::Noise(Noise::Duplicate)]);
        assert_eq!(client.replies(), []);
        client.acknowledge(5);
        assert_eq!(client.replies(), [Reply::PublishComplete { id: 5, code: 0 }]);

        client.publish(5, QoS::ExactlyOnce, REPORT);
        assert_eq!(client.events(), [report(Delivery::ExactlyOnce(id(5)))], "the id is free again");
    }
}

#[test]
fn a_publication_recorded_on_an_earlier_connection_is_not_told_again() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        client.reconnect();
        client.accept(Resumption::Resumed { is_subscribed: false, exactly_once: vec![id(5), id(6)] });
        assert!(matches!(client.events().as_slice(), [Event::Connect(_)]));
        client.replies();
        client.publish(5, QoS::ExactlyOnce, REPORT);
        client.publish_release(6);
        assert_eq!(client.events(), [Event::Noise(Noise::Duplicate), Event::Released { packet_id: id(6) }]);
        client.acknowledge(6);
        let replies = [Reply::PublishReceived { id: 5, code: 0 }, Reply::PublishComplete { id: 6, code: 0 }];
        assert_eq!(client.replies(), replies);
    }
}

#[test]
fn ids_that_are_not_released_are_known_after_the_end() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.publish(5, QoS::ExactlyOnce, REPORT);
        client.disconnect();
        assert_eq!(client.connection.exactly_once().collect::<Vec<_>>(), [id(5)]);
    }
}

#[test]
fn what_is_held_under_an_id_outlives_the_fault_of_using_it_again() {
    for version in VERSIONS {
        for subscribe in [true, false] {
            let mut client = Client::new(version);
            client.reconnect();
            client.accept(Resumption::Resumed { is_subscribed: true, exactly_once: vec![id(5)] });
            match subscribe {
                true => client.subscribe(5, &[(REQUESTS, QoS::AtLeastOnce)]),
                false => client.publish(5, QoS::AtLeastOnce, REPORT),
            }
            assert!(client.connection.is_closed());
            assert_eq!(client.connection.exactly_once().collect::<Vec<_>>(), [id(5)]);
        }
    }
}

#[test]
fn an_answer_may_be_a_refusal() {
    let mut client = Client::accepted(Version::Mqtt5);
    let user_properties = vec![("site".into(), "east".into()), (REFUSED.into(), "valve stuck".into())];
    let properties = v5::PublishProperties { user_properties, ..Default::default() };
    client.send_publish(publish_5(3, QoS::AtLeastOnce, properties));
    let Some(Event::Publish(publish)) = client.event() else { panic!("an answer") };
    assert_eq!(publish.refusal.as_deref(), Some("valve stuck"));
}

#[test]
fn a_release_of_nothing_is_completed_all_the_same() {
    for (version, code) in [(Version::Mqtt311, 0), (Version::Mqtt5, 0x92)] {
        let mut client = Client::accepted(version);
        client.publish_release(5);
        assert_eq!(client.events(), [Event::Noise(Noise::UnknownPacketId)]);
        assert_eq!(client.replies(), [Reply::PublishComplete { id: 5, code }]);
    }
}

#[test]
fn an_answer_names_its_request_and_its_content_type() {
    let request = RequestId::from_number(77).expect("63 bits");
    let mut client = Client::accepted(Version::Mqtt5);
    let properties =
        v5::PublishProperties { content_type: Some("application/json".into()), ..v5::PublishProperties::default() };
    let topic = format!("bugle/meter-1/responses/{request}").into();
    let publish = rmqtt_codec::types::Publish { topic, ..publish_5(3, QoS::AtLeastOnce, properties) };
    client.send_publish(publish);
    let Some(Event::Publish(publish)) = client.event() else { panic!("an answer") };
    assert_eq!((publish.topic, &*publish.content_type), (Topic::Response(request), "application/json"));
}

#[test]
fn a_foreign_topic_is_refused_in_mqtt_5() {
    let mut client = Client::accepted(Version::Mqtt5);
    client.publish(0, QoS::AtMostOnce, FOREIGN);
    client.publish(1, QoS::AtLeastOnce, FOREIGN);
    client.publish(2, QoS::ExactlyOnce, FOREIGN);
    client.publish(3, QoS::AtLeastOnce, "bugle/meter-1/responses/what");
    assert_eq!(client.events(), vec![Event::Noise(Noise::ForeignTopic); 4]);
    let replies = [
        Reply::PublishAck { id: 1, code: 0x87 },
        Reply::PublishReceived { id: 2, code: 0x87 },
        Reply::PublishAck { id: 3, code: 0x90 },
    ];
    assert_eq!(client.replies(), replies);
    assert!(client.reason.as_deref().is_some_and(|reason| reason.contains("request id")));
    assert!(!client.connection.is_closed());
    client.publish(2, QoS::ExactlyOnce, REPORT);
    assert_eq!(client.events(), [report(Delivery::ExactlyOnce(id(2)))], "a refused id is free");
}

#[test]
fn a_foreign_topic_closes_a_3_1_1_connection_that_waits_for_an_answer() {
    for qos in [QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut client = Client::accepted(Version::Mqtt311);
        client.publish(0, QoS::AtMostOnce, FOREIGN);
        assert_eq!(client.events(), [Event::Noise(Noise::ForeignTopic)]);
        client.publish(1, qos, FOREIGN);
        assert_eq!(client.event(), Some(Event::Noise(Noise::ForeignTopic)));
        assert_eq!(fault(&mut client), Fault::Topic);
        assert_eq!(client.replies(), []);
    }
}

#[test]
fn reasons_are_kept_from_whom_they_do_not_interest() {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { request_problem_info: false, ..crate::client::connect_5() }.into());
    client.accept(Resumption::New);
    client.publish(1, QoS::AtLeastOnce, FOREIGN);
    assert_eq!(client.replies().last(), Some(&Reply::PublishAck { id: 1, code: 0x87 }));
    assert_eq!(client.reason, None);
}

#[test]
fn an_mqtt_5_client_that_exceeds_the_receive_maximum_is_at_fault() {
    let mut client = Client::accepted(Version::Mqtt5);
    for number in 1..=4 {
        client.publish(number, if number % 2 == 0 { QoS::AtLeastOnce } else { QoS::ExactlyOnce }, REPORT);
    }
    assert_eq!(client.events().len(), 4);
    client.acknowledge(2);
    client.publish(5, QoS::AtLeastOnce, REPORT);
    assert_eq!(client.events().len(), 1, "there was room for one again");
    client.publish(6, QoS::AtLeastOnce, REPORT);
    assert_eq!(client.replies(), [Reply::PublishAck { id: 2, code: 0 }, Reply::Disconnect { code: 0x93 }]);
    assert_eq!(fault(&mut client), Fault::ReceiveMaximum);
}

#[test]
fn unreleased_publications_are_bounded() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        for number in 1..=8 {
            client.publish(number, QoS::ExactlyOnce, REPORT);
            client.acknowledge(number);
        }
        assert_eq!(client.events().len(), 8);
        client.publish(9, QoS::ExactlyOnce, REPORT);
        assert_eq!(fault(&mut client), Fault::ReceiveMaximum);
    }
}

#[test]
fn a_3_1_1_client_waits_while_as_much_is_in_flight_as_is_taken() {
    let mut client = Client::accepted(Version::Mqtt311);
    for number in 1..=7 {
        client.publish(number, QoS::AtLeastOnce, REPORT);
    }
    client.ping();
    assert!(client.connection.is_paused());
    assert_eq!(client.connection.next_timeout(), None, "it is not at fault for being waited on");
    assert_eq!(client.events().len(), 4);
    client.acknowledge(1);
    assert!(client.connection.is_paused());
    assert_eq!(client.events(), [report(Delivery::AtLeastOnce(id(5)))]);
    for number in 2..=4 {
        client.acknowledge(number);
    }
    assert!(!client.connection.is_paused());
    let rest = [report(Delivery::AtLeastOnce(id(6))), report(Delivery::AtLeastOnce(id(7))), Event::Ping];
    assert_eq!(client.events(), rest);
    assert_eq!(client.replies().last(), Some(&Reply::Ping));
}

#[test]
fn whoever_ignores_the_pause_is_cut_off() {
    let mut client = Client::accepted(Version::Mqtt311);
    for number in 1..=4 {
        client.publish(number, QoS::AtLeastOnce, REPORT);
    }
    assert_eq!(client.events().len(), 4);
    client.send_bytes(&vec![0xC0; limits::PAUSED_BYTES_MAX]);
    assert!(!client.connection.is_closed());
    client.send_bytes(&[0]);
    assert!(matches!(fault(&mut client), Fault::Quota(_)));
}

#[test]
fn a_packet_id_in_use_is_not_used_again() {
    for version in VERSIONS {
        for (first, second) in [(QoS::AtLeastOnce, QoS::AtLeastOnce), (QoS::AtLeastOnce, QoS::ExactlyOnce)] {
            let mut client = Client::accepted(version);
            client.publish(1, first, REPORT);
            assert_eq!(client.events().len(), 1);
            client.publish(1, second, REPORT);
            assert!(matches!(fault(&mut client), Fault::Protocol(_)));
        }
    }
}

#[test]
fn a_retransmission_of_what_is_in_flight_is_no_second_publication() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.publish(1, QoS::AtLeastOnce, REPORT);
        client.send_publish(rmqtt_codec::types::Publish {
            dup: true,
            ..publish_5(1, QoS::AtLeastOnce, v5::PublishProperties::default())
        });
        assert_eq!(client.events(), [report(Delivery::AtLeastOnce(id(1))), Event::Noise(Noise::Duplicate)]);
        client.acknowledge(1);
        assert_eq!(client.replies(), [Reply::PublishAck { id: 1, code: 0 }]);
    }
}

#[test]
fn what_was_announced_as_not_taken_is_a_fault() {
    let retained = rmqtt_codec::types::Publish { retain: true, ..publish_5(1, QoS::AtLeastOnce, Default::default()) };
    let aliased = v5::PublishProperties { topic_alias: NonZeroU16::new(1), ..Default::default() };
    let identified = v5::PublishProperties { subscription_ids: vec![NonZeroU32::MIN], ..Default::default() };
    let nameless =
        rmqtt_codec::types::Publish { topic: "".into(), ..publish_5(1, QoS::AtLeastOnce, Default::default()) };
    for (publish, code) in [
        (retained, 0x9A),
        (publish_5(1, QoS::AtMostOnce, aliased), 0x94),
        (publish_5(1, QoS::AtMostOnce, identified), 0x82),
        (nameless, 0x82),
    ] {
        let mut client = Client::accepted(Version::Mqtt5);
        client.send_publish(publish);
        assert_eq!(client.replies(), [Reply::Disconnect { code }]);
        fault(&mut client);
    }
}

#[test]
fn a_retain_flag_in_3_1_1_means_nothing() {
    let mut client = Client::accepted(Version::Mqtt311);
    client.send_publish(rmqtt_codec::types::Publish {
        retain: true,
        ..publish_5(1, QoS::AtLeastOnce, Default::default())
    });
    assert_eq!(client.events(), [report(Delivery::AtLeastOnce(id(1)))]);
}

#[test]
fn text_that_is_no_text_is_refused() {
    let mut client = Client::accepted(Version::Mqtt5);
    let properties = v5::PublishProperties { is_utf8_payload: true, ..Default::default() };
    for (number, qos) in [(0, QoS::AtMostOnce), (1, QoS::AtLeastOnce), (2, QoS::ExactlyOnce)] {
        let payload = Bytes::from_static(&[0xFF]);
        client.send_publish(rmqtt_codec::types::Publish { payload, ..publish_5(number, qos, properties.clone()) });
    }
    assert_eq!(client.events(), vec![Event::Noise(Noise::PayloadFormat); 3]);
    let replies = [Reply::PublishAck { id: 1, code: 0x99 }, Reply::PublishReceived { id: 2, code: 0x99 }];
    assert_eq!(client.replies(), replies);
}

#[test]
fn a_packet_larger_than_announced_is_a_fault() {
    for version in VERSIONS {
        let mut client = Client::accepted(version);
        client.send_bytes(&[0x30, 0x80, 0x20]);
        assert_eq!(fault(&mut client), Fault::PacketTooLarge);
        let told: &[Reply] = match version {
            Version::Mqtt311 => &[],
            Version::Mqtt5 => &[Reply::Disconnect { code: 0x95 }],
        };
        assert_eq!(client.replies(), told);
    }
}
