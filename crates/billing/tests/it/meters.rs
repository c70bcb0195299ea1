//! Meters besides units that the plan has a price for.

use crate::{
    corrections::{adjusted, no_finding},
    shop::{Shop, hours, terms},
};
use billing::project;
use domain::{
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    period::Period,
    plan::PlanTerms,
    policy::{Meter, MeterValue, Policy},
    rating::LineKind,
    usage::{MeterKind, Metered, UsageEvent},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{
    Actor, Closed, NewPlan, PlanMeta, StoreError,
    ingest::{Ingested, Position},
    outside::ToldMark,
    reconcile::{Finding, Kind},
};
use uuid::Uuid;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

const KINDS: [(&str, MeterKind); 5] = [
    ("booked", MeterKind::Latest),
    ("tokens", MeterKind::Sum),
    ("users", MeterKind::Unique),
    ("machines", MeterKind::Gauge),
    ("depth", MeterKind::Maximum),
];

/// The shop's product measures these.
pub async fn measuring() -> Shop {
    let shop = Shop::open().await;
    let meter = |(code, kind): (&str, MeterKind)| {
        let value = MeterValue::Header { name: format!("X-{code}") };
        (code.to_owned(), Meter::new(code.to_uppercase(), kind, value))
    };
    let policy = Policy { meters: KINDS.map(meter).into(), ..Policy::default() };
    let now = store::test_db::world::now();
    shop.store.set_product_policy(shop.product, &policy, Actor::System, now).await.expect("a policy");
    shop
}

fn priced(prices: &[(&str, Value)]) -> PlanTerms {
    let price = |(meter, price): &(&str, Value)| json!({ "product": "payments", "meter": meter, "price": price });
    let meters: Vec<Value> = prices.iter().map(price).collect();
    PlanTerms { meters: serde_json::from_value(Value::from(meters)).expect("prices"), ..terms("invoice_items") }
}

/// One call that counts for that much.
pub async fn call(
    shop: &Shop,
    partner: PartnerId,
    when: &str,
    environment: Environment,
    meters: &[(&str, i64, u8)],
) -> Ingested {
    let metered = |(meter, quantity, item): &(&str, i64, u8)| {
        let kind = KINDS.iter().find(|(known, _)| known == meter).expect("it is measured").1;
        Metered { meter: (*meter).to_owned(), kind, quantity: *quantity, item: (*item > 0).then_some([*item; 16]) }
    };
    let event = UsageEvent {
        environment,
        product: Some(shop.product),
        meters: meters.iter().map(metered).collect(),
        ..UsageEvent::new(at(when), partner, AppId(Uuid::from_u128(1)), KeyId(Uuid::from_u128(2)))
    };
    let to = Position { segment: 0, byte_offset: 1, sequence: 1 };
    let node = Uuid::now_v7().to_string();
    shop.store.ingest((node.as_str(), 0, vec![(0, event)]), Position::default(), to, at(when)).await.expect("taken in")
}

#[tokio::test]
async fn a_priced_meter_is_a_line_of_the_invoice_to_the_cent_and_of_the_bill_so_far() {
    let shop = measuring().await;
    let each = |price: &str| json!({ "model": "per_unit", "unit_price": price });
    let tokens = json!({ "model": "per_unit", "included": 1_000, "unit_price": "0.002" });
    let terms = priced(&[("tokens", tokens), ("users", each("0.50")), ("machines", each("0.05"))]);
    let plan = shop.plan("measured", terms).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    use Environment::{Live, Test};
    // Before the period, and the next one's first instant.
    call(&shop, partner, "2026-03-10T08:29:59.999999Z", Live, &[("tokens", 40_000, 0), ("users", 1, 9)]).await;
    call(&shop, partner, "2026-04-10T08:30:00Z", Live, &[("tokens", 40_000, 0), ("users", 1, 8)]).await;
    call(&shop, partner, "2026-03-20T00:00:00Z", Test, &[("tokens", 40_000, 0), ("machines", 70, 1)]).await;
    call(&shop, partner, "2026-03-10T08:30:00Z", Live, &[("tokens", 1_000, 0), ("users", 1, 1), ("depth", 5, 0)]).await;
    call(&shop, partner, "2026-03-30T12:00:00Z", Live, &[("tokens", 503, 0), ("users", 1, 2)]).await;
    call(&shop, partner, "2026-04-10T08:29:59.999999Z", Live, &[("users", 1, 1)]).await;
    // Two machines for three hours, one of them for two hours and a half more.
    call(&shop, partner, "2026-04-01T10:00:00Z", Live, &[("machines", 2, 1)]).await;
    call(&shop, partner, "2026-04-01T13:00:00Z", Live, &[("machines", 1, 1)]).await;
    call(&shop, partner, "2026-04-01T15:30:00Z", Live, &[("machines", 0, 1)]).await;
    let end = at("2026-04-10T08:30:00Z");
    let projected = project(&shop.store, partner, end).await.expect("projects").expect("a plan");
    assert_eq!(
        projected.so_far.charges.iter().filter(|charge| charge.kind == LineKind::Meter).count(),
        2,
        "of the next"
    );
    let just_before = at("2026-04-10T08:29:59.999999Z");
    let projected = project(&shop.store, partner, just_before).await.expect("projects").expect("a plan");

    let made = shop.close(end + hours(1)).await.invoices;
    assert_eq!(made.len(), 1);
    let (invoice, lines) = shop.store.invoice(partner, made[0]).await.expect("an invoice");
    let shown: Vec<_> = lines
        .iter()
        .map(|line| (line.kind, line.description.as_str(), line.quantity, line.free, line.amount.to_string()))
        .collect();
    assert_eq!(
        shown,
        [
            (LineKind::BaseFee, "Base fee", 1, 0, "$49.00".to_owned()),
            // 503 × 0.002 = 1.006.
            (LineKind::Meter, "Payments, TOKENS", 1_503, 1_000, "$1.01".to_owned()),
            (LineKind::Meter, "Payments, USERS", 2, 0, "$1.00".to_owned()),
            // 2 × 3 + 1 × 2.5 = 8.5 hours.
            (LineKind::Meter, "Payments, MACHINES, hours", 8, 0, "$0.40".to_owned()),
            (LineKind::IncludedCredit, "Included credit", 1, 0, "−$2.41".to_owned()),
        ]
    );
    assert_eq!(invoice.total.to_string(), "$49.00");
    assert_eq!(lines[1].product, Some(shop.product));
    assert_eq!(projected.so_far.total, invoice.total, "the dashboard's bill is the invoice");
    assert_eq!(projected.so_far.charges.len(), lines.len());
}

#[tokio::test]
async fn a_meters_line_that_is_not_what_was_measured_is_found_by_partner_and_meter() {
    let shop = measuring().await;
    let each = |price: &str| json!({ "model": "per_unit", "unit_price": price });
    let terms = priced(&[("tokens", each("0.002")), ("users", each("0.50")), ("machines", each("0.05"))]);
    let plan = shop.plan("measured", terms).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    use Environment::{Live, Test};
    // A level from before the period holds into it: 3 machines for 90 minutes of it, then 2 for an hour.
    call(&shop, partner, "2026-03-10T01:00:00Z", Live, &[("machines", 3, 1), ("tokens", 9, 0), ("users", 1, 7)]).await;
    call(&shop, partner, "2026-03-10T10:00:00Z", Live, &[("machines", 2, 1), ("tokens", 700, 0), ("users", 1, 1)])
        .await;
    call(&shop, partner, "2026-03-10T11:00:00Z", Live, &[("machines", 0, 1), ("tokens", 5, 0), ("users", 1, 2)]).await;
    call(&shop, partner, "2026-03-11T11:00:00Z", Live, &[("users", 1, 2), ("depth", 4, 0)]).await;
    call(&shop, partner, "2026-03-11T11:00:00Z", Test, &[("tokens", 4, 0), ("machines", 9, 2)]).await;
    let now = at("2026-04-10T09:30:00Z");
    assert_eq!(shop.close(now).await.invoices.len(), 1);
    let ended = Period { start: at("2026-04-10T08:00:00Z"), end: at("2026-04-10T09:00:00Z") };
    let compare = async || {
        let done = shop.store.reconcile_all(ended, &[Kind::Invoice], now).await.expect("compared");
        let told = |found: &Finding| format!("{} {} -> {}", found.meter, found.expected, found.actual);
        assert!(done.findings.iter().all(|found| found.partner == Some(partner) && found.hour == ended.start));
        let mut found: Vec<String> = done.findings.iter().map(told).collect();
        found.sort();
        (done.compared, found)
    };
    assert_eq!(compare().await, (3, Vec::new()), "705 tokens, 2 users, 6 hours");
    // Come after the close, so that no invoice has them.
    call(&shop, partner, "2026-03-20T11:00:00Z", Live, &[("tokens", 1, 0), ("users", 1, 3), ("machines", 1, 3)]).await;
    // 20 days and 21.5 hours of one machine.
    assert_eq!(compare().await.1, ["machines 508 -> 6", "tokens 706 -> 705", "users 3 -> 2"]);
}

#[tokio::test]
async fn a_plan_that_prices_a_meter_which_cannot_be_billed_is_refused() {
    let shop = measuring().await;
    let free = json!({ "model": "per_unit", "unit_price": "1" });
    for (meter, why) in [("seats", "has no meter seats")] {
        let meta = PlanMeta {
            name: "Refused".to_owned(),
            summary: String::new(),
            position: 0,
            private: false,
            approval: domain::plan::Approval::Automatic,
        };
        let new = NewPlan { code: "refused".to_owned(), meta, terms: priced(&[(meter, free.clone())]) };
        let refused = shop.store.create_plan(&new, Actor::System, store::test_db::world::now()).await;
        assert!(refused.is_err_and(|error| error.to_string().contains(why)), "{meter}");
    }
}

/// Description and amount of each meter's line.
async fn meter_lines(shop: &Shop, partner: PartnerId, ids: &[domain::id::InvoiceId]) -> Vec<(String, i64, String)> {
    let mut shown = Vec::new();
    for id in ids {
        let (_, lines) = shop.store.invoice(partner, *id).await.expect("an invoice");
        let meters = lines.into_iter().filter(|line| line.kind == LineKind::Meter);
        shown.extend(meters.map(|line| (line.description, line.quantity, line.amount.to_string())));
    }
    shown
}

#[tokio::test]
async fn the_largest_and_the_latest_value_of_a_period_have_a_price() {
    let shop = measuring().await;
    let depth = json!({ "model": "per_unit", "included": 2, "unit_price": "0.333" });
    let booked = json!({ "model": "per_unit", "unit_price": "0.105" });
    let plan = shop.plan("measured", priced(&[("depth", depth), ("booked", booked)])).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T08:30:00Z")).await;
    use Environment::{Live, Test};
    call(&shop, partner, "2026-03-10T08:29:59Z", Live, &[("depth", 90, 0), ("booked", 90, 0)]).await;
    call(&shop, partner, "2026-03-11T00:00:00Z", Live, &[("depth", 7, 0), ("booked", 50, 0)]).await;
    call(&shop, partner, "2026-03-12T00:00:00Z", Live, &[("depth", 4, 0), ("booked", 9, 0)]).await;
    call(&shop, partner, "2026-03-13T00:00:00Z", Test, &[("depth", 80, 0), ("booked", 80, 0)]).await;
    let just_before = at("2026-04-10T08:29:59.999999Z");
    let projected = project(&shop.store, partner, just_before).await.expect("projects").expect("a plan");
    let made = shop.close(at("2026-04-10T09:30:00Z")).await.invoices;
    // 5 × 0.333 = 1.665 and 9 × 0.105 = 0.945, each rounded once.
    let line = |label: &str, quantity, amount: &str| (format!("Payments, {label}"), quantity, amount.to_owned());
    assert_eq!(
        meter_lines(&shop, partner, &made).await,
        [line("DEPTH, the largest", 7, "$1.67"), line("BOOKED, the latest", 9, "$0.95")]
    );
    let (invoice, _) = shop.store.invoice(partner, made[0]).await.expect("an invoice");
    assert_eq!((projected.so_far.total, projected.estimate.total), (invoice.total, invoice.total));
    // The period after it has neither: nothing was said in it.
    let made = shop.close(at("2026-05-10T09:30:00Z")).await.invoices;
    assert_eq!(meter_lines(&shop, partner, &made).await, []);
    no_finding(&shop, "2026-05-10T10:00:00Z").await;
    // Come after the close, so that the bill has neither.
    call(&shop, partner, "2026-03-14T00:00:00Z", Live, &[("depth", 100, 0), ("booked", 3, 0)]).await;
    let range = Period { start: at("2026-03-01T00:00:00Z"), end: at("2026-06-01T00:00:00Z") };
    let found = shop.store.reconcile_all(range, &[Kind::Invoice], at("2026-05-10T11:00:00Z")).await.expect("compared");
    let mut found: Vec<_> =
        found.findings.iter().map(|found| format!("{} {} -> {}", found.meter, found.expected, found.actual)).collect();
    found.sort();
    assert_eq!(found, ["booked 3 -> 9", "depth 100 -> 7"]);
}

/// Units at a dollar each, and what else.
fn a_dollar_each(minimum_micros: i64, tokens: &Value) -> PlanTerms {
    let terms = json!({
        "currency": "USD", "products": [{ "product": "payments" }], "collect": "invoice_items",
        "minimum_micros": minimum_micros, "price": { "model": "per_unit", "unit_price": "1" },
        "meters": [{ "product": "payments", "meter": "tokens", "price": tokens }],
    });
    serde_json::from_value(terms).expect("terms")
}

#[tokio::test]
async fn late_units_are_rated_beside_the_meters_that_the_bill_has_and_not_beside_those_that_came_since() {
    let shop = measuring().await;
    let plan = shop.plan("least", a_dollar_each(50_000_000, &json!({ "model": "per_unit", "unit_price": "1" }))).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 10)]).await;
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(&shop, partner, first[0]).await, (vec![], "$50.00".to_owned()));

    let late = (at("2026-03-12T00:00:00Z"), at("2026-04-11T00:00:00Z"));
    shop.handed_over(partner, late, Environment::Live, &[(1, 1)]).await;
    let taken = call(&shop, partner, "2026-03-12T00:00:00Z", Environment::Live, &[("tokens", 60, 0)]).await;
    assert_eq!(taken.late_meters, 1, "nobody is to believe that it is billed");
    for unpriced in [("depth", 60, 0), ("users", 1, 1)] {
        let taken = call(&shop, partner, "2026-03-12T00:00:00Z", Environment::Live, &[unpriced]).await;
        assert_eq!(taken.late_meters, 0, "the plan has no price for it");
    }
    let taken = call(&shop, partner, "2026-03-12T00:00:00Z", Environment::Test, &[("tokens", 60, 0)]).await;
    assert_eq!(taken.late_meters, 0, "test calls cost nothing");
    let taken = call(&shop, partner, "2026-04-12T00:00:00Z", Environment::Live, &[("tokens", 2, 0)]).await;
    assert_eq!(taken.late_meters, 0, "its period is open");

    // 11 units are below the minimum as 10 were.
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let (lines, total) = adjusted(&shop, partner, second[0]).await;
    let amounts: Vec<_> = lines.iter().map(|line| line.3.as_str()).collect();
    assert_eq!((amounts, total.as_str()), (vec!["$1.00", "−$1.00"], "$50.00"), "{lines:?}");
}

