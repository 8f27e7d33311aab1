//! The plain enumerations.

use bugle_core::{
    EndCause, ExpiryCause, HttpMethod, InitialState, LateJoiners, Origin, Priority, Protocol, Receipt, Sleepers, Stage,
    StopCause, Wakes,
};

use crate::{CloseReason, WireError, proto};

/// One of a few words, a number in the schema.
pub(crate) trait Word: Sized {
    fn to_number(self) -> i32;
    fn from_number(number: i32) -> Result<Self, WireError>;

    /// None if it was left out, by a version that did not know of it.
    fn from_number_option(number: i32) -> Result<Option<Self>, WireError> {
        if number == 0 { Ok(None) } else { Self::from_number(number).map(Some) }
    }

    /// What was left out by a version that did not know of it stands for `otherwise`.
    fn from_number_or(number: i32, otherwise: Self) -> Result<Self, WireError> {
        Ok(Self::from_number_option(number)?.unwrap_or(otherwise))
    }
}

macro_rules! words {
    ($($word:ident $field:literal { $($variant:ident),* })*) => { $(
        impl Word for $word {
            fn to_number(self) -> i32 {
                match self { $(Self::$variant => proto::$word::$variant.into(),)* }
            }

            fn from_number(number: i32) -> Result<Self, WireError> {
                match proto::$word::try_from(number) {
                    $(Ok(proto::$word::$variant) => Ok(Self::$variant),)*
                    Ok(proto::$word::Unspecified) | Err(_) => {
                        Err(WireError::Unknown { field: $field, value: number })
                    }
                }
            }
        }
    )* };
}

words! {
    InitialState "initial_state" { Allocated, Blocked }
    Origin "origin" { File, Platform, Gateway }
    Wakes "wakes" { ByItself, WhenWoken }
    Protocol "protocol" { Mqtt311, Mqtt5, Lwm2m10, Lwm2m11, Lwm2m12 }
    EndCause "cause" { Peripheral, Application, User, LifetimeOver, Roamed, Refused, Unanswered }
    HttpMethod "method" { Get, Post, Put }
    Sleepers "sleepers" { Queue, Skip }
    LateJoiners "late_joiners" { Exclude, Include }
    Receipt "receipt" { Delivered, Executed }
    Stage "stage" { Accepted, AtGateway, Asleep, Activating, Sent }
    Priority "priority" { Urgent, Normal, Background }
    StopCause "cause" { Cancelled, Aborted, Replaced }
    ExpiryCause "cause" { Asleep, Unreachable, GatewayOffline }
    CloseReason "reason" { Stopping, Replaced, Version, Identity, LogConflict, Protocol }
}
