//! What carries bytes: streams that keep the order, and calls that may get lost or come twice.
//!
//! A stream is what TCP makes of a bad network: it stalls, its bytes come in other pieces, it breaks,
//! or one end is gone and the other does not know. While the way is blocked in one direction what is
//! sent there waits, as retransmissions do, and arrives when the way is open again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use bugle_core::Time;

use crate::random::Random;

/// Somebody in the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Gateway(usize),
    Platform,
    Application(usize),
    Peripheral(usize),
    Device(usize),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Gateway(number) => format!("gateway-{number}"),
            Self::Platform => "platform".into(),
            Self::Application(number) => format!("application-{number}"),
            Self::Peripheral(number) => format!("peripheral-{number}"),
            Self::Device(number) => format!("device-{number}"),
        };
        f.pad(&text)
    }
}

/// How the network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conditions {
    /// How long anything is on its way, in milliseconds.
    pub(crate) delay: Range<u64>,
    /// How often in a thousand a piece takes ten times as long.
    pub(crate) stall: u64,
    /// How often in a thousand a stream's piece comes as two.
    pub(crate) split: u64,
    /// How often in a thousand a call or its reply gets lost.
    pub(crate) loss: u64,
    /// How often in a thousand a call comes twice.
    pub(crate) duplication: u64,
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(u64);

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stream {}", self.0)
    }
}

/// One end of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// Who opened it.
    Dialler,
    /// Who was there.
    Listener,
}

impl End {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }
}

/// What comes out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The stream is asked for.
    Open,
    /// So many bytes, which may come in other pieces.
    Bytes(Vec<u8>),
    /// A message, which comes whole.
    Frame(Vec<u8>),
    /// Nothing more comes.
    Close,
}

/// A moment in the order of everything that happens; later ones are larger.
pub(crate) type Stamp = u64;

/// A moment, and what time it was then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    pub(crate) stamp: Stamp,
    pub(crate) at: Time,
}

/// A piece at the end of its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) stream: StreamId,
    pub(crate) to: End,
    pub(crate) piece: Piece,
    /// When it was sent.
    pub(crate) sent: Stamp,
}

/// A stream between two places.
#[derive(Debug)]
struct Stream {
    dialler: Place,
    listener: Place,
    to_dialler: Pipe,
    to_listener: Pipe,
}

/// One direction of a stream.
#[derive(Debug, Default)]
struct Pipe {
    last_arrival: Time,
    held: Vec<(Piece, Stamp)>,
}

#[derive(Debug)]
pub(crate) struct Network {
    conditions: Conditions,
    random: Random,
    streams: BTreeMap<StreamId, Stream>,
    opened: u64,
    /// Ways that are blocked, each so many times over.
    blocked: BTreeMap<(Place, Place), u32>,
}

impl Network {
    pub(crate) const fn new(conditions: Conditions, random: Random) -> Self {
        Self { conditions, random, streams: BTreeMap::new(), opened: 0, blocked: BTreeMap::new() }
    }

    /// A new stream, of which the listener does not know yet.
    pub(crate) fn open(&mut self, dialler: Place, listener: Place) -> StreamId {
        self.opened += 1;
        let id = StreamId(self.opened);
        let stream = Stream { dialler, listener, to_dialler: Pipe::default(), to_listener: Pipe::default() };
        self.streams.insert(id, stream);
        id
    }

    /// Who is at an end.
    pub(crate) fn place(&self, stream: StreamId, end: End) -> Place {
        let stream = &self.streams[&stream];
        match end {
            End::Dialler => stream.dialler,
            End::Listener => stream.listener,
        }
    }

    /// Sends a piece towards an end. Returns when it arrives; nothing if the way is blocked now.
    pub(crate) fn send(
        &mut self,
        now: Time,
        stream: StreamId,
        to: End,
        piece: Piece,
        sent: Stamp,
    ) -> Vec<(Time, Arrival)> {
        let way = (self.place(stream, to.other()), self.place(stream, to));
        if self.blocked.contains_key(&way) {
            self.pipe(stream, to).held.push((piece, sent));
            return Vec::new();
        }
        let pieces = self.split(piece);
        pieces.into_iter().map(|piece| self.arrive(now, stream, to, piece, sent)).collect()
    }

