//! Disks that fail: what was not safely written does not count, and nobody believes a second try.

use super::*;
use crate::{Keep, Reader, SealKey, disk::faults};
use std::{io::Write as _, sync::Arc};

const HOST: Options = Options { durability: Durability::Host, segment_bytes: 1 << 20, max_bytes: 1 << 30 };

/// Records with their numbers, and numbers that are void.
type Read = (Vec<(u64, Vec<u8>)>, Vec<(u64, u64)>);

fn read(dir: &Path) -> Read {
    let mut reader = Reader::open(dir, 0, Position::default()).expect("a reader");
    let (mut records, mut void) = (Vec::new(), Vec::new());
    loop {
        let batch = reader.next_batch(3, usize::MAX).expect("readable");
        let is_end = batch.is_all;
        records.extend(batch.records.into_iter().map(|record| (record.sequence, record.payload.to_vec())));
        void.extend(batch.void);
        if is_end {
            return (records, void);
        }
    }
}

#[test]
fn after_a_failed_sync_the_records_do_not_count_and_the_log_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, HOST).expect("a writer");
    writer.append(b"good").expect("appended");
    for payload in [&b"lost one"[..], b"lost two"] {
        writer.gather(payload).expect("gathered");
    }
    faults::fail(1);
    assert!(matches!(writer.flush(), Err(SpoolError::Io { .. })), "nobody is answered");
    assert_eq!(
        writer.end(),
        Position { segment: 1, byte_offset: 0, sequence: 3 },
        "not the same file, nor the same numbers"
    );
    writer.append(b"after").expect("appended");
    let expected = (vec![(0, b"good".to_vec()), (3, b"after".to_vec())], vec![(1, 3)]);
    let batch =
        Reader::open(dir.path(), 0, Position::default()).expect("a reader").next_batch(9, 999).expect("readable");
    assert!(batch.is_all && batch.records.len() == 2, "in one go");
    assert_eq!(read(dir.path()), expected);
    drop(writer);
    // The same whether the disk has kept of it all, some or nothing.
    let first = segment::file(&dir.path().join("0"), 0);
    let bytes = fs::read(&first).expect("the segment");
    for length in (HEADER_BYTES + 4..=bytes.len()).rev() {
        fs::write(&first, &bytes[..length]).expect("cut");
        assert_eq!(read(dir.path()), expected, "{length}");
    }
}

#[test]
fn a_start_right_after_the_mark_goes_on_in_a_new_segment() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, HOST).expect("a writer");
    writer.append(b"good").expect("appended");
    // In the way of the second segment, so that only the mark is there.
    let second = segment::file(&dir.path().join("0"), 1);
    fs::create_dir(&second).expect("a folder");
    faults::fail(1);
    assert!(writer.append(b"lost").is_err());
    assert!(writer.append(b"refused").is_err(), "nothing is answered before the log can go on elsewhere");
    fs::remove_dir(&second).expect("removed");
    drop(writer);
    let mut writer = Writer::open(dir.path(), 0, HOST).expect("a writer");
    assert_eq!(writer.end(), Position { segment: 1, byte_offset: 0, sequence: 2 });
    writer.append(b"after").expect("appended");
    assert_eq!(read(dir.path()), (vec![(0, b"good".to_vec()), (2, b"after".to_vec())], vec![(1, 2)]));
}

#[test]
fn where_the_next_segment_opens_later_the_numbers_still_go_on_behind_the_lost_ones() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, HOST).expect("a writer");
    let second = segment::file(&dir.path().join("0"), 1);
    fs::create_dir(&second).expect("a folder");
    faults::fail(1);
    assert!(writer.append(b"lost").is_err());
    writer.gather(b"gathered meanwhile").expect("gathered");
    fs::remove_dir(&second).expect("removed");
    assert_eq!(writer.flush().expect("written").sequence, 2);
    assert_eq!(read(dir.path()), (vec![(1, b"gathered meanwhile".to_vec())], vec![(0, 1)]));
}

#[test]
fn a_group_of_which_a_reader_may_have_seen_some_keeps_its_numbers() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer =
        Writer::open(dir.path(), 0, Options { durability: Durability::Process, ..HOST }).expect("a writer");
    writer.append(b"good").expect("appended");
    for payload in [&b"one"[..], b"two"] {
        writer.gather(payload).expect("gathered");
    }
    // What a disk that is full in the middle of the second record leaves.
    writer.file.write_all(&writer.gathered[..HEADER_BYTES + 3 + 5]).expect("written");
    assert_eq!(writer.left_by_write(3), Left::Doubtful { past: 3 });
    writer.file.set_len(writer.end.byte_offset + 5).expect("cut");
    assert_eq!(writer.left_by_write(3), Left::Torn, "nobody can have read that");
}

#[test]
fn a_reader_whose_sync_fails_hands_nothing_out_and_writes_the_bytes_anew_before_it_does() {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { durability: Durability::Process, segment_bytes: 60, ..HOST };
    let mut writer = Writer::open(dir.path(), 0, options).expect("a writer");
    let payloads = [&b"one"[..], b"two", b"three", b"four", b"five", b"six"];
    for payload in payloads {
        writer.append(payload).expect("appended");
    }
    assert!(writer.end().segment > 0);
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    // The first segment is well, the second is not: none of the batch may go out.
    faults::skip_and_fail(1, 1);
    assert!(matches!(reader.next_batch(100, usize::MAX), Err(SpoolError::Io { .. })));
    assert_eq!(reader.position(), Position::default());
    let second = segment::file(&dir.path().join("0"), 1);
    let written = || fs::metadata(&second).and_then(|metadata| metadata.modified()).expect("a time");
    let before = written();
    std::thread::sleep(Duration::from_millis(20));
    let batch = reader.next_batch(100, usize::MAX).expect("readable");
    let read: Vec<_> = batch.records.iter().map(|record| &record.payload[..]).collect();
    assert_eq!(read, payloads);
    assert!(written() > before, "a second sync alone would prove nothing");
}

