//! What somebody gives out is carried on.

use std::net::SocketAddr;

use bugle_core::gateway::Change;
use bugle_core::{DownEntry, Operation, PeripheralId, RequestId, UpEntry};

use super::{Happening, World};
use crate::device::{Output as DeviceOutput, Word as DeviceWord};
use crate::fact::{Carrier, Fact};
use crate::fault::Occasion;
use crate::network::{End, Piece, Place, StreamId};
use crate::peripheral::{Output as PeripheralOutput, Word};
use crate::work::{Since, words_in};
use crate::{application, gateway, platform};

impl World {
    pub(super) fn carry_gateway(&mut self, number: usize, out: Vec<gateway::Output>) {
        let place = Place::Gateway(number);
        for output in out {
            match output {
                gateway::Output::Dial => {
                    let stream = self.network.open(place, Place::Platform);
                    self.send(place, stream, Piece::Open);
                    let mut more = Vec::new();
                    self.gateways[number].handle_dialled(self.now, stream, &mut more);
                    self.carry_gateway(number, more);
                }
                gateway::Output::Send { stream, bytes } => {
                    let to = self.network.place(stream, End::Dialler);
                    self.tell_sent(number, to, &bytes, Carrier::Stream);
                    self.send(place, stream, Piece::Bytes(bytes));
                }
                gateway::Output::Datagram { address, datagram } => {
                    let to = Place::Device(device_at(address));
                    let carrier = self.waiting_line.handle_sent(self.now, number, address, &datagram);
                    self.tell_sent(number, to, &datagram, carrier);
                    for at in self.network.call(self.now, place, to) {
                        let (datagram, sent) = (datagram.clone(), self.stamp);
                        let arrives = Happening::DatagramAtDevice { gateway: number, address, datagram, sent };
                        self.schedule.plan(at, arrives);
                    }
                }
                gateway::Output::Tell { stream, frame } => self.send(place, stream, Piece::Frame(frame)),
                gateway::Output::Close { stream } => {
                    self.tell_cut_off(number, self.network.place(stream, End::Dialler));
                    self.send(place, stream, Piece::Close);
                }
                gateway::Output::Wake(call) => {
                    self.send_wake_up(number, &call);
                    self.strike(place, Occasion::WakeUp);
                }
                gateway::Output::Commit { takes } => {
                    let start = self.gateways[number].starts();
                    self.schedule.plan(self.now + takes, Happening::Committed { place, start });
                }
                gateway::Output::Came { sequence, entry } => {
                    self.note(&place, format_args!("takes {sequence} of the down log: {entry:?}"));
                    self.strike(place, occasion_of_entry(&entry));
                }
                gateway::Output::Kept(change) => self.on_gateway_kept(number, &change),
                gateway::Output::Note(what) => self.note(&place, format_args!("{what}")),
                gateway::Output::Broken(what) => self.break_promise("both ends of a link fit together", what),
                gateway::Output::Died => self.die(place),
            }
        }
    }

    /// Tells of the group requests that a gateway has put into what it sends to somebody.
    fn tell_sent(&mut self, number: usize, to: Place, bytes: &[u8], carrier: Carrier) {
        let Some(peripheral) = self.peripheral_at(to) else { return };
        let (gateway, shown) = (self.gateways[number].id().clone(), self.gateways[number].clock().show(self.now));
        let known = |word: &[u8]| Some((word.to_vec(), *self.contents.get(word)?));
        let sent: Vec<(Vec<u8>, RequestId)> = words_in(bytes).filter_map(known).collect();
        for (content, request) in sent {
            self.note(&Place::Gateway(number), format_args!("sends request {request} to {peripheral}"));
            let peripheral = &peripheral;
            self.tell(&Fact::Sent { gateway: &gateway, peripheral, request, carrier, shown });
            self.strike(Place::Gateway(number), Occasion::Delivery);
            self.regret(&content, request, Since::Sent);
        }
    }

    /// Tells that a gateway knows that somebody is cut off, if it is a peripheral.
    pub(super) fn tell_cut_off(&mut self, number: usize, place: Place) {
        let Some(peripheral) = self.peripheral_at(place) else { return };
        let gateway = self.gateways[number].id().clone();
        self.tell(&Fact::CutOff { gateway: &gateway, peripheral: &peripheral });
    }

