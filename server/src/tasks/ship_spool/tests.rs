//! Real segment files into a real Postgres.

use super::*;
use crate::test_app::event;
use domain::{key_text::Environment, period::Period};
use spool::{Options, Sealing, Verifier, Writer};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use store::{
    leases::Earlier,
    test_db::{self, TestStore, world::World},
    usage::UsageFilter,
};
use tempfile::TempDir;

const KEEP: Keep = Keep { bytes: 1 << 30, age: Duration::from_secs(3600), lane_bytes: 1 << 30 };

struct Lane {
    folder: TempDir,
    writer: Writer,
    world: World,
}

impl Lane {
    /// Small segments, so that a few events fill several.
    async fn new(store: &TestStore) -> Self {
        Self::with_segments_of(store, 200).await
    }

    async fn with_segments_of(store: &TestStore, segment_bytes: u64) -> Self {
        let world = World::new(store).await;
        let folder = tempfile::tempdir().expect("a folder");
        let options = Options { segment_bytes, ..Options::default() };
        let writer = Writer::open(folder.path(), 0, options).expect("a writer");
        Self { folder, writer, world }
    }

    fn record(&mut self, events: u64) {
        for _ in 0..events {
            let event = event(self.world.partner, Environment::Live, 1, self.world.now);
            let mut bytes = Vec::new();
            wire::encode(&event, &mut bytes);
            self.writer.append(&bytes).expect("appended");
        }
    }

    fn shipper(&self, store: &TestStore) -> Shipper {
        self.shipper_that_keeps(store, Keep::NOTHING)
    }

    fn shipper_that_keeps(&self, store: &TestStore, keep: Keep) -> Shipper {
        Shipper::new(store.handle(), Clock::default(), self.folder.path().to_owned(), "node".to_owned(), keep)
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.folder.path().join(format!("0/{number:020}.log"))
    }

    fn segments(&self) -> usize {
        self.files("log")
    }

    fn files(&self, ending: &str) -> usize {
        let files = std::fs::read_dir(self.folder.path().join("0")).expect("a lane").flatten();
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == ending)).count()
    }

    async fn stored(&self, store: &TestStore) -> u64 {
        let (start, end) = (self.world.now, self.world.now + jiff::SignedDuration::from_secs(1));
        let totals = store.usage_totals(self.world.partner, Period { start, end }, &UsageFilter::default()).await;
        totals.expect("totals").units
    }
}

#[tokio::test]
async fn every_event_is_stored_once_and_read_segments_are_removed() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let mut shipper = lane.shipper(&store);
    lane.record(50);
    assert!(lane.segments() > 3);
    assert_eq!(shipper.ship().await.expect("shipped"), 50);
    assert_eq!(shipper.ship().await.expect("nothing more"), 0);
    lane.record(3);
    assert_eq!(shipper.ship().await.expect("shipped"), 3);
    assert_eq!(lane.stored(&store).await, 53);
    assert_eq!(lane.segments(), 1, "only the segment that is written to is left");
    assert!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer").is_some());
}

#[tokio::test]
async fn under_calls_without_a_pause_each_run_ends_and_says_until_when_all_is_stored() {
    let store = test_db::store().await;
    let mut lane = Lane::with_segments_of(&store, 1 << 20).await;
    let mut shipper = lane.shipper(&store);
    lane.record(10);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let calls = std::thread::spawn(move || {
        while !stopped.load(Ordering::Relaxed) {
            lane.record(1);
            std::thread::sleep(Duration::from_micros(200));
        }
        lane
    });
    let first = timeout(Duration::from_secs(60), shipper.ship()).await;
    assert!(first.expect("a run ends").expect("shipped") >= 10);
    assert!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer").is_some());
    timeout(Duration::from_secs(60), shipper.ship()).await.expect("the next one too").expect("shipped");
    stop.store(true, Ordering::Relaxed);
    drop(calls.join());
}

#[tokio::test]
async fn a_shipper_that_forgot_everything_goes_on_from_the_stored_position() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    for _ in 0..3 {
        lane.record(7);
        // As after a crash: a new process, which knows nothing.
        assert_eq!(lane.shipper(&store).ship().await.expect("shipped"), 7);
    }
    assert_eq!(lane.stored(&store).await, 21);
}