#[tokio::test]
async fn a_percentage_of_a_closed_period_keeps_the_calls_that_its_bill_counted() {
    let shop = measuring().await;
    let tokens = json!({ "model": "percentage", "unit_value": "1", "percent": "10", "fixed": "5" });
    let plan = shop.plan("share", a_dollar_each(35_000_000, &tokens)).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    shop.live(partner, at("2026-03-11T00:00:00Z"), &[(1, 3)]).await;
    for _ in 0..2 {
        call(&shop, partner, "2026-03-11T00:00:00Z", Environment::Live, &[("tokens", 100, 0)]).await;
    }
    // 3 and 20 + 10, and 2 to the minimum.
    let first = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    assert_eq!(adjusted(&shop, partner, first[0]).await, (vec![], "$35.00".to_owned()));
    let late = (at("2026-03-12T00:00:00Z"), at("2026-04-11T00:00:00Z"));
    shop.handed_over(partner, late, Environment::Live, &[(1, 5)]).await;
    call(&shop, partner, "2026-03-12T00:00:00Z", Environment::Live, &[("tokens", 100, 0)]).await;
    // 8 and 30, and nothing to the minimum.
    let second = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    let (lines, total) = adjusted(&shop, partner, second[0]).await;
    let amounts: Vec<_> = lines.iter().map(|line| line.3.as_str()).collect();
    assert_eq!((amounts, total.as_str()), (vec!["$5.00", "−$2.00"], "$38.00"), "{lines:?}");
}

