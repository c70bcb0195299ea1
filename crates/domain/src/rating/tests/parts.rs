//! A plan that is on for a part of a period costs its part, and no step is bought by an hour.

use super::*;

#[test]
fn a_plan_from_the_17th_at_14_05_in_auckland_costs_its_seconds_of_the_month() {
    // November 2026: thirty days of daylight saving time, 2,592,000 seconds.
    let at = |text: &str| text.parse().expect("a timestamp");
    let anchor = at("2026-11-01T00:00:00+13:00");
    let interval = crate::period::Interval::Month;
    let cycle = crate::period::Cycle { anchor, interval, time_zone: "Pacific/Auckland".to_owned() };
    let change = at("2026-11-17T14:05:00+13:00");
    let whole = cycle.period_at(change).expect("a period");
    assert_eq!(
        (change.as_second() - whole.start.as_second(), whole.end.as_second() - change.as_second()),
        (1_433_100, 1_158_900)
    );
    let before =
        written(r#""base_fee_micros":49000000,"price":{"model":"per_unit","included":100000,"unit_price":"0.005"}"#);
    let after =
        written(r#""base_fee_micros":499000000,"price":{"model":"per_unit","included":1000000,"unit_price":"0.002"}"#);
    let bill = |terms: &PlanTerms, part: crate::period::Period, units| {
        total(&proration::for_part(terms, part, whole).expect("fits"), &[used("create", units)])
    };
    // 49 x 1,433,100 / 2,592,000 = 27.0917..., and 55,290 units (55,289.35... rounded up) are included.
    let first = crate::period::Period { end: change, ..whole };
    assert_eq!(bill(&before, first, 55_290), "$27.09");
    assert_eq!(bill(&before, first, 60_000), "$50.64");
    // 499 x 1,158,900 / 2,592,000 = 223.1059..., and 447,107 units are included.
    let second = crate::period::Period { start: change, ..whole };
    assert_eq!(bill(&after, second, 447_107), "$223.11");
    assert_eq!(bill(&after, second, 500_000), "$328.90");
}

#[test]
fn parts_of_a_period_have_their_part_of_minimum_commitment_and_cap() {
    let plan = written(
        r#""minimum_micros":300000000,"commitment":{"micros":90000000,"discounts":[{"up_to_micros":60000000,"percent":"1"},{"percent":"2"}]},
            "meters":[{"product":"payments","meter":"paid","price":{"model":"percentage","included":100,"unit_value":"1","percent":"1","cap":"10"}}],
            "price":{"model":"package","included":10,"size":7,"package_price":"1"}"#,
    );
    let at = |day: i64| jiff::Timestamp::from_second(day * 86_400).expect("in range");
    let period = |from, to| crate::period::Period { start: at(from), end: at(to) };
    let part = proration::for_part(&plan, period(0, 10), period(0, 30)).expect("fits");
    assert_eq!(part.minimum_micros, 100_000_000);
    let commitment = part.commitment.expect("there is one");
    assert_eq!((commitment.micros, commitment.discounts[0].up_to_micros), (30_000_000, Some(60_000_000)));
    assert_eq!(part.price, price::Price::Package { included: 4, size: 7, package_price: dec("1") });
    let price::Price::Percentage(percentage) = &part.meters[0].price else { panic!("a percentage") };
    assert_eq!((percentage.included, percentage.cap), (34, Some(dec("3.33"))));
}

/// What an hour of June costs by that plan.
fn hour_of_june(plan: &PlanTerms, units: u64) -> Vec<(&'static str, String)> {
    let at = |text: &str| text.parse().expect("a timestamp");
    let whole = crate::period::Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
    let hour = crate::period::Period { end: at("2026-06-01T01:00:00Z"), ..whole };
    lines(&proration::for_part(plan, hour, whole).expect("fits"), units)
}

#[test]
fn an_hour_on_a_plan_reaches_no_step_that_the_whole_period_would_not() {
    let volume = written(
        r#""price":{"model":"volume","steps":[{"up_to":100000,"unit_price":"0.01"},{"up_to":500000,"unit_price":"0.008"},
            {"unit_price":"0.005"}]}"#,
    );
    assert_eq!(hour_of_june(&volume, 90_000), owned(&[("usage", "$900.00")]));
    assert_eq!(hour_of_june(&volume, 500_000), owned(&[("usage", "$4,000.00")]));
    let committed = written(
        r#""price":{"model":"per_unit","unit_price":"1"},"commitment":{"micros":7200000000,
            "discounts":[{"up_to_micros":10000000000,"percent":"5"},{"percent":"15"}]}"#,
    );
    // An hour's share of the promise is 10, which is met; all of the usage is in the first step.
    assert_eq!(hour_of_june(&committed, 5_000), owned(&[("usage", "$5,000.00"), ("committed_use", "−$250.00")]));
}

#[test]
fn a_step_that_is_better_than_the_next_is_not_given_once_for_each_part() {
    let free_first =
        written(r#""price":{"model":"volume","steps":[{"up_to":7200,"unit_price":"0"},{"unit_price":"1"}]}"#);
    assert_eq!(hour_of_june(&free_first, 10), owned(&[("usage", "$0.00")]));
    assert_eq!(hour_of_june(&free_first, 11), owned(&[("usage", "$11.00")]));
    let best_first = written(
        r#""price":{"model":"per_unit","unit_price":"1"},"commitment":{"micros":10000,
            "discounts":[{"up_to_micros":7200000000,"percent":"50"},{"percent":"0"}]}"#,
    );
    assert_eq!(hour_of_june(&best_first, 5_000), owned(&[("usage", "$5,000.00"), ("committed_use", "−$5.00")]));
}

#[test]
fn a_minimum_counts_for_each_part_by_itself() {
    let plan = written(r#""minimum_micros":5000000000,"price":{"model":"per_unit","unit_price":"1"}"#);
    let at = |text: &str| text.parse().expect("a timestamp");
    let whole = crate::period::Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
    let change = at("2026-06-16T00:00:00Z");
    let bill = |part, units| lines(&proration::for_part(&plan, part, whole).expect("fits"), units);
    let before = crate::period::Period { end: change, ..whole };
    let after = crate::period::Period { start: change, ..whole };
    assert_eq!(bill(before, 8_000), owned(&[("usage", "$8,000.00")]));
    assert_eq!(bill(after, 0), owned(&[("minimum", "$2,500.00")]));
}
