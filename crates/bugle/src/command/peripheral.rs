//! `bugle peripheral`: peripherals, their allocations and what is done with them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bugle_api::{AllocationBody, PageQuery, Peripheral, PeripheralQuery, StrangerRecord};
use bugle_client::Client;
use bugle_core::credential::{PasswordVerifier, PreSharedKey};
use bugle_core::{ApplicationId, Credential, GatewayId, GroupId, InitialState, Protocol, ResourcePath, State, Waker};
use clap::{Args, Subcommand};
use serde::Serialize;

use super::Context;
use super::paging::Limit;
use crate::failure::{Ended, Failure};
use crate::output::{facts, list, table};
use crate::place::Place;
use crate::when::Wall;

/// Peripherals: list them, allocate them to groups, block, release or deregister them
#[derive(Debug, Args)]
pub(crate) struct PeripheralCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(ListArgs),
    /// Show a peripheral: its allocation, its state and what it says of itself
    #[command(after_long_help = "Example:\n  bugle peripheral show east/lamp-01")]
    Show {
        /// Which, as GATEWAY/PERIPHERAL
        place: Place,
    },
    Allocate(Box<AllocateArgs>),
    /// Remove allocations, ending the registrations
    #[command(after_long_help = "Example:\n  bugle peripheral remove east/new-lamp")]
    Remove(Places),
    /// Let blocked peripherals register
    #[command(after_long_help = "Example:\n  bugle peripheral release east/lamp-01")]
    Release(Places),
    /// End registrations, and let the peripherals not register again until released
    #[command(after_long_help = "Example:\n  bugle peripheral block east/lamp-01")]
    Block(Places),
    /// End registrations; the peripherals may register again
    #[command(after_long_help = "Example:\n  bugle peripheral deregister east/lamp-01")]
    Deregister(Places),
    /// Put peripherals into standby: they are left alone until they wake
    #[command(after_long_help = "Example:\n  bugle peripheral standby east/lamp-01")]
    Standby(Places),
    Observe(ObserveArgs),
    /// Activate peripherals in standby: each is woken as its allocation says
    #[command(after_long_help = "Example:\n  bugle peripheral activate east/lamp-01")]
    Activate(Places),
}

/// List peripherals, or with --waiting those without an allocation that asked to register
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle peripheral list --group lamps --state standby
  bugle peripheral list --waiting")]
struct ListArgs {
    /// Only those at this gateway
    #[arg(long)]
    gateway: Option<GatewayId>,
    /// Only those allocated to this group
    #[arg(long)]
    group: Option<GroupId>,
    /// Only those in this state: blocked, allocated, registering, active, standby or activating
    #[arg(long, value_parser = parse_state)]
    state: Option<State>,
    /// Those that asked to register and have no allocation: the waiting list
    #[arg(long, conflicts_with_all = ["gateway", "group", "state"])]
    waiting: bool,
    #[command(flatten)]
    limit: Limit,
}

/// Allocate a peripheral to groups, or change its allocation
///
/// It counts once the gateway has it. An allocation that was made in the gateway's own file, or
/// at its command line, is changed there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle peripheral allocate east/new-lamp --group lamps
  bugle peripheral allocate east/new-meter --group meters --label street=Mill --lifetime 1h
  bugle peripheral allocate east/new-lamp --group lamps --waker 'wake-on-lan 02:00:5e:10:00:01'
  bugle peripheral allocate east/new-lamp --group lamps --waker '{\"http\":{\"url\":\"http://127.0.0.1:8080/wake/{peripheral}\",\"effort\":{\"tries\":2}}}'")]
struct AllocateArgs {
    /// Which, as GATEWAY/PERIPHERAL
    place: Place,
    #[command(flatten)]
    allocation: AllocationArgs,
}

/// What an allocation says of a peripheral.
#[derive(Debug, Args)]
pub(crate) struct AllocationArgs {
    /// To which group; may be given several times
    #[arg(long = "group", value_name = "GROUP", required = true)]
    groups: Vec<GroupId>,
    /// It may not register until it is released
    #[arg(long)]
    blocked: bool,
    /// What its password is checked against, as `bugle config password` prints it
    #[arg(long, value_name = "VERIFIER")]
    password_verifier: Option<PasswordVerifier>,
    /// The user name it must show; its id without this
    #[arg(long, value_name = "NAME", requires = "password_verifier")]
    username: Option<String>,
    /// The key it shares with its gateway for DTLS, 8 to 64 bytes in hexadecimal
    #[arg(long, value_name = "KEY", conflicts_with = "password_verifier")]
    pre_shared_key: Option<PreSharedKey>,
    /// The identity it names with that key; its id without this
    #[arg(long, value_name = "IDENTITY", requires = "pre_shared_key")]
    identity: Option<String>,
    /// The common name of the certificate it must show
    #[arg(long, value_name = "NAME", conflicts_with_all = ["password_verifier", "pre_shared_key"])]
    certificate: Option<String>,
    /// How it is woken: window (it wakes by itself), wake-on-lan MAC, coap://…, http://…, https://…,
    /// exec PROGRAM, or as JSON with time limit, tries and back-off; {peripheral} stands for its id
    #[arg(long, value_name = "WAKER", default_value = "window")]
    waker: Waker,
    /// What you say of it; may be given several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = parse_label)]
    labels: Vec<(String, String)>,
    /// The longest that a registration lasts without a word from it, as 1h
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    lifetime: Option<Duration>,
    /// After so long without a word it counts as in standby, as 10m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    idle: Option<Duration>,
}

