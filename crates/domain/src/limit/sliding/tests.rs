//! The promises of the sliding windows, over arbitrary arrival times.

use super::*;
use crate::{limit::rule::Share, policy::Preset};
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
        assert_eq!(windows.admit(Rule::whole(&limits), at * SECOND), Ok(at * SECOND));
    }
    let reached = windows.admit(Rule::whole(&limits), 59 * SECOND).expect_err("full");
    assert_eq!(reached, Reached { limit: limits[0], wait: SECOND });
    assert_eq!(windows.admit(Rule::whole(&limits), 60 * SECOND), Ok(60 * SECOND));
    assert_eq!(windows.admit(Rule::whole(&limits), 60 * SECOND).expect_err("full").retry_after_seconds(), 10);
}

#[test]
fn a_call_that_one_window_refuses_counts_in_none() {
    let limits = [limit(1, Window::Second), limit(100, Window::Minute)];
    let mut windows = Windows::default();
    assert_eq!(windows.admit(Rule::whole(&limits), 0), Ok(0));
    for _ in 0..50 {
        assert!(windows.admit(Rule::whole(&limits), SECOND / 2).is_err());
    }
    let standings: Vec<_> = windows.standings(Rule::whole(&limits), SECOND).collect();
    assert_eq!(standings[0].remaining, 1);
    assert_eq!(standings[1], Standing { limit: limits[1], remaining: 99, reset_seconds: 59 });
}

