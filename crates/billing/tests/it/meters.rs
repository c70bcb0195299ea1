//! Meters besides units that the plan has a price for.

use crate::shop::{Shop, hours, terms};
use billing::project;
use domain::{
    id::{AppId, KeyId, PartnerId},
    key_text::Environment,
    plan::PlanTerms,
    policy::{Meter, MeterValue, Policy},
    rating::LineKind,
    usage::{MeterKind, Metered, UsageEvent},
};
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Actor, NewPlan, PlanMeta, ingest::Position};
use uuid::Uuid;

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

const KINDS: [(&str, MeterKind); 4] = [
    ("tokens", MeterKind::Sum),
    ("users", MeterKind::Unique),
    ("machines", MeterKind::Gauge),
    ("depth", MeterKind::Maximum),
];

/// The shop's product measures these.
async fn measuring() -> Shop {
    let shop = Shop::open().await;
    let meter = |(code, kind): (&str, MeterKind)| {
        let value = MeterValue::Header { name: format!("X-{code}") };
        let (unit, operations) = (String::new(), Default::default());
        (code.to_owned(), Meter { name: code.to_uppercase(), unit, kind, value, resource: None, operations })
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
async fn call(shop: &Shop, partner: PartnerId, when: &str, environment: Environment, meters: &[(&str, i64, u8)]) {
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
    shop.store.ingest(&node, 0, vec![(0, event)], Position::default(), to, at(when)).await.expect("taken in");
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
            (LineKind::Meter, "payments, TOKENS", 1_503, 1_000, "$1.01".to_owned()),
            (LineKind::Meter, "payments, USERS", 2, 0, "$1.00".to_owned()),
            // 2 × 3 + 1 × 2.5 = 8.5 hours.
            (LineKind::Meter, "payments, MACHINES, hours", 8, 0, "$0.40".to_owned()),
            (LineKind::IncludedCredit, "Included credit", 1, 0, "−$2.41".to_owned()),
        ]
    );
    assert_eq!(invoice.total.to_string(), "$49.00");
    assert_eq!(lines[1].product, Some(shop.product));
    assert_eq!(projected.so_far.total, invoice.total, "the dashboard's bill is the invoice");
    assert_eq!(projected.so_far.charges.len(), lines.len());
}

#[tokio::test]
async fn a_plan_that_prices_a_meter_which_cannot_be_billed_is_refused() {
    let shop = measuring().await;
    let free = json!({ "model": "per_unit", "unit_price": "1" });
    for (meter, why) in [("depth", "can have no price"), ("seats", "has no meter seats")] {
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
