//! Where a start takes the directory from.

use super::*;
use jiff::SignedDuration;
use std::fs;
use store::{
    Actor,
    test_db::{self, TestStore},
};

const DAY: u64 = 86_400;

/// A node's data directory.
struct Node(tempfile::TempDir);

impl Node {
    fn data(&self) -> DataDir {
        DataDir::open(self.0.path()).expect("a data directory")
    }

    /// Anew for each start, as a process has it.
    fn place(&self) -> Place {
        Place::new(self.data(), Arc::new(Secrets::from_master([7; 32])), DAY)
    }

    async fn start(&self, store: &Store, clock: &Clock) -> Ready {
        prepare(store, &self.place(), clock).await.expect("prepared")
    }

    async fn reads_whole(&self, store: &Store) -> bool {
        self.start(store, &Clock::default()).await.read_whole
    }
}

/// After a first start, which has kept the directory of this version.
async fn started() -> (TestStore, Node, i64) {
    let (store, node) = (test_db::store().await, Node(tempfile::tempdir().expect("a folder")));
    let first = node.start(&store, &Clock::default()).await;
    assert!(first.read_whole, "there is nothing on disk");
    let version = first.directory.directory.version;
    (store, node, version)
}

#[tokio::test]
async fn a_start_reads_the_directory_from_disk_where_postgres_has_no_newer_one() {
    let (store, node, version) = started().await;
    let (now, clock) = (Timestamp::now(), Clock::default());
    store.advance_clock(SignedDuration::from_hours(1), Actor::System, now).await.expect("moved");
    let again = node.start(&store, &clock).await;
    assert!(!again.read_whole && again.with_database);
    assert_eq!(again.directory.directory, store.load_directory().await.expect("loaded"));
    assert_eq!(again.directory.directory.version, version);
    assert_eq!(clock.ahead_seconds(), 3_600, "the clock is that of the others all the same");
}

#[tokio::test]
async fn a_start_reads_postgres_where_it_has_another_version() {
    let (store, node, _) = started().await;
    assert!(!node.reads_whole(&store).await);
    store.move_directory_version(1).await;
    assert!(node.reads_whole(&store).await, "something changed");
    // One that was put back is older than what is on disk.
    assert!(!node.reads_whole(&store).await);
    store.move_directory_version(-1).await;
    assert!(node.reads_whole(&store).await, "Postgres was put back");
}

/// It was put back, and has come to the same version with other content.
#[tokio::test]
async fn a_start_reads_postgres_where_it_came_to_the_same_version_by_another_way() {
    let (store, node, version) = started().await;
    assert!(!node.reads_whole(&store).await);
    store.move_directory_version(-1).await;
    store.move_directory_version(1).await;
    assert_eq!(store.directory_version().await.expect("a version"), version);
    assert!(node.reads_whole(&store).await);
    assert!(!node.reads_whole(&store).await, "it is kept with what tells it from the other");
}

#[tokio::test]
async fn what_a_quick_start_left_for_later_ends_with_the_others_where_postgres_does_not_answer() {
    // Nobody listens there.
    let nowhere = "postgres://nobody@127.0.0.1:1/none".parse().expect("an address");
    let (switch, stop) = StopSwitch::new();
    let making_up = tokio::spawn(calls::make_up_for_a_quick_start(Store::lazy(nowhere, 1), Clock::default(), stop));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!making_up.is_finished());
    switch.stop();
    tokio::time::timeout(Duration::from_secs(1), making_up).await.expect("it ends at once").expect("no panic");
}

#[tokio::test]
async fn a_start_reads_postgres_where_another_program_kept_the_file_or_it_is_not_as_it_was_written() {
    let (store, node, _) = started().await;
    fs::remove_file(node.data().directory_keeper()).expect("removed");
    assert!(node.reads_whole(&store).await, "another program may have kept it");
    assert!(!node.reads_whole(&store).await);
    let path = node.data().directory();
    let mut bytes = fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).expect("written");
    assert!(node.reads_whole(&store).await);
}
