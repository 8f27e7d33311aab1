//! A device and the answers that a server may give it, in virtual time.

use bugle_core::PeripheralId;

use super::*;
use crate::operation::{Answer, DeviceOperation, WriteMode};
use crate::registration::{Register, Registration, Update};
use crate::{ClientRequest, Observe, objects};

/// A device with a server beside it that says yes to everything, unless a test does it itself.
struct World {
    now: Time,
    device: Device,
}

impl World {
    fn new(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(PeripheralId::new("lamp-1").expect("a name"));
        change(&mut settings);
        Self { now: Time::from_millis(1_790_000_000_000), device: Device::new(settings) }
    }

    /// One that is registered.
    fn registered(change: impl FnOnce(&mut Settings)) -> Self {
        let mut world = Self::new(change);
        let (exchange, _) = world.asks(Input::Start);
        let outputs = world.input(created(exchange));
        assert!(matches!(outputs[..], [Output::Registered { .. }]), "{outputs:?}");
        world
    }

    fn sleeper(wakes_with: WakesWith) -> Self {
        let (awake, every) = (Duration::from_secs(10), Duration::from_secs(60));
        Self::registered(|settings| settings.sleep = Sleep::QueueMode { awake, every, wakes_with })
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.device.poll_output()).collect()
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        self.device.handle_input(self.now, input);
        self.drain()
    }

    /// What it asks, when it does nothing else.
    fn asks(&mut self, input: Input) -> (u64, Request) {
        one_question(self.input(input))
    }

    /// Lets the time pass to its next timeout.
    fn timeout(&mut self) -> Vec<Output> {
        self.now = self.device.next_timeout().expect("something is due").max(self.now);
        self.device.handle_timeout(self.now);
        self.drain()
    }

    fn pass(&mut self, seconds: u64) -> Vec<Output> {
        let end = self.now + Duration::from_secs(seconds);
        let mut outputs = Vec::new();
        while self.device.next_timeout().is_some_and(|at| at <= end) {
            outputs.extend(self.timeout());
        }
        self.now = end;
        outputs
    }

    /// Puts an operation to the device; the answer, and what else it does.
    fn put(&mut self, operation: &DeviceOperation) -> (Answer, Vec<Output>) {
        let registration = server_side(&self.device);
        let request = operation.to_request(&registration).expect("an operation for this client");
        let mut outputs = self.input(Input::Asked { token: 7, request });
        let Output::Answer { token: 7, response } = outputs.remove(0) else { panic!("no answer") };
        (operation.understand(&response).expect("an answer to this operation"), outputs)
    }
}

fn server_side(device: &Device) -> Registration {
    device.settings.registration(device.session.version(), &device.tree)
}

fn one_question(outputs: Vec<Output>) -> (u64, Request) {
    match &outputs[..] {
        [Output::Ask { exchange, request }] => (*exchange, request.clone()),
        other => panic!("{other:?}"),
    }
}

fn created(exchange: u64) -> Input {
    Input::Answered { exchange, response: Response::created(vec!["rd".into(), "5a".into()]) }
}

fn answered(exchange: u64, code: Code) -> Input {
    Input::Answered { exchange, response: Response::new(code) }
}

fn execute(path: Path) -> DeviceOperation {
    DeviceOperation::Execute { path, arguments: String::new() }
}

fn write(path: Path, value: Value) -> DeviceOperation {
    DeviceOperation::Write { path, mode: WriteMode::Replace, records: vec![Record::new(path, value)] }
}

#[test]
fn it_registers_with_what_it_has_and_updates_in_time() {
    let mut world = World::new(|_| {});
    let (exchange, request) = world.asks(Input::Start);
    let register = Register::from_request(&request, Version::V1_2).expect("a registration");
    assert_eq!(register.endpoint.as_ref().map(PeripheralId::as_str), Some("lamp-1"));
    let ids: Vec<u16> = register.registration.objects().iter().map(|object| object.id).collect();
    assert_eq!(ids, [1, 3, 5, 19, 3303, 3311]);
    world.input(created(exchange));
    let start = world.now;
    let (exchange, request) = one_question(world.timeout());
    assert_eq!(world.now - start, Duration::from_secs(225));
    assert_eq!(request.path, ["rd", "5a"]);
    assert!(Update::from_request(&request).expect("an update").is_empty());
    assert!(world.input(answered(exchange, Code::CHANGED)).is_empty());
    assert!(world.device.is_registered());
}

