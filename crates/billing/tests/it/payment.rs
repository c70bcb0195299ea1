//! What comes back from pages of Stripe's is applied once, in any order, and only what Stripe itself says.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    apply_pending_webhooks,
    payment::{Desk, StripePages, open_checkout, open_portal},
};
use domain::{
    id::{CheckoutId, MemberId, PartnerId},
    money::Currency,
};
use serde_json::json;
use store::{Actor, payment_methods::CheckoutState};
use uuid::Uuid;

const WHO: Actor = Actor::Member(MemberId(Uuid::from_u128(7)));
const BACK: &str = "https://portal.example/plan";

async fn opened(shop: &Shop, partner: PartnerId) -> (CheckoutId, String) {
    let now = shop.now().await;
    let who = (partner, Actor::System);
    let page = open_checkout(&shop.store, &shop.stripe, &StripePages::usual(), who, (Currency::Usd, BACK), now).await;
    let page = page.expect("opened");
    assert!(page.url().starts_with("https://checkout.stripe.com/"), "{page:?}");
    let state = shop.state().await;
    let session = list(&state, "checkout_sessions").last().expect("a session").clone();
    let own = session["metadata"]["turnpike_checkout"].as_str().expect("ours").to_owned();
    assert_eq!(session["success_url"], format!("{BACK}?checkout={own}"));
    assert_eq!((&session["mode"], &session["cancel_url"]), (&json!("setup"), &json!(BACK)));
    (own.parse().expect("an identifier"), session["id"].as_str().expect("an id").to_owned())
}

/// The events of that kind are posted as they stand, newest first or not.
async fn post(shop: &Shop, kinds: &[&str], reversed: bool) {
    shop.told(|event| kinds.iter().any(|kind| event["type"] == *kind), 1, reversed).await;
}

async fn state(shop: &Shop, partner: PartnerId, id: CheckoutId) -> CheckoutState {
    shop.store.checkout(partner, id).await.expect("ours").state
}

const ALL: [&str; 3] = ["payment_method.attached", "checkout.session.completed", "payment_method.detached"];

#[tokio::test]
async fn a_payment_method_is_on_file_once_stripe_says_so_in_whatever_order() {
    for reversed in [false, true] {
        let shop = Shop::open().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, shop.now().await - days(1)).await;
        let (id, session) = opened(&shop, partner).await;
        // Whoever comes back without having left anything, and a forged event of it, change nothing.
        let now = shop.now().await;
        let forged = json!({ "id": "evt_x", "type": "checkout.session.completed", "livemode": false, "data": { "object": {
            "id": session, "object": "checkout.session", "status": "complete", "metadata": { "turnpike_checkout": id } } } });
        shop.store.keep_stripe_event("evt_x", "checkout.session.completed", &forged, now).await.expect("kept");
        apply_pending_webhooks(shop.desk(), now).await.expect("applied");
        assert_eq!(state(&shop, partner, id).await, CheckoutState::Open);
        assert_eq!(shop.store.payment_method(partner).await.expect("asked"), None);

        shop.on_page(&session, "complete").await;
        assert_eq!(shop.store.payment_method(partner).await.expect("asked"), None, "not before the webhook");
        for _ in 0..2 {
            post(&shop, &ALL, reversed).await;
        }
        assert_eq!(state(&shop, partner, id).await, CheckoutState::Complete);
        let held = shop.state().await;
        let method = list(&held, "payment_methods")[0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(shop.store.payment_method(partner).await.expect("asked"), Some(method.clone()));
        assert_eq!(list(&held, "customers")[0]["invoice_settings"]["default_payment_method"], method.as_str());
        let log = shop.store.audit_page(partner, None, 50).await.expect("a page").items;
        assert_eq!(log.iter().filter(|entry| entry.action == "payment_method.note").count(), 1, "once");

        shop.stripe.create(&format!("/v1/payment_methods/{method}/detach"), &Vec::new(), "d").await.expect("detached");
        post(&shop, &ALL, reversed).await;
        assert_eq!(shop.store.payment_method(partner).await.expect("asked"), None);
        assert_eq!(state(&shop, partner, id).await, CheckoutState::Complete, "what came back stays what it was");
    }
}