#[tokio::test]
async fn what_is_measured_between_the_reading_and_the_closing_of_a_period_makes_the_bill_anew() {
    let shop = measuring().await;
    let each = json!({ "model": "per_unit", "unit_price": "1" });
    let plan = shop.plan("measured", priced(&[("tokens", each)])).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:30:00Z")).await;
    let march = Period { start: at("2026-03-10T00:30:00Z"), end: at("2026-04-10T00:30:00Z") };
    let subscription = shop.store.open_subscription(partner).await.expect("one").expect("a subscription").id;
    let now = at("2026-04-10T02:00:00Z");
    // In whole hours, and in the last one, which is cut.
    for when in ["2026-03-12T00:00:00Z", "2026-04-10T00:29:59Z"] {
        let metered = shop.store.metered_calls(partner, march).await.expect("a number");
        let mark = shop.store.outside_mark(partner).await.expect("a mark");
        let mark = ToldMark { metered: Some(metered), ..mark };
        call(&shop, partner, "2026-04-10T00:30:00Z", Environment::Live, &[("tokens", 7, 0)]).await;
        assert_eq!(shop.store.metered_calls(partner, march).await.expect("a number"), metered, "of the next period");
        call(&shop, partner, when, Environment::Live, &[("tokens", 7, 0)]).await;
        let closed = shop.store.close_billing_period(partner, subscription, march, (None, mark), now).await;
        assert_eq!(closed.expect("an answer"), Closed::Changed, "an empty bill would lose the tokens of {when}");
    }
    let made = shop.close(now).await.invoices;
    let line = ("Payments, TOKENS".to_owned(), 14, "$14.00".to_owned());
    assert_eq!(meter_lines(&shop, partner, &made).await, [line]);
}

