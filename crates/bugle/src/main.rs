//! Bugle.

fn main() {}
