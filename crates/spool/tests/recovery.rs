//! What a lane promises after a crash: whole records stay, torn ones go, damage is always said.

use proptest::prelude::*;
use spool::{Backlog, Durability, HEADER_BYTES, Home, Keep, Options, Position, Reader, SpoolError, Waiting, Writer};
use std::{fs, path::Path, time::Duration};

const LARGE: Options = Options { durability: Durability::Process, segment_bytes: 1 << 20, max_bytes: 1 << 30 };
const SMALL: Options = Options { segment_bytes: 100, ..LARGE };

fn write(dir: &Path, options: Options, payloads: &[Vec<u8>]) -> Position {
    let mut writer = Writer::open(dir, 0, options).expect("a writer");
    payloads.iter().fold(writer.end(), |_, payload| writer.append(payload).expect("appended"))
}

fn read_all(dir: &Path) -> Result<Vec<(u64, Vec<u8>)>, SpoolError> {
    let mut reader = Reader::open(dir, 0, Position::default())?;
    let mut all = Vec::new();
    loop {
        let batch = reader.next_batch(3, usize::MAX)?;
        if batch.records.is_empty() {
            return Ok(all);
        }
        all.extend(batch.records.into_iter().map(|record| (record.sequence, record.payload.to_vec())));
    }
}

fn numbered(payloads: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    (0..).zip(payloads.iter().cloned()).collect()
}

fn samples() -> Vec<Vec<u8>> {
    [&b"first"[..], b"", b"the third one"].map(<[u8]>::to_vec).to_vec()
}

fn segment(dir: &Path, number: u64) -> std::path::PathBuf {
    dir.join("0").join(format!("{number:020}.log"))
}

#[test]
fn a_tail_cut_at_any_byte_keeps_every_whole_record_and_the_sequence_goes_on() {
    let payloads = samples();
    let whole = tempfile::tempdir().expect("a directory");
    write(whole.path(), LARGE, &payloads);
    let bytes = fs::read(segment(whole.path(), 0)).expect("the segment");
    for cut in 0..=bytes.len() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("0")).expect("a lane");
        fs::write(segment(dir.path(), 0), &bytes[..cut]).expect("a torn segment");
        let mut left = cut;
        let mut expected: Vec<_> = payloads
            .iter()
            .take_while(|payload| {
                let fits = left >= HEADER_BYTES + payload.len();
                left = left.saturating_sub(HEADER_BYTES + payload.len());
                fits
            })
            .cloned()
            .collect();
        expected.push(b"after".to_vec());
        write(dir.path(), LARGE, &expected[expected.len() - 1..]);
        assert_eq!(read_all(dir.path()).expect("readable"), numbered(&expected), "cut at {cut}");
    }
}

#[test]
fn every_flipped_bit_is_an_error_for_the_reader_and_never_a_silent_loss_for_the_writer() {
    let payloads = samples();
    let whole = tempfile::tempdir().expect("a directory");
    write(whole.path(), LARGE, &payloads);
    let bytes = fs::read(segment(whole.path(), 0)).expect("the segment");
    for bit in 0..bytes.len() * 8 {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("0")).expect("a lane");
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(segment(dir.path(), 0), &flipped).expect("a damaged segment");
        assert!(matches!(read_all(dir.path()), Err(SpoolError::Damaged { segment: 0, .. })), "bit {bit}");

        // Also the last record: it is there in its whole length, so it is no torn end.
        let mut writer = Writer::open(dir.path(), 0, LARGE).expect("a writer");
        assert_eq!((writer.recovery().damaged, writer.recovery().cut_bytes), (true, 0), "bit {bit}");
        assert!(writer.end().sequence >= 3, "no number is given twice; bit {bit}");
        assert_eq!(fs::read(segment(dir.path(), 0)).expect("the segment"), flipped, "it stays to be looked at");
        assert!(matches!(read_all(dir.path()), Err(SpoolError::Damaged { .. })), "bit {bit}");

        writer.append(b"after").expect("appended");
        let (mut lost, mut read) = (0, Vec::new());
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        loop {
            match reader.next_batch(10, 1000) {
                Ok(batch) if batch.records.is_empty() => break,
                Ok(batch) => read.extend(batch.records.into_iter().map(|record| record.payload.to_vec())),
                Err(_) => lost += reader.skip_damage().expect("a next record").lost_records,
            }
        }
        assert_eq!(read.len(), 3, "two good ones and the new one; bit {bit}");
        assert_eq!(read[2], b"after");
        assert!(lost >= 1, "a loss is never nothing; bit {bit}");
        assert_eq!(reader.position().sequence, lost + 3, "bit {bit}");
    }
}

