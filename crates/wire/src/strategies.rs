//! Every word that can travel, for property tests.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use bugle_core::certificate::CertificateChain;
use bugle_core::credential::{PasswordProof, PasswordVerifier, PreSharedKey};
use bugle_core::limits::CERTIFICATES_PER_CHAIN_MAX;
use bugle_core::{
    Abort, Activation, Allocation, AllocationNotice, ApplicationId, CollapseKey, Content, Credential, Deregistered,
    Description, DownEntry, EndCause, Evidence, ExpiryCause, FailuresMax, GatewayId, GroupId, GroupRequest, HttpMethod,
    InitialState, LateJoiners, MacAddress, MemberOutcome, MemberProgress, Operation, Origin, Outcome, Pacing,
    PeripheralId, Presence, PresenceChanged, Priority, Protocol, Receipt, RegistrationAsked, RegistrationId, Report,
    RequestId, ResourcePath, Sighting, Sleepers, Stage, StopCause, Stranger, Time, UpEntry, Verdict, WakeEffort, Waker,
    Wakes,
};
use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::{CloseReason, Entries, FromGateway, FromPlatform, Hello};

/// A message for a group, which ends at `deadline`.
pub(crate) fn sample_request(deadline: Time) -> DownEntry {
    DownEntry::Request(GroupRequest {
        id: RequestId::from_number(7).expect("a request id"),
        application: ApplicationId::new("metering").expect("an application id"),
        group: GroupId::new("meters").expect("a group id"),
        contained: BTreeSet::new(),
        operation: Operation::Message { content: Content::text("on") },
        activation: Activation::All,
        sleepers: Sleepers::Queue,
        receipt: Receipt::Delivered,
        late_joiners: LateJoiners::Exclude,
        priority: Priority::Normal,
        pacing: Pacing::default(),
        abort: None,
        collapse_key: None,
        deadline,
    })
}

pub(crate) fn up_entry() -> impl Strategy<Value = UpEntry> {
    prop_oneof![
        allocation_notice().prop_map(UpEntry::Allocated),
        (peripheral(), application())
            .prop_map(|(peripheral, application)| UpEntry::Removed { peripheral, application }),
        (application(), registration_asked())
            .prop_map(|(application, asked)| UpEntry::RegistrationAsked { application, asked }),
        (application(), presence_changed())
            .prop_map(|(application, changed)| UpEntry::PresenceChanged { application, changed }),
        (application(), deregistered()).prop_map(|(application, ended)| UpEntry::Deregistered { application, ended }),
        (request_id(), vec(peripheral(), 0..5), any::<bool>())
            .prop_map(|(request, members, is_last)| UpEntry::MembersFixed { request, members, is_last }),
        (request_id(), vec(member_outcome(), 0..5))
            .prop_map(|(request, receipts)| UpEntry::Receipts { request, receipts }),
        (request_id(), vec(member_progress(), 0..5))
            .prop_map(|(request, members)| UpEntry::Progress { request, members }),
        (application(), report()).prop_map(|(application, report)| UpEntry::Report { application, report }),
        (application(), any::<u64>()).prop_map(|(application, count)| UpEntry::ReportsLost { application, count }),
        stranger().prop_map(UpEntry::Stranger),
    ]
}

pub(crate) fn down_entry() -> impl Strategy<Value = DownEntry> {
    prop_oneof![
        (peripheral(), registration(), verdict()).prop_map(|(peripheral, registration, verdict)| {
            DownEntry::Decision { peripheral, registration, verdict }
        }),
        group_request().prop_map(DownEntry::Request),
        (request_id(), stop_cause()).prop_map(|(request, cause)| DownEntry::Cancel { request, cause }),
        allocation().prop_map(DownEntry::Allocate),
        peripheral().prop_map(|peripheral| DownEntry::Remove { peripheral }),
        peripheral().prop_map(|peripheral| DownEntry::Release { peripheral }),
        peripheral().prop_map(|peripheral| DownEntry::Block { peripheral }),
        (peripheral(), option::of(registration()), end_cause()).prop_map(|(peripheral, registration, cause)| {
            DownEntry::Deregister { peripheral, registration, cause }
        }),
        peripheral().prop_map(|peripheral| DownEntry::Standby { peripheral }),
        (peripheral(), path()).prop_map(|(peripheral, path)| DownEntry::Observe { peripheral, path }),
        (peripheral(), path()).prop_map(|(peripheral, path)| DownEntry::ObserveNoMore { peripheral, path }),
        peripheral().prop_map(|peripheral| DownEntry::Activate { peripheral }),
        (application(), group()).prop_map(|(application, group)| DownEntry::StandbyGroup { application, group }),
        (application(), group()).prop_map(|(application, group)| DownEntry::ActivateGroup { application, group }),
    ]
}

