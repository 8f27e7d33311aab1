//! Every bound, in one place. Each has a test that reaches it, named beside it where it is enforced.

use std::time::Duration;

/// The shortest time that a group request may live.
pub const REQUEST_DEADLINE_MIN: Duration = Duration::from_secs(1);
/// The longest time that a group request may live: sleepers that wake once a month are served.
pub const REQUEST_DEADLINE_MAX: Duration = Duration::from_secs(40 * 86_400);
/// The largest payload that an operation carries.
pub const OPERATION_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// The largest answer or report that is taken from a peripheral.
pub const PERIPHERAL_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Allocations at one gateway.
pub const ALLOCATIONS_MAX: usize = 2_000_000;
/// Groups that one peripheral may be allocated to.
pub const GROUPS_PER_PERIPHERAL_MAX: usize = 32;
/// Labels of one allocation.
pub const LABELS_MAX: usize = 32;
/// Paths of one peripheral that are observed; one more is refused, and told.
pub const OBSERVED_PER_PERIPHERAL_MAX: usize = 64;
/// Bytes of text that a waker has.
pub const WAKER_BYTES_MAX: usize = 4 * 1024;
/// Certificates of one chain.
pub const CERTIFICATES_PER_CHAIN_MAX: usize = 6;
/// Bytes of all certificates of one chain.
pub const CERTIFICATE_CHAIN_BYTES_MAX: usize = 16 * 1024;
/// Requirements of one label selector.
pub const REQUIREMENTS_MAX: usize = 16;
/// The largest number in a pacing.
pub const PACING_MAX: u32 = 100_000;
/// Requests that wait for one peripheral; one more ends `refused` for it.
pub const WAITING_PER_PERIPHERAL_MAX: usize = 256;
/// Requests that a gateway holds at once; the down log waits at the platform beyond that.
pub const REQUESTS_PER_GATEWAY_MAX: usize = 10_000;
/// Entries of the up log that the platform has not acknowledged. From here on only entries that
/// settle something already begun are added; whoever asks for anything new gets a retry hint.
pub const UP_LOG_ENTRIES_MAX: usize = 1_000_000;
/// Reports in the up log; beyond that the oldest go, counted.
pub const UP_LOG_REPORTS_MAX: usize = 100_000;
/// Receipts in one up entry and in one event.
pub const RECEIPTS_PER_ENTRY_MAX: usize = 1_000;
/// How long a gateway gathers receipts that nobody waits for, so that many make one entry and one commit.
pub const RECEIPTS_GATHERED_FOR: Duration = Duration::from_millis(20);
/// Schedules of one application, those that are over included as long as they are kept.
pub const SCHEDULES_PER_APPLICATION_MAX: u64 = 1_000;
/// Groups that may lie in each other, the outermost and the innermost included.
pub const GROUP_DEPTH_MAX: usize = 8;
/// How often one application may nest a group in another. It bounds the groups that a request names.
pub const NESTINGS_PER_APPLICATION_MAX: usize = 1_000;
/// Members that are named when it is foreseen that they miss a group request; all are counted.
pub const LATE_MEMBERS_SHOWN_MAX: usize = 100;
/// How long a gateway gathers where members of its requests are seen before it tells.
pub const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// Bytes of answers in one up entry and in one event, but for the answer that reaches it.
pub const ANSWER_BYTES_PER_ENTRY_MAX: usize = 1024 * 1024;
/// Entries of one gateway's down log that it has not acknowledged. From here on whoever asks for one
/// more gets a retry hint.
pub const DOWN_LOG_ENTRIES_MAX: u64 = 1_000_000;
/// Peripherals at one gateway that wait for applications to decide about them; one more gets a retry hint. Of
/// askings that nobody waits for any more as many are kept, the newest.
pub const REGISTERING_MAX: usize = 50_000;
/// How many of those may be of one application, so that one that does not answer leaves room for the others.
pub const REGISTERING_PER_APPLICATION_MAX: usize = REGISTERING_MAX / 2;
/// How long an asking is kept that nobody waits for any more, for the application's decision to come.
pub const ASKING_KEPT: Duration = Duration::from_secs(3_600);
/// How long a stranger that was reported is not reported again.
pub const STRANGER_REPORT_INTERVAL: Duration = Duration::from_secs(600);
/// Strangers that a gateway remembers having reported, and that a platform keeps on its waiting list.
pub const STRANGERS_MAX: usize = 10_000;
/// Events kept for one application; beyond that the oldest go, and a cursor before them must start over.
pub const EVENTS_PER_APPLICATION_MAX: u64 = 5_000_000;
/// How long an idempotency key is kept.
pub const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(86_400);
/// The longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;
/// How long a group request is kept after it ended.
pub const REQUEST_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// How long past a deadline the platform waits for receipts that are on their way.
pub const DEADLINE_GRACE: Duration = Duration::from_secs(2);
/// How often a delivery is put to a peripheral that does not answer.
pub const DELIVERY_TRIES_MAX: u8 = 3;
/// Peripherals on one application's list of those that wait for a person's approval; one more is refused.
pub const APPROVALS_WAITING_MAX: usize = 10_000;
