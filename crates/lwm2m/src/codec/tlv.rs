//! TLV: LwM2M's own nested rows of type, length and value (LwM2M 1.1 core, 7.4.5).
//!
//! The types of values are not on the wire. They are looked up; a value of an unknown resource is
//! opaque, and [`Value::from_tlv`] reads its bytes once the type is known.

use super::{DecodeError, EncodeError, Record};
use crate::{ContentFormat, DataType, Path, Value, limits};

/// What one TLV is, by bits 7 and 6 of its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ObjectInstance = 0b00,
    ResourceInstance = 0b01,
    MultipleResource = 0b10,
    Resource = 0b11,
}

struct Tlv<'b> {
    kind: Kind,
    id: u16,
    value: &'b [u8],
}

const fn malformed(what: &'static str) -> DecodeError {
    DecodeError::Malformed { format: "TLV", what }
}

/// Reads the values of an object, an instance, a resource or a resource instance.
pub(super) fn decode(base: &Path, payload: &[u8]) -> Result<Vec<Record>, DecodeError> {
    let mut records = Vec::new();
    for tlv in rows(payload) {
        let tlv = tlv?;
        match (base.depth(), tlv.kind) {
            // TLV has no place for an object's id.
            (0, _) => return Err(DecodeError::Format(ContentFormat::TLV)),
            (1 | 2, Kind::ObjectInstance) => {
                let instance = child(base.truncated(1), tlv.id)?;
                instance_resources(instance, tlv.value, &mut records)?;
            }
            // An object of one instance may come without the instance around its resources.
            (1, Kind::Resource | Kind::MultipleResource) => resource(child(*base, 0)?, &tlv, &mut records)?,
            (2, Kind::Resource | Kind::MultipleResource) => resource(*base, &tlv, &mut records)?,
            (3 | 4, Kind::Resource | Kind::MultipleResource) => resource(base.truncated(2), &tlv, &mut records)?,
            // Some clients leave out the resource around its instances.
            (3 | 4, Kind::ResourceInstance) => push(child(base.truncated(3), tlv.id)?, tlv.value, &mut records)?,
            _ => return Err(malformed("an item is out of place")),
        }
    }
    match records.iter().find(|record| !record.path.is_within(base)) {
        Some(record) => Err(DecodeError::Outside { path: record.path, base: *base }),
        None => Ok(records),
    }
}

fn instance_resources(instance: Path, payload: &[u8], records: &mut Vec<Record>) -> Result<(), DecodeError> {
    for tlv in rows(payload) {
        resource(instance, &tlv?, records)?;
    }
    Ok(())
}

fn resource(instance: Path, tlv: &Tlv<'_>, records: &mut Vec<Record>) -> Result<(), DecodeError> {
    let path = child(instance, tlv.id)?;
    match tlv.kind {
        Kind::Resource => push(path, tlv.value, records),
        Kind::MultipleResource => {
            for tlv in rows(tlv.value) {
                let tlv = tlv?;
                if tlv.kind != Kind::ResourceInstance {
                    return Err(malformed("a resource has something other than instances"));
                }
                push(child(path, tlv.id)?, tlv.value, records)?;
            }
            Ok(())
        }
        Kind::ObjectInstance | Kind::ResourceInstance => Err(malformed("an item is out of place")),
    }
}

fn push(path: Path, bytes: &[u8], records: &mut Vec<Record>) -> Result<(), DecodeError> {
    if records.len() == limits::RECORDS_MAX {
        return Err(DecodeError::TooMany(limits::RECORDS_MAX));
    }
    let data_type = DataType::of(&path).unwrap_or(DataType::Opaque);
    let value = Value::from_tlv(data_type, bytes).map_err(|_| DecodeError::Type { path, data_type })?;
    if matches!(value, Value::Float(float) if !float.is_finite()) {
        return Err(DecodeError::Type { path, data_type });
    }
    records.push(Record::new(path, value));
    Ok(())
}

fn child(path: Path, id: u16) -> Result<Path, DecodeError> {
    path.child(id).ok_or(malformed("65535 is no id"))
}

/// The TLVs that stand in a row; after a broken one there is nothing more.
fn rows(payload: &[u8]) -> impl Iterator<Item = Result<Tlv<'_>, DecodeError>> {
    let mut rest = payload;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let tlv = next(&mut rest);
        if tlv.is_none() {
            rest = &[];
        }
        Some(tlv.ok_or(malformed("it ends too early")))
    })
}

fn next<'b>(rest: &mut &'b [u8]) -> Option<Tlv<'b>> {
    let first = integer(rest, 1)?;
    let kind = match first >> 6 {
        0b00 => Kind::ObjectInstance,
        0b01 => Kind::ResourceInstance,
        0b10 => Kind::MultipleResource,
        _ => Kind::Resource,
    };
    let id = integer(rest, if first & 0b10_0000 == 0 { 1 } else { 2 })? as u16;
    let length = match (first >> 3) & 0b11 {
        0 => first & 0b111,
        bytes => integer(rest, bytes as usize)?,
    };
    let value = take(rest, length as usize)?;
    Some(Tlv { kind, id, value })
}