    fn peripheral_at(&self, place: Place) -> Option<PeripheralId> {
        match place {
            Place::Peripheral(number) => Some(self.peripherals[number].id().clone()),
            Place::Device(number) => Some(self.devices[number].id().clone()),
            Place::Gateway(_) | Place::Platform | Place::Application(_) => None,
        }
    }

    fn on_gateway_kept(&mut self, number: usize, change: &Change) {
        let place = Place::Gateway(number);
        match change {
            Change::Up { sequence, entry } => {
                let entry: &UpEntry = entry;
                self.note(&place, format_args!("keeps {sequence} of the up log: {entry:?}"));
            }
            change => self.note(&place, format_args!("keeps {change:?}")),
        }
        let gateway = self.gateways[number].id().clone();
        self.tell(&Fact::GatewayKept { gateway: &gateway, change });
        if let Some(occasion) = occasion_of_change(change) {
            self.strike(place, occasion);
        }
    }

    pub(super) fn carry_platform(&mut self, out: Vec<platform::Output>) {
        let place = Place::Platform;
        for output in out {
            match output {
                platform::Output::Tell { stream, frame } => self.send(place, stream, Piece::Frame(frame)),
                platform::Output::Close { stream } => self.send(place, stream, Piece::Close),
                platform::Output::Commit { takes } => {
                    let start = self.platform.starts();
                    self.schedule.plan(self.now + takes, Happening::Committed { place, start });
                }
                platform::Output::Kept(changes) => {
                    for (request, submitted) in &changes.submitted {
                        if let Operation::Message { content } = &submitted.operation {
                            self.contents.insert(content.bytes.clone(), *request);
                            self.regret(&content.bytes, *request, Since::Accepted);
                        }
                    }
                    if let Some((gateway, through)) = &changes.up_applied {
                        self.note(&place, format_args!("has applied {through} of {gateway}"));
                    }
                    for (gateway, entry) in &changes.down {
                        self.note(&place, format_args!("has for {gateway}: {entry:?}"));
                    }
                    for (application, event) in &changes.events {
                        self.note(&place, format_args!("has for {application}: {event:?}"));
                    }
                    self.tell(&Fact::PlatformKept { changes: &changes });
                    self.strike(place, Occasion::Commit);
                }
                platform::Output::Trimmed { gateway, through } => {
                    self.tell(&Fact::DownTrimmed { gateway: &gateway, through });
                }
                platform::Output::Reply { call, reply } => self.reply(call, reply),
                platform::Output::Note(what) => self.note(&place, format_args!("{what}")),
                platform::Output::Broken(what) => self.break_promise("both ends of a link fit together", what),
                platform::Output::Died => self.die(place),
            }
        }
    }

    pub(super) fn carry_application(&mut self, number: usize, out: Vec<application::Output>) {
        let place = Place::Application(number);
        let id = self.applications[number].id().clone();
        for output in out {
            match output {
                application::Output::Call { call, ask } => self.call_of_application(number, call, *ask),
                application::Output::Commit { takes } => {
                    let start = self.applications[number].starts();
                    self.schedule.plan(self.now + takes, Happening::Committed { place, start });
                }
                application::Output::Kept(change) => {
                    self.note(&place, format_args!("keeps {change:?}"));
                    self.tell(&Fact::ApplicationKept { change: &change });
                    self.strike(place, Occasion::Commit);
                }
                application::Output::Taken { sequence } => {
                    self.note(&place, format_args!("takes event {sequence}"));
                    self.tell(&Fact::EventTaken { application: &id, sequence });
                }
                application::Output::StartedOver { sequence } => {
                    self.note(&place, format_args!("starts over with all up to event {sequence}"));
                    self.tell(&Fact::StartedOver { application: &id, sequence });
                }
                application::Output::Restarted => self.tell(&Fact::Restarted { application: &id }),
                application::Output::Note(what) => self.note(&place, format_args!("{what}")),
                application::Output::Died => self.die(place),
            }
        }
    }

    pub(super) fn carry_peripheral(&mut self, number: usize) {
        let place = Place::Peripheral(number);
        while let Some(output) = self.peripherals[number].poll_output() {
            match output {
                PeripheralOutput::Open { gateway } => {
                    let stream = self.network.open(place, Place::Gateway(gateway));
                    self.note(&place, format_args!("opens {stream} to gateway-{gateway}"));
                    self.peripherals[number].handle_stream(stream);
                    self.send(place, stream, Piece::Open);
                }
                PeripheralOutput::Send { stream, bytes } => self.send(place, stream, Piece::Bytes(bytes)),
                PeripheralOutput::Close { stream } => self.send(place, stream, Piece::Close),
                PeripheralOutput::Vanish { stream } => drop(self.orphans.insert(stream)),
                PeripheralOutput::Tell { gateway, word } => self.on_word(number, gateway, &word),
            }
        }
    }

