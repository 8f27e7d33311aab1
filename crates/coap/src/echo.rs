//! Whether a request's sender receives what is sent to it (RFC 9175 §2).
//!
//! 1. The caller challenges a request whose answer it would not send to a forged address.
//! 2. The peer asks again, with the value that it was sent.
//! 3. The value proves, without anything kept for it, that it was sent there a short while ago.

use std::hash::Hash;
use std::time::Duration;

use bugle_core::Time;

use crate::code::Code;
use crate::endpoint::Endpoint;
use crate::event::{Freshness, Gone, RequestHandle};
use crate::option::OptionNumber;
use crate::options::OptionsView;
use crate::response::Response;

/// For how long a value proves something.
const FRESH_FOR: Duration = Duration::from_secs(60);

impl<P: Copy + Eq + Hash> Endpoint<P> {
    /// Answers a request with 4.01 and a value to repeat.
    ///
    /// # Errors
    /// If it was answered, or its peer has given up or is forgotten.
    pub fn challenge(&mut self, now: Time, handle: RequestHandle) -> Result<(), Gone> {
        let peer = self.incoming.get(&handle).map(|incoming| self.peers.peer(incoming.peer)).ok_or(Gone)?;
        let mut response = Response::new(Code::UNAUTHORIZED);
        let proof = self.generator.echo(&peer, now).to_be_bytes();
        response.options.insert(OptionNumber::ECHO, &[now.as_millis().to_be_bytes(), proof].concat());
        self.respond(now, handle, response)
    }

    pub(crate) fn freshness(&self, now: Time, peer: P, options: OptionsView<'_>) -> Freshness {
        match options.first(OptionNumber::ECHO).is_some_and(|value| self.is_fresh(now, peer, value)) {
            true => Freshness::Echoed,
            false => Freshness::Unknown,
        }
    }

    fn is_fresh(&self, now: Time, peer: P, value: &[u8]) -> bool {
        let Some((at, proof)) = value.split_first_chunk() else { return false };
        let at = Time::from_millis(u64::from_be_bytes(*at));
        at <= now && now <= at + FRESH_FOR && *proof == self.generator.echo(&peer, at).to_be_bytes()
    }
}
