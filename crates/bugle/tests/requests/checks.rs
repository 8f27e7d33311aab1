//! What must hold after every row, whoever is asked: the platform, the application's event log, the peripherals,
//! and whatever wakes them.

use std::collections::{BTreeMap, BTreeSet};

use bugle_api::{EventQuery, PAGE_MAX, RequestMember};
use bugle_core::{Event, OutcomeKind, RequestId, Stage, Totals};

use super::cast::{CAST, Means};
use super::pace;
use super::row::{Deaf, Row, Sent, Step, ids, named, told};
use super::system::{System, app, until};
use super::wakers::Ring;
use super::world::Seen;

/// Checks all of a row; where the application's event log has got to.
pub(crate) async fn check(system: &System, row: &Row, seen: &Seen, cursor: u64) -> u64 {
    let sent = row.steps.iter().filter_map(|step| match step {
        Step::Send(sent) | Step::Scheduled(sent) => Some(sent),
        _ => None,
    });
    let sent: Vec<(RequestId, &Sent)> = seen.requests.iter().copied().zip(sent).collect();
    let (logged, cursor) = log(system, &seen.requests, cursor).await;
    let mut deliveries = Deliveries::default();
    for (request, sent) in &sent {
        let members = system.outcomes(*request).await;
        let outcomes = outcomes(&members);
        let name = format!("{} ({})", row.name, sent.group);
        assert_eq!(outcomes.len(), members.len(), "{name}: nobody is a member twice");
        assert_outcomes(&name, sent, &outcomes);
        let totals = system.completed(*request).await.totals;
        assert_eq!(totals, add_up(&members), "{name}: the totals are the sum of the members");
        let logged = &logged[request];
        assert_eq!(logged.completed, Some(totals), "{name}: the application is told the same totals");
        assert_eq!(logged.outcomes, outcomes, "{name}: the application is told the same outcomes, each once");
        assert_eq!(logged.fixed, members.len() as u64, "{name}: the application is told of all members");
        pace::assert_kept(&name, &sent.request, &members);
        for member in &members {
            assert_stages(&name, member);
            deliveries.expect(*request, member);
        }
    }
    deliveries.assert(row, &sent, seen);
    assert_woken(row, &seen.rings);
    cursor
}

fn outcomes(members: &[RequestMember]) -> BTreeMap<String, String> {
    let outcome = |member: &RequestMember| {
        let outcome = member.outcome.as_ref().unwrap_or_else(|| panic!("{member:?} has no outcome"));
        (member.peripheral.to_string(), told(outcome))
    };
    members.iter().map(outcome).collect()
}

fn add_up(members: &[RequestMember]) -> Totals {
    let mut totals = Totals { members: members.len() as u64, ..Totals::default() };
    members.iter().filter_map(|member| member.outcome.as_ref()).for_each(|outcome| totals.add(outcome.kind(), 1));
    totals
}

/// Every member ends as it must, and there are no others.
fn assert_outcomes(name: &str, sent: &Sent, outcomes: &BTreeMap<String, String>) {
    let expected: BTreeMap<&str, &str> =
        sent.members().into_iter().map(|(actor, outcome)| (actor.id, outcome)).collect();
    let is_as_expected = |id: &str, outcome: &str| {
        expected.get(id).is_some_and(|expected| {
            outcome.strip_prefix(expected).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        })
    };
    let are_as_expected = outcomes.iter().all(|(id, outcome)| is_as_expected(id, outcome));
    assert!(are_as_expected && outcomes.len() == expected.len(), "{name}:\n{outcomes:#?}\nexpected\n{expected:#?}");
}

/// Nobody is served who was not sent to, or before. The platform has a clock of its own, which is not asked here.
fn assert_stages(name: &str, member: &RequestMember) {
    let kind = member.outcome.as_ref().expect("it has ended").kind();
    let sent = member.seen.iter().find(|sighting| sighting.stage == Stage::Sent);
    if is_served(kind) {
        let sent = sent.unwrap_or_else(|| panic!("{name}: {member:?} was not sent to"));
        assert!(member.at.is_some_and(|at| at >= sent.at), "{name}: {member:?}");
    }
    if is_never_sent(kind) {
        assert!(sent.is_none(), "{name}: {member:?}");
    }
}

const fn is_served(kind: OutcomeKind) -> bool {
    matches!(kind, OutcomeKind::Executed | OutcomeKind::Delivered)
}

/// Whoever ends so has not got the request.
const fn is_never_sent(kind: OutcomeKind) -> bool {
    matches!(kind, OutcomeKind::Skipped | OutcomeKind::Cancelled | OutcomeKind::Aborted | OutcomeKind::Replaced)
}

