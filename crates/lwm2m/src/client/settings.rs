//! What a simulated device is like, and what it has in it.

use std::sync::LazyLock;
use std::time::Duration;

use bugle_core::PeripheralId;

use super::tree::Tree;
use crate::registration::{Binding, Registration};
use crate::{ContentFormat, ContentFormats, Path, Value, Version, limits, objects};

/// What a simulated device is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name.
    pub endpoint: PeripheralId,
    /// The newest version that it speaks; it falls back to older ones if the server asks it to.
    pub version: Version,
    /// How long its registration lasts without an update.
    pub lifetime: Duration,
    /// Whether it sleeps.
    pub sleep: Sleep,
    /// The formats that it understands, beside plain text and opaque.
    pub formats: ContentFormats,
    /// What it says of them when it registers.
    pub offer: Offer,
    /// What it answers in if the server leaves it the choice.
    pub preferred: ContentFormat,
    /// After how long it tries again to register; each further time after twice as long,
    pub retry: Duration,
    /// up to so long.
    pub retry_max: Duration,
}

/// What a device says of its formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offer {
    /// Which it understands.
    Understood,
    /// Nothing: its server has to find out.
    Nothing,
}

/// Whether a device sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sleep {
    /// It is always there.
    Never,
    /// Queue mode (LwM2M 1.1 core, 6.5).
    QueueMode {
        /// How long it listens after the last word in either direction.
        awake: Duration,
        /// How long after it fell asleep it wakes by itself.
        every: Duration,
        /// What it says when it wakes.
        wakes_with: WakesWith,
    },
}

/// What a device says when it wakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakesWith {
    /// An update of its registration.
    Update,
    /// A fresh registration: what devices do that forget while they sleep.
    Register,
}

impl Settings {
    /// A device of 1.1 that is always there and registers for five minutes.
    #[must_use]
    pub fn new(endpoint: PeripheralId) -> Self {
        Self {
            endpoint,
            version: Version::V1_1,
            lifetime: Duration::from_secs(300),
            sleep: Sleep::Never,
            formats: [ContentFormat::SENML_JSON, ContentFormat::SENML_CBOR, ContentFormat::TLV].into_iter().collect(),
            offer: Offer::Understood,
            preferred: ContentFormat::SENML_JSON,
            retry: Duration::from_secs(30),
            retry_max: Duration::from_secs(3600),
        }
    }

    /// Whether it understands a format.
    pub(super) fn understands(&self, format: ContentFormat) -> bool {
        matches!(format.canonical(), ContentFormat::TEXT | ContentFormat::OPAQUE) || self.formats.contains(format)
    }

    /// What it says of itself when it registers.
    pub(super) fn registration(&self, version: Version, tree: &Tree) -> Registration {
        let binding = match self.sleep {
            Sleep::Never => Binding::UDP,
            Sleep::QueueMode { .. } => Binding::UDP.with_queue_mode(),
        };
        let lifetime = match tree.value(&LIFETIME) {
            Some(Value::Integer(seconds)) => u64::try_from(*seconds).map_or(self.lifetime, Duration::from_secs),
            _ => self.lifetime,
        };
        let lifetime = if lifetime.is_zero() { limits::LIFETIME_MAX } else { lifetime };
        let formats = match self.offer {
            Offer::Understood => self.formats,
            Offer::Nothing => ContentFormats::NONE,
        };
        Registration::new(version, lifetime, binding, formats, tree.instances())
    }

    /// The objects of the device.
    pub(super) fn tree(&self) -> Tree {
        static MODEL: LazyLock<Tree> = LazyLock::new(model);
        let mut tree = MODEL.clone();
        tree.set(LIFETIME, Value::Integer(i64::try_from(self.lifetime.as_secs()).unwrap_or(i64::MAX)));
        tree.set(SERIAL_NUMBER, Value::String(self.endpoint.as_str().to_owned()));
        tree
    }
}

