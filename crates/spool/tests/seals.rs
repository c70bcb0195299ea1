//! What a seal promises: whoever changes the log without the key is found out, checksums mended or not, and is told where.

use spool::{
    Checked, Fault, HEADER_BYTES, Options, Position, Reader, SEAL_BYTES, Seal, SealHash, SealKey, SealReader, Sealing,
    SpoolError, Verifier, Writer, Wrong, beginning, verify,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

const NODE: &str = "0b9cdd5a-3a62-4e06-9d0e-4ddf3a0f6d4c";
const LARGE: Options = Options { durability: spool::Durability::Process, segment_bytes: 1 << 20, max_bytes: 1 << 30 };
const SMALL: Options = Options { segment_bytes: 400, ..LARGE };
/// Bytes of each record here.
const RECORD: usize = HEADER_BYTES + 40;

fn sealing(epoch: u64) -> Sealing {
    let key = SealKey::from_seed(&[7; 32]).expect("a key");
    Sealing { key: Arc::new(key), node: NODE.to_owned(), epoch }
}

fn keys() -> Verifier {
    Verifier::new([sealing(0).key.public()])
}

fn payload(number: u64) -> Vec<u8> {
    let mut payload = vec![b'.'; 40];
    payload[..8].copy_from_slice(&number.to_le_bytes());
    payload
}

/// Writes `groups` groups of eight records, each sealed by itself.
fn write(dir: &Path, lane: u32, options: Options, epoch: u64, groups: u64) -> Writer {
    let mut writer = Writer::open_sealed(dir, lane, options, sealing(epoch)).expect("a writer");
    for _ in 0..groups {
        for _ in 0..8 {
            writer.append(&payload(writer.end().sequence)).expect("appended");
        }
        writer.seal();
    }
    writer
}

fn file(dir: &Path, lane: u32, segment: u64, ending: &str) -> PathBuf {
    dir.join(lane.to_string()).join(format!("{segment:020}.{ending}"))
}

fn check(dir: &Path) -> Checked {
    verify(dir, NODE, 0, &keys()).expect("readable")
}

fn only_fault(dir: &Path) -> Fault {
    let checked = check(dir);
    let [fault] = checked.faults.as_slice() else { panic!("{:?}", checked.faults) };
    *fault
}

/// Writes a record as the log does, with right checksums: an attacker can do that.
fn forge(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut header = (payload.len() as u32).to_le_bytes().to_vec();
    header.extend(sequence.to_le_bytes());
    let of_header = crc32fast::hash(&header);
    header.extend(of_header.to_le_bytes());
    header.extend(crc32fast::hash(&[sequence.to_le_bytes().as_slice(), payload].concat()).to_le_bytes());
    [header.as_slice(), payload].concat()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

#[test]
fn what_nobody_touched_is_whole_over_rolls_restarts_and_kills() {
    let dir = tempfile::tempdir().expect("a directory");
    for epoch in 0..4 {
        let mut writer = write(dir.path(), 0, SMALL, epoch, 3);
        // These are sealed by the next life only, as after a kill.
        for _ in 0..5 {
            writer.append(&payload(writer.end().sequence)).expect("appended");
        }
    }
    let checked = check(dir.path());
    assert_eq!(checked.faults, []);
    assert_eq!((checked.records + checked.unsealed, checked.past + checked.unsealed), (4 * 29, 4 * 29));
    assert!(checked.unsealed <= 5 && checked.seals >= 12);
    write(dir.path(), 0, SMALL, 4, 0);
    assert_eq!((check(dir.path()).unsealed, check(dir.path()).records), (0, 4 * 29));
}

#[test]
fn a_record_that_was_edited_under_a_right_checksum_is_found() {
    for record in 0..16 {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), 0, LARGE, 1, 2);
        change(&file(dir.path(), 0, 0, "log"), |bytes| {
            let mut other = payload(record);
            other[20] = b'!';
            bytes[record as usize * RECORD..][..RECORD].copy_from_slice(&forge(record, &other));
        });
        // The log itself takes it for whole.
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        assert_eq!(reader.next_batch(99, 1 << 20).expect("readable").records.len(), 16);
        let Fault { first, past, wrong, .. } = only_fault(dir.path());
        assert_eq!((first, past, wrong), (record / 8 * 8, record / 8 * 8 + 8, Wrong::Changed));
    }
}

#[test]
fn every_flipped_bit_of_a_lane_and_of_its_seals_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, LARGE, 1, 2);
    for ending in ["log", "seal"] {
        let path = file(dir.path(), 0, 0, ending);
        let whole = fs::read(&path).expect("a file");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).expect("written");
            let faults = check(dir.path()).faults;
            assert!(!faults.is_empty(), "bit {bit} of the {ending}");
            if ending == "log" {
                assert_eq!(faults[0].first, (bit / 8 / RECORD) as u64, "bit {bit}");
            }
        }
        fs::write(&path, whole).expect("written");
    }
}

