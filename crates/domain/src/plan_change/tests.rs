//! Changes of plan: their direction, their instant, and what they come to.

use super::*;
use crate::{money::Currency, period::Interval};
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn terms(rest: &str) -> PlanTerms {
    serde_json::from_str(&format!(r#"{{"currency":"NZD","products":[{{"product":"payments"}}]{rest}}}"#))
        .expect("terms")
}

/// Periods from the first of a month on, in Auckland.
fn auckland(interval: Interval) -> Cycle {
    Cycle { anchor: at("2026-04-01T00:00:00+13:00"), interval, time_zone: "Pacific/Auckland".to_owned() }
}

fn held<'a>(terms: &'a PlanTerms, cycle: &'a Cycle) -> Held<'a> {
    let began = cycle.anchor;
    let none = (None, None, None, None);
    let (quota, trial_until, billed, counts_from) = none;
    Held { terms, cycle, started_at: began, since: began, quota, trial_until, billed, bonus: None, counts_from }
}

fn change(old: Held<'_>, new: &PlanTerms, when: When, now: &str) -> Preview {
    let wanted = Wanted { terms: new, since: None, may_try: false, goes_on: false };
    preview(Some(old), Some(wanted), when, old.started_at, at(now), "Pacific/Auckland").expect("a preview")
}

/// Clocks go back on 5 April, so the month has 721 hours: 2,595,600 s. On the 17th at 14:05, 1,436,700 s of it are over.
#[test]
fn an_upgrade_on_the_17th_at_five_past_two_in_auckland() {
    let starter = terms(r#","base_fee_micros":49000000,"quota":{"units":10000,"beyond":"block"}"#);
    let pro = terms(
        r#","base_fee_micros":299000000,"quota":{"units":100000,"beyond":"block"},"changes":{"quota":"prorated"}"#,
    );
    let cycle = auckland(Interval::Month);
    let told = change(held(&starter, &cycle), &pro, When::Usual, "2026-04-17T14:05:00+12:00");
    assert_eq!((told.direction, told.at_once), (Direction::Upgrade, true));
    assert_eq!(told.effective_at, at("2026-04-17T14:05:00+12:00"));
    assert_eq!(told.cycle.as_ref(), Some(&cycle), "a change moves no period");
    let money = |micros| Some(Money::new(Currency::Nzd, micros));
    // 49 × 1,436,700 / 2,595,600 = 27.1221…; 299 × 1,158,900 / 2,595,600 = 133.4994….
    assert_eq!((told.old_fee, told.first_fee), (money(27_120_000), money(133_500_000)));
    assert_eq!(told.fee, money(299_000_000));
    // 10,000 less 4,464 for the rest, and 44,649 for the rest.
    let until = at("2026-05-01T00:00:00+12:00");
    assert_eq!(told.quota_first, Some(PeriodQuota { units: 50_185, until }));
    assert_eq!((told.quota_before, told.quota_after), (Some(10_000), Some(100_000)));
}

#[test]
fn a_smaller_plan_begins_with_the_next_period_unless_the_old_one_says_at_once() {
    let cycle = auckland(Interval::Month);
    let (small, big) = (terms(r#","base_fee_micros":10000000"#), terms(r#","base_fee_micros":20000000"#));
    let told = change(held(&big, &cycle), &small, When::Usual, "2026-04-17T14:05:00+12:00");
    assert_eq!((told.direction, told.at_once), (Direction::Downgrade, false));
    assert_eq!(told.effective_at, at("2026-05-01T00:00:00+12:00"));
    assert_eq!(told.old_fee, Some(Money::new(Currency::Nzd, 20_000_000)), "until then all of the old one is paid");
    assert_eq!((told.first_fee, told.fee), (told.fee, Some(Money::new(Currency::Nzd, 10_000_000))));
    let hasty = PlanTerms { changes: ChangeRules { downgrade: Downgrade::AtOnce, ..ChangeRules::default() }, ..big };
    assert!(change(held(&hasty, &cycle), &small, When::Usual, "2026-04-17T14:05:00+12:00").at_once);
    assert!(!change(held(&hasty, &cycle), &small, When::PeriodEnd, "2026-04-17T14:05:00+12:00").at_once);
}

#[test]
fn what_is_less_for_the_same_fee_is_a_downgrade() {
    let cycle = auckland(Interval::Month);
    let old = terms(r#","quota":{"units":100,"beyond":"warn"},"limits":[{"calls":10,"window":"second"}]"#);
    for (new, expected) in [
        (old.clone(), Direction::Upgrade),
        (PlanTerms { quota: None, ..old.clone() }, Direction::Upgrade),
        (terms(r#","quota":{"units":99,"beyond":"warn"}"#), Direction::Downgrade),
        (terms(r#","limits":[{"calls":10,"window":"second"},{"calls":10,"window":"day"}]"#), Direction::Downgrade),
        (PlanTerms { products: Vec::new(), ..old.clone() }, Direction::Downgrade),
        (PlanTerms { currency: Currency::Usd, base_fee_micros: 1_000_000, ..old.clone() }, Direction::Downgrade),
        (PlanTerms { base_fee_micros: 1_000_000, products: Vec::new(), ..old.clone() }, Direction::Upgrade),
    ] {
        assert_eq!(
            change(held(&old, &cycle), &new, When::Usual, "2026-04-17T00:00:00Z").direction,
            expected,
            "{new:?}"
        );
    }
    let rich = terms(
        r#","minimum_micros":5000000,"commitment":{"micros":7000000},"included_credit_micros":1000000,"opens_features":["bulk"]"#,
    );
    let only = |code: &str| Grant { product: "payments".to_owned(), operations: Some(vec![code.to_owned()]) };
    for (old, new, expected) in [
        (&rich, PlanTerms { minimum_micros: 0, ..rich.clone() }, Direction::Downgrade),
        (&rich, PlanTerms { commitment: None, ..rich.clone() }, Direction::Downgrade),
        (&rich, PlanTerms { included_credit_micros: 0, ..rich.clone() }, Direction::Downgrade),
        (&rich, PlanTerms { opens_features: Vec::new(), ..rich.clone() }, Direction::Downgrade),
        (&rich, PlanTerms { products: vec![only("pay")], ..rich.clone() }, Direction::Downgrade),
        (&PlanTerms { products: vec![only("pay")], ..rich.clone() }, rich.clone(), Direction::Upgrade),
        (&PlanTerms { minimum_micros: 0, ..rich.clone() }, rich.clone(), Direction::Upgrade),
        (
            &PlanTerms { products: vec![only("pay")], ..rich.clone() },
            PlanTerms { products: vec![only("refund")], ..rich.clone() },
            Direction::Downgrade,
        ),
    ] {
        let told = change(held(old, &cycle), &new, When::Usual, "2026-04-17T00:00:00Z").direction;
        assert_eq!(told, expected, "{new:?}");
    }
    let (year, month) = (
        PlanTerms { interval: Interval::Year, ..terms(r#","base_fee_micros":100000000"#) },
        terms(r#","base_fee_micros":10000000"#),
    );
    let to = |new| change(held(&month, &cycle), new, When::Usual, "2026-04-17T00:00:00Z").direction;
    assert_eq!(to(&year), Direction::Downgrade, "100 a year is less than 10 a month");
}

#[test]
fn another_length_of_periods_begins_a_cycle_at_the_change() {
    let month = terms(r#","base_fee_micros":10000000"#);
    let year = PlanTerms { interval: Interval::Year, ..terms(r#","base_fee_micros":365000000"#) };
    let cycle = auckland(Interval::Month);
    let told = change(held(&month, &cycle), &year, When::Usual, "2026-04-17T14:05:00+12:00");
    let period = told.period.expect("a period");
    assert_eq!(period.start, at("2026-04-17T14:05:00+12:00"));
    assert_eq!(period.end, at("2027-04-17T14:05:00+12:00"));
    assert_eq!(told.first_fee, told.fee, "the first year is whole");
    assert_eq!(told.old_fee, Some(Money::new(Currency::Nzd, 5_540_000)));
    assert_eq!(told.quota_first, None);
    // Back again, where the year ends.
    let cycle = told.cycle.expect("a cycle");
    let cheaper = PlanTerms { base_fee_micros: 1_000_000, ..month };
    let back = change(held(&year, &cycle), &cheaper, When::Usual, "2026-06-01T00:00:00Z");
    assert_eq!((back.effective_at, back.cycle.expect("a cycle").anchor), (period.end, period.end));
}

#[test]
fn going_to_and_fro_between_lengths_begins_no_new_quota_within_a_period() {
    let hasty = r#","quota":{"units":1000,"beyond":"block"},"changes":{"downgrade":"at_once"}"#;
    let month = terms(hasty);
    let cycle = auckland(Interval::Month);
    for interval in Interval::ALL.into_iter().filter(|interval| *interval != Interval::Month) {
        let other = PlanTerms { interval, ..terms(hasty) };
        let told = change(held(&month, &cycle), &other, When::Usual, "2026-04-17T00:00:00Z");
        assert!(!told.at_once, "{interval:?}");
        let other_cycle = auckland(interval);
        assert!(
            !change(held(&other, &other_cycle), &month, When::Usual, "2026-04-01T00:00:00Z").at_once,
            "{interval:?}"
        );
    }
}

#[test]
fn who_cancels_keeps_all_until_the_period_ends() {
    let plan = terms(r#","base_fee_micros":10000000"#);
    let cycle = auckland(Interval::Month);
    let told = preview(Some(held(&plan, &cycle)), None, When::Usual, cycle.anchor, at("2026-04-17T00:00:00Z"), "UTC");
    let told = told.expect("a preview");
    assert_eq!((told.direction, told.at_once, told.fee), (Direction::Cancel, false, None));
    assert_eq!(
        (told.effective_at, told.lost.as_slice()),
        (at("2026-05-01T00:00:00+12:00"), ["payments".to_owned()].as_slice())
    );
    let nothing = preview(None, None, When::Usual, cycle.anchor, cycle.anchor, "UTC");
    assert_eq!(nothing, Err(ChangeError::Nothing));
}

#[test]
fn a_discount_of_the_first_periods_is_in_the_fees() {
    let offer =
        r#","base_fee_micros":100000000,"discounts":[{"name":"Launch","percent":"50","on":"base_fee","periods":1}]"#;
    let (small, big) = (terms(""), terms(offer));
    let cycle = auckland(Interval::Month);
    let told = change(held(&small, &cycle), &big, When::PeriodEnd, "2026-04-17T00:00:00Z");
    assert_eq!(told.first_fee, Some(Money::new(Currency::Nzd, 50_000_000)));
    let again = Wanted { terms: &big, since: Some(at("2026-01-01T00:00:00Z")), may_try: false, goes_on: false };
    let held = held(&small, &cycle);
    let told = preview(Some(held), Some(again), When::PeriodEnd, cycle.anchor, at("2026-04-17T00:00:00Z"), "UTC");
    assert_eq!(told.expect("a preview").first_fee, Some(Money::new(Currency::Nzd, 100_000_000)), "it is over");
}

proptest! {
    /// Changing to and fro gives no units away: at most one for each change.
    #[test]
    fn a_prorated_quota_is_never_more_than_the_parts(
        quotas in proptest::collection::vec(0_u64..1_000_000_000_000, 2..8), cuts in proptest::collection::vec(0_i64..2_595_600, 7),
    ) {
        let cycle = auckland(Interval::Month);
        let period = cycle.period_at(cycle.anchor).expect("a period");
        let plans: Vec<PlanTerms> = quotas.iter().map(|units| terms(
            &format!(r#","quota":{{"units":{units},"beyond":"block"}},"changes":{{"quota":"prorated"}}"#))).collect();
        let mut cuts: Vec<i64> = cuts[..quotas.len() - 1].to_vec();
        cuts.sort_unstable();
        let (mut quota, mut from, mut exact) = (None, 0_i64, 0_u128);
        for (pair, cut) in plans.windows(2).zip(&cuts) {
            exact += u128::from(pair[0].quota.expect("a quota").units) * u128::from((cut - from).unsigned_abs());
            from = *cut;
            let own = Held { quota, ..held(&pair[0], &cycle) };
            let now = period.start + jiff::SignedDuration::from_secs(*cut);
            let wanted = Wanted { terms: &pair[1], since: None, may_try: false, goes_on: false };
            let told = preview(Some(own), Some(wanted), When::AtOnce, period.start, now, "UTC").expect("a preview");
            quota = told.quota_first;
        }
        let last = plans[plans.len() - 1].quota.expect("a quota").units;
        exact += u128::from(last) * u128::from((2_595_600 - from).unsigned_abs());
        let units = u128::from(quota.expect("a quota").units);
        let (least, most) = (exact / 2_595_600, exact / 2_595_600 + 2 * quotas.len() as u128);
        prop_assert!((least.saturating_sub(1)..=most).contains(&units), "{units} in {least} to {most}");
    }
}

/// A trial begins at once and ends by the partner's calendar; what is planned for the period's end is planned for its end.
#[test]
fn a_plan_that_is_new_to_the_partner_begins_with_its_trial() {
    let free = terms("");
    let pro = terms(r#","base_fee_micros":90000000,"trial":{"days":14,"quota":{"units":500,"beyond":"block"}}"#);
    let cycle = auckland(Interval::Month);
    let now = "2026-04-04T12:00:00+13:00";
    let look = |may_try| {
        let wanted = Wanted { terms: &pro, since: None, may_try, goes_on: false };
        preview(Some(held(&free, &cycle)), Some(wanted), When::Usual, cycle.anchor, at(now), "Pacific/Auckland")
            .expect("a preview")
    };
    let told = look(true);
    // Clocks go back on the 5th: 14 days by the calendar.
    let until = at("2026-04-18T12:00:00+12:00");
    assert_eq!((told.at_once, told.trial_until), (true, Some(until)));
    assert_eq!(told.cycle.as_ref().map(|cycle| cycle.anchor), Some(until));
    assert_eq!(told.first_fee, Some(Money::zero(Currency::Nzd)));
    assert_eq!(told.fee, Some(Money::new(Currency::Nzd, 90_000_000)));
    let again = look(false);
    assert_eq!((again.trial_until, again.cycle.as_ref()), (None, Some(&cycle)), "a second time there is none");
    assert!(again.first_fee.is_some_and(|fee| fee.micros > 0));

    let tried = told.cycle.expect("periods");
    let own = Held { started_at: at(now), since: until, trial_until: Some(until), ..held(&pro, &tried) };
    let end = preview(Some(own), None, When::Usual, at(now), at("2026-04-10T00:00:00Z"), "Pacific/Auckland");
    let end = end.expect("a preview");
    assert_eq!((end.effective_at, end.old_fee), (until, Some(Money::zero(Currency::Nzd))), "it is left without a cent");
    assert_eq!(end.quota_before, Some(500));

    // Terms of its own within the trial: it goes on. Another plan ends it, and gives no more quota than the trial had.
    let swap = |terms: &PlanTerms, goes_on| {
        let wanted = Wanted { terms, since: None, may_try: false, goes_on };
        preview(Some(own), Some(wanted), When::AtOnce, at(now), at("2026-04-11T12:00:00+12:00"), "Pacific/Auckland")
            .expect("a preview")
    };
    let dearer = PlanTerms { base_fee_micros: 95_000_000, ..pro.clone() };
    let kept = swap(&dearer, true);
    assert_eq!((kept.trial_until, kept.first_fee), (Some(until), Some(Money::zero(Currency::Nzd))));
    let shares = terms(r#","quota":{"units":10000,"beyond":"block"},"changes":{"quota":"prorated"}"#);
    let left = swap(&shares, false);
    let most = 500 + 10_000 * 7 / 28;
    assert_eq!(left.trial_until, None);
    assert!(left.quota_first.is_some_and(|quota| quota.units < most), "{:?} of {most}", left.quota_first);
}

/// Else whoever cancels on the first day of ninety had thirty of them.
#[test]
fn what_is_planned_in_a_trial_of_several_periods_is_planned_for_its_end() {
    let pro = terms(r#","base_fee_micros":90000000,"trial":{"days":90}"#);
    let until = at("2026-07-01T00:00:00+12:00");
    let cycle = Cycle { anchor: until, ..auckland(Interval::Month) };
    let start = at("2026-04-02T00:00:00+13:00");
    let own = Held { started_at: start, since: until, trial_until: Some(until), ..held(&pro, &cycle) };
    let told = |now: &str, wanted| preview(Some(own), wanted, When::Usual, start, at(now), "Pacific/Auckland");
    let end = told("2026-04-10T00:00:00+12:00", None).expect("a preview");
    assert_eq!((end.effective_at, end.old_fee), (until, Some(Money::zero(Currency::Nzd))));
    let small = terms("");
    let wanted = Wanted { terms: &small, since: None, may_try: false, goes_on: false };
    let smaller = told("2026-05-10T00:00:00+12:00", Some(wanted)).expect("a preview");
    assert_eq!((smaller.at_once, smaller.effective_at), (false, until));
    let after = told("2026-07-10T00:00:00+12:00", None).expect("a preview");
    assert_eq!(after.effective_at, at("2026-08-01T00:00:00+12:00"), "then for the period's end");
}

#[test]
fn a_preview_says_what_a_ramp_and_a_promotion_cost_from_when_on() {
    let pro = terms(
        r#","base_fee_micros":99000000,"phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":49000000}}],
            "promotions":[{"name":"Winter","from":"2026-06-15","until":"2026-07-14","instead":{"base_fee_micros":9000000}}]"#,
    );
    let dollars = |dollars: i64| Some(Money::new(Currency::Nzd, dollars * 1_000_000));
    let later = |told: &Preview| -> Vec<(String, String)> {
        told.later_fees.iter().map(|one| (one.from.to_string(), one.fee.to_string())).collect()
    };
    let owned = |from: &str, fee: &str| (from.to_owned(), fee.to_owned());
    let small = terms("");
    let cycle = auckland(Interval::Month);
    // Half of April: 49.00 × 1,158,900 / 2,595,600. May has 49.00; June begins before the promotion, July within it, August after both.
    let told = change(held(&small, &cycle), &pro, When::Usual, "2026-04-17T14:05:00+12:00");
    assert_eq!((told.first_fee, told.fee), (Some(Money::new(Currency::Nzd, 21_880_000)), dollars(49)));
    let expected = [owned("2026-06-30T12:00:00Z", "NZ$9.00"), owned("2026-07-31T12:00:00Z", "NZ$99.00")];
    assert_eq!(later(&told), expected);
    // Who begins in July has the promotion first, then what is left of the ramp.
    let new = Wanted { terms: &pro, since: None, may_try: false, goes_on: false };
    let start = at("2026-07-01T00:00:00+12:00");
    let told = preview(None, Some(new), When::Usual, start, start, "Pacific/Auckland").expect("a preview");
    assert_eq!((told.first_fee, told.fee), (dollars(9), dollars(9)));
    let expected = [owned("2026-07-31T12:00:00Z", "NZ$49.00"), owned("2026-09-30T11:00:00Z", "NZ$99.00")];
    assert_eq!(later(&told), expected);
    // Without offers there is one fee.
    let told = change(
        held(&small, &cycle),
        &terms(r#","base_fee_micros":99000000"#),
        When::Usual,
        "2026-04-17T14:05:00+12:00",
    );
    assert_eq!((told.fee, told.later_fees), (dollars(99), Vec::new()));
}
