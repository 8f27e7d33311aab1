//! From what both sides know to the keys of the records (RFC 5246 §5, §6.3, §8.1; RFC 4279 §2; RFC 7627 §4).

use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::aead::RecordKey;

/// What both sides of a handshake know, and nobody else.
pub(crate) struct Master(Zeroizing<[u8; 48]>);

/// The keys of both directions.
#[derive(Debug)]
pub(crate) struct RecordKeys {
    pub(crate) client: RecordKey,
    pub(crate) server: RecordKey,
}

/// Whose Finished.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Finisher {
    Client,
    Server,
}

impl Master {
    /// The secret that is bound to all that was said before (RFC 7627 §4).
    pub(crate) fn extended(premaster: &[u8], transcript: &[u8]) -> Self {
        Self::derive(premaster, "extended master secret", &[&sha256(transcript)])
    }

    /// The secret that is bound to the randoms (RFC 5246 §8.1).
    pub(crate) fn plain(premaster: &[u8], client_random: &[u8; 32], server_random: &[u8; 32]) -> Self {
        Self::derive(premaster, "master secret", &[client_random, server_random])
    }

    fn derive(premaster: &[u8], label: &str, seed: &[&[u8]]) -> Self {
        let mut master = Zeroizing::new([0; 48]);
        expand(premaster, label, seed, &mut *master);
        Self(master)
    }

    /// RFC 5246 §6.3: first the keys, the client's before the server's, then the fixed parts of the nonces.
    pub(crate) fn record_keys(&self, client_random: &[u8; 32], server_random: &[u8; 32]) -> RecordKeys {
        let mut block = Zeroizing::new([0; 40]);
        expand(&*self.0, "key expansion", &[server_random, client_random], &mut *block);
        let key = |at: usize| block[at..at + 16].try_into().expect("as long as a key");
        let salt = |at: usize| block[at..at + 4].try_into().expect("as long as a salt");
        RecordKeys {
            client: RecordKey { key: key(0), salt: salt(32) },
            server: RecordKey { key: key(16), salt: salt(36) },
        }
    }

    /// RFC 5246 §7.4.9: the proof that one side has seen all that was said.
    pub(crate) fn verify_data(&self, finisher: Finisher, transcript: &[u8]) -> [u8; 12] {
        let label = match finisher {
            Finisher::Client => "client finished",
            Finisher::Server => "server finished",
        };
        let mut data = [0; 12];
        expand(&*self.0, label, &[&sha256(transcript)], &mut data);
        data
    }
}

impl std::fmt::Debug for Master {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Master")
    }
}

/// RFC 4279 §2: as many zeros as the key has bytes, and the key, each with its length.
pub(crate) fn psk_premaster(key: &[u8]) -> Zeroizing<Vec<u8>> {
    let length = u16::try_from(key.len()).expect("keys are at most 64 bytes long").to_be_bytes();
    Zeroizing::new([&length[..], &vec![0; key.len()], &length, key].concat())
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::digest(&digest::SHA256, bytes).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// RFC 5246 §5: P_SHA256 over label and seed.
fn expand(secret: &[u8], label: &str, seed: &[&[u8]], out: &mut [u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let begin = |first: &[u8]| {
        let mut context = hmac::Context::with_key(&key);
        context.update(first);
        context.update(label.as_bytes());
        seed.iter().for_each(|part| context.update(part));
        context.sign()
    };
    let mut chain = begin(&[]);
    for block in out.chunks_mut(32) {
        block.copy_from_slice(&begin(chain.as_ref()).as_ref()[..block.len()]);
        chain = hmac::sign(&key, chain.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that was posted to the TLS working group, with which all compare.
    #[test]
    fn the_expansion_is_that_of_tls_1_2_with_sha_256() {
        let secret = [0x9b, 0xbe, 0x43, 0x6b, 0xa9, 0x40, 0xf0, 0x17, 0xb1, 0x76, 0x52, 0x84, 0x9a, 0x71, 0xdb, 0x35];
        let seed = [0xa0, 0xba, 0x9f, 0x93, 0x6c, 0xda, 0x31, 0x18, 0x27, 0xa6, 0xf7, 0x96, 0xff, 0xd5, 0x19, 0x8c];
        let mut out = [0; 100];
        expand(&secret, "test label", &[&seed], &mut out);
        assert_eq!(out[..8], [0xe3, 0xf2, 0x29, 0xba, 0x72, 0x7b, 0xe1, 0x7b]);
        assert_eq!(out[92..], [0x10, 0xff, 0xf7, 0x01, 0x87, 0x34, 0x7b, 0x66]);
    }
}
