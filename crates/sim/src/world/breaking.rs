//! What goes wrong, and how it is mended.

use std::time::Duration;

use super::{Happening, World};
use crate::fact::Fact;
use crate::fault::{After, Ambush, Fault, Manner, Occasion, Ways};
use crate::network::{Piece, Place};

/// How long a process stays down that nobody has doomed.
const DOWN_FOR: Duration = Duration::from_secs(1);
/// Events that a platform keeps which forgets.
const EVENTS_KEPT: u64 = 3;

impl World {
    pub(super) fn go_wrong(&mut self, fault: Fault) {
        self.note(&"world", format_args!("FAULT {fault:?}"));
        match &fault {
            Fault::Crash { place, outputs, down_for, manner } => {
                self.dooms.insert(*place, (*down_for, *manner));
                self.doom(*place, *outputs);
            }
            Fault::Ambush { place, ambush } => self.ambushes.push((*place, ambush.clone())),
            Fault::Partition { from, to, ways, lasts } => {
                self.network.block(*from, *to);
                if *ways == Ways::Both {
                    self.network.block(*to, *from);
                }
                self.schedule.plan(self.now + *lasts, Happening::Mended(fault.clone()));
            }
            Fault::FullDisk { place, lasts } => {
                self.with_disk(*place, crate::disk::Disk::fill);
                self.schedule.plan(self.now + *lasts, Happening::Mended(fault.clone()));
            }
            Fault::ClockStep { place, by, direction } => match place {
                Place::Gateway(number) => self.gateways[*number].wall.step(*by, *direction),
                Place::Platform => self.platform.wall.step(*by, *direction),
                Place::Application(number) => self.applications[*number].wall.step(*by, *direction),
                Place::Peripheral(_) | Place::Device(_) => {}
            },
            Fault::LinkBreak { gateway } => {
                if let Some(stream) = self.gateways[*gateway].link_stream() {
                    self.cut(stream);
                }
            }
            Fault::ConnectionsBreak { gateway } => {
                for stream in self.gateways[*gateway].peripheral_streams() {
                    self.cut(stream);
                }
            }
            Fault::Idle { application, lasts } => {
                self.applications[*application].idle_until = self.now + *lasts;
            }
            Fault::Forgetting { application } => {
                let id = self.applications[*application].id().clone();
                let through = self.platform.kept().event_last(&id).saturating_sub(EVENTS_KEPT);
                let mut out = Vec::new();
                self.platform.trim_events(self.now, id, through, &mut out);
                self.carry_platform(out);
            }
        }
    }

    pub(super) fn mend(&mut self, fault: Fault) {
        if self.is_healed {
            return;
        }
        match fault {
            Fault::Partition { from, to, ways, .. } => {
                self.unblock(from, to);
                if ways == Ways::Both {
                    self.unblock(to, from);
                }
            }
            Fault::FullDisk { place, .. } => self.with_disk(place, crate::disk::Disk::empty),
            _ => {}
        }
    }

    /// Everything is mended, and nothing goes wrong from now on.
    pub(super) fn heal(&mut self) {
        self.note(&"world", format_args!("HEALED"));
        self.is_healed = true;
        self.ambushes.clear();
        self.network.calm();
        for (from, to) in self.network.blocked_ways() {
            self.unblock(from, to);
        }
        for gateway in &mut self.gateways {
            gateway.disk.calm();
            gateway.spare();
        }
        self.platform.disk.calm();
        self.platform.spare();
        for application in &mut self.applications {
            application.calm(self.now);
        }
        for peripheral in &mut self.peripherals {
            peripheral.calm(self.now);
        }
        for device in &mut self.devices {
            device.calm(self.now);
        }
        self.start_all();
    }

    pub(super) fn start(&mut self, place: Place) {
        let now = self.now;
        self.dark.remove(&place);
        match place {
            Place::Gateway(number) if !self.gateways[number].is_running() => {
                self.note(&place, format_args!("starts"));
                let mut out = Vec::new();
                self.gateways[number].start(now, &mut out);
                self.carry_gateway(number, out);
            }
            Place::Platform if !self.platform.is_running() => {
                self.note(&place, format_args!("starts"));
                let mut out = Vec::new();
                self.platform.start(now, &mut out);
                self.carry_platform(out);
            }
            Place::Application(number) if !self.applications[number].is_running() => {
                self.note(&place, format_args!("starts"));
                let mut out = Vec::new();
                self.applications[number].start(now, &mut out);
                self.carry_application(number, out);
            }
            _ => {}
        }
    }

