//! Puts a message together. What is longer than its length can say is a fault of ours.

pub(crate) fn put_u16(out: &mut Vec<u8>, value: usize) {
    let value = u16::try_from(value).expect("what is sent fits its length field");
    out.extend_from_slice(&value.to_be_bytes());
}

pub(crate) fn put_u24(out: &mut Vec<u8>, value: usize) {
    assert!(value < 1 << 24, "what is sent fits its length field");
    out.extend_from_slice(&(value as u32).to_be_bytes()[1..]);
}

pub(crate) fn put_u48(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes()[2..]);
}

/// A vector with its length in one byte.
pub(crate) fn put_vector8(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(u8::try_from(bytes.len()).expect("what is sent fits its length field"));
    out.extend_from_slice(bytes);
}

/// A vector with its length in two bytes.
pub(crate) fn put_vector16(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u16(out, bytes.len());
    out.extend_from_slice(bytes);
}

/// A vector with its length in three bytes.
pub(crate) fn put_vector24(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u24(out, bytes.len());
    out.extend_from_slice(bytes);
}
