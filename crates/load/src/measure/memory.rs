//! How much memory a process has.

use std::{fs, io};

/// Bytes of memory that process `process` holds now.
///
/// # Errors
/// If there is no such process, or the system does not say.
pub fn resident_bytes(process: u32) -> io::Result<u64> {
    status(process, "VmRSS:")
}

/// Bytes of memory that process `process` has held at most since it began.
///
/// # Errors
/// As [`resident_bytes`].
pub(super) fn peak_bytes(process: u32) -> io::Result<u64> {
    status(process, "VmHWM:")
}

fn status(process: u32, field: &str) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kib = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("its status has no {field}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_shows() {
        let process = std::process::id();
        let before = resident_bytes(process).expect("we are a process");
        let block = vec![1_u8; 32 << 20];
        let after = resident_bytes(process).expect("we are a process");
        let peak = peak_bytes(process).expect("we are a process");
        let grown = block.len() as u64 / 2;
        assert!(after >= before + grown && peak >= before + grown, "{before} {after} {peak}");
    }
}
