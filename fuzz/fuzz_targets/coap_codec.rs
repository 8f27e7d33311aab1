//! CoAP messages: what is read is written so that it reads the same, and options survive being taken apart.

#![no_main]

use bugle_coap::{Message, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    let Ok(message) = Message::decode(datagram) else { return };
    let mut written = Vec::new();
    message.encode_into(&mut written);
    // A sender need not write a delta or a length in as few bytes as it could, so the two may differ; not in what they say.
    assert_eq!(Message::decode(&written), Ok(message));

    let mut backwards = Options::new();
    let entries: Vec<_> = message.options.entries().collect();
    for (number, value) in entries.iter().rev() {
        if backwards.add(*number, value).is_ok() {
            assert!(backwards.view().entries().any(|entry| entry == (*number, value)));
        }
    }
    for (number, _) in &entries {
        backwards.remove(*number);
    }
    assert_eq!(backwards, Options::new());
    let _ = message.options.not_understood();
});
