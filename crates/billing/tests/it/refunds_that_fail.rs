//! What goes back of a page and fails at Stripe days later: an operator sees it and sends it again, and nothing is paid back twice.

use crate::{
    drift::{OPERATOR, compared, drift},
    shop::{Shop, days, list, terms},
};
use billing::{
    apply_pending_webhooks,
    drift::{can_write, write_asked},
    payment::{StripePages, first_fee, open_plan_checkout},
};
use domain::{
    id::{CheckoutId, PartnerId},
    rating::FeeDue,
};
use serde_json::json;
use store::{
    Actor,
    payment_methods::{Checkout, CheckoutState},
    stripe_drift::{DriftKind, DriftState, ListedDrift},
    test_db::world::World,
};

pub struct Back {
    pub shop: Shop,
    pub partner: PartnerId,
    pub page: CheckoutId,
}

impl Back {
    /// A page for $49.00 that was paid when there was a plan already: Stripe has taken in that it goes back.
    pub async fn open() -> Self {
        let back = Self::paid().await;
        back.told("once").await;
        assert_eq!((back.held().await.state, back.refunds().await.len()), (CheckoutState::PaidBack, 1));
        assert_eq!(back.listed().await, []);
        back
    }

    /// The same before anybody of ours has heard of the payment.
    pub async fn paid() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let mut ahead = terms("invoice_items");
        ahead.fee_due = FeeDue::Advance;
        shop.plan("growth", ahead).await;
        let partner = World::named(&shop.store, "acme").await.partner;
        let plan = shop.store.find_plan_by_code("growth").await.expect("asked").expect("a plan").id;
        let fee = first_fee(&shop.store, partner, plan, now).await.expect("previewed").expect("due");
        let (pages, who) = (StripePages::usual(), (partner, Actor::System));
        let leads = (&fee, "https://portal.example/plan");
        open_plan_checkout(shop.desk(), &pages, who, leads, now).await.expect("opened");
        let given = shop.plan("given", terms("invoice_items")).await;
        shop.store.assign_plan_version(partner, given, Actor::System, now).await.expect("an operator's plan");
        let session = list(&shop.state().await, "checkout_sessions")[0].clone();
        shop.control("checkout", json!({ "session": session["id"], "step": "complete" })).await;
        let page = session["metadata"]["turnpike_checkout"].as_str().expect("ours").parse().expect("an identifier");
        Self { shop, partner, page }
    }

    /// All events that Stripe has, under names of their own.
    pub async fn told(&self, name: &str) {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let state = self.shop.state().await;
        for event in list(&state, "events") {
            let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
            store.keep_stripe_event(&format!("{id}-{name}"), kind, event, now).await.expect("kept");
        }
        apply_pending_webhooks(self.shop.desk(), now).await.expect("applied");
    }

    pub async fn held(&self) -> Checkout {
        self.shop.store.checkout(self.partner, self.page).await.expect("ours")
    }

    /// Names and states of the refunds that Stripe has, the oldest first.
    pub async fn refunds(&self) -> Vec<(String, String)> {
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let state = self.shop.state().await;
        list(&state, "refunds").iter().map(|refund| (text(&refund["id"]), text(&refund["status"]))).collect()
    }

    /// The bank sends the newest one back.
    pub async fn fails(&self) -> String {
        let (id, _) = self.refunds().await.pop().expect("a refund");
        self.shop.control("refunds", json!({ "refund": id, "reason": "expired_or_canceled_card" })).await;
        id
    }

    pub async fn listed(&self) -> Vec<ListedDrift> {
        drift(&self.shop).await.into_iter().filter(|one| one.drift.kind == DriftKind::Invoice).collect()
    }

    /// An operator has all that is listed sent again.
    pub async fn asks(&self) {
        for one in self.listed().await {
            assert!(can_write(one.drift.kind, &one.drift.field));
            self.shop.store.ask_to_write_stripe_drift(one.id, OPERATOR, self.shop.now().await).await.expect("asked");
        }
    }

    pub async fn written(&self) -> Result<u64, billing::BillingError> {
        write_asked(&self.shop.store, &self.shop.stripe, self.shop.now().await).await
    }

    /// How often the audit log has that of the page.
    pub async fn logged(&self, action: &str) -> usize {
        let log = self.shop.store.audit_page(self.partner, None, 200).await.expect("a page").items;
        log.iter().filter(|entry| entry.action == action && entry.subject == self.page.to_string()).count()
    }
}

