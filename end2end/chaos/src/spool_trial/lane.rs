//! A lane's segment as bytes, read by the description of its format and by nothing of ours, and what is done to it.

use crate::{Trouble, world::Random};
use std::collections::BTreeSet;

/// Length, number, checksum of both, checksum of number and payload: all little-endian.
const HEADER: usize = 20;

/// Records of one segment.
pub struct Lane {
    pub bytes: Vec<u8>,
    pub records: Vec<Record>,
}

/// Where a record stands, and whose call it is.
pub struct Record {
    pub from: usize,
    pub to: usize,
    pub id: String,
}

/// What is done to a copy of the lane.
pub struct Harm {
    pub bytes: Vec<u8>,
    /// Ids that must be stored, each once.
    pub expected: BTreeSet<String>,
    /// Bytes that must be told as cut off.
    pub cut: usize,
    /// Whether damage must be told.
    pub is_damaged: bool,
    /// Ids that come besides once somebody goes on behind the damage.
    pub behind: BTreeSet<String>,
}

impl Lane {
    pub fn read(bytes: Vec<u8>) -> Result<Self, Trouble> {
        let (mut records, mut from) = (Vec::new(), 0);
        while from < bytes.len() {
            let header = bytes.get(from..from + HEADER).ok_or("half a header in a lane that nobody harmed")?;
            let length = number(header, 0) as usize;
            let to = from + HEADER + length;
            let payload = bytes.get(from + HEADER..to).ok_or("half a record in a lane that nobody harmed")?;
            if crc32fast::hash(&header[..12]) != number(header, 12) {
                return Err("a wrong checksum in a lane that nobody harmed".into());
            }
            records.push(Record { from, to, id: request_id(payload).ok_or("a record without the id of its call")? });
            from = to;
        }
        Ok(Self { bytes, records })
    }

    /// The lane as it is up to that byte.
    pub fn cut(&self, at: usize) -> Harm {
        let whole = self.records.iter().filter(|record| record.to <= at);
        let end = whole.clone().map(|record| record.to).max().unwrap_or_default();
        Harm {
            bytes: self.bytes[..at].to_vec(),
            expected: whole.map(|record| record.id.clone()).collect(),
            cut: at - end,
            is_damaged: false,
            behind: BTreeSet::new(),
        }
    }

    /// One to three bits turned over. With `mended` checksums the payload's damage cannot be seen by them.
    pub fn flip(&self, random: &mut Random, mended: bool) -> Harm {
        let mut bits = BTreeSet::new();
        for _ in 0..=random.below(3) {
            bits.insert(random.below(self.bytes.len() as u64 * 8) as usize);
        }
        let mut bytes = self.bytes.clone();
        for bit in &bits {
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        let is_hit = |record: &Record| bits.iter().any(|bit| (record.from..record.to).contains(&(bit / 8)));
        let first = self.records.iter().position(is_hit).unwrap_or(self.records.len());
        let ids = |records: &[Record]| -> BTreeSet<String> {
            records.iter().filter(|record| !is_hit(record)).map(|record| record.id.clone()).collect()
        };
        let (expected, behind) = (ids(&self.records[..first]), ids(&self.records[first..]));
        if mended {
            for record in self.records.iter().filter(|record| is_hit(record)) {
                mend(&mut bytes[record.from..record.to], &self.bytes[record.from..record.from + HEADER]);
            }
        }
        Harm { bytes, expected, cut: 0, is_damaged: true, behind }
    }
}

/// The header as it was, with a checksum that fits the payload as it is.
fn mend(record: &mut [u8], header: &[u8]) {
    record[..HEADER].copy_from_slice(header);
    let of_payload = crc32fast::hash(&[&record[4..12], &record[HEADER..]].concat());
    record[16..HEADER].copy_from_slice(&of_payload.to_le_bytes());
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

/// The text that begins as our request ids do; the byte before says how long it is.
fn request_id(payload: &[u8]) -> Option<String> {
    let at = payload.windows(6).position(|window| window == b"chaos-")?;
    let length = usize::from(*payload.get(at.checked_sub(1)?)?);
    String::from_utf8(payload.get(at..at + length)?.to_vec()).ok()
}
