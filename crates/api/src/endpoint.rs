//! Every endpoint: its method, its path and who may use it.

use crate::Scope;

/// The header that makes sending a group request twice the same as sending it once.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header that says after which event a stream goes on.
pub const LAST_EVENT_ID: &str = "last-event-id";

/// The method of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Look.
    Get,
    /// Add, or do something.
    Post,
    /// Make so.
    Put,
    /// Remove.
    Delete,
}

/// Who may use an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Open,
    /// Who holds a token with this scope, or with [`Scope::Operator`].
    Scope(Scope),
}

macro_rules! endpoints {
    ($($(#[doc = $doc:literal])* $endpoint:ident, $method:ident $path:literal, $access:expr;)*) => {
        /// An endpoint.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Endpoint {
            $($(#[doc = $doc])* $endpoint,)*
        }

        impl Endpoint {
            /// Every endpoint.
            pub const ALL: &'static [Self] = &[$(Self::$endpoint,)*];

            /// Its method.
            #[must_use]
            pub const fn method(self) -> Method {
                match self { $(Self::$endpoint => Method::$method,)* }
            }

            /// Its path, with what varies in braces.
            #[must_use]
            pub const fn path(self) -> &'static str {
                match self { $(Self::$endpoint => $path,)* }
            }

            /// Who may use it.
            #[must_use]
            pub const fn access(self) -> Access {
                match self { $(Self::$endpoint => $access,)* }
            }

            /// What it does, in a sentence or two.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$endpoint => concat!($($doc),*).trim(),)* }
            }

            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$endpoint => stringify!($endpoint),)* }
            }
        }
    };
}

const OPERATOR: Access = Access::Scope(Scope::Operator);
const GROUPS_READ: Access = Access::Scope(Scope::GroupsRead);
const PERIPHERALS_READ: Access = Access::Scope(Scope::PeripheralsRead);
const PERIPHERALS_WRITE: Access = Access::Scope(Scope::PeripheralsWrite);
const REQUESTS_READ: Access = Access::Scope(Scope::RequestsRead);
const REQUESTS_WRITE: Access = Access::Scope(Scope::RequestsWrite);
const REGISTRATIONS_DECIDE: Access = Access::Scope(Scope::RegistrationsDecide);
const EVENTS_READ: Access = Access::Scope(Scope::EventsRead);