#[tokio::test]
async fn what_is_different_counts_once_in_a_period_whose_plan_changes() {
    let shop = measuring().await;
    let each = |price: &str| json!({ "model": "per_unit", "unit_price": price });
    let first = shop.plan("first", priced(&[("users", each("1"))])).await;
    let second = shop.plan("second", priced(&[("users", each("2"))])).await;
    let without = shop.plan("without", priced(&[])).await;
    let partner = shop.partner("acme", first, at("2026-03-10T00:00:00Z")).await;
    let seen = async |when: &str, who: u8| {
        call(&shop, partner, when, Environment::Live, &[("users", 1, who)]).await;
    };
    let change = async |plan, when: &str| {
        shop.store.assign_plan_version(partner, plan, Actor::System, at(when)).await.expect("another plan");
    };
    for who in [1, 2, 3] {
        seen("2026-03-12T00:00:00Z", who).await;
    }
    change(second, "2026-03-20T00:00:00Z").await;
    for who in [2, 3, 4] {
        seen("2026-03-21T00:00:00Z", who).await;
    }
    change(without, "2026-03-25T00:00:00Z").await;
    seen("2026-03-26T00:00:00Z", 5).await;
    change(first, "2026-03-28T00:00:00Z").await;
    for who in [1, 5] {
        seen("2026-03-29T00:00:00Z", who).await;
    }
    let made = shop.close(at("2026-04-10T01:00:00Z")).await.invoices;
    let line = |quantity, amount: &str| ("Payments, USERS".to_owned(), quantity, amount.to_owned());
    // The second plan counts the fourth user only; behind the plan without a price everybody counts again.
    let expected = [line(3, "$3.00"), line(1, "$2.00"), line(2, "$2.00")];
    assert_eq!(meter_lines(&shop, partner, &made).await, expected);
    // And in the next period.
    seen("2026-04-11T00:00:00Z", 1).await;
    let made = shop.close(at("2026-05-10T01:00:00Z")).await.invoices;
    assert_eq!(meter_lines(&shop, partner, &made).await, [line(1, "$1.00")]);
    no_finding(&shop, "2026-05-10T02:00:00Z").await;
}

