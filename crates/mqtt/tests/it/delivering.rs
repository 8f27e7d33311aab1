//! Requests to the peripheral.

use std::num::{NonZeroU16, NonZeroU32};

use bugle_mqtt::Version;
use bugle_mqtt::{CloseReason, Event, Fault, Noise, Publication, PublishError, Resumption, Transmission, limits};
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5;

use crate::client::{Client, REQUESTS, Reply, VERSIONS, connect_5, id, publication, request, resumed};

fn with_connect(connect: v5::Connect) -> Client {
    let mut client = Client::new(Version::Mqtt5);
    client.send_5(v5::Connect { clean_start: false, ..connect }.into());
    client.accept(resumed());
    client.events();
    client.replies();
    client
}

#[test]
fn a_request_is_delivered_once_it_is_acknowledged() {
    for version in VERSIONS {
        let mut client = Client::subscribed(version);
        assert_eq!(client.connection.publish(&publication(7, b"on")), Ok(()));
        let replies = client.replies();
        let [Reply::Publish(publish)] = replies.as_slice() else { panic!("{replies:?}") };
        assert_eq!((publish.qos, publish.dup, publish.retain), (QoS::AtLeastOnce, false, false));
        assert_eq!((&*publish.topic, publish.packet_id), (REQUESTS, NonZeroU16::new(7)));
        assert_eq!(&*publish.payload, b"on");
        client.publish_ack(7);
        assert_eq!(client.events(), [Event::Delivered { packet_id: id(7) }]);
    }
}

#[test]
fn an_mqtt_5_client_is_told_where_to_answer() {
    let mut client = Client::subscribed(Version::Mqtt5);
    client.connection.publish(&publication(7, b"on")).expect("published");
    let Some(Reply::Publish(publish)) = client.replies().pop() else { panic!("a request") };
    let properties = publish.properties.expect("MQTT 5 has properties");
    assert_eq!(properties.response_topic.as_deref(), Some(&*format!("bugle/meter-1/responses/{}", request())));
    assert_eq!(properties.correlation_data.as_deref(), Some(request().to_string().as_bytes()));
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(properties.message_expiry_interval, NonZeroU32::new(60), "a second that has begun counts");
}

#[test]
fn a_request_without_time_left_still_has_a_second() {
    let mut client = Client::subscribed(Version::Mqtt5);
    let message_expiry = std::time::Duration::ZERO;
    client.connection.publish(&Publication { message_expiry, ..publication(7, b"on") }).expect("published");
    let Some(Reply::Publish(publish)) = client.replies().pop() else { panic!("a request") };
    assert_eq!(publish.properties.expect("properties").message_expiry_interval, NonZeroU32::new(1));
}

#[test]
fn a_retransmission_says_so() {
    for version in VERSIONS {
        let mut client = Client::subscribed(version);
        let again = Publication { transmission: Transmission::Again, ..publication(7, b"on") };
        assert_eq!(client.connection.publish(&again), Ok(()));
        assert!(matches!(client.replies().as_slice(), [Reply::Publish(publish)] if publish.dup));
    }
}

#[test]
fn a_refused_request_is_told_with_code_and_reason() {
    let mut client = Client::subscribed(Version::Mqtt5);
    client.connection.publish(&publication(7, b"on")).expect("published");
    client.send_5(v5::Packet::PublishAck(v5::PublishAck {
        packet_id: NonZeroU16::new(7).expect("not zero"),
        reason_code: v5::PublishAckReason::QuotaExceeded,
        reason_string: Some("busy".into()),
        properties: Vec::new(),
    }));
    assert_eq!(client.events(), [Event::Refused { packet_id: id(7), code: 0x97, reason: "busy".into() }]);
}

#[test]
fn an_acknowledgement_of_nothing_is_noise() {
    for version in VERSIONS {
        let mut client = Client::subscribed(version);
        client.publish_ack(7);
        client.connection.publish(&publication(7, b"on")).expect("published");
        client.publish_ack(7);
        client.publish_ack(7);
        let noise = Event::Noise(Noise::UnknownPacketId);
        assert_eq!(client.events(), [noise.clone(), Event::Delivered { packet_id: id(7) }, noise]);
    }
}

#[test]
fn a_client_that_has_not_subscribed_gets_nothing() {
    for version in VERSIONS {
        let mut client = Client::new(version);
        assert_eq!(client.connection.publish(&publication(7, b"on")), Err(PublishError::NotConnected));
        client.connect();
        assert_eq!(client.connection.publish(&publication(7, b"on")), Err(PublishError::NotConnected));
        client.accept(Resumption::New);
        assert_eq!(client.connection.publish(&publication(7, b"on")), Err(PublishError::NotSubscribed));
        client.connection.handle_lost();
        assert_eq!(client.connection.publish(&publication(7, b"on")), Err(PublishError::NotConnected));
    }
}

#[test]
fn no_more_is_in_flight_than_the_client_takes() {
    let mut client = with_connect(v5::Connect { receive_max: NonZeroU16::new(2), ..connect_5() });
    for number in 1..=2 {
        assert_eq!(client.connection.publish(&publication(number, b"on")), Ok(()));
    }
    assert_eq!(client.connection.publish(&publication(2, b"on")), Err(PublishError::InFlight(id(2))));
    assert_eq!(client.connection.publish(&publication(3, b"on")), Err(PublishError::ReceiveMaximum));
    client.publish_ack(1);
    assert_eq!(client.connection.publish(&publication(3, b"on")), Ok(()));

    let mut client = Client::subscribed(Version::Mqtt311);
    let max = u16::try_from(limits::DELIVERIES_IN_FLIGHT_MAX).expect("small");
    for number in 1..=max {
        assert_eq!(client.connection.publish(&publication(number, b"on")), Ok(()));
    }
    assert_eq!(client.connection.publish(&publication(max + 1, b"on")), Err(PublishError::ReceiveMaximum));
}

#[test]
fn a_request_that_the_client_cannot_take_is_not_sent() {
    let mut client = with_connect(v5::Connect { max_packet_size: NonZeroU32::new(200), ..connect_5() });
    let fits = [0; 80];
    assert_eq!(client.connection.publish(&publication(1, &fits)), Ok(()));
    assert!(matches!(client.replies().as_slice(), [Reply::Publish(_)]));
    let error = client.connection.publish(&publication(2, &[0; 200])).expect_err("too large");
    assert!(matches!(error, PublishError::TooLarge { bytes: 201.., bytes_max: 200 }), "{error:?}");
    assert_eq!(client.replies(), []);
    assert_eq!(client.connection.publish(&publication(2, &fits)), Ok(()), "the id was not taken");
}

#[test]
fn a_content_type_longer_than_mqtt_can_say_is_not_sent() {
    let mut client = Client::subscribed(Version::Mqtt5);
    let content_type = "x".repeat(65_536);
    let publication = Publication { content_type: &content_type, ..publication(1, b"on") };
    assert!(matches!(client.connection.publish(&publication), Err(PublishError::TooLarge { .. })));
    assert_eq!(client.replies(), []);
}

#[test]
fn acknowledgements_of_quality_of_service_2_break_the_protocol() {
    for version in VERSIONS {
        for first in [0x50, 0x70] {
            let mut client = Client::subscribed(version);
            client.connection.publish(&publication(7, b"on")).expect("published");
            client.send_bytes(&[first, 2, 0, 7]);
            assert!(matches!(client.closed().reason, CloseReason::Fault(Fault::Protocol(_))));
        }
    }
}
