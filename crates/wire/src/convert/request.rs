//! The group request and its outcomes.

use std::num::NonZeroU32;
use std::time::Duration;

use bugle_core::{
    Abort, Activation, Content, FailuresMax, GroupRequest, LateJoiners, MemberOutcome, MemberProgress, Operation,
    Outcome, Pacing, Priority, ResourcePath, Sighting, Time,
};

use super::{Word, group_ids, id, present, request_id, time, to_millis, to_texts};
use crate::{WireError, proto};

pub(super) fn group_request(request: &GroupRequest, now: Time) -> proto::GroupRequest {
    proto::GroupRequest {
        id: request.id.number(),
        application: request.application.to_string(),
        group: request.group.to_string(),
        contained: to_texts(&request.contained),
        operation: Some((&request.operation).into()),
        activation: Some((&request.activation).into()),
        sleepers: request.sleepers.to_number(),
        receipt: request.receipt.to_number(),
        late_joiners: request.late_joiners.to_number(),
        remaining_ms: to_millis(request.deadline - now),
        priority: request.priority.to_number(),
        pacing: Some(request.pacing).filter(|pacing| !pacing.is_unbounded()).map(Into::into),
        abort: request.abort.map(Into::into),
        collapse_key: request.collapse_key.as_ref().map(ToString::to_string),
    }
}

pub(super) fn try_group_request(message: proto::GroupRequest, now: Time) -> Result<GroupRequest, WireError> {
    Ok(GroupRequest {
        id: request_id(message.id)?,
        application: id(&message.application)?,
        group: id(&message.group)?,
        contained: group_ids(&message.contained)?,
        operation: present(message.operation, "operation")?.try_into()?,
        activation: present(message.activation, "activation")?.try_into()?,
        sleepers: Word::from_number(message.sleepers)?,
        receipt: Word::from_number(message.receipt)?,
        late_joiners: late_joiners(message.late_joiners)?,
        deadline: now + Duration::from_millis(message.remaining_ms),
        priority: Word::from_number_or(message.priority, Priority::Normal)?,
        pacing: message.pacing.map(Into::into).unwrap_or_default(),
        abort: message.abort.map(TryInto::try_into).transpose()?,
        collapse_key: message.collapse_key.as_deref().map(id).transpose()?,
    })
}

fn late_joiners(number: i32) -> Result<LateJoiners, WireError> {
    if number == proto::LateJoiners::Unspecified as i32 {
        Ok(LateJoiners::default())
    } else {
        Word::from_number(number)
    }
}

impl From<&Content> for proto::Content {
    fn from(content: &Content) -> Self {
        Self { content_type: content.content_type.clone(), bytes: content.bytes.clone() }
    }
}

impl From<proto::Content> for Content {
    fn from(message: proto::Content) -> Self {
        Self { content_type: message.content_type, bytes: message.bytes }
    }
}

pub(super) fn content(message: Option<proto::Content>) -> Result<Content, WireError> {
    present(message, "content").map(Into::into)
}

pub(super) fn to_numbers(path: &ResourcePath) -> Vec<u32> {
    path.parts().iter().map(|part| u32::from(*part)).collect()
}

pub(super) fn path(numbers: &[u32]) -> Result<ResourcePath, WireError> {
    let part = |number: &u32| {
        u16::try_from(*number).map_err(|_| WireError::OutOfRange { field: "path", value: (*number).into() })
    };
    // One part too many is enough to know that it is no path.
    let parts: Vec<u16> = numbers.iter().take(5).map(part).collect::<Result<_, _>>()?;
    Ok(ResourcePath::new(&parts)?)
}

