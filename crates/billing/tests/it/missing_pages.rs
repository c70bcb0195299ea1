//! Pages that Stripe does not know of, as where the key of another account is in the settings for a while: they end, and what was paid on them
//! is found once the right key is back.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    PushSettings,
    payment::{Desk, StripePages, end_plan_pages, first_fee, open_plan_checkout},
    reconcile,
    stripe::{SecretKey, Stripe, StripeSettings},
};
use domain::{
    id::{CheckoutId, PartnerId},
    rating::FeeDue,
};
use serde_json::{Value, json};
use store::{Actor, payment_methods::CheckoutState, test_db::world::World};
use stripe_stand_in::{Options, StandIn};

struct Moved {
    shop: Shop,
    /// Where nothing of ours is known.
    other: StandIn,
    partner: PartnerId,
    page: CheckoutId,
    session: String,
}

impl Moved {
    /// A page for $49.00 is open, and begins a plan once it is paid.
    async fn open() -> Self {
        let shop = Shop::open().await;
        let other = StandIn::start(Options::default()).await.expect("starts");
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
        let session = list(&shop.state().await, "checkout_sessions")[0].clone();
        let page = session["metadata"]["turnpike_checkout"].as_str().expect("ours").parse().expect("an identifier");
        let session = session["id"].as_str().expect("an id").to_owned();
        Self { shop, other, partner, page, session }
    }

    fn wrong(&self) -> Stripe {
        let settings =
            StripeSettings { base_url: self.other.url(), ..StripeSettings::new(SecretKey::new("sk_test_other")) };
        Stripe::new(settings).expect("settings")
    }

    /// What the server does each minute, with the key of another account.
    async fn under_another_key(&self) {
        let (stripe, now) = (self.wrong(), self.shop.now().await);
        let desk = Desk { stripe: &stripe, ..self.shop.desk() };
        reconcile(desk, PushSettings::default(), &|| now).await.expect("reconciles");
    }

    async fn leaves(&self, step: &str) {
        self.shop.control("checkout", json!({ "session": self.session, "step": step })).await;
    }

    async fn state(&self) -> CheckoutState {
        self.shop.store.checkout(self.partner, self.page).await.expect("ours").state
    }

    /// How often the other account was asked about the page.
    async fn asked(&self) -> usize {
        let requests = self.other.control("GET", "requests", Value::Null).await.expect("a log");
        let path = format!("/v1/checkout/sessions/{}", self.session);
        requests.as_array().expect("a list").iter().filter(|one| one["path"] == path.as_str()).count()
    }
}

#[tokio::test]
async fn what_was_paid_while_another_account_s_key_was_set_counts_once_the_right_one_is_back() {
    for after in [hours(2), days(20)] {
        let moved = Moved::open().await;
        moved.leaves("complete").await;
        moved.shop.advance(days(2)).await;
        moved.under_another_key().await;
        assert_eq!(moved.state().await, CheckoutState::Expired);
        moved.shop.advance(after).await;
        moved.under_another_key().await;
        assert_eq!(moved.state().await, CheckoutState::Expired);
        moved.shop.advance(hours(2)).await;
        for _ in 0..2 {
            moved.shop.reconcile().await;
        }
        assert_eq!(moved.state().await, CheckoutState::Complete);
        let store = &moved.shop.store;
        assert_eq!(store.subscription_history(moved.partner).await.expect("a history").len(), 1);
        assert_eq!(store.invoices(moved.partner).await.expect("invoices").len(), 1);
        let log = store.audit_page(moved.partner, None, 50).await.expect("a page").items;
        assert_eq!(log.iter().filter(|entry| entry.action == "checkout.found").count(), 1);
    }
}

#[tokio::test]
async fn what_ended_here_and_is_open_there_ends_there_once_the_right_key_is_back() {
    let moved = Moved::open().await;
    let (stripe, now) = (moved.wrong(), moved.shop.now().await);
    end_plan_pages(Desk { stripe: &stripe, ..moved.shop.desk() }, moved.partner, now).await.expect("asked");
    assert_eq!(moved.state().await, CheckoutState::Expired);
    moved.shop.advance(hours(2)).await;
    moved.shop.reconcile().await;
    assert_eq!(moved.state().await, CheckoutState::Expired);
    assert_eq!(list(&moved.shop.state().await, "checkout_sessions")[0]["status"], "expired", "nobody pays it any more");
}

#[tokio::test]
async fn a_page_that_stays_missing_is_asked_after_for_a_month() {
    let moved = Moved::open().await;
    moved.shop.advance(days(2)).await;
    moved.under_another_key().await;
    assert_eq!(moved.asked().await, 1);
    moved.under_another_key().await;
    assert_eq!(moved.asked().await, 1, "not each minute");
    moved.shop.advance(hours(2)).await;
    moved.under_another_key().await;
    assert_eq!(moved.asked().await, 2);
    moved.shop.advance(days(31)).await;
    moved.under_another_key().await;
    assert_eq!((moved.asked().await, moved.state().await), (2, CheckoutState::Expired));
}
