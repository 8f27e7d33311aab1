//! `bugle load`: how fast this machine is with so many peripherals, and what they cost.

use std::time::Duration;

use bugle_core::Protocol;
use bugle_dtls::Limits;
use bugle_load::MqttVersion;
use bugle_load::measure::{Admission, Bare, FanOut, Mosquitto, MosquittoError, Raw, Registrations, Residence, Target};
use clap::{Args, Subcommand, ValueEnum};

use super::Context;
use crate::failure::{Ended, Failure, INTERRUPTED};
use crate::load::{
    Allocated, FanOutReport, MemoryReport, Named, OTHER_FILES, Population, RawReport, Recovery, RecoveryReport,
    RegistrationsReport, Security, Spoken, World, measure,
};
use crate::part::shutdown_on_signals;

/// As many may ask the application within a second as want to.
const UNBOUNDED: u32 = 0;
/// How long the datagrams alone go back and forth after each message.
const RAW_BESIDE: Duration = Duration::from_millis(250);
/// What CoAP and LwM2M add to the payload of a message: header, token, path, format.
const MESSAGE_BYTES_BESIDE_PAYLOAD: usize = 32;
/// What a record of DTLS adds under AES-GCM: header, nonce, tag.
const RECORD_BYTES_BESIDE_MESSAGE: usize = 13 + 8 + 16;

/// Measure with many simulated peripherals: how fast, and how much memory
///
/// Each measurement starts a platform, an application and a gateway of its own, everything durable, in a
/// folder that is removed afterwards, and peripherals over real sockets. What is measured is the whole
/// way: from the platform's HTTP API to the last peripheral, and back. The peripherals share the machine
/// with what is measured, so compare ratios of one run rather than figures of two machines.
#[derive(Debug, Args)]
pub(crate) struct LoadCommand {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    FanOut(FanOutArgs),
    Registrations(RegistrationsArgs),
    Memory(MemoryArgs),
    Recovery(RecoveryArgs),
    Raw(RawArgs),
}

/// How many peripherals, and how long.
#[derive(Debug, Clone, Args)]
struct Scale {
    /// How many peripherals are simulated
    #[arg(long, value_name = "NUMBER", default_value = "1000", value_parser = clap::value_parser!(u32).range(1..=500_000))]
    peripherals: u32,
    /// What they speak
    #[arg(long, value_name = "PROTOCOL", default_value = "mqtt")]
    protocol: ProtocolWord,
    /// LwM2M under DTLS, each peripheral with a pre-shared key of its own that is made for the measurement
    #[arg(long, conflicts_with = "gateway")]
    dtls: bool,
    /// How long anything may take for all of them, as 2m
    #[arg(long, value_name = "TIME", default_value = "2m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ProtocolWord {
    /// MQTT 5
    Mqtt,
    /// MQTT 3.1.1
    #[value(name = "mqtt-3.1.1")]
    Mqtt311,
    /// LwM2M 1.1
    Lwm2m,
    /// LwM2M 1.0
    #[value(name = "lwm2m-1.0")]
    Lwm2m10,
    /// LwM2M 1.2
    #[value(name = "lwm2m-1.2")]
    Lwm2m12,
}

impl Scale {
    const fn count(&self) -> usize {
        self.peripherals as usize
    }

    const fn protocol(&self) -> Protocol {
        match self.protocol {
            ProtocolWord::Mqtt => Protocol::Mqtt5,
            ProtocolWord::Mqtt311 => Protocol::Mqtt311,
            ProtocolWord::Lwm2m => Protocol::Lwm2m11,
            ProtocolWord::Lwm2m10 => Protocol::Lwm2m10,
            ProtocolWord::Lwm2m12 => Protocol::Lwm2m12,
        }
    }

    const fn security(&self) -> Security {
        if self.dtls { Security::Dtls } else { Security::Plain }
    }

    const fn population(&self) -> Population {
        let (peripherals, protocol, security) = (self.count(), self.protocol(), self.security());
        Population { peripherals, protocol, security, admissions_per_second: UNBOUNDED }
    }

