//! What can be seen of simulated peripherals.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bugle_core::RequestId;

/// Something that happened to one simulated peripheral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which, by its place in the list that was started.
    pub peripheral: usize,
    /// When.
    pub at: Instant,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The server has accepted it: at a gateway, it is registered, or awake again.
    Connected {
        /// Whether the server remembers it.
        session: Session,
    },
    /// MQTT: its subscription is in place.
    Subscribed,
    /// LwM2M: the server has heard that it is still there.
    Updated,
    /// The server has refused the connection, the registration or the subscription.
    Refused {
        /// The reason code of MQTT 5, the return code of 3.1.1, or the response code of CoAP.
        code: u8,
        /// In words, if the server said more.
        reason: Option<String>,
    },
    /// A message came.
    Received {
        /// Which request it is; none if it is not one, or does not say. With LwM2M it is what the token says if
        /// a gateway has made it.
        request: Option<RequestId>,
        /// Whether it came before. With LwM2M, retransmissions are only counted.
        delivery: Delivery,
    },
    /// The acknowledgement of a message has gone out; with LwM2M, the answer with it.
    Acknowledged,
    /// MQTT: the server has taken the answer to this request.
    Answered {
        /// Which.
        request: RequestId,
    },
    /// The server has taken another message of its own: a report, or what it was told to publish or send.
    Published,
    /// The server has not taken a message of its own.
    Rejected {
        /// As in [`Happening::Refused`].
        code: u8,
    },
    /// The connection or the registration has ended, or never came to be.
    Disconnected(Ending),
    /// It tried as often as it may, and stays away.
    GaveUp,
}

/// Whether the server remembers a peripheral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// It does not: what was subscribed and queued is gone.
    New,
    /// It does.
    Resumed,
}

/// Whether a request came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It did not.
    First,
    /// It did, and the server says so: as a retransmission.
    Again,
    /// It did, and this is another message: only the request's id tells that it is not new.
    AskedAgain,
}

/// How a connection or a registration ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It went to sleep.
    Slept,
    /// It deregistered.
    Left,
    /// It was told to go without a word.
    Vanished,
    /// The server ended it.
    ByServer {
        /// The reason code, if the server gave one.
        code: Option<u8>,
    },
    /// It broke, could not be made, or the server is silent.
    Broken {
        /// In words.
        reason: String,
    },
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often what has happened, over all peripherals of a run.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        /// [`Counts`] while they grow.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: AtomicU64,)*
        }

        impl Counters {
            pub(crate) fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counts! {
    /// Connections or registrations that the server accepted, and sleepers that it has heard wake.
    connected,
    /// Of those, the ones that have ended.
    ended,
    /// Subscriptions in place.
    subscribed,
    /// Registrations kept alive.
    updated,
    /// Refusals by the server.
    refused,
    /// Messages that came for the first time.
    received,
    /// Messages that came again.
    repeated,
    /// Acknowledgements sent.
    acknowledged,
    /// Answers that the server has taken.
    answered,
    /// Other messages that the server has taken.
    published,
    /// Messages that the server has not taken, and messages given up because too many waited.
    rejected,
    /// Sleeps begun.
    slept,
    /// Connections that broke or could not be made, and words that the server did not answer.
    broken,
    /// Peripherals that gave up.
    gave_up,
    /// Events that nobody fetched in time.
    events_lost,
}

impl Counts {
    /// Peripherals that are connected now.
    #[must_use]
    pub const fn connected_now(&self) -> u64 {
        self.connected.saturating_sub(self.ended)
    }
}

impl Counters {
    pub(crate) fn count(&self, happening: &Happening) {
        let counter = match happening {
            Happening::Connected { .. } => &self.connected,
            Happening::Subscribed => &self.subscribed,
            Happening::Updated => &self.updated,
            Happening::Refused { .. } => &self.refused,
            Happening::Received { delivery: Delivery::First, .. } => &self.received,
            Happening::Received { delivery: Delivery::Again | Delivery::AskedAgain, .. } => &self.repeated,
            Happening::Acknowledged => &self.acknowledged,
            Happening::Answered { .. } => &self.answered,
            Happening::Published => &self.published,
            Happening::Rejected { .. } => &self.rejected,
            Happening::Disconnected(Ending::Slept) => &self.slept,
            Happening::Disconnected(Ending::Broken { .. }) => &self.broken,
            Happening::Disconnected(_) => return,
            Happening::GaveUp => &self.gave_up,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
