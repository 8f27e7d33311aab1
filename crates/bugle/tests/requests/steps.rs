//! What is done in a row.

use std::collections::BTreeSet;
use std::time::Duration;

use bugle_api::{EventQuery, NewSchedule, PAGE_MAX, RequestMember, Submission};
use bugle_core::platform::Foresight;
use bugle_core::{Event, GatewayId, PeripheralId, RequestId, State, Time};
use bugle_load::{Command, Peripherals};

use super::cast::{Actor, Speaks, place_of};
use super::row::{Row, Sent, Step, ids, named};
use super::system::{Part, System, app, group, until};
use super::world::{states, word};

/// How long a request lives if nothing is said of it: longer than anything takes.
const LONG: u64 = 60;
/// How long after it is put a schedule is due.
const LATER: Duration = Duration::from_secs(1);

/// A row that is being played.
pub(crate) struct Play<'w> {
    pub(crate) system: &'w mut System,
    pub(crate) peripherals: &'w Peripherals,
    pub(crate) row: &'w Row,
    /// Where the application's event log was when the row began.
    pub(crate) cursor: u64,
    /// What was sent, in order.
    pub(crate) requests: Vec<RequestId>,
}

impl Play<'_> {
    /// Takes all steps, and waits for all that was sent to be complete.
    pub(crate) async fn whole(mut self) -> Vec<RequestId> {
        for step in &self.row.steps {
            self.take(step).await;
        }
        for request in &self.requests {
            self.system.completed(*request).await;
        }
        self.requests
    }

    async fn take(&mut self, step: &Step) {
        const TAKEN: &str = "it is taken";
        let client = self.system.client.clone();
        match step {
            Step::Send(sent) => {
                let request = self.send(sent).await;
                self.requests.push(request);
            }
            Step::Again(sent) => {
                let request = self.send(sent).await;
                assert!(self.requests.contains(&request), "{}: sent again it is another request", self.row.name);
            }
            Step::Contradict(sent) => self.contradict(sent).await,
            Step::Scheduled(sent) => {
                let request = self.schedule(sent).await;
                self.requests.push(request);
            }
            Step::Foreseen(sent, numbers) => self.foresee(sent, *numbers).await,
            Step::Seen(who, stage) => self.await_members(who, |member| member.stage == Some(*stage)).await,
            Step::Have(who) => self.await_members(who, |member| member.outcome.is_some()).await,
            Step::Are(who, state) => self.await_states(who, *state).await,
            Step::Become(who, state) => self.await_changes(who, *state).await,
            Step::Come(who) => self.command(who, &Command::Connect),
            Step::Leave(who) => self.command(who, &Command::Deregister),
            Step::Vanish(who) => self.vanish(who).await,
            Step::Dismiss(who) => {
                for (gateway, id) in addresses(who) {
                    client.deregister(&gateway, &id).await.expect(TAKEN);
                }
            }
            Step::Activate(who) => {
                for (gateway, id) in addresses(who) {
                    client.activate(&gateway, &id).await.expect(TAKEN);
                }
            }
            Step::PutIntoStandby(who) => {
                for (gateway, id) in addresses(who) {
                    client.standby(&gateway, &id).await.expect(TAKEN);
                }
            }
            Step::ActivateGroup(id) => client.activate_group(&app(), &group(id)).await.expect(TAKEN),
            Step::PutGroupIntoStandby(id) => client.put_group_into_standby(&app(), &group(id)).await.expect(TAKEN),
            Step::Nest(outer, inner) => client.nest(&app(), &group(outer), &group(inner)).await.expect(TAKEN),
            Step::Cancel => {
                let request = *self.requests.first().expect("something was sent");
                client.cancel(&app(), request).await.expect(TAKEN);
            }
            Step::Kill(gateway) => self.kill(gateway).await,
            Step::Start(gateway) => self.start(gateway).await,
        }
    }

    async fn send(&self, sent: &Sent) -> RequestId {
        let (submission, key) = (submission(sent), sent.idempotency_key);
        let taken = self.system.client.submit(&app(), &group(sent.group), &submission, key).await;
        taken.expect("the request is accepted").id
    }

    /// The same idempotency key cannot stand for something else.
    async fn contradict(&self, sent: &Sent) {
        let (submission, key) = (submission(sent), sent.idempotency_key);
        let refused = self.system.client.submit(&app(), &group(sent.group), &submission, key).await;
        let refused = refused.expect_err("it is something else");
        assert_eq!(refused.status(), Some(422), "{}: {refused}", self.row.name);
    }

    /// The request that a schedule has sent, once it has.
    async fn schedule(&self, sent: &Sent) -> RequestId {
        let System { client, .. } = &*self.system;
        let due = jiff::Timestamp::now() + LATER;
        let due = Time::from_millis(u64::try_from(due.as_millisecond()).expect("after 1970"));
        let new = NewSchedule {
            group: group(sent.group),
            request: submission(sent),
            not_before: Some(due),
            cron: None,
            time_zone: None,
        };
        let id = "later".parse().expect("a schedule id");
        let put = client.put_schedule(&app(), &id, &new).await.expect("it is put");
        assert_eq!((put.next_due, put.last), (Some(due), None), "it is not due yet");
        let request =
            until("the schedule to send its request", async || client.schedule(&app(), &id).await.ok()?.last?.request)
                .await;
        let known = self.system.request(request).await.expect("it is there");
        assert!(known.accepted_at >= due, "{known:?}");
        assert_eq!(known.schedule, Some(id));
        request
    }

    async fn foresee(&self, sent: &Sent, numbers: [u64; 6]) {
        let foreseen = self.system.client.foresee(&app(), &group(sent.group), &submission(sent)).await;
        let Foresight { members, active, woken, waiting, skipped, late, .. } = foreseen.expect("it is foreseen");
        assert_eq!([members, active, woken, waiting, skipped, late], numbers, "{}", self.row.name);
    }

    /// Waits until all these members of the latest request are so.
    async fn await_members(&self, who: &'static str, are_so: impl Fn(&RequestMember) -> bool) {
        let request = *self.requests.last().expect("something was sent");
        until(&format!("{}: {who} to have come so far", self.row.name), async || {
            let members = self.system.outcomes(request).await;
            let so: BTreeSet<&str> =
                members.iter().filter(|member| are_so(member)).map(|member| member.peripheral.as_str()).collect();
            ids(who).is_subset(&so).then_some(())
        })
        .await;
    }

    async fn await_states(&self, who: &'static str, state: Option<State>) {
        let state = state.map(word);
        until(&format!("{}: {who} to be {state:?}", self.row.name), async || {
            let states = states(self.system).await;
            ids(who).iter().all(|id| states.get(*id) == state.as_ref()).then_some(())
        })
        .await;
    }

    async fn await_changes(&self, who: &'static str, state: State) {
        until(&format!("{}: {who} to become {state}", self.row.name), async || {
            let query = EventQuery { after: Some(self.cursor), kinds: None, limit: Some(PAGE_MAX) };
            let events = self.system.client.events(&app(), &query).await.ok()?.items.into_iter();
            let changed = events.filter_map(|record| match record.event {
                Event::PresenceChanged { changed, .. } => Some(changed),
                _ => None,
            });
            let became = changed.filter(|changed| State::from(changed.presence) == state);
            let became: BTreeSet<String> = became.map(|changed| changed.peripheral.to_string()).collect();
            ids(who).iter().all(|id| became.contains(*id)).then_some(())
        })
        .await;
    }

    fn command(&self, who: &'static str, command: &Command) {
        named(who).for_each(|actor| self.peripherals.command(place_of(actor.id), command.clone()));
    }

    async fn vanish(&self, who: &'static str) {
        let ended = || self.peripherals.counts().ended;
        let gone = ended() + named(who).count() as u64;
        self.command(who, &Command::Vanish);
        until(&format!("{who} to be gone"), async || (ended() >= gone).then_some(())).await;
    }

    fn part(&mut self, name: &str) -> &mut Part {
        match name {
            "platform" => &mut self.system.platform,
            "application" => &mut self.system.application,
            gateway => &mut self.system.gateway(gateway).part,
        }
    }

    async fn kill(&mut self, name: &'static str) {
        self.part(name).kill();
        let system = &self.system;
        if system.gateways.contains_key(name) {
            until("the platform to notice", async || (!system.gateway_is_connected(name).await).then_some(())).await;
        }
    }

    /// Sessions of DTLS end with their gateway: whoever had one and is awake begins another.
    async fn start(&mut self, name: &'static str) {
        self.part(name).start();
        self.system.linked().await;
        let secured = |actor: &&Actor| {
            actor.gateway == name && matches!(actor.speaks, Speaks::PreSharedKey | Speaks::Certificate)
        };
        for actor in named("lamps").filter(secured) {
            self.command(actor.id, &Command::Vanish);
            self.command(actor.id, &Command::Connect);
        }
    }
}

fn submission(sent: &Sent) -> Submission {
    let mut request = sent.request.clone();
    let fields = request.as_object_mut().expect("a request has fields");
    fields.entry("deadline_seconds").or_insert(LONG.into());
    serde_json::from_value(request).expect("a request")
}

fn addresses(who: &'static str) -> impl Iterator<Item = (GatewayId, PeripheralId)> {
    named(who).map(|actor| (actor.gateway.parse().expect("a gateway id"), actor.id.parse().expect("a peripheral id")))
}