    fn check(&self) -> Result<(), Failure> {
        let sessions_max = Limits::default().sessions_max;
        match (self.security(), self.protocol) {
            (Security::Plain, _) => Ok(()),
            (Security::Dtls, ProtocolWord::Mqtt | ProtocolWord::Mqtt311) => {
                Err(Failure::Usage("--dtls is for LwM2M: say --protocol lwm2m".to_owned()))
            }
            (Security::Dtls, ProtocolWord::Lwm2m | ProtocolWord::Lwm2m10 | ProtocolWord::Lwm2m12) => {
                let fits = self.count() <= sessions_max;
                if fits {
                    Ok(())
                } else {
                    Err(Failure::Usage(format!("with --dtls at most {sessions_max} peripherals")))
                }
            }
        }
    }
}

/// One message to all members of a group: how long until the last has it, until all have acknowledged
/// it, and until all receipts are with the platform
///
/// Beside it, in the same run, stand yardsticks. For MQTT, mosquitto, where it is installed, pushes the
/// same message to the same number of subscribers, and a bare server does, that does nothing else: nothing
/// on this machine is faster with these peripherals. For LwM2M, as many datagrams go back and forth after
/// each message between two threads that do nothing with them, as with `bugle load raw`; every member then
/// answers, and its receipt says `executed`.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle load fan-out
  bugle load fan-out --peripherals 10000 --repetitions 7 --json
  bugle load fan-out --protocol lwm2m --peripherals 10000
  bugle load fan-out --protocol lwm2m --dtls --peripherals 10000
  bugle load fan-out --gateway north --at 192.0.2.1:1883 --group lamps --peripherals 50")]
struct FanOutArgs {
    #[command(flatten)]
    scale: Scale,
    /// How often; what is told is the median
    #[arg(long, value_name = "NUMBER", default_value = "5", value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// The size of the message
    #[arg(long, value_name = "BYTES", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    payload: u32,
    /// Without the yardstick beside it
    #[arg(long)]
    alone: bool,
    #[command(flatten)]
    named: Named,
}

/// How many peripherals register in a second
///
/// All register at once, each with the application's decision, and leave again before the next
/// repetition. Under DTLS, each begins a session first. With --lease each is registered and registers anew, and the gateway admits it under the
/// lease that the application has given.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle load registrations --peripherals 5000
  bugle load registrations --peripherals 20000 --admissions-per-second 500 --repetitions 1
  bugle load registrations --protocol lwm2m --peripherals 10000 --lease
  bugle load registrations --protocol lwm2m --dtls --peripherals 10000")]
struct RegistrationsArgs {
    #[command(flatten)]
    scale: Scale,
    /// How often; what is told is the median
    #[arg(long, value_name = "NUMBER", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    repetitions: u16,
    /// Register anew under the lease, rather than for the first time
    #[arg(long)]
    lease: bool,
    /// Let no more ask the application within a second, and see the rest of them get in later; 0 for no bound
    #[arg(long, value_name = "NUMBER", default_value = "0", conflicts_with = "lease", value_parser = clap::value_parser!(u32).range(..=100_000))]
    admissions_per_second: u32,
    #[command(flatten)]
    named: Named,
}

/// What a registered peripheral costs the gateway in memory
///
/// The gateway is a process of its own. Its memory is told without any peripheral, with all of them
/// allocated, and with all of them registered; with --rest once more when they have been left alone for a
/// while; and at last the most that it has taken since it was started with them. What CoAP has to remember of an
/// exchange it remembers for 247 seconds (RFC 7252 §4.8.2).
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle load memory --peripherals 10000
  bugle load memory --protocol lwm2m --peripherals 100000 --patience 10m
  bugle load memory --protocol lwm2m --peripherals 100000 --rest 6m
  bugle load memory --protocol lwm2m --dtls --peripherals 10000
  bugle load memory --gateway north --at 127.0.0.1:1883 --group lamps --process $(pidof -s bugle)")]
struct MemoryArgs {
    #[command(flatten)]
    scale: Scale,
    /// How long they are left alone before the memory is told once more, as 6m
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    rest: Option<Duration>,
    #[command(flatten)]
    named: Named,
}

/// How soon a gateway with a large store is back after a restart, and how long a backup of it takes
///
/// A store is filled as a gateway fills it; then a gateway is started on it as a process of its own. What is told
/// is how long it takes from its start until a peripheral that comes back has the message that waited for it, and
/// how long a copy of the store takes while the gateway works, as `bugle backup` makes it.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle load recovery
  bugle load recovery --allocations 10000 --deliveries 1000 --json")]
