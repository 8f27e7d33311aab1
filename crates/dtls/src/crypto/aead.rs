//! Authenticated encryption of records.
//!
//! What is kept is the key as it was derived, 16 bytes, and not as the cipher expands it: there are many sessions,
//! each with two keys, and expanding takes less than a record does.

use aes::Aes128;
use ccm::Ccm;
use ccm::aead::{AeadInPlace, KeyInit};
use ccm::consts::{U8, U12, U16};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroize;

type Ccm8 = Ccm<Aes128, U8, U12>;
type Ccm16 = Ccm<Aes128, U16, U12>;

/// How records are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Aead {
    Aes128Ccm8,
    Aes128Ccm,
    Aes128Gcm,
}

impl Aead {
    /// What it is called where sessions are kept.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Aes128Ccm8 => 1,
            Self::Aes128Ccm => 2,
            Self::Aes128Gcm => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Aes128Ccm8, Self::Aes128Ccm, Self::Aes128Gcm].into_iter().find(|aead| aead.code() == code)
    }

    pub(crate) const fn tag_bytes(self) -> usize {
        match self {
            Self::Aes128Ccm8 => 8,
            Self::Aes128Ccm | Self::Aes128Gcm => 16,
        }
    }
}

/// The key of one direction, with the fixed part of its nonces (RFC 5288 §3, RFC 6655 §3).
#[derive(Clone)]
pub(crate) struct RecordKey {
    pub(crate) key: [u8; 16],
    pub(crate) salt: [u8; 4],
}

impl RecordKey {
    fn nonce(&self, explicit: [u8; 8]) -> [u8; 12] {
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&self.salt);
        nonce[4..].copy_from_slice(&explicit);
        nonce
    }

    fn gcm(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &self.key).expect("the key has the length of the algorithm's"))
    }

    /// Encrypts what is in `out` from `from` on, and appends the tag.
    pub(crate) fn seal(&self, aead: Aead, explicit: [u8; 8], additional: &[u8], out: &mut Vec<u8>, from: usize) {
        let nonce = self.nonce(explicit);
        let text = &mut out[from..];
        match aead {
            Aead::Aes128Ccm8 => {
                let cipher = Ccm8::new((&self.key).into());
                let tag = cipher.encrypt_in_place_detached((&nonce).into(), additional, text);
                out.extend_from_slice(&tag.expect("a record is shorter than the cipher's limit"));
            }
            Aead::Aes128Ccm => {
                let cipher = Ccm16::new((&self.key).into());
                let tag = cipher.encrypt_in_place_detached((&nonce).into(), additional, text);
                out.extend_from_slice(&tag.expect("a record is shorter than the cipher's limit"));
            }
            Aead::Aes128Gcm => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                let tag = self.gcm().seal_in_place_separate_tag(nonce, Aad::from(additional), text);
                out.extend_from_slice(tag.expect("a record is shorter than the cipher's limit").as_ref());
            }
        }
    }

    /// Decrypts, if it authenticates. `sealed` is the text with its tag, and the text when this is done.
    #[must_use]
    pub(crate) fn open(&self, aead: Aead, explicit: [u8; 8], additional: &[u8], sealed: &mut Vec<u8>) -> bool {
        let nonce = self.nonce(explicit);
        let is_authentic = match aead {
            Aead::Aes128Ccm8 => sealed.split_last_chunk_mut::<8>().is_some_and(|(text, tag)| {
                let cipher = Ccm8::new((&self.key).into());
                cipher.decrypt_in_place_detached((&nonce).into(), additional, text, (&*tag).into()).is_ok()
            }),
            Aead::Aes128Ccm => sealed.split_last_chunk_mut::<16>().is_some_and(|(text, tag)| {
                let cipher = Ccm16::new((&self.key).into());
                cipher.decrypt_in_place_detached((&nonce).into(), additional, text, (&*tag).into()).is_ok()
            }),
            Aead::Aes128Gcm => {
                let nonce = Nonce::assume_unique_for_key(nonce);
                self.gcm().open_in_place(nonce, Aad::from(additional), sealed).is_ok()
            }
        };
        sealed.truncate(sealed.len().saturating_sub(aead.tag_bytes()));
        is_authentic
    }
}

impl Drop for RecordKey {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl std::fmt::Debug for RecordKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RecordKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: RecordKey = RecordKey { key: [7; 16], salt: [9; 4] };

    #[test]
    fn what_is_sealed_opens_and_what_was_touched_does_not() {
        for aead in [Aead::Aes128Ccm8, Aead::Aes128Ccm, Aead::Aes128Gcm] {
            let mut sealed = b"head and text".to_vec();
            KEY.seal(aead, [1; 8], b"additional", &mut sealed, 5);
            assert_eq!(sealed.len(), b"head and text".len() + aead.tag_bytes());
            let mut opened = sealed[5..].to_vec();
            assert!(KEY.open(aead, [1; 8], b"additional", &mut opened));
            assert_eq!(opened, b"and text");
            for touched in 0..sealed.len() - 5 {
                let mut other = sealed[5..].to_vec();
                other[touched] ^= 1;
                assert!(!KEY.open(aead, [1; 8], b"additional", &mut other));
            }
            assert!(!KEY.open(aead, [2; 8], b"additional", &mut sealed[5..].to_vec()));
            assert!(!KEY.open(aead, [1; 8], b"else", &mut sealed[5..].to_vec()));
            assert!(!KEY.open(aead, [1; 8], b"additional", &mut vec![0; 7]));
        }
    }
}
