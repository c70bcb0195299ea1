//! Servers of two versions at once: what one of the version before did with a page or its webhook is made good by a new one, once.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    apply_pending_webhooks,
    payment::{StripePages, first_fee, open_credit_checkout, open_plan_checkout},
};
use domain::{
    credit::package::CreditPackage,
    id::{CheckoutId, PartnerId},
    rating::FeeDue,
};
use serde_json::json;
use store::{
    Actor, NewCreditPurchase, PagePaid, PagePayment, payment_methods::CheckoutState, stripe_events::StripeEventState,
    test_db::world::World,
};

const BACK: &str = "https://portal.example/back";

/// A page that is paid at Stripe, and what it should bring once.
struct Paid {
    shop: Shop,
    partner: PartnerId,
    id: CheckoutId,
    is_plan: bool,
}

impl Paid {
    async fn units() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let mut terms = terms("invoice_items");
        terms.admission.credit.required = true;
        let plan = shop.plan("prepaid", terms).await;
        let partner = shop.partner("acme", plan, now - days(3)).await;
        let package = json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": "12.34" });
        let package: CreditPackage = serde_json::from_value(package).expect("a package");
        shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
        let new = NewCreditPurchase { code: "thousand".to_owned(), quantity: 1, reference: "a".to_owned(), cost: None };
        let (pages, who) = (StripePages::usual(), (partner, Actor::System));
        open_credit_checkout(shop.desk(), &pages, who, (&new, BACK), now).await.expect("opened");
        Self::pay(shop, partner, false).await
    }

    async fn plan() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let mut terms = terms("invoice_items");
        terms.fee_due = FeeDue::Advance;
        shop.plan("growth", terms).await;
        let partner = World::named(&shop.store, "acme").await.partner;
        let plan = shop.store.find_plan_by_code("growth").await.expect("asked").expect("a plan").id;
        let fee = first_fee(&shop.store, partner, plan, now).await.expect("previewed").expect("due");
        let (pages, who) = (StripePages::usual(), (partner, Actor::System));
        open_plan_checkout(shop.desk(), &pages, who, (&fee, BACK), now).await.expect("opened");
        Self::pay(shop, partner, true).await
    }

    async fn pay(shop: Shop, partner: PartnerId, is_plan: bool) -> Self {
        let session = list(&shop.state().await, "checkout_sessions")[0].clone();
        shop.control("checkout", json!({ "session": session["id"], "step": "complete" })).await;
        let id = session["metadata"]["turnpike_checkout"].as_str().expect("ours").parse().expect("an identifier");
        Self { shop, partner, id, is_plan }
    }

    /// As a server does that takes every complete page for one on which a payment method was left.
    async fn ended_by_the_version_before(&self) {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        store.end_checkout(self.partner, self.id, CheckoutState::Complete, now).await.expect("ended");
    }

    async fn told(&self, name: &str) {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let state = self.shop.state().await;
        let kind = "checkout.session.completed";
        let event = list(&state, "events").iter().find(|event| event["type"] == kind).expect("an event");
        assert!(store.keep_stripe_event(name, kind, event, now).await.expect("kept"));
        apply_pending_webhooks(self.shop.desk(), now).await.expect("applied");
    }

    /// Invoices of what was paid, and what was given: units in thousands, or plans.
    async fn brought(&self) -> (usize, i64) {
        let store = &self.shop.store;
        let invoices = store.invoices(self.partner).await.expect("invoices").len();
        match self.is_plan {
            true => (invoices, store.subscription_history(self.partner).await.expect("a history").len() as i64),
            false => (invoices, store.credit(self.partner).await.expect("a standing").balance / 1_000),
        }
    }
}

#[tokio::test]
async fn a_page_that_an_older_server_ended_brings_what_was_paid_by_the_next_webhook_or_by_asking() {
    for by_webhook in [true, false] {
        for paid in [Paid::units().await, Paid::plan().await] {
            paid.ended_by_the_version_before().await;
            assert_eq!(paid.brought().await, (0, 0));
            if by_webhook {
                paid.told("evt_again").await;
                assert_eq!(paid.brought().await, (1, 1));
            }
            paid.shop.advance(hours(2)).await;
            for _ in 0..2 {
                paid.shop.reconcile().await;
            }
            paid.told("evt_late").await;
            assert_eq!(paid.brought().await, (1, 1), "once");
            let left = paid.shop.store.all_partners_open_checkouts(paid.shop.now().await, 10).await.expect("a list");
            assert!(left.is_empty(), "and it is asked about no more: {left:?}");
        }
    }
}

#[tokio::test]
async fn what_both_versions_hear_of_at_the_same_time_is_brought_once() {
    for paid in [Paid::units().await, Paid::plan().await] {
        let (store, now) = (&paid.shop.store, paid.shop.now().await);
        let new = async || {
            let payment = PagePayment { invoice: Some("in_1"), intent: Some("pi_1"), tax: None };
            match paid.is_plan {
                true => matches!(
                    store
                        .complete_plan_checkout(paid.partner, paid.id, payment, &|_| Vec::new(), now)
                        .await
                        .expect("done"),
                    PagePaid::Now(_)
                ),
                false => matches!(
                    store
                        .complete_credit_checkout(paid.partner, paid.id, payment, &|_| Vec::new(), now)
                        .await
                        .expect("done"),
                    PagePaid::Now(_)
                ),
            }
        };
        let (one, (), other) = tokio::join!(new(), paid.ended_by_the_version_before(), new());
        assert!(one != other, "one of them");
        assert_eq!(paid.brought().await, (1, 1));
    }
}

#[tokio::test]
async fn a_second_payment_of_one_page_is_told_and_brings_nothing_more() {
    for paid in [Paid::units().await, Paid::plan().await] {
        paid.told("evt_first").await;
        assert_eq!(paid.brought().await, (1, 1));
        // Stripe's page names another invoice of its own by then.
        let session = list(&paid.shop.state().await, "checkout_sessions")[0]["id"].clone();
        let set = json!({ "invoice": "in_another" });
        paid.shop.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
        paid.told("evt_second").await;
        assert_eq!(paid.brought().await, (1, 1));
        let failed = paid.shop.store.stripe_events(Some(StripeEventState::Failed), None, 50).await.expect("a list");
        let told: Vec<&str> = failed.items.iter().filter_map(|event| event.error.as_deref()).collect();
        assert!(told.iter().any(|text| text.contains("in_another") && text.contains("both paid")), "{told:?}");
    }
}
