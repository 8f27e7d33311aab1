//! Files that were there before: those of earlier layouts, and those that the disk has damaged.

mod damage;
mod file;
mod migrations;
