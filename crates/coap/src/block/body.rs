//! Bodies that peers fetch from us block by block, in whatever order they like (RFC 7959 §2.4).

use std::collections::BTreeMap;

use bugle_core::Time;

use super::{Block, BodyKey};
use crate::limits::Limits;
use crate::option::OptionNumber;
use crate::peers::PeerIndex;
use crate::response::Response;

#[derive(Debug)]
struct Body {
    response: Response,
    until: Time,
}

#[derive(Debug, Default)]
pub(crate) struct Bodies {
    kept: BTreeMap<(PeerIndex, BodyKey), Body>,
    bytes: usize,
}

impl Bodies {
    /// Keeps a response for its peer to fetch the rest of. If there is no room, it is not kept: the
    /// peer's next block is then asked of the caller.
    pub(crate) fn keep(&mut self, until: Time, of: (PeerIndex, BodyKey), response: Response, limits: &Limits) {
        self.remove(&of);
        let bytes = response.payload.len();
        if self.bytes + bytes > limits.bodies_bytes_max {
            return;
        }
        while self.of(of.0).count() >= limits.bodies_per_peer_max {
            let oldest = self.of(of.0).min_by_key(|(_, body)| body.until).map(|(of, _)| of.clone());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        self.kept.insert(of, Body { response, until });
    }

    /// The response that a peer is fetching, which stays for another while.
    pub(crate) fn fetch(&mut self, until: Time, of: &(PeerIndex, BodyKey)) -> Option<&Response> {
        let body = self.kept.get_mut(of)?;
        body.until = until;
        Some(&body.response)
    }

    /// Forgets what a peer has not fetched from for long. Whether anything is left.
    pub(crate) fn purge(&mut self, now: Time, peer: PeerIndex) -> bool {
        let over: Vec<_> = self.of(peer).filter(|(_, body)| body.until <= now).map(|(of, _)| of.clone()).collect();
        for of in over {
            self.remove(&of);
        }
        self.of(peer).next().is_some()
    }

    /// Forgets all of a peer.
    pub(crate) fn forget(&mut self, peer: PeerIndex) {
        self.purge(Time::MAX, peer);
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    fn of(&self, peer: PeerIndex) -> impl Iterator<Item = (&(PeerIndex, BodyKey), &Body)> {
        self.kept.range((peer, BodyKey::first())..).take_while(move |((of, _), _)| *of == peer)
    }

    fn remove(&mut self, of: &(PeerIndex, BodyKey)) {
        if let Some(body) = self.kept.remove(of) {
            self.bytes -= body.response.payload.len();
        }
    }
}

/// One block of a response; none if the body ends before it.
pub(crate) fn cut(response: &Response, block: Block) -> Option<Response> {
    let length = response.payload.len();
    let begin = block.offset();
    if begin > 0 && begin >= length {
        return None;
    }
    let end = length.min(begin + block.size.bytes());
    let mut part = Response {
        code: response.code,
        options: response.options.clone(),
        payload: response.payload.slice(begin..end),
    };
    let block = Block { has_more: end < length, ..block };
    part.options.set_uint(OptionNumber::BLOCK2, block.to_uint());
    if begin == 0 && block.has_more {
        part.options.set_uint(OptionNumber::SIZE2, u32::try_from(length).unwrap_or(u32::MAX));
    }
    Some(part)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::block::BlockSize;
    use crate::code::{Code, ContentFormat, Method};
    use crate::options::Options;

    const PEER: PeerIndex = PeerIndex::new(1);

    fn until(seconds: u64) -> Time {
        Time::from_millis(1_000) + Duration::from_secs(seconds)
    }

    fn key(tag: u8) -> (PeerIndex, BodyKey) {
        let mut options = Options::new();
        options.insert(OptionNumber::URI_PATH, &[b'a' + tag]);
        (PEER, BodyKey::new(Method::Get, options.view()))
    }

    fn response(bytes: usize) -> Response {
        let body: Vec<u8> = (0..bytes).map(|index| index as u8).collect();
        Response::new(Code::CONTENT).with_payload(ContentFormat::OCTET_STREAM, body)
    }

    fn block(number: u32) -> Block {
        Block { number, has_more: false, size: BlockSize::MIN }
    }

    #[test]
    fn the_blocks_of_a_body_put_together_are_the_body() {
        let whole = response(40);
        let parts: Vec<_> = (0..3).filter_map(|number| cut(&whole, block(number))).collect();
        let body: Vec<u8> = parts.iter().flat_map(|part| part.payload.to_vec()).collect();
        assert_eq!(body, whole.payload);
        let more: Vec<_> = parts.iter().filter_map(|part| part.options.view().uint(OptionNumber::BLOCK2)).collect();
        assert_eq!(more, [0x08, 0x18, 0x20]);
        assert_eq!(parts[0].options.view().uint(OptionNumber::SIZE2), Some(40));
        assert_eq!(cut(&whole, block(3)), None);
    }

    #[test]
    fn a_body_that_ends_with_a_block_has_no_further_one() {
        assert!(cut(&response(32), block(1)).is_some_and(|part| part.payload.len() == 16));
        assert_eq!(cut(&response(32), block(2)), None);
        assert!(cut(&response(0), block(0)).is_some());
    }

    #[test]
    fn the_oldest_of_a_peers_bodies_gives_way_and_one_without_room_is_not_kept() {
        let limits = Limits { bodies_per_peer_max: 2, bodies_bytes_max: 100, ..Limits::default() };
        let mut bodies = Bodies::default();
        for tag in 0..3 {
            bodies.keep(until(tag.into()), key(tag), response(30), &limits);
        }
        assert!(bodies.fetch(until(9), &key(0)).is_none() && bodies.fetch(until(9), &key(1)).is_some());
        bodies.keep(until(9), key(2), response(90), &limits);
        assert!(bodies.fetch(until(9), &key(2)).is_none());
        assert_eq!(bodies.bytes(), 30);
    }

    #[test]
    fn a_body_stays_while_it_is_fetched_and_goes_when_it_is_not() {
        let mut bodies = Bodies::default();
        bodies.keep(until(1), key(0), response(30), &Limits::default());
        assert!(bodies.fetch(until(5), &key(0)).is_some());
        assert!(bodies.purge(until(4), PEER));
        assert!(!bodies.purge(until(5), PEER));
        assert_eq!(bodies.bytes(), 0);
    }
}