impl From<&Operation> for proto::Operation {
    fn from(operation: &Operation) -> Self {
        use proto::operation::Operation as Message;
        let operation = match operation {
            Operation::Read { path } => Message::Read(proto::Read { path: to_numbers(path) }),
            Operation::Write { path, content } => {
                Message::Write(proto::Write { path: to_numbers(path), content: Some(content.into()) })
            }
            Operation::Execute { path, arguments } => {
                Message::Execute(proto::Execute { path: to_numbers(path), arguments: arguments.clone() })
            }
            Operation::Message { content } => Message::Message(proto::Message { content: Some(content.into()) }),
        };
        Self { operation: Some(operation) }
    }
}

impl TryFrom<proto::Operation> for Operation {
    type Error = WireError;

    fn try_from(message: proto::Operation) -> Result<Self, WireError> {
        use proto::operation::Operation as Message;
        Ok(match present(message.operation, "operation")? {
            Message::Read(read) => Self::Read { path: path(&read.path)? },
            Message::Write(write) => Self::Write { path: path(&write.path)?, content: content(write.content)? },
            Message::Execute(execute) => Self::Execute { path: path(&execute.path)?, arguments: execute.arguments },
            Message::Message(message) => Self::Message { content: content(message.content)? },
        })
    }
}

impl From<Pacing> for proto::Pacing {
    fn from(pacing: Pacing) -> Self {
        Self {
            members_per_second: pacing.members_per_second.map(NonZeroU32::get),
            members_in_flight: pacing.members_in_flight.map(NonZeroU32::get),
            activations_per_minute: pacing.activations_per_minute.map(NonZeroU32::get),
        }
    }
}

impl From<proto::Pacing> for Pacing {
    fn from(message: proto::Pacing) -> Self {
        Self {
            members_per_second: message.members_per_second.and_then(NonZeroU32::new),
            members_in_flight: message.members_in_flight.and_then(NonZeroU32::new),
            activations_per_minute: message.activations_per_minute.and_then(NonZeroU32::new),
        }
    }
}

impl From<Abort> for proto::Abort {
    fn from(abort: Abort) -> Self {
        use proto::abort::Failures as Message;
        let failures = match abort.failures {
            FailuresMax::Count(count) => Message::Count(count),
            FailuresMax::Percentage(percentage) => Message::Percentage(percentage.into()),
        };
        Self { failures: Some(failures), minimum: abort.minimum }
    }
}

impl TryFrom<proto::Abort> for Abort {
    type Error = WireError;

    fn try_from(message: proto::Abort) -> Result<Self, WireError> {
        use proto::abort::Failures as Message;
        let failures = match present(message.failures, "failures")? {
            Message::Count(count) => FailuresMax::Count(count),
            Message::Percentage(percentage) => FailuresMax::Percentage(
                u8::try_from(percentage)
                    .map_err(|_| WireError::OutOfRange { field: "percentage", value: percentage.into() })?,
            ),
        };
        Ok(Self { failures, minimum: message.minimum })
    }
}

impl From<&Activation> for proto::Activation {
    fn from(activation: &Activation) -> Self {
        use proto::activation::Activation as Message;
        let activation = match activation {
            Activation::All => Message::All(proto::ActivateAll {}),
            Activation::None => Message::None(proto::ActivateNone {}),
            Activation::Count(count) => Message::Count(*count),
            Activation::Percentage(percentage) => Message::Percentage((*percentage).into()),
            Activation::Labels(selector) => Message::Labels(selector.to_string()),
        };
        Self { activation: Some(activation) }
    }
}

impl TryFrom<proto::Activation> for Activation {
    type Error = WireError;

    fn try_from(message: proto::Activation) -> Result<Self, WireError> {
        use proto::activation::Activation as Message;
        Ok(match present(message.activation, "activation")? {
            Message::All(proto::ActivateAll {}) => Self::All,
            Message::None(proto::ActivateNone {}) => Self::None,
            Message::Labels(selector) => Self::Labels(selector.parse()?),
            Message::Count(count) => Self::Count(count),
            Message::Percentage(percentage) => match u8::try_from(percentage) {
                Ok(percentage @ 1..=100) => Self::Percentage(percentage),
                _ => return Err(WireError::OutOfRange { field: "percentage", value: percentage.into() }),
            },
        })
    }
}

