//! Rows as the API shows them.

use bugle_api::{
    Application, Gateway, Group, GroupAtGateway, LastDue, Peripheral, Request, RequestMember, Schedule, StrangerRecord,
    Submission, Token, WholeGroup,
};
use bugle_core::platform::{
    Firing, GroupCount, PeripheralKey, PeripheralRow, Recurrence, ScheduleKey, ScheduleRow, Submitted, Timing,
};
use bugle_core::{ApplicationId, GatewayId, GroupId, Presence, PresenceChanged, Seen, StageTotals, Stranger, Time};
use bugle_core::{Event, State};
use bugle_store::platform::{ApplicationRecord, GatewayRecord, MemberRecord, NestingRecord, RequestRecord, TokenRow};

use super::error::ApiError;

pub(crate) fn application(record: ApplicationRecord) -> Application {
    Application {
        id: record.id,
        created_at: record.created_at,
        event_sequence: record.event_last,
        events_gone: record.event_gone,
    }
}

pub(crate) fn token(number: i64, row: TokenRow) -> Result<Token, ApiError> {
    let scopes = row.scopes.iter().map(|word| word.parse()).collect::<Result<_, _>>();
    Ok(Token {
        id: number.to_string(),
        name: row.name,
        scopes: scopes.map_err(|error| ApiError::internal(&error))?,
        application: row.application,
        created_at: row.created_at,
        expires_at: row.expires_at,
    })
}

pub(crate) fn gateway(record: GatewayRecord, is_connected: bool) -> Gateway {
    Gateway {
        id: record.id,
        created_at: record.created_at,
        is_enrolled: record.certificate.is_some(),
        is_connected,
        last_seen: record.last_seen,
        up_applied: record.logs.up_applied,
        down_last: record.logs.down_last,
        down_acknowledged: record.logs.down_acknowledged,
    }
}

pub(crate) fn stranger(gateway: GatewayId, stranger: Stranger) -> StrangerRecord {
    let Stranger { peripheral, protocol, address, at } = stranger;
    StrangerRecord { gateway, peripheral, protocol, address, at }
}

pub(crate) fn peripheral(key: PeripheralKey, row: PeripheralRow) -> Peripheral {
    Peripheral {
        gateway: key.0,
        peripheral: key.1,
        state: row.state(),
        application: row.application,
        groups: row.groups,
        initial_state: row.initial_state,
        labels: row.labels,
        origin: row.origin,
        wakes: row.wakes,
        since: row.since,
        next_wake: row.next_wake,
        registration: row.registration,
        member_of: row.member_of,
        asked: row.asked.map(|asked| asked.registration),
        description: row.description,
    }
}

/// The events that lead to a row: of its registration, and of the one that awaits a decision.
pub(crate) fn snapshot(key: PeripheralKey, row: PeripheralRow) -> impl Iterator<Item = Event> {
    let (gateway, peripheral) = key;
    let registered = row.registration.map(|registration| Event::PresenceChanged {
        gateway: gateway.clone(),
        changed: PresenceChanged {
            peripheral,
            registration,
            groups: row.member_of,
            presence: match row.presence {
                State::Active => Presence::Active,
                State::Activating => Presence::Activating { next_wake: row.next_wake },
                _ => Presence::Standby { next_wake: row.next_wake },
            },
            at: row.since,
        },
    });
    let asked = row.asked.map(|asked| Event::RegistrationAsked { gateway, asked });
    registered.into_iter().chain(asked)
}

pub(crate) fn group(application: ApplicationId, group: GroupId, count: GroupCount) -> Group {
    Group { application, group, allocated: count.allocated, members: count.members, active: count.active }
}

pub(crate) fn whole_group(nesting: &NestingRecord) -> Option<WholeGroup> {
    let GroupCount { allocated, members, active } = nesting.whole;
    (nesting.contained > 0).then_some(WholeGroup { groups: nesting.contained, allocated, members, active })
}

pub(crate) fn group_at(gateway: GatewayId, count: GroupCount) -> GroupAtGateway {
    GroupAtGateway { gateway, allocated: count.allocated, members: count.members, active: count.active }
}

pub(crate) fn request(record: RequestRecord) -> Request {
    let RequestRecord { id, submitted, row, accepted } = record;
    Request {
        id,
        application: row.application,
        group: row.group,
        contained: row.contained,
        operation: submitted.operation,
        activation: submitted.activation,
        sleepers: submitted.sleepers,
        receipt: submitted.receipt,
        late_joiners: submitted.late_joiners,
        priority: submitted.priority,
        pacing: submitted.pacing,
        abort: submitted.abort,
        collapse_key: submitted.collapse_key,
        state: row.state,
        accepted_at: row.accepted_at,
        deadline: row.deadline,
        completed_at: row.completed_at,
        gateways: row.gateways,
        gateways_fixed: row.gateways_fixed,
        totals: row.totals,
        stages: StageTotals { accepted, ..row.stages },
        schedule: row.schedule,
        foresight: None,
    }
}

pub(crate) fn schedule((application, id): ScheduleKey, row: ScheduleRow) -> Schedule {
    let (recurrence, not_before) = match row.timing {
        Timing::Once(at) => (None, Some(at)),
        Timing::Recurring { recurrence, not_before } => (Some(recurrence), not_before),
    };
    let (cron, time_zone) = recurrence.map(|Recurrence { cron, time_zone }| (cron, time_zone)).unzip();
    let last = row.last.map(|Firing { due, at, request, passed_over }| LastDue { due, at, request, passed_over });
    Schedule {
        id,
        application,
        group: row.submitted.group.clone(),
        request: submission(row.submitted),
        not_before,
        cron,
        time_zone,
        created_at: row.created_at,
        next_due: row.next_due,
        last,
    }
}

fn submission(submitted: Submitted) -> Submission {
    Submission {
        deadline_seconds: submitted.lifespan.as_secs(),
        operation: submitted.operation,
        activation: submitted.activation,
        sleepers: submitted.sleepers,
        receipt: submitted.receipt,
        late_joiners: submitted.late_joiners,
        priority: submitted.priority,
        pacing: submitted.pacing,
        abort: submitted.abort,
        collapse_key: submitted.collapse_key,
    }
}

/// A member of a request that was accepted then.
pub(crate) fn member((gateway, peripheral, member): MemberRecord, accepted_at: Time) -> RequestMember {
    let stage = member.outcome.is_none().then_some(member.stage);
    let seen = Seen { accepted: Some(accepted_at), ..member.seen };
    let (outcome, at) = member.outcome.unzip();
    RequestMember { gateway, peripheral, stage, outcome, at, seen: seen.sightings().collect() }
}
