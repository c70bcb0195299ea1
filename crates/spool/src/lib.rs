//! The durable usage log on the gateway's disk: written before a client has its answer, read by the shipper.
//!
//! Owns: segment files, their recovery after a crash, the node's name. Does not own: what a record means, HTTP, SQL.
//!
//! Layout: `<dir>/node` (the name), `<dir>/epoch` (how often it was started), `<dir>/lock`, `<dir>/<lane>/<segment>.log`. A lane is one core's log; its writer
//! appends without sharing anything. Records carry a sequence number without gaps, so a missing one is always seen.
//! `<segment>.kept` was taken in and stays a while ([`Keep`]); `<segment>.void` says which end of a segment does not count;
//! `<segment>.seal` holds the signed marks of a chain of hashes over all records ([`Seal`]).
//!
//! Always true:
//! - A record that [`Writer::append`] or [`Writer::flush`] wrote survives `kill -9` ([`Durability::Process`]) or the loss of power
//!   ([`Durability::Host`]).
//! - A record whose append failed does not count, whatever of it is in the file, and its number is not given again. (A reader
//!   that took it in the instant before the failure keeps it.)
//! - A [`Reader`] never skips in silence: damage is an error that names the segment and the offset, and it stays one
//!   until somebody calls [`Reader::skip_damage`], which says how many records are gone.
//! - What a reader hands out is on the disk itself, whatever the durability: a downstream that remembers a
//!   [`Position`] is never ahead of the log, even after the loss of power. A sync that failed is never just asked for again.
//!
//! What is a torn end, and what is damage? A writer is the only one to append, by one `write()` for each group of records. A
//! process that is killed, or a disk that is full, leaves of it a *beginning*: fewer bytes than its header announces, or
//! less than a header. A loss of power may also leave room that was never written, all zeros to the end. These two are cut
//! off when the lane is opened ([`Recovery::cut_bytes`]): under [`Durability::Host`] none of it was ever answered, under
//! [`Durability::Process`] a loss of power may take answered calls with it, which is what this durability says. Anything
//! else that is not a record was one: a record that is there in its whole length under a wrong checksum is damage
//! ([`Recovery::damaged`]), also as the last of the lane. It stays where it is, for an operator to look at; new records go to a
//! new segment, with numbers that none of the damaged ones can have had. A loss of power that wrote the pages of a record in
//! another order looks just like that and is told as damage too: under `Host` nobody was answered for it, under `Process`
//! perhaps, and only an operator can say so. What a seal covers was there, so its loss is damage whatever it looks like.
//!
//! Fails when: the disk is full or broken ([`SpoolError::Io`]), the configured size is reached ([`SpoolError::Full`]),
//! another process holds the directory ([`SpoolError::InUse`]).

mod backlog;
mod disk;
mod error;
mod home;
mod keep;
mod reader;
mod record;
mod scan;
mod seal;
mod segment;
mod stored;
mod verify;
mod void;
mod writer;

pub use backlog::{Backlog, Waiting};
pub use error::SpoolError;
pub use home::{Home, lanes, node};
pub use keep::Keep;
pub use reader::{Batch, Damage, Reader, Record};
pub use record::{HEADER_BYTES, MAX_PAYLOAD_BYTES};
pub use seal::{BadSeal, SEAL_BYTES, Seal, SealHash, SealKey, SealReader, Sealing, Verifier, beginning};
pub use stored::{note_stored, stored};
pub use verify::{Checked, Fault, Wrong, verify};
pub use writer::{Durability, Options, Recovery, Writer};

/// Puts segments of a lane aside that were taken in, where the lane stands at that position, and lets go of those that need not
/// stay.
pub fn trim(dir: &std::path::Path, lane: u32, position: Position, keep: Keep) -> Result<(), SpoolError> {
    keep::put_aside(&segment::lane_dir(dir, lane), position, keep)
}

/// A place between two records of a lane.
///
/// The default is the beginning of the lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// Segments rise by one, from zero.
    pub segment: u64,
    /// The byte after the last record before this place, in that segment.
    pub byte_offset: u64,
    /// Records before this place since the lane began, which is the next record's sequence number.
    pub sequence: u64,
}