#[test]
fn it_falls_back_to_the_version_that_the_server_speaks() {
    let mut world = World::new(|settings| settings.version = Version::V1_2);
    let (exchange, request) = world.asks(Input::Start);
    let error = Register::from_request(&request, Version::V1_1).expect_err("too new");
    let (exchange, request) = world.asks(Input::Answered { exchange, response: error.response() });
    let register = Register::from_request(&request, Version::V1_1).expect("old enough");
    assert_eq!(register.registration.version(), Version::V1_1);
    assert!(matches!(world.input(created(exchange))[..], [Output::Registered { .. }]));
}

#[test]
fn a_refused_device_tries_again_later_and_later() {
    let mut world = World::new(|_| {});
    let (mut exchange, _) = world.asks(Input::Start);
    for seconds in [30, 60, 120] {
        let outputs = world.input(answered(exchange, Code::FORBIDDEN));
        assert_eq!(outputs, [Output::Refused { code: Code::FORBIDDEN }]);
        let before = world.now;
        (exchange, _) = one_question(world.timeout());
        assert_eq!(world.now - before, Duration::from_secs(seconds));
    }
    world.input(Input::Answered { exchange, response: Response::later(Code::SERVICE_UNAVAILABLE, 7) });
    let before = world.now;
    one_question(world.timeout());
    assert_eq!(world.now - before, Duration::from_secs(7));
}

#[test]
fn a_device_that_gets_no_answer_registers_again() {
    let mut world = World::registered(|_| {});
    let (exchange, _) = one_question(world.timeout());
    let (exchange, request) = world.asks(Input::Unanswered { exchange });
    assert_eq!(request.path, ["rd"]);
    assert!(world.input(Input::Unanswered { exchange }).is_empty());
    assert_eq!(one_question(world.timeout()).1.path, ["rd"]);
}

#[test]
fn a_server_that_has_forgotten_it_gets_it_anew() {
    let mut world = World::registered(|_| {});
    let (exchange, _) = one_question(world.timeout());
    let (_, request) = world.asks(answered(exchange, Code::NOT_FOUND));
    assert_eq!((request.method, request.path.join("/")), (Method::Post, "rd".into()));
}

#[test]
fn it_leaves_when_told() {
    let mut world = World::registered(|_| {});
    let (exchange, request) = world.asks(Input::Leave);
    let gone = ClientRequest::Deregister { registration: "5a".into() };
    assert_eq!(ClientRequest::from_request(&request, Version::V1_2), Ok(gone));
    assert_eq!(world.input(answered(exchange, Code::DELETED)), [Output::Left]);
    assert_eq!(world.device.next_timeout(), None);
}

#[test]
fn a_disabled_device_comes_back_when_the_time_is_over() {
    let mut world = World::registered(|_| {});
    let (answer, _) = world.put(&write(settings::DISABLE_TIMEOUT, Value::Integer(100)));
    assert_eq!(answer, Answer::Done);
    let disable = DeviceOperation::disable(&server_side(&world.device));
    let (_, outputs) = world.put(&disable);
    let [Output::Ask { exchange, .. }, Output::Executed { .. }] = &outputs[..] else { panic!("{outputs:?}") };
    world.input(answered(*exchange, Code::DELETED));
    assert!(world.pass(99).is_empty());
    assert_eq!(one_question(world.pass(1)).1.path, ["rd"]);
}

#[test]
fn a_device_disabled_while_it_registers_comes_back_too() {
    let mut world = World::new(|_| {});
    world.asks(Input::Start);
    let disable = DeviceOperation::disable(&server_side(&world.device));
    world.put(&disable);
    assert_eq!(one_question(world.timeout()).1.path, ["rd"]);
}

#[test]
fn a_device_that_leaves_before_it_is_registered_is_gone_at_once() {
    let mut world = World::new(|_| {});
    let (exchange, _) = world.asks(Input::Start);
    assert_eq!(world.input(Input::Leave), [Output::Left]);
    assert!(world.input(created(exchange)).is_empty());
    assert_eq!(world.device.next_timeout(), None);
}