fn integer(rest: &mut &[u8], bytes: usize) -> Option<u32> {
    Some(take(rest, bytes)?.iter().fold(0, |high, byte| (high << 8) | u32::from(*byte)))
}

fn take<'b>(rest: &mut &'b [u8], bytes: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(bytes)?;
    *rest = left;
    Some(taken)
}

/// Writes the values of an object, an instance, a resource or a resource instance. Values of the same
/// instance and of the same resource have to stand together.
pub(super) fn encode(base: &Path, records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    let mut payload = Vec::new();
    match base.depth() {
        0 => return Err(EncodeError::Format(ContentFormat::TLV)),
        1 => {
            for instance in records.chunk_by(|a, b| a.path.instance() == b.path.instance()) {
                let resources = encode_resources(instance)?;
                write(&mut payload, Kind::ObjectInstance, &instance[0].path, 1, &resources)?;
            }
        }
        _ => payload = encode_resources(records)?,
    }
    Ok(payload)
}

fn encode_resources(records: &[Record]) -> Result<Vec<u8>, EncodeError> {
    let mut payload = Vec::new();
    let is_same = |a: &Record, b: &Record| a.path.resource() == b.path.resource() && a.path.depth() == b.path.depth();
    for resource in records.chunk_by(is_same) {
        let path = &resource[0].path;
        if path.depth() == 3 {
            for record in resource {
                write(&mut payload, Kind::Resource, &record.path, 2, &record.value.to_tlv())?;
            }
            continue;
        }
        let mut instances = Vec::new();
        for record in resource {
            write(&mut instances, Kind::ResourceInstance, &record.path, 3, &record.value.to_tlv())?;
        }
        write(&mut payload, Kind::MultipleResource, path, 2, &instances)?;
    }
    Ok(payload)
}

