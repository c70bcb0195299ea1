//! A refund of what was paid on a page is followed until it may not fail any more, whoever made it, whenever Stripe tells of it and whatever we
//! have noted by then; and one that was refused is asked for again.

use crate::{
    drift::{OPERATOR, compared},
    refunds_that_fail::Back,
    shop::{days, hours, list},
};
use billing::drift::compare_what_went_back;
use serde_json::json;
use store::{
    payment_methods::CheckoutState,
    stripe_drift::{Drift, DriftFilter, DriftKind, ListedDrift},
};

impl Back {
    /// Somebody pays it back in Stripe's own dashboard.
    async fn by_hand(&self) -> String {
        let state = self.shop.state().await;
        let payment = list(&state, "payment_intents").last().expect("a payment")["id"].as_str().expect("an id");
        let by_hand = [("payment_intent".to_owned(), payment.to_owned())].to_vec();
        self.shop.stripe.refund(&by_hand, "by hand").await.expect("refunded").id
    }

    /// An hour later, without a webhook.
    async fn later(&self) {
        self.shop.advance(hours(1)).await;
        self.shop.reconcile().await;
    }

    /// The only refund that failed, as it is listed.
    async fn failed(&self) -> ListedDrift {
        let listed = self.listed().await;
        let [one] = listed.as_slice() else { panic!("not one: {listed:?}") };
        one.clone()
    }
}

#[tokio::test]
async fn a_refund_that_somebody_made_at_stripe_is_followed_when_it_fails() {
    for by_webhook in [true, false] {
        let back = Back::paid().await;
        let by_hand = back.by_hand().await;
        back.told("once").await;
        let held = back.held().await;
        assert_eq!((held.state, held.refund.as_ref()), (CheckoutState::PaidBack, Some(&by_hand)));
        back.fails().await;
        if by_webhook {
            back.told("failed").await;
        } else {
            compared(&back.shop).await;
        }
        assert_eq!(back.failed().await.drift.theirs, format!("{by_hand} failed: expired or canceled card"));
        assert_eq!(back.logged("checkout.refund_failed").await, 1);
        back.asks().await;
        assert_eq!(back.written().await.expect("sent"), 1);
        assert_eq!((back.refunds().await.len(), back.listed().await.len()), (2, 0));
    }
}

#[tokio::test]
async fn a_failure_that_is_told_before_the_refund_is_noted_is_known_all_the_same() {
    let back = Back::paid().await;
    back.shop.control("faults", json!({ "refunds_fail_at_once": true })).await;
    // Stripe tells of the failure while the answer to our request is on its way, and not again.
    back.told("once").await;
    let (first, _) = back.refunds().await.pop().expect("a refund");
    assert_eq!(back.failed().await.drift.theirs, format!("{first} failed: insufficient funds"));
    back.asks().await;
    assert_eq!(back.written().await.expect("sent"), 1);
    let (second, _) = back.refunds().await.pop().expect("a refund");
    assert!(second != first);
    assert_eq!(back.failed().await.drift.theirs, format!("{second} failed: insufficient funds"));
    back.shop.control("faults", json!({})).await;
    back.asks().await;
    assert_eq!(back.written().await.expect("sent"), 1);
    assert_eq!((back.refunds().await.len(), back.listed().await.len()), (3, 0));
}

#[tokio::test]
async fn a_failure_that_nobody_of_ours_heard_of_is_found_weeks_after() {
    for is_of_the_version_before in [false, true] {
        let back = Back::open().await;
        if is_of_the_version_before {
            back.shop.store.forget_names_of_refunds().await;
        }
        back.shop.advance(days(20)).await;
        let failed = back.fails().await;
        compared(&back.shop).await;
        assert_eq!(back.failed().await.drift.stripe_id, failed);
        assert_eq!(back.held().await.refund, Some(failed));
    }
    // Of a page whose refund was noted without its name another one may stand.
    let back = Back::open().await;
    back.fails().await;
    back.shop.store.forget_names_of_refunds().await;
    back.by_hand().await;
    back.told("failed").await;
    compared(&back.shop).await;
    assert_eq!((back.listed().await, back.held().await.refund_failed), (Vec::new(), None));
}

