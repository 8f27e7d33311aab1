//! Every bound of this crate that is not [`Config`](crate::Config)'s to choose.

/// The longest name of a report.
///
/// Reached by `topic::tests::a_report_name_is_neither_empty_nor_endless`.
pub const REPORT_NAME_BYTES_MAX: usize = 128;

/// The smallest Maximum Packet Size that a peripheral may ask for: every acknowledgement and the
/// CONNACK fit. One that takes less is refused.
///
/// Reached by `connecting::a_client_that_takes_next_to_nothing_is_refused`.
pub const CLIENT_PACKET_BYTES_MIN: u32 = 64;

/// Publications to one peripheral that await their PUBACK.
///
/// Reached by `delivering::no_more_is_in_flight_than_the_client_takes`.
pub const DELIVERIES_IN_FLIGHT_MAX: usize = 16;

/// SUBSCRIBE and UNSUBSCRIBE packets that await the word that they are recorded.
///
/// Reached by `subscribing::a_flood_of_subscriptions_closes_the_connection`.
pub const SUBSCRIPTIONS_IN_FLIGHT_MAX: usize = 8;

/// Bytes kept while a connection is paused. Beyond that whoever feeds it did not heed
/// [`Connection::is_paused`](crate::Connection::is_paused).
///
/// Reached by `publishing::whoever_ignores_the_pause_is_cut_off`.
pub const PAUSED_BYTES_MAX: usize = 256 * 1024;
