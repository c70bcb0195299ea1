//! Worked examples of phases and promotions, to the cent, and what no plan may have of them.

use crate::{
    period::{Cycle, Interval, Period},
    plan::PlanTerms,
    rating::{MeterUsed, PlanPeriod, Used, advance, proration, rate, rate_all},
};
use jiff::{
    Timestamp,
    civil::{Date, date},
};

fn plan(rest: &str) -> PlanTerms {
    let text = format!(r#"{{"currency":"USD","products":[{{"product":"payments"}}],{rest}}}"#);
    serde_json::from_str(&text).expect("terms")
}

fn sound(rest: &str) -> PlanTerms {
    let plan = plan(rest);
    assert_eq!(plan.problems(), []);
    plan
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn nth(number: u64) -> PlanPeriod {
    PlanPeriod { number, ..PlanPeriod::last() }
}

fn on(day: Date) -> PlanPeriod {
    PlanPeriod { begins_on: day, ..nth(900) }
}

fn units(units: u64) -> [Used; 1] {
    [Used { product: "payments".to_owned(), operation: "pay".to_owned(), units, prepaid: 0 }]
}

/// The total, and the words of each line's offer.
fn bill(terms: &PlanTerms, used: &[Used]) -> (String, Vec<Option<String>>) {
    let rated = rate(terms, used).expect("a bill");
    (rated.total.to_string(), rated.charges.into_iter().map(|charge| charge.offer).collect())
}

fn total(terms: &PlanTerms, used: &[Used]) -> String {
    bill(terms, used).0
}

const RAMP: &str = r#""base_fee_micros":99000000,"phases":[
    {"name":"Ramp","periods":3,"instead":{"base_fee_micros":49000000}},
    {"name":"Growth","periods":2,"instead":{"base_fee_micros":79000000}}]"#;

#[test]
fn a_ramp_of_three_months_at_49_and_two_at_79_ends_at_99() {
    let ramp = sound(RAMP);
    let fees: Vec<String> = (0..7).map(|number| total(&ramp.in_force(nth(number)), &[])).collect();
    assert_eq!(fees, ["$49.00", "$49.00", "$49.00", "$79.00", "$79.00", "$99.00", "$99.00"]);
    let words = |number| bill(&ramp.in_force(nth(number)), &[]).1.remove(0);
    assert_eq!(words(1).as_deref(), Some("Ramp (period 2 of 3)"));
    assert_eq!(words(4).as_deref(), Some("Growth (period 2 of 2)"));
    assert_eq!(words(5), None, "the list price is no offer");
}

#[test]
fn units_are_cheaper_for_the_first_six_periods_with_what_is_included_then() {
    let cheaper = sound(
        r#""price":{"model":"per_unit","included":100,"unit_price":"0.01"},"phases":[{"name":"First half-year","periods":6,
            "instead":{"price":{"model":"per_unit","included":500,"unit_price":"0.005"}}}]"#,
    );
    let of = |number| total(&cheaper.in_force(nth(number)), &units(73_211));
    // 72,711 at half a cent; 73,111 at a cent.
    assert_eq!([of(0), of(5), of(6)], ["$363.56", "$363.56", "$731.11"]);
}

const LAUNCH: &str = r#""base_fee_micros":99000000,"promotions":[{"name":"Launch offer","from":"2027-01-15","until":"2027-03-31",
    "instead":{"base_fee_micros":29000000}}]"#;

#[test]
fn a_promotion_ends_by_itself_by_the_day_on_which_the_partner_s_period_begins() {
    let launch = sound(LAUNCH);
    let of = |day| total(&launch.in_force(on(day)), &[]);
    assert_eq!([of(date(2027, 1, 14)), of(date(2027, 1, 15))], ["$99.00", "$29.00"]);
    assert_eq!([of(date(2027, 3, 31)), of(date(2027, 4, 1))], ["$29.00", "$99.00"]);
    let told = bill(&launch.in_force(on(date(2027, 2, 1))), &[]).1;
    assert_eq!(told, [Some("Launch offer until 31 March 2027".to_owned())]);

    // The first of April begins in Auckland while it is still March in UTC: it is April that counts.
    let zone = "Pacific/Auckland";
    let months =
        Cycle { anchor: at("2027-01-01T00:00:00+13:00"), interval: Interval::Month, time_zone: zone.to_owned() };
    let fee = |when: &str| {
        let whole = months.period_at(at(when)).expect("one");
        let period = PlanPeriod::of(&months, months.anchor, None, whole).expect("one");
        total(&launch.in_force(period), &[])
    };
    assert_eq!(fee("2027-01-20T00:00:00Z"), "$99.00", "it began in the period, and does not change it");
    assert_eq!(fee("2027-03-31T10:59:59Z"), "$29.00");
    assert_eq!(fee("2027-03-31T11:00:00Z"), "$99.00");
}

