//! Randoms, keys and connection ids, drawn from the seed.

use ring::hmac;
use zeroize::Zeroizing;

/// A sequence that nobody guesses who does not know the seed. What was drawn cannot be found out from what it is now.
pub(crate) struct Generator {
    state: Zeroizing<[u8; 32]>,
}

impl Generator {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { state: Zeroizing::new(seed) }
    }

    /// A secret for one purpose.
    pub(crate) fn secret(&mut self, purpose: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*self.state);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, purpose.as_bytes()).as_ref());
        self.state.copy_from_slice(hmac::sign(&key, b"next").as_ref());
        secret
    }

    /// The next bytes.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        const { assert!(N <= 32) };
        let mut drawn = [0; N];
        drawn.copy_from_slice(&self.secret("draw")[..N]);
        drawn
    }
}

impl std::fmt::Debug for Generator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Generator")
    }
}
