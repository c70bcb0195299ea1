//! Fees over time: nothing is lost to rounding, and nothing is earned twice.

use super::*;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn year(dollars: i64) -> Fee {
    Fee {
        price: Money::new(Currency::Usd, dollars * 1_000_000),
        period: Period { start: at("2026-01-01T00:00:00Z"), end: at("2027-01-01T00:00:00Z") },
        ended_at: None,
        is_given_back: false,
    }
}

fn cents(money: Money) -> i64 {
    money.minor_units().expect("whole coins")
}

#[test]
fn a_year_s_fee_is_earned_day_by_day_and_all_of_it_at_the_end() {
    let fee = year(365);
    for (until, earned) in [
        ("2025-12-31T00:00:00Z", 0),
        ("2026-01-01T00:00:00Z", 0),
        ("2026-01-01T12:00:00Z", 50),
        ("2026-02-01T00:00:00Z", 3_100),
        ("2026-12-31T00:00:00Z", 36_400),
        ("2027-01-01T00:00:00Z", 36_500),
        ("2027-05-01T00:00:00Z", 36_500),
    ] {
        assert_eq!(cents(fee.earned(at(until))), earned, "{until}");
    }
    assert_eq!(cents(year(100).earned(at("2026-01-02T00:00:00Z"))), 27, "27.397 cents");
    assert_eq!(cents(year(0).earned(at("2026-06-01T00:00:00Z"))), 0);
}

/// A plan that ended owes the rest back until that is given back.
#[test]
fn what_a_plan_s_end_cut_off_is_not_earned() {
    let stopped = Fee { ended_at: Some(at("2026-02-01T00:00:00Z")), ..year(365) };
    assert_eq!(cents(stopped.earned(at("2026-01-11T00:00:00Z"))), 1_000, "nobody knows yet");
    for until in ["2026-02-01T00:00:00Z", "2026-11-01T00:00:00Z", "2028-01-01T00:00:00Z"] {
        assert_eq!(cents(stopped.earned(at(until))), 3_100, "{until}");
    }
    let given_back = Fee { price: Money::new(Currency::Usd, 31_000_000), is_given_back: true, ..stopped };
    assert_eq!(cents(given_back.earned(at("2026-02-01T00:00:00Z"))), 3_100);
    // A second is worth no coin, so nobody ever gives it back.
    let last_second = Fee { ended_at: Some(at("2026-12-31T23:59:59Z")), ..year(365) };
    assert_eq!(cents(last_second.earned(at("2027-01-01T00:00:00Z"))), 36_500);
}

#[test]
fn coins_of_a_grant_are_owed_the_longest() {
    let coins = |liability, breakage| {
        let sold = 1_000_000;
        GrantBalances { sold, liability, breakage }.in_coins(Currency::Usd)
    };
    assert_eq!(coins(-1_000_000, 0), [-1_000_000, 0, 0]);
    assert_eq!(coins(-999_999, 0), [-1_000_000, 0, 0], "less than a cent was used");
    assert_eq!(coins(-333_333, 0), [-340_000, 0, -660_000]);
    assert_eq!(coins(0, -666_667), [0, -660_000, -340_000]);
    assert_eq!(coins(-5_000, -995_000), [-10_000, -990_000, 0], "nothing was used");
    assert_eq!(coins(0, 0), [0, 0, -1_000_000]);
}

proptest! {
    /// Nothing is ever earned twice, more than there is, or backwards.
    #[test]
    fn what_is_earned_only_rises_and_ends_at_the_price(
        cents in 0_i64..1_000_000_000, seconds in 1_i64..100_000_000, steps in prop::collection::vec(0_i64..110_000_000, 1..20),
    ) {
        let start = at("2026-01-01T00:00:00Z");
        let end = Timestamp::from_second(start.as_second() + seconds).expect("in range");
        let fee = Fee {
            price: Money::new(Currency::Usd, cents * 10_000),
            period: Period { start, end },
            ended_at: None,
            is_given_back: false,
        };
        let mut steps = steps;
        steps.sort_unstable();
        let mut before = 0;
        for step in steps {
            let earned = fee.earned(Timestamp::from_second(start.as_second() + step).expect("in range"));
            prop_assert!(earned.minor_units().is_some() && earned.micros >= before && earned.micros <= fee.price.micros);
            before = earned.micros;
        }
        prop_assert_eq!(fee.earned(end), fee.price);
    }

    #[test]
    fn coins_of_a_grant_always_add_up(cost in 0_i64..1_000_000, used in 0_i64..=1_000_000, expired in 0_i64..=1_000_000) {
        let sold = cost * 10_000;
        let used = sold / 1_000_000 * used;
        let expired = (sold - used) / 1_000_000 * expired;
        let grant = GrantBalances { sold, liability: used + expired - sold, breakage: -expired };
        let [liability, breakage, revenue] = grant.in_coins(Currency::Usd);
        prop_assert_eq!(sold + liability + breakage + revenue, 0);
        prop_assert!([liability, breakage, revenue].iter().all(|micros| micros % 10_000 == 0 && *micros <= 0));
        prop_assert!(-breakage <= expired && -liability >= sold - used - expired);
    }
}
