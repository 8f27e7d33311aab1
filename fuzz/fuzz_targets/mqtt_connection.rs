//! A connection under any bytes, whatever its owner does and however time passes.
//!
//! Beyond no panic: the client hears nothing ahead of a decision, what is sent stays in proportion,
//! one publication of quality of service 2 is told once, the end comes once and nothing after it.
#![no_main]

use std::collections::BTreeSet;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use arbitrary::Arbitrary;
use bugle_core::{RequestId, Time};
use bugle_mqtt::Version;
use bugle_mqtt::{
    Accept, Config, Connection, Delivery, Ending, Event, PacketId, Publication, Refusal, Resumption, Start,
    Transmission,
};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    Bytes(&'a [u8]),
    /// A well-formed CONNECT, so that what lies behind it is reached often.
    Connect {
        is_5: bool,
        is_clean: bool,
        receive_maximum: u16,
        packet_bytes_max: u32,
    },
    /// Well-formed too: a report of any quality of service, and a subscription to the requests.
    Report {
        number: u16,
        flags: u8,
        payload: &'a [u8],
    },
    Subscribe(u16),
    Accept {
        is_resumed: bool,
        exactly_once: u16,
    },
    Refuse,
    Acknowledge(u16),
    AcknowledgeAll,
    Publish {
        number: u16,
        is_again: bool,
        payload: &'a [u8],
        content_type: &'a str,
    },
    End,
    Lose,
    Pass(u16),
}

struct Owner {
    connection: Connection,
    now: Time,
    to_acknowledge: BTreeSet<PacketId>,
    /// Publications of quality of service 2 that were told and are not released.
    held: BTreeSet<PacketId>,
    /// What a client that awaits its decision wants.
    asked_for: Option<Start>,
    version: Version,
    is_decided: bool,
    is_over: bool,
    taken_bytes: usize,
    sent_bytes: usize,
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let now = Time::from_millis(1_000_000);
    let config = Config {
        packet_bytes_max: 2048,
        receive_maximum: NonZeroU16::new(4).expect("not zero"),
        held_bytes_max: 512,
        ..Config::default()
    };
    let mut owner = Owner {
        connection: Connection::new(now, Arc::new(config)),
        now,
        to_acknowledge: BTreeSet::new(),
        held: BTreeSet::new(),
        asked_for: None,
        version: Version::Mqtt311,
        is_decided: false,
        is_over: false,
        taken_bytes: 0,
        sent_bytes: 0,
    };
    for step in steps {
        owner.take(step);
        owner.drain();
    }
    owner.connection.handle_lost();
    owner.drain();
    assert!(owner.is_over, "there is an end");
});