struct RecoveryArgs {
    /// How many peripherals are allocated
    #[arg(long, value_name = "NUMBER", default_value = "1000000", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    allocations: u32,
    /// How many of them are registered, asleep, and have a message waiting
    #[arg(long, value_name = "NUMBER", default_value = "100000", value_parser = clap::value_parser!(u32).range(1..=2_000_000))]
    deliveries: u32,
    /// How long the gateway may take, as 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = humantime::parse_duration)]
    patience: Duration,
}

/// What this machine's UDP sockets can do at all
///
/// Datagrams go back and forth between two threads in batches, and nothing is done with them: no server
/// of datagrams can be faster here. Hold the other measurements against it in the same hour.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle load raw
  bugle load raw --request 300 --answer 40 --time 10s")]
struct RawArgs {
    /// The size of what goes out
    #[arg(long, value_name = "BYTES", default_value = "96", value_parser = clap::value_parser!(u16).range(1..=1_500))]
    request: u16,
    /// The size of what comes back
    #[arg(long, value_name = "BYTES", default_value = "12", value_parser = clap::value_parser!(u16).range(1..=1_500))]
    answer: u16,
    /// How many may be outstanding at once; fewer where the system's buffers have no room for so many
    #[arg(long, value_name = "NUMBER", default_value = "4096", value_parser = clap::value_parser!(u32).range(1..))]
    outstanding: u32,
    /// How long, as 2s
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    time: Duration,
}

impl LoadCommand {
    pub(crate) async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let signals = shutdown_on_signals()?;
        tokio::select! {
            ended = self.measure(context) => ended,
            // What was started for it has ended: it was dropped. The thread that measures ends with the
            // process, and before the runtime that it works on.
            () = signals.requested() => std::process::exit(INTERRUPTED.into()),
        }
    }

    async fn measure(self, context: &Context) -> Result<Ended, Failure> {
        match self.command {
            Command::FanOut(args) => args.run(context).await,
            Command::Registrations(args) => args.run(context).await,
            Command::Memory(args) => args.run(context).await,
            Command::Recovery(args) => args.run(context).await,
            Command::Raw(args) => args.run(context).await,
        }
    }
}

/// Where a measurement is made.
struct Place {
    /// What was started for it, if anything.
    world: Option<World>,
    target: Target,
}

impl Place {
    async fn find(
        context: &Context,
        scale: &Scale,
        named: &Named,
        admissions_per_second: u32,
    ) -> Result<Self, Failure> {
        scale.check()?;
        if let Some(target) = named.target(context, scale.count(), scale.protocol(), scale.patience).await? {
            return Ok(Self { world: None, target });
        }
        let population = Population { admissions_per_second, ..scale.population() };
        let world = World::start(population, Allocated::FromTheStart).await?;
        let target = world.target(scale.protocol(), scale.patience)?;
        Ok(Self { world: Some(world), target })
    }
}

async fn stop(world: Option<World>) -> Result<(), Failure> {
    match world {
        Some(world) => world.stop().await,
        None => Ok(()),
    }
}

impl FanOutArgs {
    async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let Place { world, target } = Place::find(context, &self.scale, &self.named, UNBOUNDED).await?;
        let (protocol, members, payload_bytes) = (self.scale.protocol(), self.scale.count(), self.payload as usize);
        let security = self.scale.security();
        let mut targets = Vec::new();
        let mut raw = None;
        match protocol {
            _ if self.alone => {}
            Protocol::Mqtt311 | Protocol::Mqtt5 => targets.extend(yardsticks(protocol, members)?),
            Protocol::Lwm2m10 | Protocol::Lwm2m11 | Protocol::Lwm2m12 => {
                raw = Some(raw_beside(payload_bytes, security));
            }
        }
        targets.push(target);
        let fan_out = FanOut {
            members,
            repetitions: self.repetitions.into(),
            payload_bytes,
            protocol,
            patience: self.scale.patience,
            raw,
        };
        let measured = measure(context.output, move |watch| fan_out.run(&mut targets, watch)).await;
        stop(world).await?;
        let report = FanOutReport::new(Spoken { protocol, security }, members, payload_bytes, measured?);
        context.output.print(&report, FanOutReport::tell)?;
        Ok(Ended::Well)
    }
}

