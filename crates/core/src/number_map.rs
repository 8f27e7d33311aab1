//! Tables by numbers that we give out ourselves.

use std::hash::{BuildHasherDefault, Hasher};

/// A table by numbers that we give out ourselves, one after the other: slots, connections, exchanges.
///
/// What is numbered one after the other is mostly asked for one after the other, and lies side by side here: a group
/// of ten thousand is walked through, where another table would be somewhere else in the memory with each of them.
/// Numbers that a peer may choose are not for it: they could be chosen to fall into one place.
pub type NumberMap<K, V> = hashbrown::HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// A set of such numbers.
pub type NumberSet<K> = hashbrown::HashSet<K, BuildHasherDefault<NumberHasher>>;

/// Places numbers for a [`NumberMap`]: so many neighbours side by side, and each such block anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NumberHasher(u64);

/// As many as a table looks through at once.
const NEIGHBOURS: u64 = 16;
/// Where the seven bits begin by which a table tells those apart that it looks through.
const TAG_SHIFT: u32 = u64::BITS - 7;

/// Spreads numbers over all numbers.
fn spread(number: u64) -> u64 {
    let wide = u128::from(number) * 0x9e37_79b9_7f4a_7c15;
    (wide >> 64) as u64 ^ wide as u64
}

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut number = [0; 8];
            number[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(number));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.write_u64(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    /// What comes last makes neighbours, among those that have all before it in common.
    fn write_u64(&mut self, number: u64) {
        self.0 = spread(self.0).wrapping_add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        let (block, within) = (self.0 / NEIGHBOURS, self.0 % NEIGHBOURS);
        (spread(block) & !(NEIGHBOURS - 1) | within) ^ (within << TAG_SHIFT)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::hash::{BuildHasher, Hash};

    use super::*;

    fn place(number: impl Hash) -> u64 {
        BuildHasherDefault::<NumberHasher>::default().hash_one(number)
    }

    #[test]
    fn neighbours_lie_side_by_side_and_are_told_apart() {
        for first in [0, 16, 1 << 20, u64::MAX - 15] {
            let places: Vec<u64> = (0..NEIGHBOURS).map(|within| place(first + within)).collect();
            let tags: BTreeSet<u64> = places.iter().map(|place| place >> TAG_SHIFT).collect();
            assert_eq!(tags.len(), places.len());
            assert!(places.windows(2).all(|pair| (pair[1] & 0xfff_ffff) == (pair[0] & 0xfff_ffff) + 1));
        }
        let of_a_kind = |kind: u8| (0..16_u32).map(move |slot| place((kind, slot)) & 0xffff).collect::<BTreeSet<_>>();
        assert!(of_a_kind(1).is_disjoint(&of_a_kind(2)));
    }

    #[test]
    fn blocks_spread_over_the_whole_table_whatever_lies_between_their_numbers() {
        const BLOCKS: u64 = 1 << 12;
        for stride in [16, 1 << 10, 1 << 20, 3 * 16 * 1_000, 1 << 44] {
            let mut taken: BTreeMap<u64, u32> = BTreeMap::new();
            for block in 0..BLOCKS {
                *taken.entry(place(block * stride) / NEIGHBOURS % BLOCKS).or_default() += 1;
            }
            let fullest = taken.values().max().copied().unwrap_or_default();
            // By chance 63 of 100 places are taken, and the fullest by six or seven.
            assert!(taken.len() as u64 > BLOCKS / 2 && fullest < 12, "{stride}: {} taken, {fullest}", taken.len());
        }
    }

    #[test]
    fn a_table_finds_again_what_was_put_in() {
        let mut table: NumberMap<(u64, u16), u64> = NumberMap::default();
        for number in 0..10_000_u64 {
            table.insert((number / 100, (number % 100) as u16), number);
        }
        for number in 0..10_000_u64 {
            assert_eq!(table.remove(&(number / 100, (number % 100) as u16)), Some(number));
        }
        assert!(table.is_empty());
    }
}
