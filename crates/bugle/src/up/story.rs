//! The story: every procedure once, told with what really happened.

use std::time::{Duration, Instant};

use bugle_api::{
    Group, GroupDetail, MemberFilter, MemberQuery, PageQuery, PeripheralQuery, Request, RequestState, Submission,
};
use bugle_core::{
    Activation, GroupId, LateJoiners, Operation, OutcomeKind, Pacing, Priority, Receipt, Sleepers, State,
};
use bugle_load::Command;

use super::folder::Folder;
use super::parts::Parts;
use super::residents::{Residents, stranger_asks};
use super::teller::Teller;
use super::town::{Kind, Speaks, Town};
use crate::failure::Failure;
use crate::following::word_of;
use crate::output::{count, list};

/// How often the platform is looked at while something is awaited.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// After which what is awaited is not going to happen.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a meter sleeps, in whole seconds: it tells them.
const NAPS: [u64; 3] = [3, 4, 5];
/// How long the one sleeps that misses the request.
const LONG_NAP: Duration = Duration::from_secs(40);
/// How long the request may live: longer than a nap, shorter than the long one.
const DEADLINE_SECONDS: u64 = 8;
/// The battery level of LwM2M's Device object.
const BATTERY: &str = "/3/0/9";

/// What the story is told with.
pub(crate) struct Story<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) folder: &'a Folder,
    pub(crate) town: &'a Town,
    pub(crate) teller: &'a mut Teller,
}

