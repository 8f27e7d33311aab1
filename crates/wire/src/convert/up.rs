//! Entries of the up log.

use bugle_core::{
    AllocationNotice, ApplicationId, Deregistered, MemberOutcome, PresenceChanged, RegistrationAsked, RegistrationId,
    Report, Stranger, UpEntry,
};
use proto::up_entry::Entry;

use super::request::content;
use super::{Word, group_ids, id, peripheral_ids, present, request_id, time, to_texts};
use crate::{WireError, proto};

impl From<&UpEntry> for proto::UpEntry {
    fn from(entry: &UpEntry) -> Self {
        let entry = match entry {
            UpEntry::Allocated(notice) => Entry::Allocated(allocated(notice)),
            UpEntry::Removed { peripheral, application } => Entry::Removed(proto::Removed {
                peripheral: peripheral.to_string(),
                application: application.to_string(),
            }),
            UpEntry::RegistrationAsked { application, asked } => {
                Entry::RegistrationAsked(registration_asked(application, asked))
            }
            UpEntry::PresenceChanged { application, changed } => {
                Entry::PresenceChanged(presence_changed(application, changed))
            }
            UpEntry::Deregistered { application, ended } => Entry::Deregistered(deregistered(application, ended)),
            UpEntry::MembersFixed { request, members, is_last } => Entry::MembersFixed(proto::MembersFixed {
                request: request.number(),
                members: members.iter().map(ToString::to_string).collect(),
                is_last: *is_last,
            }),
            UpEntry::Receipts { request, receipts } => Entry::Receipts(proto::Receipts {
                request: request.number(),
                receipts: receipts.iter().map(Into::into).collect(),
            }),
            UpEntry::Progress { request, members } => Entry::Progress(proto::Progress {
                request: request.number(),
                members: members.iter().map(Into::into).collect(),
            }),
            UpEntry::Report { application, report } => Entry::Report(self::report(application, report)),
            UpEntry::ReportsLost { application, count } => {
                Entry::ReportsLost(proto::ReportsLost { application: application.to_string(), count: *count })
            }
            UpEntry::Stranger(stranger) => Entry::Stranger(self::stranger(stranger)),
        };
        Self { entry: Some(entry) }
    }
}

impl TryFrom<proto::UpEntry> for UpEntry {
    type Error = WireError;

    fn try_from(message: proto::UpEntry) -> Result<Self, WireError> {
        Ok(match present(message.entry, "up entry")? {
            Entry::Allocated(message) => Self::Allocated(message.try_into()?),
            Entry::Removed(message) => {
                Self::Removed { peripheral: id(&message.peripheral)?, application: id(&message.application)? }
            }
            Entry::RegistrationAsked(message) => {
                Self::RegistrationAsked { application: id(&message.application)?, asked: message.try_into()? }
            }
            Entry::PresenceChanged(message) => {
                Self::PresenceChanged { application: id(&message.application)?, changed: message.try_into()? }
            }
            Entry::Deregistered(message) => {
                Self::Deregistered { application: id(&message.application)?, ended: message.try_into()? }
            }
            Entry::MembersFixed(message) => Self::MembersFixed {
                request: request_id(message.request)?,
                members: peripheral_ids(&message.members)?,
                is_last: message.is_last,
            },
            Entry::Receipts(message) => {
                let receipts: Result<Vec<MemberOutcome>, _> =
                    message.receipts.into_iter().map(TryInto::try_into).collect();
                Self::Receipts { request: request_id(message.request)?, receipts: receipts? }
            }
            Entry::Progress(message) => {
                let members: Result<_, _> = message.members.into_iter().map(TryInto::try_into).collect();
                Self::Progress { request: request_id(message.request)?, members: members? }
            }
            Entry::Report(message) => {
                Self::Report { application: id(&message.application)?, report: message.try_into()? }
            }
            Entry::ReportsLost(message) => {
                Self::ReportsLost { application: id(&message.application)?, count: message.count }
            }
            Entry::Stranger(message) => Self::Stranger(message.try_into()?),
        })
    }
}

