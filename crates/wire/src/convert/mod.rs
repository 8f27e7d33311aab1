//! Between the core's words and the schema's messages.

mod down;
mod peripheral;
mod request;
mod up;
mod waker;
mod word;

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use bugle_core::{GroupId, IdError, PeripheralId, RequestId, Time};

pub(crate) use down::{down_entry, try_down_entry};
pub(crate) use word::Word;

use crate::WireError;

fn id<T: FromStr<Err = IdError>>(text: &str) -> Result<T, WireError> {
    text.parse().map_err(WireError::Id)
}

fn request_id(number: u64) -> Result<RequestId, WireError> {
    RequestId::from_number(number).ok_or(WireError::OutOfRange { field: "request", value: number })
}

fn to_texts(groups: &BTreeSet<GroupId>) -> Vec<String> {
    groups.iter().map(ToString::to_string).collect()
}

fn group_ids(texts: &[String]) -> Result<BTreeSet<GroupId>, WireError> {
    texts.iter().map(|text| id(text)).collect()
}

fn peripheral_ids(texts: &[String]) -> Result<Vec<PeripheralId>, WireError> {
    texts.iter().map(|text| id(text)).collect()
}

fn to_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(crate) fn time(millis: u64) -> Result<Time, WireError> {
    if millis > Time::MAX.as_millis() {
        return Err(WireError::OutOfRange { field: "time", value: millis });
    }
    Ok(Time::from_millis(millis))
}

fn present<T>(part: Option<T>, field: &'static str) -> Result<T, WireError> {
    part.ok_or(WireError::Missing { field })
}
