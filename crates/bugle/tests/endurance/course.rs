//! One run: how long, after which seed, and its steps in order.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fmt, fs, process};

use super::audit::{self, Evidence};
use super::fleet::{Fleet, GATEWAYS};
use super::ledger::Ledger;
use super::proxy::Proxy;
use super::system::small_disk::SmallDisk;
use super::system::{System, app, until, until_within};
use super::trouble::{Timeline, Trouble};
use super::witness::Witness;
use super::work::Submitter;

/// How long trouble lasts unless somebody asks for more.
const SHORT: Duration = Duration::from_secs(12);
/// The first gateway's disk, in MiB: its store fits, with the write-ahead log, and not much more.
const DISK_MEBIBYTES: u32 = 24;
/// How long peripherals may take to come back: an exchange of CoAP that nobody answers is not given up before.
const REST_PATIENCE: Duration = Duration::from_secs(110);
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// What a run is asked for by the environment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Course {
    seed: u64,
    trouble: Duration,
}

impl Course {
    /// `BUGLE_ENDURANCE_SECONDS` and `BUGLE_ENDURANCE_SEED`; a short run after a new seed without them.
    pub(crate) fn asked_for() -> Self {
        let number = |name| env::var(name).ok().map(|text| text.parse().expect("a number"));
        Self {
            seed: number("BUGLE_ENDURANCE_SEED").unwrap_or_else(|| fastrand::u64(..)),
            trouble: number("BUGLE_ENDURANCE_SECONDS").map_or(SHORT, Duration::from_secs),
        }
    }

    fn is_short(&self) -> bool {
        self.trouble <= 3 * SHORT
    }

    /// How long each group request may live. Nobody knows before it is over whether a sleeper will come.
    fn deadline(&self) -> Duration {
        if self.is_short() { Duration::from_secs(15) } else { Duration::from_secs(90) }
    }

    pub(crate) async fn run(&self) -> Ledger {
        let fleet = Fleet::new(if self.is_short() { 2 } else { 5 });
        let program = Program::hold();
        let mut system = System::start_from(&program.0, &[]).await;
        let disk = SmallDisk::mount(system.folder.path().join("north-data"), DISK_MEBIBYTES);
        let mut links = Vec::new();
        for gateway in GATEWAYS {
            let proxy = Proxy::start(system.link).await;
            system.link_through(proxy.address()).await;
            system.add_gateway(gateway, &fleet.allocations(gateway)).await;
            system.linked().await;
            links.push(proxy);
        }
        let witness = Witness::start(&fleet, &system, self.seed);
        let attendance = Attendance::wait_for(&system, &fleet).await;
        assert_eq!(attendance.missing, [""; 0], "everybody registers when nothing is wrong");

        let began = Instant::now();
        let submitter = Submitter::start(system.client.clone(), self.seed, self.deadline());
        witness.set_reporting(true);
        let timeline = Timeline::draw(self.seed, self.trouble, self.is_short());
        let mut trouble = Trouble::new(&mut system, links, disk);
        trouble.run(&timeline).await;
        witness.set_reporting(false);
        let accepted = submitter.stop().await;
        let (toll, links, disk) = trouble.end();

        self.come_to_rest(&system, &accepted).await;
        let attendance = Attendance::wait_for(&system, &fleet).await;
        // Nobody is promised anything any more, and all that was is told: then the books can be read.
        let seen = witness.stop();
        self.logs_are_empty(&system).await;
        let books = audit::Books::read(&system, &accepted).await;
        let evidence = Evidence { fleet: &fleet, accepted: &accepted, seen: &seen, toll: &toll, books: &books };
        let mut ledger = audit::compare(&evidence);
        audit::attendance(&evidence, &attendance.missing, &mut ledger);
        system.platform.kill();
        system.application.kill();
        system.gateways.values_mut().for_each(|gateway| gateway.part.kill());
        tokio::task::block_in_place(|| audit::stores(&system, &mut ledger));
        ledger.tell("seed", self.seed);
        ledger.tell("seconds of trouble", self.trouble.as_secs());
        ledger.tell("seconds until the last was registered again", attendance.after.as_secs());
        ledger.tell("seconds in all", began.elapsed().as_secs());
        drop((links, disk));
        ledger
    }

    /// Every request has ended.
    async fn come_to_rest(&self, system: &System, accepted: &[super::work::Accepted]) {
        let patience = self.deadline() + REST_PATIENCE;
        until_within(patience, "the gateways to be linked", async || {
            for gateway in system.gateways.values() {
                let url = format!("http://127.0.0.1:{}/readyz", gateway.http);
                reqwest::get(url).await.ok().filter(|answer| answer.status().is_success())?;
            }
            Some(())
        })
        .await;
        for request in accepted {
            until_within(patience, &format!("request {} to end", request.id), async || {
                let known = system.client.request(&app(), request.id).await.ok()?;
                known.completed_at.map(drop)
            })
            .await;
        }
    }

    async fn logs_are_empty(&self, system: &System) {
        for (id, gateway) in &system.gateways {
            until(&format!("the up log of {id} to be empty"), async || {
                let url = format!("http://127.0.0.1:{}/metrics", gateway.http);
                let metrics = reqwest::get(url).await.ok()?.text().await.ok()?;
                metrics.lines().any(|line| line == "bugle_gateway_up_log_entries 0").then_some(())
            })
            .await;
        }
    }
}

/// The program as it is now, whatever is built while the run goes on.
struct Program(PathBuf);

impl Program {
    fn hold() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bugle-{}", process::id()));
        fs::hard_link(env!("CARGO_BIN_EXE_bugle"), &path).expect("the program is there");
        Self(path)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // What is left behind is in nobody's way.
        let _ = fs::remove_file(&self.0);
    }
}

/// Who is registered.
struct Attendance {
    /// Who is not, even after a while.
    missing: Vec<String>,
    /// How long it took.
    after: Duration,
}

impl Attendance {
    /// Until all are there, or somebody could have been for long.
    async fn wait_for(system: &System, fleet: &Fleet) -> Self {
        let began = Instant::now();
        loop {
            let known = system.configuration("all").await;
            let ids = fleet.members.iter().map(|member| member.id.to_string());
            let missing: Vec<String> = ids.filter(|id| !known.contains_key(id)).collect();
            let after = began.elapsed();
            if missing.is_empty() || after > REST_PATIENCE {
                return Self { missing, after };
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
}

impl fmt::Display for Course {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BUGLE_ENDURANCE_SEED={} BUGLE_ENDURANCE_SECONDS={}", self.seed, self.trouble.as_secs())
    }
}