/// Have a value of an LwM2M peripheral reported whenever it changes
///
/// The values arrive as reports, in `bugle events`, named as the path; what cannot be observed is told there
/// too. It holds across registrations until it is stopped. What the peripheral sends of itself, and what MQTT
/// peripherals report, arrives there without asking.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle peripheral observe east/meter-1 /3303/0/5700
  bugle peripheral observe east/meter-1 /3303/0/5700 --stop")]
struct ObserveArgs {
    /// Which, as GATEWAY/PERIPHERAL
    place: Place,
    /// Where the value is, as /3303/0/5700: an object, an instance or a resource
    path: ResourcePath,
    /// Have it reported no more
    #[arg(long)]
    stop: bool,
}

#[derive(Debug, Args)]
struct Places {
    /// Which, as GATEWAY/PERIPHERAL
    #[arg(required = true, value_name = "PLACE")]
    places: Vec<Place>,
}

/// What was asked of a gateway.
#[derive(Debug, Serialize)]
struct Asked<'a> {
    gateway: &'a GatewayId,
    peripheral: String,
    asked: &'static str,
}

fn parse_state(text: &str) -> Result<State, String> {
    let states =
        [State::Blocked, State::Allocated, State::Registering, State::Active, State::Standby, State::Activating];
    states.into_iter().find(|state| state.as_str() == text).ok_or_else(|| format!("states are {}", list(states)))
}

fn parse_label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE, as street=Mill")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl PeripheralCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let client = context.client()?;
        match self.command {
            Command::List(args) if args.waiting => list_strangers(context, &client, args.limit).await,
            Command::List(args) => list_peripherals(context, &client, args).await,
            Command::Show { place } => {
                let peripheral = client.peripheral(&place.gateway, &place.peripheral).await?;
                context.output.print(&peripheral, describe)?;
                Ok(Ended::Well)
            }
            Command::Allocate(args) => args.run(context, &client).await,
            Command::Remove(places) => {
                places.ask(context, "remove", async |at| client.remove(&at.gateway, &at.peripheral).await).await
            }
            Command::Release(places) => {
                places.ask(context, "release", async |at| client.release(&at.gateway, &at.peripheral).await).await
            }
            Command::Block(places) => {
                places.ask(context, "block", async |at| client.block(&at.gateway, &at.peripheral).await).await
            }
            Command::Deregister(places) => {
                places.ask(context, "deregister", async |at| client.deregister(&at.gateway, &at.peripheral).await).await
            }
            Command::Observe(args) => {
                let Place { gateway, peripheral } = &args.place;
                if args.stop {
                    client.observe_no_more(gateway, peripheral, args.path).await?;
                    tell_asked(context, &args.place, "observe no more")?;
                } else {
                    client.observe(gateway, peripheral, args.path).await?;
                    tell_asked(context, &args.place, "observe")?;
                }
                Ok(Ended::Well)
            }
            Command::Standby(places) => {
                places.ask(context, "standby", async |at| client.standby(&at.gateway, &at.peripheral).await).await
            }
            Command::Activate(places) => {
                places.ask(context, "activate", async |at| client.activate(&at.gateway, &at.peripheral).await).await
            }
        }
    }
}

impl Places {
    async fn ask(
        &self,
        context: &Context,
        what: &'static str,
        asking: impl AsyncFn(&Place) -> Result<(), bugle_client::ClientError>,
    ) -> Result<Ended, Failure> {
        for place in &self.places {
            asking(place).await?;
            tell_asked(context, place, what)?;
        }
        Ok(Ended::Well)
    }
}

fn tell_asked(context: &Context, place: &Place, what: &'static str) -> Result<(), Failure> {
    let asked = Asked { gateway: &place.gateway, peripheral: place.peripheral.to_string(), asked: what };
    context.output.print_line(&asked, |_| format!("{place}: {what} is on its way to the gateway."))
}

impl AllocateArgs {
    async fn run(self, context: &Context, client: &Client) -> Result<Ended, Failure> {
        let body = self.allocation.into_body(context.connection.application()?.clone());
        client.allocate(&self.place.gateway, &self.place.peripheral, &body).await?;
        tell_asked(context, &self.place, "allocate")?;
        Ok(Ended::Well)
    }
}

