//! What goes wrong.

use std::time::Duration;

use crate::clock::Direction;
use crate::network::Place;

/// Something that goes wrong at one time, and is mended after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process dies after so many more outputs, and starts again after a while.
    Crash { place: Place, outputs: u32, down_for: Duration, manner: Manner },
    /// Nothing gets through from one place to another.
    Partition { from: Place, to: Place, ways: Ways, lasts: Duration },
    /// A disk takes nothing.
    FullDisk { place: Place, lasts: Duration },
    /// A wall clock is set; a process sees it when it starts next.
    ClockStep { place: Place, by: Duration, direction: Direction },
    /// The link of a gateway breaks.
    LinkBreak { gateway: usize },
    /// All connections of a gateway's peripherals break.
    ConnectionsBreak { gateway: usize },
    /// An application takes no events.
    Idle { application: usize, lasts: Duration },
    /// The platform keeps no events of an application but the last few.
    Forgetting { application: usize },
}

/// How a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The system is up, and says that its connections are over.
    ProcessOnly,
    /// The system dies with it, without a word.
    Power,
}

/// Whether a partition is one in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ways {
    One,
    Both,
}
