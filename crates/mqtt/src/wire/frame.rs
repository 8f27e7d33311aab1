//! Where one packet ends and the next begins (MQTT 5 §2.1).

use crate::Fault;

/// The first byte of a CONNECT.
pub(crate) const CONNECT: u8 = 0x10;

/// How many bytes the packet has that `bytes` begin with; none while not all of it is there.
///
/// # Errors
/// If it has more than `packet_bytes_max`, or says its length as the standard does not allow.
pub(crate) fn packet_bytes(bytes: &[u8], packet_bytes_max: u32) -> Result<Option<usize>, Fault> {
    let mut remaining = 0;
    for (index, byte) in bytes.iter().skip(1).enumerate() {
        // At most four bytes say the length [MQTT-1.5.5-1].
        if index == 4 {
            return Err(Fault::Malformed("the remaining length has more than four bytes"));
        }
        remaining |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            let total = 2 + index + remaining;
            if total > packet_bytes_max as usize {
                return Err(Fault::PacketTooLarge);
            }
            return Ok((total <= bytes.len()).then_some(total));
        }
    }
    Ok(None)
}

/// A whole packet without its fixed header.
pub(crate) fn body(packet: &[u8]) -> &[u8] {
    let length_bytes = packet.iter().skip(1).take_while(|byte| **byte & 0x80 != 0).count() + 1;
    packet.get(1 + length_bytes..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_ends_where_its_remaining_length_says() {
        assert_eq!(packet_bytes(&[], 100), Ok(None));
        assert_eq!(packet_bytes(&[0xC0], 100), Ok(None));
        assert_eq!(packet_bytes(&[0xC0, 0], 100), Ok(Some(2)));
        assert_eq!(packet_bytes(&[0x40, 2, 0, 1, 0xC0, 0], 100), Ok(Some(4)));
        assert_eq!(packet_bytes(&[0x30, 0x80], 100), Ok(None));
        let mut long = vec![0x30, 0x80, 0x01];
        long.resize(131, 0);
        assert_eq!(packet_bytes(&long, 131), Ok(Some(131)));
        assert_eq!(body(&long).len(), 128);
    }

    #[test]
    fn a_packet_that_will_be_too_large_is_known_by_its_header() {
        assert_eq!(packet_bytes(&[0x30, 99], 100), Err(Fault::PacketTooLarge));
        assert_eq!(packet_bytes(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F], 100), Err(Fault::PacketTooLarge));
    }

    #[test]
    fn a_length_of_five_bytes_is_malformed() {
        let bytes = [0x30, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert!(matches!(packet_bytes(&bytes, 100), Err(Fault::Malformed(_))));
        assert_eq!(packet_bytes(&bytes[..5], 100), Ok(None));
    }
}
