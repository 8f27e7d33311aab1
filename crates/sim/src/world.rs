//! Everybody, and the time that passes for them.
//!
//! A step takes whatever is next: something that was planned, or somebody whose time has come. It is
//! handed to whom it concerns, and what they give out is carried on at once. There is no other order
//! than that of time and of planning, and no other chance than the seed's.

mod arriving;
mod asking;
mod breaking;
mod carrying;
mod waking;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bugle_core::gateway::{Slot, WakeUp};
use bugle_core::{PeripheralId, RequestId, Time};

use crate::application::Application;
use crate::call::{Ask, CallId, Reply};
use crate::checkers::{Checkers, Violation};
use crate::device::Device;
use crate::disk::Disk;
use crate::fact::Fact;
use crate::fault::{Ambush, Fault, Manner};
use crate::gateway::Gateway;
use crate::network::{Arrival, Moment, Network, Place, Stamp, StreamId};
use crate::peripheral::Peripheral;
use crate::plan::{GatewayPlan, Plan};
use crate::platform::Platform;
use crate::random::Random;
use crate::schedule::Schedule;
use crate::state::State;
use crate::trace::{Keep, Trace};
use crate::waiting_line::WaitingLine;
use crate::work::{Regret, Work};
use asking::{Caller, Wish};
use carrying::device_at;

/// When a run begins.
const START: Time = Time::from_millis(1_790_000_000_000);
/// How long after healing everything may take to come to rest.
const REST_MAX: Duration = Duration::from_secs(1_800);
/// How often it is looked whether it has.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// More steps than any run takes: with more, somebody turns in circles.
const STEPS_MAX: u64 = 3_000_000;

/// Something that is going to happen.
#[derive(Debug)]
enum Happening {
    Arrives(Arrival),
    DatagramAtGateway {
        gateway: usize,
        address: SocketAddr,
        datagram: Vec<u8>,
    },
    DatagramAtDevice {
        gateway: usize,
        address: SocketAddr,
        datagram: Vec<u8>,
        sent: Stamp,
    },
    Committed {
        place: Place,
        start: u32,
    },
    Asked {
        call: CallId,
        ask: Ask,
    },
    Replied {
        call: CallId,
        reply: Reply,
    },
    Starts {
        place: Place,
    },
    Fault(Fault),
    Mended(Fault),
    /// A process dies, if it is still the one that was struck.
    Dies {
        place: Place,
        start: u32,
        down_for: Duration,
        manner: Manner,
    },
    Work(Work),
    WakeUpArrives {
        place: Place,
    },
    WakeUpFailed {
        gateway: usize,
        start: u32,
        slot: Slot,
        wake_up: WakeUp,
        peripheral: PeripheralId,
    },
    /// A wish is looked after.
    Wish(usize),
}

pub(crate) struct World {
    now: Time,
    schedule: Schedule<Happening>,
    random: Random,
    network: Network,
    gateways: Vec<Gateway>,
    platform: Platform,
    applications: Vec<Application>,
    peripherals: Vec<Peripheral>,
    devices: Vec<Device>,
    /// What group requests carry, each another content.
    contents: BTreeMap<Vec<u8>, RequestId>,
    /// What somebody thinks better of, by what it carries.
    regrets: BTreeMap<Vec<u8>, (usize, Regret)>,
    waiting_line: WaitingLine,
    /// Streams whose dialler is gone without a word.
    orphans: BTreeSet<StreamId>,
    /// For how long, and how, a process that dies stays down.
    dooms: BTreeMap<Place, (Duration, Manner)>,
    /// Deaths that wait for their occasion.
    ambushes: Vec<(Place, Ambush)>,
    /// Systems that are without power.
    dark: BTreeSet<Place>,
    calls: BTreeMap<CallId, Caller>,
    calls_made: u64,
    wishes: Vec<Wish>,
    /// The group requests that were accepted, by application.
    accepted: Vec<Vec<RequestId>>,
    is_healed: bool,
    stamp: Stamp,
    checkers: Checkers,
    violation: Option<Violation>,
    trace: Trace,
    steps: u64,
}

/// How a run came out.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) violation: Option<Violation>,
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    pub(crate) took: Duration,
    pub(crate) lines: Vec<String>,
}

