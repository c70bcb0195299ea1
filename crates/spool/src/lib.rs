//! The durable usage log on the gateway's disk: written before a client has its answer, read by the shipper.
//!
//! Owns: segment files, their recovery after a crash, the node's name. Does not own: what a record means, HTTP, SQL.
//!
//! Layout: `<dir>/node` (the name), `<dir>/lock`, `<dir>/<lane>/<segment>.log`. A lane is one core's log; its writer
//! appends without sharing anything. Records carry a sequence number without gaps, so a missing one is always seen.
//!
//! Always true:
//! - A record that [`Writer::append`] or [`Writer::flush`] wrote survives `kill -9` ([`Durability::Process`]) or the loss of power
//!   ([`Durability::Host`]).
//! - A [`Reader`] never skips in silence: damage is an error that names the segment and the offset, and it stays one
//!   until somebody calls [`Reader::skip_damage`], which says how many records are gone.
//! - What a reader hands out is on the disk itself, whatever the durability: a downstream that remembers a
//!   [`Position`] is never ahead of the log, even after the loss of power.
//!
//! Fails when: the disk is full or broken ([`SpoolError::Io`]), the configured size is reached ([`SpoolError::Full`]),
//! another process holds the directory ([`SpoolError::InUse`]).

mod error;
mod home;
mod reader;
mod record;
mod segment;
mod writer;

pub use error::SpoolError;
pub use home::{Home, lanes, node};
pub use reader::{Batch, Damage, Reader, Record};
pub use record::{HEADER_BYTES, MAX_PAYLOAD_BYTES};
pub use writer::{Durability, Options, Recovery, Writer};

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
