//! Runs seeds: `bugle-sim --seeds 300`, or one with its trace: `bugle-sim --seed 7`.

use std::process::ExitCode;

use bugle_sim::{Keep, Report, run};

const USAGE: &str = "usage: bugle-sim --seeds N [--from SEED] | --find N | --seed SEED

  --seeds N     runs N seeds, from 0 or from SEED on, and tells which of them break a promise
  --find N      runs seeds until one breaks a promise, N at most
  --seed SEED   runs one seed and prints everything that happens in it";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let numbers: Result<Vec<u64>, _> = arguments.iter().skip(1).step_by(2).map(|number| number.parse()).collect();
    let names: Vec<&str> = arguments.iter().step_by(2).copied().collect();
    match (&names[..], numbers.as_deref()) {
        (["--seeds"], Ok([count])) => run_seeds(0, *count),
        (["--seeds", "--from"], Ok([count, from])) => run_seeds(*from, *count),
        (["--find"], Ok([count])) => find(*count),
        (["--seed"], Ok([seed])) => run_one(*seed),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn run_seeds(from: u64, count: u64) -> ExitCode {
    let (mut broken, mut steps, mut took) = (0, 0, std::time::Duration::ZERO);
    for seed in from..from + count {
        let report = run(seed, Keep::Digest);
        steps += report.steps;
        took += report.took;
        if let Some(violation) = &report.violation {
            broken += 1;
            println!("seed {seed}: {violation}");
        }
    }
    println!("{count} seeds from {from} on, {steps} steps, {} hours: {broken} break a promise", took.as_secs() / 3_600);
    if broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn find(count: u64) -> ExitCode {
    let broken = (0..count).find_map(|seed| Some((seed, run(seed, Keep::Digest).violation?)));
    match broken {
        Some((seed, violation)) => {
            println!("seed {seed}: {violation}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn run_one(seed: u64) -> ExitCode {
    let Report { violation, digest, steps, took, lines, .. } = run(seed, Keep::Lines);
    for line in lines {
        println!("{line}");
    }
    println!("seed {seed}: {steps} steps, {took:?}, digest {digest:016x}");
    match violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!("{violation}");
            ExitCode::FAILURE
        }
    }
}
