//! What people want of the system while it runs.

use std::time::Duration;

use bugle_core::platform::{Direct, DirectGroup, Nest, Submitted, Unnest};
use bugle_core::{Allocation, RequestId};

/// Something that somebody wants.
#[derive(Debug, Clone)]
pub(crate) enum Work {
    /// A group request, which may be regretted.
    Submit { application: usize, submitted: Submitted, regret: Option<Regret> },
    /// A group request that is to come after so long.
    Schedule { application: usize, not_before: Duration, submitted: Box<Submitted> },
    /// The end of a group request of this application.
    Cancel { application: usize, choice: Choice },
    /// Something is to be done with one peripheral.
    Direct { application: usize, direct: Direct },
    /// Something is to be done with all members of a group.
    DirectGroup { application: usize, direct: DirectGroup },
    /// A group is to lie in another,
    Nest { application: usize, nest: Nest },
    /// or not any more.
    Unnest { application: usize, unnest: Unnest },
    /// A gateway's own file is edited: this allocation is put in or, if it is there, taken out.
    Edit { gateway: usize, allocation: Allocation },
}

/// Which group request is to end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice {
    /// One of the last that were accepted.
    OfLast(u64),
    This(RequestId),
}

/// Somebody thinks better of a group request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Regret {
    pub(crate) since: Since,
    pub(crate) after: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    /// It was accepted, and waits for many members yet.
    Accepted,
    /// It left for a member, and is with that one, likely.
    Sent,
}

/// How what group requests carry begins.
const WORD: &[u8] = b"word-";
/// How many digits follow.
const DIGITS: usize = 6;

/// What the request of this number carries: recognised wherever it is seen among other bytes.
pub(crate) fn word(number: u64) -> String {
    format!("word-{number:06}")
}

/// The words among bytes that are on their way.
pub(crate) fn words_in(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes
        .windows(WORD.len() + DIGITS)
        .filter(|window| window.starts_with(WORD) && window[WORD.len()..].iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_among_other_bytes() {
        let bytes = format!("\0\u{1}{}, {}!word-12", word(12), word(123_456));
        let found: Vec<&[u8]> = words_in(bytes.as_bytes()).collect();
        assert_eq!(found, [b"word-000012", b"word-123456"]);
    }
}
