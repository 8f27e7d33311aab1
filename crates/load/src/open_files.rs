//! How many files, and so connections, a process may have open.

use rlimit::Resource;
use thiserror::Error;

/// Too few files may be open. The fault is of the system's configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{needed} files must be open at once, but the system allows {allowed}: raise it with `ulimit -n {needed}`")]
pub struct OpenFilesError {
    /// How many are needed.
    pub needed: u64,
    /// How many are allowed.
    pub allowed: u64,
}

/// Sees to it that this process, and those that it starts from now on, may have `needed` files open.
///
/// # Errors
/// If the system does not allow so many.
pub fn allow(needed: usize) -> Result<(), OpenFilesError> {
    let needed = needed as u64;
    let (soft, hard) = Resource::NOFILE.get().unwrap_or((0, 0));
    if soft >= needed {
        return Ok(());
    }
    // Only a privileged process may raise the hard limit.
    if Resource::NOFILE.set(needed, hard.max(needed)).is_ok() {
        return Ok(());
    }
    Err(OpenFilesError { needed, allowed: hard })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_that_is_high_enough_is_left_alone() {
        let before = Resource::NOFILE.get().expect("there is a limit");
        assert_eq!(allow(16), Ok(()));
        assert_eq!(Resource::NOFILE.get().expect("there is a limit"), before);
    }

    #[test]
    fn more_files_than_the_system_can_ever_open_are_refused() {
        assert!(matches!(allow(usize::MAX / 4), Err(OpenFilesError { .. })));
    }
}