#[test]
fn a_changed_limit_holds_at_once_and_what_was_counted_stays() {
    let mut windows = Windows::default();
    for at in 0..100 {
        windows.admit(Rule::whole(&[limit(100, Window::Minute)]), at).expect("within the limit");
    }
    assert!(windows.check(Rule::whole(&[limit(100, Window::Minute)]), 200).is_err());
    let raised = [limit(10_000, Window::Minute)];
    assert_eq!(windows.admit(Rule::whole(&raised), 200), Ok(200));
    assert_eq!(windows.standings(Rule::whole(&raised), 200).next().expect("one").remaining, 9_899);
    let lowered = [limit(50, Window::Minute)];
    assert!(windows.check(Rule::whole(&lowered), SECOND).is_err());
    assert_eq!(windows.standings(Rule::whole(&lowered), SECOND).next().expect("one").remaining, 0);
    assert_eq!(windows.admit(Rule::whole(&lowered), 61 * SECOND), Ok(61 * SECOND));
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
            let before = windows.check(Rule::whole(&limits), now);
            match windows.admit(Rule::whole(&limits), now) {
                Ok(at) => admitted.push(at),
                Err(reached) => {
                    prop_assert_eq!(before, Err(reached));
                    let later = now + u64::from(reached.retry_after_seconds()) * SECOND;
                    prop_assert_eq!(windows.clone().check(Rule::whole(&limits), later), Ok(()), "Retry-After is long enough");
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
            .filter(|at| windows.admit(Rule::whole(&limits), *at).is_ok())
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

/// Calls that one node of several let through, each with its own clock phase, at ten times the limit.
#[test]
fn three_nodes_together_never_pass_a_limit() {
    for calls in [1_u32, 2, 5, 100, 1_000] {
        let limits = [limit(calls, Window::Second)];
        let mut nodes = vec![Windows::default(); 3];
        let mut admitted = Vec::new();
        for n in 0..calls.max(10) * 60 {
            let now = u64::from(n) * SECOND / u64::from(calls) / 10;
            let node = (n % 3) as usize;
            let share = Share::new(3, node as u32).expect("one of three").of(7);
            let rule = Rule { limits: &limits, preset: Preset::BurstThrough, share };
            if nodes[node].admit(rule, now).is_ok() {
                admitted.push(now);
            }
        }
        assert!(!overshoots(&admitted, limits[0]), "{calls}");
        assert!(!admitted.is_empty());
    }
}

#[test]
fn spread_holds_calls_apart_and_hybrid_lets_a_tenth_through_at_once() {
    let limits = [limit(100, Window::Second)];
    let paced = |preset, calls: usize| {
        let mut windows = Windows::default();
        let rule = Rule { preset, ..Rule::whole(&limits) };
        let at: Vec<u64> =
            (0..).map(|n| n * 100_000).filter(|at| windows.admit(rule, *at).is_ok()).take(calls).collect();
        at
    };
    let spread = paced(Preset::Spread, 300);
    assert!(spread.windows(2).all(|pair| pair[1] - pair[0] == SECOND / 100), "each a hundredth of a second apart");
    let hybrid = paced(Preset::Hybrid, 300);
    assert!(hybrid[9] <= 900_000 && hybrid[10] >= SECOND / 100, "ten at once, then evenly: {:?}", &hybrid[..12]);
    assert!(!overshoots(&hybrid, limits[0]) && overshoots(&hybrid, limit(99, Window::Second)));
    let rule = Rule { preset: Preset::Spread, ..Rule::whole(&limits) };
    let mut windows = Windows::default();
    let at = windows.admit(rule, 0).expect("the first");
    assert_eq!(windows.check(rule, 1).expect_err("too early").wait, SECOND / 100 - 1);
    assert_eq!(windows.standings(rule, 1).next().expect("one").remaining, 0);
    windows.withdraw(rule, at);
    assert_eq!(windows.check(rule, 1), Ok(()), "what was withdrawn holds nobody back");
    let slow = [limit(1, Window::Day)];
    windows.admit(Rule { limits: &slow, ..rule }, 2).expect("the first of the day");
    let raised = [limit(86_400, Window::Day)];
    assert!(windows.check(Rule { limits: &raised, ..rule }, 3).is_err());
    assert_eq!(windows.check(Rule { limits: &raised, ..rule }, 3 + SECOND), Ok(()), "a raised limit holds at once");
}

#[test]
fn the_delay_grows_from_nothing_to_its_longest_at_the_limit() {
    let limits = [limit(100, Window::Minute)];
    let throttle = Throttle { from_percent: 80, max_delay_ms: 1_000 };
    let mut windows = Windows::default();
    let mut delays = Vec::new();
    for _ in 0..100 {
        delays.push(windows.delay(Rule::whole(&limits), throttle, 5));
        windows.admit(Rule::whole(&limits), 5).expect("within the limit");
    }
    assert!(delays[..80].iter().all(|delay| *delay == 0));
    assert_eq!((delays[80], delays[89], delays[99]), (50, 500, 1_000));
    assert_eq!(windows.delay(Rule::whole(&limits), throttle, 6), 1_000);
}

#[test]
fn a_limit_that_only_tells_keeps_bounded_memory_and_recovers() {
    let limits = [limit(3, Window::Second)];
    let mut windows = Windows::default();
    for at in 0..100_000 {
        windows.count(Rule::whole(&limits), at * 1_000);
    }
    assert!(windows.check(Rule::whole(&limits), SECOND / 10).is_err());
    let Some(Counter::Exact(times)) = &windows.counters[0] else { panic!("a small limit") };
    assert!(times.len() <= 256);
    assert_eq!(windows.check(Rule::whole(&limits), 2 * SECOND), Ok(()));
}

proptest! {
    #[test]
    fn withdrawn_calls_leave_no_trace_and_make_no_room_for_more(
        calls in prop_oneof![1_u32..40, 257_u32..400],
        preset in prop_oneof![Just(Preset::BurstThrough), Just(Preset::Spread), Just(Preset::Hybrid)],
        steps in prop::collection::vec((0..5_000_000_u64, any::<bool>()), 600),
    ) {
        let limits = [limit(calls, Window::Second)];
        let rule = Rule { preset, ..Rule::whole(&limits) };
        let mut windows = Windows::default();
        let mut now = 0;
        let mut kept = Vec::new();
        for (gap, withdraws) in steps {
            now += gap;
            if let Ok(at) = windows.admit(rule, now) {
                if withdraws { windows.withdraw(rule, at) } else { kept.push(at) }
            }
        }
        prop_assert!(!overshoots(&kept, limits[0]));
        if preset == Preset::Spread {
            prop_assert!(kept.windows(2).all(|pair| pair[1] - pair[0] >= SECOND / u64::from(calls)));
        }
        prop_assert_eq!(windows.standings(rule, now + 3 * SECOND).next().expect("one").reset_seconds, 0);
    }
}
