//! The whole of Bugle in one seeded world: gateways, platform and applications as the pure machines
//! that they are, peripherals, links, disks and clocks, in virtual time.
//!
//! A seed draws everything: size, options, faults and what is wanted of the system. For a while things
//! go wrong; then everything is mended, and everything must come to rest. All along checkers watch over
//! what is promised, each over one promise, and none knows how it is kept. A run is the same each time
//! that its seed is run.
//!
//! Peripherals speak real bytes to the gateways' edge, links carry real frames; the rules of the
//! platform and the machine of the application are those that the services drive. What is played is
//! what the services are around them: sockets, stores, the HTTP API, and the shells' own loops.
//!
//! ```
//! use bugle_sim::{Keep, run};
//!
//! let report = run(1, Keep::Digest);
//! assert_eq!(report.violation, None, "seed {}", report.seed);
//! assert_eq!(report.digest, run(1, Keep::Digest).digest);
//! ```

mod application;
mod call;
mod checkers;
mod clock;
mod device;
mod disk;
mod fact;
mod fault;
mod gateway;
mod network;
mod peripheral;
mod plan;
mod platform;
mod random;
mod schedule;
mod state;
#[cfg(test)]
mod tests;
mod trace;
mod waiting_line;
mod work;
mod world;

use std::time::Duration;

pub use checkers::Violation;
use plan::Plan;
pub use trace::Keep;
use world::World;

/// How a run came out.
#[derive(Debug)]
pub struct Report {
    /// From which all of it follows.
    pub seed: u64,
    /// The first promise that was broken; none if all were kept.
    pub violation: Option<Violation>,
    /// Stands for everything that happened: two runs that differ in anything differ in this.
    pub digest: u64,
    /// How many steps it took.
    pub steps: u64,
    /// How much time has passed in it.
    pub took: Duration,
    /// What happened, a line each, if the lines were to be kept.
    pub lines: Vec<String>,
}

/// Runs the world of a seed to its end.
#[must_use]
pub fn run(seed: u64, keep: Keep) -> Report {
    run_plan(seed, Plan::draw(seed), keep)
}

fn run_plan(seed: u64, plan: Plan, keep: Keep) -> Report {
    let safety = plan.safety;
    let outcome = World::new(seed, plan, keep).run(safety);
    let world::Outcome { violation, digest, steps, took, lines } = outcome;
    Report { seed, violation, digest, steps, took, lines }
}
