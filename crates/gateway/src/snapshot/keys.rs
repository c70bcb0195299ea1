//! Keys by hash and by id, in shards: a change makes the few anew that it concerns, and all others are shared with the
//! snapshot before. A look-up by hash is one look-up in one shard.

use super::{Bounds, Key, Problem, partners::Partners};
use crate::quick_hash::QuickMap;
use domain::{
    directory::{self, Directory},
    id::KeyId,
};
use std::{
    array::from_fn,
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

/// One for each value of a byte.
const SHARDS: usize = 256;

#[derive(Debug, Clone)]
pub(super) struct Keys {
    /// By the first byte of the hash.
    shards: [Arc<Shard>; SHARDS],
    /// The first byte of each key's hash, by the last byte of its id, which is random.
    first_bytes: [Arc<QuickMap<KeyId, u8>>; SHARDS],
}

#[derive(Debug, Default)]
struct Shard {
    /// In the order of their ids.
    keys: Vec<Key>,
    /// Places in `keys`.
    by_hash: QuickMap<[u8; 32], usize>,
    problems: Vec<Problem>,
}

impl Default for Keys {
    fn default() -> Self {
        Self { shards: from_fn(|_| Arc::default()), first_bytes: from_fn(|_| Arc::default()) }
    }
}

impl Keys {
    pub(super) fn compile(directory: &Directory, partners: &Partners) -> Self {
        let mut shards: [Vec<&directory::Key>; SHARDS] = from_fn(|_| Vec::new());
        let mut first_bytes: [QuickMap<KeyId, u8>; SHARDS] = from_fn(|_| QuickMap::default());
        for key in &directory.keys {
            let first = first_byte(key);
            shards[usize::from(first)].push(key);
            first_bytes[last_byte(key.id)].insert(key.id, first);
        }
        Self {
            shards: shards.map(|keys| Arc::new(Shard::compile(keys, partners))),
            first_bytes: first_bytes.map(Arc::new),
        }
    }

    /// These keys with some as they are in the directory now.
    pub(super) fn patch(&self, directory: &Directory, anew: &[KeyId], partners: &Partners) -> Self {
        let mut new = self.clone();
        let mut concerned: BTreeMap<u8, Vec<&directory::Key>> = BTreeMap::new();
        let distinct: HashSet<KeyId> = anew.iter().copied().collect();
        for &id in &distinct {
            let first_bytes = Arc::make_mut(&mut new.first_bytes[last_byte(id)]);
            if let Some(before) = first_bytes.remove(&id) {
                concerned.entry(before).or_default();
            }
            if let Some(key) = directory.key(id) {
                first_bytes.insert(id, first_byte(key));
                concerned.entry(first_byte(key)).or_default().push(key);
            }
        }
        for (first, mut keys) in concerned {
            let shard = &mut new.shards[usize::from(first)];
            let others = shard.keys.iter().map(|key| key.id).filter(|id| !distinct.contains(id));
            keys.extend(others.filter_map(|id| directory.key(id)));
            *shard = Arc::new(Shard::compile(keys, partners));
        }
        new
    }

    pub(super) fn by_hash(&self, hash: &[u8; 32]) -> Option<usize> {
        let first = hash[0];
        Some(place(self.shards[usize::from(first)].by_hash.get(hash).copied()?, first))
    }

    pub(super) fn by_id(&self, id: KeyId) -> Option<usize> {
        let first = *self.first_bytes[last_byte(id)].get(&id)?;
        let at = self.shards[usize::from(first)].keys.binary_search_by_key(&id, |key| key.id).ok()?;
        Some(place(at, first))
    }

    pub(super) fn at(&self, place: usize) -> &Key {
        &self.shards[place % SHARDS].keys[place / SHARDS]
    }

    /// How many shards are the same in both.
    #[cfg(test)]
    pub(super) fn shared_with(&self, other: &Self) -> usize {
        self.shards.iter().zip(&other.shards).filter(|(own, theirs)| Arc::ptr_eq(own, theirs)).count()
    }

    pub(super) fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.shards.iter().flat_map(|shard| &shard.problems)
    }
}

impl Shard {
    fn compile(mut keys: Vec<&directory::Key>, partners: &Partners) -> Self {
        // An identity that was revoked and registered again has one hash: the later key counts.
        keys.sort_by_key(|key| key.id);
        let mut shard = Self {
            keys: Vec::with_capacity(keys.len()),
            by_hash: QuickMap::with_capacity_and_hasher(keys.len(), Default::default()),
            problems: Vec::new(),
        };
        for from in keys {
            let mut say = |message| shard.problems.push(Problem { subject: from.id.to_string(), message });
            let Some(partner) = partners.place(from.partner) else {
                say("The key's partner is not in the directory".to_owned());
                continue;
            };
            let (bounds, problem) = Bounds::read(from);
            problem.into_iter().for_each(&mut say);
            shard.by_hash.insert(from.hash, shard.keys.len());
            shard.keys.push(Key {
                id: from.id,
                partner,
                app: from.app,
                team: from.team,
                environment: from.environment,
                kind: from.kind,
                bounds,
                expires_at: from.expires_at,
                revoked_at: from.revoked_at,
            });
        }
        shard
    }
}

const fn place(at: usize, first: u8) -> usize {
    at * SHARDS + first as usize
}

const fn first_byte(key: &directory::Key) -> u8 {
    key.hash[0]
}

const fn last_byte(id: KeyId) -> usize {
    id.0.as_bytes()[15] as usize
}
