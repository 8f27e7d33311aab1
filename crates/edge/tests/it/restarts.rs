//! What peripherals see of a gateway that died and came back.

use std::time::Duration;

use bugle_core::{Outcome, Receipt, State};
use rmqtt_codec::v5;

use super::world::{World, connect, peripheral};

#[test]
fn a_session_survives_and_with_it_the_subscription() {
    let mut world = World::new(&["p"]);
    let connection = world.join("p");
    world.replies(connection);
    let id = world.request(1, Receipt::Delivered);
    let before = world.requests(connection).remove(0);
    world.crash();
    assert_eq!(world.state("p"), Some(State::Active), "it may be back before its keep-alive has run out");
    let connection = world.open();
    world.send(connection, connect("p"));
    let replies = world.replies(connection);
    let [v5::Packet::ConnectAck(ack), v5::Packet::Publish(again)] = replies.as_slice() else { panic!("{replies:?}") };
    assert!(ack.session_present);
    assert_eq!((again.packet_id, again.dup), (before.packet_id, true));
    world.acknowledge(connection, again);
    assert_eq!(world.outcomes(id), [(peripheral("p"), Outcome::Delivered)]);
}

#[test]
fn who_does_not_come_back_is_in_standby_and_then_gone() {
    let mut world = World::new(&["p"]);
    world.join("p");
    world.crash();
    world.pass(Duration::from_secs(90));
    assert_eq!(world.state("p"), Some(State::Standby));
    world.pass(Duration::from_secs(3600));
    assert_eq!(world.state("p"), Some(State::Allocated));
}

#[test]
fn a_clean_session_that_does_not_come_back_is_gone() {
    let mut world = World::new(&["p"]);
    world.connect_with(v5::Connect { session_expiry_interval_secs: 0, ..connect("p") });
    world.crash();
    world.pass(Duration::from_secs(90));
    assert_eq!(world.state("p"), Some(State::Allocated));
}