#[tokio::test]
async fn no_failed_refund_crowds_another_out_of_the_list() {
    let back = Back::open().await;
    back.fails().await;
    back.told("failed").await;
    let (store, now) = (&back.shop.store, back.shop.now().await);
    store.accept_stripe_drift(back.failed().await.id, "Paid by bank transfer", OPERATOR, now).await.expect("accepted");
    // Others that are older, and newer ones than they.
    store.copy_checkout(back.page, 450).await;
    compared(&back.shop).await;
    let standing = store.stripe_comparison().await.expect("asked");
    assert_eq!((standing.open, standing.accepted), (450, 1));
    let filter = DriftFilter::default();
    for one in store.all_partners_stripe_drift(&filter, None, 200).await.expect("a list").items {
        if one.note.is_empty() {
            store.accept_stripe_drift(one.id, "Paid by bank transfer", OPERATOR, now).await.expect("accepted");
        }
    }
    let before = store.stripe_comparison().await.expect("asked");
    compared(&back.shop).await;
    let after = store.stripe_comparison().await.expect("asked");
    assert_eq!((after.open, after.accepted), (before.open, before.accepted), "what was decided holds");
}

#[tokio::test]
async fn a_refund_that_stripe_refuses_is_asked_for_anew_once_something_has_changed() {
    let back = Back::paid().await;
    back.shop.control("faults", json!({ "refuses_refunds": true })).await;
    back.told("once").await;
    back.later().await;
    let held = back.held().await;
    assert_eq!((held.state, held.paid_back_at, back.refunds().await), (CheckoutState::PaidBack, None, Vec::new()));
    // The balance is enough by now, and Stripe still remembers what it said.
    back.shop.control("faults", json!({})).await;
    back.later().await;
    assert_eq!(back.refunds().await.len(), 1);
    assert!(back.held().await.paid_back_at.is_some());

    back.fails().await;
    back.told("failed").await;
    back.shop.control("faults", json!({ "refuses_refunds": true })).await;
    back.asks().await;
    assert_eq!(back.written().await.expect("nothing"), 0);
    assert!(back.failed().await.problem.contains("insufficient funds"));
    // The next click is another attempt, of which an answer is lost: it stays the same one until it is clear what became of it.
    back.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
    back.asks().await;
    assert!(back.written().await.is_err(), "Stripe answers with an error");
    back.shop.control("faults", json!({})).await;
    for _ in 0..3 {
        let _ = back.written().await;
        back.shop.advance(days(1)).await;
    }
    let refunds = back.refunds().await;
    assert_eq!((refunds.len(), back.listed().await.len()), (2, 0), "{refunds:?}");
    assert_eq!(back.held().await.refund.as_ref(), Some(&refunds[1].0));
    back.shop.keep_requests("refund_refused").await;
}

#[tokio::test]
async fn where_invoices_go_elsewhere_by_now_what_goes_back_is_listed_and_sent_again() {
    let back = Back::open().await;
    let (store, now) = (&back.shop.store, back.shop.now().await);
    let customer = Drift {
        kind: DriftKind::Customer,
        object: back.partner.to_string(),
        field: "name".to_owned(),
        partner: Some(back.partner),
        stripe_id: "cus_1".to_owned(),
        ours: "Acme".to_owned(),
        theirs: "Akme".to_owned(),
    };
    store.keep_stripe_drift(&[customer], 1, now, now).await.expect("kept");
    let failed = back.fails().await;
    let now = back.shop.now().await;
    assert_eq!(compare_what_went_back(store, &back.shop.stripe, now).await.expect("compared"), 1);
    let listed = store.all_partners_stripe_drift(&DriftFilter::default(), None, 200).await.expect("a list").items;
    assert_eq!(listed.iter().map(|one| one.drift.stripe_id.as_str()).collect::<Vec<_>>(), [failed.as_str()]);
    back.asks().await;
    assert_eq!(back.written().await.expect("sent"), 1);
    assert_eq!((back.refunds().await.len(), back.listed().await.len()), (2, 0));
}
