//! What a peer costs. It has a program to itself, because it counts every allocation in it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bugle_coap::{Code, Config, Delivery, Endpoint, Event, Message, MessageType, Method, Output, Request, Response};
use bugle_core::Time;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// Just below a power of two, as tables like it, would be flattering; this is in between.
const PEERS: u32 = 50_000;
const NOW: Time = Time::from_millis(1_000_000);

fn peer(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + number), 5_683))
}

fn live_bytes() -> usize {
    dhat::HeapStats::get().curr_bytes
}

/// Every peer updates its registration, and is answered.
fn update_all(endpoint: &mut Endpoint<SocketAddr>) {
    let update = Request::new(Method::Post).with_path("/rd/5a3f").expect("short segments");
    let mut datagram = Vec::new();
    for number in 0..PEERS {
        datagram.clear();
        let message = Message {
            message_type: MessageType::Confirmable,
            code: Method::Post.code(),
            options: update.options.view(),
            ..Message::empty(MessageType::Confirmable, bugle_coap::MessageId::new(number as u16))
        };
        message.encode_into(&mut datagram);
        endpoint.handle_datagram(NOW, peer(number), &datagram);
        answer_all(endpoint);
    }
}

fn answer_all(endpoint: &mut Endpoint<SocketAddr>) {
    while let Some(output) = endpoint.poll_output() {
        if let Output::Event(Event::Request { handle, .. }) = output {
            endpoint.respond(NOW, handle, Response::new(Code::CHANGED)).expect("not answered yet");
        }
    }
}

/// Every peer is read from, and answers.
fn read_all(endpoint: &mut Endpoint<SocketAddr>) {
    let read = Request::new(Method::Get).with_path("/3/0").expect("short segments");
    for number in 0..PEERS {
        endpoint.request(NOW, peer(number), read.clone(), Delivery::default()).expect("nothing waits");
        while let Some(output) = endpoint.poll_output() {
            if let Output::Transmit { peer, datagram } = output {
                let request = Message::decode(&datagram).expect("an endpoint sends valid messages");
                let mut answer = Vec::new();
                Message { message_type: MessageType::Acknowledgement, code: Code::CONTENT, ..request }
                    .encode_into(&mut answer);
                endpoint.handle_datagram(NOW, peer, &answer);
            }
        }
    }
}

fn sleep_until(endpoint: &mut Endpoint<SocketAddr>, until: Time) {
    while let Some(now) = endpoint.next_timeout().filter(|next| *next <= until) {
        endpoint.handle_timeout(now);
    }
}

#[test]
fn an_idle_peer_costs_less_than_150_bytes_and_in_the_end_nothing() {
    let _profiler = dhat::Profiler::builder().testing().build();
    let before = live_bytes();
    let mut endpoint = Endpoint::new(Config::default(), [3; 16]);
    read_all(&mut endpoint);
    update_all(&mut endpoint);
    // Timers of exchanges that are over are gone when their time has come.
    sleep_until(&mut endpoint, NOW + Duration::from_secs(10));
    assert_eq!(endpoint.census().peers, PEERS as usize);
    assert_eq!(endpoint.census().remembered, PEERS as usize);
    let each = (live_bytes() - before) / PEERS as usize;
    println!("{each} bytes per peer that has just been read from and has updated its registration");
    assert!(each < 150, "{each} bytes per idle peer");

    sleep_until(&mut endpoint, NOW + Duration::from_secs(310));
    assert_eq!(endpoint.census(), bugle_coap::Census::default());
    let rest = live_bytes() - before;
    assert!(rest < 64 * 1024, "{rest} bytes for nobody");
}
