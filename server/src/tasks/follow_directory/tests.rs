//! A change in Postgres, and when the gateway has it.

use super::*;
use crate::{tasks::StopSwitch, test_app};
use std::time::Instant;
use store::{
    Actor,
    test_db::{self, TestStore, world::World},
};
use tempfile::TempDir;

async fn follower(store: &TestStore, folder: &TempDir) -> Follower {
    let state = test_app::state(store);
    let directory = store.load_directory().await.expect("a directory");
    Follower {
        store: store.handle(),
        data: DataDir::open(folder.path()).expect("a data directory"),
        clock: state.clock,
        gateway: gateway::directory(data_plane::compile(&directory, &state.secrets)),
        secrets: state.secrets,
        in_force: Arc::new(directory),
        migrated: true,
    }
}

#[tokio::test]
async fn a_suspension_is_in_force_within_a_second_and_kept_on_disk() {
    let store = test_db::store().await;
    let world = World::new(&store).await;
    let folder = tempfile::tempdir().expect("a folder");
    let follower = follower(&store, &folder).await;
    let (gateway, data) = (follower.gateway.clone(), follower.data.clone());
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
            assert!(changed.elapsed() < Duration::from_secs(1), "turn {turn} was not in force within a second");
            sleep(Duration::from_millis(2)).await;
        }
    }
    switch.stop();
    running.await.expect("it ends");
    let kept = directory_file::read(&data).expect("a directory on disk");
    assert!(kept.partners[0].suspended);
}
