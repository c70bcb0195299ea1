//! The file reads as people write it, and every mistake is named with its place.

use super::{OwnAmount, SecretSource, Setup};
use crate::policy::{AllowanceOutage, CachePrice, Cost};

const GOOD: &str = r#"
products:
  payments:
    name: Payments
    document: payments.yaml
    route: /payments
    upstream_url: http://127.0.0.1:4010
    visibility: public
    headers: { X-Upstream-Key: "env:UPSTREAM_KEY", X-From: turnpike }
    weights: { search: 5 }
plans:
  pro:
    name: Pro
    currency: USD
    products: [{ product: payments, operations: [search] }]
    limits: [{ calls: 10, window: second }]
    quota: { units: 100, beyond: bill }
    base_fee: "49.00"
    price: { model: per_unit, included: 100, unit_price: "0.005" }
  starter:
    name: Starter
    currency: USD
    products: [{ product: payments }]
partners:
  acme:
    name: Acme
    plan: pro
    members: [{ email: ada@acme.example, role: owner }]
    apps: { shop: { name: Shop, keys: { shop-test: { name: Test, environment: test } } } }
"#;

fn fields(text: &str) -> Vec<String> {
    let problems = Setup::read(text).expect_err("has problems");
    problems.into_iter().map(|problem| problem.field).collect()
}

#[test]
fn a_whole_file_reads_in_its_order_with_exact_amounts() {
    let setup = Setup::read(GOOD).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let plans: Vec<&str> = setup.plans.iter().map(|(code, _)| code).collect();
    assert_eq!(plans, ["pro", "starter"]);
    let terms = setup.plans.get("pro").expect("is there").terms().expect("amounts");
    assert_eq!(terms.base_fee_micros, 49_000_000);
    let product = setup.products.get("payments").expect("is there");
    assert_eq!(product.headers["X-Upstream-Key"], SecretSource::Environment("UPSTREAM_KEY".to_owned()));
    assert_eq!(product.timeout_ms, 30_000);
    let again = serde_json::to_string(&setup).expect("writes");
    assert_eq!(Setup::read(&again), Ok(setup), "what is written reads back");
}

#[test]
fn each_mistake_is_named_with_its_place() {
    let wrong = |from: &str, to: &str| {
        assert!(GOOD.contains(from), "{from}");
        fields(&GOOD.replace(from, to))
    };
    assert_eq!(wrong("route: /payments", "route: payments"), ["products.payments.route"]);
    assert_eq!(wrong("http://127.0.0.1:4010", "127.0.0.1:4010"), ["products.payments.upstream_url"]);
    assert_eq!(wrong("X-From:", "Content-Length:"), ["products.payments.headers.Content-Length"]);
    assert_eq!(wrong("env:UPSTREAM_KEY", "env:"), ["products.payments.headers.X-Upstream-Key"]);
    assert_eq!(wrong("\"49.00\"", "\"49.005\""), ["plans.pro.base_fee"]);
    assert_eq!(wrong("unit_price: \"0.005\"", "unit_price: \"-1\""), ["plans.pro.price.unit_price"]);
    assert_eq!(wrong("[{ product: payments }]", "[{ product: refunds }]"), ["plans.starter.products[0].product"]);
    assert_eq!(wrong("plan: pro", "plan: gold"), ["partners.acme.plan"]);
    assert_eq!(wrong("role: owner", "role: viewer"), ["partners.acme.members"]);
    assert_eq!(wrong("ada@acme.example", "ada"), ["partners.acme.members[0].email"]);
    assert_eq!(wrong("  acme:\n", "  Acme Ltd:\n"), ["partners.Acme Ltd"]);
    assert_eq!(wrong("visibility: public", "visiblity: public"), ["line 8"]);
    assert_eq!(wrong("  starter:\n", "  pro:\n"), ["line 12"]);
}

#[test]
fn packages_of_credit_read_with_their_mistakes() {
    let package = r#"
credit_packages:
  million:
    name: One million
    units: 1000000
    currency: USD
    price: "1000.00"
    discounts: [{ from: 10, percent: "15" }]
    valid_days: 365
    plans: [pro]
"#;
    let text = format!("{GOOD}{package}");
    let setup = Setup::read(&text).expect("reads");
    let package = setup.credit_packages.get("million").expect("a package");
    assert_eq!(package.cost(10).map(|cost| cost.to_string()), Ok("$8,500.00".to_owned()));
    let wrong = text.replace("plans: [pro]", "plans: [gold]").replace("units: 1000000", "units: 0");
    assert_eq!(fields(&wrong), ["credit_packages.million.units", "credit_packages.million.plans[0]"]);
}

