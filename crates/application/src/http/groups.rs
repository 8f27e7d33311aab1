//! The group configurations.

use std::ops::Bound;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use bugle_api::{Page, PageQuery, ProblemCode};
use bugle_core::application::{GroupConfigurations, Member, Registration};
use bugle_core::{GatewayId, GroupId, PeripheralId, Presence, RegistrationId, State as PeripheralState, Time};
use serde::Serialize;

use super::Api;
use super::problem::{InPath, InQuery, Refusal, page_size};

/// A group configuration.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    group: GroupId,
    /// How many members it has.
    members: usize,
    /// When it was created.
    since: Time,
}

/// A group configuration, with a page of its members.
#[derive(Debug, Serialize)]
pub(super) struct GroupWithMembers {
    #[serde(flatten)]
    group: Group,
    #[serde(flatten)]
    page: Page<MemberOfGroup>,
}

/// A member of a group.
#[derive(Debug, Serialize)]
pub(super) struct MemberOfGroup {
    peripheral: PeripheralId,
    gateway: GatewayId,
    registration: RegistrationId,
    /// `registering` until the gateway has put the yes in force.
    state: PeripheralState,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_wake: Option<Time>,
    /// When it became a member.
    since: Time,
}

pub(super) async fn list(
    State(api): State<Arc<Api>>,
    InQuery(query): InQuery<PageQuery>,
) -> Result<Json<Page<Group>>, Refusal> {
    let size = page_size(&query)?;
    let after = query.cursor.as_deref().map(parse_cursor::<GroupId>).transpose()?;
    let page = api.commands.look(move |configurations, _| {
        let groups = configurations.groups().range((after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded));
        let groups = groups.map(|(group, configuration)| Group {
            group: group.clone(),
            members: configuration.members().len(),
            since: configuration.since(),
        });
        page(groups, size, |group| group.group.to_string())
    });
    Ok(Json(page.await?))
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    InPath(group): InPath<GroupId>,
    InQuery(query): InQuery<PageQuery>,
) -> Result<Json<GroupWithMembers>, Refusal> {
    let size = page_size(&query)?;
    let after = query.cursor.as_deref().map(parse_cursor::<PeripheralId>).transpose()?;
    let detail = format!("group {group} has no members");
    let shown = api.commands.look(move |configurations, _| {
        let configuration = configurations.groups().get(&group)?;
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = configuration.members().range((start, Bound::Unbounded));
        let members = members.filter_map(|peripheral| member_of_group(configurations, peripheral));
        let page = page(members, size, |member| member.peripheral.to_string());
        let (members, since) = (configuration.members().len(), configuration.since());
        Some(GroupWithMembers { group: Group { group, members, since }, page })
    });
    shown.await?.map(Json).ok_or_else(|| Refusal::new(ProblemCode::UnknownGroup, detail))
}

fn member_of_group(configurations: &GroupConfigurations, peripheral: &PeripheralId) -> Option<MemberOfGroup> {
    let (Registration { gateway, id, .. }, Member { presence, since, .. }) = configurations.member(peripheral)?;
    let next_wake = presence.and_then(Presence::next_wake);
    Some(MemberOfGroup {
        peripheral: peripheral.clone(),
        gateway: gateway.clone(),
        registration: *id,
        state: presence.map_or(PeripheralState::Registering, PeripheralState::from),
        next_wake,
        since: *since,
    })
}

/// The first items, and where the next page starts: after the last of them.
pub(super) fn page<T>(mut items: impl Iterator<Item = T>, size: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let shown: Vec<T> = items.by_ref().take(size).collect();
    let next_cursor = items.next().and(shown.last()).map(cursor);
    Page { items: shown, next_cursor }
}

pub(super) fn parse_cursor<T: std::str::FromStr>(cursor: &str) -> Result<T, Refusal> {
    let invalid = |_| Refusal::new(ProblemCode::Invalid, "cursor is not the next_cursor of a page");
    cursor.parse().map_err(invalid)
}