impl Story<'_> {
    /// What runs, and what was there before.
    pub(crate) async fn begin(&mut self) -> Result<(), Failure> {
        let Self { parts, folder, town, .. } = self;
        let text = format!(
            "A platform listens at {}, and for gateways at {}. Application {} decides who may register, by the rules \
             in {}.",
            parts.client.url(),
            parts.platform.link_address,
            town.application,
            folder.shown().join("policy.toml").display(),
        );
        self.teller.step("platform", &text)?;
        for moved in &self.parts.moved {
            let text = format!("({} was taken, so {} is at {} this time.)", moved.wanted, moved.what, moved.got);
            self.teller.more("moved", &text)?;
        }
        let places = self.town.gateways.iter().zip(&self.parts.gateways);
        let places = list(places.map(|(id, (gateway, mqtt))| {
            let lwm2m = gateway.lwm2m_address().map_or(String::new(), |address| format!(", LwM2M at {address}"));
            format!("{id} (MQTT at {mqtt}{lwm2m})")
        }));
        let link = match self.parts.enrolled {
            0 => "They enrolled an earlier time, and dialled in with mutual TLS.".to_owned(),
            enrolled => format!("{} enrolled with a one-time token, and they dialled in with mutual TLS.", enrolled),
        };
        self.teller.step("gateways", &format!("Gateways serve the peripherals: {places}. {link}"))?;
        let before = self.street().await?.map_or(0, |street| street.members);
        if before > 0 {
            let text = format!("{} were registered before, and still are.", count(before, "peripheral"));
            self.teller.step("before", &text)?;
        }
        Ok(())
    }

    /// From the registrations to the deregistration.
    pub(crate) async fn tell(&mut self, residents: &Residents) -> Result<(), Failure> {
        self.registrations().await?;
        self.stranger().await?;
        self.standby(residents).await?;
        self.group_request().await?;
        self.deregistration(residents).await
    }

    /// Allocations precede peripherals: it waits until the platform has heard of them.
    pub(crate) async fn allocations(&mut self) -> Result<(), Failure> {
        let all = self.town.peripherals.len() as u64;
        self.street_until(|street| street.allocated >= all).await?;
        let files = (0..self.town.gateways.len()).map(|place| Folder::allocations_name(self.town, place));
        let files = list(files.map(|name| self.folder.shown().join(name).display().to_string()));
        let text = format!(
            "{} allocated to groups before any of them appears: {} to {}, {} to {}, all of them to {} as well. Look at \
             {files}, and edit them if you like.",
            are(all, "peripheral"),
            count(self.town.count(Kind::Lamp), "lamp"),
            self.town.lamps,
            count(self.town.count(Kind::Meter), "meter"),
            self.town.meters,
            self.town.street,
        );
        self.teller.step("allocated", &text)
    }

    async fn registrations(&mut self) -> Result<(), Failure> {
        let all = self.town.peripherals.len() as u64;
        let street = self.street_until(|street| street.members >= all && street.active >= all).await?;
        let groups = self.parts.application_api.groups().await?;
        let groups = list(groups.iter().map(|group| format!("{} {}", group.group, group.members)));
        let text = format!(
            "{} connected over MQTT, which is registering, and {} registered over LwM2M. The gateways checked \
             passwords and the keys of DTLS, and the application said yes: {} of {all} are members now. Its group \
             configurations: {groups}.",
            self.town.speakers(Speaks::Mqtt),
            self.town.speakers(Speaks::Lwm2m),
            street.members
        );
        self.teller.step("registered", &text)
    }

    async fn stranger(&mut self) -> Result<(), Failure> {
        let told = stranger_asks(self.town, self.parts).await?;
        let first = PageQuery { cursor: None, limit: Some(100) };
        let started = Instant::now();
        let stranger = loop {
            let strangers = self.parts.client.strangers(&first).await?.items;
            if let Some(found) = strangers.into_iter().find(|found| found.peripheral == self.town.stranger) {
                break found;
            }
            check_patience(started, "the stranger to be on the waiting list")?;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let text = format!(
            "One that nobody has allocated, {}, asked to register at {}. It was refused ({told}), and is on the \
             waiting list: bugle peripheral list --waiting",
            stranger.peripheral, stranger.gateway
        );
        self.teller.step("stranger", &text)
    }

    async fn standby(&mut self, residents: &Residents) -> Result<(), Failure> {
        let mut meters: Vec<usize> = self.town.places(Kind::Meter).collect();
        if let Some(last) = meters.pop() {
            residents.command(last, Command::Sleep(LONG_NAP));
        }
        for (number, place) in meters.iter().enumerate() {
            residents.command(*place, Command::Sleep(Duration::from_secs(NAPS[number % NAPS.len()])));
        }
        let all = self.town.count(Kind::Meter);
        let meters = self.group_until(&self.town.meters, |meters| meters.members - meters.active >= all).await?;
        let asleep = meters.members - meters.active;
        let text = format!(
            "The meters run on batteries. They told when they will wake, and left: {asleep} of {} are in standby. \
             Nothing is sent to them there.",
            meters.members
        );
        self.teller.step("standby", &text)
    }

    async fn group_request(&mut self) -> Result<(), Failure> {
        let submission = Submission {
            operation: Operation::Read { path: BATTERY.parse().expect("it is a path") },
            activation: Activation::Percentage(50),
            sleepers: Sleepers::Queue,
            receipt: Receipt::Executed,
            late_joiners: LateJoiners::Exclude,
            deadline_seconds: DEADLINE_SECONDS,
            priority: Priority::Normal,
            pacing: Pacing::default(),
            abort: None,
            collapse_key: None,
        };
        let Self { parts, town, .. } = self;
        let request = parts.client.submit(&town.application, &town.street, &submission, None).await?;
        let text = format!(
            "One call for the whole group: {} to {} (the battery level), accepted as request {}. Half of those in \
             standby are to be woken, the others get it when they wake, and all of it within {DEADLINE_SECONDS} s.",
            word_of(&request.operation),
            request.group,
            request.id
        );
        self.teller.step("request", &text)?;
        let request = self.outcomes(request).await?;
        self.expired(&request).await
    }

    /// Follows the request, and tells whenever more members have their outcome.
    async fn outcomes(&mut self, mut request: Request) -> Result<Request, Failure> {
        let started = Instant::now();
        let mut told = None;
        let mut settled_before = 0;
        loop {
            let totals = request.totals;
            let is_quiet = totals.settled() == settled_before;
            settled_before = totals.settled();
            let is_news = told != Some(totals.settled()) && totals.settled() > 0 && is_quiet;
            if is_news || request.state == RequestState::Complete {
                told = Some(totals.settled());
                let waking = self.waking().await?;
                let waking = if waking > 0 { format!(", {waking} being woken") } else { String::new() };
                let text = format!(
                    "after {:.1} s: {} of {} executed{waking}",
                    started.elapsed().as_secs_f64(),
                    totals.executed,
                    totals.members
                );
                self.teller.more("outcomes", &text)?;
            }
            if request.state == RequestState::Complete {
                return Ok(request);
            }
            check_patience(started, "the request to end")?;
            tokio::time::sleep(LOOK_EVERY).await;
            request = self.parts.client.request(&self.town.application, request.id).await?;
        }
    }

    async fn waking(&self) -> Result<usize, Failure> {
        let query = PeripheralQuery {
            application: Some(self.town.application.clone()),
            group: Some(self.town.street.clone()),
            state: Some(State::Activating),
            limit: Some(1_000),
            ..PeripheralQuery::default()
        };
        Ok(self.parts.client.peripherals(&query).await?.items.len())
    }

    async fn expired(&mut self, request: &Request) -> Result<(), Failure> {
        let query = MemberQuery {
            outcome: Some(MemberFilter::Ended(OutcomeKind::Expired)),
            limit: Some(10),
            ..MemberQuery::default()
        };
        let page = self.parts.client.request_members(&request.application, request.id, &query).await?;
        let who = list(page.items.iter().map(|member| format!("{}/{}", member.gateway, member.peripheral)));
        let text = match request.totals.expired {
            0 => format!("Every member has its outcome: {} executed.", request.totals.executed),
            expired => format!(
                "Every member has exactly one outcome: {} executed, {expired} expired. {who} slept past the deadline. \
                 bugle request show {} shows each.",
                request.totals.executed, request.id
            ),
        };
        self.teller.step("outcome", &text)
    }

    async fn deregistration(&mut self, residents: &Residents) -> Result<(), Failure> {
        let Some(place) = self.town.places(Kind::Lamp).next_back() else { return Ok(()) };
        let before = self.configured(&self.town.lamps).await?;
        residents.command(place, Command::Deregister);
        let started = Instant::now();
        let after = loop {
            let now = self.configured(&self.town.lamps).await?;
            if now < before {
                break now;
            }
            check_patience(started, "the deregistration to reach the application")?;
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let text = format!(
            "{} deregistered. The application took it out of the group configuration of {}, which had {before} members \
             and has {after}.",
            self.town.peripherals[place].id, self.town.lamps
        );
        self.teller.step("deregistered", &text)
    }

    /// The members of a group, as the application holds them.
    async fn configured(&self, group: &GroupId) -> Result<u64, Failure> {
        let groups = self.parts.application_api.groups().await?;
        Ok(groups.into_iter().find(|known| known.group == *group).map_or(0, |known| known.members))
    }

    /// The group of all, if the platform has heard of it.
    async fn street(&self) -> Result<Option<Group>, Failure> {
        match self.parts.client.group(&self.town.application, &self.town.street).await {
            Ok(GroupDetail { group, .. }) => Ok(Some(group)),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn street_until(&self, is_so: impl Fn(&Group) -> bool) -> Result<Group, Failure> {
        self.group_until(&self.town.street, is_so).await
    }

    async fn group_until(&self, group: &GroupId, is_so: impl Fn(&Group) -> bool) -> Result<Group, Failure> {
        let started = Instant::now();
        loop {
            match self.parts.client.group(&self.town.application, group).await {
                Ok(GroupDetail { group, .. }) if is_so(&group) => return Ok(group),
                Err(error) if error.status() != Some(404) => return Err(error.into()),
                Ok(_) | Err(_) => {}
            }
            check_patience(started, &format!("group {group} to be as the story has it"))?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Where things are, and what a person may do now.
    pub(crate) fn what_next(&self) -> String {
        let data = self.folder.shown().display();
        let option = match data.to_string().as_str() {
            "bugle-data" => String::new(),
            said => format!(" --data {said}"),
        };
        let bugle = std::env::args().next().unwrap_or_else(|| "bugle".to_owned());
        let mut commands = vec![format!("{bugle}{option} gateway list"), format!("{bugle}{option} group list")];
        if self.town.peripherals.is_empty() {
            commands.push(format!("{bugle}{option} peripheral allocate east/my-lamp --group lamps"));
        } else {
            commands.push(format!("{bugle}{option} group send lamps --message on"));
        }
        format!(
            "\nEverything stays up until Ctrl-C. In another terminal:\n\n    {}\n\n\
             HTTP API      {}/v1/openapi.json\n\
             its token     {}\n\
             files         {data}/",
            commands.join("\n    "),
            self.parts.client.url(),
            self.parts.platform.operator_token_file.display(),
        )
    }
}

/// `1 peripheral is`, `2 peripherals are`.
fn are(number: u64, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

fn check_patience(started: Instant, what: &str) -> Result<(), Failure> {
    if started.elapsed() < PATIENCE {
        return Ok(());
    }
    let seconds = PATIENCE.as_secs();
    Err(Failure::Here(anyhow::anyhow!("waited {seconds} s for {what}; `bugle up --log warn` shows more")))
}
