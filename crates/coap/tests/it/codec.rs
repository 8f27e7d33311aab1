//! The codec against another one, and against noise.

use bugle_coap::{Code, Config, Endpoint, Message, MessageId, MessageType, OptionNumber, Options, Token};
use bugle_core::Time;
use coap_lite::Packet;
use proptest::prelude::*;

fn message_type() -> impl Strategy<Value = MessageType> {
    prop_oneof![
        Just(MessageType::Confirmable),
        Just(MessageType::NonConfirmable),
        Just(MessageType::Acknowledgement),
        Just(MessageType::Reset)
    ]
}

fn code() -> impl Strategy<Value = Code> {
    (prop_oneof![Just(0_u8), Just(2), Just(4), Just(5)], 1..32_u8).prop_map(|(class, detail)| Code::new(class, detail))
}

fn options() -> impl Strategy<Value = Options> {
    let number = prop_oneof![1..70_u16, 250..300_u16, any::<u16>()];
    let value = prop_oneof![prop::collection::vec(any::<u8>(), 0..16), prop::collection::vec(0x61..0x7b_u8, 0..300)];
    prop::collection::vec((number, value), 0..10).prop_map(|entries| {
        let mut options = Options::new();
        for (number, value) in entries {
            // A value that the option may not have is left out.
            let _ = options.add(OptionNumber::new(number), &value);
        }
        options
    })
}

/// Something close to a message, to get past the first checks.
fn nearly_a_message() -> impl Strategy<Value = Vec<u8>> {
    (0x40..0x80_u8, prop_oneof![0..8_u8, 0x40..0x48_u8, any::<u8>()], prop::collection::vec(any::<u8>(), 2..60))
        .prop_map(|(first, code, rest)| [&[first & 0xf3, code][..], &rest].concat())
}

proptest! {
    #[test]
    fn a_message_reads_back_as_written_and_another_codec_reads_it_alike(
        message_type in message_type(),
        code in code(),
        message_id: u16,
        token in prop::collection::vec(any::<u8>(), 0..=8),
        options in options(),
        payload in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let message = Message {
            message_type,
            code,
            message_id: MessageId::new(message_id),
            token: Token::new(&token).expect("at most eight bytes"),
            options: options.view(),
            payload: &payload,
        };
        let mut datagram = Vec::new();
        message.encode_into(&mut datagram);
        prop_assert_eq!(Message::decode(&datagram), Ok(message));

        let packet = Packet::from_bytes(&datagram).expect("another codec reads it, too");
        prop_assert_eq!(u8::from(packet.header.code), code.as_byte());
        prop_assert_eq!(packet.header.message_id, message_id);
        prop_assert_eq!(packet.get_token(), token.as_slice());
        prop_assert_eq!(&packet.payload, &payload);
        let theirs = packet.options().flat_map(|(number, values)| values.iter().map(|value| (*number, value.clone())));
        let ours = options.view().entries().map(|(number, value)| (number.number(), value.to_vec()));
        prop_assert_eq!(ours.collect::<Vec<_>>(), theirs.collect::<Vec<_>>());
    }

    #[test]
    fn what_can_be_read_is_written_in_a_form_that_reads_alike(datagram in nearly_a_message()) {
        if let Ok(message) = Message::decode(&datagram) {
            let mut written = Vec::new();
            message.encode_into(&mut written);
            prop_assert_eq!(Message::decode(&written), Ok(message));
            prop_assert!(Packet::from_bytes(&datagram).is_ok());
        }
    }

    #[test]
    fn noise_does_not_stop_an_endpoint(datagrams in prop::collection::vec((0..3_u8, nearly_a_message()), 1..40)) {
        let mut endpoint = Endpoint::new(Config::default(), [7; 16]);
        for (step, (peer, datagram)) in datagrams.iter().enumerate() {
            let now = Time::from_millis(step as u64 * 700);
            endpoint.handle_datagram(now, *peer, datagram);
            endpoint.handle_timeout(now);
            while endpoint.poll_output().is_some() {}
        }
        let mut now = Time::from_millis(0);
        while let Some(next) = endpoint.next_timeout() {
            now = now.max(next);
            endpoint.handle_timeout(now);
        }
        prop_assert_eq!(endpoint.census(), bugle_coap::Census::default());
    }
}
