//! Any bytes in the place of a lane: they are read or refused, and nobody panics, repeats a number or makes a record up.
//! `cargo xtask check fuzz` runs them for as long as one likes.

use proptest::prelude::*;
use spool::{Backlog, Durability, HEADER_BYTES, Options, Position, Reader, SpoolError, Writer};
use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    path::{Path, PathBuf},
};

/// Small, so that lanes have several segments.
const SMALL: Options = Options { durability: Durability::Process, segment_bytes: 200, max_bytes: 1 << 30 };

/// In memory where there is such a folder: thousands of lanes are made.
fn folder() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = if in_memory.is_dir() { tempfile::tempdir_in(in_memory) } else { tempfile::tempdir() };
    made.expect("a folder")
}

/// What there is to read, as often as it takes, going on behind damage; how many records were given up each time.
fn read_all(dir: &Path) -> (Vec<(u64, Vec<u8>)>, Vec<u64>) {
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    let mut reader = Reader::open(dir, 0, Position::default()).expect("a reader");
    loop {
        match reader.next_batch(3, 300) {
            Ok(batch) => {
                assert!(batch.end >= reader.position(), "it goes forward");
                let is_end = batch.is_all;
                records.extend(batch.records.into_iter().map(|record| (record.sequence, record.payload.to_vec())));
                if is_end {
                    return (records, damages);
                }
            }
            Err(SpoolError::Io { source, .. }) => panic!("the disk is well: {source}"),
            Err(_) => {
                let before = reader.position();
                let damage = reader.skip_damage();
                damages.push(damage.as_ref().map_or(0, |damage| damage.lost_records));
                match damage {
                    Ok(damage) if damage.to > before => {}
                    _ => return (records, damages),
                }
            }
        }
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(dir.join("0")).expect("a lane").map(|entry| entry.expect("one").path()).collect();
    found.retain(|path| path.extension().is_some_and(|end| end == "log"));
    found.sort();
    found
}

/// Files of a lane, each of bytes or of zeros.
fn files() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let bytes =
        prop_oneof![prop::collection::vec(any::<u8>(), 0..300), (0_usize..300).prop_map(|length| vec![0; length])];
    prop::collection::vec(bytes, 0..4)
}

/// Some bytes to change: where, and by how much.
fn changes() -> impl Strategy<Value = Vec<(usize, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>()), 0..4)
}

/// A record's segment and its bytes there.
type Place = (u64, Range<usize>);

/// Turns these bits of the lane over, counted from its beginning and around again; the bytes that are others now, by segment.
fn turn(dir: &Path, bits: &BTreeSet<usize>) -> BTreeSet<(u64, usize)> {
    let files = segments(dir);
    let mut lane: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).expect("a segment")).collect();
    let whole = lane.clone();
    let length = lane.iter().map(Vec::len).sum::<usize>();
    for bit in bits {
        let mut byte = bit / 8 % length;
        for bytes in &mut lane {
            match bytes.get_mut(byte) {
                Some(byte) => {
                    *byte ^= 1 << (bit % 8);
                    break;
                }
                None => byte -= bytes.len(),
            }
        }
    }
    for (path, bytes) in files.iter().zip(&lane) {
        fs::write(path, bytes).expect("written");
    }
    let others = |(segment, (was, is)): (u64, (&Vec<u8>, &Vec<u8>))| {
        (0..was.len()).filter(|at| was[*at] != is[*at]).map(|at| (segment, at)).collect::<Vec<_>>()
    };
    (0..).zip(whole.iter().zip(&lane)).flat_map(others).collect()
}

