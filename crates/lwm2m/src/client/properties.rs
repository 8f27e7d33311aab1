//! What holds for a device whatever happens to it, in any order.

use bugle_core::PeripheralId;
use proptest::prelude::*;

use super::*;
use crate::operation::DeviceOperation;

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    Start,
    Leave,
    Wake,
    /// The oldest question that is open is answered.
    Answer(Code),
    /// The oldest question that is open is given up.
    GiveUp,
    Ask(DeviceOperation),
    Warmer,
    Send,
    /// So many milliseconds pass.
    Pass(u32),
}

fn operation() -> impl Strategy<Value = DeviceOperation> {
    let execute = |path| DeviceOperation::Execute { path, arguments: String::new() };
    prop_oneof![
        Just(DeviceOperation::Read { path: Path::of_object(3) }),
        Just(DeviceOperation::Observe { path: settings::TEMPERATURE }),
        Just(DeviceOperation::Discover { path: Path::of_object(3311) }),
        Just(execute(settings::REBOOT)),
        Just(execute(settings::DISABLE)),
        Just(execute(settings::UPDATE_TRIGGER)),
        Just(execute(settings::FIRMWARE_UPDATE)),
        Just(DeviceOperation::Create { path: Path::of_instance(3311, 5), records: Vec::new() }),
        Just(DeviceOperation::Delete { path: Path::of_instance(3311, 5) }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let codes = [Code::CREATED, Code::CHANGED, Code::NOT_FOUND, Code::PRECONDITION_FAILED, Code::SERVICE_UNAVAILABLE];
    prop_oneof![
        1 => Just(Step::Start),
        1 => Just(Step::Leave),
        2 => Just(Step::Wake),
        6 => prop::sample::select(codes.to_vec()).prop_map(Step::Answer),
        1 => Just(Step::GiveUp),
        4 => operation().prop_map(Step::Ask),
        2 => Just(Step::Warmer),
        1 => Just(Step::Send),
        6 => (0..200_000_u32).prop_map(Step::Pass),
    ]
}

/// A device, and what a world around it has to keep in mind.
struct World {
    now: Time,
    device: Device,
    open: VecDeque<u64>,
    is_asleep: bool,
    answers: usize,
    degrees: f64,
}

impl World {
    fn new(sleep: Sleep) -> Self {
        let mut settings = Settings::new(PeripheralId::new("x").expect("a name"));
        settings.sleep = sleep;
        let (now, device) = (Time::from_millis(1), Device::new(settings));
        Self { now, device, open: VecDeque::new(), is_asleep: false, answers: 0, degrees: 0.0 }
    }

    fn drain(&mut self) {
        while let Some(output) = self.device.poll_output() {
            match output {
                Output::Asleep { until } => {
                    assert!(until >= self.now && !self.is_asleep);
                    self.is_asleep = true;
                }
                Output::Awake => {
                    assert!(self.is_asleep);
                    self.is_asleep = false;
                }
                Output::Ask { exchange, .. } => {
                    assert!(!self.is_asleep, "it asks while it sleeps");
                    self.open.push_back(exchange);
                }
                Output::Answer { .. } => {
                    assert!(!self.is_asleep, "it answers while it sleeps");
                    self.answers += 1;
                }
                Output::Notify { .. } => assert!(!self.is_asleep, "it tells while it sleeps"),
                Output::Registered { .. }
                | Output::Refused { .. }
                | Output::Left
                | Output::Written { .. }
                | Output::Executed { .. } => {}
            }
        }
        assert_eq!(self.is_asleep, self.device.is_asleep());
    }

    fn input(&mut self, input: Input) {
        self.device.handle_input(self.now, input);
        self.drain();
    }

    fn pass(&mut self, millis: u32) {
        let end = self.now + Duration::from_millis(u64::from(millis));
        let mut timeouts = 0;
        while let Some(at) = self.device.next_timeout().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.device.handle_timeout(self.now);
            self.drain();
            timeouts += 1;
            assert!(timeouts < 1000, "a timeout that is never done with");
        }
        self.now = end;
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Start if !self.device.is_registered() && !self.device.is_asleep() => self.input(Input::Start),
            Step::Start => {}
            Step::Leave => self.input(Input::Leave),
            Step::Wake => self.input(Input::Wake),
            Step::Answer(code) => {
                let Some(exchange) = self.open.pop_front() else { return };
                let mut response = Response::new(code);
                response.location = vec!["rd".into(), "1".into()];
                self.input(Input::Answered { exchange, response });
            }
            Step::GiveUp => {
                let Some(exchange) = self.open.pop_front() else { return };
                self.input(Input::Unanswered { exchange });
            }
            Step::Ask(operation) => {
                let registration = self.device.settings.registration(Version::V1_1, &self.device.tree);
                let request = operation.to_request(&registration).expect("an operation for this client");
                let (before, expected) = (self.answers, usize::from(!self.is_asleep));
                self.input(Input::Asked { token: 1, request });
                assert_eq!(self.answers - before, expected, "one answer if it hears, none if not");
            }
            Step::Warmer => {
                self.degrees += 1.0;
                self.input(Input::Set { path: settings::TEMPERATURE, value: Value::Float(self.degrees) });
            }
            Step::Send => self.input(Input::Send { paths: vec![settings::TEMPERATURE] }),
            Step::Pass(millis) => self.pass(millis),
        }
    }
}

proptest! {
    #[test]
    fn a_device_is_silent_asleep_answers_awake_and_always_comes_to_rest(
        is_sleeper: bool,
        forgets: bool,
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let wakes_with = if forgets { WakesWith::Register } else { WakesWith::Update };
        let (awake, every) = (Duration::from_secs(10), Duration::from_secs(60));
        let sleep = if is_sleeper { Sleep::QueueMode { awake, every, wakes_with } } else { Sleep::Never };
        let mut world = World::new(sleep);
        for step in steps {
            world.step(step);
        }
    }

    #[test]
    fn a_device_registers_again_whatever_was_before(
        is_sleeper: bool,
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let (awake, every) = (Duration::from_secs(10), Duration::from_secs(60));
        let sleep = if is_sleeper {
            Sleep::QueueMode { awake, every, wakes_with: WakesWith::Update }
        } else {
            Sleep::Never
        };
        let mut world = World::new(sleep);
        world.step(Step::Start);
        for step in steps.into_iter().filter(|step| !matches!(step, Step::Leave)) {
            world.step(step);
        }
        // The server is well from now on, and a day is the longest that it sent the device away for.
        for _ in 0..200 {
            while !world.open.is_empty() {
                world.step(Step::Answer(Code::CREATED));
            }
            if world.device.is_registered() {
                return Ok(());
            }
            world.pass(3_600_000);
        }
        prop_assert!(false, "it never came back: {:?}", world.device);
    }
}
