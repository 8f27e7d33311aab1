//! Connecting is registering, leaving the session behind is standby, leaving with it deregistering.

use std::time::Duration;

use bugle_core::certificate::CertificateChain;
use bugle_core::{Allocation, Credential, DownEntry, Outcome, Receipt, State};
use bugle_edge::Store;
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5;

use super::world::{World, allocation, connect, peripheral};

#[test]
fn a_connack_waits_for_the_application() {
    let mut world = World::new(&["p"]);
    let (_, ack) = world.connect_with(connect("p"));
    assert_eq!((u8::from(ack.reason_code), ack.session_present), (0, false));
    assert_eq!(world.state("p"), Some(State::Active));
}

#[test]
fn a_stranger_is_refused() {
    let mut world = World::new(&[]);
    let (connection, ack) = world.connect_with(connect("nobody"));
    assert_eq!(u8::from(ack.reason_code), 0x87);
    assert!(world.is_closed(connection));
}

#[test]
fn a_certificate_counts_where_the_allocation_wants_one() {
    let wanted = Some(Credential::Certificate { subject: None });
    let mut world = World::of(vec![Allocation { credential: wanted, ..allocation("p") }, allocation("q")]);
    let somebodys = CertificateChain::new([vec![0x30, 0]]).expect("a chain");
    for (id, shows, state) in
        [("p", false, State::Allocated), ("p", true, State::Allocated), ("q", true, State::Registering)]
    {
        let connection = world.open();
        if shows {
            world.edge.handle_certificates(connection, somebodys.clone());
        }
        world.send(connection, connect(id));
        assert_eq!(world.state(id), Some(state), "{id}");
        assert_eq!(world.is_closed(connection), state == State::Allocated);
    }
}

#[test]
fn leaving_the_session_behind_is_standby() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.send(connection, v5::Packet::Disconnect(v5::Disconnect::default()));
    assert_eq!(world.state("p"), Some(State::Standby));
    let (_, ack) = world.connect_with(connect("p"));
    assert!(ack.session_present);
    assert_eq!(world.state("p"), Some(State::Active));
    world.pass(Duration::from_secs(1));
}

#[test]
fn a_session_that_is_over_was_a_registration() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.send(connection, v5::Packet::Disconnect(v5::Disconnect::default()));
    world.pass(Duration::from_secs(3601));
    assert_eq!(world.state("p"), Some(State::Allocated));
    let (_, ack) = world.connect_with(connect("p"));
    assert!(!ack.session_present);
}

#[test]
fn disconnecting_without_a_session_is_deregistering() {
    let mut world = World::new(&["p"]);
    let (connection, _) = world.connect_with(v5::Connect { session_expiry_interval_secs: 0, ..connect("p") });
    world.send(connection, v5::Packet::Disconnect(v5::Disconnect::default()));
    assert_eq!(world.state("p"), Some(State::Allocated));
}

#[test]
fn a_broken_connection_is_standby_once_the_keep_alive_has_run_out() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.edge.handle_closed(world.now, connection);
    world.run();
    world.pass(Duration::from_secs(89));
    assert_eq!(world.state("p"), Some(State::Active));
    world.pass(Duration::from_secs(1));
    assert_eq!(world.state("p"), Some(State::Standby));
}

#[test]
fn a_silent_connection_is_closed_and_the_peripheral_in_standby() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.pass(Duration::from_secs(90));
    assert!(world.is_closed(connection));
    assert_eq!(world.state("p"), Some(State::Standby));
}

#[test]
fn a_standby_notice_lasts_until_the_next_word() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.publish(connection, QoS::AtLeastOnce, "bugle/p/standby".into(), "120");
    assert!(matches!(world.replies(connection).last(), Some(v5::Packet::PublishAck(_))));
    assert_eq!(world.state("p"), Some(State::Standby));
    world.send(connection, v5::Packet::PingRequest);
    assert_eq!(world.state("p"), Some(State::Active));
}

#[test]
fn a_deregistration_notice_is_acknowledged_and_ends_the_registration() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.publish(connection, QoS::AtLeastOnce, "bugle/p/deregister".into(), "");
    assert!(matches!(world.replies(connection).last(), Some(v5::Packet::PublishAck(_))));
    assert_eq!(world.state("p"), Some(State::Allocated));
    world.subscribe(connection, "p");
    assert!(world.is_closed(connection), "who has left has nothing more to say");
}

