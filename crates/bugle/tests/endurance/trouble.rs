//! What goes wrong, when, and how long, as a seed draws it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::{Duration, Instant};

use super::fleet::GATEWAYS;
use super::proxy::{Passage, Proxy};
use super::system::small_disk::SmallDisk;
use super::system::{Part, System};

/// How often parts that have ended by themselves are looked for.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// After how long such a part is started again, as the service manager does it.
const START_AGAIN_AFTER: Duration = Duration::from_secs(2);

/// A part that may be killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Victim {
    Platform,
    Application,
    Gateway(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(Victim),
    /// Of the link of the gateway at this place.
    Cut(usize),
    Stall(usize),
    FullDisk,
}

impl Fault {
    const fn name(self) -> &'static str {
        match self {
            Self::Kill(Victim::Platform) => "platform killed",
            Self::Kill(Victim::Application) => "application killed",
            Self::Kill(Victim::Gateway(_)) => "a gateway killed",
            Self::Cut(_) => "a link cut",
            Self::Stall(_) => "a link stalled",
            Self::FullDisk => "disk full",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Begin(Fault),
    End(Fault),
}

/// Faults in their order. Whatever is hit comes back before it is hit again.
pub(crate) struct Timeline(Vec<(Duration, Step)>);

impl Timeline {
    /// What this seed draws for so long. In a short time everything must happen early to happen at all.
    pub(crate) fn draw(seed: u64, length: Duration, is_short: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed ^ 0x7EB1_E0FD);
        let [often, seldom] = if is_short { [500..4_000, 1_000..5_000] } else { [3_000..25_000, 5_000..60_000] };
        let mut steps = Vec::new();
        let mut lane = |faults: &[Fault], pauses: &Range<u64>| {
            let mut at = Duration::ZERO;
            loop {
                at += Duration::from_millis(random.u64(pauses.clone()));
                let lasts = Duration::from_millis(random.u64(100..if is_short { 2_000 } else { 8_000 }));
                if at + lasts > length {
                    return;
                }
                let fault = *random.choice(faults).expect("there are some");
                steps.extend([(at, Step::Begin(fault)), (at + lasts, Step::End(fault))]);
                at += lasts;
            }
        };
        lane(&[Fault::Kill(Victim::Platform)], &often);
        lane(&[Fault::Kill(Victim::Application)], &often);
        for (place, gateway) in GATEWAYS.into_iter().enumerate() {
            lane(&[Fault::Kill(Victim::Gateway(gateway))], &often);
            lane(&[Fault::Cut(place), Fault::Stall(place)], &often);
        }
        lane(&[Fault::FullDisk], &seldom);
        steps.sort_by_key(|(at, _)| *at);
        Self(steps)
    }
}

/// What has happened to the parts.
#[derive(Debug, Default)]
pub(crate) struct Toll {
    /// How often what was done to them.
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// From when to when a gateway may have forgotten what it had not promised: it died, or its disk was full.
    pub(crate) lapses: Vec<(&'static str, Instant, Instant)>,
    /// Parts that have ended by themselves and were started again.
    pub(crate) ended: BTreeMap<Victim, u64>,
}

impl Toll {
    /// Whether this gateway may have forgotten something between these instants.
    pub(crate) fn has_lapsed(&self, gateway: &str, from: Instant, to: Instant) -> bool {
        self.lapses.iter().any(|(of, began, ended)| *of == gateway && *began <= to && *ended >= from)
    }
}

/// Does to the parts what the timeline says.
pub(crate) struct Trouble<'s> {
    system: &'s mut System,
    links: Vec<Proxy>,
    disk: SmallDisk,
    down: BTreeSet<Victim>,
    to_start: BTreeMap<Victim, Instant>,
    disk_full_since: Option<Instant>,
    killed_at: BTreeMap<Victim, Instant>,
    toll: Toll,
}

impl<'s> Trouble<'s> {
    pub(crate) fn new(system: &'s mut System, links: Vec<Proxy>, disk: SmallDisk) -> Self {
        Self {
            system,
            links,
            disk,
            down: BTreeSet::new(),
            to_start: BTreeMap::new(),
            disk_full_since: None,
            killed_at: BTreeMap::new(),
            toll: Toll::default(),
        }
    }

    /// Until all of it has happened and everything is as it should be again.
    pub(crate) async fn run(&mut self, timeline: &Timeline) {
        let began = Instant::now();
        for (at, step) in &timeline.0 {
            while let left = at.saturating_sub(began.elapsed())
                && !left.is_zero()
            {
                tokio::time::sleep(left.min(LOOK_INTERVAL)).await;
                self.look_after();
            }
            match step {
                Step::Begin(fault) => self.begin(*fault),
                Step::End(fault) => self.end_fault(*fault),
            }
        }
        while !self.to_start.is_empty() {
            tokio::time::sleep(LOOK_INTERVAL).await;
            self.look_after();
        }
    }

    /// What has happened, and what is to be kept until nobody uses it.
    pub(crate) fn end(self) -> (Toll, Vec<Proxy>, SmallDisk) {
        (self.toll, self.links, self.disk)
    }

    fn begin(&mut self, fault: Fault) {
        *self.toll.faults.entry(fault.name()).or_default() += 1;
        let now = Instant::now();
        match fault {
            Fault::Kill(victim) => {
                self.killed_at.insert(victim, now);
                self.down.insert(victim);
                self.to_start.remove(&victim);
                self.part(victim).kill();
            }
            Fault::Cut(place) => self.links[place].set(Passage::Cut),
            Fault::Stall(place) => self.links[place].set(Passage::Stalled),
            Fault::FullDisk => {
                self.disk_full_since = Some(now);
                self.disk.fill();
            }
        }
    }

    fn end_fault(&mut self, fault: Fault) {
        let now = Instant::now();
        match fault {
            Fault::Kill(victim) => {
                self.down.remove(&victim);
                self.part(victim).start();
                if let (Victim::Gateway(gateway), Some(killed)) = (victim, self.killed_at.remove(&victim)) {
                    self.toll.lapses.push((gateway, killed, now));
                }
            }
            Fault::Cut(place) | Fault::Stall(place) => self.links[place].set(Passage::Open),
            Fault::FullDisk => {
                self.disk.clear();
                let since = self.disk_full_since.take().expect("it was filled");
                self.toll.lapses.push((GATEWAYS[0], since, now));
            }
        }
    }

    /// Starts again what has ended by itself.
    fn look_after(&mut self) {
        let gateways = GATEWAYS.map(Victim::Gateway);
        for victim in [Victim::Platform, Victim::Application].into_iter().chain(gateways) {
            if self.down.contains(&victim) || self.to_start.contains_key(&victim) || !self.part(victim).has_ended() {
                continue;
            }
            *self.toll.ended.entry(victim).or_default() += 1;
            let now = Instant::now();
            if let Victim::Gateway(gateway) = victim {
                self.toll.lapses.push((gateway, now, now + START_AGAIN_AFTER));
            }
            self.to_start.insert(victim, now + START_AGAIN_AFTER);
        }
        let now = Instant::now();
        let due: Vec<Victim> = self.to_start.iter().filter(|(_, at)| **at <= now).map(|(victim, _)| *victim).collect();
        for victim in due {
            self.to_start.remove(&victim);
            self.part(victim).restart();
        }
    }

    fn part(&mut self, victim: Victim) -> &mut Part {
        match victim {
            Victim::Platform => &mut self.system.platform,
            Victim::Application => &mut self.system.application,
            Victim::Gateway(id) => &mut self.system.gateway(id).part,
        }
    }
}
