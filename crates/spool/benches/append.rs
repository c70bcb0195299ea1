//! What sealing adds to an append, in nanoseconds a record: the least of many rounds, as other programs run beside it.

use spool::{Options, SealKey, Sealing, Writer};
use std::{sync::Arc, time::Instant};

/// As long as a usual event.
const PAYLOAD: [u8; 220] = [7; 220];
const RECORDS: u32 = 2_000;
const ROUNDS: u32 = 200;

fn main() {
    let key = Arc::new(SealKey::from_seed(&[7; 32]).expect("a key"));
    let sealing = || Sealing { key: key.clone(), node: "node".to_owned(), epoch: 1 };
    for group in [1, 16] {
        let dir = tempfile::tempdir().expect("a directory");
        let options = Options { max_bytes: 16 << 30, segment_bytes: 1 << 30, ..Options::default() };
        let mut plain = Writer::open(dir.path(), 0, options).expect("a writer");
        let mut sealed = Writer::open_sealed(dir.path(), 1, options, sealing()).expect("a writer");
        let (mut without, mut with) = (u128::MAX, u128::MAX);
        for _ in 0..ROUNDS {
            without = without.min(time(&mut plain, group));
            with = with.min(time(&mut sealed, group));
        }
        let of_one = |round: u128| round / u128::from(RECORDS);
        println!("{group:>2} records a write: {} ns without seals, {} ns with them", of_one(without), of_one(with));
        let began = Instant::now();
        sealed.seal();
        println!("   a seal: {} us", began.elapsed().as_micros());
    }
}

fn time(writer: &mut Writer, group: u32) -> u128 {
    let began = Instant::now();
    for number in 0..RECORDS {
        writer.gather(&PAYLOAD).expect("gathered");
        if number % group == group - 1 {
            writer.flush().expect("written");
        }
    }
    writer.flush().expect("written");
    began.elapsed().as_nanos()
}