#[test]
fn room_that_was_never_written_is_no_damage_and_is_cut_off() {
    for zeros in [1, 19, 20, 4096] {
        let dir = tempfile::tempdir().expect("a directory");
        write(dir.path(), LARGE, &samples());
        let mut bytes = fs::read(segment(dir.path(), 0)).expect("the segment");
        bytes.resize(bytes.len() + zeros, 0);
        fs::write(segment(dir.path(), 0), &bytes).expect("as after a power cut");
        assert_eq!(read_all(dir.path()).expect("readable"), numbered(&samples()));
        let mut writer = Writer::open(dir.path(), 0, LARGE).expect("a writer");
        assert_eq!((writer.recovery().cut_bytes, writer.recovery().damaged), (zeros as u64, false));
        writer.append(b"after").expect("appended");
        assert_eq!(read_all(dir.path()).expect("readable").len(), 4);
    }
}

#[test]
fn damage_with_nothing_behind_it_can_be_left_and_is_counted() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), LARGE, &samples());
    let mut bytes = fs::read(segment(dir.path(), 0)).expect("the segment");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(segment(dir.path(), 0), bytes).expect("a damaged segment");
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    assert_eq!(reader.next_batch(10, 1000).expect("the good ones").records.len(), 2);
    assert_eq!(reader.skip_damage().expect("nowhere to go").lost_records, 0);
    let mut writer = Writer::open(dir.path(), 0, LARGE).expect("a writer");
    let damage = reader.skip_damage().expect("the new segment");
    assert_eq!((damage.lost_records, damage.to), (1, Position { segment: 1, byte_offset: 0, sequence: 3 }));
    writer.append(b"after").expect("appended");
    assert_eq!(reader.next_batch(10, 1000).expect("readable").records[0].sequence, 3);
    // The next start finds the same numbers, though the last segment is empty again.
    let empty = segment(dir.path(), 2);
    fs::write(&empty, b"").expect("written");
    assert_eq!(Writer::open(dir.path(), 1, LARGE).expect("another lane").end().sequence, 0);
    drop(writer);
    assert_eq!(Writer::open(dir.path(), 0, LARGE).expect("a writer").end().sequence, 4);
}

#[test]
fn reading_on_after_damage_says_how_many_records_are_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), LARGE, &samples());
    let mut bytes = fs::read(segment(dir.path(), 0)).expect("the segment");
    bytes[HEADER_BYTES] ^= 1;
    fs::write(segment(dir.path(), 0), bytes).expect("a damaged segment");
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    assert!(reader.next_batch(10, 1000).is_err());
    assert!(reader.next_batch(10, 1000).is_err(), "it does not go away by itself");
    assert_eq!(reader.skip_damage().expect("a next record").lost_records, 1);
    assert_eq!(reader.next_batch(10, 1000).expect("readable").records.len(), 2);
}

#[test]
fn a_removed_segment_or_a_place_after_the_end_is_an_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let end = write(dir.path(), SMALL, &vec![vec![7; 60]; 8]);
    let beyond = Position { byte_offset: end.byte_offset + 1, ..end };
    let mut reader = Reader::open(dir.path(), 0, beyond).expect("a reader");
    assert!(matches!(reader.next_batch(1, 1), Err(SpoolError::Missing { .. })));
    reader.remove_before(end, Keep::NOTHING).expect("removed");
    assert!(matches!(read_all(dir.path()), Err(SpoolError::Missing { segment: 0, .. })));
}

#[test]
fn the_sequence_survives_the_removal_of_all_that_was_read_and_a_crash() {
    let dir = tempfile::tempdir().expect("a directory");
    let end = write(dir.path(), SMALL, &vec![vec![7; 100]; 3]);
    // The state just after a roll whose record was never written.
    fs::write(segment(dir.path(), end.segment + 1), b"").expect("an empty segment");
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let batch = reader.next_batch(100, 10_000).expect("readable");
    assert_eq!(batch.end, Position { segment: end.segment + 1, byte_offset: 0, sequence: 3 });
    reader.remove_before(batch.end, Keep::NOTHING).expect("removed");
    write(dir.path(), SMALL, &[b"next".to_vec()]);
    assert_eq!(reader.next_batch(100, 10_000).expect("readable").records[0].sequence, 3);
}

