//! Log entries as bytes: as they travel, and as a store keeps them.

use bugle_core::{DownEntry, MemberOutcome, Time, UpEntry};
use prost::Message;

use crate::{WireError, convert, proto, receipts};

/// An entry of the up log as bytes. Equal entries have equal bytes.
#[must_use]
pub fn encode_up(entry: &UpEntry) -> Vec<u8> {
    match entry {
        UpEntry::Receipts { request, receipts } => receipts::write_entry(*request, receipts),
        entry => proto::UpEntry::from(entry).encode_to_vec(),
    }
}

/// The entry of the up log that these bytes hold.
///
/// # Errors
/// If they hold none that this version knows.
pub fn decode_up(bytes: &[u8]) -> Result<UpEntry, WireError> {
    if let Some(entry) = receipts::read_entry(bytes) {
        return Ok(entry);
    }
    let malformed = |source| WireError::Malformed { message: "up entry", source };
    proto::UpEntry::decode(bytes).map_err(malformed)?.try_into()
}

/// An entry of the down log as bytes, with its deadline, if it has one, as the time that remains at
/// `now`.
///
/// A store gives [`Time::ZERO`] here and in [`decode_down`]: from the epoch on, what remains is the
/// deadline itself.
#[must_use]
pub fn encode_down(entry: &DownEntry, now: Time) -> Vec<u8> {
    convert::down_entry(entry, now).encode_to_vec()
}

/// The entry of the down log that these bytes hold, with what remained until its deadline counted
/// from `now` on.
///
/// # Errors
/// If they hold none that this version knows.
pub fn decode_down(bytes: &[u8], now: Time) -> Result<DownEntry, WireError> {
    let malformed = |source| WireError::Malformed { message: "down entry", source };
    convert::try_down_entry(proto::DownEntry::decode(bytes).map_err(malformed)?, now)
}

/// Receipts as bytes, as an entry of the up log has them, without the request that they are of.
#[must_use]
pub fn encode_receipts(receipts: &[MemberOutcome]) -> Vec<u8> {
    let mut bytes = Vec::new();
    receipts::write(&mut bytes, receipts);
    bytes
}

