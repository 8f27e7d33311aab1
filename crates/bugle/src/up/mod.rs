//! `bugle up`: everything on this machine, and the story of how it works together.

mod folder;
mod parts;
mod ports;
mod residents;
mod story;
mod teller;
mod town;

use std::io::{self, IsTerminal};

use bugle_runtime::{DataFolder, tls};
use clap::Args;

use crate::cli::Global;
use crate::failure::{Ended, Failure};
use crate::part::{LogArgs, shutdown_on_signals};
use crate::up::folder::Folder;
use crate::up::parts::Parts;
use crate::up::residents::Residents;
use crate::up::story::Story;
use crate::up::teller::Teller;
use crate::up::town::{PERIPHERALS_MAX, PERIPHERALS_MIN, Town};

/// Run everything on this machine, and show how it works together
///
/// One process runs a platform, two gateways, an application, and simulated peripherals that connect
/// over MQTT as real ones would. It tells what happens, step by step, and then stays up for you to
/// try things. Ctrl-C ends it; the next `bugle up` goes on with what was there.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  bugle up
  bugle up --peripherals 100 --data /tmp/bugle-demo
  bugle up --peripherals 0    # no simulated peripherals, no story")]
pub(crate) struct UpArgs {
    /// How many peripherals are simulated: 0, or 6 to 1000
    #[arg(long, value_name = "NUMBER", default_value = "30", value_parser = parse_peripherals)]
    peripherals: u32,
    /// Where the gateways listen for MQTT: one at this port, the other at the next
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..65535))]
    mqtt_base_port: Option<u16>,
    /// End after the story
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    log: LogArgs,
}

fn parse_peripherals(text: &str) -> Result<u32, String> {
    let number = text.parse().map_err(|_| "it is a number".to_owned())?;
    match number {
        0 | PERIPHERALS_MIN..=PERIPHERALS_MAX => Ok(number),
        _ => Err(format!("the story takes {PERIPHERALS_MIN} to {PERIPHERALS_MAX} peripherals; 0 is none and no story")),
    }
}

/// Runs everything until a signal, or with `--once` until the story is told.
pub(crate) async fn run(global: &Global, args: UpArgs) -> Result<Ended, Failure> {
    args.log.start("error")?;
    tls::install_provider();
    let signals = shutdown_on_signals()?;
    let mut teller = Teller::new(global.json);
    let town = Town::new(args.peripherals);
    let data = DataFolder::open(&global.data).map_err(anyhow::Error::new)?;
    let folder = Folder::prepare(data, &town)?;
    let parts = Parts::start(&folder, args.mqtt_base_port, &town).await?;
    let told = {
        let story = Story { parts: &parts, folder: &folder, town: &town, teller: &mut teller };
        tokio::select! {
            told = live(story, args.once) => told,
            () = signals.requested() => Ok(()),
            () = parts.ended_by_itself() => {
                Err(anyhow::anyhow!("a part has ended by itself; `bugle up --log info` shows why").into())
            }
        }
    };
    if io::stderr().is_terminal() {
        eprintln!("\nEnding in good order; the next `bugle up` goes on from here.");
    }
    let stopped = parts.stop().await;
    told.and(stopped)?;
    Ok(Ended::Well)
}

/// Tells the story, and with `once` ends then.
async fn live(mut story: Story<'_>, once: bool) -> Result<(), Failure> {
    story.parts.linked(story.town).await?;
    story.begin().await?;
    let mut residents = None;
    if !story.town.peripherals.is_empty() {
        story.allocations().await?;
        let moved_in = residents.insert(Residents::start(story.town, story.parts, story.folder.password())?);
        story.tell(moved_in).await?;
    }
    if !once {
        story.teller.close(&story.what_next())?;
        std::future::pending::<()>().await;
    }
    Ok(())
}