/// The datagrams of a message to an LwM2M peripheral, and back.
fn raw_beside(payload_bytes: usize, security: Security) -> Raw {
    let raw = Raw::default();
    let record_bytes = match security {
        Security::Plain => 0,
        Security::Dtls => RECORD_BYTES_BESIDE_MESSAGE,
    };
    let request_bytes = MESSAGE_BYTES_BESIDE_PAYLOAD + payload_bytes + record_bytes;
    Raw { request_bytes, answer_bytes: raw.answer_bytes + record_bytes, duration: RAW_BESIDE, ..raw }
}

/// A mosquitto, where it is installed, and a bare server, where this process may have both ends of its connections.
fn yardsticks(protocol: Protocol, members: usize) -> Result<Vec<Target>, Failure> {
    let mosquitto = match Mosquitto::start() {
        Ok(mosquitto) => Some(Target::Mosquitto(mosquitto)),
        Err(MosquittoError::Missing) => None,
        Err(error) => return Err(anyhow::Error::new(error).into()),
    };
    let version = if protocol == Protocol::Mqtt311 { MqttVersion::Mqtt311 } else { MqttVersion::Mqtt5 };
    let bare = match bugle_load::allow_open_files(2 * members + OTHER_FILES) {
        Ok(()) => Some(Target::Bare(Bare::start(version).map_err(anyhow::Error::new)?)),
        Err(error) => {
            eprintln!("note: without the bare server, which is a part of this process: {error}");
            None
        }
    };
    Ok(mosquitto.into_iter().chain(bare).collect())
}

impl RegistrationsArgs {
    async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let Place { world, target } =
            Place::find(context, &self.scale, &self.named, self.admissions_per_second).await?;
        let admission = if self.lease { Admission::Lease } else { Admission::Application };
        let protocol = self.scale.protocol();
        let registrations = Registrations {
            peripherals: self.scale.count(),
            repetitions: self.repetitions.into(),
            protocol,
            admission,
            patience: self.scale.patience,
        };
        let measured = measure(context.output, move |watch| registrations.run(&[target], watch)).await;
        stop(world).await?;
        let report =
            RegistrationsReport::new(Spoken { protocol, security: self.scale.security() }, admission, measured?);
        context.output.print(&report, RegistrationsReport::tell)?;
        Ok(Ended::Well)
    }
}

impl MemoryArgs {
    async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let (scale, protocol) = (&self.scale, self.scale.protocol());
        scale.check()?;
        let named = self.named.target(context, scale.count(), protocol, scale.patience).await?;
        let (world, empty, target) = match named {
            Some(_) if !self.named.has_process() => {
                return Err(Failure::Usage("say with --process which process the gateway is".to_owned()));
            }
            Some(target) => (None, None, target),
            None => {
                let mut world = World::start(scale.population(), Allocated::Later).await?;
                let empty = world.gateway_memory()?;
                world.allocate().await?;
                let target = world.target(protocol, scale.patience)?;
                (Some(world), Some(empty), target)
            }
        };
        let (peripherals, patience, rest) = (scale.count(), scale.patience, self.rest);
        let residence = Residence { peripherals, protocol, patience, rest };
        let measured = measure(context.output, move |watch| residence.run(&target, watch)).await;
        stop(world).await?;
        let spoken = Spoken { protocol, security: scale.security() };
        context.output.print(&MemoryReport::new(spoken, empty, measured?), MemoryReport::tell)?;
        Ok(Ended::Well)
    }
}

impl RecoveryArgs {
    async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let Self { allocations, deliveries, patience } = self;
        if deliveries > allocations {
            return Err(Failure::Usage("only those that are allocated have a message waiting".to_owned()));
        }
        let recovery = Recovery { allocations: allocations as usize, deliveries: deliveries as usize, patience };
        let report = RecoveryReport(recovery.run(context.output).await?);
        context.output.print(&report, RecoveryReport::tell)?;
        Ok(Ended::Well)
    }
}

impl RawArgs {
    async fn run(self, context: &Context) -> Result<Ended, Failure> {
        let raw = Raw {
            request_bytes: self.request.into(),
            answer_bytes: self.answer.into(),
            outstanding: self.outstanding as usize,
            duration: self.time,
        };
        let result = measure(context.output, move |_| raw.run()).await?;
        let report = RawReport::new(raw.request_bytes, raw.answer_bytes, result);
        context.output.print(&report, RawReport::tell)?;
        Ok(Ended::Well)
    }
}