impl Owner {
    fn take(&mut self, step: Step<'_>) {
        let now = self.now;
        match step {
            Step::Bytes(bytes) => self.feed(bytes),
            Step::Connect { is_5, is_clean, receive_maximum, packet_bytes_max } => {
                self.feed(&connect(is_5, is_clean, receive_maximum, packet_bytes_max));
            }
            Step::Report { number, flags, payload } => {
                let mut body = b"\0\x12bugle/m1/reports/x".to_vec();
                if flags & 0b0110 != 0 {
                    body.extend(number.to_be_bytes());
                }
                if self.version == Version::Mqtt5 {
                    body.push(0);
                }
                body.extend(&payload[..payload.len().min(64)]);
                self.feed(&[&[0x30 | flags & 0x0F, body.len() as u8], body.as_slice()].concat());
            }
            Step::Subscribe(number) => {
                let mut body = number.to_be_bytes().to_vec();
                if self.version == Version::Mqtt5 {
                    body.push(0);
                }
                body.extend(b"\0\x11bugle/m1/requests\x01");
                self.feed(&[&[0x82, body.len() as u8], body.as_slice()].concat());
            }
            Step::Accept { is_resumed, exactly_once } => {
                let exactly_once: Vec<_> = PacketId::new(exactly_once).into_iter().collect();
                if self.decide() == Some(Start::Resume) && is_resumed {
                    self.held.extend(&exactly_once);
                }
                let session = match is_resumed {
                    true => Resumption::Resumed { is_subscribed: true, exactly_once },
                    false => Resumption::New,
                };
                self.connection.accept(now, Accept { session, session_expiry_max: Duration::from_secs(60) });
            }
            Step::Refuse => {
                self.decide();
                self.connection.refuse(Refusal::Busy, "try again in 30 s");
            }
            Step::Acknowledge(number) => {
                if let Some(packet_id) = PacketId::new(number) {
                    self.to_acknowledge.remove(&packet_id);
                    self.connection.acknowledge(now, packet_id);
                }
            }
            Step::AcknowledgeAll => {
                for packet_id in std::mem::take(&mut self.to_acknowledge) {
                    self.connection.acknowledge(now, packet_id);
                }
            }
            Step::Publish { number, is_again, payload, content_type } => {
                let Some(packet_id) = PacketId::new(number) else { return };
                let publication = Publication {
                    packet_id,
                    transmission: if is_again { Transmission::Again } else { Transmission::First },
                    request: RequestId::from_number(number.into()).expect("63 bits"),
                    payload,
                    content_type,
                    message_expiry: Duration::from_millis(number.into()),
                };
                if self.connection.publish(&publication).is_ok() {
                    self.taken_bytes += payload.len() + content_type.len() + 256;
                }
            }
            Step::End => {
                self.decide();
                self.connection.disconnect(Ending::ShuttingDown);
            }
            Step::Lose => self.connection.handle_lost(),
            Step::Pass(seconds) => {
                self.now = now + Duration::from_secs(seconds.into());
                self.connection.handle_timeout(self.now);
                assert!(self.connection.next_timeout().is_none_or(|timeout| timeout > self.now));
            }
        }
    }

    /// Returns what the client wants that is decided about, if one is.
    fn decide(&mut self) -> Option<Start> {
        let asked_for = self.asked_for.take();
        self.is_decided |= asked_for.is_some();
        asked_for
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.taken_bytes += bytes.len();
        self.connection.handle_bytes(self.now, bytes);
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            assert!(!self.is_over, "nothing comes after the end: {event:?}");
            match event {
                Event::Publish(publish) => match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(packet_id) => _ = self.to_acknowledge.insert(packet_id),
                    Delivery::ExactlyOnce(packet_id) => {
                        assert!(self.held.insert(packet_id), "what is held is not told again");
                        self.to_acknowledge.insert(packet_id);
                    }
                },
                Event::Released { packet_id } => {
                    assert!(self.held.remove(&packet_id), "what is released was held");
                    self.to_acknowledge.insert(packet_id);
                }
                Event::Subscribe { packet_id } | Event::Unsubscribe { packet_id } => {
                    self.to_acknowledge.insert(packet_id);
                }
                Event::Closed(_) => self.is_over = true,
                Event::Connect(connect) => {
                    self.asked_for = Some(connect.start);
                    self.version = connect.version;
                }
                Event::Delivered { .. } | Event::Refused { .. } | Event::Ping | Event::Noise(_) => {}
            }
        }
        while let Some(bytes) = self.connection.poll_transmit() {
            self.sent_bytes += bytes.len();
        }
        assert_eq!(self.is_over, self.connection.is_closed());
        assert!(self.is_over || self.is_decided || self.sent_bytes == 0, "nothing is told ahead of the decision");
        // A CONNACK and a DISCONNECT, and for each packet an answer of not much more than its size.
        assert!(self.sent_bytes <= 512 + 80 * self.taken_bytes, "{} for {}", self.sent_bytes, self.taken_bytes);
    }
}

fn connect(is_5: bool, is_clean: bool, receive_maximum: u16, packet_bytes_max: u32) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([if is_5 { 5 } else { 4 }, if is_clean { 2 } else { 0 }, 0, 60]);
    if is_5 {
        body.extend([8, 0x21]);
        body.extend(receive_maximum.max(1).to_be_bytes());
        body.push(0x27);
        body.extend(packet_bytes_max.max(1).to_be_bytes());
    }
    body.extend(b"\0\x02m1");
    [&[0x10, body.len() as u8], body.as_slice()].concat()
}
