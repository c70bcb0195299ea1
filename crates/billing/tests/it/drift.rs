//! The drift report finds each field that Stripe holds otherwise, names it, and changes nothing there.

use crate::shop::{Shop, days, list, terms};
use billing::drift::{compare, write_asked};
use domain::id::{OperatorId, PartnerId};
use serde_json::{Value, json};
use store::{
    Actor,
    stripe_drift::{DriftFilter, DriftKind, ListedDrift},
};
use uuid::Uuid;

pub const OPERATOR: Actor = Actor::Operator(OperatorId(Uuid::from_u128(9)));

/// A partner with a plan that Stripe rates, of whom Stripe holds everything as we do.
pub async fn agreeing(shop: &Shop) -> PartnerId {
    let now = shop.now().await;
    let plan = shop.plan("starter", terms("meter_events")).await;
    let partner = shop.partner("acme", plan, now - days(32)).await;
    shop.reconcile().await;
    // The product is made before the price that names it.
    for kind in [DriftKind::Meter, DriftKind::Product, DriftKind::Price] {
        compared(shop).await;
        for found in drift(shop).await.into_iter().filter(|one| one.drift.kind == kind) {
            assert_eq!((found.drift.field.as_str(), found.drift.theirs.as_str()), ("object", "not there"));
            shop.store.ask_to_write_stripe_drift(found.id, OPERATOR, now).await.expect("asked");
        }
        write_asked(&shop.store, &shop.stripe, now).await.expect("written");
    }
    assert_eq!(compared(shop).await, 0, "{:?}", drift(shop).await);
    partner
}

pub async fn compared(shop: &Shop) -> u64 {
    compare(&shop.store, &shop.stripe, shop.now().await).await.expect("compared")
}

pub async fn drift(shop: &Shop) -> Vec<ListedDrift> {
    shop.store.all_partners_stripe_drift(&DriftFilter::default(), None, 200).await.expect("a list").items
}

/// The only object of a kind that Stripe holds.
pub async fn held(shop: &Shop, kind: &str) -> Value {
    let state = shop.state().await;
    let [one] = list(&state, kind) else { panic!("not one of {kind}: {state}") };
    one.clone()
}

/// Somebody changes fields of an object in Stripe's own pages.
pub async fn change(shop: &Shop, kind: &str, id: &Value, set: &Value) {
    shop.control("change", json!({ "kind": kind, "id": id, "set": set })).await;
}

/// Each field of ours that Stripe holds, by hand: kind, how it is called in the list, what somebody sets over there, and what the list then
/// says that Stripe has.
fn fields() -> Vec<(&'static str, &'static str, Value, &'static str)> {
    vec![
        ("customers", "name", json!({ "name": "Akme" }), "Akme"),
        ("customers", "email", json!({ "email": "x@acme.example" }), "x@acme.example"),
        ("customers", "email", json!({ "email": null }), ""),
        ("customers", "metadata[turnpike_partner]", json!({ "metadata": {} }), ""),
        ("products", "name", json!({ "name": "Payment" }), "Payment"),
        ("products", "active", json!({ "active": false }), "false"),
        ("products", "metadata[turnpike_product]", json!({ "metadata": { "turnpike_product": "x" } }), "x"),
        ("prices", "active", json!({ "active": false }), "false"),
        ("prices", "nickname", json!({ "nickname": null }), ""),
        ("prices", "currency", json!({ "currency": "eur" }), "eur"),
        ("prices", "product", json!({ "product": "prod_other" }), "prod_other"),
        ("prices", "recurring[interval]", recurring("interval", "year"), "year"),
        ("prices", "recurring[interval_count]", recurring("interval_count", 2), "2"),
        ("prices", "recurring[usage_type]", recurring("usage_type", "licensed"), "licensed"),
        ("prices", "recurring[meter]", recurring("meter", "mtr_other"), "mtr_other"),
        ("prices", "billing_scheme", json!({ "billing_scheme": "per_unit" }), "per_unit"),
        ("prices", "unit_amount_decimal", json!({ "unit_amount_decimal": "7" }), "7"),
        ("prices", "tiers_mode", json!({ "tiers_mode": "volume" }), "volume"),
        (
            "prices",
            "tiers",
            json!({ "tiers": [tier(Some(1000), "0", None), tier(None, "0.6", None)] }),
            "1000: 0; inf: 0.6",
        ),
        (
            "prices",
            "tiers",
            json!({ "tiers": [tier(Some(1000), "0", Some("9")), tier(None, "0.5", None)] }),
            "1000: 0 and 9; inf: 0.5",
        ),
        (
            "prices",
            "transform_quantity",
            json!({ "transform_quantity": { "divide_by": 10, "round": "down" } }),
            "10 down",
        ),
        ("prices", "metadata[turnpike_plan]", json!({ "metadata": {} }), ""),
        ("meters", "status", json!({ "status": "inactive" }), "inactive"),
        ("meters", "display_name", json!({ "display_name": "Calls" }), "Calls"),
        ("meters", "default_aggregation[formula]", json!({ "default_aggregation": { "formula": "count" } }), "count"),
        ("meters", "customer_mapping[type]", mapping("by_name", "stripe_customer_id"), "by_name"),
        ("meters", "customer_mapping[event_payload_key]", mapping("by_id", "whose"), "whose"),
        ("meters", "value_settings[event_payload_key]", json!({ "value_settings": { "event_payload_key": "n" } }), "n"),
    ]
}