#[tokio::test]
async fn seals_follow_their_events_into_postgres_and_are_there_before_their_segment_goes() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let key = Arc::new(spool::SealKey::from_seed(&[7; 32]).expect("a key"));
    let sealing = Sealing { key: key.clone(), node: "node".to_owned(), epoch: 3 };
    let options = Options { segment_bytes: 200, ..Options::default() };
    let folder = lane.folder.path().to_owned();
    lane.writer = Writer::open_sealed(&folder, 1, options, sealing).expect("a writer");
    let mut shipper = lane.shipper(&store);
    for _ in 0..3 {
        lane.record(9);
        shipper.ship().await.expect("shipped");
    }
    assert!(folder.join(format!("1/{:020}.log", lane.writer.end().segment)).exists());
    assert!(!folder.join(format!("1/{:020}.seal", 0)).exists(), "it went with its segment");
    // The last ones come when nothing else does.
    lane.writer.seal();
    tokio::time::sleep(SEALS_PERIOD).await;
    shipper.ship().await.expect("shipped");
    let stored = store.seals("node", 1, 0, 100).await.expect("seals");
    let seals = stored.iter().map(|stored| {
        let entry = stored.entry.as_slice().try_into().expect("as long as a seal");
        spool::Seal::from_bytes(entry).expect("a seal")
    });
    let seals: Vec<_> = seals.collect();
    assert_eq!((seals[0].first, seals.last().expect("seals").past), (0, 27));
    assert!(seals.windows(2).all(|two| two[0].hash == two[1].previous && two[0].past == two[1].first));
    let keys = Verifier::new([key.public()]);
    assert!(seals.iter().all(|seal| seal.epoch == 3 && keys.verify("node", seal).is_ok()));
}

#[tokio::test]
async fn two_shippers_of_one_lane_store_nothing_twice() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let (mut one, mut other) = (lane.shipper(&store), lane.shipper(&store));
    for _ in 0..5 {
        lane.record(4);
        // The second finds the lane moved by the first, reads on from there, and finds nothing.
        one.ship().await.expect("shipped");
        other.ship().await.expect("caught up");
    }
    assert_eq!(lane.stored(&store).await, 20);
}

#[tokio::test]
async fn while_postgres_is_down_nothing_is_removed_and_nothing_lost() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let mut shipper = lane.shipper(&store);
    lane.record(2);
    shipper.ship().await.expect("shipped");
    let closed = test_db::store().await;
    closed.close().await;
    let mut cut_off = lane.shipper(&closed);
    lane.record(40);
    let before = lane.segments();
    assert!(cut_off.ship().await.is_err());
    assert_eq!(lane.segments(), before);
    assert_eq!(shipper.ship().await.expect("shipped"), 40);
    assert_eq!(lane.stored(&store).await, 42);
}

#[tokio::test]
async fn a_position_that_is_set_back_under_a_live_shipper_loses_nothing_and_completes_nothing() {
    for more in [0, 2] {
        let store = test_db::store().await;
        let mut lane = Lane::with_segments_of(&store, 16 << 20).await;
        let mut shipper = lane.shipper(&store);
        lane.record(3);
        assert_eq!(shipper.ship().await.expect("shipped"), 3);
        // As where Postgres came back from a copy that was taken before anything was stored.
        let restored = test_db::store().await;
        shipper.store = restored.handle();
        lane.record(more);
        assert_eq!(shipper.ship().await.expect("found out"), 0);
        assert_eq!(
            restored.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer"),
            None,
            "a bill must wait"
        );
        assert_eq!(shipper.ship().await.expect("shipped"), 3 + more);
        assert_eq!(shipper.ship().await.expect("nothing more"), 0);
        assert_eq!(lane.stored(&restored).await, 3 + more);
        assert!(restored.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer").is_some());
    }
}

#[tokio::test]
async fn a_segment_that_is_begun_and_empty_when_it_is_read_loses_nothing() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let mut shipper = lane.shipper(&store);
    lane.record(2);
    assert_eq!(shipper.ship().await.expect("shipped"), 2);
    // What a writer does first where a segment is full.
    let next = lane.writer.end().segment + 1;
    std::fs::File::create(lane.folder.path().join(format!("0/{next:020}.log"))).expect("created");
    assert_eq!(shipper.ship().await.expect("nothing yet"), 0);
    lane.record(3);
    assert!(lane.writer.end().segment >= next);
    assert_eq!(shipper.ship().await.expect("shipped"), 3);
    assert_eq!(lane.stored(&store).await, 5);
}