/// The receipts that these bytes hold.
///
/// # Errors
/// If they hold none that this version knows.
pub fn decode_receipts(bytes: &[u8]) -> Result<Vec<MemberOutcome>, WireError> {
    if let Some(receipts) = receipts::read(bytes) {
        return Ok(receipts);
    }
    let malformed = |source| WireError::Malformed { message: "receipts", source };
    let receipts = proto::Receipts::decode(bytes).map_err(malformed)?.receipts;
    receipts.into_iter().map(TryInto::try_into).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bugle_core::{IdError, RequestId, StopCause};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::strategies;

    fn up(entry: proto::up_entry::Entry) -> Result<UpEntry, WireError> {
        decode_up(&proto::UpEntry { entry: Some(entry) }.encode_to_vec())
    }

    #[test]
    fn an_entry_of_a_later_version_is_told_from_a_broken_one() {
        // Field 100, two bytes long: what a later version may send.
        assert_eq!(decode_up(&[0xa2, 0x06, 0x02, 1, 2]), Err(WireError::Missing { field: "up entry" }));
        assert!(matches!(decode_up(&[0xff]), Err(WireError::Malformed { message: "up entry", .. })));
        assert!(matches!(decode_down(&[0xff], Time::ZERO), Err(WireError::Malformed { message: "down entry", .. })));
    }

    #[test]
    fn an_identifier_is_checked() {
        let removed = proto::Removed { peripheral: "a/b".into(), application: "metering".into() };
        let refused = up(proto::up_entry::Entry::Removed(removed));
        assert!(matches!(refused, Err(WireError::Id(IdError::Character { character: '/', .. }))));
    }

    #[test]
    fn a_word_that_is_not_known_is_refused() {
        let stranger = proto::Stranger { peripheral: "m1".into(), protocol: 77, ..Default::default() };
        let refused = up(proto::up_entry::Entry::Stranger(stranger));
        assert_eq!(refused, Err(WireError::Unknown { field: "protocol", value: 77 }));
    }

    #[test]
    fn a_word_that_was_left_out_is_refused() {
        let stranger = proto::Stranger { peripheral: "m1".into(), ..Default::default() };
        let refused = up(proto::up_entry::Entry::Stranger(stranger));
        assert_eq!(refused, Err(WireError::Unknown { field: "protocol", value: 0 }));
    }

    #[test]
    fn a_notice_of_an_earlier_gateway_leaves_open_what_wakes_the_peripheral() {
        let allocated = proto::Allocated {
            peripheral: "m1".into(),
            application: "metering".into(),
            initial_state: proto::InitialState::Allocated.into(),
            origin: proto::Origin::File.into(),
            ..Default::default()
        };
        let Ok(UpEntry::Allocated(notice)) = up(proto::up_entry::Entry::Allocated(allocated.clone())) else {
            panic!("a notice");
        };
        assert_eq!(notice.wakes, None);
        let refused = up(proto::up_entry::Entry::Allocated(proto::Allocated { wakes: 77, ..allocated }));
        assert_eq!(refused, Err(WireError::Unknown { field: "wakes", value: 77 }));
    }

    #[test]
    fn a_request_id_of_more_than_63_bits_is_refused() {
        let fixed = proto::MembersFixed { request: 1 << 63, ..Default::default() };
        let refused = up(proto::up_entry::Entry::MembersFixed(fixed));
        assert_eq!(refused, Err(WireError::OutOfRange { field: "request", value: 1 << 63 }));
    }

    #[test]
    fn a_deadline_keeps_its_distance_when_the_clocks_differ() {
        let entry = strategies::sample_request(Time::from_millis(10_000));
        let bytes = encode_down(&entry, Time::from_millis(4_000));
        let Ok(DownEntry::Request(request)) = decode_down(&bytes, Time::from_millis(900_000)) else {
            panic!("a request");
        };
        assert_eq!(request.deadline, Time::from_millis(906_000));
    }

    #[test]
    fn a_deadline_that_has_passed_arrives_as_due_at_once() {
        let entry = strategies::sample_request(Time::from_millis(10_000));
        let bytes = encode_down(&entry, Time::from_millis(10_000) + Duration::from_secs(5));
        let Ok(DownEntry::Request(request)) = decode_down(&bytes, Time::from_millis(7)) else {
            panic!("a request");
        };
        assert_eq!(request.deadline, Time::from_millis(7));
    }

    #[test]
    fn a_cancellation_is_small() {
        let request = RequestId::from_number(1 << 62).expect("63 bits");
        let cause = StopCause::Cancelled;
        assert_eq!(encode_down(&DownEntry::Cancel { request, cause }, Time::ZERO).len(), 13);
    }

    proptest! {
        #[test]
        fn every_up_entry_reads_back_as_written(entry in strategies::up_entry()) {
            prop_assert_eq!(decode_up(&encode_up(&entry)), Ok(entry));
        }

        #[test]
        fn every_down_entry_reads_back_as_written(entry in strategies::down_entry()) {
            prop_assert_eq!(decode_down(&encode_down(&entry, Time::ZERO), Time::ZERO), Ok(entry));
        }

        #[test]
        fn receipts_read_back_as_written(receipts in vec(strategies::member_outcome(), 0..5)) {
            prop_assert_eq!(decode_receipts(&encode_receipts(&receipts)), Ok(receipts));
        }

        #[test]
        fn arbitrary_bytes_are_refused_or_read_but_never_a_panic(bytes: Vec<u8>) {
            if let Ok(entry) = decode_up(&bytes) {
                prop_assert_eq!(decode_up(&encode_up(&entry)), Ok(entry));
            }
            if let Ok(entry) = decode_down(&bytes, Time::ZERO) {
                prop_assert_eq!(decode_down(&encode_down(&entry, Time::ZERO), Time::ZERO), Ok(entry));
            }
            if let Ok(receipts) = decode_receipts(&bytes) {
                prop_assert_eq!(decode_receipts(&encode_receipts(&receipts)), Ok(receipts));
            }
        }
    }
}
