//! Plans that could not be billed are refused, with the field that is wrong.

use super::*;

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

#[test]
fn prices_of_meters_that_could_not_be_billed_are_refused() {
    let mut plan = terms(price::Price::Free);
    let priced = crate::plan::MeterPrice {
        product: "payments".to_owned(),
        meter: "tokens".to_owned(),
        price: price::Price::PerUnit { included: 0, unit_price: dec("-1") },
    };
    plan.meters = vec![priced.clone(), priced];
    let fields: Vec<String> = plan.problems().into_iter().map(|problem| problem.field).collect();
    assert_eq!(
        fields,
        [
            "meters[0].product",
            "meters[0].price.unit_price",
            "meters[1].product",
            "meters[1]",
            "meters[1].price.unit_price",
        ]
    );
}

#[test]
fn prices_and_rules_that_could_not_be_billed_are_refused_with_their_field() {
    let wrong = |rest: &str| {
        let text = format!(r#"{{"currency":"USD","products":[{{"product":"payments"}}],{rest}}}"#);
        let plan: PlanTerms = serde_json::from_str(&text).expect("terms");
        plan.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    let price = |model: &str| wrong(&format!(r#""price":{{"model":{model}}}"#));
    assert_eq!(price(r#""volume","steps":[{"up_to":9,"unit_price":"1"}]"#), ["price.steps"]);
    assert_eq!(price(r#""package","size":0,"package_price":"-1""#), ["price.package_price", "price.size"]);
    assert_eq!(
        price(
            r#""matrix","otherwise":"-1","cells":[{"product":"payments","unit_price":"1"},{"product":"payments","unit_price":"2"},{"product":"x","unit_price":"1"}]"#
        ),
        ["price.otherwise", "price.cells[1]", "price.cells[2].product"]
    );
    assert_eq!(price(r#""matrix","otherwise":"0","cells":[]"#), ["price.cells"]);
    assert_eq!(price(r#""percentage","unit_value":"0.01","percent":"3""#), ["price.model"]);
    let meter = |model: &str| {
        wrong(&format!(r#""meters":[{{"product":"payments","meter":"paid","price":{{"model":{model}}}}}]"#))
    };
    assert_eq!(
        meter(r#""percentage","unit_value":"-1","percent":"101","fixed":"0.0000001","cap":"0.005""#),
        ["percent", "unit_value", "fixed", "cap"].map(|field| format!("meters[0].price.{field}"))
    );
    let own_price = r#""matrix","otherwise":"0","cells":[{"product":"payments","unit_price":"1"}]"#;
    assert_eq!(meter(own_price), ["meters[0].price.model"]);
    assert_eq!(wrong(r#""minimum_micros":5"#), ["minimum"]);
    assert_eq!(
        wrong(
            r#""discounts":[{"name":" ","percent":"-1","periods":0},{"name":"A","percent":"1"},{"name":"A","percent":"1"}]"#
        ),
        ["discounts[0].name", "discounts[0].percent", "discounts[0].periods", "discounts[2].name"]
    );
    assert_eq!(
        wrong(
            r#""commitment":{"micros":0,"discounts":[{"up_to_micros":20000,"percent":"1"},{"percent":"200"},{"up_to_micros":10000,"percent":"1"}]}"#
        ),
        [
            "commitment.amount",
            "commitment.discounts[1].up_to",
            "commitment.discounts[1].percent",
            "commitment.discounts[2].up_to",
        ]
    );
    let by_stripe = r#""collect":"meter_events","minimum_micros":10000,"discounts":[{"name":"A","percent":"1"}],
        "commitment":{"micros":10000},"price":{"model":"matrix","otherwise":"0","cells":[{"product":"payments","unit_price":"1"}]}"#;
    assert_eq!(wrong(by_stripe), ["price.model"]);
}

#[test]
fn what_is_hidden_is_named_by_no_price() {
    let mut plan = written(
        r#""price":{"model":"matrix","otherwise":"0","cells":[{"product":"payments","unit_price":"1"}]},
            "meters":[{"product":"payments","meter":"paid","price":{"model":"free"}}]"#,
    );
    plan.conceal(|product| product == "reports");
    assert_eq!(serde_json::to_string(&plan).expect("written").matches("payments").count(), 3);
    plan.conceal(|product| product == "payments");
    assert!(!serde_json::to_string(&plan).expect("written").contains("payments"));
}

#[test]
fn lists_longer_than_anybody_reads_are_refused_before_anything_else_is_looked_at() {
    let fields = |plan: &PlanTerms| plan.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>();
    let step = |up_to| Step { up_to, unit_price: dec("1") };
    let steps = |count: u64| (1..count).map(|end| step(Some(end))).chain([step(None)]).collect::<Vec<_>>();
    let cells = |count: u32| {
        let product = "payments".to_owned();
        let cell = |code: u32| matrix::Cell {
            product: product.clone(),
            operation: Some(code.to_string()),
            unit_price: dec("1"),
        };
        price::Price::Matrix { included: 0, cells: (0..count).map(cell).collect(), otherwise: dec("1") }
    };
    let base = written(r#""base_fee_micros":0"#);
    let with = |price| PlanTerms { price, ..base.clone() };
    let negative = |plan: PlanTerms| PlanTerms { base_fee_micros: -1, ..plan };
    assert_eq!(fields(&with(price::Price::Graduated { steps: steps(100) })), [""; 0]);
    assert_eq!(fields(&negative(with(price::Price::Graduated { steps: steps(101) }))), ["price.steps"]);
    assert_eq!(fields(&negative(with(price::Price::Volume { steps: steps(101) }))), ["price.steps"]);
    assert_eq!(fields(&with(cells(1_000))), [""; 0]);
    assert_eq!(fields(&negative(with(cells(1_001)))), ["price.cells"]);
    let meter =
        |code: u32, price| crate::plan::MeterPrice { product: "payments".to_owned(), meter: code.to_string(), price };
    let meters = |count: u32| PlanTerms {
        meters: (0..count).map(|code| meter(code, price::Price::Free)).collect(),
        ..base.clone()
    };
    assert_eq!(fields(&meters(100)), [""; 0]);
    assert_eq!(fields(&negative(meters(101))), ["meters"]);
    let long = meter(1, price::Price::Volume { steps: steps(101) });
    assert_eq!(fields(&negative(PlanTerms { meters: vec![long], ..base.clone() })), ["meters[0].price.steps"]);
    let promised = |count: i64| {
        let step = |up_to_micros| commitment::CommitmentStep { up_to_micros, percent: dec("1") };
        let discounts = (1..count).map(|end| step(Some(end * 10_000))).chain([step(None)]).collect();
        PlanTerms { commitment: Some(commitment::Commitment { micros: 10_000, discounts }), ..base.clone() }
    };
    assert_eq!(fields(&promised(100)), [""; 0]);
    assert_eq!(fields(&negative(promised(101))), ["commitment.discounts"]);
    let nothing = vec![step(Some(0)), step(None)];
    assert_eq!(fields(&with(price::Price::Graduated { steps: nothing })), ["price.steps[0].up_to"]);
}

#[test]
fn prices_that_stripe_would_rate_by_product_are_refused_where_it_rates_several() {
    let fields = |products: &str, price: &str| {
        let text = format!(
            r#"{{"currency":"USD","collect":"meter_events","products":[{products}],"price":{{"model":{price}}}}}"#
        );
        let plan: PlanTerms = serde_json::from_str(&text).expect("terms");
        plan.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    let (one, two) = (r#"{"product":"payments"}"#, r#"{"product":"payments"},{"product":"reports"}"#);
    for price in [
        r#""volume","steps":[{"up_to":9,"unit_price":"1"},{"unit_price":"0.5"}]"#,
        r#""graduated","steps":[{"up_to":9,"unit_price":"1"},{"unit_price":"0.5"}]"#,
        r#""package","size":10,"package_price":"1""#,
    ] {
        assert_eq!(fields(one, price), [""; 0], "{price}");
        assert_eq!(fields(two, price), ["price.model"], "{price}");
    }
    let included = r#""per_unit","included":9,"unit_price":"1""#;
    assert_eq!((fields(one, included), fields(two, included)), (vec![], vec!["price.included".to_owned()]));
    assert_eq!(fields(two, r#""per_unit","unit_price":"1""#), [""; 0]);
    assert_eq!(fields(one, r#""package","included":1,"size":10,"package_price":"1""#), ["price.included"]);
}

#[test]
fn a_cell_for_an_operation_that_the_plan_does_not_open_is_refused() {
    let fields = |operations: &str| {
        let text = format!(
            r#"{{"currency":"USD","products":[{{"product":"payments"{operations}}}],"price":{{"model":"matrix",
                "otherwise":"0","cells":[{{"product":"payments","operation":"refund","unit_price":"1"}}]}}}}"#
        );
        let plan: PlanTerms = serde_json::from_str(&text).expect("terms");
        plan.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    assert_eq!(fields(""), [""; 0]);
    assert_eq!(fields(r#","operations":["create","refund"]"#), [""; 0]);
    assert_eq!(fields(r#","operations":["create"]"#), ["price.cells[0].operation"]);
}
