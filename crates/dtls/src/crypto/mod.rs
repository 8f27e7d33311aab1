//! The primitives, as the handshake and the records need them. None draws anything at random but from the seed.

mod aead;
mod agreement;
mod generator;
mod schedule;

pub(crate) use aead::{Aead, RecordKey};
pub(crate) use agreement::Ephemeral;
pub(crate) use generator::Generator;
pub(crate) use schedule::{Finisher, Master, psk_premaster};