    pub(super) fn carry_device(&mut self, number: usize) {
        let place = Place::Device(number);
        while let Some(output) = self.devices[number].poll_output() {
            match output {
                DeviceOutput::Send { gateway, port, datagram } => {
                    let address = address_of(number, port);
                    for at in self.network.call(self.now, place, Place::Gateway(gateway)) {
                        let datagram = datagram.clone();
                        self.schedule.plan(at, Happening::DatagramAtGateway { gateway, address, datagram });
                    }
                }
                DeviceOutput::Tell { gateway, word } => self.on_device_word(number, gateway, &word),
            }
        }
    }

    fn on_device_word(&mut self, number: usize, gateway: usize, word: &DeviceWord) {
        self.note(&Place::Device(number), format_args!("{word:?}"));
        let (gateway, peripheral) = (self.gateways[gateway].id().clone(), self.devices[number].id().clone());
        let (gateway, peripheral) = (&gateway, &peripheral);
        match word {
            DeviceWord::Registered => self.tell(&Fact::Connected { gateway, peripheral }),
            DeviceWord::Taken { content, is_repeat, session, sent } => {
                let Some(request) = self.contents.get(content).copied() else {
                    return self.break_promise("nobody gets what nobody sent", format!("{peripheral} got {content:?}"));
                };
                let (is_repeat, session, sent) = (*is_repeat, *session, *sent);
                let carrier = Carrier::Datagram;
                self.tell(&Fact::Received { gateway, peripheral, request, is_repeat, session, sent, carrier });
                self.tell(&Fact::Answered { peripheral, request, answer: Some(&[]) });
            }
            DeviceWord::Did(_) => {}
        }
    }

    fn on_word(&mut self, number: usize, gateway: usize, word: &Word) {
        self.note(&Place::Peripheral(number), format_args!("{word:?}"));
        let (gateway, peripheral) = (self.gateways[gateway].id().clone(), self.peripherals[number].id().clone());
        let (gateway, peripheral) = (&gateway, &peripheral);
        match word {
            Word::Connected { .. } => self.tell(&Fact::Connected { gateway, peripheral }),
            Word::Received { request, is_repeat, session, sent } => {
                let (request, is_repeat, session, sent) = (*request, *is_repeat, *session, *sent);
                let carrier = Carrier::Stream;
                self.tell(&Fact::Received { gateway, peripheral, request, is_repeat, session, sent, carrier });
            }
            Word::Answered { request, answer } => {
                self.tell(&Fact::Answered { peripheral, request: *request, answer: answer.as_deref() });
            }
            Word::ReportTaken { report } => self.tell(&Fact::ReportTaken { report }),
            Word::Refused { .. } | Word::Did(_) => {}
        }
    }

    /// Sends a piece from somebody's end of a stream towards the other.
    pub(super) fn send(&mut self, from: Place, stream: StreamId, piece: Piece) {
        let to = if self.network.place(stream, End::Dialler) == from { End::Listener } else { End::Dialler };
        for (at, arrival) in self.network.send(self.now, stream, to, piece, self.stamp) {
            self.schedule.plan(at, Happening::Arrives(arrival));
        }
    }
}

const fn occasion_of_entry(entry: &DownEntry) -> Occasion {
    match entry {
        DownEntry::Request(_) => Occasion::Request,
        DownEntry::Cancel { .. } => Occasion::Cancellation,
        DownEntry::Decision { .. } => Occasion::Decision,
        _ => Occasion::Direction,
    }
}

const fn occasion_of_change(change: &Change) -> Option<Occasion> {
    match change {
        Change::Settled(_) | Change::Ended { .. } => Some(Occasion::Outcome),
        Change::Registered { .. } | Change::Deregistered { .. } => Some(Occasion::Registration),
        Change::Presence { .. } => Some(Occasion::Presence),
        _ => None,
    }
}

/// Where a device speaks from.
fn address_of(device: usize, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, u8::try_from(device).expect("devices are few")], port))
}

/// Which device speaks from an address.
pub(super) fn device_at(address: SocketAddr) -> usize {
    match address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[3]),
        SocketAddr::V6(_) => unreachable!("devices have addresses of version 4"),
    }
}
