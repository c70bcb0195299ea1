//! Worked examples, to the cent.

mod parts;
mod refused;

use super::{price::Step, *};
use crate::{money::Currency, plan::Collect};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn terms(price: price::Price) -> PlanTerms {
    PlanTerms {
        currency: Currency::Usd,
        interval: crate::period::Interval::Month,
        periods: Default::default(),
        products: Vec::new(),
        limits: Vec::new(),
        quota: None,
        base_fee_micros: 0,
        fee_due: Default::default(),
        price,
        meters: Vec::new(),
        minimum_micros: 0,
        discounts: Vec::new(),
        phases: Vec::new(),
        promotions: Vec::new(),
        offered: Default::default(),
        commitment: None,
        trial: None,
        invoice_threshold_micros: None,
        included_credit_micros: 0,
        features: Vec::new(),
        opens_features: Vec::new(),
        admission: Default::default(),
        collect: Collect::InvoiceItems,
        changes: Default::default(),
        unpaid: None,
    }
}

fn dec(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn used(operation: &str, units: u64) -> Used {
    Used { product: "payments".to_owned(), operation: operation.to_owned(), units, prepaid: 0 }
}

fn total(terms: &PlanTerms, lines: &[Used]) -> String {
    rate(terms, lines).expect("rates").total.to_string()
}

fn three_steps() -> price::Price {
    let step = |up_to, unit_price: &str| Step { up_to, unit_price: dec(unit_price) };
    price::Price::Graduated {
        steps: vec![step(Some(100_000), "0.01"), step(Some(500_000), "0.008"), step(None, "0.005")],
    }
}

#[test]
fn graduated_at_650_000() {
    assert_eq!(total(&terms(three_steps()), &[used("create", 650_000)]), "$4,950.00");
}

#[test]
fn what_prepaid_credit_paid_is_on_the_line_and_costs_nothing() {
    let mut plan = terms(price::Price::PerUnit { included: 100, unit_price: dec("0.01") });
    plan.minimum_micros = 2_000_000;
    let lines =
        [Used { prepaid: 250, ..used("create", 300) }, Used { prepaid: 40, ..used("read", 40) }, used("list", 80)];
    let rated = rate(&plan, &lines).expect("rates");
    let shown: Vec<_> = rated
        .charges
        .iter()
        .map(|charge| (charge.kind, charge.quantity, charge.free, charge.prepaid, charge.amount.to_string()))
        .collect();
    // 50 and 80 units are the plan's: 100 of them free, 30 × 0.01.
    assert_eq!(
        shown,
        [
            (LineKind::Usage, 300, 50, 250, "$0.00".to_owned()),
            (LineKind::Usage, 80, 50, 0, "$0.30".to_owned()),
            (LineKind::Usage, 40, 0, 40, "$0.00".to_owned()),
            (LineKind::Minimum, 1, 0, 0, "$1.70".to_owned()),
        ]
    );
    // Told twice or too much, it never pays for more than there is.
    let split = [Used { prepaid: 9, ..used("create", 5) }, used("create", 2)];
    assert_eq!(rate(&plan, &split).expect("rates").charges[0].prepaid, 7);
}

#[test]
fn base_fee_with_included_units_at_73_211() {
    let mut plan = terms(price::Price::PerUnit { included: 50_000, unit_price: dec("0.005") });
    plan.base_fee_micros = 99_000_000;
    assert_eq!(total(&plan, &[used("create", 73_211)]), "$215.06");
}

#[test]
fn included_credit_never_pays_the_base_fee() {
    let mut plan = terms(price::Price::PerUnit { included: 0, unit_price: dec("0.01") });
    plan.base_fee_micros = 49_000_000;
    plan.included_credit_micros = 25_000_000;
    assert_eq!(total(&plan, &[used("create", 1_000)]), "$49.00");
    assert_eq!(total(&plan, &[used("create", 10_000)]), "$124.00");
}

#[test]
fn free_units_go_to_the_first_operations_by_name() {
    let plan = terms(price::Price::PerUnit { included: 100, unit_price: dec("1") });
    let rated = rate(&plan, &[used("refund", 30), used("create", 90)]).expect("rates");
    let free: Vec<_> = rated.charges.iter().map(|charge| (charge.operation.as_deref(), charge.free)).collect();
    assert_eq!(free, [(Some("create"), 90), (Some("refund"), 10)]);
    assert_eq!(rated.total.to_string(), "$20.00");
}

proptest! {
    #[test]
    fn lines_add_up_and_order_does_not_matter(units in proptest::collection::vec(0_u64..300_000, 1..12)) {
        let plan = terms(three_steps());
        let mut lines: Vec<Used> =
            units.iter().enumerate().map(|(index, units)| used(&format!("op{}", index % 5), *units)).collect();
        let forward = rate(&plan, &lines).expect("rates");
        lines.reverse();
        prop_assert_eq!(&forward, &rate(&plan, &lines).expect("rates"));
        let sum: i64 = forward.charges.iter().map(|charge| charge.amount.micros).sum();
        prop_assert_eq!(sum, forward.total.micros);
    }
}

#[test]
fn a_priced_meter_is_a_line_by_itself_and_credit_pays_for_it_too() {
    let metered = |product: &str, meter: &str, quantity| MeterUsed {
        product: product.to_owned(),
        meter: meter.to_owned(),
        quantity,
        calls: 1,
    };
    let priced =
        |meter: &str, price| crate::plan::MeterPrice { product: "payments".to_owned(), meter: meter.to_owned(), price };
    let mut plan = terms(price::Price::PerUnit { included: 0, unit_price: dec("0.01") });
    plan.included_credit_micros = 2_000_000;
    plan.meters = vec![
        priced("tokens", price::Price::PerUnit { included: 1_000, unit_price: dec("0.002") }),
        priced("seats", three_steps()),
        priced("unused", price::Price::PerUnit { included: 0, unit_price: dec("1") }),
        priced("free", price::Price::Free),
    ];
    let told = [
        metered("payments", "seats", 100_001),
        metered("payments", "tokens", 1_400),
        metered("payments", "tokens", 100),
        metered("other", "tokens", 9_000_000),
        metered("payments", "free", 5),
        metered("payments", "without-a-price", 5),
        metered("payments", "unused", 0),
    ];
    let rated = rate_all(&plan, &[used("create", 50)], &told).expect("rates");
    let lines: Vec<_> = rated
        .charges
        .iter()
        .map(|charge| {
            (charge.kind.code(), charge.meter.as_deref(), charge.quantity, charge.free, charge.amount.to_string())
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("usage", None, 50, 0, "$0.50".to_owned()),
            ("meter", Some("tokens"), 1_500, 1_000, "$1.00".to_owned()),
            ("meter", Some("seats"), 100_001, 0, "$1,000.01".to_owned()),
            ("meter", Some("free"), 5, 5, "$0.00".to_owned()),
            ("included_credit", None, 1, 0, "−$2.00".to_owned()),
        ]
    );
    assert_eq!(rated.total.to_string(), "$999.51");
    let only = rate(&plan, &[used("create", 50)]).expect("rates");
    assert_eq!(only.total.to_string(), "$0.00", "credit pays for what there is");
}

/// The terms that this JSON is the rest of, in US dollars.
fn written(rest: &str) -> PlanTerms {
    let text = format!(r#"{{"currency":"USD","products":[{{"product":"payments"}}],{rest}}}"#);
    let plan: PlanTerms = serde_json::from_str(&text).expect("terms");
    assert_eq!(plan.problems(), []);
    plan
}

/// Kinds and amounts.
fn lines(plan: &PlanTerms, units: u64) -> Vec<(&'static str, String)> {
    let rated = rate(plan, &[used("create", units)]).expect("rates");
    let sum: i64 = rated.charges.iter().map(|charge| charge.amount.micros).sum();
    assert_eq!(sum, rated.total.micros);
    rated.charges.iter().map(|charge| (charge.kind.code(), charge.amount.to_string())).collect()
}

fn owned(lines: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    lines.iter().map(|(kind, amount)| (*kind, (*amount).to_owned())).collect()
}

#[test]
fn base_fee_with_100_000_included_and_half_a_tenth_of_a_cent_above() {
    let plan =
        written(r#""base_fee_micros":99000000,"price":{"model":"per_unit","included":100000,"unit_price":"0.0005"}"#);
    assert_eq!(total(&plan, &[used("create", 100_000)]), "$99.00");
    // Nine units are 0.0045, ten are half a cent.
    assert_eq!(total(&plan, &[used("create", 100_009)]), "$99.00");
    assert_eq!(total(&plan, &[used("create", 100_010)]), "$99.01");
    assert_eq!(total(&plan, &[used("create", 473_211)]), "$285.61");
}

#[test]
fn a_minimum_of_5_000_is_made_up_to_and_never_passed_twice() {
    let plan = written(r#""minimum_micros":5000000000,"price":{"model":"per_unit","unit_price":"0.005"}"#);
    assert_eq!(lines(&plan, 246_912), owned(&[("usage", "$1,234.56"), ("minimum", "$3,765.44")]));
    assert_eq!(lines(&plan, 0), owned(&[("minimum", "$5,000.00")]));
    assert_eq!(lines(&plan, 1_000_000), owned(&[("usage", "$5,000.00")]));
    assert_eq!(lines(&plan, 1_000_001), owned(&[("usage", "$5,000.01")]));
}

#[test]
fn a_volume_price_is_that_of_the_step_that_all_units_reach() {
    let plan = written(
        r#""price":{"model":"volume","steps":[{"up_to":100000,"unit_price":"0.01"},{"up_to":500000,"unit_price":"0.008"},
            {"unit_price":"0.005"}]}"#,
    );
    assert_eq!(total(&plan, &[used("create", 100_000)]), "$1,000.00");
    assert_eq!(total(&plan, &[used("create", 100_001)]), "$800.01");
    assert_eq!(total(&plan, &[used("create", 650_000)]), "$3,250.00");
    // Two operations reach the step together, and each pays its price.
    let rated = rate(&plan, &[used("refund", 60_000), used("create", 60_000)]).expect("rates");
    assert_eq!(
        rated.charges.iter().map(|charge| charge.amount.to_string()).collect::<Vec<_>>(),
        ["$480.00", "$480.00"]
    );
    let free = written(r#""price":{"model":"volume","steps":[{"up_to":10,"unit_price":"0"},{"unit_price":"1"}]}"#);
    let charge = |units| rate(&free, &[used("create", units)]).expect("rates").charges.remove(0);
    assert_eq!((charge(10).free, charge(11).free, charge(11).amount.to_string()), (10, 0, "$11.00".to_owned()));
}

#[test]
fn a_package_that_is_begun_is_paid_whole_by_the_operation_that_begins_it() {
    let plan = written(r#""price":{"model":"package","included":1000,"size":10000,"package_price":"20"}"#);
    assert_eq!(total(&plan, &[used("create", 1_000)]), "$0.00");
    assert_eq!(total(&plan, &[used("create", 1_001)]), "$20.00");
    assert_eq!(total(&plan, &[used("create", 21_001)]), "$60.00");
    let rated = rate(&plan, &[used("create", 10_999), used("refund", 3)]).expect("rates");
    assert_eq!(rated.charges.iter().map(|charge| charge.amount.to_string()).collect::<Vec<_>>(), ["$20.00", "$20.00"]);
}

#[test]
fn a_percentage_has_a_fixed_part_for_each_call_and_a_cap() {
    let priced = |cap: &str| {
        written(&format!(
            r#""meters":[{{"product":"payments","meter":"paid","price":{{"model":"percentage","unit_value":"0.01",
                "percent":"2.9","fixed":"0.30"{cap}}}}}]"#
        ))
    };
    let bill = |plan: &PlanTerms, quantity, calls| {
        let paid = MeterUsed { product: "payments".to_owned(), meter: "paid".to_owned(), quantity, calls };
        rate_all(plan, &[], &[paid]).expect("rates").total.to_string()
    };
    assert_eq!(bill(&priced(""), 123_456, 40), "$47.80");
    assert_eq!(bill(&priced(""), 0, 3), "$0.90");
    assert_eq!(bill(&priced(""), 0, 0), "$0.00");
    assert_eq!(bill(&priced(r#","cap":"40.00""#), 123_456, 40), "$40.00");
}

#[test]
fn a_matrix_prices_an_operation_before_its_product_before_everything() {
    let plan = written(
        r#""price":{"model":"matrix","included":10,"otherwise":"0.001","cells":[
            {"product":"payments","unit_price":"0.005"},{"product":"payments","operation":"create","unit_price":"0.02"}]}"#,
    );
    let other = Used { product: "reports".to_owned(), operation: "create".to_owned(), units: 1_000, prepaid: 0 };
    let rated = rate(&plan, &[other, used("refund", 1_000), used("create", 1_010)]).expect("rates");
    assert_eq!(
        rated.charges.iter().map(|charge| (charge.free, charge.amount.to_string())).collect::<Vec<_>>(),
        [(10, "$20.00".to_owned()), (0, "$5.00".to_owned()), (0, "$1.00".to_owned())]
    );
}

