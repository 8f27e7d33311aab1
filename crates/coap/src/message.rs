//! One message as it stands in a datagram (RFC 7252 §3).
//!
//! ```text
//!  0                   1                   2                   3
//! |Ver| T |  TKL  |      Code     |          Message ID           |
//! |   Token (TKL bytes) ...   Options ...   |1 1 1 1 1 1 1 1|   Payload ...
//! ```

use thiserror::Error;

use crate::code::Code;
use crate::datagram::Datagram;
use crate::options::{OptionsView, PAYLOAD_MARKER};
use crate::token::{MessageId, Token};

/// How a message wants to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// It is sent again until it is acknowledged.
    Confirmable,
    /// It is sent once.
    NonConfirmable,
    /// It acknowledges a confirmable message, and may carry the response.
    Acknowledgement,
    /// It says that a message could not be dealt with.
    Reset,
}

impl MessageType {
    const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            0 => Self::Confirmable,
            1 => Self::NonConfirmable,
            2 => Self::Acknowledgement,
            _ => Self::Reset,
        }
    }
}

/// A message, read from a datagram or to be written into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// How it wants to be treated.
    pub message_type: MessageType,
    /// What it asks or answers.
    pub code: Code,
    /// Which message of its sender it is.
    pub message_id: MessageId,
    /// Which request it is or answers.
    pub token: Token,
    /// Its options.
    pub options: OptionsView<'a>,
    /// Its payload.
    pub payload: &'a [u8],
}

/// What is wrong with the format of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FormatError {
    /// A token length of 9 to 15, or fewer bytes than it says.
    #[error("the token has more than 8 bytes or is cut off")]
    Token,
    /// An option whose number is too large, or that is cut off.
    #[error("an option is cut off or has no valid number")]
    Option,
    /// A payload marker that no payload follows.
    #[error("a payload is announced and there is none")]
    EmptyPayload,
    /// A code of class 1, 3, 6 or 7.
    #[error("the class of the code is reserved")]
    ReservedClass,
    /// Something behind the header of a message with code 0.00.
    #[error("an empty message is not empty")]
    NotEmpty,
}

/// Why a datagram is no message. The fault is of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is too short for a header, or of another version. It must be ignored (RFC 7252 §3).
    #[error("this is no CoAP message of version 1")]
    NotCoap,
    /// The header can be read, the rest cannot.
    #[error("message {message_id:?} is malformed: {error}")]
    Malformed {
        /// How the message wants to be treated.
        message_type: MessageType,
        /// Which message it is, so that it can be rejected.
        message_id: MessageId,
        /// What is wrong with it.
        error: FormatError,
    },
}

impl<'a> Message<'a> {
    const VERSION: u8 = 1;

    /// A message without token, options and payload.
    #[must_use]
    pub fn empty(message_type: MessageType, message_id: MessageId) -> Self {
        Self {
            message_type,
            code: Code::EMPTY,
            message_id,
            token: Token::EMPTY,
            options: OptionsView::default(),
            payload: &[],
        }
    }

