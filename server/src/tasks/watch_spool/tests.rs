//! What is told of a spool that nobody takes in.

use super::*;
use crate::{tasks::ship_spool::Shipper, test_app::event};
use domain::{id::PartnerId, key_text::Environment};
use jiff::SignedDuration;
use spool::{Options, Writer};
use store::test_db;
use uuid::Uuid;

const KEEP: Keep = Keep { bytes: 1 << 20, age: Duration::from_secs(3600), lane_bytes: 1 << 30 };

fn record(writer: &mut Writer, at: Timestamp, events: u64) {
    for _ in 0..events {
        let mut bytes = Vec::new();
        wire::encode(&event(PartnerId(Uuid::from_u128(7)), Environment::Live, 1, at), &mut bytes);
        writer.append(&bytes).expect("appended");
    }
}

#[tokio::test]
async fn lag_and_backlog_are_right_while_postgres_is_away_and_after_a_start_without_it() {
    let store = test_db::store().await;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = || folder.path().to_owned();
    let mut writer =
        Writer::open(folder.path(), 0, Options { segment_bytes: 1000, ..Options::default() }).expect("a writer");
    let clock = Clock::default();
    let mut shipper = Shipper::new(store.handle(), clock.clone(), dir(), "node".to_owned(), KEEP);
    let watch = Watch::new(dir(), clock.clone(), shipper.progress(), KEEP);
    let long_ago = clock.now() - SignedDuration::from_hours(9);
    record(&mut writer, long_ago, 20);
    assert!((32_400..32_500).contains(&watch.look().expect("looked")[0].lag));
    shipper.ship().await.expect("shipped");
    let quiet = Standing { lane: 0, waiting: Waiting::default(), lag: 0 };
    assert_eq!(watch.look().expect("looked"), [quiet], "what is stored is neither old nor waiting");

    store.close().await;
    record(&mut writer, clock.now() - SignedDuration::from_secs(100), 1);
    record(&mut writer, clock.now(), 6);
    assert!(shipper.ship().await.is_err());
    let waits = watch.look().expect("looked")[0];
    assert_eq!((waits.waiting.records, waits.waiting.damage), (7, None));
    assert!(waits.waiting.bytes > 7 * 100 && (100..160).contains(&waits.lag), "{waits:?}");

    // A process that has never reached Postgres goes by the note of the one before.
    let anew = Watch::new(dir(), clock.clone(), Progress::default(), KEEP);
    assert_eq!(anew.look().expect("looked")[0].waiting, waits.waiting);
    assert!((100..160).contains(&anew.look().expect("looked")[0].lag));
}
