//! Whatever comes, nothing panics, nothing is made up, and nothing stays for ever.

use std::time::Duration;

use bugle_dtls::{Census, Config, Event, Limits};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use crate::desk::{Authority, Desk, valve};

/// What happens to a datagram that was sent in a handshake or a session.
#[derive(Debug, Clone)]
enum Step {
    /// Bytes from nowhere.
    Noise { from: u16, bytes: Vec<u8> },
    /// One that was sent before, changed at some places and cut.
    Changed { from: u16, which: prop::sample::Index, places: Vec<(prop::sample::Index, u8)>, cut: usize },
    /// A client begins.
    Connect { at: u16 },
    /// A client says something.
    Say { at: u16 },
    /// Time goes by.
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let from = 1..4_u16;
    let noise = (from.clone(), prop::collection::vec(any::<u8>(), 0..80));
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = prop_oneof![3 => Just(0_usize), 1 => 0..60_usize];
    prop_oneof![
        1 => noise.prop_map(|(from, bytes)| Step::Noise { from, bytes }),
        4 => (from.clone(), any::<prop::sample::Index>(), places, cut)
            .prop_map(|(from, which, places, cut)| Step::Changed { from, which, places, cut }),
        2 => from.clone().prop_map(|at| Step::Connect { at }),
        2 => from.prop_map(|at| Step::Say { at }),
        2 => (0..70_000_u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

fn take(desk: &mut Desk, step: Step) {
    match step {
        Step::Noise { from, bytes } => {
            desk.deliver(from, &bytes);
            let now = desk.now;
            desk.client(from).handle_datagram(now, &bytes);
        }
        Step::Changed { from, which, places, cut } => {
            let sent: Vec<Vec<u8>> =
                desk.to_server.iter().chain(&desk.to_clients).map(|(_, datagram)| datagram.clone()).collect();
            if sent.is_empty() {
                return;
            }
            let mut datagram = which.get(&sent).clone();
            datagram.truncate(datagram.len() - cut.min(datagram.len()));
            if datagram.is_empty() {
                return;
            }
            for (place, value) in places {
                let place = place.index(datagram.len());
                datagram[place] = value;
            }
            desk.deliver(from, &datagram);
            let now = desk.now;
            desk.client(from).handle_datagram(now, &datagram);
        }
        Step::Connect { at } => desk.connect(at),
        Step::Say { at } => {
            let _ = desk.client(at).send(b"said");
            let _ = desk.server.send(at, b"said");
        }
        Step::Wait { millis } => desk.run(Duration::from_millis(millis)),
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]

    #[test]
    fn whatever_comes_nothing_is_made_up_and_nothing_stays_for_ever(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let limits = Limits { idle_after: Duration::from_secs(600), ..Limits::default() };
        let mut desk = Desk::new(Config { limits, ..Config::default() });
        for address in 1..4 {
            desk.seat(address, valve());
        }
        for step in steps {
            take(&mut desk, step);
            desk.run(Duration::ZERO);
        }
        let is_true = |event: &Event<u16>| match event {
            Event::Received { plaintext, .. } => plaintext == b"said",
            _ => true,
        };
        assert!(desk.told.iter().all(is_true), "{:?}", desk.told);
        desk.run(Duration::from_secs(3_600));
        assert_eq!(desk.server.census(), Census::default());
        assert_eq!(desk.server.next_timeout(), None);
        // And whoever comes now is let in.
        for address in 1..4 {
            desk.connect(address);
            desk.settle();
            desk.assert_they_talk(address);
        }
    }
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn a_handshake_with_certificates_survives_nothing_worse_than_its_end(
        which in 0..12_usize, place in any::<prop::sample::Index>(), value in any::<u8>()
    ) {
        let authority = Authority::new("authority");
        let certificates = Some(authority.certificates("gateway"));
        let mut desk = Desk::new(Config { certificates, datagram_bytes_max: 400, ..Config::default() });
        let credential = bugle_dtls::ClientCredential::Certificate(authority.certificates("valve-7"));
        desk.seat(1, bugle_dtls::ClientConfig::new(credential));
        let mut number = 0;
        desk.rewrite_to_server = Some(Box::new(move |datagram| {
            if number == which {
                let place = place.index(datagram.len());
                datagram[place] = value;
            }
            number += 1;
        }));
        desk.connect(1);
        desk.run(Duration::from_secs(200));
        assert_eq!(desk.server.census().handshakes, 0);
        desk.rewrite_to_server = None;
        desk.connect(1);
        desk.settle();
        desk.assert_they_talk(1);
    }
}