impl AllocationArgs {
    /// What it must show, if anything; clap lets no more than one through.
    fn credential(&self) -> Option<Credential> {
        if let Some(verifier) = self.password_verifier.clone() {
            return Some(Credential::Password { username: self.username.clone(), verifier });
        }
        if let Some(key) = self.pre_shared_key.clone() {
            return Some(Credential::PreSharedKey { identity: self.identity.clone(), key });
        }
        self.certificate.clone().map(|subject| Credential::Certificate { subject: Some(subject) })
    }

    /// The allocation, for this application.
    pub(crate) fn into_body(self, application: ApplicationId) -> AllocationBody {
        let credential = self.credential();
        AllocationBody {
            application,
            groups: self.groups.into_iter().collect::<BTreeSet<_>>(),
            initial_state: if self.blocked { InitialState::Blocked } else { InitialState::Allocated },
            credential,
            waker: self.waker,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            lifetime: self.lifetime.map(|lifetime| lifetime.as_secs()),
            idle: self.idle.map(|idle| idle.as_secs()),
        }
    }
}

async fn list_peripherals(context: &Context, client: &Client, args: ListArgs) -> Result<Ended, Failure> {
    let application = context.connection.application()?;
    let query = |cursor, limit| PeripheralQuery {
        application: Some(application.clone()),
        gateway: args.gateway.clone(),
        group: args.group.clone(),
        state: args.state,
        cursor,
        limit,
    };
    let found = args.limit.collect(async |cursor, limit| client.peripherals(&query(cursor, limit)).await).await?;
    context.output.print(&found.items, |peripherals| format!("{}{}", peripheral_table(peripherals), found.note()))?;
    Ok(Ended::Well)
}

fn peripheral_table(peripherals: &[Peripheral]) -> String {
    let wall = Wall::here();
    let rows = peripherals.iter().map(|known| {
        [
            format!("{}/{}", known.gateway, known.peripheral),
            known.state.to_string(),
            list(&known.groups),
            wall.tell(known.since),
            known.next_wake.map_or_else(|| "-".to_owned(), |wake| wall.tell(wake)),
        ]
    });
    table(["peripheral", "state", "groups", "since", "next wake"], rows, "No such peripheral.")
}

async fn list_strangers(context: &Context, client: &Client, limit: Limit) -> Result<Ended, Failure> {
    let found = limit.collect(async |cursor, limit| client.strangers(&PageQuery { cursor, limit }).await).await?;
    context.output.print(&found.items, |strangers| format!("{}{}", stranger_table(strangers), found.note()))?;
    Ok(Ended::Well)
}

fn stranger_table(strangers: &[StrangerRecord]) -> String {
    let wall = Wall::here();
    let rows = strangers.iter().map(|stranger| {
        let place = format!("{}/{}", stranger.gateway, stranger.peripheral);
        [place, protocol(stranger.protocol).to_owned(), stranger.address.clone(), wall.tell(stranger.at)]
    });
    table(["peripheral", "protocol", "from", "asked"], rows, "Nobody without an allocation has asked to register.")
}

fn describe(known: &Peripheral) -> String {
    let wall = Wall::here();
    let labels = known.labels.iter().map(|(name, value)| format!("{name}={value}"));
    let said = known.description.as_ref();
    facts([
        ("peripheral", Some(format!("{}/{}", known.gateway, known.peripheral))),
        ("application", Some(known.application.to_string())),
        ("groups", Some(list(&known.groups))),
        ("labels", (!known.labels.is_empty()).then(|| list(labels))),
        ("allocated", Some(known.origin.place().to_owned())),
        ("wakes", known.wakes.map(|wakes| wakes.to_string())),
        ("state", Some(format!("{}, {}", known.state, wall.tell(known.since)))),
        ("next wake", known.next_wake.map(|wake| wall.tell(wake))),
        ("registration", known.registration.map(|registration| registration.to_string())),
        ("member of", known.registration.map(|_| list(&known.member_of))),
        ("awaits answer", known.asked.map(|registration| format!("registration {registration}"))),
        ("protocol", said.map(|said| protocol(said.protocol).to_owned())),
        ("address", said.map(|said| said.address.clone())),
        ("lifetime", said.map(|said| humantime::format_duration(said.lifetime).to_string())),
    ])
}

const fn protocol(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Mqtt311 => "MQTT 3.1.1",
        Protocol::Mqtt5 => "MQTT 5",
        Protocol::Lwm2m10 => "LwM2M 1.0",
        Protocol::Lwm2m11 => "LwM2M 1.1",
        Protocol::Lwm2m12 => "LwM2M 1.2",
    }
}
