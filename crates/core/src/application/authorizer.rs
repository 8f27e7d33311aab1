//! Who decides about a registration: step 5 of registering.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::{GatewayId, GroupId, RegistrationAsked, Time};

/// What an authorizer is asked: may this peripheral register, and for which of its groups?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationQuestion<'a> {
    /// Through which gateway it asks.
    pub gateway: &'a GatewayId,
    /// The asking, with the evidence.
    pub asked: &'a RegistrationAsked,
}

/// What an authorizer answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It may.
    Authorized {
        /// The groups that it may join; those it did not ask for do not count.
        groups: BTreeSet<GroupId>,
        /// How long the gateway may re-admit it on its own.
        lease: Duration,
    },
    /// It may not.
    Refused {
        /// Why, for the peripheral's log and the operator's.
        reason: String,
    },
    /// It may once a person has approved it.
    Pending {
        /// The groups that it may join then.
        groups: BTreeSet<GroupId>,
        /// How long the gateway may then re-admit it on its own.
        lease: Duration,
    },
}

impl Decision {
    /// No, for this reason.
    #[must_use]
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }
}

/// Authenticates and authorizes peripherals. Implement it to build an application of your own;
/// [`Policy`](super::Policy) is the one that is shipped.
///
/// `now` is the wall clock's time. An answer is asked for once for each registration and kept, so
/// that asking again gives the same one.
pub trait Authorizer: Send {
    /// Decides about one asking.
    fn authorize(&self, now: Time, question: &RegistrationQuestion<'_>) -> Decision;
}

impl<A: Authorizer + ?Sized> Authorizer for Box<A> {
    fn authorize(&self, now: Time, question: &RegistrationQuestion<'_>) -> Decision {
        (**self).authorize(now, question)
    }
}
