//! Real seals in a real Postgres, beside events that are not, or are not quite, what was sealed.

use super::*;
use crate::test_app::event;
use ::spool::{Options, SealKey, Sealing, Writer};
use domain::key_text::Environment;
use std::sync::Arc;
use store::{
    ingest::Position as Stored,
    test_db::{self, TestStore, world::World},
};
use tempfile::TempDir;

const NODE: &str = "node";
const NEVER: Timestamp = Timestamp::UNIX_EPOCH;

struct Sealed {
    store: TestStore,
    folder: TempDir,
    key: Arc<SealKey>,
}

/// Thirty events in three seals, of which Postgres has what `change` makes of them.
async fn sealed(change: impl FnOnce(&mut Vec<(u64, UsageEvent)>)) -> Sealed {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let key = Arc::new(SealKey::from_seed(&[7; 32]).expect("a key"));
    let sealing = Sealing { key: key.clone(), node: NODE.to_owned(), epoch: 1 };
    let mut writer = Writer::open_sealed(folder.path(), 0, Options::default(), sealing).expect("a writer");
    let mut events = Vec::new();
    for sequence in 0..30 {
        let mut event = event(world.partner, Environment::Live, 1, world.now);
        event.epoch = 1;
        event.request_id = format!("r{sequence}");
        writer.append(&encode(&event)).expect("appended");
        if sequence % 10 == 9 {
            writer.seal();
        }
        events.push((sequence, event));
    }
    change(&mut events);
    let to = Stored { segment: 0, byte_offset: writer.end().byte_offset, sequence: 30 };
    store.ingest((NODE, 0, events), Stored::default(), to, world.now).await.expect("taken in");
    let seals = SealReader::open(folder.path(), 0, 0).next(30, 99).expect("seals");
    let stored = seals.iter().map(|seal| StoredSeal {
        first: seal.first,
        past: seal.past,
        sealed_at: Timestamp::from_microsecond(seal.at_us).expect("an instant"),
        entry: seal.to_bytes().to_vec(),
    });
    store.keep_seals(NODE, 0, &stored.collect::<Vec<_>>()).await.expect("kept");
    Sealed { store, folder, key }
}

impl Sealed {
    /// What is wrong, with the log beside it or not; records that are right, and records that cannot be compared.
    async fn look(&self, with_log: bool) -> (Vec<String>, u64, u64) {
        let keys = Verifier::new([self.key.public()]);
        let within = Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
        let spool = with_log.then(|| (self.folder.path(), NODE.to_owned()));
        let rows = Rows { store: &self.store, keys: &keys, spool, within, live_from: NEVER, test_from: NEVER };
        let looked = rows.look(NODE, 0).await.expect("looked");
        assert_eq!(rows.verify().await.expect("looked"), looked.faults.len());
        (looked.faults.clone(), looked.records, looked.unknown)
    }
}

#[tokio::test]
async fn events_that_are_what_was_sealed_are_made_to_the_same_bytes_again() {
    let sealed = sealed(|_| {}).await;
    for with_log in [false, true] {
        assert_eq!(sealed.look(with_log).await, (vec![], 30, 0));
    }
}

#[tokio::test]
async fn an_event_that_was_changed_is_found_and_named_where_the_log_is_there() {
    let sealed = sealed(|events| events[14].1.units += 1).await;
    let (faults, records, _) = sealed.look(false).await;
    assert_eq!(faults, ["records 10 to 19: among these one was changed in Postgres after it was sealed"]);
    assert_eq!(records, 20);
    let (faults, ..) = sealed.look(true).await;
    assert_eq!(faults.len(), 1);
    assert!(faults[0].starts_with("record 14: it was changed in Postgres: partner"), "{faults:?}");
}

#[tokio::test]
async fn an_event_that_was_taken_out_or_doubled_is_named_and_one_that_was_given_up_on_record_is_not() {
    let doubled = sealed(|events| {
        events.remove(3);
        let twice = events[20].clone();
        events.push(twice);
    });
    let sealed = doubled.await;
    let (faults, records, unknown) = sealed.look(false).await;
    assert_eq!(faults, ["record 3: it was sealed and is not in Postgres", "record 21: it is in Postgres 2 times"]);
    assert_eq!((records, unknown), (10, 0));
    sealed.store.note_unsynced(NODE, 0, &[(3, 4)], Timestamp::now()).await.expect("noted");
    let (faults, _, unknown) = sealed.look(false).await;
    assert_eq!((faults.len(), unknown), (1, 10));
}

