//! The whole system in processes of its own, all of the cast at their gateways, and one row after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::pin::pin;
use std::time::{Duration, Instant};

use bugle_core::credential::PreSharedKey;
use bugle_core::{RequestId, State};
use bugle_load::{Command, Delivery, Event, Happening, Options, Peripherals};
use serde_json::Value;
use tokio::sync::mpsc::UnboundedReceiver;

use super::cast::{self, CAST, Rests, Speaks, place_of};
use super::checks;
use super::odd;
use super::row::{Deaf, Row, ids};
use super::steps::Play;
use super::system::{GatewayPart, More, SOON, System};
use super::wakers::{Ring, Wakers};

pub(crate) struct World {
    pub(crate) system: System,
    pub(crate) peripherals: Peripherals,
    rings: UnboundedReceiver<Ring>,
    /// Which of the cast are connected, or listen.
    listening: BTreeSet<usize>,
    /// The last event of the application's log that was looked at.
    cursor: u64,
}

/// What was seen while a row was played.
pub(crate) struct Seen {
    /// The requests, in the order of sending.
    pub(crate) requests: Vec<RequestId>,
    /// What each peripheral has received for the first time, in order. LwM2M does not say which request it is.
    pub(crate) received: BTreeMap<&'static str, Vec<Option<RequestId>>>,
    /// Who was woken.
    pub(crate) rings: Vec<Ring>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let mut system = System::start(&[]).await;
        let (wakers, rings) = Wakers::start(system.folder.path()).await;
        let mut key = [0; 16];
        getrandom::fill(&mut key).expect("the system has randomness");
        let digits = key.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a text takes all");
            text
        });
        for gateway in ["north", "south"] {
            let wake = format!("[wake]\nprograms = {:?}\n", wakers.programs);
            let more = More { sections: &wake, ..More::default() };
            system.add_gateway_with(gateway, &cast::allocations(gateway, &digits, &wakers), more).await;
        }
        system.linked().await;
        let key = PreSharedKey::new(&key).expect("it is long enough");
        let peripherals = cast::peripherals(|id| &system.gateways[id], &system.authority, &key);
        let options = Options { events_max: 100_000, ..Options::default() };
        let peripherals = Peripherals::start(peripherals, options).expect("they start");
        for actor in CAST.iter().filter(|actor| !actor.is_simulated()) {
            let GatewayPart { mqtt, coap, .. } = system.gateways[actor.gateway];
            match actor.speaks {
                Speaks::Mqtt5 => drop(tokio::spawn(odd::refuse_messages(actor.id, mqtt))),
                _ => drop(tokio::spawn(odd::talk_nonsense(actor.id, coap))),
            }
        }
        let mut world = Self { system, peripherals, rings, listening: BTreeSet::new(), cursor: 0 };
        world.settle(&mut Vec::new()).await;
        world
    }

    /// Plays all rows, each from the same beginning: those that rest sleep, all others are active.
    pub(crate) async fn play(mut self, rows: impl IntoIterator<Item = Row>) {
        for row in rows {
            self.play_one(&row).await;
        }
        let rings: Vec<Ring> = std::iter::from_fn(|| self.rings.try_recv().ok()).collect();
        assert_eq!(rings, [], "after all rows");
        let _ = self.peripherals.stop();
    }

    async fn play_one(&mut self, row: &Row) {
        let began = Instant::now();
        let mut events = Vec::new();
        let mut rings = Vec::new();
        let Self { system, peripherals, rings: heard, cursor, .. } = self;
        let requests = {
            let play = Play { system, peripherals, row, cursor: *cursor, requests: Vec::new() };
            let mut play = pin!(play.whole());
            loop {
                tokio::select! {
                    requests = &mut play => break requests,
                    Some(ring) = heard.recv() => answer(peripherals, row, &mut rings, ring),
                }
            }
        };
        self.settle(&mut events).await;
        rings.extend(std::iter::from_fn(|| self.rings.try_recv().ok()));
        let seen = Seen { requests, received: received(&events), rings };
        self.cursor = checks::check(&self.system, row, &seen, self.cursor).await;
        eprintln!("{}: {:?}", row.name, began.elapsed());
    }

    /// Waits until all are as they are at the beginning of a row, and takes what has happened to them.
    async fn settle(&mut self, events: &mut Vec<Event>) {
        let began = Instant::now();
        let mut told = BTreeSet::new();
        while let Some((id, state)) = self.unsettled(events, &mut told).await {
            if began.elapsed() > SOON {
                let happened: Vec<_> = events.iter().filter(|event| CAST[event.peripheral].id == id).collect();
                panic!("{id} is {state:?}; what has happened to it: {happened:#?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        listen(&self.peripherals, &mut self.listening, events);
    }

    /// One that is not yet as it is at the beginning of a row. Whoever of MQTT is to sleep is told so once.
    async fn unsettled(
        &mut self,
        events: &mut Vec<Event>,
        told: &mut BTreeSet<usize>,
    ) -> Option<(&'static str, Option<String>)> {
        let Self { system, peripherals, listening, .. } = self;
        listen(peripherals, listening, events);
        let states = states(system).await;
        CAST.iter().enumerate().find_map(|(place, actor)| {
            let rests = actor.rests != Rests::Never;
            let is_listening = listening.contains(&place);
            if rests && is_listening && actor.is_mqtt() && told.insert(place) {
                peripherals.command(place, Command::Sleep(actor.sleeps()));
            }
            let known = states.get(actor.id);
            let state = word(if rests { State::Standby } else { State::Active });
            let is_settled = (is_listening != rests || !actor.is_simulated()) && known == Some(&state);
            (!is_settled).then(|| (actor.id, known.cloned()))
        })
    }
}

/// The state of everyone by the application's group configurations.
pub(crate) async fn states(system: &System) -> BTreeMap<String, String> {
    let mut states = system.configuration("town").await;
    states.append(&mut system.configuration("trouble").await);
    states
}

/// A state in the application's words.
pub(crate) fn word(state: State) -> String {
    let word: Value = serde_json::to_value(state).expect("a state is JSON");
    word.as_str().expect("a word").to_owned()
}

/// Takes what has happened to the peripherals.
fn listen(peripherals: &Peripherals, listening: &mut BTreeSet<usize>, events: &mut Vec<Event>) {
    while let Some(event) = peripherals.next_event(Duration::ZERO) {
        match event.what {
            Happening::Connected { .. } => drop(listening.insert(event.peripheral)),
            Happening::Disconnected(_) => drop(listening.remove(&event.peripheral)),
            _ => {}
        }
        events.push(event);
    }
}

/// A wake-up wakes whom it is for, if that one hears it.
fn answer(peripherals: &Peripherals, row: &Row, rings: &mut Vec<Ring>, ring: Ring) {
    let hears = match row.deaf {
        Deaf::Nobody => true,
        Deaf::Always(who) => !ids(who).contains(ring.who.as_str()),
        Deaf::Once(who) => !ids(who).contains(ring.who.as_str()) || rings.contains(&ring),
    };
    if hears {
        peripherals.command(place_of(&ring.who), Command::Connect);
    }
    rings.push(ring);
}

fn received(events: &[Event]) -> BTreeMap<&'static str, Vec<Option<RequestId>>> {
    let mut received: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for event in events {
        if let Happening::Received { request, delivery: Delivery::First } = event.what {
            received.entry(CAST[event.peripheral].id).or_default().push(request);
        }
    }
    received
}