    /// Reads a datagram.
    ///
    /// # Errors
    /// If it is no message that the standard allows.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let (&[first, code, high, low], rest) = datagram.split_first_chunk().ok_or(DecodeError::NotCoap)?;
        if first >> 6 != Self::VERSION {
            return Err(DecodeError::NotCoap);
        }
        let message_type = MessageType::from_bits(first >> 4);
        let message_id = MessageId::new(u16::from_be_bytes([high, low]));
        let malformed = |error| DecodeError::Malformed { message_type, message_id, error };
        let code = Code::from_byte(code);
        // RFC 7252 §4.1: an empty message has nothing behind its header.
        if code == Code::EMPTY && (first & 0x0f != 0 || !rest.is_empty()) {
            return Err(malformed(FormatError::NotEmpty));
        }
        if code != Code::EMPTY && !code.is_request() && !code.is_response() {
            return Err(malformed(FormatError::ReservedClass));
        }
        let split = rest.split_at_checked(usize::from(first & 0x0f));
        let (token, rest) = split.ok_or_else(|| malformed(FormatError::Token))?;
        let token = Token::new(token).ok_or_else(|| malformed(FormatError::Token))?;
        let (options, payload) = OptionsView::parse(rest).map_err(malformed)?;
        Ok(Self { message_type, code, message_id, token, options, payload })
    }

    /// The message as a datagram, written in `scratch` first.
    pub(crate) fn write(&self, scratch: &mut Vec<u8>) -> Datagram {
        scratch.clear();
        self.encode_into(scratch);
        Datagram::new(scratch)
    }

    /// Writes the message behind what is in `datagram`.
    pub fn encode_into(&self, datagram: &mut Vec<u8>) {
        let token = self.token.as_bytes();
        datagram.push((Self::VERSION << 6) | ((self.message_type as u8) << 4) | token.len() as u8);
        datagram.push(self.code.as_byte());
        datagram.extend_from_slice(&self.message_id.number().to_be_bytes());
        datagram.extend_from_slice(token);
        datagram.extend_from_slice(self.options.as_bytes());
        if !self.payload.is_empty() {
            datagram.push(PAYLOAD_MARKER);
            datagram.extend_from_slice(self.payload);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::option::OptionNumber;
    use crate::options::Options;

    fn malformed(datagram: &[u8]) -> FormatError {
        match Message::decode(datagram) {
            Err(DecodeError::Malformed { error, .. }) => error,
            other => panic!("{other:?}"),
        }
    }

    /// RFC 7252, figure 16: GET /temperature.
    #[test]
    fn the_first_message_of_the_standards_appendix_reads_and_writes_as_printed() {
        let mut printed = vec![0x40, 0x01, 0x7d, 0x34, 0xbb];
        printed.extend_from_slice(b"temperature");
        let message = Message::decode(&printed).expect("as printed");
        assert_eq!(message.message_type, MessageType::Confirmable);
        assert_eq!(message.message_id, MessageId::new(0x7d34));
        assert_eq!(message.options.texts(OptionNumber::URI_PATH).collect::<Vec<_>>(), ["temperature"]);
        let mut written = Vec::new();
        message.encode_into(&mut written);
        assert_eq!(written, printed);
    }

    /// RFC 7252, figure 17: 2.05 with a token and a payload.
    #[test]
    fn a_piggybacked_response_reads_and_writes_as_printed() {
        let mut printed = vec![0x61, 0x45, 0x7d, 0x35, 0x20, 0xff];
        printed.extend_from_slice(b"22.3 C");
        let message = Message::decode(&printed).expect("as printed");
        assert_eq!((message.message_type, message.code), (MessageType::Acknowledgement, Code::CONTENT));
        assert_eq!((message.token.as_bytes(), message.payload), (&[0x20][..], &b"22.3 C"[..]));
        let mut written = Vec::new();
        message.encode_into(&mut written);
        assert_eq!(written, printed);
    }

    #[test]
    fn another_version_and_a_short_datagram_are_not_coap() {
        for datagram in [&[][..], &[0x40, 0, 0], &[0x80, 1, 0, 0], &[0x00, 1, 0, 0]] {
            assert_eq!(Message::decode(datagram), Err(DecodeError::NotCoap));
        }
    }

    #[test]
    fn a_format_error_names_the_message_so_that_it_can_be_rejected() {
        for length in 9..=15 {
            let mut datagram = vec![0x40 | length, 1, 0, 1];
            datagram.extend_from_slice(&[0; 15]);
            assert_eq!(malformed(&datagram), FormatError::Token);
        }
        assert_eq!(malformed(&[0x42, 1, 0, 1, 7]), FormatError::Token);
        assert_eq!(malformed(&[0x40, 1, 0, 1, 0xff]), FormatError::EmptyPayload);
        assert_eq!(malformed(&[0x40, 0, 0, 1, 0xff, 1]), FormatError::NotEmpty);
        assert_eq!(malformed(&[0x41, 0, 0, 1, 1]), FormatError::NotEmpty);
        for class in [1_u8, 3, 6, 7] {
            assert_eq!(malformed(&[0x40, class << 5 | 1, 0, 1]), FormatError::ReservedClass);
        }
        for option in [&[0xf0, 0][..], &[0x0f, 0], &[0xd0], &[0xe0, 0], &[0x02, 0], &[0xe0, 0xfe, 0xf3]] {
            assert_eq!(malformed(&[&[0x40, 1, 0, 1], option].concat()), FormatError::Option, "{option:?}");
        }
    }

    #[test]
    fn a_message_with_everything_reads_back_as_written() {
        let mut options = Options::new();
        options.insert(OptionNumber::REQUEST_TAG, &[1; 8]);
        options.insert(OptionNumber::URI_PATH, &[b'p'; 255]);
        let message = Message {
            message_type: MessageType::NonConfirmable,
            code: Code::new(0, 5),
            message_id: MessageId::new(0xffff),
            token: Token::new(&[1, 2, 3, 4, 5, 6, 7, 8]).expect("eight bytes"),
            options: options.view(),
            payload: b"body",
        };
        let mut datagram = Vec::new();
        message.encode_into(&mut datagram);
        assert_eq!(Message::decode(&datagram), Ok(message));
    }
}
