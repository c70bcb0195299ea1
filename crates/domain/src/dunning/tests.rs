//! Stages over the days, told before they are entered, and back at once.

use super::*;
use crate::{limit::Window, plan::PlanTerms};
use uuid::Uuid;

fn at(days: i64) -> Timestamp {
    let epoch: Timestamp = "2026-05-01T00:00:00Z".parse().expect("a timestamp");
    epoch.saturating_add(SignedDuration::from_hours(24 * days)).expect("in range")
}

fn invoice(number: u128) -> InvoiceId {
    InvoiceId(Uuid::from_u128(number))
}

/// What a run each day does from day `from` to `to`, as the server's task would.
fn run(standing: &mut Standing, days: Days, range: std::ops::Range<i64>) -> Vec<(i64, Next)> {
    let mut done = Vec::new();
    for day in range {
        loop {
            let next = standing.next(days, at(day));
            match next {
                Next::Nothing => break,
                Next::Tell(stage, _) => {
                    let (of, _) = standing.owed.expect("somebody owes");
                    standing.told = Some((stage, of, at(day)));
                }
                Next::Enter(stage) => standing.stage = stage,
            }
            done.push((day, next));
        }
    }
    done
}

#[test]
fn each_stage_is_told_three_days_before_it_begins() {
    let mut standing = Standing { stage: Stage::Good, owed: Some((invoice(1), at(0))), told: None };
    let done = run(&mut standing, Days { grace: 14, limited: 7 }, -30..60);
    let wanted = [
        (-3, Next::Tell(Stage::Grace, at(0))),
        (0, Next::Enter(Stage::Grace)),
        (11, Next::Tell(Stage::Limited, at(14))),
        (14, Next::Enter(Stage::Limited)),
        (18, Next::Tell(Stage::Suspended, at(21))),
        (21, Next::Enter(Stage::Suspended)),
    ];
    assert_eq!(done, wanted);
    standing.owed = None;
    assert_eq!(run(&mut standing, Days { grace: 14, limited: 7 }, 60..61), [(60, Next::Enter(Stage::Good))]);
}

#[test]
fn whoever_was_asleep_tells_first_and_waits() {
    let mut standing = Standing { stage: Stage::Good, owed: Some((invoice(1), at(0))), told: None };
    let done = run(&mut standing, Days { grace: 14, limited: 7 }, 100..130);
    let entered: Vec<_> = done.iter().filter(|(_, next)| matches!(next, Next::Enter(_))).map(|(day, _)| *day).collect();
    assert_eq!(entered, [103, 106, 109]);
    assert_eq!(done.len(), 6, "each was told");
}

#[test]
fn a_stage_without_days_is_told_as_it_begins() {
    let mut standing = Standing { stage: Stage::Good, owed: Some((invoice(1), at(0))), told: None };
    let done = run(&mut standing, Days { grace: 0, limited: 0 }, -5..1);
    assert_eq!(done.len(), 6);
    assert_eq!(standing.stage, Stage::Suspended);
    assert!(done[1..].iter().all(|(day, _)| *day == 0));
}

#[test]
fn where_the_oldest_is_paid_the_younger_one_counts_and_is_told_of_anew() {
    let days = Days { grace: 14, limited: 7 };
    let mut standing = Standing { stage: Stage::Good, owed: Some((invoice(1), at(0))), told: None };
    run(&mut standing, days, -5..22);
    assert_eq!(standing.stage, Stage::Suspended);
    standing.owed = Some((invoice(2), at(15)));
    assert_eq!(standing.next(days, at(22)), Next::Enter(Stage::Grace), "it is overdue for a week");
    standing.stage = Stage::Grace;
    assert_eq!(standing.next(days, at(22)), Next::Nothing);
    assert_eq!(standing.worsens_at(days), Some(at(29)));
    assert_eq!(standing.next(days, at(26)), Next::Tell(Stage::Limited, at(29)));
    standing.owed = Some((invoice(2), at(40)));
    assert_eq!(standing.next(days, at(26)), Next::Enter(Stage::Good), "it is not due yet");
}

#[test]
fn limits_fall_to_the_share_or_the_fixed_limit_and_are_never_none() {
    let terms: PlanTerms = serde_json::from_value(serde_json::json!({
        "currency": "USD", "products": [],
        "limits": [{"calls": 1000, "window": "minute"}, {"calls": 5, "window": "second"}],
        "admission": {"key_limits": [{"calls": 30, "window": "minute"}], "concurrency": {"calls": 4}, "limits": {"soft": true},
            "credit": {"required": true, "overdraft": {"units": 9, "unit_price": "1"}}},
    }))
    .expect("terms");
    let rules: UnpaidRules = serde_json::from_value(serde_json::json!({
        "limited_percent": 10, "limited_limits": [{"calls": 60, "window": "minute"}, {"calls": 500, "window": "hour"}],
    }))
    .expect("rules");
    let lowered = rules.lowered(&terms);
    let limit = |calls, window| Limit { calls, window };
    let wanted = [limit(60, Window::Minute), limit(1, Window::Second), limit(500, Window::Hour)];
    assert_eq!(lowered.limits, wanted);
    assert_eq!(lowered.admission.key_limits, [limit(3, Window::Minute)]);
    assert_eq!(lowered.admission.concurrency.map(|own| own.calls), Some(1));
    assert_eq!(lowered.admission.credit.overdraft.map(|own| own.units), Some(0), "nothing more is lent");
    assert!(!lowered.admission.limits.soft, "a limit that only tells would lower nothing");
    assert_eq!(rules.describe(&terms), "60 calls a minute and 1 calls a second and 500 calls a hour");
}

#[test]
fn rules_that_mean_nothing_are_refused_with_the_field() {
    let of = |value: serde_json::Value, has_limits| {
        let rules: UnpaidRules = serde_json::from_value(value).expect("rules");
        let problems = rules.problems(Currency::Usd, 1_000_000_000_000_000, has_limits);
        problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    assert_eq!(of(serde_json::json!({"limited_percent": 10}), true), Vec::<String>::new());
    assert_eq!(of(serde_json::json!({"limited_percent": 10}), false), ["unpaid.limited_percent"]);
    assert_eq!(of(serde_json::json!({"limited_percent": 0}), true), ["unpaid.limited_percent"]);
    assert_eq!(of(serde_json::json!({}), true), ["unpaid.limited_percent"]);
    let wrong =
        serde_json::json!({"grace_days": 366, "limited_limits": [{"calls": 0, "window": "hour"}], "minimum_micros": 1});
    assert_eq!(of(wrong, false), ["unpaid.grace_days", "unpaid.limited_limits[0].calls", "unpaid.minimum"]);
}
