//! Looking at a lane's files as somebody who trusts nothing of them but the public keys.

use crate::{
    Position, SpoolError,
    record::{self, Found},
    seal::{self, BadSeal, Seal, SealHash, Verifier, beginning, ranges},
    segment,
    void::{self, Void},
};
use std::{collections::BTreeSet, path::Path};

/// What was found in one lane.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    pub seals: u64,
    /// Records that a seal covers and that are as they were sealed.
    pub records: u64,
    /// The first number that is covered: what is before was let go, or never sealed.
    pub first: u64,
    /// The first number that is not covered.
    pub past: u64,
    /// Records behind the last seal: they are too young for one, or their writer was killed.
    pub unsealed: u64,
    /// In the order of the lane.
    pub faults: Vec<Fault>,
}

/// Something that is not as it was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The first record that is concerned, and the first behind it that is not known to be.
    pub first: u64,
    pub past: u64,
    pub segment: u64,
    /// In the segment.
    pub byte_offset: u64,
    pub wrong: Wrong,
}

/// What is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    #[error("its checksum is wrong or bytes of it are missing")]
    Damaged,
    #[error("it has another number, though its checksum is right: a record was moved, put in or taken out")]
    OutOfOrder,
    #[error("among these records one was changed after it was sealed, and its checksum with it")]
    Changed,
    #[error("these records were sealed and are gone")]
    Gone,
    #[error("no seal covers these records, and seals follow")]
    Unsealed,
    #[error("the seal of these records is bad: {0}")]
    Seal(BadSeal),
    #[error("the seal of these records is of another lane or segment")]
    Foreign,
    #[error(
        "the seal of these records does not follow the one before it: a seal was taken out, put in, or is of another chain"
    )]
    Chain,
    #[error("the seal of these records is of an earlier life of the node than the one before it")]
    Epoch,
    #[error("a seal is cut off before others")]
    CutSeal,
}

/// Compares all that a lane holds with its seals. The lane may be written to meanwhile.
///
/// # Errors
/// The files cannot be read.
pub fn verify(dir: &Path, node: &str, lane: u32, keys: &Verifier) -> Result<Checked, SpoolError> {
    let lane_dir = segment::lane_dir(dir, lane);
    let mut look = Look { node, lane, keys, last: None, void: None, checked: Checked::default() };
    let with_seals = seal::numbers(&lane_dir)?;
    let numbers: BTreeSet<u64> =
        segment::list(&lane_dir)?.iter().map(|one| one.number).chain(with_seals.iter().copied()).collect();
    let (newest, last_sealed) = (numbers.last().copied(), with_seals.last().copied());
    let mut unsealed = Vec::new();
    for number in numbers {
        // First the seals: their records were there before them.
        let entries = seal::entries(&lane_dir, number)?;
        let bytes = segment::read(&lane_dir, number)?;
        let seals_are_there = || seal::path(&lane_dir, number).exists();
        let is_let_go = with_seals.binary_search(&number).is_ok() && !seals_are_there();
        if is_let_go && entries.seals.is_empty() {
            // Whatever follows is the first that is there.
            look.last = None;
        }
        if entries.torn > 0 && Some(number) != newest {
            look.note(Position { segment: number, byte_offset: 0, sequence: look.checked.past }, None, Wrong::CutSeal);
        }
        let mut sealed_to = 0;
        for entry in entries.seals {
            match entry {
                Ok(seal) => {
                    look.seal(number, seal, (!is_let_go).then_some(bytes.as_slice()));
                    sealed_to = sealed_to.max(seal.to_byte);
                }
                Err(bad) => {
                    let at = Position { segment: number, byte_offset: sealed_to, sequence: look.checked.past };
                    look.note(at, None, Wrong::Seal(bad));
                }
            }
        }
        let void = void::read(&lane_dir, number)?;
        look.void = void.map(|void| void.behind(look.void)).or(look.void);
        let good = void.map_or(u64::MAX, |void| void.byte_offset);
        let bytes = bytes.get(..usize::try_from(good).unwrap_or(usize::MAX)).unwrap_or(&bytes);
        // Which of them are too many is known at the end.
        unsealed.extend(ranges(bytes, sealed_to, (number, 0)));
    }
    for (from, to) in unsealed {
        if look.last.is_none() || Some(from.segment) >= last_sealed && from.sequence >= look.checked.past {
            look.checked.unsealed += to.sequence - from.sequence;
        } else if look.last.is_some() && from.sequence >= look.checked.first {
            look.note(from, Some(to.sequence), Wrong::Unsealed);
        }
    }
    look.checked.faults.sort_by_key(|fault| (fault.first, fault.segment));
    Ok(look.checked)
}

