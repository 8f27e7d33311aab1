//! What goes wrong.

use std::time::Duration;

use crate::clock::Direction;
use crate::network::Place;

/// Something that goes wrong at one time, and is mended after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A process dies after so many more outputs, and starts again after a while.
    Crash { place: Place, outputs: u32, down_for: Duration, manner: Manner },
    /// A process dies when something of consequence happens there next, or soon after.
    Ambush { place: Place, ambush: Ambush },
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

/// A death that waits for its occasion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ambush {
    pub(crate) occasion: Occasion,
    pub(crate) after: After,
    pub(crate) down_for: Duration,
    pub(crate) manner: Manner,
}

/// Something of consequence that happens at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A group request, the end of one before its time, a decision, or anything else came down to a gateway.
    Request,
    Cancellation,
    Decision,
    Direction,
    /// A delivery or a wake-up left a gateway.
    Delivery,
    WakeUp,
    /// An outcome, a registration or its end, or who sleeps came to be on a gateway's disk.
    Outcome,
    Registration,
    Presence,
    /// Anything came to be on the disk of the platform or of an application.
    Commit,
}

/// How long after its occasion a process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Outputs(u32),
    Time(Duration),
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