impl From<&MemberOutcome> for proto::MemberOutcome {
    fn from(member: &MemberOutcome) -> Self {
        use proto::member_outcome::Outcome as Message;
        let outcome = match &member.outcome {
            Outcome::Executed { answer } => Message::Executed(proto::Executed { answer: Some(answer.into()) }),
            Outcome::Delivered => Message::Delivered(proto::Delivered {}),
            Outcome::Refused { code, reason } => {
                Message::Refused(proto::RefusedByPeripheral { code: code.clone(), reason: reason.clone() })
            }
            Outcome::Failed { reason } => Message::Failed(proto::Failed { reason: reason.clone() }),
            Outcome::Expired { cause } => Message::Expired(proto::Expired { cause: cause.to_number() }),
            Outcome::Skipped => Message::Skipped(proto::Skipped {}),
            Outcome::Left => Message::Left(proto::Left {}),
            Outcome::Cancelled => Message::Cancelled(proto::Cancelled {}),
            Outcome::Aborted => Message::Aborted(proto::Aborted {}),
            Outcome::Replaced => Message::Replaced(proto::Replaced {}),
        };
        Self {
            peripheral: member.peripheral.to_string(),
            settled_at_ms: member.at.as_millis(),
            outcome: Some(outcome),
            seen: to_sightings(&member.seen),
        }
    }
}

impl TryFrom<proto::MemberOutcome> for MemberOutcome {
    type Error = WireError;

    fn try_from(message: proto::MemberOutcome) -> Result<Self, WireError> {
        use proto::member_outcome::Outcome as Message;
        let outcome = match present(message.outcome, "outcome")? {
            Message::Executed(executed) => Outcome::Executed { answer: content(executed.answer)? },
            Message::Delivered(proto::Delivered {}) => Outcome::Delivered,
            Message::Refused(refused) => Outcome::Refused { code: refused.code, reason: refused.reason },
            Message::Failed(failed) => Outcome::Failed { reason: failed.reason },
            Message::Expired(expired) => Outcome::Expired { cause: Word::from_number(expired.cause)? },
            Message::Skipped(proto::Skipped {}) => Outcome::Skipped,
            Message::Left(proto::Left {}) => Outcome::Left,
            Message::Cancelled(proto::Cancelled {}) => Outcome::Cancelled,
            Message::Aborted(proto::Aborted {}) => Outcome::Aborted,
            Message::Replaced(proto::Replaced {}) => Outcome::Replaced,
        };
        let (at, seen) = (time(message.settled_at_ms)?, sightings(&message.seen)?);
        Ok(Self { peripheral: id(&message.peripheral)?, outcome, at, seen })
    }
}

impl From<&MemberProgress> for proto::MemberProgress {
    fn from(member: &MemberProgress) -> Self {
        Self { peripheral: member.peripheral.to_string(), seen: to_sightings(&member.seen) }
    }
}

impl TryFrom<proto::MemberProgress> for MemberProgress {
    type Error = WireError;

    fn try_from(message: proto::MemberProgress) -> Result<Self, WireError> {
        Ok(Self { peripheral: id(&message.peripheral)?, seen: sightings(&message.seen)? })
    }
}

fn to_sightings(seen: &[Sighting]) -> Vec<proto::Sighting> {
    let sighting = |seen: &Sighting| proto::Sighting { stage: seen.stage.to_number(), seen_at_ms: seen.at.as_millis() };
    seen.iter().map(sighting).collect()
}

fn sightings(messages: &[proto::Sighting]) -> Result<Vec<Sighting>, WireError> {
    let sighting = |message: &proto::Sighting| {
        Ok(Sighting { stage: Word::from_number(message.stage)?, at: time(message.seen_at_ms)? })
    };
    messages.iter().map(sighting).collect()
}