#[test]
fn a_seal_that_was_edited_under_a_right_checksum_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, LARGE, 1, 3);
    let path = file(dir.path(), 0, 0, "seal");
    let whole = fs::read(&path).expect("seals");
    for byte in 0..SEAL_BYTES - 4 {
        change(&path, |bytes| {
            let seal = &mut bytes[SEAL_BYTES..2 * SEAL_BYTES];
            seal[byte] ^= 0x10;
            let checksum = crc32fast::hash(&seal[..SEAL_BYTES - 4]);
            seal[SEAL_BYTES - 4..].copy_from_slice(&checksum.to_le_bytes());
        });
        assert!(!check(dir.path()).faults.is_empty(), "byte {byte}");
        fs::write(&path, &whole).expect("written");
    }
    assert_eq!(check(dir.path()).faults, []);
}

#[test]
fn records_in_another_order_or_taken_out_are_found() {
    type Trick = fn(&mut Vec<u8>);
    let tricks: [(Trick, Wrong); 4] = [
        // Two change places, with their numbers.
        (|bytes| bytes[9 * RECORD..11 * RECORD].rotate_left(RECORD), Wrong::OutOfOrder),
        // One is gone.
        (|bytes| drop(bytes.drain(9 * RECORD..10 * RECORD)), Wrong::OutOfOrder),
        // The last one is gone.
        (|bytes| bytes.truncate(15 * RECORD), Wrong::Gone),
        // One is gone, and those behind it have its number and theirs.
        (
            |bytes| {
                bytes.truncate(9 * RECORD);
                for number in 9..15 {
                    bytes.extend(forge(number, &payload(number + 1)));
                }
            },
            Wrong::Gone,
        ),
    ];
    for (trick, wrong) in tricks {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), 0, LARGE, 1, 2);
        change(&file(dir.path(), 0, 0, "log"), trick);
        let fault = only_fault(dir.path());
        assert_eq!(fault.wrong, wrong);
        assert!((9..16).contains(&fault.first), "{fault:?}");
    }
}

#[test]
fn a_splice_from_another_lane_or_node_is_found() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, LARGE, 1, 2);
    let mut other = Writer::open_sealed(dir.path(), 1, LARGE, sealing(1)).expect("a writer");
    for _ in 0..16 {
        other.append(&[b'o'; 40]).expect("appended");
    }
    other.seal();
    // A whole record of the other lane, and the whole lane with its seals.
    let foreign = fs::read(file(dir.path(), 1, 0, "log")).expect("a segment");
    change(&file(dir.path(), 0, 0, "log"), |bytes| {
        bytes[3 * RECORD..4 * RECORD].copy_from_slice(&foreign[3 * RECORD..4 * RECORD]);
    });
    assert_eq!((only_fault(dir.path()).wrong, only_fault(dir.path()).first), (Wrong::Changed, 0));
    for ending in ["log", "seal"] {
        fs::copy(file(dir.path(), 1, 0, ending), file(dir.path(), 0, 0, ending)).expect("copied");
    }
    assert_eq!(check(dir.path()).faults[0].wrong, Wrong::Foreign);
    // The lane is whole, and belongs to another node.
    let checked = verify(dir.path(), "another node", 1, &keys()).expect("readable");
    assert_eq!(checked.faults[0].wrong, Wrong::Seal(spool::BadSeal::Signature));
    let checked = verify(dir.path(), NODE, 1, &Verifier::new([[9; 32]])).expect("readable");
    assert_eq!(checked.faults[0].wrong, Wrong::Seal(spool::BadSeal::UnknownKey));
}

#[test]
fn a_segment_or_a_seal_that_is_gone_from_the_middle_is_found() {
    let of = |ending: &[&str]| {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), 0, SMALL, 1, 4);
        assert!(file(dir.path(), 0, 4, "log").exists());
        for ending in ending {
            fs::remove_file(file(dir.path(), 0, 2, ending)).expect("removed");
        }
        check(dir.path()).faults.iter().map(|fault| fault.wrong).collect::<Vec<_>>()
    };
    assert!(of(&["log"]).contains(&Wrong::Gone));
    assert!(of(&["seal"]).contains(&Wrong::Chain));
    assert!(of(&["log", "seal"]).contains(&Wrong::Chain));
    assert_eq!(of(&[]), []);
}

#[test]
fn seals_of_an_earlier_life_in_the_place_of_later_ones_are_found() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, LARGE, 5, 1);
    let early = fs::read(file(dir.path(), 0, 0, "seal")).expect("seals");
    write(dir.path(), 0, LARGE, 6, 1);
    change(&file(dir.path(), 0, 0, "seal"), |bytes| bytes.extend(&early));
    let wrongs: Vec<_> = check(dir.path()).faults.iter().map(|fault| fault.wrong).collect();
    assert_eq!(wrongs, [Wrong::Epoch, Wrong::Chain]);
}