proptest! {
    #[test]
    fn fuzz_any_files_are_read_or_refused_and_a_writer_goes_on_behind_them(files in files()) {
        let dir = folder();
        fs::create_dir_all(dir.path().join("0")).expect("a lane");
        for (number, bytes) in files.iter().enumerate() {
            fs::write(dir.path().join(format!("0/{number:020}.log")), bytes).expect("written");
        }
        read_all(dir.path());
        let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
        writer.append(b"after").expect("appended");
        let (records, _) = read_all(dir.path());
        prop_assert_eq!(records.last().map(|(_, payload)| payload.as_slice()), Some(&b"after"[..]));
    }

    #[test]
    fn fuzz_a_harmed_lane_gives_back_what_was_written_or_says_damage(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 0..20),
        changes in changes(), cut in prop::option::of(any::<usize>()),
    ) {
        let dir = folder();
        let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
        let written: Vec<(u64, Vec<u8>)> = (0..).zip(payloads).collect();
        for (_, payload) in &written {
            writer.append(payload).expect("appended");
        }
        drop(writer);
        let files = segments(dir.path());
        let whole: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).expect("a segment")).collect();
        let mut bytes = whole.clone();
        for (place, change) in changes {
            let file = place % bytes.len();
            let length = bytes[file].len();
            if length > 0 {
                bytes[file][place / 7 % length] ^= change;
            }
        }
        if let (Some(cut), Some(last)) = (cut, bytes.last_mut()) {
            last.truncate(cut % (last.len() + 1));
        }
        for (path, bytes) in files.iter().zip(&bytes) {
            fs::write(path, bytes).expect("written");
        }

        let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
        let cut_bytes = writer.recovery().cut_bytes;
        writer.append(b"after").expect("appended");
        let (mut read, damages) = read_all(dir.path());
        let (number, payload) = read.pop().expect("the last record");
        prop_assert_eq!(payload, b"after");
        let numbers: BTreeSet<u64> = read.iter().map(|(number, _)| *number).chain([number]).collect();
        prop_assert_eq!(numbers.len(), read.len() + 1, "no number twice");
        prop_assert!(read.iter().all(|record| written.contains(record)), "nothing made up");
        if bytes == whole {
            prop_assert_eq!((read, damages), (written, vec![]));
        } else if read.len() < written.len() {
            // Cut off between two records nothing shows that there was one.
            let is_cut = bytes.last().map(Vec::len) < whole.last().map(Vec::len);
            prop_assert!(!damages.is_empty() || cut_bytes > 0 || is_cut, "a loss is said");
        }
    }

    /// As `chaos spool` does it with a server: of each seed, one to three bits anywhere in the lane.
    #[test]
    fn fuzz_turned_bits_cost_just_the_records_that_they_hit_and_are_told(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..90), 1..20),
        bits in prop::collection::btree_set(any::<usize>(), 1..=3),
    ) {
        let dir = folder();
        let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
        let written: Vec<(u64, Vec<u8>, Place)> = (0..).zip(payloads).map(|(number, payload)| {
            let Position { segment, byte_offset, .. } = writer.append(&payload).expect("appended");
            let past = usize::try_from(byte_offset).expect("small");
            let place = (segment, past - HEADER_BYTES - payload.len()..past);
            (number, payload, place)
        }).collect();
        drop(writer);
        let turned = turn(dir.path(), &bits);
        prop_assume!(!turned.is_empty());
        let is_hit = |(segment, bytes): &Place| {
            turned.iter().any(|(of, byte)| of == segment && bytes.contains(byte))
        };
        let whole: Vec<(u64, Vec<u8>)> = written.iter().filter(|(.., place)| !is_hit(place))
            .map(|(number, payload, _)| (*number, payload.clone())).collect();
        let first = written.iter().position(|(.., place)| is_hit(place)).expect("every byte is of a record");

        let waiting = Backlog::open(dir.path(), 0).look(Position::default()).expect("counted");
        prop_assert_eq!(waiting.damage.map(|damage| damage.sequence), Some(first as u64), "the alarm");
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        let mut before = 0;
        let error = loop {
            match reader.next_batch(3, 300) {
                Ok(batch) => before += batch.records.len(),
                Err(error) => break error,
            }
        };
        prop_assert!(matches!(error, SpoolError::Damaged { .. }), "{error}");
        prop_assert_eq!(before, first, "what stands before the damage is read, and nothing behind it");

        let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
        prop_assert_eq!(writer.recovery().cut_bytes, 0, "what was whole is no torn end");
        let after = writer.append(b"after").expect("appended").sequence - 1;
        let (read, given_up) = read_all(dir.path());
        let (hit, given_up) = ((written.len() - whole.len()) as u64, given_up.iter().sum::<u64>());
        prop_assert!(after >= written.len() as u64, "no number twice");
        prop_assert_eq!(given_up, hit + after - written.len() as u64, "as many are given up as there can have been");
        prop_assert_eq!(read, [whole, vec![(after, b"after".to_vec())]].concat());
    }
}
