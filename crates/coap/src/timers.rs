//! All that is due later. A timer that is no longer wanted is not taken out: whoever owns it knows when it is due.

use bugle_core::DueQueue;

use crate::event::{ExchangeId, RequestHandle};

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A message is to be sent again, or was not answered.
    Exchange(ExchangeId),
    /// A request is to be acknowledged without its answer, or to be given up.
    Request(RequestHandle),
    /// It is looked at whether some peers can be forgotten.
    Sweep,
}

pub(crate) type Timers = DueQueue<Timer>;
