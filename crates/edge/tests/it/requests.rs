//! Group requests to MQTT peripherals.

use std::time::Duration;

use bugle_core::{Allocation, Content, Outcome, Receipt, State, Waker};
use rmqtt_codec::types::{Publish, QoS};
use rmqtt_codec::v5;

use super::world::{World, allocation, connect, peripheral};

#[test]
fn a_request_is_json_with_its_id_and_where_to_answer() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    let id = world.request(4711, Receipt::Executed);
    let requests = world.requests(connection);
    assert_eq!(requests.len(), 1);
    let json =
        format!(r#"{{"request":"{id}","do":"message","content":{{"content_type":"text/plain","text":"hello"}}}}"#);
    assert_eq!(requests[0].payload, json.as_bytes());
    let properties = requests[0].properties.clone().expect("MQTT 5 has properties");
    assert_eq!(properties.response_topic.as_deref(), Some(format!("bugle/p/responses/{id}").as_str()));
    assert_eq!(properties.correlation_data.as_deref(), Some(id.to_string().as_bytes()));
    assert_eq!(properties.content_type.as_deref(), Some("application/json"));
}

#[test]
fn an_answer_is_acknowledged_when_it_is_durable() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    let id = world.request(1, Receipt::Executed);
    let request = world.requests(connection).remove(0);
    world.acknowledge(connection, &request);
    world.is_disk_slow = true;
    world.publish(connection, QoS::AtLeastOnce, format!("bugle/p/responses/{id}"), "done");
    assert_eq!(world.replies(connection), []);
    world.is_disk_slow = false;
    world.run();
    assert!(matches!(world.replies(connection).as_slice(), [v5::Packet::PublishAck(_)]));
    let content = Content { content_type: String::new(), bytes: b"done".to_vec() };
    assert_eq!(world.outcomes(id), [(peripheral("p"), Outcome::Executed { answer: content })]);
}

#[test]
fn a_peripheral_refuses_with_its_acknowledgement_or_in_its_answer() {
    let mut world = World::new(&["p", "q"]);
    let p = world.join("p");
    let q = world.join("q");
    world.replies(p);
    world.replies(q);
    let id = world.request(1, Receipt::Executed);
    let at_p = world.requests(p).remove(0);
    let no = v5::PublishAck {
        packet_id: at_p.packet_id.expect("quality of service 1"),
        reason_code: v5::PublishAckReason::ImplementationSpecificError,
        reason_string: Some("no such object".into()),
        ..v5::PublishAck::default()
    };
    world.send(p, v5::Packet::PublishAck(no));
    let at_q = world.requests(q).remove(0);
    world.acknowledge(q, &at_q);
    let properties = v5::PublishProperties {
        user_properties: vec![(bugle_mqtt::REFUSED.into(), "locked".into())],
        ..v5::PublishProperties::default()
    };
    let topic = format!("bugle/q/responses/{id}").into();
    let answer = Publish { topic, properties: Some(properties), payload: bytes::Bytes::new(), ..at_q };
    world.send(q, v5::Packet::from(answer));
    let refused = |code: &str, reason: &str| Outcome::Refused { code: code.into(), reason: reason.into() };
    let expected =
        [(peripheral("p"), refused("0x83", "no such object")), (peripheral("q"), refused("refused", "locked"))];
    assert_eq!(world.outcomes(id), expected);
}

#[test]
fn a_sleeper_gets_its_queue_in_order_when_it_is_back() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.send(connection, v5::Packet::Disconnect(v5::Disconnect::default()));
    let ids = [1, 2, 3].map(|number| world.request(number, Receipt::Delivered));
    assert_eq!(world.state("p"), Some(State::Activating));
    let connection = world.open();
    world.send(connection, connect("p"));
    for id in ids {
        let requests = world.requests(connection);
        assert_eq!(requests.len(), 1, "one in flight");
        assert!(String::from_utf8_lossy(&requests[0].payload).contains(&id.to_string()));
        assert!(!requests[0].dup);
        world.acknowledge(connection, &requests[0]);
        assert_eq!(world.outcomes(id), [(peripheral("p"), Outcome::Delivered)]);
    }
    world.pass(Duration::from_secs(1));
}

