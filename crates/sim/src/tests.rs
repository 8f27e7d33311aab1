//! Whole runs.

use crate::plan::Plan;
use crate::{Keep, run, run_plan};

#[test]
fn one_peripheral_behind_one_gateway_lives_without_faults() {
    for seed in 0..20 {
        let report = run_plan(seed, Plan::thin(seed), Keep::Lines);
        assert_eq!(report.violation, None, "seed {seed}\n{}", report.lines.join("\n"));
    }
}

#[test]
fn a_seed_runs_the_same_each_time() {
    for seed in 0..10 {
        let (first, second) = (run(seed, Keep::Lines), run(seed, Keep::Lines));
        let differ = first.lines.iter().zip(&second.lines).find(|(first, second)| first != second);
        assert_eq!(differ, None, "seed {seed}");
        assert_eq!(first.digest, second.digest, "seed {seed}");
    }
}

#[test]
fn a_few_seeds_keep_every_promise() {
    for seed in 0..30 {
        let report = run(seed, Keep::Digest);
        assert_eq!(report.violation, None, "seed {seed}");
    }
}