#[tokio::test]
async fn a_lost_webhook_is_made_good_within_the_hour_and_an_expired_page_keeps_nothing() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, shop.now().await - days(1)).await;
    let (first, session) = opened(&shop, partner).await;
    shop.on_page(&session, "expire").await;
    let (second, session) = opened(&shop, partner).await;
    shop.on_page(&session, "complete").await;
    shop.reconcile().await;
    assert_eq!(state(&shop, partner, second).await, CheckoutState::Open, "webhooks are waited for");
    shop.advance(hours(2)).await;
    shop.reconcile().await;
    assert_eq!(state(&shop, partner, first).await, CheckoutState::Expired);
    assert_eq!(state(&shop, partner, second).await, CheckoutState::Complete);
    assert!(shop.store.payment_method(partner).await.expect("asked").is_some());
    shop.keep_requests("payment").await;
}

#[tokio::test]
async fn another_session_cannot_stand_for_ours_and_another_partner_sees_nothing_of_it() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let since = shop.now().await - days(1);
    let (acme, other) = (shop.partner("acme", plan, since).await, shop.partner("other", plan, since).await);
    let (id, _) = opened(&shop, acme).await;
    let (_, theirs) = opened(&shop, other).await;
    shop.on_page(&theirs, "complete").await;
    let now = shop.now().await;
    // An event that names our page with a session that is another's.
    let mixed = json!({ "id": "evt_x", "type": "checkout.session.completed", "livemode": false, "data": { "object": {
        "id": theirs, "object": "checkout.session", "metadata": { "turnpike_checkout": id } } } });
    shop.store.keep_stripe_event("evt_x", "checkout.session.completed", &mixed, now).await.expect("kept");
    apply_pending_webhooks(shop.desk(), now).await.expect("applied");
    assert_eq!(state(&shop, acme, id).await, CheckoutState::Open);
    assert_eq!(shop.store.payment_method(acme).await.expect("asked"), None);
    assert!(shop.store.checkout(other, id).await.is_err());
}

#[tokio::test]
async fn invoices_of_a_plan_that_asks_for_a_payment_method_are_charged_and_others_are_sent() {
    let shop = Shop::open().await;
    let now = shop.now().await;
    let version = shop.plan("starter", terms("invoice_items")).await;
    let asking = shop.store.find_plan_by_code("starter").await.expect("asked").expect("a plan").id;
    shop.store.set_asks_for_payment_method(asking, true, Actor::System, now).await.expect("set");
    assert!(shop.store.asks_for_payment_method(asking).await.expect("asked"));
    let (with, without) =
        (shop.partner("with", version, now - days(32)).await, shop.partner("without", version, now - days(32)).await);
    let (_, session) = opened(&shop, with).await;
    shop.on_page(&session, "complete").await;
    post(&shop, &ALL, false).await;
    shop.close(now).await;
    assert_eq!(shop.reconcile().await.pushed.len(), 2);
    for (partner, method) in [(with, "charge_automatically"), (without, "send_invoice")] {
        let invoice = shop.store.invoices(partner).await.expect("invoices")[0].id;
        assert_eq!(shop.at_stripe(invoice).await.0["collection_method"], method);
    }
    shop.keep_requests("charged").await;
}

#[tokio::test]
async fn the_portal_lets_a_partner_into_its_own_customer_and_only_on_stripes_host() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let now = shop.now().await;
    let partner = shop.partner("acme", plan, now - days(1)).await;
    let open =
        async |pages: &StripePages| open_portal(&shop.store, &shop.stripe, pages, (partner, WHO), BACK, now).await;
    let page = open(&StripePages::usual()).await.expect("opened");
    assert!(page.url().starts_with("https://billing.stripe.com/"), "{page:?}");
    let state = shop.state().await;
    let [customer] = list(&state, "customers") else { panic!("not one") };
    assert_eq!(customer["metadata"]["turnpike_partner"], partner.to_string());
    let elsewhere = StripePages::new(["https://pay.acme.example".to_owned()]).expect("an origin");
    assert!(open(&elsewhere).await.expect_err("refused").to_string().contains("TURNPIKE_STRIPE_PAGES"));
    let log = shop.store.audit_page(partner, None, 50).await.expect("a page").items;
    let opened: Vec<_> = log.iter().filter(|entry| entry.action == "payment_portal.open").collect();
    assert_eq!(opened.len(), 1, "once, and not where nobody was let in");
    assert_eq!((opened[0].actor_kind.as_str(), &json!(opened[0].subject)), ("member", &customer["id"]));
    shop.keep_requests("portal").await;
}

