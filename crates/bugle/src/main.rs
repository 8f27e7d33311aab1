//! Bugle: one call wakes the whole group.
//!
//! One binary for everything: it runs each part (`bugle gateway`, `bugle platform`,
//! `bugle application`) or all of them (`bugle up`), and is the command line of the platform's API.
//!
//! `cli.rs` is the command tree; `command/` has what each command does, by noun; `up/` runs everything
//! in one process and tells the story of it; `load/` is what `bugle load` measures at.

mod application_api;
mod backup;
mod bars;
mod cli;
mod command;
mod connection;
mod failure;
mod following;
mod foresight;
mod load;
mod output;
mod part;
mod place;
mod up;
mod when;

use std::process::ExitCode;

use clap::Parser;
use mimalloc::MiMalloc;

use crate::cli::Cli;

/// A gateway makes and drops many small things for each of its many peripherals: this one takes half the
/// time for it that the system's takes, and no more memory.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Every connection is an open file, and many systems let a process have a thousand unless it asks for more.
fn allow_open_files() {
    // As many as this process may have without being privileged. Where the system says no, it stays as it is.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    allow_open_files();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the system does not let the process start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(command::run(cli)) {
        Ok(ended) => ended.into(),
        Err(failure) => {
            eprintln!("error: {failure}");
            failure.exit_code()
        }
    }
}