endpoints! {
    /// Whether the process lives.
    Healthz, Get "/healthz", Access::Open;
    /// Whether it can store and answer.
    Readyz, Get "/readyz", Access::Open;
    /// This document.
    Document, Get "/v1/openapi.json", Access::Open;
    /// Adds an application; does nothing if it is there.
    AddApplication, Post "/v1/applications", OPERATOR;
    /// Lists applications.
    Applications, Get "/v1/applications", OPERATOR;
    /// Issues a token.
    IssueToken, Post "/v1/tokens", OPERATOR;
    /// Lists tokens, without their secrets.
    Tokens, Get "/v1/tokens", OPERATOR;
    /// Makes a token worthless.
    RevokeToken, Delete "/v1/tokens/{token}", OPERATOR;
    /// Adds a gateway, or lets one that is there enrol again, and issues the token for it.
    AddGateway, Post "/v1/gateways", OPERATOR;
    /// Lists gateways.
    Gateways, Get "/v1/gateways", OPERATOR;
    /// Enrols a gateway.
    Enrol, Post "/v1/enrollments", Access::Open;
    /// Lists peripherals without an allocation that asked to register, the latest first.
    Strangers, Get "/v1/strangers", OPERATOR;
    /// Lists peripherals.
    Peripherals, Get "/v1/peripherals", PERIPHERALS_READ;
    /// Shows a peripheral.
    Peripheral, Get "/v1/gateways/{gateway}/peripherals/{peripheral}", PERIPHERALS_READ;
    /// Makes or changes an allocation. It counts once its gateway has it.
    Allocate, Put "/v1/gateways/{gateway}/peripherals/{peripheral}", PERIPHERALS_WRITE;
    /// Removes an allocation, ending the registration.
    Remove, Delete "/v1/gateways/{gateway}/peripherals/{peripheral}", PERIPHERALS_WRITE;
    /// Lets a blocked peripheral register.
    Release, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/release", PERIPHERALS_WRITE;
    /// Ends a peripheral's registration and lets it not register again.
    Block, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/block", PERIPHERALS_WRITE;
    /// Ends a peripheral's registration.
    Deregister, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/deregister", PERIPHERALS_WRITE;
    /// Puts a peripheral into standby.
    Standby, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/standby", PERIPHERALS_WRITE;
    /// Has a value of a peripheral reported whenever it changes.
    Observe, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/observe", PERIPHERALS_WRITE;
    /// Has it reported no more.
    ObserveNoMore, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/observe-no-more", PERIPHERALS_WRITE;
    /// Activates a peripheral in standby: it is woken as its allocation says.
    Activate, Post "/v1/gateways/{gateway}/peripherals/{peripheral}/activate", PERIPHERALS_WRITE;
    /// Lists an application's groups: those that allocations name, and those that contain groups.
    Groups, Get "/v1/applications/{application}/groups", GROUPS_READ;
    /// Shows a group: where its members are, and which groups it contains.
    Group, Get "/v1/applications/{application}/groups/{group}", GROUPS_READ;
    /// Lists a group's members, with those of the groups that it contains.
    GroupMembers, Get "/v1/applications/{application}/groups/{group}/members", GROUPS_READ;
    /// Nests a group in another of the same application: whatever is asked of the outer group's members is
    /// asked of the inner group's too.
    Nest, Put "/v1/applications/{application}/groups/{group}/groups/{contained}", PERIPHERALS_WRITE;
    /// Takes a group out of another.
    Unnest, Delete "/v1/applications/{application}/groups/{group}/groups/{contained}", PERIPHERALS_WRITE;
    /// Activates all members of a group that are in standby.
    ActivateGroup, Post "/v1/applications/{application}/groups/{group}/activate", PERIPHERALS_WRITE;
    /// Puts all members of a group into standby.
    StandbyGroup, Post "/v1/applications/{application}/groups/{group}/standby", PERIPHERALS_WRITE;
    /// Sends a group request: one operation to every member of the group.
    Submit, Post "/v1/applications/{application}/groups/{group}/requests", REQUESTS_WRITE;
    /// Foresees what a group request would meet, without sending it: how many members are active, would
    /// be woken, would wait, would miss it.
    Foresee, Post "/v1/applications/{application}/groups/{group}/foresight", REQUESTS_WRITE;
    /// Lists an application's group requests, the latest first.
    Requests, Get "/v1/applications/{application}/requests", REQUESTS_READ;
    /// Shows a group request, at once or when it is complete.
    Request, Get "/v1/applications/{application}/requests/{request}", REQUESTS_READ;
    /// Lists the members of a group request and what became of it for each.
    RequestMembers, Get "/v1/applications/{application}/requests/{request}/members", REQUESTS_READ;
    /// Cancels a group request: members that it has not reached yet are left out.
    Cancel, Post "/v1/applications/{application}/requests/{request}/cancel", REQUESTS_WRITE;
    /// Puts a schedule: a group request that is sent later, once or again and again. Another schedule of
    /// the same name is replaced.
    PutSchedule, Put "/v1/applications/{application}/schedules/{schedule}", REQUESTS_WRITE;
    /// Lists an application's schedules.
    Schedules, Get "/v1/applications/{application}/schedules", REQUESTS_READ;
    /// Shows a schedule.
    Schedule, Get "/v1/applications/{application}/schedules/{schedule}", REQUESTS_READ;
    /// Cancels a schedule. Group requests that it has sent go on.
    CancelSchedule, Delete "/v1/applications/{application}/schedules/{schedule}", REQUESTS_WRITE;
    /// Decides about registrations.
    Decide, Post "/v1/applications/{application}/decisions", REGISTRATIONS_DECIDE;
    /// Reads the event log: a page of it, or with `Accept: text/event-stream` a stream that goes on.
    Events, Get "/v1/applications/{application}/events", EVENTS_READ;
    /// Reads what is registered and what awaits a decision, to start from.
    Snapshot, Get "/v1/applications/{application}/snapshot", EVENTS_READ;
}

impl Endpoint {
    /// The names of what varies in its path.
    pub fn path_parameters(self) -> impl Iterator<Item = &'static str> {
        self.path().split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_endpoints_share_method_and_path() {
        let distinct: BTreeSet<_> = Endpoint::ALL.iter().map(|endpoint| (endpoint.method(), endpoint.path())).collect();
        assert_eq!(distinct.len(), Endpoint::ALL.len());
    }

    #[test]
    fn only_health_description_and_enrolment_are_open_to_anybody() {
        let open = Endpoint::ALL.iter().filter(|endpoint| endpoint.access() == Access::Open);
        let paths: Vec<_> = open.map(|endpoint| endpoint.path()).collect();
        assert_eq!(paths, ["/healthz", "/readyz", "/v1/openapi.json", "/v1/enrollments"]);
    }
}