#[test]
fn a_full_lane_refuses_and_takes_records_again_once_segments_are_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { segment_bytes: 100, max_bytes: 500, ..LARGE };
    let mut writer = Writer::open(dir.path(), 0, options).expect("a writer");
    while writer.append(&[1; 60]).is_ok() {}
    assert!(matches!(writer.append(&[1; 60]), Err(SpoolError::Full { max: 500, .. })));
    assert!(!writer.has_room(80));
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let batch = reader.next_batch(100, 10_000).expect("readable");
    assert_eq!(batch.end.sequence, writer.end().sequence);
    reader.remove_before(batch.end, Keep::NOTHING).expect("removed");
    std::thread::sleep(std::time::Duration::from_millis(110));
    assert!(writer.has_room(80));
    writer.append(&[2; 60]).expect("there is room again");
}

#[test]
fn neither_a_directory_nor_a_lane_is_shared_and_the_node_keeps_its_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let home = Home::open(dir.path()).expect("a home");
    assert!(matches!(Home::open(dir.path()), Err(SpoolError::InUse(_))));
    let writer = Writer::open(dir.path(), 3, LARGE).expect("a writer");
    assert!(matches!(Writer::open(dir.path(), 3, LARGE), Err(SpoolError::InUse(_))));
    let name = home.node().to_owned();
    drop((home, writer));
    assert_eq!(Home::open(dir.path()).expect("a home").node(), name);
    assert_eq!(Home::open(dir.path()).expect("a home").epoch(), 3, "each start is counted, the refused one not");
    std::fs::write(dir.path().join("epoch"), "some").expect("written");
    assert!(matches!(Home::open(dir.path()), Err(SpoolError::Io { .. })), "a start never takes a number again");
    assert_eq!(spool::node(dir.path()).expect("a name"), name);
    assert_eq!(spool::lanes(dir.path()).expect("lanes"), [3]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_was_appended_reads_back_over_rolls_and_restarts(
        runs in prop::collection::vec(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..12), 1..5),
        max_records in 1_usize..7, max_bytes in 1_usize..400,
    ) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        let mut read = Vec::new();
        for payloads in &runs {
            let end = write(dir.path(), SMALL, payloads);
            loop {
                let batch = reader.next_batch(max_records, max_bytes).expect("readable");
                prop_assert!(batch.records.len() <= max_records);
                if batch.records.is_empty() { break; }
                read.extend(batch.records.into_iter().map(|record| (record.sequence, record.payload.to_vec())));
                // Any place that was returned is a place to go on from.
                reader = Reader::open(dir.path(), 0, batch.end).expect("a reader");
                reader.remove_before(batch.end, Keep::NOTHING).expect("removed");
            }
            prop_assert_eq!(reader.position().sequence, end.sequence);
        }
        prop_assert_eq!(read, numbered(&runs.concat()));
    }
}

#[test]
fn a_segment_grows_where_the_next_cannot_be_opened_and_no_record_is_lost() {
    let dir = tempfile::tempdir().expect("a directory");
    let payloads: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 60]).collect();
    let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
    // In the way of the second segment, as a process without descriptors would be.
    fs::create_dir(segment(dir.path(), 1)).expect("a folder");
    for payload in &payloads[..10] {
        assert_eq!(writer.append(payload).expect("appended").segment, 0);
    }
    fs::remove_dir(segment(dir.path(), 1)).expect("removed");
    for payload in &payloads[10..] {
        writer.append(payload).expect("appended");
    }
    assert!(writer.end().segment > 1);
    assert_eq!(read_all(dir.path()).expect("whole"), numbered(&payloads));
    assert_eq!(writer.recount().expect("counted"), writer.used_bytes());
}

const KEEP: Keep = Keep { bytes: 1 << 20, age: Duration::from_secs(3600), lane_bytes: 1 << 30 };

fn names(dir: &Path, ending: &str) -> usize {
    let files = fs::read_dir(dir.join("0")).expect("a lane").flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == ending)).count()
}

#[test]
fn what_was_taken_in_is_kept_and_can_be_read_again_from_any_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let payloads: Vec<Vec<u8>> = (0..30_u8).map(|number| vec![number; 60]).collect();
    let end = write(dir.path(), SMALL, &payloads);
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let mut places = Vec::new();
    while let batch = reader.next_batch(4, usize::MAX).expect("readable")
        && !batch.records.is_empty()
    {
        places.extend(batch.records.iter().map(|record| record.at));
        reader.remove_before(batch.end, KEEP).expect("put aside");
    }
    assert!(names(dir.path(), "log") <= 2 && names(dir.path(), "kept") > 10);
    let mut writer = Writer::open(dir.path(), 0, SMALL).expect("a writer");
    assert_eq!(writer.end(), end);
    assert!(writer.recount().expect("counted") < 300, "what was taken in makes way, so it is not counted");
    for (place, payload) in places.into_iter().zip(&payloads) {
        let mut again = Reader::open(dir.path(), 0, place).expect("a reader");
        assert_eq!(&again.next_batch(1, 1).expect("kept").records[0].payload, payload);
    }
    assert_eq!(read_all(dir.path()).expect("all of it").len(), 30);
}