/// What peripherals must have received: of each request at least and at most so often, for the first time.
#[derive(Default)]
struct Deliveries(BTreeMap<String, BTreeMap<RequestId, (usize, usize)>>);

impl Deliveries {
    fn expect(&mut self, request: RequestId, member: &RequestMember) {
        let outcome = member.outcome.as_ref().expect("it has ended");
        let bounds = match outcome.kind() {
            kind if is_served(kind) => (1, 1),
            kind if is_never_sent(kind) => (0, 0),
            OutcomeKind::Expired => (0, 0),
            // It may have been refused by the gateway for it, and it may have got it before it left or went silent.
            _ => (0, 1),
        };
        self.0.entry(member.peripheral.to_string()).or_default().insert(request, bounds);
    }

    fn assert(&self, row: &Row, sent: &[(RequestId, &Sent)], seen: &Seen) {
        for actor in &CAST {
            let received = seen.received.get(actor.id).map(Vec::as_slice).unwrap_or_default();
            let bounds = self.0.get(actor.id).cloned().unwrap_or_default();
            let name = format!("{}: {} has received {received:?}, of {bounds:?}", row.name, actor.id);
            let least: usize = bounds.values().map(|(least, _)| least).sum();
            let most: usize = bounds.values().map(|(_, most)| most).sum();
            assert!((least..=most).contains(&received.len()), "{name}");
            if actor.is_mqtt() {
                let received: Vec<RequestId> = received.iter().map(|request| request.expect("it says which")).collect();
                for (request, (least, most)) in &bounds {
                    let times = received.iter().filter(|got| *got == request).count();
                    assert!((*least..=*most).contains(&times), "{name}");
                }
                let ranks: Vec<_> = received.iter().map(|request| rank(row, sent, *request)).collect();
                assert!(ranks.is_sorted(), "{name}, in another order");
            }
        }
    }
}

/// Which turn a request has.
fn rank(row: &Row, sent: &[(RequestId, &Sent)], request: RequestId) -> usize {
    let place = sent.iter().position(|(known, _)| *known == request).expect("it is of this row");
    row.order
        .as_ref()
        .map_or(place, |order| order.iter().position(|turn| *turn == place).expect("every request has its turn"))
}

/// Those that are to be woken were, each by its own means and as often as it takes; nobody else was.
fn assert_woken(row: &Row, rings: &[Ring]) {
    let twice = match row.deaf {
        Deaf::Once(who) => ids(who),
        Deaf::Nobody | Deaf::Always(_) => BTreeSet::new(),
    };
    let woken = named(row.woken).filter(|actor| actor.means() != Some(Means::Window));
    let mut expected: Vec<Ring> = woken
        .flat_map(|actor| {
            let means = actor.means().expect("who is woken sleeps");
            let times = if twice.contains(actor.id) { 2 } else { 1 };
            std::iter::repeat_n(Ring { means, who: actor.id.to_owned() }, times)
        })
        .collect();
    let mut rings = rings.to_vec();
    rings.sort();
    expected.sort();
    assert_eq!(rings, expected, "{}: these were woken, and not those", row.name);
}

/// What the application was told of a request.
#[derive(Default)]
struct Logged {
    fixed: u64,
    outcomes: BTreeMap<String, String>,
    completed: Option<Totals>,
}

/// What the application's event log says of these requests, once it says that they are complete.
async fn log(system: &System, requests: &[RequestId], mut cursor: u64) -> (BTreeMap<RequestId, Logged>, u64) {
    let mut logged: BTreeMap<RequestId, Logged> = BTreeMap::new();
    until("the application to be told that the requests are complete", async || {
        let query = EventQuery { after: Some(cursor), kinds: None, limit: Some(PAGE_MAX) };
        let page = system.client.events(&app(), &query).await.expect("the events are read");
        cursor = page.next_after;
        page.items.into_iter().for_each(|record| note(&mut logged, record.event));
        let is_complete = |request| logged.get(request).is_some_and(|known| known.completed.is_some());
        requests.iter().all(is_complete).then_some(())
    })
    .await;
    (logged, cursor)
}

fn note(logged: &mut BTreeMap<RequestId, Logged>, event: Event) {
    match event {
        Event::MembersFixed { request, members, .. } => logged.entry(request).or_default().fixed += members,
        Event::Receipts { request, receipts, .. } => {
            for receipt in receipts {
                let outcomes = &mut logged.entry(request).or_default().outcomes;
                let before = outcomes.insert(receipt.peripheral.to_string(), told(&receipt.outcome));
                assert_eq!(before, None, "{} has two outcomes of {request}", receipt.peripheral);
            }
        }
        Event::RequestCompleted { request, totals } => {
            let before = logged.entry(request).or_default().completed.replace(totals);
            assert_eq!(before, None, "{request} is complete twice");
        }
        _ => {}
    }
}