pub(crate) fn from_gateway() -> impl Strategy<Value = FromGateway> {
    prop_oneof![
        hello().prop_map(FromGateway::Hello),
        entries().prop_map(FromGateway::Up),
        any::<u64>().prop_map(|through| FromGateway::DownAcknowledged { through }),
        any::<u64>().prop_map(|token| FromGateway::Ping { token }),
    ]
}

pub(crate) fn from_platform() -> impl Strategy<Value = FromPlatform> {
    use CloseReason::{Identity, LogConflict, Protocol, Replaced, Stopping, Version};
    let reason = select(vec![Stopping, Replaced, Version, Identity, LogConflict, Protocol]);
    prop_oneof![
        any::<u64>().prop_map(|up_applied| FromPlatform::Welcome { up_applied }),
        entries().prop_map(FromPlatform::Down),
        any::<u64>().prop_map(|through| FromPlatform::UpAcknowledged { through }),
        any::<u64>().prop_map(|token| FromPlatform::Pong { token }),
        (reason, any::<String>()).prop_map(|(reason, detail)| FromPlatform::Closing { reason, detail }),
    ]
}

fn hello() -> impl Strategy<Value = Hello> {
    (any::<[u64; 4]>(), any::<u32>(), gateway(), any::<String>()).prop_map(
        |([down_received, up_first, up_last, boot], version, gateway, software)| Hello {
            version,
            gateway,
            down_received,
            up_first,
            up_last,
            boot,
            software,
        },
    )
}

fn entries() -> impl Strategy<Value = Entries> {
    let bytes = any::<Vec<u8>>().prop_map(Bytes::from);
    (1..1_u64 << 62, vec(bytes, 1..4)).prop_map(|(first, entries)| Entries::new(first, entries).expect("entries"))
}

fn peripheral() -> impl Strategy<Value = PeripheralId> {
    "[!$&-*,.0-9:;<=>@A-Z_a-z~-]{1,128}".prop_map(|text| PeripheralId::new(text).expect("a peripheral id"))
}

fn group() -> impl Strategy<Value = GroupId> {
    "[a-zA-Z0-9._:-]{1,64}".prop_map(|text| GroupId::new(text).expect("a group id"))
}

fn application() -> impl Strategy<Value = ApplicationId> {
    "[a-zA-Z0-9._:-]{1,64}".prop_map(|text| ApplicationId::new(text).expect("an application id"))
}

fn gateway() -> impl Strategy<Value = GatewayId> {
    "[a-zA-Z0-9._:-]{1,64}".prop_map(|text| GatewayId::new(text).expect("a gateway id"))
}

fn registration() -> impl Strategy<Value = RegistrationId> {
    any::<u64>().prop_map(RegistrationId::new)
}

fn request_id() -> impl Strategy<Value = RequestId> {
    (0..=i64::MAX as u64).prop_map(|number| RequestId::from_number(number).expect("at most 63 bits"))
}

fn time() -> impl Strategy<Value = Time> {
    (0..=Time::MAX.as_millis()).prop_map(Time::from_millis)
}

fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_millis)
}

fn groups() -> impl Strategy<Value = BTreeSet<GroupId>> {
    btree_set(group(), 0..4)
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(any::<String>(), any::<String>(), 0..4)
}

fn initial_state() -> impl Strategy<Value = InitialState> {
    select(vec![InitialState::Allocated, InitialState::Blocked])
}

fn protocol() -> impl Strategy<Value = Protocol> {
    use Protocol::{Lwm2m10, Lwm2m11, Lwm2m12, Mqtt5, Mqtt311};
    select(vec![Mqtt311, Mqtt5, Lwm2m10, Lwm2m11, Lwm2m12])
}

fn end_cause() -> impl Strategy<Value = EndCause> {
    use EndCause::{Application, LifetimeOver, Peripheral, Refused, Roamed, Unanswered, User};
    select(vec![Peripheral, Application, User, LifetimeOver, Roamed, Refused, Unanswered])
}

fn content() -> impl Strategy<Value = Content> {
    (any::<String>(), any::<Vec<u8>>()).prop_map(|(content_type, bytes)| Content { content_type, bytes })
}

fn verifier() -> impl Strategy<Value = PasswordVerifier> {
    // Derived few times, because that takes its time by design.
    let verifiers = ["a", "b"].map(|password| {
        PasswordVerifier::derive(&PeripheralId::new("m1").expect("a peripheral id"), password.as_bytes())
    });
    select(verifiers.to_vec())
}

fn credential() -> impl Strategy<Value = Credential> {
    let key = vec(any::<u8>(), 8..=64).prop_map(|bytes| PreSharedKey::new(&bytes).expect("of some length"));
    prop_oneof![
        (option::of(any::<String>()), verifier())
            .prop_map(|(username, verifier)| Credential::Password { username, verifier }),
        (option::of(any::<String>()), key).prop_map(|(identity, key)| Credential::PreSharedKey { identity, key }),
        option::of(any::<String>()).prop_map(|subject| Credential::Certificate { subject }),
    ]
}