#[tokio::test]
async fn a_postgres_that_was_restored_gets_the_events_of_shipped_segments_again_and_once() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let mut shipper = lane.shipper_that_keeps(&store, KEEP);
    for _ in 0..4 {
        lane.record(15);
        shipper.ship().await.expect("shipped");
    }
    assert!(lane.segments() <= 2 && lane.files("kept") > 20);
    // Once while the shipper runs, which finds out by itself, and once by a new process.
    for anew in [false, true] {
        let restored = test_db::store().await;
        if anew {
            shipper = lane.shipper_that_keeps(&restored, KEEP);
        } else {
            shipper.store = restored.handle();
        }
        lane.record(1);
        for _ in 0..3 {
            shipper.ship().await.expect("shipped");
        }
        assert_eq!(lane.stored(&restored).await, 61 + u64::from(anew));
    }
    // What is not kept cannot come back, and is not taken for nothing.
    let mut careless = lane.shipper(&store);
    careless.ship().await.expect("shipped");
    let restored = test_db::store().await;
    let error = lane.shipper(&restored).ship().await.expect_err("missing").to_string();
    assert!(error.contains("lane 0: segment 0 is missing"), "{error}");
}

/// Changes one byte of that segment.
fn damage(lane: &Lane, segment: u64, byte: usize) {
    let mut bytes = std::fs::read(lane.segment(segment)).expect("a segment");
    bytes[byte] ^= 1;
    std::fs::write(lane.segment(segment), bytes).expect("written");
}

#[tokio::test]
async fn a_lane_that_is_damaged_stops_there_and_the_others_are_shipped() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    lane.record(20);
    let folder = lane.folder.path().to_owned();
    lane.writer = Writer::open(&folder, 1, Options::default()).expect("another lane");
    lane.record(5);
    damage(&lane, 2, 30);
    let mut shipper = lane.shipper(&store);
    let progress = shipper.progress();
    let error = shipper.ship().await.expect_err("damage").to_string();
    assert!(error.starts_with("lane 0: damage in segment 2 at byte 0"), "{error}");
    let good = store.positions("node").await.expect("positions")[&0];
    assert_eq!(lane.stored(&store).await, good.sequence + 5);
    assert_eq!(progress.earlier(), Some(Earlier::Hidden), "leases begin, and give nothing back");
    assert_eq!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer"), None, "a bill must wait");
    lane.record(2);
    shipper.ship().await.expect_err("still");
    assert_eq!(lane.stored(&store).await, good.sequence + 7);

    // The way out: somebody decides to go on behind it.
    let mut reader = Reader::open(&folder, 0, to_spool(good)).expect("a reader");
    assert!(reader.next_batch(1, 1).is_err());
    let gap = reader.skip_damage().expect("a next record");
    let ends = (to_store(gap.from), to_store(gap.to));
    store.skip_damage("node", 0, ends, "", store::Actor::System, lane.world.now).await.expect("skipped");
    shipper.ship().await.expect("shipped");
    assert_eq!(lane.stored(&store).await, 27 - gap.lost_records);
    assert!(gap.lost_records >= 1);
    assert_eq!(progress.earlier(), Some(Earlier::Stored));
    assert!(store.ingested_through(Timestamp::UNIX_EPOCH).await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_record_that_is_no_event_stops_its_lane_only_and_what_stands_before_it_is_stored() {
    let store = test_db::store().await;
    let mut lane = Lane::with_segments_of(&store, 1 << 20).await;
    lane.record(3);
    lane.writer.append(b"no event").expect("appended");
    lane.record(2);
    let mut shipper = lane.shipper(&store);
    for _ in 0..2 {
        let error = shipper.ship().await.expect_err("stopped").to_string();
        assert!(error.starts_with("lane 0: record 3 is no event"), "{error}");
        assert_eq!(lane.stored(&store).await, 3);
    }
}

#[tokio::test]
async fn while_postgres_is_away_nothing_is_said_of_an_earlier_life() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    lane.record(3);
    let closed = test_db::store().await;
    closed.close().await;
    let mut shipper = lane.shipper(&closed);
    shipper.ship().await.expect_err("away");
    assert_eq!(shipper.progress().earlier(), None);
}

#[tokio::test]
async fn a_node_that_ends_as_it_should_is_not_silent_afterwards_and_one_that_is_killed_is() {
    let store = test_db::store().await;
    let mut lane = Lane::new(&store).await;
    let missing = async || {
        let later = Clock::default().now() + jiff::SignedDuration::from_hours(1);
        let range = Period { start: later - jiff::SignedDuration::from_hours(24), end: later };
        store.all_partners_completeness(range, later).await.expect("an answer").missing.len()
    };
    lane.record(3);
    lane.shipper(&store).ship().await.expect("shipped");
    assert_eq!(missing().await, 1, "it was killed");
    let (switch, stop) = crate::tasks::StopSwitch::new();
    lane.record(2);
    switch.stop();
    run(lane.shipper(&store), Board::default(), stop, Duration::from_secs(30)).await;
    assert_eq!((lane.stored(&store).await, missing().await), (5, 0), "it handed everything over and ended");
    lane.shipper(&store).ship().await.expect("nothing to ship");
    assert_eq!(missing().await, 1, "it runs again, and is silent since");
}