#[test]
fn a_peripheral_that_says_more_before_it_knows_that_it_has_left_is_told_so() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.is_disk_slow = true;
    world.publish(connection, QoS::AtLeastOnce, "bugle/p/deregister".into(), "");
    world.publish_as(78, connection, QoS::AtLeastOnce, "bugle/p/reports/count".into(), "1");
    assert!(!world.is_closed(connection));
    world.is_disk_slow = false;
    world.run();
    let replies = world.replies(connection);
    assert!(matches!(
        &replies[..],
        [.., v5::Packet::PublishAck(ack), v5::Packet::Disconnect(_)] if ack.packet_id.get() == 77
    ));
    assert!(world.is_closed(connection), "what it said last is not taken, and it is not left waiting for that");
    assert_eq!(world.reports(), []);
}

#[test]
fn a_report_that_comes_while_the_end_of_its_registration_waits_for_the_disk_is_not_acknowledged() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    world.is_disk_slow = true;
    world.down(DownEntry::Block { peripheral: peripheral("p") });
    world.publish_as(78, connection, QoS::AtLeastOnce, "bugle/p/reports/count".into(), "1");
    world.publish_as(79, connection, QoS::AtLeastOnce, "bugle/p/deregister".into(), "");
    world.is_disk_slow = false;
    world.run();
    let replies = world.replies(connection);
    assert!(matches!(
        &replies[..],
        [v5::Packet::PublishAck(ack), v5::Packet::Disconnect(_)] if ack.packet_id.get() == 79
    ));
    assert!(world.is_closed(connection), "it is not left waiting for the other acknowledgement");
    assert_eq!(world.reports(), []);
}

#[test]
fn a_peripheral_that_has_left_and_says_no_more_may_stay_connected() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.publish(connection, QoS::AtLeastOnce, "bugle/p/deregister".into(), "");
    assert!(matches!(world.replies(connection).last(), Some(v5::Packet::PublishAck(_))));
    assert!(!world.is_closed(connection));
}

#[test]
fn who_answers_and_leaves_before_it_acknowledges_hears_that_both_are_taken() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    let id = world.request(1, Receipt::Executed);
    world.replies(connection);
    world.publish_as(78, connection, QoS::AtLeastOnce, format!("bugle/p/responses/{id}"), "done");
    assert_eq!(world.replies(connection), []);
    world.publish_as(79, connection, QoS::AtLeastOnce, "bugle/p/deregister".into(), "");
    let replies = world.replies(connection);
    assert!(matches!(
        &replies[..],
        [v5::Packet::PublishAck(answer), v5::Packet::PublishAck(leaving)]
            if (answer.packet_id.get(), leaving.packet_id.get()) == (78, 79)
    ));
    assert!(matches!(world.only_outcome(id), Outcome::Executed { .. }));
}

#[test]
fn connecting_twice_takes_the_session_over() {
    let mut world = World::new(&["p"]);
    let first = world.join("p");
    let second = world.join("p");
    assert!(world.is_closed(first));
    assert!(
        matches!(world.replies(first).last(), Some(v5::Packet::Disconnect(end)) if u8::from(end.reason_code) == 0x8E)
    );
    assert!(!world.is_closed(second));
    assert_eq!(world.state("p"), Some(State::Active));
}

#[test]
fn blocking_disconnects() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.down(DownEntry::Block { peripheral: peripheral("p") });
    assert!(world.is_closed(connection));
    assert!(
        matches!(world.replies(connection).last(), Some(v5::Packet::Disconnect(end)) if u8::from(end.reason_code) == 0x98)
    );
    let (_, ack) = world.connect_with(connect("p"));
    assert_eq!(u8::from(ack.reason_code), 0x8A);
}

#[test]
fn a_peripheral_put_into_standby_keeps_its_session() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.down(DownEntry::Standby { peripheral: peripheral("p") });
    assert!(world.is_closed(connection));
    assert_eq!(world.state("p"), Some(State::Standby));
    let (_, ack) = world.connect_with(connect("p"));
    assert!(ack.session_present);
}