#[test]
fn who_comes_within_a_period_has_what_is_offered_on_that_day() {
    let launch = sound(LAUNCH);
    let months = Cycle { anchor: at("2026-11-01T00:00:00Z"), interval: Interval::Month, time_zone: "UTC".to_owned() };
    let fee = |since: &str| {
        let whole = months.period_at(at(since)).expect("one");
        let period = PlanPeriod::of(&months, at(since), None, whole).expect("one");
        let part = Period { start: at(since), end: whole.end };
        advance::fee(&launch, period, part, whole).expect("a fee").total.to_string()
    };
    // 15 of 31 days of 29.00; 18 of 31 of 99.00; 15 of 30 in April.
    assert_eq!(fee("2027-01-17T00:00:00Z"), "$14.03");
    assert_eq!(fee("2027-01-14T00:00:00Z"), "$57.48");
    assert_eq!(fee("2027-04-16T00:00:00Z"), "$49.50");
}

#[test]
fn a_promotion_is_laid_over_a_phase_and_each_replaces_what_it_names_alone() {
    let both = sound(
        r#""base_fee_micros":99000000,"minimum_micros":20000000,"price":{"model":"per_unit","unit_price":"0.01"},
            "phases":[{"name":"Ramp","periods":3,"instead":{"base_fee_micros":49000000,"minimum_micros":0}}],
            "promotions":[{"name":"Launch offer","until":"2027-03-31","instead":{"base_fee_micros":29000000,
                "price":{"model":"per_unit","unit_price":"0.002"}}}]"#,
    );
    let of = |number, day| bill(&both.in_force(PlanPeriod { number, begins_on: day, in_trial: false }), &units(1_000));
    let launch = || Some("Launch offer until 31 March 2027".to_owned());
    let ramp = || Some("Ramp (period 2 of 3)".to_owned());
    assert_eq!(of(1, date(2027, 3, 1)), ("$31.00".to_owned(), vec![launch(), launch()]));
    assert_eq!(of(1, date(2027, 4, 1)), ("$59.00".to_owned(), vec![ramp(), None]));
    // The minimum of the list is made up to: 2.00 of units and 18.00.
    assert_eq!(of(3, date(2027, 3, 1)), ("$49.00".to_owned(), vec![launch(), launch(), None]));
    assert_eq!(of(3, date(2027, 4, 1)), ("$119.00".to_owned(), vec![None, None, None]));
}

#[test]
fn a_meter_keeps_its_price_where_the_offer_names_another() {
    let priced = sound(
        r#""meters":[{"product":"payments","meter":"tokens","price":{"model":"per_unit","unit_price":"0.02"}},
            {"product":"payments","meter":"paid","price":{"model":"percentage","unit_value":"0.01","percent":"2.9","fixed":"0.30"}}],
            "promotions":[{"name":"Launch","until":"2027-03-31","instead":{"meters":[{"product":"payments","meter":"paid",
                "price":{"model":"percentage","unit_value":"0.01","percent":"1"}}]}}]"#,
    );
    let of = |meter: &str, quantity, calls| MeterUsed {
        product: "payments".to_owned(),
        meter: meter.to_owned(),
        quantity,
        calls,
    };
    let used = [of("tokens", 100, 0), of("paid", 123_456, 40)];
    let rated = |day| rate_all(&priced.in_force(on(day)), &[], &used).expect("a bill");
    let lines = |day| {
        let line = |charge: crate::rating::Charge| (charge.amount.to_string(), charge.offer.is_some());
        rated(day).charges.into_iter().map(line).collect::<Vec<_>>()
    };
    let owned = |amount: &str, is| (amount.to_owned(), is);
    assert_eq!(lines(date(2027, 3, 31)), [owned("$2.00", false), owned("$12.35", true)]);
    assert_eq!(lines(date(2027, 4, 1)), [owned("$2.00", false), owned("$47.80", false)]);
}

#[test]
fn what_an_offer_says_is_for_a_whole_period_and_cut_for_a_part() {
    let ramp = sound(RAMP).in_force(nth(0));
    let whole = Period { start: at("2026-06-01T00:00:00Z"), end: at("2026-07-01T00:00:00Z") };
    let third = Period { end: at("2026-06-11T00:00:00Z"), ..whole };
    let part = proration::for_part(&ramp, third, whole).expect("fits");
    assert_eq!(bill(&part, &[]), ("$16.33".to_owned(), vec![Some("Ramp (period 1 of 3)".to_owned())]));
}

#[test]
fn a_trial_has_the_offers_of_the_first_period_after_it_and_counts_none_of_theirs() {
    let tried = sound(&format!(
        r#"{RAMP},"price":{{"model":"per_unit","unit_price":"1"}},"trial":{{"days":14,"free":"usage"}}"#
    ));
    let tried_in = PlanPeriod { in_trial: true, ..nth(0) };
    assert_eq!(total(&tried.in_force(tried_in), &units(5)), "$49.00");
    let after: Vec<String> = (0..4).map(|number| total(&tried.in_force(nth(number)), &[])).collect();
    assert_eq!(after, ["$49.00", "$49.00", "$49.00", "$79.00"]);
}

#[test]
fn terms_that_are_resolved_once_stay_as_they_are() {
    let once = sound(RAMP).in_force(nth(0));
    assert_eq!(once.in_force(nth(900)).base_fee_micros, 49_000_000);
    assert!(once.phases.is_empty());
}

