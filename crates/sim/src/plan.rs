//! What a seed draws before a run: its size, its options, its faults and what is wanted of it.

mod wants;

use std::num::{NonZeroU16, NonZeroU32};
use std::ops::Range;
use std::time::Duration;

use bugle_core::gateway::{Config, Undecided};
use bugle_core::{Allocation, ApplicationId, GatewayId, GroupId, PeripheralId};
use bugle_edge::Settings;
use bugle_lwm2m::client::{Sleep, WakesWith};
use bugle_mqtt::Version;

use crate::application::Habits;
use crate::clock;
use crate::device;
use crate::disk::DiskConditions;
use crate::fault::{After, Ambush, Fault, Manner, Occasion, Ways};
use crate::network::{Conditions, Place};
use crate::peripheral::{Answering, Character};
use crate::random::Random;
use crate::work::Work;
use crate::{gateway, platform};

/// What a seed draws.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) gateways: Vec<GatewayPlan>,
    pub(crate) platform: platform::Windows,
    pub(crate) applications: Vec<(ApplicationId, Habits)>,
    /// Those that speak MQTT,
    pub(crate) peripherals: Vec<(PeripheralId, Character)>,
    /// and those that speak LwM2M.
    pub(crate) devices: Vec<(PeripheralId, device::Character)>,
    pub(crate) network: Conditions,
    pub(crate) disks: DiskConditions,
    /// How long faults and work go on.
    pub(crate) safety: Duration,
    pub(crate) faults: Vec<(Duration, Fault)>,
    pub(crate) works: Vec<(Duration, Work)>,
}

#[derive(Debug)]
pub(crate) struct GatewayPlan {
    pub(crate) settings: Settings,
    pub(crate) windows: gateway::Windows,
    pub(crate) file: Vec<Allocation>,
}

/// Draws a plan.
struct Draw {
    random: Random,
    gateways: usize,
    applications: usize,
    /// All of them; the last ones speak LwM2M.
    peripherals: usize,
    devices: usize,
    words: u64,
    groups: usize,
    /// How many in a thousand peripherals sleep most of the time.
    sleepers: u64,
    /// How many in a thousand peripherals the file of a gateway allocates.
    allocated: u64,
    safety: Duration,
}

impl Plan {
    /// What this seed draws.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed);
        // Small worlds mostly, because few need more to go wrong.
        let most = *random.pick(&[3, 8, 20]);
        let peripherals = 1 + random.index(most);
        let gateways = 1 + random.index(3);
        let applications = 1 + usize::from(random.chance(300));
        let groups = 1 + random.index(3);
        let safety = random.seconds(30..180);
        let devices = match random.of(0..4) {
            0 => 0,
            1 => peripherals,
            _ => random.index(peripherals + 1),
        };
        let sleepers = *random.pick(&[0, 300, 900]);
        let allocated = *random.pick(&[700, 950]);
        let mut draw = Draw {
            random,
            gateways,
            applications,
            peripherals,
            devices,
            words: 0,
            groups,
            sleepers,
            allocated,
            safety,
        };
        draw.plan()
    }

    /// One gateway, one peripheral, nothing that goes wrong.
    #[cfg(test)]
    pub(crate) fn thin(seed: u64) -> Self {
        let random = Random::new(seed);
        let safety = Duration::from_secs(60);
        let devices = (seed % 2) as usize;
        let mut draw = Draw {
            random,
            gateways: 1,
            applications: 1,
            peripherals: 1,
            devices,
            words: 0,
            groups: 1,
            sleepers: 300,
            allocated: 700,
            safety,
        };
        let mut plan = draw.plan();
        plan.network = Conditions { delay: 1..20, stall: 0, split: 0, loss: 0, duplication: 0 };
        plan.disks = DiskConditions { commit: 1..10, stall: 0, failure: 0 };
        plan.faults.clear();
        plan.works.retain(|(_, work)| matches!(work, Work::Submit { .. }));
        plan
    }
}

impl Draw {
    fn plan(&mut self) -> Plan {
        let gateways = (0..self.gateways).map(|number| self.gateway(number)).collect();
        let applications = (0..self.applications).map(|number| self.application(number)).collect();
        let clients = self.peripherals - self.devices;
        let peripherals = (0..clients).map(|number| self.peripheral(number)).collect();
        let devices = (clients..self.peripherals).map(|number| self.device(number)).collect();
        let platform = platform::Windows {
            ahead: self.random.of(1..200),
            message: self.random.of(1..50),
            weight: self.random.of(1..100) as usize,
        };
        let (network, disks) = (self.network(), self.disks());
        let mut faults = self.faults();
        faults.extend(self.ambushes());
        let works = self.works();
        let safety = self.safety;
        Plan { gateways, platform, applications, peripherals, devices, network, disks, safety, faults, works }
    }

