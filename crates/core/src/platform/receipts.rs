//! What comes back of a group request: its members, where they are on the way, and what became of it
//! for each (step 5).
//!
//! The first outcome of a member stands; whatever else comes for it is passed over. The request is
//! complete when all members of all gateways are known and have one.

use super::aborting::abort_if_due;
use super::up_log::Taken;
use super::{MemberRow, RequestState, Work};
use crate::{Event, GatewayId, MemberOutcome, MemberProgress, PeripheralId, RequestId, Stage, Time};

pub(super) fn on_members_fixed(
    work: &mut Work,
    gateway: &GatewayId,
    request: RequestId,
    members: &[PeripheralId],
    is_last: bool,
    now: Time,
) -> Taken {
    let part = (request, gateway.clone());
    let is_open = is_running(work, request) && work.request_gateways.get(&part).is_some_and(|part| !part.is_fixed);
    if !is_open {
        return Taken::Ignored;
    }
    let added = add_members(work, gateway, request, members, now);
    if is_last {
        fix(work, gateway, request);
    }
    tell_fixed(work, gateway, request, added);
    complete_if_settled(work, request, now);
    Taken::Applied
}

pub(super) fn on_progress(
    work: &mut Work,
    gateway: &GatewayId,
    request: RequestId,
    members: &[MemberProgress],
) -> Taken {
    let mut new = Vec::new();
    let mut stages = match work.requests.get(&request) {
        Some(row) if row.state != RequestState::Complete => row.stages,
        _ => return Taken::Ignored,
    };
    let rows = work.members.entry((request, gateway.clone())).or_default();
    for progress in members {
        let Some(last) = progress.seen.last() else { continue };
        // A member that has its outcome is on the way no more.
        let Some(member) = rows.get_mut_if(&progress.peripheral, MemberRow::is_waiting) else { continue };
        stages.leave(member.stage);
        stages.enter(last.stage, 1);
        member.stage = last.stage;
        progress.seen.iter().for_each(|sighting| member.seen.note(*sighting));
        new.push(progress.clone());
    }
    let Some(row) = work.requests.get_mut(&request).filter(|_| !new.is_empty()) else { return Taken::Ignored };
    row.stages = stages;
    let application = row.application.clone();
    work.tell(&application, Event::Progress { request, gateway: gateway.clone(), members: new });
    Taken::Applied
}

pub(super) fn on_receipts(
    work: &mut Work,
    gateway: &GatewayId,
    request: RequestId,
    receipts: &[MemberOutcome],
    now: Time,
) -> Taken {
    if !is_running(work, request) {
        return Taken::Ignored;
    }
    settle(work, gateway, request, receipts.iter().cloned());
    complete_if_settled(work, request, now);
    abort_if_due(work, request);
    Taken::Applied
}

/// Whether the request is there and not complete.
pub(super) fn is_running(work: &Work, request: RequestId) -> bool {
    work.requests.get(&request).is_some_and(|row| row.state != RequestState::Complete)
}

/// Adds those that are no members yet, and says how many.
pub(super) fn add_members(
    work: &mut Work,
    gateway: &GatewayId,
    request: RequestId,
    members: &[PeripheralId],
    now: Time,
) -> u64 {
    let rows = work.members.entry((request, gateway.clone())).or_default();
    let added = members.iter().filter(|member| rows.add(member, MemberRow::told(now))).count() as u64;
    if let Some(row) = work.requests.get_mut(&request) {
        row.totals.members += added;
        row.stages.enter(Stage::AtGateway, added);
    }
    added
}

/// All members at this gateway are known.
pub(super) fn fix(work: &mut Work, gateway: &GatewayId, request: RequestId) {
    if let Some(part) = work.request_gateways.get_mut(&(request, gateway.clone())) {
        part.is_fixed = true;
    }
    if let Some(row) = work.requests.get_mut(&request) {
        row.gateways_fixed += 1;
    }
}

pub(super) fn tell_fixed(work: &mut Work, gateway: &GatewayId, request: RequestId, members: u64) {
    let Some(row) = work.requests.get(&request) else { return };
    let application = row.application.clone();
    work.tell(&application, Event::MembersFixed { request, gateway: gateway.clone(), members });
}

/// Gives members their outcomes, and tells those that are new.
pub(super) fn settle(
    work: &mut Work,
    gateway: &GatewayId,
    request: RequestId,
    receipts: impl Iterator<Item = MemberOutcome>,
) {
    let mut new = Vec::new();
    let mut stages = work.requests.get(&request).map_or_else(Default::default, |row| row.stages);
    let rows = work.members.entry((request, gateway.clone())).or_default();
    for receipt in receipts {
        // Who is no member has no outcome, and the first outcome of a member stands.
        let Some(member) = rows.get_mut_if(&receipt.peripheral, MemberRow::is_waiting) else { continue };
        stages.leave(member.stage);
        receipt.seen.iter().for_each(|sighting| member.seen.note(*sighting));
        member.outcome = Some((receipt.outcome.clone(), receipt.at));
        new.push(receipt);
    }
    let Some(row) = work.requests.get_mut(&request).filter(|_| !new.is_empty()) else { return };
    row.stages = stages;
    for receipt in &new {
        row.totals.add(receipt.outcome.kind(), 1);
    }
    let application = row.application.clone();
    work.tell(&application, Event::Receipts { request, gateway: gateway.clone(), receipts: new });
}

/// Completes the request, once, when nothing is left to come.
pub(super) fn complete_if_settled(work: &mut Work, request: RequestId, now: Time) {
    let is_due = work.requests.get(&request).is_some_and(|row| row.state != RequestState::Complete && row.is_settled());
    let Some(row) = work.requests.get_mut(&request).filter(|_| is_due) else { return };
    row.state = RequestState::Complete;
    row.completed_at = Some(now);
    let (application, totals) = (row.application.clone(), row.totals);
    work.tell(&application, Event::RequestCompleted { request, totals });
}