#[test]
fn offers_that_could_not_be_billed_are_refused_with_their_field() {
    let fields = |rest: &str| {
        let problems = plan(&format!(r#""base_fee_micros":99000000,{rest}"#)).problems();
        problems.into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    let phase = |rest: &str| fields(&format!(r#""phases":[{{"name":"Ramp",{rest}}}]"#));
    assert_eq!(phase(r#""periods":0,"instead":{"base_fee_micros":0}"#), ["phases[0].periods"]);
    assert_eq!(phase(r#""periods":1201,"instead":{"base_fee_micros":0}"#), ["phases"]);
    assert_eq!(phase(r#""periods":1,"instead":{}"#), ["phases[0].instead"]);
    let amounts = r#""periods":1,"instead":{"base_fee_micros":-10000,"minimum_micros":1,"included_credit_micros":1000000000010000}"#;
    let expected = ["base_fee", "minimum", "included_credit"].map(|field| format!("phases[0].instead.{field}"));
    assert_eq!(phase(amounts), expected);
    let priced = |price: &str| phase(&format!(r#""periods":1,"instead":{{"price":{{"model":{price}}}}}"#));
    assert_eq!(priced(r#""per_unit","unit_price":"-1""#), ["phases[0].instead.price.unit_price"]);
    assert_eq!(priced(r#""percentage","unit_value":"1","percent":"1""#), ["phases[0].instead.price.model"]);
    let cell = r#""matrix","otherwise":"0","cells":[{"product":"reports","unit_price":"1"}]"#;
    assert_eq!(priced(cell), ["phases[0].instead.price.cells[0].product"]);
    let meter = r#""instead":{"meters":[{"product":"payments","meter":"tokens","price":{"model":"free"}}]}"#;
    assert_eq!(phase(&format!(r#""periods":1,{meter}"#)), ["phases[0].instead.meters"]);

    let promotions = |list: &str| fields(&format!(r#""promotions":[{list}]"#));
    let fee = r#""instead":{"base_fee_micros":0}"#;
    let one = |name: &str, dates: &str, instead: &str| format!(r#"{{"name":"{name}",{dates},{instead}}}"#);
    let two = |first: &str, second: &str| promotions(&[one("A", first, fee), one("B", second, fee)].join(","));
    assert_eq!(
        promotions(&one(" ", r#""from":"2027-03-02","until":"2027-03-01""#, fee)),
        ["promotions[0].name", "promotions[0].until"]
    );
    assert_eq!(two(r#""until":"2027-03-31""#, r#""from":"2027-04-01","until":"2027-04-30""#), [""; 0]);
    assert_eq!(two(r#""until":"2027-03-31""#, r#""from":"2027-03-31","until":"2027-04-30""#), ["promotions[1].from"]);
    assert_eq!(two(r#""until":"2027-03-31""#, r#""until":"2027-03-01""#), ["promotions[1].from"]);
    let minimum = one("B", r#""until":"2027-03-31""#, r#""instead":{"minimum_micros":0}"#);
    let beside = promotions(&[one("A", r#""until":"2027-03-31""#, fee), minimum].join(","));
    assert_eq!(beside, [""; 0], "they replace different things");
    assert_eq!(
        fields(
            r#""phases":[{"name":"A","periods":1,"instead":{"base_fee_micros":0}}],
            "promotions":[{"name":"A","until":"2027-03-31","instead":{"base_fee_micros":0}}]"#
        ),
        ["promotions[0].name"]
    );
    let by_stripe = r#""collect":"meter_events","phases":[{"name":"A","periods":1,"instead":{"base_fee_micros":0}}],
        "promotions":[{"name":"B","until":"2027-03-31","instead":{"price":{"model":"package","included":1,"size":10,"package_price":"1"}}}]"#;
    assert_eq!(fields(by_stripe), ["promotions[0].instead.price.included"]);
}

#[test]
fn two_promotions_of_one_thing_are_told_with_their_names_and_the_day() {
    let both = plan(
        r#""promotions":[{"name":"Spring","from":"2027-03-01","until":"2027-05-31","instead":{"base_fee_micros":0}},
            {"name":"Easter","from":"2027-03-26","until":"2027-03-29","instead":{"base_fee_micros":0}}]"#,
    );
    let expected = "Spring and Easter both replace the base fee on 26 March 2027; end one before the other begins";
    assert_eq!(both.problems()[0].message, expected);
}

#[test]
fn what_is_hidden_is_named_by_no_offer() {
    let meter = r#"{"product":"payments","meter":"paid","price":{"model":"free"}}"#;
    let matrix = r#"{"model":"matrix","otherwise":"0","cells":[{"product":"payments","unit_price":"1"}]}"#;
    let mut whole = sound(&format!(
        r#""meters":[{meter}],"phases":[{{"name":"A","periods":1,"instead":{{"meters":[{meter}],"price":{matrix}}}}}],
            "promotions":[{{"name":"B","until":"2027-03-31","instead":{{"meters":[{meter}],"price":{matrix}}}}}]"#
    ));
    whole.conceal(|product| product == "payments");
    assert!(!serde_json::to_string(&whole).expect("written").contains("payments"));
}