#[tokio::test]
async fn a_payment_method_that_went_without_a_word_is_missed_within_a_day() {
    for deleted in [false, true] {
        let shop = Shop::open().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, shop.now().await - days(1)).await;
        let (_, session) = opened(&shop, partner).await;
        shop.on_page(&session, "complete").await;
        post(&shop, &ALL, false).await;
        assert!(shop.store.payment_method(partner).await.expect("asked").is_some());
        // No webhook tells of it.
        let state = shop.state().await;
        if deleted {
            let customer = list(&state, "customers")[0]["id"].clone();
            shop.control("change", json!({ "kind": "customers", "id": customer, "set": { "deleted": true } })).await;
        } else {
            let method = list(&state, "payment_methods")[0]["id"].as_str().expect("an id");
            shop.stripe.create(&format!("/v1/payment_methods/{method}/detach"), &Vec::new(), "d").await.expect("gone");
        }
        shop.advance(hours(23)).await;
        shop.reconcile().await;
        assert!(shop.store.payment_method(partner).await.expect("asked").is_some(), "not asked about all the time");
        shop.advance(hours(2)).await;
        shop.reconcile().await;
        assert_eq!(shop.store.payment_method(partner).await.expect("asked"), None, "deleted: {deleted}");
        let log = shop.store.audit_page(partner, None, 50).await.expect("a page").items;
        assert_eq!(log.iter().filter(|entry| entry.action == "payment_method.gone").count(), 1);
    }
}

#[tokio::test]
async fn a_deleted_customer_has_no_payment_method_as_soon_as_its_webhook_comes() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, shop.now().await - days(1)).await;
    let (_, session) = opened(&shop, partner).await;
    shop.on_page(&session, "complete").await;
    post(&shop, &ALL, false).await;
    let customer = list(&shop.state().await, "customers")[0].clone();
    let told =
        json!({ "id": "evt_deleted", "type": "customer.deleted", "livemode": false, "data": { "object": customer } });
    let now = shop.now().await;
    shop.store.keep_stripe_event("evt_forged", "customer.deleted", &told, now).await.expect("kept");
    apply_pending_webhooks(shop.desk(), now).await.expect("applied");
    assert!(shop.store.payment_method(partner).await.expect("asked").is_some(), "Stripe says that it is there");
    // A key of another account, which knows no such customer.
    let elsewhere = Shop::open().await;
    shop.store.keep_stripe_event("evt_elsewhere", "customer.deleted", &told, now).await.expect("kept");
    let _ = apply_pending_webhooks(Desk { stripe: &elsewhere.stripe, ..shop.desk() }, now).await;
    assert!(shop.store.payment_method(partner).await.expect("asked").is_some(), "not known is not deleted");
    shop.control("change", json!({ "kind": "customers", "id": customer["id"], "set": { "deleted": true } })).await;
    shop.store.keep_stripe_event("evt_deleted", "customer.deleted", &told, now).await.expect("kept");
    apply_pending_webhooks(shop.desk(), now).await.expect("applied");
    assert_eq!(shop.store.payment_method(partner).await.expect("asked"), None);
}

#[tokio::test]
async fn pages_that_cannot_be_settled_hold_up_no_others_and_end() {
    let shop = Shop::open().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, shop.now().await - days(1)).await;
    let now = shop.now().await;
    // Pages of another account, one whose answer was lost, and after them one that is complete.
    let mut stuck = Vec::new();
    for number in 0..120 {
        let id = shop.store.open_checkout(partner, Actor::System, now - hours(5)).await.expect("noted");
        if number > 0 {
            let session = format!("cs_test_gone{number}");
            shop.store.note_checkout_session(partner, id, &session).await.expect("noted");
        }
        stuck.push(id);
    }
    let (own, session) = opened(&shop, partner).await;
    shop.on_page(&session, "complete").await;
    shop.advance(hours(2)).await;
    for _ in 0..3 {
        shop.reconcile().await;
    }
    assert_eq!(state(&shop, partner, own).await, CheckoutState::Complete);
    assert_eq!(state(&shop, partner, stuck[0]).await, CheckoutState::Open);
    shop.advance(hours(48)).await;
    for _ in 0..3 {
        shop.reconcile().await;
    }
    for id in [stuck[0], stuck[1], stuck[119]] {
        assert_eq!(state(&shop, partner, id).await, CheckoutState::Expired);
    }
    assert!(shop.store.all_partners_open_checkouts(shop.now().await, 10).await.expect("a list").is_empty());
}
