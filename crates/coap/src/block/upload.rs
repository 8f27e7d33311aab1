//! Bodies that peers send us block by block, put together before anything is done with them
//! (RFC 7959 §2.5, atomic).

use std::collections::BTreeMap;

use bugle_core::Time;
use bytes::Bytes;

use super::{Block, BodyKey};
use crate::limits::Limits;
use crate::peers::PeerIndex;

#[derive(Debug)]
struct Upload {
    body: Vec<u8>,
    until: Time,
}

/// What became of a block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is the last: the body is whole.
    Whole(Bytes),
    /// The next may come.
    Continue,
    /// Blocks before it are missing: 4.08.
    Incomplete,
    /// The body is too large: 4.13.
    TooLarge,
    /// There is no room now: 5.03.
    NoRoom,
    /// Its length is not what it says: 4.00.
    Misshapen,
}

#[derive(Debug, Default)]
pub(crate) struct Uploads {
    in_progress: BTreeMap<(PeerIndex, BodyKey), Upload>,
    bytes: usize,
}

impl Uploads {
    /// Takes a block. `size` is what the peer says of the whole body.
    pub(crate) fn take(
        &mut self,
        until: Time,
        of: (PeerIndex, BodyKey),
        block: Block,
        payload: &[u8],
        size: Option<u32>,
        limits: &Limits,
    ) -> Taken {
        if !block.fits(payload) {
            return Taken::Misshapen;
        }
        if block.number == 0 {
            self.remove(&of);
        } else if self.in_progress.get(&of).map(|upload| upload.body.len()) != Some(block.offset()) {
            return Taken::Incomplete;
        }
        let says_too_much = size.is_some_and(|size| size as usize > limits.body_bytes_max);
        if says_too_much || block.offset() + payload.len() > limits.body_bytes_max {
            self.remove(&of);
            return Taken::TooLarge;
        }
        if !block.has_more {
            let mut body = self.remove(&of).unwrap_or_default();
            body.extend_from_slice(payload);
            return Taken::Whole(Bytes::from(body));
        }
        if self.bytes + payload.len() > limits.uploads_bytes_max {
            self.remove(&of);
            return Taken::NoRoom;
        }
        if block.number == 0 {
            self.make_room(of.0, limits.uploads_per_peer_max);
        }
        let upload = self.in_progress.entry(of).or_insert(Upload { body: Vec::new(), until });
        upload.body.extend_from_slice(payload);
        upload.until = until;
        self.bytes += payload.len();
        Taken::Continue
    }

