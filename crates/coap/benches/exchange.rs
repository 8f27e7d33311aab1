//! What an exchange costs: a request and its piggybacked response, through two endpoints in memory.

use bugle_coap::{Code, Config, ContentFormat, Delivery, Endpoint, Event, Message, Method, Output, Request, Response};
use bugle_core::Time;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

struct Link {
    server: Endpoint<u32>,
    clients: Endpoint<u32>,
    now: Time,
    read: Request,
    value: Bytes,
}

impl Link {
    fn new() -> Self {
        Self {
            server: Endpoint::new(Config::default(), [1; 16]),
            clients: Endpoint::new(Config::default(), [2; 16]),
            now: Time::from_millis(1_000_000),
            read: Request::new(Method::Get).with_path("/3303/0/5700").expect("short segments"),
            value: Bytes::from_static(b"22.3"),
        }
    }

    /// The server reads from a peripheral.
    fn round_trip(&mut self, peer: u32) {
        self.server.request(self.now, peer, self.read.clone(), Delivery::default()).expect("nothing waits");
        loop {
            let mut is_done = true;
            while let Some(output) = self.server.poll_output() {
                match output {
                    Output::Transmit { peer, datagram } => self.clients.handle_datagram(self.now, peer, &datagram),
                    Output::Event(Event::Response { .. }) => return,
                    Output::Event(_) => {}
                }
                is_done = false;
            }
            while let Some(output) = self.clients.poll_output() {
                match output {
                    Output::Transmit { peer, datagram } => self.server.handle_datagram(self.now, peer, &datagram),
                    Output::Event(Event::Request { handle, .. }) => {
                        let response = Response::new(Code::CONTENT);
                        let response = response.with_payload(ContentFormat::TEXT, self.value.clone());
                        self.clients.respond(self.now, handle, response).expect("not answered yet");
                    }
                    Output::Event(_) => {}
                }
                is_done = false;
            }
            assert!(!is_done, "an exchange ends with a response");
        }
    }

    /// A millisecond goes by for so many exchanges.
    fn tick(&mut self) {
        self.now += std::time::Duration::from_millis(1);
        self.server.handle_timeout(self.now);
        self.clients.handle_timeout(self.now);
    }
}

fn exchanges(criterion: &mut Criterion) {
    for peers in [1_u32, 100_000] {
        let mut link = Link::new();
        let mut next = 0_u32;
        criterion.bench_function(&format!("round trip, {peers} peers"), |bencher| {
            bencher.iter(|| {
                // Peers in an order that no cache foresees.
                next = next.wrapping_add(1);
                link.round_trip(next.wrapping_mul(2_654_435_761) % peers);
                if next.is_multiple_of(50) {
                    link.tick();
                }
            });
        });
    }
}

fn register() -> Vec<u8> {
    let request = Request::new(Method::Post).with_path("/rd").expect("a short segment");
    let queries = ["lwm2m=1.1", "ep=dev0001", "b=U", "lt=20"];
    let request = queries.into_iter().fold(request, |request, query| request.with_query(query).expect("short"));
    let links = &br#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3/0>,</4/0>"#[..];
    let request = request.with_payload(ContentFormat::LINK_FORMAT, links);
    let mut endpoint = Endpoint::new(Config::default(), [1; 16]);
    endpoint.request(Time::from_millis(1), 1, request, Delivery::default()).expect("nothing waits");
    match endpoint.poll_output() {
        Some(Output::Transmit { datagram, .. }) => datagram.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn codec(criterion: &mut Criterion) {
    let datagram = register();
    criterion.bench_function("decode a Register and take its options out", |bencher| {
        bencher.iter(|| {
            let message = Message::decode(std::hint::black_box(&datagram)).expect("valid");
            (message.options.to_options(), Bytes::copy_from_slice(message.payload))
        });
    });
    let packet = coap_lite::Packet::from_bytes(&datagram).expect("valid");
    criterion.bench_function("decode a Register with coap-lite", |bencher| {
        bencher.iter(|| coap_lite::Packet::from_bytes(std::hint::black_box(&datagram)));
    });
    let message = Message::decode(&datagram).expect("valid");
    criterion.bench_function("encode a Register", |bencher| {
        bencher.iter_batched_ref(
            || Vec::with_capacity(1_152),
            |written| std::hint::black_box(&message).encode_into(written),
            BatchSize::SmallInput,
        );
    });
    criterion.bench_function("encode a Register with coap-lite", |bencher| {
        bencher.iter(|| std::hint::black_box(&packet).to_bytes());
    });
}

criterion_group!(benches, exchanges, codec);
criterion_main!(benches);