    fn gateway(&mut self, number: usize) -> GatewayPlan {
        let pacing = self.pacing();
        let random = &mut self.random;
        let config = Config {
            gateway: gateway_id(number),
            decision_time: random.seconds(2..15),
            undecided: if random.chance(700) { Undecided::Refuse } else { Undecided::Hold },
            retry_after: random.seconds(1..10),
            admissions_per_second: if random.chance(300) { NonZeroU32::new(random.of(1..5) as u32) } else { None },
            answer_time: random.seconds(2..20),
            pacing,
        };
        let mut settings = Settings::new(config);
        settings.reconnect_grace = random.seconds(1..30);
        settings.mqtt.receive_maximum = NonZeroU16::new(64).expect("not zero");
        settings.mqtt.session_expiry_max = random.seconds(30..400);
        let windows =
            gateway::Windows { ahead: random.of(1..200), message: random.of(1..50), undone: random.of(1..100) };
        let mut file = Vec::new();
        for peripheral in 0..self.peripherals {
            if self.random.chance(self.allocated) {
                file.push(self.allocation(peripheral));
            }
        }
        GatewayPlan { settings, windows, file }
    }

    fn application(&mut self, number: usize) -> (ApplicationId, Habits) {
        let refused = (0..self.peripherals).filter(|_| self.random.chance(100)).map(peripheral_id).collect();
        // Some take longer by nature than gateways wait, and are no quicker when everything is mended.
        let (pause, calm_pause, batch_min): (Range<u64>, Range<u64>, usize) = match self.random.of(0..10) {
            0 => (16_000..20_000, 16_000..20_000, 1_000),
            1..3 => (1_000..8_000, 20..200, 1),
            _ => (20..500, 20..200, 1),
        };
        let lease = self.random.seconds(0..90);
        let batch = batch_min + self.random.index(50);
        (application_id(number), Habits { refused, lease, pause, calm_pause, batch })
    }

    fn peripheral(&mut self, number: usize) -> (PeripheralId, Character) {
        let random = &mut self.random;
        let mut gateways: Vec<usize> = (0..self.gateways).collect();
        if random.chance(500) {
            gateways = vec![*random.pick(&gateways)];
        }
        let is_sleeper = random.chance(self.sleepers);
        let character = Character {
            version: *random.pick(&[Version::Mqtt5, Version::Mqtt5, Version::Mqtt311]),
            keep_alive: if random.chance(100) { Duration::ZERO } else { random.seconds(3..40) },
            session_expiry: if random.chance(150) { Duration::ZERO } else { random.seconds(5..300) },
            answering: *random.pick(&[
                Answering::Answers,
                Answering::Answers,
                Answering::Refuses,
                Answering::Silent,
                Answering::Deaf,
            ]),
            gateways,
            calm_seconds: if is_sleeper { random.of(1..5) } else { random.of(1..20) },
            away_seconds: if is_sleeper { random.of(10..60) } else { random.of(1..40) },
            sleepiness: if is_sleeper { 700 } else { 0 },
        };
        (peripheral_id(number), character)
    }

    fn device(&mut self, number: usize) -> (PeripheralId, device::Character) {
        let random = &mut self.random;
        let mut gateways: Vec<usize> = (0..self.gateways).collect();
        if random.chance(500) {
            gateways = vec![*random.pick(&gateways)];
        }
        let sleep = if random.chance(self.sleepers.max(400)) {
            let awake = Duration::from_secs(*random.pick(&[20, 93]));
            let wakes_with = *random.pick(&[WakesWith::Update, WakesWith::Register]);
            Sleep::QueueMode { awake, every: random.seconds(10..60), wakes_with }
        } else {
            Sleep::Never
        };
        let character = device::Character {
            version: *random.pick(&[
                bugle_lwm2m::Version::V1_0,
                bugle_lwm2m::Version::V1_1,
                bugle_lwm2m::Version::V1_2,
            ]),
            lifetime: random.seconds(60..300),
            sleep,
            gateways,
            calm_seconds: random.of(2..30),
            away_seconds: random.of(1..40),
        };
        (peripheral_id(number), character)
    }

    fn network(&mut self) -> Conditions {
        let random = &mut self.random;
        let slow = *random.pick(&[5, 50, 400]);
        Conditions {
            delay: 1..slow + 2,
            stall: random.of(0..30),
            split: random.of(0..300),
            loss: random.of(0..150),
            duplication: random.of(0..100),
        }
    }

    fn disks(&mut self) -> DiskConditions {
        let random = &mut self.random;
        let slow = *random.pick(&[3, 20, 150, 800]);
        DiskConditions { commit: 1..slow + 2, stall: random.of(0..20), failure: random.of(0..20) }
    }

