//! A change in Postgres, and when the gateway has it.

use super::*;
use crate::{data_dir::DataDir, serve::directory_file, tasks::StopSwitch, test_app};
use domain::directory::Directory;
use store::{
    Actor,
    test_db::{self, TestStore, world::World},
};
use tempfile::TempDir;

async fn follower(store: &TestStore, folder: &TempDir) -> Follower {
    let state = test_app::state(store);
    let directory = store.load_directory().await.expect("a directory");
    let data = DataDir::open(folder.path()).expect("a data directory");
    let place = Place::new(data, state.secrets.clone(), 86_400);
    let mut file = DirectoryFile::new(place.clone());
    file.keep(&directory, Timestamp::now()).expect("kept");
    Follower {
        store: store.handle(),
        place,
        gateway: gateway::directory(data_plane::compile(&directory, &state.secrets)),
        secrets: state.secrets,
        in_force: Some(InForce { directory, file }),
        migrated: true,
        whole_period: WHOLE_PERIOD,
        whole_due: Instant::now() + WHOLE_PERIOD,
    }
}

/// What a start without Postgres would believe.
fn on_disk(place: &Place) -> Directory {
    directory_file::read(place, Timestamp::now()).expect("believed").expect("a directory on disk").directory
}

fn suspended(follower: &Follower) -> bool {
    follower.in_force.as_ref().is_some_and(|known| known.directory.partners[0].suspended)
}

#[tokio::test]
async fn a_suspension_is_in_force_by_itself_and_kept_on_disk() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let follower = follower(&store, &folder).await;
    let (gateway, place) = (follower.gateway.clone(), follower.place.clone());
    let (switch, stop) = StopSwitch::new();
    let running = tokio::spawn(run(follower, Board::default(), stop));
    for turn in 0..5 {
        if turn % 2 == 0 {
            store.suspend_partner(world.partner, "unpaid", Actor::System, world.now).await.expect("suspended");
        } else {
            store.reactivate_partner(world.partner, Actor::System, world.now).await.expect("reactivated");
        }
        let version = store.directory_version().await.expect("a version");
        let changed = Instant::now();
        while gateway.load().version() != version {
            assert!(changed.elapsed() < Duration::from_secs(60), "turn {turn} is never in force");
            sleep(Duration::from_millis(2)).await;
        }
        println!("turn {turn} was in force after {:?}", changed.elapsed());
    }
    switch.stop();
    running.await.expect("it ends");
    let kept = on_disk(&place);
    assert!(kept.partners[0].suspended);
}

#[tokio::test]
async fn a_change_is_read_alone_and_kept_beside_the_whole() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = follower(&store, &folder).await;
    let whole = std::fs::read(folder.path().join("directory.json")).expect("a file");
    store.suspend_partner(world.partner, "unpaid", Actor::System, world.now).await.expect("suspended");
    follower.follow().await.expect("followed");
    assert!(suspended(&follower));
    assert_eq!(std::fs::read(folder.path().join("directory.json")).expect("a file"), whole);
    let kept = on_disk(&follower.place);
    assert_eq!(Some(kept), follower.in_force.map(|known| known.directory));
}

#[tokio::test]
async fn a_change_that_the_list_has_lost_is_found_at_once_by_reading_everything() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = follower(&store, &folder).await;
    store.suspend_partner(world.partner, "unpaid", Actor::System, world.now).await.expect("suspended");
    store.forget_directory_changes().await;
    follower.follow().await.expect("followed");
    assert!(suspended(&follower));
    assert_eq!(follower.gateway.load().version(), store.directory_version().await.expect("a version"));
    let kept = on_disk(&follower.place);
    assert!(kept.partners[0].suspended);
}

#[tokio::test]
async fn a_change_that_no_trigger_told_of_is_healed_by_reading_everything_now_and_then() {
    let store = test_db::store().await;
    World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = follower(&store, &folder).await;
    store.suspend_all_unheard().await;
    follower.follow().await.expect("followed");
    assert!(!suspended(&follower), "nothing told of it");
    let version = follower.gateway.load().version();

    follower.whole_due = Instant::now();
    follower.follow().await.expect("followed");
    assert!(suspended(&follower));
    assert_eq!(follower.gateway.load().version(), version);
    assert!(follower.whole_due > Instant::now());
    let kept = on_disk(&follower.place);
    assert!(kept.partners[0].suspended);
}

#[tokio::test]
async fn a_change_that_was_given_up_half_way_is_made_good_by_reading_everything() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = follower(&store, &folder).await;
    follower.in_force = None;
    store.suspend_partner(world.partner, "unpaid", Actor::System, world.now).await.expect("suspended");
    follower.follow().await.expect("followed");
    assert!(suspended(&follower));
    assert!(on_disk(&follower.place).partners[0].suspended);
}

#[tokio::test]
async fn after_postgres_was_away_everything_is_read_because_it_may_have_been_restored() {
    let store = test_db::store().await;
    World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = follower(&store, &folder).await;
    follower.store = Store::lazy(store.options().socket("/nonexistent"), 1);
    follower.follow().await.expect_err("nobody answers");
    store.suspend_all_unheard().await;
    follower.store = store.handle();
    follower.follow().await.expect("followed");
    assert!(suspended(&follower));
}