fn allocated(notice: &AllocationNotice) -> proto::Allocated {
    proto::Allocated {
        peripheral: notice.peripheral.to_string(),
        application: notice.application.to_string(),
        groups: to_texts(&notice.groups),
        initial_state: notice.initial_state.to_number(),
        labels: notice.labels.clone(),
        origin: notice.origin.to_number(),
        wakes: notice.wakes.map(Word::to_number).unwrap_or_default(),
    }
}

impl TryFrom<proto::Allocated> for AllocationNotice {
    type Error = WireError;

    fn try_from(message: proto::Allocated) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            application: id(&message.application)?,
            groups: group_ids(&message.groups)?,
            initial_state: Word::from_number(message.initial_state)?,
            labels: message.labels,
            origin: Word::from_number(message.origin)?,
            wakes: Word::from_number_option(message.wakes)?,
        })
    }
}

fn registration_asked(application: &ApplicationId, asked: &RegistrationAsked) -> proto::RegistrationAsked {
    proto::RegistrationAsked {
        application: application.to_string(),
        peripheral: asked.peripheral.to_string(),
        registration: asked.registration.number(),
        groups: to_texts(&asked.groups),
        evidence: Some((&asked.evidence).into()),
        description: Some((&asked.description).into()),
    }
}

impl TryFrom<proto::RegistrationAsked> for RegistrationAsked {
    type Error = WireError;

    fn try_from(message: proto::RegistrationAsked) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            registration: RegistrationId::new(message.registration),
            groups: group_ids(&message.groups)?,
            evidence: present(message.evidence, "evidence")?.try_into()?,
            description: present(message.description, "description")?.try_into()?,
        })
    }
}

fn presence_changed(application: &ApplicationId, changed: &PresenceChanged) -> proto::PresenceChanged {
    proto::PresenceChanged {
        application: application.to_string(),
        peripheral: changed.peripheral.to_string(),
        registration: changed.registration.number(),
        groups: to_texts(&changed.groups),
        changed_at_ms: changed.at.as_millis(),
        presence: Some(changed.presence.into()),
    }
}

impl TryFrom<proto::PresenceChanged> for PresenceChanged {
    type Error = WireError;

    fn try_from(message: proto::PresenceChanged) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            registration: RegistrationId::new(message.registration),
            groups: group_ids(&message.groups)?,
            presence: present(message.presence, "presence")?.try_into()?,
            at: time(message.changed_at_ms)?,
        })
    }
}

fn deregistered(application: &ApplicationId, ended: &Deregistered) -> proto::Deregistered {
    proto::Deregistered {
        application: application.to_string(),
        peripheral: ended.peripheral.to_string(),
        registration: ended.registration.number(),
        groups: to_texts(&ended.groups),
        cause: ended.cause.to_number(),
        ended_at_ms: ended.at.as_millis(),
    }
}

impl TryFrom<proto::Deregistered> for Deregistered {
    type Error = WireError;

    fn try_from(message: proto::Deregistered) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            registration: RegistrationId::new(message.registration),
            groups: group_ids(&message.groups)?,
            cause: Word::from_number(message.cause)?,
            at: time(message.ended_at_ms)?,
        })
    }
}

fn report(application: &ApplicationId, report: &Report) -> proto::Report {
    proto::Report {
        application: application.to_string(),
        peripheral: report.peripheral.to_string(),
        name: report.name.clone(),
        content: Some((&report.content).into()),
        came_at_ms: report.at.as_millis(),
    }
}

impl TryFrom<proto::Report> for Report {
    type Error = WireError;

    fn try_from(message: proto::Report) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            name: message.name,
            content: content(message.content)?,
            at: time(message.came_at_ms)?,
        })
    }
}

fn stranger(stranger: &Stranger) -> proto::Stranger {
    proto::Stranger {
        peripheral: stranger.peripheral.to_string(),
        protocol: stranger.protocol.to_number(),
        address: stranger.address.clone(),
        asked_at_ms: stranger.at.as_millis(),
    }
}

impl TryFrom<proto::Stranger> for Stranger {
    type Error = WireError;

    fn try_from(message: proto::Stranger) -> Result<Self, WireError> {
        Ok(Self {
            peripheral: id(&message.peripheral)?,
            protocol: Word::from_number(message.protocol)?,
            address: message.address,
            at: time(message.asked_at_ms)?,
        })
    }
}
