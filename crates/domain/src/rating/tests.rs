//! Worked examples, to the cent.

use super::{price::Step, *};
use crate::{money::Currency, plan::Collect};
use proptest::prelude::*;

fn terms(price: price::Price) -> PlanTerms {
    PlanTerms {
        currency: Currency::Usd,
        interval: crate::period::Interval::Month,
        products: Vec::new(),
        limits: Vec::new(),
        quota: None,
        base_fee_micros: 0,
        price,
        meters: Vec::new(),
        included_credit_micros: 0,
        features: Vec::new(),
        opens_features: Vec::new(),
        admission: Default::default(),
        collect: Collect::InvoiceItems,
    }
}

fn dec(text: &str) -> Decimal {
    text.parse().expect("a decimal")
}

fn used(operation: &str, units: u64) -> Used {
    Used { product: "payments".to_owned(), operation: operation.to_owned(), units }
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

#[test]
fn amounts_that_no_invoice_could_hold_are_refused_with_the_plan() {
    let fields = |plan: &PlanTerms| plan.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>();
    let mut plan = terms(price::Price::PerUnit { included: 0, unit_price: dec("1000000") });
    (plan.base_fee_micros, plan.included_credit_micros) = (1_000_000_000_000_000, 1_000_000_000_000_000);
    assert!(fields(&plan).is_empty());
    plan.price = price::Price::PerUnit { included: 0, unit_price: dec("79228162514264337593543950335") };
    plan.base_fee_micros = i64::MAX - i64::MAX % 10_000;
    plan.included_credit_micros += 10_000;
    assert_eq!(fields(&plan), ["base_fee", "included_credit", "price.unit_price"]);
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

#[test]
fn prices_of_meters_that_could_not_be_billed_are_refused() {
    let mut plan = terms(price::Price::Free);
    let priced = crate::plan::MeterPrice {
        product: "payments".to_owned(),
        meter: "tokens".to_owned(),
        price: price::Price::PerUnit { included: 0, unit_price: dec("-1") },
    };
    plan.meters = vec![priced.clone(), priced];
    plan.collect = Collect::MeterEvents;
    let fields: Vec<String> = plan.problems().into_iter().map(|problem| problem.field).collect();
    assert_eq!(
        fields,
        [
            "meters[0].product",
            "meters[0]",
            "meters[0].price.unit_price",
            "meters[1].product",
            "meters[1]",
            "meters[1]",
            "meters[1].price.unit_price",
        ]
    );
}
