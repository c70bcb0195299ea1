//! A hash for tables that are looked into on every call.
//!
//! It is a third of the cost of the standard library's, which withstands keys that were chosen to collide. Nobody outside
//! chooses the keys of these tables: they are ids that we made, keyed hashes, and names that an operator wrote. What a client
//! sends is looked up in them and never put into them.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

pub(crate) type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Each word is folded into the state by a multiplication to 128 bits.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct QuickHasher(u64);

/// The digits of pi, which favour nothing.
const START: u64 = 0x2437_15f3_9a8d_0131;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let last = rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
            // The length, so that trailing zeros count.
            self.write_u64(last ^ (rest.len() as u64) << 56);
        }
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ START) * u128::from(FACTOR);
        self.0 = product as u64 ^ (product >> 64) as u64;
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{collections::HashSet, hash::Hash};

    fn hash(value: impl Hash) -> u64 {
        let mut hasher = QuickHasher::default();
        value.hash(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn neighbours_spread_over_both_ends_of_the_hash() {
        let hashes: Vec<u64> = (0..10_000_u128).map(hash).collect();
        let distinct = |of: &dyn Fn(&u64) -> u64| hashes.iter().map(of).collect::<HashSet<_>>().len();
        assert_eq!(distinct(&|hash| *hash), 10_000);
        assert_eq!(distinct(&|hash| hash >> 57), 128, "the bits that tell entries of a group apart");
        assert!(distinct(&|hash| hash & 0xffff) > 8_000, "the bits that choose the group");
    }

    #[test]
    fn texts_that_differ_in_their_length_or_last_byte_differ() {
        let texts = ["", "\0", "\0\0", "a", "a\0", "abcdefgh", "abcdefgh\0", "abcdefgi", "abcdefghi"];
        assert_eq!(texts.iter().map(hash).collect::<HashSet<_>>().len(), texts.len());
    }
}