#[test]
fn who_goes_before_the_answer_is_not_registered() {
    let mut world = World::new(&["p"]);
    let connection = world.open();
    world.send(connection, connect("p"));
    world.edge.handle_closed(world.now, connection);
    world.run();
    assert_eq!(world.state("p"), Some(State::Allocated));
}

#[test]
fn who_goes_while_the_yes_is_being_persisted_is_registered_and_away() {
    let mut world = World::new(&["p"]);
    let connection = world.open();
    world.send(connection, connect("p"));
    world.is_disk_slow = true;
    world.decide("p");
    world.edge.handle_closed(world.now, connection);
    world.is_disk_slow = false;
    world.run();
    assert_eq!(world.state("p"), Some(State::Active));
    world.pass(Duration::from_secs(90));
    assert_eq!(world.state("p"), Some(State::Standby));
}

#[test]
fn a_will_becomes_a_report_unless_the_peripheral_is_back_before() {
    let mut world = World::new(&["p"]);
    let will = v5::LastWill {
        will_delay_interval_sec: Some(30),
        qos: QoS::AtLeastOnce,
        retain: false,
        topic: "bugle/p/reports/gone".into(),
        message: bytes::Bytes::from_static(b"battery"),
        correlation_data: None,
        message_expiry_interval: None,
        content_type: None,
        user_properties: Vec::new(),
        is_utf8_payload: None,
        response_topic: None,
    };
    let with_will = || v5::Connect { last_will: Some(will.clone()), ..connect("p") };
    let (first, _) = world.connect_with(with_will());
    world.edge.handle_closed(world.now, first);
    let (second, _) = world.connect_with(with_will());
    world.pass(Duration::from_secs(40));
    assert_eq!(world.reports().len(), 0);
    world.edge.handle_closed(world.now, second);
    world.pass(Duration::from_secs(40));
    let reports: Vec<_> = world.reports().into_iter().map(|(name, content)| (name, content.bytes)).collect();
    assert_eq!(reports, [("gone".to_owned(), b"battery".to_vec())]);
}

#[test]
fn nobody_new_is_let_in_while_the_store_fails() {
    let mut world = World::new(&["p"]);
    world.edge.handle_store(Store::Failing);
    let (_, ack) = world.connect_with(connect("p"));
    assert_eq!(u8::from(ack.reason_code), 0x97);
    world.edge.handle_store(Store::Working);
    let (_, ack) = world.connect_with(connect("p"));
    assert_eq!(u8::from(ack.reason_code), 0);
}

#[test]
fn a_removed_allocation_disconnects() {
    let mut world = World::new(&["p", "q"]);
    let connection = world.join("p");
    assert!(world.edge.handle_allocations(world.now, vec![allocation("q")]).is_empty());
    world.run();
    assert!(world.is_closed(connection));
    assert_eq!(world.state("p"), None);
}

#[test]
fn rubbish_harms_nobody_else() {
    let mut world = World::new(&["p"]);
    let member = world.join("p");
    let noisy = world.open();
    world.edge.handle_bytes(world.now, noisy, b"GET / HTTP/1.1\r\n\r\n");
    world.run();
    assert!(world.is_closed(noisy));
    assert_eq!(world.edge.counters().faults, 1);
    world.send(member, v5::Packet::PingRequest);
    assert!(matches!(world.replies(member).last(), Some(v5::Packet::PingResponse)));
}

#[test]
fn a_stopping_gateway_tells_its_peripherals_and_keeps_their_registrations() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.edge.handle_shutdown(world.now);
    world.run();
    assert!(
        matches!(world.replies(connection).last(), Some(v5::Packet::Disconnect(end)) if u8::from(end.reason_code) == 0x8B)
    );
    assert!(world.state("p").is_some_and(State::is_registered));
}

#[test]
fn a_stopping_gateway_keeps_the_receipts_that_it_gathers() {
    let mut world = World::new(&["p", "q"]);
    let (p, _) = (world.join("p"), world.join("q"));
    let request = world.request(1, Receipt::Delivered);
    let delivered = world.requests(p).remove(0);
    world.acknowledge(p, &delivered);
    assert_eq!(world.outcomes(request), []);
    world.edge.handle_shutdown(world.now);
    world.run();
    assert_eq!(world.outcomes(request), [(peripheral("p"), Outcome::Delivered)]);
}
