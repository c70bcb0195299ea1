//! `kill -9` between and within writes: what was reported as appended is there, once and in order.

use spool::{Options, Position, Reader, Writer};
use std::{
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

const DIR: &str = "SPOOL_KILL_DIR";

/// Not a test of its own: the process that gets killed. It prints each sequence number once its record is appended.
#[test]
#[ignore = "run as a child by the test below"]
fn writer_process() {
    let Some(dir) = env::var_os(DIR) else { return };
    let options = Options { segment_bytes: 4096, ..Options::default() };
    let mut writer = Writer::open(dir.as_ref(), 0, options).expect("a writer");
    let mut out = std::io::stdout().lock();
    loop {
        let sequence = writer.end().sequence;
        writer.append(format!("record {sequence}").repeat(1 + sequence as usize % 9).as_bytes()).expect("appended");
        if writeln!(out, "appended {sequence}").and_then(|()| out.flush()).is_err() {
            return;
        }
    }
}

#[test]
fn nothing_that_was_reported_is_lost_by_twenty_kills() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut reported = 0;
    for round in 1..=20 {
        let mut child = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "writer_process", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
        let numbers = lines.filter_map(|line| line.split("appended ").nth(1)?.parse::<u64>().ok());
        let mut numbers = numbers.inspect(|number| reported = reported.max(number + 1));
        let _ = numbers.nth(40 * round);
        child.kill().expect("killed");
        numbers.for_each(drop);
        child.wait().expect("ended");
    }
    assert!(reported > 1000);
    let mut reader = Reader::open(dir.path(), 0, Position::default()).expect("a reader");
    let mut next = 0;
    loop {
        let batch = reader.next_batch(1000, 1 << 20).expect("readable");
        if batch.records.is_empty() {
            break;
        }
        for record in batch.records {
            assert_eq!(record.sequence, next);
            let expected = format!("record {next}").repeat(1 + next as usize % 9);
            assert_eq!(String::from_utf8(record.payload.to_vec()).as_deref(), Ok(expected.as_str()));
            next += 1;
        }
    }
    // The last record may have been killed before it was reported, never after.
    assert!(next >= reported, "{next} records, {reported} were reported");
}
