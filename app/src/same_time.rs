//! Answers that take the same time whatever was found, so that the time tells nothing.

use std::{future::Future, time::Duration};
use tokio::time::{Instant, sleep_until};

/// Longer than the slowest of the ways that must look alike.
const FLOOR: Duration = Duration::from_millis(400);

/// Does the work and answers no earlier than at a fixed time after the start, and then at a multiple of it.
pub async fn same_time<T>(work: impl Future<Output = T>) -> T {
    same_time_unless(|_| false, work).await
}

/// As [`same_time`], but at once where what came of it is no secret.
pub async fn same_time_unless<T>(open: impl FnOnce(&T) -> bool, work: impl Future<Output = T>) -> T {
    let start = Instant::now();
    let done = work.await;
    if open(&done) {
        return done;
    }
    let mut due = start + FLOOR;
    while due < Instant::now() {
        due += FLOOR;
    }
    sleep_until(due).await;
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn quick_and_slow_work_answer_at_the_same_time() {
        for work in [0, 100] {
            let start = Instant::now();
            same_time(tokio::time::sleep(Duration::from_millis(work))).await;
            let took = start.elapsed();
            // To a multiple of the floor, on a busy machine to a later one.
            assert!(took >= FLOOR && took < FLOOR * 100, "{took:?}");
        }
    }
}
