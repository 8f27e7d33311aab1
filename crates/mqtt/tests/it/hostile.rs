//! Bytes as no client means them: split anywhere, made up, mangled.

use std::sync::Arc;

use bugle_core::Time;
use bugle_mqtt::Version;
use bugle_mqtt::{Accept, Config, Connection, Event, Resumption};
use bytes::BytesMut;
use proptest::prelude::*;
use rmqtt_codec::types::QoS;
use rmqtt_codec::{v3, v5};
use tokio_util::codec::Encoder;

use crate::client::{REPORT, REQUESTS, config, connect_5, connect_311, publish_5};

/// One packet as a client means it.
#[derive(Debug, Clone)]
enum Packet {
    Publish { number: u16, qos: QoS, topic: &'static str, payload_bytes: usize },
    Release(u16),
    Acknowledge(u16),
    Subscribe { number: u16, filter: &'static str, qos: QoS },
    Unsubscribe(u16),
    Ping,
    Disconnect,
}

fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let qos = || prop_oneof![Just(QoS::AtMostOnce), Just(QoS::AtLeastOnce), Just(QoS::ExactlyOnce)];
    let topic = prop_oneof![4 => Just(REPORT), 1 => Just("bugle/meter-1/standby"), 1 => Just("elsewhere")];
    let filter = prop_oneof![3 => Just(REQUESTS), 1 => Just("#")];
    let number = || 1..6_u16;
    let packet = prop_oneof![
        6 => (number(), qos(), topic, 0..300_usize)
            .prop_map(|(number, qos, topic, payload_bytes)| Packet::Publish { number, qos, topic, payload_bytes }),
        1 => number().prop_map(Packet::Release),
        2 => number().prop_map(Packet::Acknowledge),
        2 => (number(), filter, qos()).prop_map(|(number, filter, qos)| Packet::Subscribe { number, filter, qos }),
        1 => number().prop_map(Packet::Unsubscribe),
        3 => Just(Packet::Ping),
        1 => Just(Packet::Disconnect),
    ];
    prop::collection::vec(packet, 0..12)
}

fn protocols() -> impl Strategy<Value = Version> {
    prop_oneof![Just(Version::Mqtt311), Just(Version::Mqtt5)]
}

/// A CONNECT and what follows it, as one stream.
fn encode(version: Version, packets: &[Packet]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    match version {
        Version::Mqtt311 => v3::Codec::default().encode(connect_311().into(), &mut bytes),
        Version::Mqtt5 => v5::Codec::default().encode(connect_5().into(), &mut bytes),
    }
    .expect("a packet");
    for packet in packets {
        match packet {
            Packet::Release(number) => bytes.extend_from_slice(&[0x62, 2, 0, *number as u8]),
            Packet::Acknowledge(number) => bytes.extend_from_slice(&[0x40, 2, 0, *number as u8]),
            Packet::Ping => bytes.extend_from_slice(&[0xC0, 0]),
            Packet::Disconnect => bytes.extend_from_slice(&[0xE0, 0]),
            Packet::Publish { number, qos, topic, payload_bytes } => {
                let payload = vec![b'x'; *payload_bytes].into();
                let topic = (*topic).into();
                let publish =
                    rmqtt_codec::types::Publish { topic, payload, ..publish_5(*number, *qos, Default::default()) };
                match version {
                    Version::Mqtt311 => v3::Codec::default().encode(publish.into(), &mut bytes),
                    Version::Mqtt5 => v5::Codec::default().encode(publish.into(), &mut bytes),
                }
                .expect("a packet");
            }
            Packet::Subscribe { number, filter, qos } => {
                put_filter(0x82, version, *number, filter, Some((*qos).into()), &mut bytes);
            }
            Packet::Unsubscribe(number) => put_filter(0xA2, version, *number, REQUESTS, None, &mut bytes),
        }
    }
    bytes.into()
}

fn put_filter(first: u8, version: Version, number: u16, filter: &str, qos: Option<u8>, bytes: &mut BytesMut) {
    let mut body = number.to_be_bytes().to_vec();
    if version == Version::Mqtt5 {
        body.push(0);
    }
    body.extend_from_slice(&(filter.len() as u16).to_be_bytes());
    body.extend_from_slice(filter.as_bytes());
    body.extend(qos);
    bytes.extend_from_slice(&[first, body.len() as u8]);
    bytes.extend_from_slice(&body);
}

fn roomy() -> Arc<Config> {
    Arc::new(Config { held_bytes_max: 1 << 20, ..config() })
}

/// Feeds a connection and lets it in at once, but acknowledges nothing, so that all it says is up to
/// the bytes.
fn feed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Vec<u8>) {
    let now = Time::from_millis(5);
    let mut connection = Connection::new(now, roomy());
    let (mut events, mut sent) = (Vec::new(), Vec::new());
    for piece in pieces {
        connection.handle_bytes(now, piece);
        while let Some(event) = connection.poll_event() {
            if matches!(event, Event::Connect(_)) {
                let session_expiry_max = std::time::Duration::from_secs(60);
                connection.accept(now, Accept { session: Resumption::New, session_expiry_max });
            }
            events.push(event);
        }
        while let Some(bytes) = connection.poll_transmit() {
            sent.extend_from_slice(&bytes);
        }
    }
    (events, sent)
}

