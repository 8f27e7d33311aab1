//! What happened, line by line, and a number that stands for all of it.

use std::fmt;

use bugle_core::Time;

/// Whether the lines of a run are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// They are, to be read.
    Lines,
    /// Only the number that stands for them.
    Digest,
}

/// The trace of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    start: Time,
    digest: u64,
    lines: Option<Vec<String>>,
    line: String,
}

impl Trace {
    pub(crate) fn new(start: Time, keep: Keep) -> Self {
        let lines = (keep == Keep::Lines).then(Vec::new);
        Self { start, digest: 0xCBF2_9CE4_8422_2325, lines, line: String::new() }
    }

    /// Notes that something happened to somebody.
    pub(crate) fn note(&mut self, now: Time, who: &dyn fmt::Display, what: fmt::Arguments<'_>) {
        let since = (now - self.start).as_millis();
        self.line.clear();
        let written =
            fmt::write(&mut self.line, format_args!("{:>8}.{:03} {who:<14} {what}", since / 1_000, since % 1_000));
        written.expect("a string takes all that is written");
        // FNV-1a.
        for byte in self.line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.line.clone());
        }
    }

    /// The number that stands for all lines: two runs that differ in one differ in it.
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        self.lines.unwrap_or_default()
    }
}