#[test]
fn the_steps_after_the_price_are_taken_in_their_order() {
    let plan = written(
        r#""base_fee_micros":100000000,"minimum_micros":1000000000,"included_credit_micros":50000000,
            "price":{"model":"per_unit","unit_price":"1"},
            "discounts":[{"name":"Launch","percent":"50","on":"base_fee"},{"name":"Friends","percent":"10"}],
            "commitment":{"micros":950000000,"discounts":[{"up_to_micros":500000000,"percent":"2"},{"percent":"10"}]}"#,
    );
    assert_eq!(
        lines(&plan, 400),
        owned(&[
            ("base_fee", "$100.00"),
            ("usage", "$400.00"),
            ("minimum", "$600.00"),
            ("discount", "−$50.00"),
            // Of the 50 that are left of the fee, and of the minimum.
            ("discount", "−$5.00"),
            ("discount", "−$100.00"),
            // 2 % of 500 and 10 % of the other 400.
            ("committed_use", "−$50.00"),
            ("commitment", "$100.00"),
            ("included_credit", "−$50.00"),
        ])
    );
}

#[test]
fn a_committed_use_discount_is_graduated_and_a_promise_is_made_up_to() {
    let plan = written(
        r#""price":{"model":"per_unit","unit_price":"1"},"commitment":{"micros":10000000000,
            "discounts":[{"up_to_micros":10000000000,"percent":"5"},{"percent":"15"}]}"#,
    );
    assert_eq!(lines(&plan, 30_000), owned(&[("usage", "$30,000.00"), ("committed_use", "−$3,500.00")]));
    let expected = [("usage", "$8,000.00"), ("committed_use", "−$400.00"), ("commitment", "$2,400.00")];
    assert_eq!(lines(&plan, 8_000), owned(&expected));
}

#[test]
fn a_discount_for_the_first_periods_ends_with_them() {
    let plan = written(
        r#""base_fee_micros":10000000,"discounts":[{"name":"Launch","percent":"50","periods":2},{"name":"Ever","percent":"10"}]"#,
    );
    let fee = |number| total(&plan.in_force(PlanPeriod { number, ..PlanPeriod::last() }), &[]);
    assert_eq!([fee(0), fee(1), fee(2), fee(900)], ["$4.50", "$4.50", "$9.00", "$9.00"]);
}
