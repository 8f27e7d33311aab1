//! What comes out of a stream is handed to whoever is there.

use std::net::SocketAddr;

use super::World;
use super::carrying::device_at;
use crate::network::{Arrival, End, Piece, Place, StreamId};

impl World {
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let place = self.network.place(arrival.stream, arrival.to);
        match place {
            Place::Gateway(number) => self.arrive_at_gateway(number, arrival),
            Place::Platform => self.arrive_at_platform(arrival),
            Place::Peripheral(number) => self.arrive_at_peripheral(number, arrival),
            Place::Application(_) | Place::Device(_) => {}
        }
    }

    pub(super) fn arrive_from_device(&mut self, number: usize, address: SocketAddr, datagram: &[u8]) {
        if self.gateways[number].is_running() && is_register(datagram) {
            self.tell_cut_off(number, Place::Device(device_at(address)));
        }
        self.waiting_line.handle_received(self.now, number, address, datagram);
        let mut out = Vec::new();
        self.gateways[number].handle_datagram(self.now, address, datagram, &mut out);
        self.carry_gateway(number, out);
    }

    fn arrive_at_gateway(&mut self, number: usize, arrival: Arrival) {
        let Arrival { stream, piece, .. } = arrival;
        let place = Place::Gateway(number);
        let (now, mut out) = (self.now, Vec::new());
        let gateway = &mut self.gateways[number];
        match piece {
            Piece::Open if gateway.is_running() => {
                let address = format!("192.0.2.{}:1883", number + 1);
                gateway.handle_opened(now, stream, &address);
                self.send(place, stream, Piece::Open);
            }
            Piece::Bytes(bytes) | Piece::Frame(bytes) if gateway.knows(stream) => {
                gateway.handle_bytes(now, stream, &bytes, &mut out);
            }
            Piece::Close if gateway.knows(stream) => {
                self.tell_cut_off(number, self.network.place(stream, End::Dialler));
                self.gateways[number].handle_closed(now, stream, &mut out);
            }
            Piece::Open | Piece::Bytes(_) | Piece::Frame(_) => self.refuse(place, stream),
            Piece::Close => {}
        }
        self.carry_gateway(number, out);
    }

    fn arrive_at_platform(&mut self, arrival: Arrival) {
        let Arrival { stream, piece, .. } = arrival;
        let (now, mut out) = (self.now, Vec::new());
        match piece {
            Piece::Open if self.platform.is_running() => self.platform.handle_opened(now, stream),
            Piece::Bytes(bytes) | Piece::Frame(bytes) if self.platform.knows(stream) => {
                self.platform.handle_bytes(now, stream, &bytes, &mut out);
            }
            Piece::Close if self.platform.knows(stream) => self.platform.handle_closed(now, stream, &mut out),
            Piece::Open | Piece::Bytes(_) | Piece::Frame(_) => self.refuse(Place::Platform, stream),
            Piece::Close => {}
        }
        self.carry_platform(out);
    }

    fn arrive_at_peripheral(&mut self, number: usize, arrival: Arrival) {
        let Arrival { stream, piece, sent, .. } = arrival;
        let now = self.now;
        let peripheral = &mut self.peripherals[number];
        if peripheral.stream() != Some(stream) {
            let is_lost = self.orphans.contains(&stream);
            if !is_lost && piece != Piece::Close {
                self.refuse(Place::Peripheral(number), stream);
            }
            return;
        }
        match piece {
            Piece::Open => peripheral.handle_opened(now),
            Piece::Bytes(bytes) | Piece::Frame(bytes) => peripheral.handle_bytes(now, &bytes, sent),
            Piece::Close => peripheral.handle_closed(now),
        }
        self.carry_peripheral(number);
    }

    /// Nobody is there for this stream; a system that is up says so.
    fn refuse(&mut self, place: Place, stream: StreamId) {
        if !self.dark.contains(&place) {
            self.send(place, stream, Piece::Close);
        }
    }

    /// A process is gone, and its streams with it.
    pub(super) fn abandon(&mut self, place: Place, streams: Vec<StreamId>) {
        for stream in streams {
            // A stream that the process dialled ends at the listener's, and the other way round.
            let is_known = [End::Dialler, End::Listener].iter().any(|end| self.network.place(stream, *end) == place);
            if is_known {
                self.refuse(place, stream);
            }
        }
    }
}

/// Whether a datagram is a Register: the one POST that names its endpoint.
fn is_register(datagram: &[u8]) -> bool {
    const POST: u8 = 2;
    datagram.get(1) == Some(&POST) && datagram.windows(3).any(|window| window == b"ep=")
}
