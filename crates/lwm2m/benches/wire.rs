//! What a gateway does most: registrations, updates, reads and notifications. `cargo bench -p bugle-lwm2m`

use std::hint::black_box;

use bugle_core::{Operation, Outcome};
use bugle_lwm2m::codec::{self, Record};
use bugle_lwm2m::operation::Delivery;
use bugle_lwm2m::registration::Register;
use bugle_lwm2m::{ClientRequest, ContentFormat, Method, Path, Request, Response, Value, Version};
use criterion::{Criterion, criterion_group, criterion_main};

const FORMATS: [ContentFormat; 4] =
    [ContentFormat::TLV, ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::LWM2M_CBOR];

/// The Device object instance of the standard's examples.
fn device() -> (Path, Vec<Record>) {
    let text = |text: &str| Value::String(text.to_owned());
    let resource = |id, value| Record::new(Path::of_resource(3, 0, id), value);
    let instance = |id, number, value| Record::new(Path::of_resource_instance(3, 0, id, number), Value::Integer(value));
    let records = vec![
        resource(0, text("Open Mobile Alliance")),
        resource(1, text("Lightweight M2M Client")),
        resource(2, text("345000123")),
        resource(3, text("1.0")),
        instance(6, 0, 1),
        instance(6, 1, 5),
        instance(7, 0, 3800),
        instance(7, 1, 5000),
        instance(8, 0, 125),
        instance(8, 1, 900),
        resource(9, Value::Integer(100)),
        resource(10, Value::Integer(15)),
        instance(11, 0, 0),
        resource(13, Value::Time(1_367_491_215)),
        resource(14, text("+02:00")),
        resource(16, text("U")),
    ];
    (Path::of_instance(3, 0), records)
}

fn register() -> Request {
    let payload = r#"</>;rt="oma.lwm2m";ct=110,</1>;ver=1.1,</1/0>,</3>;ver=1.1,</3/0>,</19/0>,</3303/0>,</3311/0>"#;
    let mut request = Request::new(Method::Post, vec!["rd".to_owned()]);
    request.query = ["lwm2m=1.1", "ep=lamp-0001", "b=U", "lt=300", "Q"].map(str::to_owned).to_vec();
    request.with_payload(ContentFormat::LINK_FORMAT, payload.as_bytes().to_vec())
}

fn values(criterion: &mut Criterion) {
    let (base, records) = device();
    let temperature = Record::new(Path::of_resource(3303, 0, 5700), Value::Float(21.5));
    for format in FORMATS {
        let payload = codec::encode(format, &base, &records).expect("any format holds these");
        criterion.bench_function(&format!("decode 16 values, {format}, {} bytes", payload.len()), |bencher| {
            bencher.iter(|| codec::decode(format, &base, black_box(&payload)));
        });
        let payload = codec::encode(format, &temperature.path, std::slice::from_ref(&temperature)).expect("it fits");
        criterion.bench_function(&format!("decode 1 value, {format}, {} bytes", payload.len()), |bencher| {
            bencher.iter(|| codec::decode(format, &temperature.path, black_box(&payload)));
        });
    }
}

fn registrations(criterion: &mut Criterion) {
    let request = register();
    criterion.bench_function("read a registration", |bencher| {
        bencher.iter(|| ClientRequest::from_request(black_box(&request), Version::V1_2));
    });
    let update = Request::new(Method::Post, vec!["rd".to_owned(), "5a".to_owned()]);
    criterion.bench_function("read an update", |bencher| {
        bencher.iter(|| ClientRequest::from_request(black_box(&update), Version::V1_2));
    });
}

fn deliveries(criterion: &mut Criterion) {
    let registration = Register::from_request(&register(), Version::V1_2).expect("a registration").registration;
    let operation = Operation::Read { path: "/3303/0/5700".parse().expect("a path") };
    let response = Response::content(ContentFormat::SENML_JSON, br#"[{"bn":"/3303/0/5700","v":21.5}]"#.to_vec());
    criterion.bench_function("deliver a read and take its outcome", |bencher| {
        bencher.iter(|| {
            let delivery = Delivery::new(black_box(&operation), &registration).expect("a read");
            let outcome = delivery.outcome(&response);
            assert!(matches!(outcome, Outcome::Executed { .. }));
        });
    });
}

criterion_group!(benches, values, registrations, deliveries);
criterion_main!(benches);
