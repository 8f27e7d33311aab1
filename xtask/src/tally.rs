//! How many tests passed and failed, read from what the test runners print.

use std::ops::AddAssign;

/// Tests that passed and tests that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    /// How many passed.
    pub(crate) passed: u64,
    /// How many failed, were ended for taking too long, or could not be started.
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl Tally {
    /// A step that passed and has no tests to count.
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0 };
    /// A step that failed and has no tests to count.
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1 };

    /// The counts that `line` closes a test run with, if it does.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let line = line.trim();
        let counts = if line.starts_with("Summary [") {
            let (_, counts) = line.split_once(" run: ")?;
            counts
        } else {
            let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
            counts
        };
        let mut tally = Self::default();
        for part in counts.split([',', ';']) {
            let mut words = part.split_whitespace();
            let (Some(count), Some(word)) = (words.next().and_then(|count| count.parse::<u64>().ok()), words.next())
            else {
                continue;
            };
            match word {
                "passed" => tally.passed += count,
                "failed" | "timed" | "exec" => tally.failed += count,
                _ => {}
            }
        }
        Some(tally)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_nextest_is_counted() {
        let line = "     Summary [   2.914s] 45 tests run: 41 passed (1 slow, 2 leaky), 2 failed, 1 timed out, 1 exec failed, 3 skipped";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 41, failed: 4 }));
        let line = "     Summary [   0.003s] 1 test run: 1 passed, 0 skipped";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 1, failed: 0 }));
        let line = "     Summary [   0.003s] 2/9 tests run: 1 passed, 1 failed, 0 skipped";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 1, failed: 1 }));
    }

    #[test]
    fn the_result_of_libtest_is_counted() {
        let line = "test result: FAILED. 7 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Tally::of_line(line), Some(Tally { passed: 7, failed: 2 }));
    }

    #[test]
    fn other_lines_close_nothing() {
        assert_eq!(Tally::of_line("        PASS [   0.005s] bugle-core id::tests::a"), None);
        assert_eq!(Tally::of_line("2 passed"), None);
    }
}
