//! The operations that a server puts to a client (LwM2M 1.1 core, 6.3 and 6.4; transport, 6.4.4 and
//! 6.4.5), and how their answers are understood.

mod answer;
mod content;
mod delivery;
mod formats;
mod request;

pub use answer::{Answer, AnswerError};
pub use content::{ContentError, to_content};
pub use delivery::{Delivery, DeliveryError};
pub use request::OperationError;

use crate::codec::Record;
use crate::registration::Registration;
use crate::{AttributeChanges, Path, objects};

/// What a server asks of a client.
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceOperation {
    /// The values at a path (LwM2M 1.1 core, 6.3.1).
    Read {
        /// An object, instance, resource or, from 1.1 on, resource instance.
        path: Path,
    },
    /// What there is at a path, and the attributes it has (6.3.2).
    Discover {
        /// An object, instance or resource.
        path: Path,
    },
    /// New values (6.3.3).
    Write {
        /// An instance, resource or, from 1.1 on, resource instance.
        path: Path,
        /// What becomes of what is there and not named.
        mode: WriteMode,
        /// The values, at or in the path.
        records: Vec<Record>,
    },
    /// New attributes (6.3.4).
    WriteAttributes {
        /// An object, instance, resource or, from 1.1 on, resource instance.
        path: Path,
        /// Which.
        changes: AttributeChanges,
    },
    /// Do what the resource stands for (6.3.5).
    Execute {
        /// A resource.
        path: Path,
        /// As `0='x',1`; mostly empty.
        arguments: String,
    },
    /// A new object instance (6.3.6).
    Create {
        /// The instance that is to be.
        path: Path,
        /// Its values.
        records: Vec<Record>,
    },
    /// An object instance less (6.3.7).
    Delete {
        /// An instance or, from 1.2 on, a resource instance.
        path: Path,
    },
    /// The values at several paths at once, from 1.1 on (6.3.8).
    ReadComposite {
        /// Which.
        paths: Vec<Path>,
    },
    /// New values in several places at once, all or none, from 1.1 on (6.3.9).
    WriteComposite {
        /// The values.
        records: Vec<Record>,
    },
    /// The values at a path now and whenever they change (6.4.1). The answer opens the observation if
    /// it carries the Observe option.
    Observe {
        /// As for a read.
        path: Path,
    },
    /// No more notifications of a path (6.4.3).
    CancelObservation {
        /// As it was observed.
        path: Path,
    },
    /// The values at several paths now and whenever they change, from 1.1 on (6.4.4).
    ObserveComposite {
        /// Which.
        paths: Vec<Path>,
    },
    /// No more notifications of several paths (6.4.5).
    CancelObservationComposite {
        /// As they were observed.
        paths: Vec<Path>,
    },
}

/// What a write does with what is there and not named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// It goes.
    Replace,
    /// It stays.
    Update,
}

impl DeviceOperation {
    /// Asks a client to deregister, and to stay away for the time that its server object names: the only
    /// way that LwM2M has to send a client off (LwM2M 1.1 core, E.2: Disable).
    #[must_use]
    pub fn disable(registration: &Registration) -> Self {
        Self::execute_on_server(registration, 4)
    }

    /// Asks a client to update its registration now (LwM2M 1.1 core, E.2: Registration Update Trigger).
    #[must_use]
    pub fn trigger_update(registration: &Registration) -> Self {
        Self::execute_on_server(registration, 8)
    }

    /// A client with one server has one instance of the server object, and not always instance 0.
    fn execute_on_server(registration: &Registration, resource: u16) -> Self {
        let instance = first_instance(registration, objects::SERVER).unwrap_or(0);
        Self::Execute { path: Path::of_resource(objects::SERVER, instance, resource), arguments: String::new() }
    }
}

/// The first instance that a client has of an object.
fn first_instance(registration: &Registration, object: u16) -> Option<u16> {
    registration.objects().object(object)?.first_instance()
}
