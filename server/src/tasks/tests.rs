//! The runner's promises, without a database.

use super::{board::Waiting, *};
use jiff::{SignedDuration, Timestamp};
use std::sync::atomic::{AtomicUsize, Ordering};

fn runner() -> (StopSwitch, Tasks, Board) {
    let (switch, stop) = StopSwitch::new();
    let board = Board::default();
    (switch, Tasks::new(stop, board.clone()), board)
}

async fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < deadline, "did not happen within a minute");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_nudge_makes_a_task_run_before_its_period() {
    let (switch, mut tasks, _) = runner();
    let (runs, nudge) = (Arc::new(AtomicUsize::new(0)), Nudge::default());
    let counter = runs.clone();
    tasks.every("counting", Duration::from_secs(3600), nudge.clone(), move || {
        counter.fetch_add(1, Ordering::SeqCst);
        async { Ok(()) }
    });
    until(|| runs.load(Ordering::SeqCst) == 1).await;
    nudge.nudge();
    until(|| runs.load(Ordering::SeqCst) == 2).await;
    switch.stop();
    tasks.finish(Instant::now() + Duration::from_secs(60)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_task_goes_on_after_a_failure_and_after_a_panic() {
    let (_switch, mut tasks, board) = runner();
    let runs = Arc::new(AtomicUsize::new(0));
    let counter = runs.clone();
    tasks.every("stumbling", Duration::from_millis(1), Nudge::default(), move || {
        let run = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            match run {
                0 => Err("no luck".into()),
                1 => panic!("worse luck"),
                _ => Ok(()),
            }
        }
    });
    until(|| runs.load(Ordering::SeqCst) > 3).await;
    assert!(board.read()["stumbling"].failing.is_none());
}

#[test]
fn only_the_first_of_equal_failures_is_news() {
    let board = Board::default();
    assert!(board.failed("a", "down"));
    assert!(!board.failed("a", "down"));
    assert!(board.failed("a", "still down, otherwise"));
    assert!(board.succeeded("a"));
    assert!(!board.succeeded("a"));
}

#[test]
fn a_wait_is_told_after_a_minute_and_again_each_ten() {
    let board = Board::default();
    let at = |minute: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute);
    let node = || vec![Waiting { node: "lost".to_owned(), since: at(0) }];
    let told: Vec<i64> = (0..25).filter(|minute| board.waits("a", node(), at(*minute))).collect();
    assert_eq!(told, [1, 11, 21]);
    assert!(!board.waits("a", Vec::new(), at(25)));
    assert!(!board.waits("a", node(), at(60)), "another wait begins");
    let shown = serde_json::to_value(board.read()).expect("JSON");
    assert_eq!(shown["a"]["waits_for"], serde_json::json!([{"node": "lost", "since": "1970-01-01T00:00:00Z"}]));
}
