//! A map that holds at most so many entries, and forgets those that were not asked for the longest.
//!
//! Two generations: what is found in the old one moves to the young one; a full young one becomes the old one. No entry
//! keeps an order of its own, so that a look-up is one hash or two.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, mem::take};

#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    /// Of each generation.
    room: usize,
}

impl<K: Hash + Eq, V> Bounded<K, V> {
    /// At most that many entries, and at least half as many of the latest.
    pub(crate) fn new(entries: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), room: (entries / 2).max(1) }
    }

    pub(crate) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        if !self.young.contains_key(key) {
            let (key, value) = self.old.remove_entry(key)?;
            self.insert(key, value);
        }
        self.young.get_mut(key)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.room {
            self.old = take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_forgets_the_oldest_keeps_what_is_asked_for_and_never_grows() {
        let mut map = Bounded::new(8);
        map.insert(0, "asked for");
        for number in 1..1000 {
            assert_eq!(map.get_mut(&0).copied(), Some("asked for"));
            map.insert(number, "");
            assert!(map.young.len() + map.old.len() <= 8);
        }
        assert!(map.get_mut(&999).is_some() && map.get_mut(&1).is_none());
    }
}
