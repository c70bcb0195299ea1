//! Real segment files into a real Postgres.

use super::*;
use crate::test_app::event;
use domain::{key_text::Environment, period::Period};
use spool::{Options, Writer};
use store::{
    test_db::{self, TestStore, world::World},
    usage::UsageFilter,
};
use tempfile::TempDir;

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
        Shipper::new(store.handle(), Clock::default(), self.folder.path().to_owned(), "node".to_owned())
    }

    fn segments(&self) -> usize {
        let files = std::fs::read_dir(self.folder.path().join("0")).expect("a lane").flatten();
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "log")).count()
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
    assert!(store.ingested_through().await.expect("an answer").is_some());
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
    let first = timeout(Duration::from_secs(5), shipper.ship()).await;
    assert!(first.expect("a run ends").expect("shipped") >= 10);
    assert!(store.ingested_through().await.expect("an answer").is_some());
    timeout(Duration::from_secs(5), shipper.ship()).await.expect("the next one too").expect("shipped");
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
        assert_eq!(restored.ingested_through().await.expect("an answer"), None, "a bill must wait");
        assert_eq!(shipper.ship().await.expect("shipped"), 3 + more);
        assert_eq!(shipper.ship().await.expect("nothing more"), 0);
        assert_eq!(lane.stored(&restored).await, 3 + more);
        assert!(restored.ingested_through().await.expect("an answer").is_some());
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