#[tokio::test]
async fn a_meter_that_a_plan_prices_stays_as_it_is_while_somebody_is_billed_for_it() {
    let shop = measuring().await;
    let each = json!({ "model": "per_unit", "unit_price": "1" });
    let plan = shop.plan("measured", priced(&[("users", each)])).await;
    let partner = shop.partner("acme", plan, at("2026-03-10T00:00:00Z")).await;
    let held = shop.store.product(shop.product).await.expect("a product").policy;
    let mut without = held.clone();
    without.meters.remove("users");
    let mut otherwise = held.clone();
    otherwise.meters.get_mut("users").expect("a meter").kind = MeterKind::Sum;
    let now = at("2026-03-20T00:00:00Z");
    let set = async |policy: &Policy| {
        let outcome = shop.store.set_product_policy(shop.product, policy, Actor::System, now).await;
        outcome.map_err(|error| error.to_string())
    };
    let refused = async |why: &str| {
        for (policy, did) in [(&without, "be taken away"), (&otherwise, "become a sum")] {
            let message = set(policy).await.expect_err("a plan prices it");
            assert!(
                message.contains("measured, version 1") && message.contains(did) && message.contains(why),
                "{message}"
            );
        }
    };
    refused("Make a version of the plan").await;
    // What no plan prices goes, and a name is no kind.
    let mut others = held.clone();
    others.meters.retain(|code, _| code == "users");
    others.meters.get_mut("users").expect("a meter").name = "People".to_owned();
    set(&others).await.expect("nobody is billed for the rest");
    set(&held).await.expect("and back");

    let id = shop.store.find_plan_by_code("measured").await.expect("an answer").expect("the plan").id;
    shop.store.add_plan_version(id, &priced(&[]), Actor::System, now).await.expect("a version");
    refused("Move the partners").await;
    let newest = shop.store.plan(id).await.expect("a plan").versions[0].id;
    shop.store.assign_plan_version(partner, newest, Actor::System, now).await.expect("moved");
    refused("Move the partners").await;
    shop.close(at("2026-04-10T01:00:00Z")).await;
    set(&otherwise).await.expect("all of it is billed");
    set(&without).await.expect("all of it is billed");

    // Nor comes the price back without its meter.
    let gone = async |outcome: Result<(), StoreError>| {
        let message = outcome.expect_err("the meter is gone").to_string();
        assert!(message.contains("payments has no meter users") && message.contains("a new version"), "{message}");
    };
    let later = at("2026-04-11T00:00:00Z");
    gone(shop.store.assign_plan_version(partner, plan, Actor::System, later).await.map(drop)).await;
    let sold = shop.store.plan(id).await.expect("a plan");
    shop.store.archive_plan(id, Actor::System, later).await.expect("archived");
    shop.store.restore_plan(id, Actor::System, later).await.expect("its newest version prices nothing");
    set(&held).await.expect("the meter is back");
    let terms = sold.versions.last().expect("the first").terms.clone();
    shop.store.add_plan_version(id, &terms, Actor::System, later).await.expect("a version");
    shop.store.archive_plan(id, Actor::System, later).await.expect("archived");
    set(&without).await.expect("nobody is billed for it");
    gone(shop.store.restore_plan(id, Actor::System, later).await).await;
    assert!(shop.store.plan(id).await.expect("a plan").archived_at.is_some(), "nothing of it is done");
}