    /// Forgets what a peer has not gone on with in time. Whether anything is left.
    pub(crate) fn purge(&mut self, now: Time, peer: PeerIndex) -> bool {
        let over: Vec<_> = self.of(peer).filter(|(_, upload)| upload.until <= now).map(|(of, _)| of.clone()).collect();
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

    fn make_room(&mut self, peer: PeerIndex, max: usize) {
        while self.of(peer).count() >= max {
            let oldest = self.of(peer).min_by_key(|(_, upload)| upload.until).map(|(of, _)| of.clone());
            let Some(oldest) = oldest else { return };
            self.remove(&oldest);
        }
    }

    fn of(&self, peer: PeerIndex) -> impl Iterator<Item = (&(PeerIndex, BodyKey), &Upload)> {
        self.in_progress.range((peer, BodyKey::first())..).take_while(move |((of, _), _)| *of == peer)
    }

    fn remove(&mut self, of: &(PeerIndex, BodyKey)) -> Option<Vec<u8>> {
        let upload = self.in_progress.remove(of)?;
        self.bytes -= upload.body.len();
        Some(upload.body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::block::BlockSize;
    use crate::code::Method;
    use crate::options::Options;

    const PEER: PeerIndex = PeerIndex::new(1);

    fn until(seconds: u64) -> Time {
        Time::from_millis(1_000) + Duration::from_secs(seconds)
    }

    fn key(tag: u8) -> (PeerIndex, BodyKey) {
        let mut options = Options::new();
        options.insert(crate::option::OptionNumber::REQUEST_TAG, &[tag]);
        (PEER, BodyKey::new(Method::Put, options.view()))
    }

    fn block(number: u32, has_more: bool) -> Block {
        Block { number, has_more, size: BlockSize::MIN }
    }

    struct World {
        uploads: Uploads,
        limits: Limits,
    }

    impl World {
        fn new(limits: Limits) -> Self {
            Self { uploads: Uploads::default(), limits }
        }

        fn take(&mut self, tag: u8, at: u64, block: Block, payload: &[u8]) -> Taken {
            self.uploads.take(until(at), key(tag), block, payload, None, &self.limits)
        }
    }

    #[test]
    fn a_body_is_whole_when_its_last_block_has_come_and_not_before() {
        let mut world = World::new(Limits::default());
        assert_eq!(world.take(1, 1, block(0, true), &[1; 16]), Taken::Continue);
        assert_eq!(world.take(1, 2, block(1, true), &[2; 16]), Taken::Continue);
        let whole = [&[1; 16][..], &[2; 16], &[3; 4]].concat();
        assert_eq!(world.take(1, 3, block(2, false), &[3; 4]), Taken::Whole(whole.into()));
        assert_eq!(world.uploads.bytes(), 0);
    }

    #[test]
    fn a_block_that_is_not_the_next_is_refused_and_the_first_begins_anew() {
        let mut world = World::new(Limits::default());
        assert_eq!(world.take(1, 1, block(1, true), &[0; 16]), Taken::Incomplete);
        assert_eq!(world.take(1, 1, block(0, true), &[1; 16]), Taken::Continue);
        assert_eq!(world.take(1, 1, block(2, false), &[]), Taken::Incomplete);
        assert_eq!(world.take(2, 1, block(1, false), &[]), Taken::Incomplete);
        assert_eq!(world.take(1, 1, block(0, true), &[2; 16]), Taken::Continue);
        assert_eq!(world.take(1, 1, block(1, false), &[]), Taken::Whole(vec![2; 16].into()));
    }

    #[test]
    fn a_block_of_another_length_than_it_says_is_misshapen() {
        let mut world = World::new(Limits::default());
        assert_eq!(world.take(1, 1, block(0, true), &[0; 15]), Taken::Misshapen);
        assert_eq!(world.take(1, 1, block(0, false), &[0; 17]), Taken::Misshapen);
    }

    #[test]
    fn a_body_larger_than_the_limit_is_refused_as_soon_as_that_is_known() {
        let mut world = World::new(Limits { body_bytes_max: 40, ..Limits::default() });
        let announced = world.uploads.take(until(1), key(1), block(0, true), &[0; 16], Some(41), &world.limits);
        assert_eq!(announced, Taken::TooLarge);
        assert_eq!(world.take(1, 1, block(0, true), &[0; 16]), Taken::Continue);
        assert_eq!(world.take(1, 1, block(1, true), &[0; 16]), Taken::Continue);
        assert_eq!(world.take(1, 1, block(2, false), &[0; 9]), Taken::TooLarge);
        assert_eq!(world.uploads.bytes(), 0);
    }

    #[test]
    fn the_oldest_of_a_peers_bodies_gives_way_and_all_together_stay_below_the_limit() {
        let mut world = World::new(Limits { uploads_per_peer_max: 2, uploads_bytes_max: 32, ..Limits::default() });
        assert_eq!(world.take(1, 1, block(0, true), &[1; 16]), Taken::Continue);
        assert_eq!(world.take(2, 2, block(0, true), &[2; 16]), Taken::Continue);
        assert_eq!(world.take(3, 3, block(0, true), &[3; 16]), Taken::NoRoom);
        world.limits.uploads_bytes_max = 48;
        assert_eq!(world.take(3, 3, block(0, true), &[3; 16]), Taken::Continue);
        assert_eq!(world.take(1, 4, block(1, false), &[]), Taken::Incomplete);
        assert_eq!(world.take(2, 4, block(1, false), &[]), Taken::Whole(vec![2; 16].into()));
    }

    #[test]
    fn what_a_peer_does_not_go_on_with_is_forgotten() {
        let mut world = World::new(Limits::default());
        assert_eq!(world.take(1, 1, block(0, true), &[1; 16]), Taken::Continue);
        assert_eq!(world.take(2, 2, block(0, true), &[1; 16]), Taken::Continue);
        assert!(world.uploads.purge(until(1), PEER));
        assert_eq!(world.uploads.bytes(), 16);
        world.uploads.forget(PEER);
        assert_eq!((world.uploads.bytes(), world.uploads.purge(until(1), PEER)), (0, false));
    }
}