impl World {
    /// The world that a seed's plan describes, before anything has happened.
    pub(crate) fn new(seed: u64, plan: Plan, keep: Keep) -> Self {
        // Another stream of numbers than the plan was drawn from.
        let mut random = Random::new(seed ^ 0x5DEE_CE66_D00D_F00D);
        let Plan { gateways, platform, applications, peripherals, devices, network, disks, safety, faults, works } =
            plan;
        let disk = |random: &mut Random| Disk::new(disks.clone(), random.fork());
        let ids: Vec<_> = gateways.iter().map(|plan| plan.settings.gateway.gateway.clone()).collect();
        let gateways = gateways.into_iter().map(|GatewayPlan { settings, windows, file }| {
            let disk = disk(&mut random);
            Gateway::new(settings, windows, file, disk, random.fork())
        });
        let gateways: Vec<Gateway> = gateways.collect();
        let checkers = Checkers::new(&gateways);
        let platform = Platform::new(platform, ids.into_iter(), disk(&mut random), random.fork());
        let accepted = vec![Vec::new(); applications.len()];
        let applications = applications.into_iter().map(|(id, habits)| {
            let disk = disk(&mut random);
            Application::new(id, habits, disk, random.fork())
        });
        let applications = applications.collect();
        let peripherals =
            peripherals.into_iter().map(|(id, character)| Peripheral::new(START, id, character, random.fork()));
        let peripherals = peripherals.collect();
        let devices = devices.into_iter().map(|(id, character)| Device::new(START, id, character, random.fork()));
        let devices = devices.collect();
        let mut schedule = Schedule::default();
        for (after, fault) in faults {
            schedule.plan(START + after, Happening::Fault(fault));
        }
        for (after, work) in works {
            schedule.plan(START + after, Happening::Work(work));
        }
        let network = Network::new(network, random.fork());
        let mut world = Self {
            now: START,
            schedule,
            random: random.fork(),
            network,
            gateways,
            platform,
            applications,
            peripherals,
            devices,
            contents: BTreeMap::new(),
            regrets: BTreeMap::new(),
            waiting_line: WaitingLine::default(),
            orphans: BTreeSet::new(),
            dooms: BTreeMap::new(),
            ambushes: Vec::new(),
            dark: BTreeSet::new(),
            calls: BTreeMap::new(),
            calls_made: 0,
            wishes: Vec::new(),
            accepted,
            is_healed: false,
            stamp: 0,
            checkers,
            violation: None,
            trace: Trace::new(START, keep),
            steps: 0,
        };
        world.trace.note(START, &"world", format_args!("seed {seed}, {safety:?} of faults and work"));
        world.start_all();
        world
    }

    /// Runs for this long with faults and work, heals, and demands that everything comes to rest.
    pub(crate) fn run(mut self, safety: Duration) -> Outcome {
        self.pass_until(START + safety);
        self.heal();
        let give_up_at = self.now + REST_MAX;
        let mut unfinished = self.unfinished();
        while unfinished.is_some() && self.violation.is_none() && self.now < give_up_at {
            self.pass_until(self.now + LOOK_INTERVAL);
            unfinished = self.unfinished();
        }
        match (&self.violation, unfinished) {
            (Some(_), _) => {}
            (None, Some(what)) => self.break_promise("after healing everything comes to rest", what),
            (None, None) => self.conclude(),
        }
        if let Some(violation) = self.violation.clone() {
            self.note(&"world", format_args!("BROKEN: {violation}"));
        }
        Outcome {
            violation: self.violation,
            digest: self.trace.digest(),
            steps: self.steps,
            took: self.now - START,
            lines: self.trace.into_lines(),
        }
    }

    fn start_all(&mut self) {
        let places = (0..self.gateways.len()).map(Place::Gateway);
        let places = places.chain([Place::Platform]).chain((0..self.applications.len()).map(Place::Application));
        for place in places.collect::<Vec<_>>() {
            self.start(place);
        }
    }

    fn pass_until(&mut self, end: Time) {
        while self.violation.is_none() {
            let next = self.next_time();
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            self.step();
            self.steps += 1;
            if self.steps > STEPS_MAX {
                self.break_promise("nobody turns in circles", format!("{STEPS_MAX} steps are too many"));
            }
        }
    }

    fn next_time(&self) -> Time {
        let now = self.now;
        let planned = self.schedule.next().unwrap_or(Time::MAX);
        let gateways = self.gateways.iter().map(|gateway| gateway.next_timeout(now));
        let applications = self.applications.iter().map(|application| application.next_timeout(now));
        let peripherals = self.peripherals.iter().map(Peripheral::next_timeout);
        let devices = self.devices.iter().map(Device::next_timeout);
        let own = gateways.chain(applications).chain(peripherals).chain(devices).min().unwrap_or(Time::MAX);
        planned.min(own).min(self.platform.next_timeout(now))
    }