#[tokio::test]
async fn a_refund_that_fails_is_listed_and_sent_again_once() {
    for by_webhook in [true, false] {
        let back = Back::open().await;
        let failed = back.fails().await;
        if by_webhook {
            back.told("failed").await;
        } else {
            compared(&back.shop).await;
        }
        let listed = back.listed().await;
        let [one] = listed.as_slice() else { panic!("not one: {listed:?}") };
        assert_eq!(
            (one.drift.partner, one.drift.object.as_str()),
            (Some(back.partner), back.page.to_string().as_str())
        );
        assert_eq!(one.drift.ours, "$49.00 paid on a page go back");
        assert_eq!(one.drift.theirs, format!("{failed} failed: expired or canceled card"));
        assert_eq!(back.held().await.refund_failed.as_deref(), Some("expired or canceled card"));
        // Nobody tries again by himself, and it stays in the list.
        back.shop.advance(days(2)).await;
        back.shop.reconcile().await;
        back.told("later").await;
        compared(&back.shop).await;
        assert_eq!((back.refunds().await.len(), back.listed().await.len()), (1, 1));
        assert_eq!(back.logged("checkout.refund_failed").await, 1);

        back.asks().await;
        assert_eq!(back.written().await.expect("sent"), 1);
        let refunds = back.refunds().await;
        let [(_, before), (again, state)] = refunds.as_slice() else { panic!("not two: {refunds:?}") };
        assert_eq!((before.as_str(), state.as_str()), ("failed", "succeeded"));
        // What is told of the first one changes nothing any more.
        back.told("stale").await;
        compared(&back.shop).await;
        back.shop.advance(days(2)).await;
        back.shop.reconcile().await;
        assert_eq!(back.written().await.expect("nothing"), 0);
        let held = back.held().await;
        assert_eq!((held.refund.as_ref(), held.refund_failed), (Some(again), None));
        assert_eq!((back.refunds().await.len(), back.listed().await.len()), (2, 0));
        assert_eq!(back.logged("checkout.paid_back").await, 2);
        back.shop.keep_requests("refund_again").await;
    }
}

#[tokio::test]
async fn a_lost_answer_sends_it_once_also_after_stripe_has_forgotten_the_key() {
    for later in [days(0), days(2)] {
        let back = Back::open().await;
        back.fails().await;
        back.told("failed").await;
        back.asks().await;
        back.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
        assert!(back.written().await.is_err(), "Stripe answers with an error");
        back.shop.control("faults", json!({})).await;
        back.shop.advance(later).await;
        for _ in 0..3 {
            // The answer to a key is a remembered failure for a day.
            let _ = back.written().await;
            back.shop.advance(days(1)).await;
        }
        let refunds = back.refunds().await;
        assert_eq!(refunds.len(), 2, "{refunds:?}");
        let held = back.held().await;
        assert_eq!((held.refund.as_ref(), held.refund_failed), (Some(&refunds[1].0), None));
        assert_eq!(back.listed().await, []);
    }
}

#[tokio::test]
async fn what_somebody_has_paid_back_at_stripe_meanwhile_is_noted() {
    let back = Back::open().await;
    back.fails().await;
    back.told("failed").await;
    let payment = back.held().await.payment.expect("a payment");
    let by_hand = [("payment_intent".to_owned(), payment)].to_vec();
    let refund = back.shop.stripe.refund(&by_hand, "by hand").await.expect("refunded");
    back.asks().await;
    assert_eq!(back.written().await.expect("noted"), 1);
    assert_eq!((back.held().await.refund, back.listed().await.len()), (Some(refund.id), 0));
    back.told("stale").await;
    assert_eq!((back.refunds().await.len(), back.listed().await.len()), (2, 0));
}

#[tokio::test]
async fn another_refund_that_fails_is_another_thing_to_decide() {
    let back = Back::open().await;
    back.fails().await;
    back.told("failed").await;
    back.asks().await;
    back.written().await.expect("sent");
    let second = back.fails().await;
    back.told("again").await;
    let listed = back.listed().await;
    assert_eq!(listed.len(), 1);
    assert!(listed[0].drift.theirs.starts_with(&second), "{listed:?}");
    let (store, now) = (&back.shop.store, back.shop.now().await);
    store.accept_stripe_drift(listed[0].id, "Paid by bank transfer", OPERATOR, now).await.expect("accepted");
    compared(&back.shop).await;
    assert_eq!(back.listed().await[0].state, DriftState::Accepted);
    assert_eq!(back.refunds().await.len(), 2);
}