#[test]
fn a_disk_that_is_full_of_an_open_segment_is_not_full_for_ever() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, Options::default()).expect("a writer");
    let payload = vec![7; 1_000];
    for _ in 0..80 {
        writer.append(&payload).expect("appended");
    }
    faults::leave_room(Some(300));
    assert!(matches!(writer.append(&payload), Err(SpoolError::Io { .. })));
    assert_eq!(writer.end(), Position { segment: 1, byte_offset: 0, sequence: 80 }, "it can be taken in and let go");
    assert!(writer.append(&payload).is_err(), "still full");
    assert_eq!(writer.end().segment, 1, "not one more for each try");
    faults::leave_room(None);
    writer.append(b"after").expect("appended");
    let (records, void) = read(dir.path());
    assert_eq!((records.len(), records[80].clone(), void), (81, (80, b"after".to_vec()), Vec::new()));
}

#[test]
fn a_disk_that_is_full_of_one_segment_lets_it_go_once_it_was_taken_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = Arc::new(SealKey::from_seed(&[7; 32]).expect("a key"));
    let sealing = || Sealing { key: key.clone(), node: "node".to_owned(), epoch: 1 };
    let mut writer = Writer::open_sealed(dir.path(), 0, Options::default(), sealing()).expect("a writer");
    let payload = vec![7; 1_000];
    for _ in 0..80 {
        writer.append(&payload).expect("appended");
    }
    faults::leave_room(Some(0));
    for _ in 0..3 {
        assert!(matches!(writer.append(&payload), Err(SpoolError::Io { .. })));
        // Room for a mark, and for no record.
        faults::leave_room(Some(60));
    }
    let end = Position { segment: 2, byte_offset: 0, sequence: 80 };
    assert_eq!(writer.end(), end, "one more, however often it is tried");
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let batch = reader.next_batch(100, usize::MAX).expect("readable");
    assert_eq!((batch.records.len(), batch.void, batch.end), (80, Vec::new(), end));
    reader.remove_before(end, Keep::NOTHING).expect("let go");
    assert!(!segment::file(&dir.path().join("0"), 0).exists(), "here is the room");
    faults::leave_room(None);
    drop(writer);
    let mut writer = Writer::open_sealed(dir.path(), 0, Options::default(), sealing()).expect("a writer");
    assert_eq!((writer.end(), writer.recovery()), (end, Recovery::default()), "after a crash, too");
    writer.append(b"after").expect("appended");
    writer.seal();
    let next = reader.next_batch(100, usize::MAX).expect("readable");
    assert_eq!(next.records.iter().map(|record| record.sequence).collect::<Vec<_>>(), [80]);
    let checked = crate::verify(dir.path(), "node", 0, &crate::Verifier::new([key.public()])).expect("readable");
    assert_eq!((checked.faults, checked.records, checked.past), (vec![], 1, 81));
}

#[test]
fn what_a_full_disk_cut_within_a_group_is_marked_in_the_room_that_was_kept_for_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, Options::default()).expect("a writer");
    let spare = dir.path().join("0/spare");
    writer.append(b"good").expect("appended");
    for payload in [[1; 100], [2; 100]] {
        writer.gather(&payload).expect("gathered");
    }
    // The first of them is whole, and a reader may have seen it; there is no room to say that it does not count.
    assert!(spare.exists());
    faults::leave_room(Some(150));
    assert!(writer.flush().is_err());
    assert!(!spare.exists(), "it was given up");
    assert!(writer.append(b"refused").is_err(), "though others took the room");
    faults::leave_room(Some(1 << 20));
    writer.append(b"after").expect("appended");
    faults::leave_room(None);
    assert!(spare.exists(), "and kept anew");
    assert_eq!(read(dir.path()), (vec![(0, b"good".to_vec()), (3, b"after".to_vec())], vec![(1, 3)]));
}

#[test]
fn two_failed_syncs_in_a_row_are_no_records_that_are_gone() {
    let dir = tempfile::tempdir().expect("a directory");
    let key = Arc::new(SealKey::from_seed(&[7; 32]).expect("a key"));
    let sealing = Sealing { key: key.clone(), node: "node".to_owned(), epoch: 1 };
    let mut writer = Writer::open_sealed(dir.path(), 0, HOST, sealing).expect("a writer");
    writer.append(b"good").expect("appended");
    for _ in 0..2 {
        faults::fail(1);
        assert!(writer.append(b"lost").is_err());
    }
    writer.append(b"after").expect("appended");
    writer.seal();
    assert_eq!(writer.end(), Position { segment: 2, byte_offset: (HEADER_BYTES + 5) as u64, sequence: 4 });
    let checked = crate::verify(dir.path(), "node", 0, &crate::Verifier::new([key.public()])).expect("readable");
    assert_eq!((checked.faults, checked.records, checked.past), (vec![], 2, 4));
}