fn tier(up_to: Option<u64>, unit: &str, flat: Option<&str>) -> Value {
    json!({ "up_to": up_to, "unit_amount_decimal": unit, "flat_amount_decimal": flat })
}

fn mapping(kind: &str, key: &str) -> Value {
    json!({ "customer_mapping": { "type": kind, "event_payload_key": key } })
}

/// One field of what `recurring` says is set; the test fills in the others.
fn recurring(name: &str, value: impl Into<Value>) -> Value {
    json!({ "recurring": { name: value.into() } })
}

#[tokio::test]
async fn each_field_that_somebody_changes_at_stripe_is_found_by_its_name_with_both_values() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let before = shop.stand_in.control("GET", "count", Value::Null).await.expect("a count");
    for (kind, field, mut set, theirs) in fields() {
        let as_it_was = held(&shop, kind).await;
        if let Some(some) = set["recurring"].as_object().cloned() {
            let mut whole = as_it_was["recurring"].clone();
            some.into_iter().for_each(|(name, value)| whole[name] = value);
            set["recurring"] = whole;
        }
        change(&shop, kind, &as_it_was["id"], &set).await;
        assert_eq!(compared(&shop).await, 1, "{kind} {field}: {:?}", drift(&shop).await);
        let found = drift(&shop).await.remove(0);
        assert_eq!((found.drift.field.as_str(), found.drift.theirs.as_str()), (field, theirs), "{kind}");
        assert_eq!(format!("{}s", found.drift.kind.code()), kind);
        assert_eq!(found.drift.stripe_id, as_it_was["id"]);
        assert_ne!(found.drift.ours, theirs);
        change(&shop, kind, &as_it_was["id"], &as_it_was).await;
        assert_eq!(compared(&shop).await, 0, "{kind} {field}");
    }
    let requests = shop.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
    let begun = usize::try_from(before["requests"].as_u64().expect("a count")).expect("few");
    let asked = &requests.as_array().expect("a log")[begun..];
    assert!(!asked.is_empty() && asked.iter().all(|one| one["method"] == "GET"), "a comparison only reads");
    shop.keep_requests("drift").await;
}

#[tokio::test]
async fn what_is_deleted_or_there_twice_is_named() {
    let shop = Shop::open().await;
    let partner = agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    let twin = [("name", "acme"), ("metadata[turnpike_partner]", &partner.to_string())];
    let twin = twin.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let twin = shop.stripe.create("/v1/customers", &twin, "twin").await.expect("made");
    compared(&shop).await;
    let found = drift(&shop).await.remove(0);
    assert_eq!((found.drift.field.as_str(), found.drift.theirs.as_str()), ("only", format!("also {twin}").as_str()));
    assert_eq!(found.drift.ours, customer["id"]);
    assert_eq!((found.drift.partner, found.partner_name.as_str()), (Some(partner), "acme"));

    change(&shop, "customers", &json!(twin), &json!({ "deleted": true, "metadata": {} })).await;
    change(&shop, "customers", &customer["id"], &json!({ "deleted": true })).await;
    let product = held(&shop, "products").await;
    change(&shop, "products", &product["id"], &json!({ "deleted": true })).await;
    let price = held(&shop, "prices").await;
    change(&shop, "prices", &price["id"], &json!({ "lookup_key": null })).await;
    compared(&shop).await;
    let mut named: Vec<_> = drift(&shop)
        .await
        .into_iter()
        .map(|one| (one.drift.kind.code(), one.drift.field, one.drift.theirs, one.drift.stripe_id))
        .collect();
    named.sort();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = "object".to_owned();
    assert_eq!(
        named,
        [
            ("customer", object.clone(), "deleted".to_owned(), text(&customer["id"])),
            ("price", object.clone(), "not there".to_owned(), String::new()),
            ("product", object, "not there".to_owned(), String::new()),
        ]
    );
}

