//! The promises of the sliding windows, over arbitrary arrival times.

use super::*;
use proptest::prelude::*;

const SECOND: u64 = 1_000_000_000;

fn limit(calls: u32, window: Window) -> Limit {
    Limit { calls, window }
}

/// Whether some span as long as the window holds more calls than the limit allows.
fn overshoots(admitted: &[u64], limit: Limit) -> bool {
    let calls = limit.calls as usize;
    admitted.iter().zip(admitted.iter().skip(calls)).any(|(first, after)| after - first < length(limit.window))
}

#[test]
fn a_small_limit_is_exact() {
    let limits = [limit(3, Window::Minute)];
    let mut windows = Windows::default();
    for at in [0, 10, 20] {
        assert_eq!(windows.admit(&limits, at * SECOND), Ok(()));
    }
    let reached = windows.admit(&limits, 59 * SECOND).expect_err("full");
    assert_eq!(reached, Reached { limit: limits[0], retry_after_seconds: 1 });
    assert_eq!(windows.admit(&limits, 60 * SECOND), Ok(()));
    assert_eq!(windows.admit(&limits, 60 * SECOND).expect_err("full").retry_after_seconds, 10);
}

#[test]
fn a_call_that_one_window_refuses_counts_in_none() {
    let limits = [limit(1, Window::Second), limit(100, Window::Minute)];
    let mut windows = Windows::default();
    assert_eq!(windows.admit(&limits, 0), Ok(()));
    for _ in 0..50 {
        assert!(windows.admit(&limits, SECOND / 2).is_err());
    }
    let standings: Vec<_> = windows.standings(&limits, SECOND).collect();
    assert_eq!(standings[0].remaining, 1);
    assert_eq!(standings[1], Standing { limit: limits[1], remaining: 99, reset_seconds: 59 });
}

#[test]
fn a_changed_limit_holds_at_once_and_what_was_counted_stays() {
    let mut windows = Windows::default();
    for at in 0..100 {
        windows.admit(&[limit(100, Window::Minute)], at).expect("within the limit");
    }
    assert!(windows.check(&[limit(100, Window::Minute)], 200).is_err());
    let raised = [limit(10_000, Window::Minute)];
    assert_eq!(windows.admit(&raised, 200), Ok(()));
    assert_eq!(windows.standings(&raised, 200).next().expect("one").remaining, 9_899);
    let lowered = [limit(50, Window::Minute)];
    assert!(windows.check(&lowered, SECOND).is_err());
    assert_eq!(windows.standings(&lowered, SECOND).next().expect("one").remaining, 0);
    assert_eq!(windows.admit(&lowered, 61 * SECOND), Ok(()));
}

proptest! {
    #[test]
    fn no_sliding_window_ever_holds_more_than_its_limit(
        calls in prop_oneof![1_u32..40, 257_u32..400],
        gaps in prop::collection::vec(prop_oneof![Just(0), 0..2_000_000_u64, 0..400_000_000_u64, Just(SECOND)], 600),
        start in 0..10 * SECOND,
    ) {
        let limits = [limit(calls, Window::Second), limit(calls.saturating_mul(3), Window::Minute)];
        let mut windows = Windows::default();
        let mut now = start;
        let mut admitted = Vec::new();
        for gap in gaps {
            now += gap;
            let before = windows.check(&limits, now);
            match windows.admit(&limits, now) {
                Ok(()) => admitted.push(now),
                Err(reached) => {
                    prop_assert_eq!(before, Err(reached));
                    let later = now + u64::from(reached.retry_after_seconds) * SECOND;
                    prop_assert_eq!(windows.clone().check(&limits, later), Ok(()), "Retry-After is long enough");
                }
            }
        }
        prop_assert!(!overshoots(&admitted, limits[0]));
        prop_assert!(!overshoots(&admitted, limits[1]));
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn ten_times_the_load_still_gets_99_percent_of_the_limit(calls in prop_oneof![5_u32..=256, 257_u32..1_500], phase in 0..SECOND) {
        let limits = [limit(calls, Window::Second)];
        let mut windows = Windows::default();
        let rounds = 10;
        let gap = SECOND / u64::from(calls) / 10;
        let admitted: Vec<_> = (0..)
            .map(|n| phase + n * gap)
            .take_while(|at| *at < phase + rounds * SECOND)
            .filter(|at| windows.admit(&limits, *at).is_ok())
            .collect();
        prop_assert!(!overshoots(&admitted, limits[0]));
        prop_assert!(admitted.len() as u64 * 100 >= u64::from(calls) * rounds * 99, "{} of {}", admitted.len(), u64::from(calls) * rounds);
    }
}

#[test]
fn the_check_of_the_property_can_fail() {
    // What a bucket refilled once a second lets through at the turn.
    let naive: Vec<u64> = (0..10).map(|n| 900_000_000 + n).chain((0..10).map(|n| SECOND + n)).collect();
    assert!(overshoots(&naive, limit(10, Window::Second)));
}