    /// Something of consequence has happened at a place: one death that waited for it comes.
    pub(super) fn strike(&mut self, place: Place, occasion: Occasion) {
        let waits = |(at, ambush): &(Place, Ambush)| *at == place && ambush.occasion == occasion;
        let Some(position) = self.ambushes.iter().position(waits) else { return };
        let (_, Ambush { after, down_for, manner, .. }) = self.ambushes.remove(position);
        self.note(&place, format_args!("is struck by its {occasion:?}, after {after:?}"));
        match after {
            After::Outputs(outputs) => {
                self.dooms.insert(place, (down_for, manner));
                self.doom(place, outputs);
            }
            After::Time(time) => {
                let start = self.starts(place);
                self.schedule.plan(self.now + time, Happening::Dies { place, start, down_for, manner });
            }
        }
    }

    /// The time of an ambush has come. Who has died meanwhile dies no more of it.
    pub(super) fn die_of_ambush(&mut self, place: Place, start: u32, down_for: Duration, manner: Manner) {
        if !self.is_healed && self.is_running(place) && self.starts(place) == start {
            self.dooms.insert(place, (down_for, manner));
            self.die(place);
        }
    }

    fn is_running(&self, place: Place) -> bool {
        match place {
            Place::Gateway(number) => self.gateways[number].is_running(),
            Place::Platform => self.platform.is_running(),
            Place::Application(number) => self.applications[number].is_running(),
            Place::Peripheral(_) | Place::Device(_) => false,
        }
    }

    /// Which of its processes runs there, or ran last.
    fn starts(&self, place: Place) -> u32 {
        match place {
            Place::Gateway(number) => self.gateways[number].starts(),
            Place::Platform => self.platform.starts(),
            Place::Application(number) => self.applications[number].starts(),
            Place::Peripheral(_) | Place::Device(_) => 0,
        }
    }

    /// A process dies now.
    pub(super) fn die(&mut self, place: Place) {
        let (down_for, manner) = self.dooms.remove(&place).unwrap_or((DOWN_FOR, Manner::ProcessOnly));
        self.note(&place, format_args!("DIES ({manner:?}), and is down for {down_for:?}"));
        if manner == Manner::Power {
            self.dark.insert(place);
        }
        match place {
            Place::Gateway(number) => {
                let mut out = Vec::new();
                let streams = self.gateways[number].die(&mut out);
                self.carry_gateway(number, out);
                let gateway = self.gateways[number].id().clone();
                self.tell(&Fact::GatewayDied { gateway: &gateway });
                self.abandon(place, streams);
            }
            Place::Platform => {
                let mut out = Vec::new();
                let streams = self.platform.die(&mut out);
                self.carry_platform(out);
                self.abandon(place, streams);
            }
            Place::Application(number) => {
                let mut out = Vec::new();
                self.applications[number].die(&mut out);
                self.carry_application(number, out);
            }
            Place::Peripheral(_) | Place::Device(_) => {}
        }
        self.schedule.plan(self.now + down_for, Happening::Starts { place });
    }

    fn doom(&mut self, place: Place, outputs: u32) {
        match place {
            Place::Gateway(number) => self.gateways[number].doom(outputs),
            Place::Platform => self.platform.doom(outputs),
            Place::Application(number) => self.applications[number].doom(outputs),
            Place::Peripheral(_) | Place::Device(_) => {}
        }
    }

    fn with_disk(&mut self, place: Place, change: impl FnOnce(&mut crate::disk::Disk)) {
        match place {
            Place::Gateway(number) => change(&mut self.gateways[number].disk),
            Place::Platform => change(&mut self.platform.disk),
            Place::Application(number) => change(&mut self.applications[number].disk),
            Place::Peripheral(_) | Place::Device(_) => {}
        }
    }

    fn unblock(&mut self, from: Place, to: Place) {
        for (at, arrival) in self.network.unblock(self.now, from, to) {
            self.schedule.plan(at, Happening::Arrives(arrival));
        }
    }

    /// A stream breaks, and both ends learn of it.
    fn cut(&mut self, stream: crate::network::StreamId) {
        for end in [crate::network::End::Dialler, crate::network::End::Listener] {
            let place = self.network.place(stream, end);
            self.send(place, stream, Piece::Close);
        }
    }
}