#[tokio::test]
async fn plans_that_we_rate_ourselves_need_nothing_there_and_old_versions_only_as_long_as_somebody_is_on_them() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let plan = shop.plan("ours", terms("invoice_items")).await;
    shop.partner("acme", plan, now - days(2)).await;
    assert_eq!(compared(&shop).await, 0);
    let rated = shop.plan("theirs", terms("meter_events")).await;
    shop.partner("beta", rated, now - days(2)).await;
    let id = shop.store.find_plan_by_code("theirs").await.expect("asked").expect("a plan").id;
    let mut dearer = terms("meter_events");
    dearer.base_fee_micros += 1_000_000;
    shop.store.add_plan_version(id, &dearer, OPERATOR, now).await.expect("a version");
    compared(&shop).await;
    let prices: Vec<_> = drift(&shop)
        .await
        .into_iter()
        .filter(|one| one.drift.kind == DriftKind::Price)
        .map(|one| one.drift.object)
        .collect();
    assert_eq!(prices.len(), 2, "{prices:?}");
    assert!(prices.contains(&"turnpike_theirs_1_payments".to_owned()), "{prices:?}");
    shop.store.archive_plan(id, OPERATOR, now).await.expect("archived");
    compared(&shop).await;
    let left: Vec<_> = drift(&shop).await.into_iter().filter(|one| one.drift.kind == DriftKind::Price).collect();
    assert_eq!(left.len(), 1, "only the version that somebody is on");
}

#[tokio::test]
async fn while_stripe_is_down_the_last_list_stays() {
    let shop = Shop::open().await;
    agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    change(&shop, "customers", &customer["id"], &json!({ "name": "Akme" })).await;
    compared(&shop).await;
    shop.control("faults", json!({ "down": true })).await;
    let now = shop.now().await;
    assert!(compare(&shop.store, &shop.stripe, now).await.is_err());
    assert_eq!(drift(&shop).await.len(), 1);
}

#[tokio::test]
async fn an_account_with_more_customers_than_a_list_takes_whole_is_compared() {
    let shop = Shop::open().await;
    let partner = agreeing(&shop).await;
    let customer = held(&shop, "customers").await;
    // Newest first: ours is on the last page of them.
    shop.control("crowd", json!({ "customers": 20_100 })).await;
    change(&shop, "customers", &customer["id"], &json!({ "name": "Akme" })).await;
    let twin = [("metadata[turnpike_partner]".to_owned(), partner.to_string())];
    let twin = shop.stripe.create("/v1/customers", &twin.to_vec(), "twin").await.expect("made");
    assert_eq!(compared(&shop).await, 2);
    let mut found: Vec<_> = drift(&shop).await.into_iter().map(|one| (one.drift.field, one.drift.theirs)).collect();
    found.sort();
    assert_eq!(found, [("name".to_owned(), "Akme".to_owned()), ("only".to_owned(), format!("also {twin}"))]);
}

#[tokio::test]
async fn a_price_is_known_by_the_lookup_key_that_it_was_made_with_if_it_is_that_plans() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    shop.plan("big-one", terms("meter_events")).await;
    for _ in 0..3 {
        compared(&shop).await;
        for found in drift(&shop).await {
            shop.store.ask_to_write_stripe_drift(found.id, OPERATOR, now).await.expect("asked");
        }
        write_asked(&shop.store, &shop.stripe, now).await.expect("written");
    }
    assert_eq!(compared(&shop).await, 0, "{:?}", drift(&shop).await);
    let price = held(&shop, "prices").await;
    assert_eq!(price["lookup_key"], "turnpike_big-one_1_payments");
    change(&shop, "prices", &price["id"], &json!({ "lookup_key": "turnpike_big_one_1_payments" })).await;
    assert_eq!(compared(&shop).await, 0, "as versions before made it");
    let another = json!({ "turnpike_plan": "big 1" });
    change(&shop, "prices", &price["id"], &json!({ "metadata": another })).await;
    compared(&shop).await;
    let found = drift(&shop).await.remove(0);
    assert_eq!((found.drift.field.as_str(), found.drift.theirs.as_str()), ("object", "not there"), "it is another's");
}