fn effort() -> impl Strategy<Value = WakeEffort> {
    (duration(), any::<u8>(), duration()).prop_map(|(time_limit, tries, back_off)| WakeEffort {
        time_limit,
        tries,
        back_off,
    })
}

fn waker() -> impl Strategy<Value = Waker> {
    let method = select(vec![HttpMethod::Get, HttpMethod::Post, HttpMethod::Put]);
    let uri = select(vec!["coap://a", "coap://[::1]:1/b?c"]).prop_map(|uri| uri.parse().expect("a CoAP URI"));
    let broadcast = select([([192, 0, 2, 255], 9).into(), ([1_u16; 8], 7).into()].to_vec());
    let lan = (any::<[u8; 6]>().prop_map(MacAddress::new), option::of(broadcast), effort());
    let http = (any::<String>(), method, labels(), any::<String>(), effort());
    prop_oneof![
        Just(Waker::Window),
        lan.prop_map(|(mac, broadcast, effort)| Waker::WakeOnLan { mac, broadcast, effort }),
        (uri, effort()).prop_map(|(uri, effort)| Waker::Coap { uri, effort }),
        http.prop_map(|(url, method, headers, body, effort)| Waker::Http { url, method, headers, body, effort }),
        (any::<String>(), vec(any::<String>(), 0..3), effort()).prop_map(|(program, arguments, effort)| Waker::Exec {
            program,
            arguments,
            effort
        }),
    ]
}

fn allocation() -> impl Strategy<Value = Allocation> {
    let who = (peripheral(), application(), groups(), initial_state());
    let rest = (option::of(credential()), waker(), labels(), option::of(duration()), option::of(duration()));
    (who, rest).prop_map(|((peripheral, application, groups, initial_state), rest)| {
        let (credential, waker, labels, lifetime, idle) = rest;
        Allocation { peripheral, application, groups, initial_state, credential, waker, labels, lifetime, idle }
    })
}