#[test]
fn what_is_kept_goes_by_size_by_age_and_where_the_lane_needs_the_room() {
    let at = |keep: Keep| {
        let dir = tempfile::tempdir().expect("a directory");
        let end = write(dir.path(), SMALL, &vec![vec![7; 60]; 30]);
        Reader::open(dir.path(), 0, end).expect("a reader").remove_before(end, KEEP).expect("put aside");
        let before = names(dir.path(), "kept");
        std::thread::sleep(Duration::from_millis(20));
        spool::trim(dir.path(), 0, end, keep).expect("trimmed");
        // What is left is the newest, so it can be read up to the end.
        let first = names(dir.path(), "kept");
        assert!(first == 0 || first == before || !segment(dir.path(), 0).with_extension("kept").exists());
        (before, first)
    };
    let (before, left) = at(KEEP);
    assert_eq!(before, left);
    assert!((1..before).contains(&at(Keep { bytes: 500, ..KEEP }).1));
    assert_eq!(at(Keep { age: Duration::from_millis(10), ..KEEP }).1, 0);
    assert_eq!(at(Keep { lane_bytes: 100, ..KEEP }).1, 0);
    // A place that was set back needs what lies behind it.
    let dir = tempfile::tempdir().expect("a directory");
    let end = write(dir.path(), SMALL, &vec![vec![7; 60]; 30]);
    Reader::open(dir.path(), 0, end).expect("a reader").remove_before(end, KEEP).expect("put aside");
    spool::trim(dir.path(), 0, Position::default(), Keep::NOTHING).expect("trimmed");
    assert_eq!(read_all(dir.path()).expect("all of it").len(), 30);
}

#[test]
fn what_waits_is_counted_from_the_files_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let payloads = vec![vec![7; 60]; 30];
    let end = write(dir.path(), SMALL, &payloads);
    let mut backlog = Backlog::open(dir.path(), 0);
    let all = backlog.look(Position::default()).expect("counted");
    assert_eq!(all, Waiting { records: 30, bytes: 30 * 80, damage: None });
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let half = reader.next_batch(11, usize::MAX).expect("readable").end;
    reader.remove_before(half, KEEP).expect("put aside");
    assert_eq!(backlog.look(half).expect("counted"), Waiting { records: 19, bytes: 19 * 80, damage: None });
    assert_eq!(backlog.look(end).expect("counted"), Waiting::default());
    assert_eq!(backlog.oldest(end).expect("read"), None);
    write(dir.path(), SMALL, &[b"one more".to_vec()]);
    assert_eq!(backlog.look(end).expect("counted").records, 1);
    assert_eq!(backlog.oldest(end).expect("read").as_deref(), Some(&b"one more"[..]));
    // As after a Postgres that came back from an earlier copy.
    assert_eq!(backlog.look(Position::default()).expect("counted").records, 31);
    assert_eq!(spool::stored(dir.path(), 0).expect("guessed").segment, half.segment - u64::from(half.byte_offset == 0));
    spool::note_stored(dir.path(), 0, end).expect("noted");
    assert_eq!(spool::stored(dir.path(), 0).expect("read"), end);
}

#[test]
fn damage_ahead_is_seen_before_the_reader_comes_to_it() {
    let dir = tempfile::tempdir().expect("a directory");
    write(dir.path(), SMALL, &vec![vec![7; 60]; 9]);
    let damaged = segment(dir.path(), 1);
    let mut bytes = fs::read(&damaged).expect("a segment");
    bytes[HEADER_BYTES + 3] ^= 4;
    fs::write(&damaged, bytes).expect("written");
    let mut backlog = Backlog::open(dir.path(), 0);
    let waiting = backlog.look(Position::default()).expect("counted");
    assert_eq!(waiting.records, 9);
    let damage = waiting.damage.expect("seen");
    assert_eq!((damage.segment, damage.byte_offset, damage.sequence), (1, 0, 2));
    // Behind it there is none.
    let mut reader = Reader::open(dir.path(), 0, damage).expect("a reader");
    let to = reader.skip_damage().expect("a next record").to;
    assert_eq!(backlog.look(to).expect("counted"), Waiting { records: 6, bytes: 6 * 80, damage: None });
    assert!(backlog.oldest(damage).expect("read").is_some(), "the next that can be read");
}