    fn faults(&mut self) -> Vec<(Duration, Fault)> {
        let most = *self.random.pick(&[3, 14, 50]);
        let count = self.random.index(most);
        (0..count).map(|_| (self.moment(), self.fault())).collect()
    }

    /// Deaths in moments that no draw of times would often hit. Who dies so is back before what was in
    /// progress is over.
    fn ambushes(&mut self) -> Vec<(Duration, Fault)> {
        let most = *self.random.pick(&[4, 16, 40]);
        let count = self.random.index(most);
        (0..count).map(|_| (self.moment(), self.ambush())).collect()
    }

    fn ambush(&mut self) -> Fault {
        let place =
            if self.random.chance(700) { Place::Gateway(self.random.index(self.gateways)) } else { self.node() };
        let random = &mut self.random;
        let occasion = match place {
            Place::Gateway(_) => *random.pick(&[
                Occasion::Request,
                Occasion::Cancellation,
                Occasion::Cancellation,
                Occasion::Decision,
                Occasion::Direction,
                Occasion::Delivery,
                Occasion::WakeUp,
                Occasion::WakeUp,
                Occasion::Outcome,
                Occasion::Registration,
                Occasion::Presence,
            ]),
            _ => Occasion::Commit,
        };
        let after = if random.chance(400) {
            After::Outputs(random.of(0..4) as u32)
        } else {
            let longest = *random.pick(&[1, 20, 300, 2_000]);
            After::Time(random.millis(0..longest))
        };
        let (down_for, manner) = (random.millis(10..1_000), self.manner());
        Fault::Ambush { place, ambush: Ambush { occasion, after, down_for, manner } }
    }

    fn crash(&mut self, place: Place) -> Fault {
        let (outputs, down_for) = (self.random.of(0..12) as u32, self.random.millis(10..15_000));
        Fault::Crash { place, outputs, down_for, manner: self.manner() }
    }

    fn manner(&mut self) -> Manner {
        if self.random.chance(500) { Manner::ProcessOnly } else { Manner::Power }
    }

    fn fault(&mut self) -> Fault {
        let lasts = self.random.millis(50..30_000);
        let gateway = self.random.index(self.gateways);
        let application = self.random.index(self.applications);
        match self.random.of(0..100) {
            0..45 => {
                let place = self.node();
                self.crash(place)
            }
            45..65 => {
                let (from, to) = self.way();
                let ways = if self.random.chance(500) { Ways::One } else { Ways::Both };
                Fault::Partition { from, to, ways, lasts }
            }
            65..72 => Fault::FullDisk { place: self.node(), lasts },
            72..80 => {
                let direction =
                    if self.random.chance(500) { clock::Direction::Forward } else { clock::Direction::Back };
                Fault::ClockStep { place: self.node(), by: self.random.millis(1..60_000), direction }
            }
            80..86 => Fault::LinkBreak { gateway },
            86..92 => Fault::ConnectionsBreak { gateway },
            92..97 => Fault::Idle { application, lasts },
            _ => Fault::Forgetting { application },
        }
    }

    /// One of those that have processes and disks.
    fn node(&mut self) -> Place {
        match self.random.of(0..10) {
            0..6 => Place::Gateway(self.random.index(self.gateways)),
            6..8 => Place::Platform,
            _ => Place::Application(self.random.index(self.applications)),
        }
    }

    fn way(&mut self) -> (Place, Place) {
        let gateway = Place::Gateway(self.random.index(self.gateways));
        let (one, other) = match self.random.of(0..10) {
            0..4 => (gateway, Place::Platform),
            4..6 => (Place::Application(self.random.index(self.applications)), Place::Platform),
            _ => {
                let (number, clients) = (self.random.index(self.peripherals), self.peripherals - self.devices);
                let place = number.checked_sub(clients).map_or(Place::Peripheral(number), Place::Device);
                (place, gateway)
            }
        };
        if self.random.chance(500) { (one, other) } else { (other, one) }
    }

    fn moment(&mut self) -> Duration {
        let millis = self.safety.as_millis() as u64;
        self.random.millis(0..millis)
    }
}

pub(crate) fn gateway_id(number: usize) -> GatewayId {
    GatewayId::new(format!("gateway-{number}")).expect("a gateway id")
}

pub(crate) fn application_id(number: usize) -> ApplicationId {
    ApplicationId::new(format!("application-{number}")).expect("an application id")
}

pub(crate) fn peripheral_id(number: usize) -> PeripheralId {
    PeripheralId::new(format!("peripheral-{number}")).expect("a peripheral id")
}

fn group_id(number: usize) -> GroupId {
    GroupId::new(format!("group-{number}")).expect("a group id")
}