#[tokio::test]
async fn seals_that_are_gone_from_beside_the_log_or_are_others_than_were_copied_are_found() {
    let sealed = sealed(|_| {}).await;
    let file = sealed.folder.path().join(format!("0/{:020}.seal", 0));
    let whole = std::fs::read(&file).expect("seals");
    std::fs::write(&file, &whole[..SEAL_BYTES]).expect("cut");
    let (faults, ..) = sealed.look(true).await;
    assert_eq!(faults, ["records 10 to 29: their seals are in Postgres and gone from beside the log"]);
    // Whoever has cut them off and starts the gateway has other seals, which are right by themselves.
    let sealing = Sealing { key: sealed.key.clone(), node: NODE.to_owned(), epoch: 2 };
    drop(Writer::open_sealed(sealed.folder.path(), 0, Options::default(), sealing).expect("a writer"));
    let keys = Verifier::new([sealed.key.public()]);
    assert_eq!(::spool::verify(sealed.folder.path(), NODE, 0, &keys).expect("looked").faults, []);
    let (faults, ..) = sealed.look(true).await;
    assert_eq!(faults, ["records 10 to 29: the seal beside the log is not the one that was copied to Postgres"]);
    let stranger = Verifier::new([[1; 32]]);
    let within = Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    let rows = Rows { store: &sealed.store, keys: &stranger, spool: None, within, live_from: NEVER, test_from: NEVER };
    assert_eq!(rows.verify().await.expect("looked"), 3);
    // Events that were let go are not compared, and said to be so.
    let keys = Verifier::new([sealed.key.public()]);
    let now = Timestamp::now();
    let rows = Rows { store: &sealed.store, keys: &keys, spool: None, within, live_from: now, test_from: now };
    let looked = rows.look(NODE, 0).await.expect("looked");
    assert_eq!((looked.records, looked.unknown, looked.let_go, looked.faults.len()), (0, 0, 30, 0));
}

#[tokio::test]
async fn where_test_calls_were_let_go_the_others_are_looked_at_all_the_same() {
    let sealed = sealed(|events| {
        events.retain(|(sequence, _)| ![3, 4, 12].contains(sequence));
        let changed = events.iter_mut().find(|(sequence, _)| *sequence == 14).expect("it is there");
        changed.1.units += 1;
        let twice = events.iter().find(|(sequence, _)| *sequence == 7).expect("it is there").clone();
        events.push(twice);
    })
    .await;
    let keys = Verifier::new([sealed.key.public()]);
    let within = Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    let (live_from, test_from) = (NEVER, Timestamp::now());
    let spool = Some((sealed.folder.path(), NODE.to_owned()));
    let rows = Rows { store: &sealed.store, keys: &keys, spool, within, live_from, test_from };
    let looked = rows.look(NODE, 0).await.expect("looked");
    assert_eq!(looked.faults[0], "record 7: it is in Postgres 2 times");
    assert!(looked.faults[1].starts_with("record 14: it was changed in Postgres"), "{:?}", looked.faults);
    // The third seal has lost nothing, and is compared whole.
    assert_eq!((looked.faults.len(), looked.let_go, looked.records), (2, 3, 10));
}

#[tokio::test]
async fn an_event_that_names_no_life_of_its_gateway_is_compared_unless_it_lies_before_the_first() {
    let sealed = sealed(|events| events[14].1.epoch = 0).await;
    let (faults, records, unknown) = sealed.look(true).await;
    assert!(faults.len() == 1 && faults[0].starts_with("record 14: it was changed"), "{faults:?}");
    assert_eq!((records, unknown), (20, 0));
    // As a gateway that sealed nothing yet has left them.
    let before = self::sealed(|events| events[..7].iter_mut().for_each(|(_, event)| event.epoch = 0)).await;
    assert_eq!(before.look(false).await, (vec![], 20, 10));
}

#[tokio::test]
async fn seals_go_with_their_events_and_the_rest_still_follow_one_another() {
    let sealed = sealed(|_| {}).await;
    assert!(!sealed.store.delete_first_seals().await, "their events are there");
    sealed.store.let_go_of_all_events().await;
    let kept = store::Kept { live: None, test: None, hourly: None, daily: None };
    let dropped = sealed.store.drop_old_usage(&kept, Timestamp::now()).await.expect("dropped");
    assert_eq!(dropped.seals, 2);
    let left = sealed.store.seals(NODE, 0, 0, 9).await.expect("seals");
    assert_eq!(left.iter().map(|seal| seal.past).collect::<Vec<_>>(), [30]);
    let keys = Verifier::new([sealed.key.public()]);
    let within = Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::MAX };
    let (live_from, test_from) = sealed.store.events_kept_from().await.expect("asked");
    let rows = Rows { store: &sealed.store, keys: &keys, spool: None, within, live_from, test_from };
    let looked = rows.look(NODE, 0).await.expect("looked");
    assert_eq!((looked.faults.len(), looked.let_go), (0, 30), "{:?}", looked.faults);
    // Where events are kept, a first seal that follows nothing is one that somebody has cut off.
    let rows = Rows { store: &sealed.store, keys: &keys, spool: None, within, live_from: NEVER, test_from: NEVER };
    assert_eq!(rows.look(NODE, 0).await.expect("looked").faults.len(), 1);
}
