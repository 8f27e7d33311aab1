//! What is measured.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::{fmt, io};

use bugle_core::credential::PreSharedKey;
use bugle_core::{Content, PeripheralId, RequestId, Totals};

use super::MeasureError;
use super::bare::Bare;
use super::memory::{peak_bytes, resident_bytes};
use super::mosquitto::Mosquitto;
use crate::mqtt::Credentials;

/// Fewer than the hundred that mosquitto lets wait (`listen` in its net.c): one more would be made to
/// wait for a second by the kernel.
const MOSQUITTO_CONNECTING_MAX: NonZeroUsize = NonZeroUsize::new(90).expect("not zero");

/// As many as a system lets wait that nobody has tuned.
const BARE_CONNECTING_MAX: NonZeroUsize = NonZeroUsize::new(900).expect("not zero");

/// A server under measurement.
#[derive(Debug)]
pub enum Target {
    /// The one to hold against.
    Mosquitto(Mosquitto),
    /// What the machine can do at all.
    Bare(Bare),
    /// A Bugle, all of its parts.
    Bugle(Bugle),
}

/// A running Bugle, as far as a measurement needs to know it.
#[derive(Debug)]
pub struct Bugle {
    /// Allocated peripherals that are members of the group, and not registered yet.
    pub members: Vec<Member>,
    /// The processes of its parts, for their memory.
    pub processes: Vec<u32>,
    /// Connections that its gateways let wait while they are being made.
    pub connecting_max: NonZeroUsize,
    /// How its group is reached.
    pub group: GroupService,
}

/// A peripheral as it is allocated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub id: PeripheralId,
    /// Where it speaks to its gateway.
    pub gateway: SocketAddr,
    /// What it shows to be let in, if anything.
    pub shows: Option<Shown>,
}

/// What a peripheral shows to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// With MQTT: name and password.
    Password(Credentials),
    /// With LwM2M: that it has this key, under DTLS. Its id names the key.
    PreSharedKey(PreSharedKey),
}

type SendToGroup = dyn FnMut(&Content) -> Result<RequestId, String> + Send;
type WaitForEnd = dyn FnMut(RequestId) -> Result<Totals, String> + Send;

/// How group requests reach the group, over the platform's HTTP API. Both block; they say in words what went wrong.
pub struct GroupService {
    /// Sends a message to all members; returns when the platform has accepted it.
    pub send: Box<SendToGroup>,
    /// Waits until the request has ended, and says how.
    pub wait: Box<WaitForEnd>,
}

impl fmt::Debug for GroupService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupService").finish_non_exhaustive()
    }
}

impl Target {
    /// What it is called in a result.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mosquitto(_) => "mosquitto",
            Self::Bare(_) => "bare server",
            Self::Bugle(_) => "bugle",
        }
    }

    /// Connections to have under way at once.
    pub(super) const fn connecting_max(&self) -> NonZeroUsize {
        match self {
            Self::Mosquitto(_) => MOSQUITTO_CONNECTING_MAX,
            Self::Bare(_) => BARE_CONNECTING_MAX,
            Self::Bugle(bugle) => bugle.connecting_max,
        }
    }

    /// The first `count` peripherals to simulate there.
    pub(super) fn members(&self, count: usize) -> Result<Vec<Member>, MeasureError> {
        let anybody = |gateway| {
            let id = |number| PeripheralId::new(format!("peripheral-{number}")).expect("letters, digits and a hyphen");
            (0..count).map(|number| Member { id: id(number), gateway, shows: None }).collect()
        };
        match self {
            Self::Mosquitto(mosquitto) => Ok(anybody(mosquitto.address())),
            Self::Bare(bare) => Ok(anybody(bare.address())),
            Self::Bugle(bugle) => {
                let members = bugle.members.get(..count).ok_or(MeasureError::TooFewMembers {
                    server: self.name(),
                    wanted: count,
                    there: bugle.members.len(),
                })?;
                Ok(members.to_vec())
            }
        }
    }

    /// The memory that its processes hold now, in bytes.
    pub(super) fn memory(&self) -> Result<u64, MeasureError> {
        self.sum(resident_bytes)
    }

    /// The memory that its processes have held at most, in bytes.
    pub(super) fn peak_memory(&self) -> Result<u64, MeasureError> {
        self.sum(peak_bytes)
    }

    fn sum(&self, bytes: impl Fn(u32) -> io::Result<u64>) -> Result<u64, MeasureError> {
        let processes = match self {
            Self::Mosquitto(mosquitto) => &[mosquitto.process()][..],
            // It is a part of this process.
            Self::Bare(_) => &[],
            Self::Bugle(bugle) => &bugle.processes[..],
        };
        let bytes = |process: &u32| bytes(*process).map_err(|error| MeasureError::Memory { process: *process, error });
        processes.iter().map(bytes).sum()
    }
}