/// Feeds a connection and plays an owner that does all it may; looks at what must always hold.
fn play(pieces: &[Vec<u8>], decision: u8) -> Result<(), TestCaseError> {
    let mut now = Time::from_millis(5);
    let mut connection = Connection::new(now, Arc::new(config()));
    let mut closed = 0;
    for piece in pieces {
        now += std::time::Duration::from_secs(1);
        connection.handle_bytes(now, piece);
        while let Some(event) = connection.poll_event() {
            prop_assert_eq!(closed, 0, "nothing comes after the end");
            match event {
                Event::Connect(connect) => match decision {
                    0 => connection.refuse(bugle_mqtt::Refusal::Busy, "later"),
                    _ => {
                        let session = match decision {
                            1 => Resumption::New,
                            _ => Resumption::Resumed { is_subscribed: true, exactly_once: Vec::new() },
                        };
                        let session_expiry_max = connect.session_expiry;
                        connection.accept(now, Accept { session, session_expiry_max });
                    }
                },
                Event::Publish(publish) => match publish.delivery {
                    bugle_mqtt::Delivery::AtMostOnce => {}
                    bugle_mqtt::Delivery::AtLeastOnce(id) | bugle_mqtt::Delivery::ExactlyOnce(id) => {
                        connection.acknowledge(now, id);
                    }
                },
                Event::Subscribe { packet_id } | Event::Unsubscribe { packet_id } | Event::Released { packet_id } => {
                    connection.acknowledge(now, packet_id);
                }
                Event::Closed(_) => closed += 1,
                Event::Delivered { .. } | Event::Refused { .. } | Event::Ping | Event::Noise(_) => {}
            }
        }
        let _ = connection.publish(&crate::client::publication(1, b"on"));
        let sent: usize = std::iter::from_fn(|| connection.poll_transmit()).map(|bytes| bytes.len()).sum();
        prop_assert!(sent <= 512 + 4 * piece.len() + 4 * config().held_bytes_max, "{sent} bytes for {}", piece.len());
    }
    connection.handle_lost();
    closed += std::iter::from_fn(|| connection.poll_event()).filter(|event| matches!(event, Event::Closed(_))).count();
    prop_assert_eq!(closed, 1, "there is one end");
    Ok(())
}

proptest! {
    #[test]
    fn however_the_bytes_are_split_the_connection_says_the_same(
        version in protocols(),
        packets in packets(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let stream = encode(version, &packets);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| &stream[cut[0]..cut[1]]);
        let whole = feed(std::iter::once(stream.as_slice()));
        prop_assert_eq!(&whole, &feed(pieces));
        prop_assert_eq!(&whole, &feed(stream.chunks(1)));
    }

    #[test]
    fn made_up_bytes_do_no_harm(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..64), 0..8),
        decision in 0..3_u8,
    ) {
        play(&pieces, decision)?;
    }

    #[test]
    fn made_up_packets_do_no_harm(
        version in protocols(),
        packets in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..8),
        decision in 0..3_u8,
    ) {
        let packets = packets.into_iter().map(|(first, body)| [vec![first, body.len() as u8], body].concat());
        let pieces: Vec<Vec<u8>> = std::iter::once(encode(version, &[])).chain(packets).collect();
        play(&pieces, decision)?;
    }

    #[test]
    fn mangled_packets_do_no_harm(
        version in protocols(),
        packets in packets(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        piece_bytes in 1..200_usize,
        decision in 0..3_u8,
    ) {
        let mut stream = encode(version, &packets);
        for (index, value) in changes {
            let index = index.index(stream.len());
            stream[index] = value;
        }
        let pieces: Vec<Vec<u8>> = stream.chunks(piece_bytes).map(<[u8]>::to_vec).collect();
        play(&pieces, decision)?;
    }
}