#[test]
fn a_wake_up_says_whom_it_is_to_wake_and_how() {
    let waker: Waker = "exec wake {peripheral}".parse().expect("a waker");
    let mut world = World::of(vec![Allocation { waker: waker.clone(), ..allocation("p") }]);
    let connection = world.join("p");
    world.send(connection, v5::Packet::Disconnect(v5::Disconnect::default()));
    world.request(1, Receipt::Delivered);
    let [call] = &world.wake_calls[..] else { panic!("one wake-up: {:?}", world.wake_calls) };
    assert_eq!((&call.peripheral, &call.waker, call.tries), (&peripheral("p"), &waker, 1));
    let (slot, wake_up) = (call.slot, call.wake_up);
    world.edge.handle_wake_failed(world.now, slot, wake_up);
    world.pass(Duration::from_secs(60));
    assert_eq!(world.wake_calls.len(), 2);
}

#[test]
fn what_was_not_acknowledged_is_sent_again_with_the_same_packet_id() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    world.request(1, Receipt::Delivered);
    let first = world.requests(connection).remove(0);
    world.edge.handle_closed(world.now, connection);
    let connection = world.open();
    world.send(connection, connect("p"));
    let again = world.requests(connection).remove(0);
    assert_eq!((again.packet_id, again.dup), (first.packet_id, true));
}

#[test]
fn in_a_new_session_a_request_is_new_and_names_itself() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    let id = world.request(1, Receipt::Delivered);
    world.edge.handle_closed(world.now, connection);
    let (connection, _) = world.connect_with(v5::Connect { clean_start: true, ..connect("p") });
    assert_eq!(world.requests(connection), [], "it has not subscribed in this session");
    world.subscribe(connection, "p");
    let again = world.requests(connection).remove(0);
    assert!(!again.dup);
    assert!(String::from_utf8_lossy(&again.payload).contains(&id.to_string()));
}

#[test]
fn a_request_too_large_for_a_client_is_refused_for_it() {
    let mut world = World::new(&["p"]);
    let max = std::num::NonZeroU32::new(100);
    let (connection, _) = world.connect_with(v5::Connect { max_packet_size: max, ..connect("p") });
    world.subscribe(connection, "p");
    let id = world.request(1, Receipt::Delivered);
    assert!(matches!(world.outcomes(id).as_slice(), [(_, Outcome::Refused { code, .. })] if code == "0x95"));
}

#[test]
fn a_peripheral_that_does_not_acknowledge_is_disconnected_and_tried_again() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    world.request(1, Receipt::Delivered);
    world.pass(Duration::from_secs(29));
    world.send(connection, v5::Packet::PingRequest);
    world.pass(Duration::from_secs(1));
    assert!(world.is_closed(connection));
    let connection = world.open();
    world.send(connection, connect("p"));
    assert!(world.requests(connection)[0].dup);
}

#[test]
fn a_report_of_quality_two_counts_once_however_often_it_is_sent() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    world.publish(connection, QoS::ExactlyOnce, "bugle/p/reports/power".into(), "7");
    assert!(matches!(world.replies(connection).as_slice(), [v5::Packet::PublishReceived(_)]));
    world.crash();
    let connection = world.open();
    world.send(connection, connect("p"));
    world.publish(connection, QoS::ExactlyOnce, "bugle/p/reports/power".into(), "7");
    let acknowledged =
        |packets: &[v5::Packet]| packets.iter().any(|packet| matches!(packet, v5::Packet::PublishReceived(_)));
    assert!(acknowledged(&world.replies(connection)));
    assert_eq!(world.reports().len(), 1);
}
