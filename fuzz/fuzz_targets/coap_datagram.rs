//! A CoAP endpoint that is sent anything, while its caller asks, answers and notifies.

#![no_main]

use arbitrary::Arbitrary;
use bugle_coap::{
    BlockSize, Census, Code, Config, ContentFormat, Delivery, Endpoint, Event, ExchangeId, Limits, Method, Observe,
    ObserverId, Output, Reliability, Request, RequestHandle, Response,
};
use bugle_core::Time;
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
enum Step<'b> {
    Datagram {
        peer: u8,
        datagram: &'b [u8],
    },
    /// An answer to what was sent last, with this first byte, code and rest.
    Answer {
        first: u8,
        code: u8,
        rest: &'b [u8],
    },
    Ask {
        peer: u8,
        method: u8,
        observe: bool,
        payload: &'b [u8],
    },
    Respond {
        code: u8,
        payload: &'b [u8],
    },
    Notify {
        payload: &'b [u8],
        is_confirmable: bool,
    },
    Challenge,
    Cancel,
    Forget {
        peer: u8,
    },
    Move {
        old: u8,
        new: u8,
    },
    Sleep {
        millis: u32,
    },
}

#[derive(Default)]
struct Caller {
    sent: Option<(u8, Vec<u8>)>,
    request: Option<RequestHandle>,
    observer: Option<ObserverId>,
    exchange: Option<ExchangeId>,
}

fn drain(endpoint: &mut Endpoint<u8>, caller: &mut Caller) {
    while let Some(output) = endpoint.poll_output() {
        match output {
            Output::Transmit { peer, datagram } => caller.sent = Some((peer, datagram.to_vec())),
            Output::Event(Event::Request { handle, .. }) => caller.request = Some(handle),
            Output::Event(_) => {}
        }
    }
}

fn step(endpoint: &mut Endpoint<u8>, caller: &mut Caller, now: &mut Time, step: Step<'_>) {
    match step {
        Step::Datagram { peer, datagram } => endpoint.handle_datagram(*now, peer % 4, datagram),
        Step::Answer { first, code, rest } => {
            let Some((peer, sent)) = &caller.sent else { return };
            let token = &sent[4..4 + usize::from(sent[0] & 0x0f)];
            let head = [0x40 | (first & 0x30) | token.len() as u8, code, sent[2], sent[3]];
            endpoint.handle_datagram(*now, *peer, &[&head, token, rest].concat());
        }
        Step::Ask { peer, method, observe, payload } => {
            let mut request = Request::new(Method::ALL[usize::from(method) % Method::ALL.len()]);
            if observe {
                request = request.with_observe(Observe::Register);
            }
            request = request.with_payload(ContentFormat::OCTET_STREAM, payload.to_vec());
            if let Ok(exchange) = endpoint.request(*now, peer % 4, request, Delivery::default()) {
                caller.exchange = Some(exchange);
            }
        }
        Step::Respond { code, payload } => {
            let Some(handle) = caller.request.take() else { return };
            let code = Code::new(if code & 1 == 0 { 2 } else { 4 }, code >> 3);
            let response = Response::new(code).with_payload(ContentFormat::OCTET_STREAM, payload.to_vec());
            if let Ok(Some(observer)) = endpoint.accept_observer(*now, handle, response) {
                caller.observer = Some(observer);
            }
        }
        Step::Notify { payload, is_confirmable } => {
            let Some(observer) = caller.observer else { return };
            let response = Response::new(Code::CONTENT).with_payload(ContentFormat::TEXT, payload.to_vec());
            let reliability = if is_confirmable { Reliability::Confirmable } else { Reliability::NonConfirmable };
            let _ = endpoint.notify(*now, observer, response, reliability);
        }
        Step::Challenge => {
            let _ = caller.request.take().map(|handle| endpoint.challenge(*now, handle));
        }
        Step::Cancel => {
            if let Some(exchange) = caller.exchange {
                endpoint.cancel(*now, exchange);
            }
        }
        Step::Forget { peer } => endpoint.forget(*now, peer % 4),
        Step::Move { old, new } => endpoint.peer_moved(*now, old % 4, new % 4),
        Step::Sleep { millis } => sleep(endpoint, caller, now, millis % 400_000),
    }
}

fn sleep(endpoint: &mut Endpoint<u8>, caller: &mut Caller, now: &mut Time, millis: u32) {
    let until = *now + std::time::Duration::from_millis(millis.into());
    while let Some(next) = endpoint.next_timeout().filter(|next| *next <= until) {
        *now = next.max(*now);
        endpoint.handle_timeout(*now);
        drain(endpoint, caller);
    }
    *now = until;
}

fuzz_target!(|steps: Vec<Step<'_>>| {
    let limits = Limits { remembered_per_peer_max: 8, body_bytes_max: 256, ..Limits::default() };
    let config = Config { limits, block_size: BlockSize::at_most(32), ..Config::default() };
    let mut endpoint = Endpoint::new(config, [1; 16]);
    let mut caller = Caller::default();
    let mut now = Time::from_millis(1_000_000);
    for next in steps {
        step(&mut endpoint, &mut caller, &mut now, next);
        drain(&mut endpoint, &mut caller);
    }
    for peer in 0..4 {
        endpoint.forget(now, peer);
    }
    sleep(&mut endpoint, &mut caller, &mut now, 400_000);
    assert_eq!(endpoint.census(), Census::default());
    assert_eq!(endpoint.next_timeout(), None);
});
