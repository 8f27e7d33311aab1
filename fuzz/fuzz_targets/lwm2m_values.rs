//! Every content format: whatever is read is written so that it reads the same.
//!
//! The first byte chooses the format and the second what was asked for.

#![no_main]

use bugle_lwm2m::codec::{self, Record};
use bugle_lwm2m::operation::to_content;
use bugle_lwm2m::{ContentFormat, Path};
use libfuzzer_sys::fuzz_target;

const FORMATS: [ContentFormat; 8] = [
    ContentFormat::TEXT,
    ContentFormat::OPAQUE,
    ContentFormat::CBOR,
    ContentFormat::SENML_JSON,
    ContentFormat::SENML_CBOR,
    ContentFormat::TLV,
    ContentFormat::JSON,
    ContentFormat::LWM2M_CBOR,
];

const BASES: [Path; 8] = [
    Path::ROOT,
    Path::of_object(3),
    Path::of_instance(3, 0),
    Path::of_resource(3, 0, 9),
    Path::of_resource(3, 0, 6),
    Path::of_resource_instance(3, 0, 6, 1),
    Path::of_instance(3303, 0),
    Path::of_object(26_241),
];

fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by_key(|record| record.path);
    records
}

fuzz_target!(|input: &[u8]| {
    let [format, base, payload @ ..] = input else { return };
    let (format, base) = (FORMATS[usize::from(*format) % 8], BASES[usize::from(*base) % 8]);
    if let Ok(paths) = codec::decode_paths(format, payload) {
        let written = codec::encode_paths(format, &paths).expect("it was read in this format");
        assert_eq!(codec::decode_paths(format, &written), Ok(paths));
    }
    let Ok(records) = codec::decode(format, &base, payload) else { return };
    // Values of any format can be shown to an application.
    to_content(&base, &records).expect("what was read can be written");
    if let Ok(written) = codec::encode(format, &base, &records) {
        let again = codec::decode(format, &base, &written).expect("what was written can be read");
        assert_eq!(sorted(again), sorted(records));
    }
});
