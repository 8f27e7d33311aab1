//! Datagrams, written and read by hand.

use bugle_coap::{Code, Message, MessageId, MessageType, OptionNumber, Options, Token};

/// A message that owns its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wire {
    pub(crate) message_type: MessageType,
    pub(crate) code: Code,
    pub(crate) message_id: u16,
    pub(crate) token: Vec<u8>,
    pub(crate) options: Options,
    pub(crate) payload: Vec<u8>,
}

pub(crate) const GET: Code = Code::new(0, 1);
pub(crate) const POST: Code = Code::new(0, 2);
pub(crate) const PUT: Code = Code::new(0, 3);

impl Wire {
    pub(crate) fn new(message_type: MessageType, code: Code, message_id: u16) -> Self {
        Self { message_type, code, message_id, token: Vec::new(), options: Options::new(), payload: Vec::new() }
    }

    pub(crate) fn con(code: Code, message_id: u16) -> Self {
        Self::new(MessageType::Confirmable, code, message_id)
    }

    pub(crate) fn non(code: Code, message_id: u16) -> Self {
        Self::new(MessageType::NonConfirmable, code, message_id)
    }

    pub(crate) fn ack(code: Code, message_id: u16) -> Self {
        Self::new(MessageType::Acknowledgement, code, message_id)
    }

    pub(crate) fn rst(message_id: u16) -> Self {
        Self::new(MessageType::Reset, Code::EMPTY, message_id)
    }

    pub(crate) fn token(mut self, token: impl AsRef<[u8]>) -> Self {
        self.token = token.as_ref().to_vec();
        self
    }

    pub(crate) fn path(self, path: &str) -> Self {
        path.split('/').fold(self, |wire, segment| wire.option(OptionNumber::URI_PATH, segment.as_bytes()))
    }

    pub(crate) fn uint(mut self, number: OptionNumber, value: u32) -> Self {
        self.options.add_uint(number, value).expect("a value that the option may have");
        self
    }

    pub(crate) fn option(mut self, number: OptionNumber, value: &[u8]) -> Self {
        self.options.add(number, value).expect("a value that the option may have");
        self
    }

    /// A block as the standard writes it: 2:1/0/64 is `block(BLOCK2, 1, false, 64)`.
    pub(crate) fn block(self, option: OptionNumber, number: u32, has_more: bool, bytes: u32) -> Self {
        self.uint(option, number << 4 | u32::from(has_more) << 3 | (bytes.ilog2() - 4))
    }

    pub(crate) fn payload(mut self, payload: impl AsRef<[u8]>) -> Self {
        self.payload = payload.as_ref().to_vec();
        self
    }

    pub(crate) fn read(datagram: &[u8]) -> Self {
        let message = Message::decode(datagram).expect("an endpoint sends valid messages");
        Self {
            message_type: message.message_type,
            code: message.code,
            message_id: message.message_id.number(),
            token: message.token.as_bytes().to_vec(),
            options: message.options.to_options(),
            payload: message.payload.to_vec(),
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut datagram = Vec::new();
        let message = Message {
            message_type: self.message_type,
            code: self.code,
            message_id: MessageId::new(self.message_id),
            token: Token::new(&self.token).expect("at most eight bytes"),
            options: self.options.view(),
            payload: &self.payload,
        };
        message.encode_into(&mut datagram);
        datagram
    }

    /// The blocks that it speaks of, as the standard writes them.
    pub(crate) fn blocks(&self) -> String {
        let block = |name: &str, number| {
            let value = self.options.view().uint(number)?;
            Some(format!("{name}:{}/{}/{}", value >> 4, value >> 3 & 1, 16 << (value & 7)))
        };
        [block("2", OptionNumber::BLOCK2), block("1", OptionNumber::BLOCK1)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" ")
    }
}
