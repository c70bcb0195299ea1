//! Seals: a change of the log is seen, also one that mends the checksums.
//!
//! The records of a lane are a chain of SHA-256 with a signed mark now and then:
//! `hash = SHA-256(previous hash || the records' bytes)`. Checksums find what a disk does to a log; a seal finds what
//! somebody does to it who does not have the key: a record that was edited, moved, taken out or brought from elsewhere.
//!
//! `<segment>.seal` beside a segment holds its seals, one behind the other, so that segments stay as they are. No seal goes over
//! the end of a segment. All numbers are little-endian:
//!
//! `"TPS1" | lane u32 | epoch, segment, from byte, to byte, first record, past record u64 | microseconds since 1970 i64 |
//! previous hash 32 | hash 32 | key 8 | signature 64 | CRC-32 of all before u32`
//!
//! The signature is Ed25519 (RFC 8032) of `"turnpike seal 1" || 0 || node || 0 || all before the signature`. The chain of a lane begins
//! with `SHA-256("turnpike lane 1" || 0 || node || 0 || lane u32)`.
//!
//! What seals do not say: records that were written in the last half minute are not sealed yet, and who can write both the
//! log and its seals can cut off the end of both. So seals are copied to Postgres, which then knows more than the disk.

mod chain;
mod file;
mod key;
mod reader;

pub(crate) use chain::{Chain, ranges};
pub(crate) use file::{entries, last, numbers, path};
pub use key::{SealKey, Verifier};
pub use reader::SealReader;

use std::sync::Arc;

/// Bytes of a seal in its file.
pub const SEAL_BYTES: usize = SIGNED_BYTES + 64 + 4;

const MAGIC: &[u8; 4] = b"TPS1";
const SIGNED_BYTES: usize = 4 + 4 + 7 * 8 + 32 + 32 + 8;

/// What a writer seals its lane with.
#[derive(Debug, Clone)]
pub struct Sealing {
    pub key: Arc<SealKey>,
    pub node: String,
    /// The life of the node in which it writes: [`crate::Home::epoch`].
    pub epoch: u64,
}

/// A signed mark in a lane's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seal {
    pub lane: u32,
    /// The node's life in which it was sealed.
    pub epoch: u64,
    pub segment: u64,
    /// The records that it seals, as bytes of the segment.
    pub from_byte: u64,
    pub to_byte: u64,
    /// The first record, and the first that it does not seal.
    pub first: u64,
    pub past: u64,
    /// When it was sealed, in microseconds since 1970.
    pub at_us: i64,
    pub previous: [u8; 32],
    pub hash: [u8; 32],
    /// The name of the key that signed it.
    pub key: [u8; 8],
    pub signature: [u8; 64],
}

/// Why a seal is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSeal {
    #[error("it was damaged")]
    Damaged,
    #[error("it was signed by a key that is not known here")]
    UnknownKey,
    #[error("its signature is wrong")]
    Signature,
}

impl Seal {
    /// As it stands in its file.
    pub fn to_bytes(&self) -> [u8; SEAL_BYTES] {
        let mut bytes = [0; SEAL_BYTES];
        let mut out = bytes.as_mut_slice();
        for part in [self.signed().as_slice(), &self.signature] {
            let (taken, rest) = out.split_at_mut(part.len());
            taken.copy_from_slice(part);
            out = rest;
        }
        let checksum = crc32fast::hash(&bytes[..SEAL_BYTES - 4]);
        bytes[SEAL_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// Reads one as it stands in its file. Who signed it is another question: see [`Verifier`].
    ///
    /// # Errors
    /// [`BadSeal::Damaged`].
    pub fn from_bytes(bytes: &[u8; SEAL_BYTES]) -> Result<Self, BadSeal> {
        let (content, checksum) = bytes.split_at(SEAL_BYTES - 4);
        if crc32fast::hash(content).to_le_bytes() != checksum || !content.starts_with(MAGIC) {
            return Err(BadSeal::Damaged);
        }
        let mut rest = Rest(&content[MAGIC.len()..]);
        Ok(Self {
            lane: u32::from_le_bytes(rest.array()?),
            epoch: rest.number()?,
            segment: rest.number()?,
            from_byte: rest.number()?,
            to_byte: rest.number()?,
            first: rest.number()?,
            past: rest.number()?,
            at_us: i64::from_le_bytes(rest.array()?),
            previous: rest.array()?,
            hash: rest.array()?,
            key: rest.array()?,
            signature: rest.array()?,
        })
    }

    /// What is signed, but for the node's name.
    fn signed(&self) -> [u8; SIGNED_BYTES] {
        let mut bytes = [0; SIGNED_BYTES];
        let mut out = bytes.as_mut_slice();
        let mut put = |part: &[u8]| {
            let (taken, rest) = std::mem::take(&mut out).split_at_mut(part.len());
            taken.copy_from_slice(part);
            out = rest;
        };
        put(MAGIC);
        put(&self.lane.to_le_bytes());
        for number in [self.epoch, self.segment, self.from_byte, self.to_byte, self.first, self.past] {
            put(&number.to_le_bytes());
        }
        put(&self.at_us.to_le_bytes());
        put(&self.previous);
        put(&self.hash);
        put(&self.key);
        bytes
    }
}

/// Where the chain of a lane begins.
pub fn beginning(node: &str, lane: u32) -> [u8; 32] {
    let mut hash = Hash::new();
    for part in [b"turnpike lane 1\0".as_slice(), node.as_bytes(), b"\0", &lane.to_le_bytes()] {
        hash.add(part);
    }
    hash.finish()
}

/// The hash of a seal, as its records come by: each as it stands in the log.
#[derive(Clone)]
pub struct SealHash(Hash);

impl SealHash {
    /// Begins behind the seal with this hash.
    pub fn behind(previous: &[u8; 32]) -> Self {
        let mut hash = Hash::new();
        hash.add(previous);
        Self(hash)
    }

    /// Adds a record by its number and payload.
    pub fn add_record(&mut self, sequence: u64, payload: &[u8], scratch: &mut Vec<u8>) {
        scratch.clear();
        crate::record::put(sequence, payload, scratch);
        self.0.add(scratch);
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.0.add(bytes);
    }

    pub fn finish(self) -> [u8; 32] {
        self.0.finish()
    }
}

impl std::fmt::Debug for SealHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealHash")
    }
}

#[derive(Clone)]
struct Hash(ring::digest::Context);

impl Hash {
    fn new() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }

    fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(self) -> [u8; 32] {
        let mut hash = [0; 32];
        hash.copy_from_slice(self.0.finish().as_ref());
        hash
    }
}

struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], BadSeal> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(BadSeal::Damaged)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn number(&mut self) -> Result<u64, BadSeal> {
        self.array().map(u64::from_le_bytes)
    }
}
