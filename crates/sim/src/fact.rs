//! What checkers learn of the world.

use bugle_core::platform::Changes;
use bugle_core::{ApplicationId, GatewayId, PeripheralId, RequestId, Time, WakeEffort, application, gateway};

use crate::network::Stamp;

/// Something that happened, and that somebody may build on from now on.
#[derive(Debug)]
pub(crate) enum Fact<'a> {
    /// A gateway's change is on disk.
    GatewayKept { gateway: &'a GatewayId, change: &'a gateway::Change },
    /// The platform's changes are on disk.
    PlatformKept { changes: &'a Changes },
    /// The platform has trimmed a down log.
    DownTrimmed { gateway: &'a GatewayId, through: u64 },
    /// An application's change is on disk.
    ApplicationKept { change: &'a application::Change },
    /// An application has taken an event.
    EventTaken { application: &'a ApplicationId, sequence: u64 },
    /// An application has started over from a snapshot.
    StartedOver { application: &'a ApplicationId, sequence: u64 },
    /// An application goes on from what its disk holds.
    Restarted { application: &'a ApplicationId },
    /// Whoever submitted a group request was told that it is accepted.
    Accepted { request: RequestId },
    /// A peripheral was let in.
    Connected { gateway: &'a GatewayId, peripheral: &'a PeripheralId },
    /// A group request left a gateway, for a peripheral.
    Sent {
        gateway: &'a GatewayId,
        peripheral: &'a PeripheralId,
        request: RequestId,
        carrier: Carrier,
        /// When, by the gateway's clock.
        shown: Time,
    },
    /// A gateway knows that nothing is under way with a peripheral any more: its stream has ended, or it
    /// registers anew and knows nothing of what was.
    CutOff { gateway: &'a GatewayId, peripheral: &'a PeripheralId },
    /// A gateway's process has died.
    GatewayDied { gateway: &'a GatewayId },
    /// A wake-up left a gateway.
    WakeSent {
        gateway: &'a GatewayId,
        peripheral: &'a PeripheralId,
        /// On whose behalf, if a request's.
        request: Option<RequestId>,
        effort: WakeEffort,
        tries: u8,
    },
    /// A gateway knows that the last wake-up could not be sent.
    WakeFailed { gateway: &'a GatewayId, peripheral: &'a PeripheralId },
    /// A group request came to a peripheral.
    Received {
        gateway: &'a GatewayId,
        peripheral: &'a PeripheralId,
        request: RequestId,
        is_repeat: bool,
        session: u64,
        sent: Stamp,
        carrier: Carrier,
    },
    /// A peripheral has answered a request, or refused it.
    Answered { peripheral: &'a PeripheralId, request: RequestId, answer: Option<&'a [u8]> },
    /// A gateway has told a peripheral that it has its report.
    ReportTaken { report: &'a str },
}

/// What has carried something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// A stream, on which nothing is overtaken.
    Stream,
    /// A datagram: it may be late, and an endpoint sends it again by itself.
    Datagram,
    /// A datagram that its endpoint may have held back for a while.
    HeldBack,
}
