//! What stands for the peripheral in the text of a waker.

use std::fmt::Write as _;

use bugle_core::PeripheralId;

const PERIPHERAL: &str = "{peripheral}";

/// The text with the peripheral's id in it.
pub(super) fn fill(text: &str, peripheral: &PeripheralId) -> String {
    text.replace(PERIPHERAL, peripheral.as_str())
}

/// The URL with the peripheral's id in it, percent-encoded (RFC 3986 §2.1) but for what is unreserved
/// (§2.3).
pub(super) fn fill_encoded(url: &str, peripheral: &PeripheralId) -> String {
    let mut encoded = String::new();
    for byte in peripheral.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a text does not fail");
        }
    }
    url.replace(PERIPHERAL, &encoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peripheral_cannot_add_to_the_url_that_its_id_is_put_into() {
        let id: PeripheralId = "urn:imei:1&all=1".parse().expect("a peripheral id");
        assert_eq!(fill_encoded("http://sms/{peripheral}?x", &id), "http://sms/urn%3Aimei%3A1%26all%3D1?x");
        assert_eq!(fill("wake {peripheral}!", &id), "wake urn:imei:1&all=1!");
    }
}
