//! Cookies (RFC 6347 §4.2.1): before anything is kept of a peer, it shows that it receives at its address.
//!
//! A cookie is the number of the period it was made in, and a MAC under the secret of that period over the address
//! and what a client repeats word for word. So whoever sends cookies keeps none of them, and no timer.

use std::hash::{Hash, Hasher};
use std::time::Duration;

use bugle_core::Time;
use ring::hmac;

use crate::wire::ClientHello;

/// One byte of the period's number, and the first 15 of the MAC. Some clients have room for no more than 16.
const COOKIE_BYTES: usize = 16;

/// A cookie is good for at least this long, and at most twice as long.
const PERIOD: Duration = Duration::from_secs(60);

/// Makes and verifies cookies.
pub(crate) struct Cookies {
    secret: hmac::Key,
}

impl Cookies {
    pub(crate) fn new(secret: [u8; 32]) -> Self {
        Self { secret: hmac::Key::new(hmac::HMAC_SHA256, &secret) }
    }

    pub(crate) fn cookie<P: Hash>(&self, now: Time, peer: &P, hello: &ClientHello<'_>) -> [u8; COOKIE_BYTES] {
        self.cookie_of(period(now), peer, hello)
    }

    /// Whether the hello carries a cookie of this period or the one before.
    pub(crate) fn has_cookie<P: Hash>(&self, now: Time, peer: &P, hello: &ClientHello<'_>) -> bool {
        let current = period(now);
        [current, current.saturating_sub(1)].into_iter().any(|period| {
            hello.cookie.first() == Some(&(period as u8))
                && bool::from(subtle::ConstantTimeEq::ct_eq(&self.cookie_of(period, peer, hello)[..], hello.cookie))
        })
    }

    fn cookie_of<P: Hash>(&self, period: u64, peer: &P, hello: &ClientHello<'_>) -> [u8; COOKIE_BYTES] {
        let secret = hmac::sign(&self.secret, &period.to_be_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_ref());
        let mut absorber = Absorber(hmac::Context::with_key(&key));
        peer.hash(&mut absorber);
        let parameters = [&hello.random, hello.session_id, hello.suites, hello.compressions];
        absorber.write_u16(hello.version.0);
        for parameter in parameters {
            absorber.write_usize(parameter.len());
            absorber.write(parameter);
        }
        let mut cookie = [period as u8; COOKIE_BYTES];
        cookie[1..].copy_from_slice(&absorber.0.sign().as_ref()[..COOKIE_BYTES - 1]);
        cookie
    }
}

impl std::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cookies")
    }
}

fn period(now: Time) -> u64 {
    now.as_millis() / PERIOD.as_millis() as u64
}

/// Lets a MAC take in whatever can be hashed.
struct Absorber(hmac::Context);

impl Hasher for Absorber {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Nobody asks: what is wanted is the MAC.
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::CipherSuite;
    use crate::wire::Extensions;

    const NOW: Time = Time::from_millis(1_000_000_000);

    fn hello(random: u8, cookie: &[u8]) -> Vec<u8> {
        ClientHello::write(&[random; 32], cookie, &CipherSuite::ALL, &Extensions::default())
    }

    #[test]
    fn a_cookie_is_good_for_its_address_its_hello_and_two_periods() {
        let cookies = Cookies::new([1; 32]);
        let first = hello(7, &[]);
        let cookie = cookies.cookie(NOW, &"here", &ClientHello::parse(&first).expect("well-formed"));
        let second = hello(7, &cookie);
        let second = ClientHello::parse(&second).expect("well-formed");
        assert!(cookies.has_cookie(NOW, &"here", &second));
        assert!(cookies.has_cookie(NOW + PERIOD, &"here", &second));
        assert!(!cookies.has_cookie(NOW + PERIOD * 2, &"here", &second));
        // The number of the period comes round again, the secret does not.
        assert!(!cookies.has_cookie(NOW + PERIOD * 256, &"here", &second));
        assert!(!cookies.has_cookie(NOW, &"there", &second));
        assert!(!Cookies::new([2; 32]).has_cookie(NOW, &"here", &second));
        let other = hello(8, &cookie);
        assert!(!cookies.has_cookie(NOW, &"here", &ClientHello::parse(&other).expect("well-formed")));
    }
}
