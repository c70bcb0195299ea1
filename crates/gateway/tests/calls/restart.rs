//! What a restart must not forget.

use super::world::{PATIENCE, World, limits, until};
use domain::limit::Window;
use std::path::Path;

#[tokio::test]
async fn a_limit_holds_over_a_restart_and_over_the_end_of_its_process() {
    let folder = tempfile::tempdir().expect("a directory");
    let file = folder.path().join("limits");
    let world = |file: &Path| {
        let file = file.to_owned();
        World::with(|directory, config| {
            limits(&mut directory.plans[0].terms, &[(5, Window::Hour)]);
            config.limits_file = Some(file);
        })
    };
    let mut first = world(&file).await;
    for _ in 0..3 {
        assert_eq!(first.get("/payments/items/1").await.status, 200);
    }
    first.gateway.take().expect("it runs").shutdown(PATIENCE).await;
    let second = world(&file).await;
    let answer = second.get("/payments/items/1").await;
    assert_eq!((answer.status, answer.header("x-ratelimit-remaining")), (200, "1"), "as after a graceful stop");
    // The first that is written from now on may have been laid out before the call; the second was not.
    for _ in 0..2 {
        let modified = || std::fs::metadata(&file).expect("the file").modified().expect("a time");
        let kept = modified();
        until("what is kept each second", || modified() != kept).await;
    }
    // As after kill -9: nobody stopped the second, and what it wrote within the second is there.
    let third = world(&file).await;
    assert_eq!(third.get("/payments/items/1").await.header("x-ratelimit-remaining"), "0");
    assert_eq!(third.get("/payments/items/1").await.status, 429);
    let damaged = folder.path().join("damaged");
    std::fs::write(&damaged, b"damaged").expect("written");
    let fourth = world(&damaged).await;
    assert_eq!(fourth.get("/payments/items/1").await.status, 200, "a damaged file stops no gateway");
}