fn allocation_notice() -> impl Strategy<Value = AllocationNotice> {
    let origin = select(vec![Origin::File, Origin::Gateway, Origin::Platform]);
    let wakes = option::of(select(vec![Wakes::ByItself, Wakes::WhenWoken]));
    (peripheral(), application(), groups(), initial_state(), labels(), origin, wakes).prop_map(
        |(peripheral, application, groups, initial_state, labels, origin, wakes)| AllocationNotice {
            peripheral,
            application,
            groups,
            initial_state,
            labels,
            origin,
            wakes,
        },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    let proof = any::<[u8; 32]>().prop_map(PasswordProof::from_bytes);
    let certificates = vec(vec(any::<u8>(), 0..100), 1..=CERTIFICATES_PER_CHAIN_MAX)
        .prop_map(|certificates| CertificateChain::new(certificates).expect("of a length that chains have"));
    (any::<bool>(), option::of(proof), option::of(any::<String>()), option::of(certificates))
        .prop_map(|(attested, password, token, certificates)| Evidence { attested, password, token, certificates })
}

fn description() -> impl Strategy<Value = Description> {
    (protocol(), any::<String>(), duration(), any::<String>())
        .prop_map(|(protocol, address, lifetime, objects)| Description { protocol, address, lifetime, objects })
}

fn registration_asked() -> impl Strategy<Value = RegistrationAsked> {
    (peripheral(), registration(), groups(), evidence(), description()).prop_map(
        |(peripheral, registration, groups, evidence, description)| RegistrationAsked {
            peripheral,
            registration,
            groups,
            evidence,
            description,
        },
    )
}

fn presence() -> impl Strategy<Value = Presence> {
    prop_oneof![
        Just(Presence::Active),
        option::of(time()).prop_map(|next_wake| Presence::Standby { next_wake }),
        option::of(time()).prop_map(|next_wake| Presence::Activating { next_wake }),
    ]
}

fn presence_changed() -> impl Strategy<Value = PresenceChanged> {
    (peripheral(), registration(), groups(), presence(), time()).prop_map(
        |(peripheral, registration, groups, presence, at)| PresenceChanged {
            peripheral,
            registration,
            groups,
            presence,
            at,
        },
    )
}

fn deregistered() -> impl Strategy<Value = Deregistered> {
    (peripheral(), registration(), groups(), end_cause(), time()).prop_map(
        |(peripheral, registration, groups, cause, at)| Deregistered { peripheral, registration, groups, cause, at },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    use ExpiryCause::{Asleep, GatewayOffline, Unreachable};
    prop_oneof![
        content().prop_map(|answer| Outcome::Executed { answer }),
        Just(Outcome::Delivered),
        (any::<String>(), any::<String>()).prop_map(|(code, reason)| Outcome::Refused { code, reason }),
        any::<String>().prop_map(|reason| Outcome::Failed { reason }),
        select(vec![Asleep, Unreachable, GatewayOffline]).prop_map(|cause| Outcome::Expired { cause }),
        Just(Outcome::Skipped),
        Just(Outcome::Left),
        select(vec![Outcome::Cancelled, Outcome::Aborted, Outcome::Replaced]),
    ]
}

pub(crate) fn member_outcome() -> impl Strategy<Value = MemberOutcome> {
    (peripheral(), outcome(), time(), seen()).prop_map(|(peripheral, outcome, at, seen)| MemberOutcome {
        peripheral,
        outcome,
        at,
        seen,
    })
}

fn seen() -> impl Strategy<Value = Vec<Sighting>> {
    vec((select(Stage::ALL.to_vec()), time()).prop_map(|(stage, at)| Sighting { stage, at }), 0..4)
}

fn member_progress() -> impl Strategy<Value = MemberProgress> {
    (peripheral(), seen()).prop_map(|(peripheral, seen)| MemberProgress { peripheral, seen })
}

fn report() -> impl Strategy<Value = Report> {
    (peripheral(), any::<String>(), content(), time()).prop_map(|(peripheral, name, content, at)| Report {
        peripheral,
        name,
        content,
        at,
    })
}

fn stranger() -> impl Strategy<Value = Stranger> {
    (peripheral(), protocol(), any::<String>(), time()).prop_map(|(peripheral, protocol, address, at)| Stranger {
        peripheral,
        protocol,
        address,
        at,
    })
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        (groups(), duration()).prop_map(|(groups, lease)| Verdict::Authorized { groups, lease }),
        any::<String>().prop_map(|reason| Verdict::Refused { reason }),
    ]
}

fn path() -> impl Strategy<Value = ResourcePath> {
    vec(0..u16::MAX, 1..=4).prop_map(|parts| ResourcePath::new(&parts).expect("one to four parts"))
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        path().prop_map(|path| Operation::Read { path }),
        (path(), content()).prop_map(|(path, content)| Operation::Write { path, content }),
        (path(), any::<String>()).prop_map(|(path, arguments)| Operation::Execute { path, arguments }),
        content().prop_map(|content| Operation::Message { content }),
    ]
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::All),
        Just(Activation::None),
        any::<u32>().prop_map(Activation::Count),
        (1..=100_u8).prop_map(Activation::Percentage),
        select(vec!["zone=north,!spare", "kind in (a,b)"])
            .prop_map(|selector| Activation::Labels(selector.parse().expect("a selector"))),
    ]
}

fn stop_cause() -> impl Strategy<Value = StopCause> {
    select(vec![StopCause::Cancelled, StopCause::Aborted, StopCause::Replaced])
}

fn pacing() -> impl Strategy<Value = Pacing> {
    let number = || option::of((1..=u32::MAX).prop_map(|number| NonZeroU32::new(number).expect("not zero")));
    (number(), number(), number()).prop_map(|(members_per_second, members_in_flight, activations_per_minute)| Pacing {
        members_per_second,
        members_in_flight,
        activations_per_minute,
    })
}

fn abort() -> impl Strategy<Value = Abort> {
    let failures =
        prop_oneof![any::<u32>().prop_map(FailuresMax::Count), (0..100_u8).prop_map(FailuresMax::Percentage)];
    (failures, any::<u32>()).prop_map(|(failures, minimum)| Abort { failures, minimum })
}

fn group_request() -> impl Strategy<Value = GroupRequest> {
    let sleepers = select(vec![Sleepers::Queue, Sleepers::Skip]);
    let receipt = select(vec![Receipt::Delivered, Receipt::Executed]);
    let late_joiners = select(vec![LateJoiners::Exclude, LateJoiners::Include]);
    let whose = (request_id(), application(), group(), btree_set(group(), 0..4));
    let priority = select(vec![Priority::Urgent, Priority::Normal, Priority::Background]);
    let collapse_key = option::of("[!-~]{1,8}".prop_map(|key| CollapseKey::new(key).expect("a collapse key")));
    let manner = (priority, pacing(), option::of(abort()), collapse_key);
    (whose, operation(), activation(), sleepers, receipt, late_joiners, time(), manner).prop_map(
        |(
            (id, application, group, contained),
            operation,
            activation,
            sleepers,
            receipt,
            late_joiners,
            deadline,
            manner,
        )| GroupRequest {
            priority: manner.0,
            pacing: manner.1,
            abort: manner.2,
            collapse_key: manner.3,
            id,
            application,
            group,
            contained,
            operation,
            activation,
            sleepers,
            receipt,
            late_joiners,
            deadline,
        },
    )
}
