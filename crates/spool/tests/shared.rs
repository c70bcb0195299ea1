//! A shipper at the writer's heels, and a disk that ends in the middle of a record.

use spool::{Keep, MAX_PAYLOAD_BYTES, Options, Position, Reader, SpoolError, Writer};
use std::{
    env,
    process::{Command, Stdio},
    thread,
};

#[test]
fn a_reader_that_follows_and_removes_segments_sees_each_record_once() {
    const RECORDS: u64 = 20_000;
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options { segment_bytes: 2_000, max_bytes: 1 << 20, ..Options::default() };
    let mut writer = Writer::open(dir.path(), 0, options).expect("a writer");
    thread::scope(|scope| {
        scope.spawn(|| {
            while writer.end().sequence < RECORDS {
                match writer.append(&writer.end().sequence.to_le_bytes()) {
                    Ok(_) => {}
                    Err(SpoolError::Full { .. }) => thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
        });
        let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
        let mut next = 0_u64;
        while next < RECORDS {
            let batch = reader.next_batch(500, 1 << 20).expect("readable");
            for record in batch.records {
                assert_eq!((record.sequence, &record.payload[..]), (next, &next.to_le_bytes()[..]));
                next += 1;
            }
            reader.remove_before(batch.end, Keep::NOTHING).expect("removed");
        }
        assert!(reader.next_batch(1, 1).expect("readable").records.is_empty());
    });
    assert!(std::fs::read_dir(dir.path().join("0")).expect("a lane").count() <= 4, "segments do not pile up");
}

const DIR: &str = "SPOOL_DISK_DIR";

/// Not a test of its own: a writer whose files may not grow past a few kilobytes.
#[test]
#[ignore = "run as a child by the test below"]
fn writer_on_a_small_disk() {
    let Some(dir) = env::var_os(DIR) else { return };
    let mut writer = Writer::open(dir.as_ref(), 0, Options::default()).expect("a writer");
    while writer.append(&[7; 300]).is_ok() {}
    assert!(matches!(writer.append(&[7; 300]), Err(SpoolError::Io { .. })), "it goes on failing");
    let end = writer.end();
    writer.append(b"short").expect("a record that still fits, where the torn one was cut off");
    println!("sequence {} bytes {}", end.sequence + 1, writer.end().byte_offset);
}

#[test]
fn a_write_that_the_disk_cuts_short_is_an_error_and_leaves_no_trace() {
    let dir = tempfile::tempdir().expect("a directory");
    // A limit on file sizes cuts a write short exactly as a full disk does. Blocks are 512 or 1024 bytes.
    let program = env::current_exe().expect("this test");
    let script = "trap '' XFSZ; ulimit -f 9; exec \"$0\" --exact writer_on_a_small_disk --ignored --nocapture";
    let output = Command::new("sh")
        .args(["-c", script])
        .arg(program)
        .env(DIR, dir.path())
        .stderr(Stdio::inherit())
        .output()
        .expect("a child");
    let text = String::from_utf8_lossy(&output.stdout);
    let words: Vec<_> = text.split_whitespace().skip_while(|word| *word != "sequence").collect();
    let [_, records, _, bytes, ..] = words.as_slice() else { panic!("{text}") };
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let batch = reader.next_batch(1_000, 1 << 20).expect("readable");
    assert_eq!(batch.end.sequence.to_string(), *records);
    assert_eq!(batch.end.byte_offset.to_string(), *bytes);
    assert_eq!(batch.records.last().expect("records").payload, &b"short"[..]);
    assert_eq!(Writer::open(dir.path(), 0, Options::default()).expect("a writer").recovery().cut_bytes, 0);
}

#[test]
fn what_is_gathered_is_nowhere_until_it_is_flushed_and_then_stands_in_order() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut writer = Writer::open(dir.path(), 0, Options::default()).expect("a writer");
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    for payload in [&b"one"[..], b"two"] {
        writer.gather(payload).expect("gathered");
    }
    assert!(writer.gather(&vec![0; MAX_PAYLOAD_BYTES + 1]).is_err());
    assert_eq!(writer.end(), Position::default());
    assert!(reader.next_batch(9, 999).expect("readable").records.is_empty());
    // The next record takes along what was gathered before it.
    let end = writer.append(b"three").expect("appended");
    assert_eq!((end, end.sequence), (writer.flush().expect("nothing left to do"), 3));
    let read = reader.next_batch(9, 999).expect("readable").records;
    let read: Vec<_> = read.into_iter().map(|record| (record.sequence, record.payload.to_vec())).collect();
    assert_eq!(read, [(0, b"one".to_vec()), (1, b"two".to_vec()), (2, b"three".to_vec())]);
}
