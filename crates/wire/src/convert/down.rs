//! Entries of the down log.

use std::time::Duration;

use bugle_core::{DownEntry, RegistrationId, StopCause, Time, Verdict};
use proto::down_entry::Entry;

use super::request::{group_request, path, to_numbers, try_group_request};
use super::{Word, group_ids, id, present, request_id, to_millis, to_texts};
use crate::{WireError, proto};

pub(crate) fn down_entry(entry: &DownEntry, now: Time) -> proto::DownEntry {
    let entry = match entry {
        DownEntry::Decision { peripheral, registration, verdict } => Entry::Decision(proto::Decision {
            peripheral: peripheral.to_string(),
            registration: registration.number(),
            verdict: Some(verdict.into()),
        }),
        DownEntry::Request(request) => Entry::Request(group_request(request, now)),
        DownEntry::Cancel { request, cause } => {
            Entry::Cancel(proto::Cancel { request: request.number(), cause: cause.to_number() })
        }
        DownEntry::Allocate(allocation) => Entry::Allocate(allocation.into()),
        DownEntry::Remove { peripheral } => Entry::Remove(proto::Remove { peripheral: peripheral.to_string() }),
        DownEntry::Release { peripheral } => Entry::Release(proto::Release { peripheral: peripheral.to_string() }),
        DownEntry::Block { peripheral } => Entry::Block(proto::Block { peripheral: peripheral.to_string() }),
        DownEntry::Deregister { peripheral, registration, cause } => Entry::Deregister(proto::Deregister {
            peripheral: peripheral.to_string(),
            registration: registration.map(RegistrationId::number),
            cause: cause.to_number(),
        }),
        DownEntry::Standby { peripheral } => {
            Entry::Standby(proto::PutIntoStandby { peripheral: peripheral.to_string() })
        }
        DownEntry::Observe { peripheral, path } => {
            Entry::Observe(proto::Observe { peripheral: peripheral.to_string(), path: to_numbers(path) })
        }
        DownEntry::ObserveNoMore { peripheral, path } => {
            Entry::ObserveNoMore(proto::ObserveNoMore { peripheral: peripheral.to_string(), path: to_numbers(path) })
        }
        DownEntry::Activate { peripheral } => Entry::Activate(proto::Activate { peripheral: peripheral.to_string() }),
        DownEntry::StandbyGroup { application, group } => Entry::StandbyGroup(proto::PutGroupIntoStandby {
            application: application.to_string(),
            group: group.to_string(),
        }),
        DownEntry::ActivateGroup { application, group } => Entry::ActivateGroup(proto::ActivateGroup {
            application: application.to_string(),
            group: group.to_string(),
        }),
    };
    proto::DownEntry { entry: Some(entry) }
}

pub(crate) fn try_down_entry(message: proto::DownEntry, now: Time) -> Result<DownEntry, WireError> {
    Ok(match present(message.entry, "down entry")? {
        Entry::Decision(message) => DownEntry::Decision {
            peripheral: id(&message.peripheral)?,
            registration: RegistrationId::new(message.registration),
            verdict: present(message.verdict, "verdict")?.try_into()?,
        },
        Entry::Request(message) => DownEntry::Request(try_group_request(message, now)?),
        Entry::Cancel(message) => DownEntry::Cancel {
            request: request_id(message.request)?,
            cause: Word::from_number_or(message.cause, StopCause::Cancelled)?,
        },
        Entry::Allocate(message) => DownEntry::Allocate(message.try_into()?),
        Entry::Remove(message) => DownEntry::Remove { peripheral: id(&message.peripheral)? },
        Entry::Release(message) => DownEntry::Release { peripheral: id(&message.peripheral)? },
        Entry::Block(message) => DownEntry::Block { peripheral: id(&message.peripheral)? },
        Entry::Deregister(message) => DownEntry::Deregister {
            peripheral: id(&message.peripheral)?,
            registration: message.registration.map(RegistrationId::new),
            cause: Word::from_number(message.cause)?,
        },
        Entry::Standby(message) => DownEntry::Standby { peripheral: id(&message.peripheral)? },
        Entry::Observe(message) => {
            DownEntry::Observe { peripheral: id(&message.peripheral)?, path: path(&message.path)? }
        }
        Entry::ObserveNoMore(message) => {
            DownEntry::ObserveNoMore { peripheral: id(&message.peripheral)?, path: path(&message.path)? }
        }
        Entry::Activate(message) => DownEntry::Activate { peripheral: id(&message.peripheral)? },
        Entry::StandbyGroup(message) => {
            DownEntry::StandbyGroup { application: id(&message.application)?, group: id(&message.group)? }
        }
        Entry::ActivateGroup(message) => {
            DownEntry::ActivateGroup { application: id(&message.application)?, group: id(&message.group)? }
        }
    })
}

impl From<&Verdict> for proto::decision::Verdict {
    fn from(verdict: &Verdict) -> Self {
        match verdict {
            Verdict::Authorized { groups, lease } => {
                Self::Authorized(proto::Authorized { groups: to_texts(groups), lease_ms: to_millis(*lease) })
            }
            Verdict::Refused { reason } => Self::Refused(proto::RefusedByApplication { reason: reason.clone() }),
        }
    }
}

impl TryFrom<proto::decision::Verdict> for Verdict {
    type Error = WireError;

    fn try_from(message: proto::decision::Verdict) -> Result<Self, WireError> {
        use proto::decision::Verdict as Message;
        Ok(match message {
            Message::Authorized(authorized) => Self::Authorized {
                groups: group_ids(&authorized.groups)?,
                lease: Duration::from_millis(authorized.lease_ms),
            },
            Message::Refused(refused) => Self::Refused { reason: refused.reason },
        })
    }
}