#[test]
fn coupons_read_with_their_mistakes() {
    let coupon = r#"
coupons:
  spring25:
    name: Spring
    percent: "25"
    periods: 3
    redeem_until: "2027-05-31T00:00:00Z"
    max_redemptions: 100
    plans: [pro]
"#;
    let text = format!("{GOOD}{coupon}");
    let setup = Setup::read(&text).expect("reads");
    let coupon = setup.coupons.get("spring25").expect("a coupon");
    assert_eq!(coupon.words(), "25 % off each bill, for 3 billing periods");
    let wrong = text.replace("plans: [pro]", "plans: [gold]").replace("periods: 3", "periods: 0");
    assert_eq!(fields(&wrong), ["coupons.spring25.periods", "coupons.spring25.plans[0]"]);
}

#[test]
fn operations_that_the_document_lacks_are_named() {
    let setup = Setup::read(GOOD).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let product = setup.products.get("payments").expect("is there");
    assert_eq!(product.operation_problems("payments", &setup.plans, &["search"]), []);
    let problems = product.operation_problems("payments", &setup.plans, &["list"]);
    let places: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(places, ["products.payments.weights.search", "plans.pro.products[0].operations[0]"]);
}

#[test]
fn debug_output_holds_no_secret() {
    assert!(!format!("{:?}", SecretSource::from("hunter2".to_owned())).contains("hunter2"));
}

#[test]
fn a_file_that_is_nested_too_deep_is_refused_with_its_line() {
    let before = std::time::Instant::now();
    let problems = Setup::read(&format!("products:\n  a: {}", "[".repeat(50_000))).expect_err("it is too deep");
    assert_eq!(problems[0].field, "line 2");
    assert!(before.elapsed() < std::time::Duration::from_secs(30), "{:?}", before.elapsed());
}

#[test]
fn choices_with_values_are_written_as_in_the_schema() {
    let policy = "    policy:
      allowance_outage: { open: { overdraft_units: 60 } }
      cache: { default_fresh_seconds: 60, price: { units: 0 } }
      operations: { search: { cost: { header: { name: X-Units, reserve: 5 } } } }
plans:\n";
    let setup = Setup::read(&GOOD.replacen("plans:\n", policy, 1)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let policy = &setup.products.get("payments").expect("is there").policy;
    assert_eq!(policy.allowance_outage, AllowanceOutage::Open { overdraft_units: 60 });
    assert_eq!(policy.cache.as_ref().map(|cache| cache.price), Some(CachePrice::Units(0)));
    let cost = Cost::Header { name: "X-Units".to_owned(), reserve: 5 };
    assert_eq!(policy.operations["search"].cost, Some(cost));
    let closed = "    policy: { allowance_outage: closed }\nplans:\n";
    assert!(Setup::read(&GOOD.replacen("plans:\n", closed, 1)).is_ok());
}

#[test]
fn a_partner_s_threshold_is_an_amount_of_its_plan_or_none_and_is_left_alone_where_nothing_is_said() {
    let file = |plan: &str, own: &str| {
        format!(
            "plans:\n  pro: {{ name: Pro, currency: JPY, products: [], invoice_threshold: \"50000\"{plan} }}\n\
             partners:\n  acme: {{ name: Acme, plan: pro{own} }}\n"
        )
    };
    let own = |text: &str| {
        let setup = Setup::read(&file("", text)).expect("reads");
        assert_eq!(
            setup.plans.get("pro").expect("a plan").terms().expect("terms").invoice_threshold_micros,
            Some(50_000_000_000)
        );
        setup.partners.get("acme").expect("a partner").invoice_threshold
    };
    assert_eq!(own(""), None);
    assert_eq!(own(", invoice_threshold: null"), Some(OwnAmount(None)));
    assert_eq!(own(", invoice_threshold: \"700\""), Some(OwnAmount(Some(700.into()))));
    for (plan, own, place) in [
        ("", ", invoice_threshold: \"0.5\"", "partners.acme.invoice_threshold"),
        ("", ", invoice_threshold: \"0\"", "partners.acme.invoice_threshold"),
        (", collect: meter_events", "", "plans.pro.invoice_threshold"),
    ] {
        let problems = Setup::read(&file(plan, own)).expect_err("refused");
        assert!(problems.iter().any(|problem| problem.field == place), "{problems:?}");
    }
    let without = "partners:\n  acme: { name: Acme, invoice_threshold: \"7\" }\n";
    let problems = Setup::read(without).expect_err("refused");
    assert_eq!(problems[0].field, "partners.acme.invoice_threshold");
}
