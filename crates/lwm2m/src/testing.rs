//! What the tests of several files need: values and paths that tell each other's types.

use std::time::Duration;

use proptest::prelude::*;

use crate::codec::Record;
use crate::registration::{Binding, Registration};
use crate::{
    Access, ContentFormat, ContentFormats, DataType, Instances, Method, ObjectLink, Path, Request, Value, Version,
    objects,
};

/// Bytes from hexadecimal digits; spaces do not matter.
pub(crate) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Any path.
pub(crate) fn path() -> impl Strategy<Value = Path> {
    prop::collection::vec(0..u16::MAX, 0..=4).prop_map(|parts| Path::new(&parts).expect("up to four parts"))
}

/// Any value of a type.
pub(crate) fn value_of(data_type: DataType) -> BoxedStrategy<Value> {
    let small = -300_i64..300;
    match data_type {
        DataType::Integer => prop_oneof![small, any::<i64>()].prop_map(Value::Integer).boxed(),
        DataType::Unsigned => any::<u64>().prop_map(Value::Unsigned).boxed(),
        DataType::Float => prop_oneof![
            prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO,
            any::<f32>().prop_filter("finite", |float| float.is_finite()).prop_map(f64::from)
        ]
        .prop_map(Value::Float)
        .boxed(),
        DataType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        DataType::String => any::<String>().prop_map(Value::String).boxed(),
        DataType::Opaque => any::<Vec<u8>>().prop_map(Value::Opaque).boxed(),
        DataType::Time => any::<i64>().prop_map(Value::Time).boxed(),
        DataType::ObjectLink => any::<(u16, u16)>()
            .prop_map(|(object, instance)| Value::ObjectLink(ObjectLink { object, instance }))
            .boxed(),
        DataType::CoreLink => any::<String>().prop_map(Value::CoreLink).boxed(),
    }
}

/// Any value.
pub(crate) fn value() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        DataType::Integer,
        DataType::Unsigned,
        DataType::Float,
        DataType::Boolean,
        DataType::String,
        DataType::Opaque,
        DataType::Time,
        DataType::ObjectLink,
        DataType::CoreLink,
    ])
    .prop_flat_map(value_of)
}

/// An object that is known, and values of any of its resources in up to three instances, sorted by path.
pub(crate) fn object() -> impl Strategy<Value = (Path, Vec<Record>)> {
    let known = [objects::SERVER, objects::DEVICE, objects::FIRMWARE_UPDATE, objects::LOCATION, objects::LIGHT_CONTROL];
    prop::sample::select(known.to_vec()).prop_flat_map(|object| {
        let records = prop::collection::vec(record_of(object), 0..20);
        records.prop_map(move |mut records| {
            records.sort_by_key(|record| record.path);
            records.dedup_by_key(|record| record.path);
            (Path::of_object(object), records)
        })
    })
}

/// A value of a resource that is known.
pub(crate) fn record() -> impl Strategy<Value = Record> {
    prop::sample::select(vec![objects::SERVER, objects::DEVICE, objects::LOCATION]).prop_flat_map(record_of)
}

fn record_of(object: u16) -> impl Strategy<Value = Record> {
    let resources: Vec<u16> = (0..30)
        .chain(5500..6000)
        .filter(|resource| objects::definition(object, *resource).is_some_and(|known| known.access != Access::Execute))
        .collect();
    (prop::sample::select(resources), 0..3_u16, 0..400_u16).prop_flat_map(move |(resource, instance, number)| {
        let known = objects::definition(object, resource).expect("one of those that are known");
        let path = match known.instances {
            Instances::Single => Path::of_resource(object, instance, resource),
            Instances::Multiple => Path::of_resource_instance(object, instance, resource, number),
        };
        let data_type = known.data_type.expect("what is not executed has a type");
        value_of(data_type).prop_map(move |value| Record::new(path, value))
    })
}

/// A request with a path as `/rd/1`, a query as `a=1&b` and, if there is one, a payload of links.
pub(crate) fn request(method: Method, path: &str, query: &str, payload: &str) -> Request {
    let parts = |text: &str, between: char| -> Vec<String> {
        text.split(between).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let mut request = Request::new(method, parts(path, '/'));
    request.query = parts(query, '&');
    if !payload.is_empty() {
        request = request.with_payload(ContentFormat::LINK_FORMAT, payload.as_bytes().to_vec());
    }
    request
}

/// A client of a version that offers these formats, and has a container for messages.
pub(crate) fn registration(version: Version, ct: &str) -> Registration {
    let instances = [1, 3, 19, 3303, 3311].map(|object| Path::of_instance(object, 0));
    let formats = ContentFormats::from_ct(ct);
    Registration::new(version, Duration::from_secs(300), Binding::UDP, formats, instances)
}