/// Writes a TLV whose id is the part `part` of the path.
fn write(payload: &mut Vec<u8>, kind: Kind, path: &Path, part: usize, value: &[u8]) -> Result<(), EncodeError> {
    let id = path.parts()[part];
    let length = u32::try_from(value.len()).ok().filter(|length| *length < 1 << 24);
    let length = length.ok_or(EncodeError::TooLarge(*path))?;
    let length_bytes = match length {
        0..8 => 0,
        8..0x100 => 1,
        0x100..0x1_0000 => 2,
        _ => 3,
    };
    let wide_id = u8::from(id > 0xff);
    let short_length = if length_bytes == 0 { length as u8 } else { 0 };
    payload.push((kind as u8) << 6 | wide_id << 5 | length_bytes << 3 | short_length);
    payload.extend_from_slice(&id.to_be_bytes()[usize::from(1 - wide_id)..]);
    payload.extend_from_slice(&length.to_be_bytes()[4 - usize::from(length_bytes)..]);
    payload.extend_from_slice(value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ObjectLink;
    use crate::testing::hex;

    /// LwM2M 1.1 core, table 7.4.5.2-1: the Device object instance.
    const DEVICE: &str = "C800144F70656E204D6F62696C6520416C6C69616E6365\
        C801164C69676874776569676874204D324D20436C69656E74C80209333435303030313233C303312E30\
        860641000141010588070842000ED842011388870841007D42010384C10964C10A0F830B410000\
        C40D5182428FC60E2B30323A3030C11055";

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    fn device() -> Vec<Record> {
        let text = |text: &str| Value::String(text.into());
        [
            ("/3/0/0", text("Open Mobile Alliance")),
            ("/3/0/1", text("Lightweight M2M Client")),
            ("/3/0/2", text("345000123")),
            ("/3/0/3", text("1.0")),
            ("/3/0/6/0", Value::Integer(1)),
            ("/3/0/6/1", Value::Integer(5)),
            ("/3/0/7/0", Value::Integer(3800)),
            ("/3/0/7/1", Value::Integer(5000)),
            ("/3/0/8/0", Value::Integer(125)),
            ("/3/0/8/1", Value::Integer(900)),
            ("/3/0/9", Value::Integer(100)),
            ("/3/0/10", Value::Integer(15)),
            ("/3/0/11/0", Value::Integer(0)),
            ("/3/0/13", Value::Time(1_367_491_215)),
            ("/3/0/14", text("+02:00")),
            ("/3/0/16", text("U")),
        ]
        .map(|(at, value)| Record::new(path(at), value))
        .into()
    }

    /// Reads and writes back; the shortest form is the only one that is written.
    fn both_ways(base: &str, payload: &str) -> Vec<Record> {
        let bytes = hex(payload);
        let records = decode(&path(base), &bytes).expect("valid TLV");
        assert_eq!(encode(&path(base), &records), Ok(bytes));
        records
    }

    #[test]
    fn the_device_object_instance_of_the_standard() {
        assert_eq!(both_ways("/3/0", DEVICE), device());
        assert_eq!(both_ways("/3", &format!("080079{DEVICE}")), device());
    }

    #[test]
    fn resources_without_an_instance_around_them_are_of_instance_0() {
        assert_eq!(decode(&path("/3"), &hex(DEVICE)), Ok(device()));
        assert_eq!(decode(&path("/3/0"), &hex(&format!("080079{DEVICE}"))), Ok(device()));
    }

    #[test]
    fn several_instances_of_access_control_and_of_server() {
        let acl = both_ways("/2", "08000EC10001C101008302417F07C1037F080212C10003C101008702417F0761013601C1037F");
        assert_eq!(acl[2], Record::new(path("/2/0/2/127"), Value::Integer(7)));
        assert_eq!(acl[7], Record::new(path("/2/2/2/310"), Value::Integer(1)));
        let server = both_ways("/1", "08000FC10001C40100015180C10601C10755");
        assert_eq!(server[1], Record::new(path("/1/0/1"), Value::Integer(86_400)));
        assert_eq!(server[2], Record::new(path("/1/0/6"), Value::Boolean(true)));
    }

    #[test]
    fn values_of_unknown_resources_are_read_once_their_type_is_known() {
        let records = both_ways("/65/0", "88000C440000420000440100420001C8010D38363133383030373535353030C40212345678");
        assert_eq!(records[1].path, path("/65/0/0/1"));
        let read = |record: &Record, data_type| match &record.value {
            Value::Opaque(bytes) => Value::from_tlv(data_type, bytes),
            known => panic!("{known:?} should not be known"),
        };
        let link = ObjectLink { object: 66, instance: 1 };
        assert_eq!(read(&records[1], DataType::ObjectLink), Ok(Value::ObjectLink(link)));
        assert_eq!(read(&records[2], DataType::String), Ok(Value::String("8613800755500".into())));
        assert_eq!(read(&records[3], DataType::Integer), Ok(Value::Integer(0x1234_5678)));
    }

    #[test]
    fn a_resource_and_a_resource_instance_by_themselves() {
        assert_eq!(both_ways("/3/0/9", "C10964"), [Record::new(path("/3/0/9"), Value::Integer(100))]);
        let first = Record::new(path("/3/0/6/0"), Value::Integer(1));
        let second = Record::new(path("/3/0/6/1"), Value::Integer(5));
        assert_eq!(both_ways("/3/0/6", "8606410001410105"), [first.clone(), second.clone()]);
        assert_eq!(decode(&path("/3/0/6"), &hex("410001410105")), Ok(vec![first, second.clone()]));
        assert_eq!(both_ways("/3/0/6/1", "8306410105"), [second]);
    }

    #[test]
    fn wide_ids_and_long_values() {
        assert_eq!(both_ways("/3311/0", "E116DA01"), [Record::new(path("/3311/0/5850"), Value::Boolean(true))]);
        for (length, head) in [(255, "C800FF"), (256, "D0000100"), (0xffff, "D000FFFF"), (0x1_0000, "D800010000")] {
            let record = Record::new(path("/5/0/0"), Value::Opaque(vec![7; length]));
            let payload = encode(&path("/5/0"), std::slice::from_ref(&record)).expect("it fits");
            assert!(payload.starts_with(&hex(head)), "{length}");
            assert_eq!(decode(&path("/5/0"), &payload), Ok(vec![record]));
        }
    }

    #[test]
    fn what_was_not_asked_for_is_refused() {
        let outside = DecodeError::Outside { path: path("/3/0/9"), base: path("/3/0/10") };
        assert_eq!(decode(&path("/3/0/10"), &hex("C10964")), Err(outside));
        let outside = DecodeError::Outside { path: path("/3/0/9"), base: path("/3/1") };
        assert_eq!(decode(&path("/3/1"), &hex("080003C10964")), Err(outside));
    }

    #[test]
    fn broken_rows_are_refused() {
        for payload in ["0011223344556677889900", "C8", "C80014", "C109", "860641", "E1FFFF01", "4100", "8603C10001"] {
            assert!(decode(&path("/3/0"), &hex(payload)).is_err(), "{payload}");
        }
        assert_eq!(
            decode(&path("/3/0"), &hex("C20001FF")).expect_err("no UTF-8"),
            DecodeError::Type { path: path("/3/0/0"), data_type: DataType::String }
        );
    }

    #[test]
    fn values_stop_at_the_limit() {
        let payload = [0xc0, 0x00].repeat(limits::RECORDS_MAX);
        assert_eq!(decode(&path("/26241/0"), &payload).map(|records| records.len()), Ok(limits::RECORDS_MAX));
        let payload = [0xc0, 0x00].repeat(limits::RECORDS_MAX + 1);
        assert_eq!(decode(&path("/26241/0"), &payload), Err(DecodeError::TooMany(limits::RECORDS_MAX)));
    }
}