#[test]
fn a_new_lifetime_and_new_instances_are_told_to_the_server() {
    let mut world = World::registered(|_| {});
    let (_, outputs) = world.put(&write(settings::LIFETIME, Value::Integer(60)));
    let [Output::Ask { exchange, request }, Output::Written { .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let update = Update::from_request(request).expect("an update");
    assert_eq!(update.lifetime(), Some(Duration::from_secs(60)));
    world.input(answered(*exchange, Code::CHANGED));
    let create = DeviceOperation::Create {
        path: Path::of_instance(objects::LIGHT_CONTROL, 3),
        records: vec![Record::new(Path::of_resource(objects::LIGHT_CONTROL, 3, 5850), Value::Boolean(true))],
    };
    let (answer, outputs) = world.put(&create);
    assert_eq!(answer, Answer::Created { instance: Some(3) });
    let (_, request) = one_question(outputs);
    let mut registration = server_side(&World::new(|_| {}).device);
    registration.apply(Update::from_request(&request).expect("an update"));
    let lights = registration.objects().object(objects::LIGHT_CONTROL).expect("it has lights");
    assert_eq!(lights.instances().collect::<Vec<u16>>(), [0, 3]);
}

#[test]
fn a_sleeper_hears_nothing_until_it_wakes() {
    let mut world = World::sleeper(WakesWith::Update);
    assert!(matches!(world.timeout()[..], [Output::Asleep { .. }]));
    let read = DeviceOperation::Read { path: settings::TEMPERATURE };
    let request = read.to_request(&server_side(&world.device)).expect("a request");
    assert!(world.input(Input::Asked { token: 1, request: request.clone() }).is_empty());
    let before = world.now;
    let outputs = world.timeout();
    assert_eq!(world.now - before, Duration::from_secs(60));
    let [Output::Awake, Output::Ask { exchange, request: update }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(update.path, ["rd", "5a"]);
    world.input(answered(*exchange, Code::CHANGED));
    assert!(matches!(world.input(Input::Asked { token: 2, request })[..], [Output::Answer { token: 2, .. }]));
}

#[test]
fn every_word_keeps_a_sleeper_awake_a_while() {
    let mut world = World::sleeper(WakesWith::Update);
    let read = DeviceOperation::Read { path: settings::TEMPERATURE };
    for _ in 0..3 {
        assert!(world.pass(9).is_empty());
        world.put(&read);
    }
    assert!(matches!(world.pass(10)[..], [Output::Asleep { .. }]));
}

#[test]
fn a_sleeper_stays_awake_for_the_answer_to_what_it_sends() {
    let mut world = World::sleeper(WakesWith::Update);
    let (exchange, _) = world.asks(Input::Send { paths: vec![settings::TEMPERATURE] });
    assert!(world.pass(30).is_empty());
    world.input(answered(exchange, Code::CHANGED));
    assert!(matches!(world.pass(10)[..], [Output::Asleep { .. }]));
    world.input(answered(exchange, Code::CHANGED));
    assert!(world.device.is_asleep());
}

#[test]
fn a_sleeper_may_forget_and_register_afresh() {
    let mut world = World::sleeper(WakesWith::Register);
    world.timeout();
    let outputs = world.input(Input::Wake);
    let [Output::Awake, Output::Ask { exchange, request }] = &outputs[..] else { panic!("{outputs:?}") };
    let register = Register::from_request(request, Version::V1_2).expect("a registration");
    assert!(register.registration.binding().is_queue_mode());
    assert!(matches!(world.input(created(*exchange))[..], [Output::Registered { .. }]));
    assert!(world.input(Input::Wake).is_empty(), "it is awake");
}

#[test]
fn an_observed_value_is_told_when_it_changes_until_it_is_cancelled() {
    let mut world = World::registered(|settings| settings.preferred = ContentFormat::TLV);
    let observe = DeviceOperation::Observe { path: settings::TEMPERATURE };
    let (answer, _) = world.put(&observe);
    assert_eq!(answer, Answer::Values(vec![Record::new(settings::TEMPERATURE, Value::Float(21.5))]));
    let warmer = Input::Set { path: settings::TEMPERATURE, value: Value::Float(22.0) };
    let outputs = world.input(warmer.clone());
    let [Output::Notify { token: 7, response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(response.observe, Some(1));
    let told = observe.understand(response);
    assert_eq!(told, Ok(Answer::Values(vec![Record::new(settings::TEMPERATURE, Value::Float(22.0))])));
    assert!(world.input(warmer).is_empty());
    world.put(&DeviceOperation::CancelObservation { path: settings::TEMPERATURE });
    assert!(world.input(Input::Set { path: settings::TEMPERATURE, value: Value::Float(23.0) }).is_empty());
}

#[test]
fn a_notification_wakes_a_sleeper() {
    let mut world = World::sleeper(WakesWith::Update);
    world.put(&DeviceOperation::Observe { path: settings::TEMPERATURE });
    world.timeout();
    assert!(world.device.is_asleep());
    let outputs = world.input(Input::Set { path: settings::TEMPERATURE, value: Value::Float(30.0) });
    assert!(matches!(outputs[..], [Output::Awake, Output::Notify { .. }]));
}

#[test]
fn an_observation_ends_with_the_registration_and_with_a_reset() {
    let mut world = World::registered(|_| {});
    let observe = DeviceOperation::Observe { path: settings::TEMPERATURE };
    let set = |degrees| Input::Set { path: settings::TEMPERATURE, value: Value::Float(degrees) };
    world.put(&observe);
    world.input(Input::Forgotten { token: 7 });
    assert!(world.input(set(1.0)).is_empty());
    world.put(&observe);
    world.put(&execute(settings::REBOOT));
    let (exchange, _) = one_question(world.timeout());
    world.input(created(exchange));
    assert!(world.input(set(2.0)).is_empty());
}

#[test]
fn an_observation_of_several_paths_tells_all_of_them() {
    let mut world = World::registered(|_| {});
    let light = Path::of_resource(objects::LIGHT_CONTROL, 0, 5850);
    let observe = DeviceOperation::ObserveComposite { paths: vec![settings::TEMPERATURE, light] };
    let (answer, _) = world.put(&observe);
    assert!(matches!(answer, Answer::Values(records) if records.len() == 2));
    let (_, outputs) = world.put(&write(light, Value::Boolean(true)));
    let [Output::Written { .. }, Output::Notify { response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let Ok(Answer::Values(records)) = observe.understand(response) else { panic!("no values") };
    assert_eq!(records[1], Record::new(light, Value::Boolean(true)));
}

#[test]
fn it_sends_without_being_asked_from_1_1_on() {
    let mut world = World::registered(|_| {});
    let (_, request) = world.asks(Input::Send { paths: vec![settings::TEMPERATURE] });
    let records = vec![Record::new(settings::TEMPERATURE, Value::Float(21.5))];
    assert_eq!(ClientRequest::from_request(&request, Version::V1_2), Ok(ClientRequest::Send { records }));
    let mut old = World::registered(|settings| settings.version = Version::V1_0);
    assert!(old.input(Input::Send { paths: vec![settings::TEMPERATURE] }).is_empty());
}

#[test]
fn a_package_is_installed_when_the_server_says_so() {
    let mut world = World::registered(|_| {});
    let (answer, _) = world.put(&execute(settings::FIRMWARE_UPDATE));
    assert!(matches!(answer, Answer::Refused { code: Code::METHOD_NOT_ALLOWED, .. }), "there is nothing to install");
    world.put(&write(settings::FIRMWARE_PACKAGE, Value::Opaque(vec![1, 2, 3])));
    assert_eq!(world.device.value(&settings::FIRMWARE_STATE), Some(&Value::Integer(2)));
    world.put(&write(settings::FIRMWARE_PACKAGE, Value::Opaque(Vec::new())));
    assert_eq!(world.device.value(&settings::FIRMWARE_STATE), Some(&Value::Integer(0)));
    world.put(&write(settings::FIRMWARE_PACKAGE, Value::Opaque(vec![1, 2, 3])));
    world.put(&execute(settings::FIRMWARE_UPDATE));
    assert_eq!(world.device.value(&settings::FIRMWARE_STATE), Some(&Value::Integer(3)));
    assert!(matches!(world.pass(3)[..], [Output::Ask { .. }]), "it starts again and registers");
    assert_eq!(world.device.value(&settings::FIRMWARE_VERSION), Some(&Value::String("2".into())));
    assert_eq!(world.device.value(&settings::FIRMWARE_RESULT), Some(&Value::Integer(1)));
}

#[test]
fn its_clock_runs_on_from_what_the_server_sets() {
    let mut world = World::registered(|_| {});
    let read = DeviceOperation::Read { path: settings::CURRENT_TIME };
    let clock = |world: &mut World| match world.put(&read).0 {
        Answer::Values(records) => records[0].value.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(clock(&mut world), Value::Time(1_790_000_000));
    world.put(&write(settings::CURRENT_TIME, Value::Time(1_000)));
    world.pass(5);
    assert_eq!(clock(&mut world), Value::Time(1_005));
}

#[test]
fn an_observe_option_that_cancels_is_answered_like_a_read() {
    let mut world = World::registered(|_| {});
    let mut request = Request::new(Method::Get, vec!["3303".into(), "0".into(), "5700".into()]);
    request.observe = Some(Observe::Cancel);
    let outputs = world.input(Input::Asked { token: 1, request });
    let [Output::Answer { response, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((response.code, response.observe), (Code::CONTENT, None));
}