#[test]
fn a_seal_that_a_kill_cut_off_is_none_and_one_that_was_cut_off_later_is_a_fault() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, SMALL, 1, 4);
    let cut = |segment: u64, bytes: u64| {
        let file = fs::OpenOptions::new().write(true).open(file(dir.path(), 0, segment, "seal")).expect("a file");
        file.set_len(file.metadata().expect("metadata").len() - bytes).expect("cut");
    };
    let newest = (0..).take_while(|number| file(dir.path(), 0, *number, "seal").exists()).last().expect("seals");
    cut(newest, 50);
    let checked = check(dir.path());
    assert_eq!(checked.faults, []);
    assert!(checked.unsealed > 0);
    // The next life seals them again, behind the whole ones.
    write(dir.path(), 0, SMALL, 2, 1);
    assert_eq!((check(dir.path()).faults, check(dir.path()).unsealed), (vec![], 0));
    cut(1, 50);
    let wrongs: Vec<_> = check(dir.path()).faults.iter().map(|fault| fault.wrong).collect();
    assert!(wrongs.contains(&Wrong::CutSeal) && wrongs.contains(&Wrong::Chain), "{wrongs:?}");
}

#[test]
fn a_sealed_end_that_is_gone_is_damage_and_its_numbers_are_not_given_again() {
    let whole = tempfile::tempdir().expect("a directory");
    write(whole.path(), 0, LARGE, 1, 8);
    let bytes = fs::read(file(whole.path(), 0, 0, "log")).expect("a segment");
    assert_eq!(bytes.len(), 64 * RECORD);
    // In some records, and at and behind each end of one.
    for cut in (0..bytes.len()).filter(|cut| cut % 61 == 0 || cut % RECORD < 2) {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("0")).expect("a lane");
        fs::write(file(dir.path(), 0, 0, "log"), &bytes[..cut]).expect("written");
        fs::copy(file(whole.path(), 0, 0, "seal"), file(dir.path(), 0, 0, "seal")).expect("copied");
        let mut writer = Writer::open_sealed(dir.path(), 0, LARGE, sealing(2)).expect("a writer");
        assert!(writer.recovery().damaged && writer.recovery().cut_bytes == 0, "cut at {cut}");
        assert_eq!(fs::read(file(dir.path(), 0, 0, "log")).expect("a segment").len(), cut, "it stays to be looked at");
        assert_eq!(writer.append(&payload(64)).expect("appended").sequence, 65);
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        let read = reader.next_batch(99, 1 << 20).map(|batch| batch.records.len()).unwrap_or_default();
        assert_eq!(read, cut / RECORD);
        assert!(matches!(reader.next_batch(99, 1 << 20), Err(SpoolError::Damaged { .. })), "cut at {cut}");
        assert_eq!(reader.skip_damage().expect("the next").lost_records, 64 - read as u64);
        writer.seal();
        assert!(!check(dir.path()).faults.is_empty());
    }
    // Without the seals it is a torn end like any other.
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("0")).expect("a lane");
    fs::write(file(dir.path(), 0, 0, "log"), &bytes[..RECORD + 5]).expect("written");
    let writer = Writer::open(dir.path(), 0, LARGE).expect("a writer");
    assert_eq!((writer.recovery().cut_bytes, writer.end().sequence), (5, 1));
}

#[test]
fn a_lane_whose_segments_are_all_gone_does_not_begin_again() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), 0, LARGE, 1, 2);
    fs::remove_file(file(dir.path(), 0, 0, "log")).expect("removed");
    let writer = Writer::open_sealed(dir.path(), 0, LARGE, sealing(2)).expect("a writer");
    assert!(writer.recovery().damaged);
    assert_eq!(writer.end().sequence, 16);
}

#[test]
fn seals_are_read_once_and_in_order_and_never_before_their_records_are_stored() {
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(SealReader::open(dir.path(), 0, 0).next(9, 9).expect("nothing"), []);
    let mut writer = write(dir.path(), 0, SMALL, 1, 6);
    let mut reader = SealReader::open(dir.path(), 0, 0);
    let mut read: Vec<Seal> = Vec::new();
    for stored in 0..=48 {
        let more = reader.next(stored, 2).expect("readable");
        assert!(more.len() <= 2 && more.iter().all(|seal| seal.past <= stored));
        read.extend(more);
    }
    read.extend(reader.next(u64::MAX, 99).expect("readable"));
    assert_eq!((read[0].first, read[0].previous), (0, beginning(NODE, 0)));
    assert!(read.windows(2).all(|two| two[1].previous == two[0].hash && two[1].first == two[0].past));
    assert_eq!(read.last().expect("seals").past, 48);
    assert!(read.iter().all(|seal| keys().verify(NODE, seal).is_ok()));
    // Whoever has the records has the hash.
    let mut hash = SealHash::behind(&read[0].previous);
    (0..read[0].past).for_each(|number| hash.add_record(number, &payload(number), &mut Vec::new()));
    assert_eq!(hash.finish(), read[0].hash);
    writer.append(&payload(48)).expect("appended");
    writer.seal();
    assert_eq!(reader.next(u64::MAX, 99).expect("readable").len(), 1);
    let behind = SealReader::open(dir.path(), 0, read[3].past).next(u64::MAX, 99).expect("readable");
    assert_eq!(behind[0], read[4]);
}
