//! Every bound, in one place. What comes from a peer and exceeds one is refused, not cut.

use std::time::Duration;

/// How long a registration lasts that names no lifetime (LwM2M 1.1 core, 6.2.1).
pub const LIFETIME_DEFAULT: Duration = Duration::from_secs(86_400);
/// The longest lifetime; what asks for longer, or for ever with 0, gets this: some 136 years.
pub const LIFETIME_MAX: Duration = Duration::from_secs(u32::MAX as u64);
/// The largest payload that is decoded.
pub const PAYLOAD_BYTES_MAX: usize = bugle_core::limits::PERIPHERAL_PAYLOAD_BYTES_MAX;
/// Links in one payload.
pub const LINKS_MAX: usize = 2_048;
/// Attributes of one link.
pub const LINK_ATTRIBUTES_MAX: usize = 32;
/// Object instances of one registration.
pub const INSTANCES_MAX: usize = 1_024;
/// The longest alternate path, in bytes.
pub const ROOT_BYTES_MAX: usize = 64;
/// The longest SMS number, in bytes.
pub const SMS_BYTES_MAX: usize = 32;
/// Values in one payload.
pub const RECORDS_MAX: usize = 4_096;
/// How deep maps, arrays and tags of CBOR may lie in each other; LwM2M's own go to 6.
pub const CBOR_NESTING_MAX: usize = 8;
/// Paths in one composite operation.
pub const COMPOSITE_PATHS_MAX: usize = 256;
/// Observations that a simulated device keeps.
pub const OBSERVATIONS_MAX: usize = 64;
/// Object instances that a server may create in a simulated device.
pub const CREATED_INSTANCES_MAX: usize = 64;
/// Bytes that a server may write into one resource of a simulated device.
pub const WRITTEN_BYTES_MAX: usize = 256 * 1024;
