//! Peripherals that answer as no well-behaved one does.

use std::num::NonZeroU16;

use bugle_coap::{Code, ContentFormat, Delivery, Endpoint, Event, Method, Output, Request, Response};
use bugle_runtime::Clock;
use bytes::BytesMut;
use rmqtt_codec::types::QoS;
use rmqtt_codec::v5::{Codec, Connect, Packet, PublishAck, PublishAckReason, Subscribe, SubscriptionOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio_util::codec::{Decoder, Encoder};

/// MQTT 5: takes no message, and says so in its acknowledgement. It comes back if its gateway does.
pub(crate) async fn refuse_messages(id: &'static str, port: u16) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)).await {
            // It ends with the connection.
            let _ = refuse_over(&mut stream, id).await;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

async fn refuse_over(stream: &mut TcpStream, id: &str) -> std::io::Result<()> {
    let connect =
        Connect { client_id: id.to_owned().into(), session_expiry_interval_secs: 3_600, ..Connect::default() };
    send(stream, connect.into()).await?;
    let options = SubscriptionOptions { qos: QoS::AtLeastOnce, ..SubscriptionOptions::default() };
    let (mut received, mut codec) = (BytesMut::new(), Codec::default());
    loop {
        while let Some((packet, _)) = codec.decode(&mut received).expect("it is MQTT") {
            match packet {
                Packet::ConnectAck(_) => {
                    let topic_filters = vec![(format!("bugle/{id}/requests").into(), options)];
                    let (packet_id, user_properties) = (NonZeroU16::MIN, Vec::new());
                    let subscribe = Subscribe { packet_id, id: None, user_properties, topic_filters };
                    send(stream, Packet::Subscribe(subscribe)).await?;
                }
                Packet::Publish(publish) => {
                    let packet_id = publish.packet_id.expect("it has to be acknowledged");
                    let reason_code = PublishAckReason::ImplementationSpecificError;
                    let refusal = PublishAck { packet_id, reason_code, ..PublishAck::default() };
                    send(stream, Packet::PublishAck(refusal)).await?;
                }
                _ => {}
            }
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

async fn send(stream: &mut TcpStream, packet: Packet) -> std::io::Result<()> {
    let mut bytes = BytesMut::new();
    Codec::default().encode(packet, &mut bytes).expect("it is MQTT");
    stream.write_all(&bytes).await
}

/// LwM2M: has nothing but a device object, and answers whatever it is asked with what is no value at all.
pub(crate) async fn talk_nonsense(id: &'static str, port: u16) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
    socket.connect(("127.0.0.1", port)).await.expect("an address");
    let clock = Clock::start();
    let mut endpoint: Endpoint<()> = Endpoint::new(bugle_coap::Config::default(), [9; 16]);
    let register = ["lwm2m=1.1", &format!("ep={id}"), "lt=3600", "b=U"]
        .iter()
        .fold(Request::new(Method::Post).with_path("/rd").expect("a path"), |register, argument| {
            register.with_query(argument).expect("an argument")
        });
    let register = register.with_payload(ContentFormat::LINK_FORMAT, "</3/0>");
    endpoint.request(clock.now(), (), register, Delivery::default()).expect("there is room");
    let mut buffer = [0; 1_500];
    loop {
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit { datagram, .. } => drop(socket.send(&datagram).await),
                Output::Event(Event::Request { handle, .. }) => {
                    // The header of a value of four bytes, and none of them.
                    let nonsense = Response::new(Code::CONTENT).with_payload(ContentFormat::LWM2M_TLV, vec![0xE4, 9]);
                    endpoint.respond(clock.now(), handle, nonsense).expect("it is answered");
                }
                Output::Event(_) => {}
            }
        }
        // Its gateway may be away for a while.
        if let Ok(length) = socket.recv(&mut buffer).await {
            endpoint.handle_datagram(clock.now(), (), &buffer[..length]);
        }
    }
}
