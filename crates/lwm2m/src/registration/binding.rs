//! Over what a client can be reached, and whether it sleeps (LwM2M 1.1 core, 6.2.1; 1.0, 5.3.1.1).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::Version;

/// What LwM2M runs over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// CoAP over UDP.
    Udp,
    /// CoAP over TCP.
    Tcp,
    /// CoAP over SMS.
    Sms,
    /// CoAP over cellular messages that are not IP.
    NonIp,
    /// MQTT.
    Mqtt,
    /// HTTP.
    Http,
}

impl Transport {
    /// In the order of their bits, with their letters.
    const ALL: [(Self, char); 6] = [
        (Self::Udp, 'U'),
        (Self::Tcp, 'T'),
        (Self::Sms, 'S'),
        (Self::NonIp, 'N'),
        (Self::Mqtt, 'M'),
        (Self::Http, 'H'),
    ];

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// The transports of a client, and whether it uses queue mode: a sleeper that can be reached only a
/// short while after it has said something (LwM2M 1.1 core, 6.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Binding(u8);

/// Why a text is no binding. The fault is of the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a binding is some of the letters U, T, S, N, M, H, each once, in 1.0 followed by Q")]
pub struct BindingError;

impl Binding {
    const QUEUE: u8 = 1 << 7;

    /// UDP without queue mode: what a client has that names no binding.
    pub const UDP: Self = Self(Transport::Udp.bit());

    /// Whether the client can be reached over this.
    #[must_use]
    pub const fn has(self, transport: Transport) -> bool {
        self.0 & transport.bit() != 0
    }

    /// Whether the client sleeps.
    #[must_use]
    pub const fn is_queue_mode(self) -> bool {
        self.0 & Self::QUEUE != 0
    }

    /// The same with queue mode.
    #[must_use]
    pub const fn with_queue_mode(self) -> Self {
        Self(self.0 | Self::QUEUE)
    }

    /// As the parameter `b` says it to a server of this version: queue mode is in it up to 1.0, and a
    /// parameter of its own from 1.1 on.
    #[must_use]
    pub fn to_parameter(self, version: Version) -> String {
        let letters = Transport::ALL.into_iter().filter(|(transport, _)| self.has(*transport));
        let mut text: String = letters.map(|(_, letter)| letter).collect();
        if version == Version::V1_0 && self.is_queue_mode() {
            text.insert(1, 'Q');
        }
        text
    }
}

impl Default for Binding {
    fn default() -> Self {
        Self::UDP
    }
}

impl FromStr for Binding {
    type Err = BindingError;

    fn from_str(text: &str) -> Result<Self, BindingError> {
        let mut bits = 0;
        for letter in text.chars() {
            if letter == 'Q' {
                // It belongs to the letter before it.
                if bits == 0 {
                    return Err(BindingError);
                }
                bits |= Self::QUEUE;
                continue;
            }
            let (transport, _) = Transport::ALL.into_iter().find(|(_, known)| *known == letter).ok_or(BindingError)?;
            if bits & transport.bit() != 0 {
                return Err(BindingError);
            }
            bits |= transport.bit();
        }
        if bits == 0 { Err(BindingError) } else { Ok(Self(bits)) }
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_parameter(Version::V1_0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_of_1_0_is_read_and_written() {
        for text in ["U", "UQ", "S", "SQ", "US", "UQS"] {
            let binding: Binding = text.parse().expect("a binding of 1.0");
            assert_eq!(binding.to_parameter(Version::V1_0), text);
            assert_eq!(binding.is_queue_mode(), text.contains('Q'));
        }
    }

    #[test]
    fn from_1_1_on_queue_mode_is_not_in_the_binding() {
        let binding: Binding = "UT".parse().expect("a binding of 1.1");
        assert!(binding.has(Transport::Udp) && binding.has(Transport::Tcp) && !binding.has(Transport::Sms));
        assert_eq!(binding.with_queue_mode().to_parameter(Version::V1_1), "UT");
        assert_eq!("NMH".parse::<Binding>().map(|binding| binding.has(Transport::Mqtt)), Ok(true));
    }

    #[test]
    fn other_texts_are_no_binding() {
        for text in ["", "Q", "QU", "UU", "u", "UX"] {
            assert_eq!(text.parse::<Binding>(), Err(BindingError), "{text}");
        }
    }
}