    /// When a call, or a datagram, arrives: never, once or twice; it may be overtaken.
    pub(crate) fn call(&mut self, now: Time, from: Place, to: Place) -> Vec<Time> {
        if self.blocked.contains_key(&(from, to)) || self.random.chance(self.conditions.loss) {
            return Vec::new();
        }
        let count = if self.random.chance(self.conditions.duplication) { 2 } else { 1 };
        (0..count).map(|_| now + self.delay()).collect()
    }

    /// Blocks a way until it is unblocked as often.
    pub(crate) fn block(&mut self, from: Place, to: Place) {
        *self.blocked.entry((from, to)).or_default() += 1;
    }

    /// Unblocks a way. What waited for it arrives.
    pub(crate) fn unblock(&mut self, now: Time, from: Place, to: Place) -> Vec<(Time, Arrival)> {
        let Some(times) = self.blocked.get_mut(&(from, to)) else { return Vec::new() };
        *times -= 1;
        if *times > 0 {
            return Vec::new();
        }
        self.blocked.remove(&(from, to));
        let mut arrivals = Vec::new();
        for (stream, end) in self.streams_on(from, to) {
            for (piece, sent) in std::mem::take(&mut self.pipe(stream, end).held) {
                arrivals.push(self.arrive(now, stream, end, piece, sent));
            }
        }
        arrivals
    }

    /// The ways that are blocked, each as often as it is.
    pub(crate) fn blocked_ways(&self) -> Vec<(Place, Place)> {
        let often = |(way, times): (&(Place, Place), &u32)| std::iter::repeat_n(*way, *times as usize);
        self.blocked.iter().flat_map(often).collect()
    }

    /// From now on nothing gets lost, comes twice or stalls.
    pub(crate) fn calm(&mut self) {
        self.conditions = Conditions { stall: 0, loss: 0, duplication: 0, ..self.conditions.clone() };
    }

    fn streams_on(&self, from: Place, to: Place) -> Vec<(StreamId, End)> {
        let on_way = |(id, stream): (&StreamId, &Stream)| {
            if (stream.dialler, stream.listener) == (from, to) {
                Some((*id, End::Listener))
            } else if (stream.listener, stream.dialler) == (from, to) {
                Some((*id, End::Dialler))
            } else {
                None
            }
        };
        self.streams.iter().filter_map(on_way).collect()
    }

    fn split(&mut self, piece: Piece) -> Vec<Piece> {
        match piece {
            Piece::Bytes(mut bytes) if bytes.len() > 1 && self.random.chance(self.conditions.split) => {
                let rest = bytes.split_off(1 + self.random.index(bytes.len() - 1));
                vec![Piece::Bytes(bytes), Piece::Bytes(rest)]
            }
            piece => vec![piece],
        }
    }

    fn arrive(&mut self, now: Time, stream: StreamId, to: End, piece: Piece, sent: Stamp) -> (Time, Arrival) {
        let at = now + self.delay();
        let pipe = self.pipe(stream, to);
        pipe.last_arrival = pipe.last_arrival.max(at);
        (pipe.last_arrival, Arrival { stream, to, piece, sent })
    }

    fn delay(&mut self) -> Duration {
        let delay = self.random.millis(self.conditions.delay.clone());
        if self.random.chance(self.conditions.stall) { delay * 10 } else { delay }
    }

    fn pipe(&mut self, stream: StreamId, to: End) -> &mut Pipe {
        let stream = self.streams.get_mut(&stream).expect("streams are never forgotten");
        match to {
            End::Dialler => &mut stream.to_dialler,
            End::Listener => &mut stream.to_listener,
        }
    }
}
