//! The binary as a person or a script meets it: its help, its exit statuses, and `bugle up`.

mod allocating;
mod backing_up;
mod examples;
mod help;
mod operating;
mod program;
mod refusals;
mod sending;
#[path = "../system/mod.rs"]
#[allow(dead_code, reason = "the other binary needs the rest")]
mod system;
mod up;