struct Look<'a> {
    node: &'a str,
    lane: u32,
    keys: &'a Verifier,
    last: Option<Seal>,
    /// Numbers that were given to calls which were refused, the last of those that were seen, those just before among them.
    void: Option<Void>,
    checked: Checked,
}

impl Look<'_> {
    fn note(&mut self, at: Position, past: Option<u64>, wrong: Wrong) {
        let Position { segment, byte_offset, sequence } = at;
        let past = past.unwrap_or(sequence + 1);
        self.checked.faults.push(Fault { first: sequence, past, segment, byte_offset, wrong });
    }

    /// Without bytes the segment was let go after its seals were read: it was taken in.
    fn seal(&mut self, number: u64, seal: Seal, bytes: Option<&[u8]>) {
        self.checked.seals += 1;
        let at = Position { segment: number, byte_offset: seal.from_byte, sequence: seal.first };
        let past = Some(seal.past);
        let foreign = seal.lane != self.lane || seal.segment != number || seal.past <= seal.first;
        if let Err(bad) = self.keys.verify(self.node, &seal) {
            return self.note(at, past, if foreign { Wrong::Foreign } else { Wrong::Seal(bad) });
        }
        if foreign {
            return self.note(at, past, Wrong::Foreign);
        }
        match self.last {
            Some(last) => {
                if seal.epoch < last.epoch {
                    self.note(at, past, Wrong::Epoch);
                }
                if seal.previous != last.hash || seal.first < last.past {
                    self.note(at, past, Wrong::Chain);
                } else if seal.first > last.past && !self.are_void(last.past, seal.first) {
                    let from = Position { sequence: last.past, ..at };
                    self.note(from, Some(seal.first), Wrong::Gone);
                }
            }
            None => {
                self.checked.first = seal.first;
                if seal.first == 0 && seal.previous != beginning(self.node, self.lane) {
                    self.note(at, past, Wrong::Chain);
                }
            }
        }
        self.last = Some(seal);
        self.checked.past = self.checked.past.max(seal.past);
        if let Some(bytes) = bytes {
            self.records(seal, bytes);
        }
    }

    fn are_void(&self, first: u64, past: u64) -> bool {
        self.void.is_some_and(|void| (void.first, void.past) == (first, past))
    }

    fn records(&mut self, seal: Seal, bytes: &[u8]) {
        let whole = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        let sealed = bytes.get(whole(seal.from_byte)..whole(seal.to_byte));
        let mut hash = SealHash::behind(&seal.previous);
        hash.add(sealed.unwrap_or_default());
        if sealed.is_some() && hash.finish() == seal.hash {
            self.checked.records += seal.past - seal.first;
            return;
        }
        let there = sealed.unwrap_or_else(|| bytes.get(whole(seal.from_byte)..).unwrap_or_default());
        let mut at = Position { segment: seal.segment, byte_offset: seal.from_byte, sequence: seal.first };
        let mut rest = there;
        loop {
            match record::find(rest) {
                Found::Whole { sequence, bytes, .. } if sequence == at.sequence && sequence < seal.past => {
                    (at.byte_offset, at.sequence) = (at.byte_offset + bytes as u64, sequence + 1);
                    rest = rest.get(bytes..).unwrap_or_default();
                }
                Found::Whole { .. } => return self.note(at, None, Wrong::OutOfOrder),
                Found::Partial if rest.is_empty() && at.sequence >= seal.past => break,
                Found::Partial if rest.is_empty() => return self.note(at, Some(seal.past), Wrong::Gone),
                Found::Partial | Found::Damaged(_) => return self.note(at, None, Wrong::Damaged),
            }
        }
        let at = Position { segment: seal.segment, byte_offset: seal.from_byte, sequence: seal.first };
        self.note(at, Some(seal.past), Wrong::Changed);
    }
}
