//! The link's log entries and stream messages: whatever is read is written so that it reads the same.

#![no_main]

use bugle_core::Time;
use bugle_wire::{FromGateway, FromPlatform, decode_down, decode_up, encode_down, encode_up, proto};
use libfuzzer_sys::fuzz_target;
use prost::Message;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(entry) = decode_up(bytes) {
        assert_eq!(decode_up(&encode_up(&entry)), Ok(entry));
    }
    if let Ok(entry) = decode_down(bytes, Time::ZERO) {
        assert_eq!(decode_down(&encode_down(&entry, Time::ZERO), Time::ZERO), Ok(entry));
    }
    if let Some(message) =
        proto::FromGateway::decode(bytes).ok().and_then(|message| FromGateway::try_from(message).ok())
    {
        assert_eq!(FromGateway::try_from(proto::FromGateway::from(message.clone())), Ok(message));
    }
    if let Some(message) =
        proto::FromPlatform::decode(bytes).ok().and_then(|message| FromPlatform::try_from(message).ok())
    {
        assert_eq!(FromPlatform::try_from(proto::FromPlatform::from(message.clone())), Ok(message));
    }
});