    /// What was planned comes first; then everybody whose time has come.
    fn step(&mut self) {
        if let Some(happening) = self.schedule.pop(self.now) {
            return self.happen(happening);
        }
        let now = self.now;
        for number in 0..self.peripherals.len() {
            if self.peripherals[number].next_timeout() <= now {
                self.peripherals[number].handle_timeout(now);
                self.carry_peripheral(number);
            }
        }
        for number in 0..self.devices.len() {
            if self.devices[number].next_timeout() <= now {
                self.devices[number].handle_timeout(now);
                self.carry_device(number);
            }
        }
        for number in 0..self.gateways.len() {
            if self.gateways[number].next_timeout(now) <= now {
                let mut out = Vec::new();
                self.gateways[number].turn(now, &mut out);
                self.carry_gateway(number, out);
            }
        }
        if self.platform.next_timeout(now) <= now {
            let mut out = Vec::new();
            self.platform.turn(now, &mut out);
            self.carry_platform(out);
        }
        for number in 0..self.applications.len() {
            if self.applications[number].next_timeout(now) <= now {
                let mut out = Vec::new();
                self.applications[number].turn(now, &mut out);
                self.carry_application(number, out);
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Arrives(arrival) => self.arrive(arrival),
            Happening::DatagramAtGateway { gateway, address, datagram } => {
                self.arrive_from_device(gateway, address, &datagram);
            }
            Happening::DatagramAtDevice { gateway, address, datagram, sent } => {
                let number = device_at(address);
                self.devices[number].handle_datagram(self.now, gateway, address.port(), &datagram, sent);
                self.carry_device(number);
            }
            Happening::Committed { place, start } => self.on_committed(place, start),
            Happening::Asked { call, ask } => {
                let mut out = Vec::new();
                self.platform.handle_call(self.now, call, ask, &mut out);
                self.carry_platform(out);
            }
            Happening::Replied { call, reply } => self.on_replied(call, reply),
            Happening::WakeUpArrives { place } => self.wake_up(place),
            Happening::WakeUpFailed { gateway, start, slot, wake_up, peripheral } => {
                if self.gateways[gateway].starts() == start {
                    self.on_wake_up_failed(gateway, slot, wake_up, &peripheral);
                }
            }
            Happening::Starts { place } => self.start(place),
            Happening::Fault(fault) => self.go_wrong(fault),
            Happening::Mended(fault) => self.mend(fault),
            Happening::Dies { place, start, down_for, manner } => self.die_of_ambush(place, start, down_for, manner),
            Happening::Work(work) => self.want(work),
            Happening::Wish(number) => self.look_after(number),
        }
    }

    fn on_committed(&mut self, place: Place, start: u32) {
        let now = self.now;
        match place {
            Place::Gateway(number) if self.gateways[number].starts() == start => {
                let mut out = Vec::new();
                self.gateways[number].handle_committed(now, &mut out);
                self.carry_gateway(number, out);
            }
            Place::Platform if self.platform.starts() == start => {
                let mut out = Vec::new();
                self.platform.handle_committed(now, &mut out);
                self.carry_platform(out);
            }
            Place::Application(number) if self.applications[number].starts() == start => {
                let mut out = Vec::new();
                self.applications[number].handle_committed(now, &mut out);
                self.carry_application(number, out);
            }
            _ => {}
        }
    }

    /// What has not come to rest, if anything has not.
    fn unfinished(&self) -> Option<String> {
        if let Some(what) = self.platform.unfinished() {
            return Some(format!("platform: {what}"));
        }
        for gateway in &self.gateways {
            if let Some(what) = gateway.unfinished() {
                return Some(format!("{}: {what}", gateway.id()));
            }
        }
        for application in &self.applications {
            if let Some(what) = application.unfinished() {
                return Some(format!("{}: {what}", application.id()));
            }
            let cursor = application.configurations().map_or(0, |configurations| configurations.cursor());
            let last = self.platform.kept().event_last(application.id());
            if cursor != last {
                return Some(format!("{} has read up to {cursor} of {last}", application.id()));
            }
        }
        if let Some(wish) = self.wishes.iter().find(|wish| !wish.is_granted()) {
            return Some(format!("nobody has answered {wish:?}"));
        }
        let state = self.state();
        crate::checkers::not_in(&state)
    }

    fn conclude(&mut self) {
        let state = State {
            gateways: &self.gateways,
            platform: &self.platform,
            applications: &self.applications,
            peripherals: &self.peripherals,
            devices: &self.devices,
        };
        if let Err(violation) = self.checkers.conclude(&state) {
            self.violation.get_or_insert(violation);
        }
    }

    fn state(&self) -> State<'_> {
        State {
            gateways: &self.gateways,
            platform: &self.platform,
            applications: &self.applications,
            peripherals: &self.peripherals,
            devices: &self.devices,
        }
    }

    /// Tells the checkers.
    fn tell(&mut self, fact: &Fact<'_>) {
        self.stamp += 1;
        let moment = Moment { stamp: self.stamp, at: self.now };
        if let Err(violation) = self.checkers.observe(moment, fact) {
            self.violation.get_or_insert(violation);
        }
    }

    fn break_promise(&mut self, promise: &'static str, what: String) {
        self.violation.get_or_insert(Violation { promise, what });
    }

    fn note(&mut self, who: &dyn fmt::Display, what: fmt::Arguments<'_>) {
        self.trace.note(self.now, who, what);
    }
}