/// What all devices have in common.
fn model() -> Tree {
    let mut tree = Tree::default();
    let text = |text: &str| Value::String(text.to_owned());
    for (path, value) in [
        (Path::of_resource(objects::SECURITY, 0, 1), Value::Boolean(false)),
        (Path::of_resource(objects::SECURITY, 0, 2), Value::Integer(3)),
        (Path::of_resource(objects::SERVER, 0, 0), Value::Integer(1)),
        (LIFETIME, Value::Integer(0)),
        (DISABLE_TIMEOUT, Value::Integer(86_400)),
        (Path::of_resource(objects::SERVER, 0, 6), Value::Boolean(false)),
        (Path::of_resource(objects::SERVER, 0, 7), text("U")),
        (Path::of_resource(objects::DEVICE, 0, 0), text("Bugle")),
        (Path::of_resource(objects::DEVICE, 0, 1), text("Simulated device")),
        (SERIAL_NUMBER, text("")),
        (FIRMWARE_VERSION, text("1")),
        (Path::of_resource_instance(objects::DEVICE, 0, 6, 0), Value::Integer(1)),
        (Path::of_resource(objects::DEVICE, 0, 9), Value::Integer(100)),
        (Path::of_resource_instance(objects::DEVICE, 0, 11, 0), Value::Integer(0)),
        (CURRENT_TIME, Value::Time(0)),
        (Path::of_resource(objects::DEVICE, 0, 14), text("+00:00")),
        (Path::of_resource(objects::DEVICE, 0, 16), text("U")),
        (FIRMWARE_STATE, Value::Integer(0)),
        (FIRMWARE_RESULT, Value::Integer(0)),
        // Packages are pushed to it; it downloads none.
        (Path::of_resource(objects::FIRMWARE_UPDATE, 0, 9), Value::Integer(1)),
        (TEMPERATURE, Value::Float(21.5)),
        (Path::of_resource(objects::TEMPERATURE, 0, 5701), text("Cel")),
        (Path::of_resource(objects::LIGHT_CONTROL, 0, 5850), Value::Boolean(false)),
        (Path::of_resource(objects::LIGHT_CONTROL, 0, 5851), Value::Integer(0)),
        (Path::of_resource(objects::LIGHT_CONTROL, 0, 5750), text("")),
    ] {
        tree.set(path, value);
    }
    for path in [
        DISABLE,
        UPDATE_TRIGGER,
        REBOOT,
        FIRMWARE_PACKAGE,
        FIRMWARE_UPDATE,
        Path::of_resource(objects::BINARY_APP_DATA_CONTAINER, 0, 0),
    ] {
        tree.add_resource(path);
    }
    tree
}

pub(super) const LIFETIME: Path = Path::of_resource(objects::SERVER, 0, 1);
pub(super) const DISABLE: Path = Path::of_resource(objects::SERVER, 0, 4);
pub(super) const DISABLE_TIMEOUT: Path = Path::of_resource(objects::SERVER, 0, 5);
pub(super) const UPDATE_TRIGGER: Path = Path::of_resource(objects::SERVER, 0, 8);
const SERIAL_NUMBER: Path = Path::of_resource(objects::DEVICE, 0, 2);
pub(super) const FIRMWARE_VERSION: Path = Path::of_resource(objects::DEVICE, 0, 3);
pub(super) const REBOOT: Path = Path::of_resource(objects::DEVICE, 0, 4);
pub(super) const CURRENT_TIME: Path = Path::of_resource(objects::DEVICE, 0, 13);
pub(super) const FIRMWARE_PACKAGE: Path = Path::of_resource(objects::FIRMWARE_UPDATE, 0, 0);
pub(super) const FIRMWARE_UPDATE: Path = Path::of_resource(objects::FIRMWARE_UPDATE, 0, 2);
pub(super) const FIRMWARE_STATE: Path = Path::of_resource(objects::FIRMWARE_UPDATE, 0, 3);
pub(super) const FIRMWARE_RESULT: Path = Path::of_resource(objects::FIRMWARE_UPDATE, 0, 5);
pub(super) const TEMPERATURE: Path = Path::of_resource(objects::TEMPERATURE, 0, 5700);
