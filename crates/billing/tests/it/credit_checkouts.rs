//! Units that are paid on a page of Stripe's: once, in whatever order Stripe tells of it, at what was ordered; and nothing is owed for a page
//! that nobody pays.

use crate::shop::{Shop, days, hours, list};
use billing::{
    apply_pending_webhooks,
    payment::{Desk, StripePages, open_credit_checkout},
};
use domain::{
    credit::package::CreditPackage,
    id::{CheckoutId, PartnerId},
    money::{Currency, Money},
    plan::PlanTerms,
};
use serde_json::json;
use store::{
    Actor, InvoiceStatus, NewCreditPurchase, PagePaid, PagePayment, StoreError,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
    payment_methods::CheckoutState,
};

const BACK: &str = "https://portal.example/credit";
/// Who may see money.
const READER: &str = "billing@acme.example";
const OF_PAYMENTS: [&str; 6] = [
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
];

struct Counter {
    shop: Shop,
    partner: PartnerId,
}

impl Counter {
    /// A partner whose calls spend credit, and a package of 1,000 units for $12.34.
    async fn open() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let mut terms: PlanTerms = crate::shop::terms("invoice_items");
        terms.admission.credit.required = true;
        let plan = shop.plan("starter", terms).await;
        let partner = shop.partner("acme", plan, now - days(3)).await;
        shop.member(partner, READER).await;
        let counter = Self { shop, partner };
        counter.sells("12.34", false).await;
        counter
    }

    async fn sells(&self, price: &str, withdrawn: bool) {
        let package =
            json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": price, "withdrawn": withdrawn });
        let package: CreditPackage = serde_json::from_value(package).expect("a package");
        let now = self.shop.now().await;
        self.shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
    }

    /// Opens the page on which two packages are paid.
    async fn buys(&self, reference: &str) -> Result<String, billing::BillingError> {
        let new = two(reference);
        let (shop, now) = (&self.shop, self.shop.now().await);
        let who = (self.partner, Actor::System);
        let page = open_credit_checkout(shop.desk(), &StripePages::usual(), who, (&new, BACK), now).await?;
        Ok(page.url().to_owned())
    }

    /// All events that Stripe has about payments are posted, so often, newest first or not.
    async fn told(&self, times: usize, reversed: bool) {
        self.shop.told(|event| OF_PAYMENTS.iter().any(|kind| event["type"] == *kind), times, reversed).await;
    }

    async fn balance(&self) -> i64 {
        self.shop.store.credit(self.partner).await.expect("a standing").balance
    }

    async fn state(&self, id: CheckoutId) -> CheckoutState {
        self.shop.store.checkout(self.partner, id).await.expect("ours").state
    }

    /// Invoices and purchases that there are.
    async fn owed(&self) -> (usize, usize) {
        let store = &self.shop.store;
        let invoices = store.invoices(self.partner).await.expect("invoices").len();
        (invoices, store.credit_purchases(self.partner).await.expect("purchases").len())
    }

    async fn is_sound(&self) {
        assert_eq!(self.shop.store.check_all_credit().await.expect("checked"), []);
    }
}

fn two(reference: &str) -> NewCreditPurchase {
    NewCreditPurchase { code: "thousand".to_owned(), quantity: 2, reference: reference.to_owned(), cost: None }
}

#[tokio::test]
async fn a_paid_page_gives_its_units_once_however_stripe_tells_of_it() {
    for reversed in [false, true] {
        let counter = Counter::open().await;
        assert!(counter.buys("a").await.expect("opened").starts_with("https://checkout.stripe.com/"));
        assert_eq!((counter.owed().await, counter.balance().await), ((0, 0), 0), "nothing is owed for a page");
        let (id, session) = counter.shop.newest_page().await;
        counter.shop.on_page(&session, "complete").await;
        counter.told(3, reversed).await;
        // And it is looked at again, hours later, by several at once.
        counter.shop.advance(hours(3)).await;
        counter.shop.reconcile().await;
        counter.told(2, !reversed).await;
        assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
        assert_eq!(counter.state(id).await, CheckoutState::Complete);
        let invoice = counter.shop.store.invoices(counter.partner).await.expect("invoices").remove(0);
        assert_eq!((invoice.status, invoice.total), (InvoiceStatus::Paid, Money::new(Currency::Usd, 24_680_000)));
        // Stripe has its own invoice of the payment and gets none of ours to collect.
        let state = counter.shop.state().await;
        let [receipt] = list(&state, "invoices") else { panic!("not one: {state}") };
        assert_eq!((&receipt["status"], &receipt["total"]), (&json!("paid"), &json!(2_468)));
        assert_eq!(counter.shop.store.credit_grants(counter.partner).await.expect("grants").len(), 1);
        counter.is_sound().await;
        counter.shop.keep_requests("credit_checkout").await;
    }
}

#[tokio::test]
async fn several_who_hear_of_it_at_once_give_the_units_once() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (id, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete").await;
    let (store, now) = (&counter.shop.store, counter.shop.now().await);
    let paid = |invoice| PagePayment { invoice: Some(invoice), intent: Some("pi_1"), tax: None };
    let done = async || {
        store.complete_credit_checkout(counter.partner, id, paid("in_1"), &|_| Vec::new(), now).await.expect("done")
    };
    let (one, two, three, four) = tokio::join!(done(), done(), done(), done());
    assert_eq!([one, two, three, four].iter().filter(|made| matches!(made, PagePaid::Now(_))).count(), 1);
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    let twice = store.complete_credit_checkout(counter.partner, id, paid("in_2"), &|_| Vec::new(), now).await;
    assert!(twice.expect_err("told").to_string().contains("in_1 and in_2"), "a second payment is not swallowed");
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
}

#[tokio::test]
async fn a_page_that_nobody_pays_leaves_nothing_owed_and_its_reference_free() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (id, session) = counter.shop.newest_page().await;
    let by_invoice =
        counter.shop.store.buy_credit(counter.partner, &two("a"), Actor::System, counter.shop.now().await).await;
    assert!(matches!(by_invoice, Err(StoreError::Conflict { .. })), "nobody pays in two ways: {by_invoice:?}");
    counter.shop.on_page(&session, "expire").await;
    counter.shop.advance(hours(2)).await;
    counter.shop.reconcile().await;
    assert_eq!(counter.state(id).await, CheckoutState::Expired);
    assert_eq!((counter.owed().await, counter.balance().await), ((0, 0), 0));
    assert_eq!(list(&counter.shop.state().await, "invoices").len(), 0);
    counter.buys("a").await.expect("opened again");
    assert_ne!(counter.shop.newest_page().await.0, id);
}

#[tokio::test]
async fn the_same_form_sent_twice_is_one_page_and_what_is_paid_is_not_bought_again() {
    let counter = Counter::open().await;
    let first = counter.buys("a").await.expect("opened");
    assert_eq!(counter.buys("a").await.expect("the same"), first);
    assert_eq!(list(&counter.shop.state().await, "checkout_sessions").len(), 1);
    let (_, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete").await;
    // Before any webhook: Stripe is asked, and it is paid.
    let again = counter.buys("a").await.expect_err("bought already").to_string();
    assert!(again.contains("bought already"), "{again}");
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    counter.told(2, false).await;
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    for number in 0..20 {
        counter.buys(&format!("other-{number}")).await.expect("opened");
    }
    let state = counter.shop.state().await;
    let open = list(&state, "checkout_sessions").iter().filter(|session| session["status"] == "open").count();
    assert_eq!(open, 1, "each takes the place of the one before");
    let (store, now) = (&counter.shop.store, counter.shop.now().await);
    for number in 0..20 {
        let name = format!("pack-{number}");
        let package = json!({ "name": name, "units": 10, "currency": "USD", "price": "1.00" });
        let package: CreditPackage = serde_json::from_value(package).expect("a package");
        store.put_credit_package((&name, None), &package, Actor::System, now).await.expect("sold");
        let new = NewCreditPurchase { code: name.clone(), quantity: 1, reference: name, cost: None };
        let opened = store.open_credit_checkout(counter.partner, &new, Actor::System, now).await;
        assert_eq!(opened.is_ok(), number < 19, "pages are not opened without end");
    }
}

/// Opens another page although Stripe does not end the one before, as where it does not answer at that moment.
async fn two_open(counter: &Counter) -> [(CheckoutId, String); 2] {
    counter.buys("a").await.expect("opened");
    let first = counter.shop.newest_page().await;
    counter.buys("b").await.expect("opened");
    let second = counter.shop.newest_page().await;
    counter.shop.open_page_again(&first.1).await;
    let expired = counter.shop.store.checkout(counter.partner, first.0).await.expect("ours");
    assert_eq!(expired.state, CheckoutState::Expired, "Stripe was asked to end it");
    [first, second]
}

#[tokio::test]
async fn of_two_pages_in_two_tabs_one_can_be_paid() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (first, session) = counter.shop.newest_page().await;
    counter.buys("b").await.expect("opened");
    assert_eq!(counter.state(first).await, CheckoutState::Expired);
    let state = counter.shop.state().await;
    let of = |id: &str| list(&state, "checkout_sessions").iter().find(|one| one["id"] == id).expect("held").clone();
    assert_eq!(of(&session)["status"], "expired", "nobody can pay there any more");
    let (_, second) = counter.shop.newest_page().await;
    counter.shop.on_page(&second, "complete").await;
    counter.told(2, false).await;
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    // What was paid is no rival of what is bought later.
    counter.buys("c").await.expect("opened");
    let (_, third) = counter.shop.newest_page().await;
    counter.shop.on_page(&third, "complete").await;
    counter.told(1, true).await;
    assert_eq!((counter.owed().await, counter.balance().await), ((2, 2), 4_000));
    assert_eq!(list(&counter.shop.state().await, "refunds").len(), 0);
    counter.is_sound().await;
}

#[tokio::test]
async fn a_page_that_is_paid_at_the_moment_in_which_another_is_opened_leaves_nothing_to_pay() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (_, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete").await;
    let refused = counter.buys("b").await.expect_err("paid meanwhile").to_string();
    assert!(refused.contains("has been paid meanwhile"), "{refused}");
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    assert_eq!(list(&counter.shop.state().await, "checkout_sessions").len(), 1);
    counter.buys("b").await.expect("whoever wants more may buy more");
}

#[tokio::test]
async fn what_is_paid_on_two_pages_all_the_same_gives_units_once_and_goes_back_once() {
    for reversed in [false, true] {
        let counter = Counter::open().await;
        let [(first, one), (second, other)] = two_open(&counter).await;
        counter.shop.on_page(&one, "complete").await;
        counter.shop.on_page(&other, "complete").await;
        for _ in 0..3 {
            counter.told(2, reversed).await;
        }
        counter.shop.advance(hours(3)).await;
        counter.shop.reconcile().await;
        counter.told(1, !reversed).await;
        assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
        let state = counter.shop.state().await;
        let [refund] = list(&state, "refunds") else { panic!("not one: {state}") };
        assert_eq!(refund["amount"], 2_468, "all of one of them");
        let letters = counter.shop.letters_to(READER).await;
        assert_eq!(letters, ["$24.68 back: Another page for these units was paid before"], "told once");
        let states = [counter.state(first).await, counter.state(second).await];
        assert!(states.contains(&CheckoutState::Complete) && states.contains(&CheckoutState::PaidBack), "{states:?}");
        let (store, now) = (&counter.shop.store, counter.shop.now().await);
        let told = store.checkouts_paid_back(counter.partner, now - hours(9)).await.expect("a list");
        assert!(told.len() == 1 && told[0].paid_back_at.is_some() && told[0].pay_back.is_some(), "{told:?}");
        let log = store.audit_page(counter.partner, None, 50).await.expect("a page").items;
        for action in ["checkout.pay_back", "checkout.paid_back"] {
            assert_eq!(log.iter().filter(|entry| entry.action == action).count(), 1, "{action}");
        }
        counter.is_sound().await;
        counter.shop.keep_requests("credit_twice").await;
    }
}

#[tokio::test]
async fn a_refund_that_stripe_does_not_answer_is_made_later_and_once() {
    let counter = Counter::open().await;
    let [(_, one), (_, other)] = two_open(&counter).await;
    counter.shop.on_page(&one, "complete").await;
    counter.told(1, false).await;
    counter.shop.open_page_again(&other).await;
    counter.shop.on_page(&other, "complete").await;
    counter.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
    let (store, now) = (&counter.shop.store, counter.shop.now().await);
    let state = counter.shop.state().await;
    let kind = "checkout.session.completed";
    let event = list(&state, "events").iter().rev().find(|event| event["type"] == kind).expect("an event");
    store.keep_stripe_event("evt_second", kind, event, now).await.expect("kept");
    assert!(apply_pending_webhooks(counter.shop.desk(), now).await.is_err(), "Stripe answers with an error");
    counter.shop.control("faults", json!({})).await;
    // Stripe has forgotten the key by then, and knows what is paid back.
    counter.shop.advance(days(2)).await;
    for _ in 0..2 {
        counter.shop.reconcile().await;
        counter.shop.advance(hours(2)).await;
    }
    let state = counter.shop.state().await;
    assert_eq!(list(&state, "refunds").len(), 1);
    assert_eq!(counter.shop.letters_to(READER).await.len(), 1, "told once, however often Stripe was asked");
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
    assert!(store.all_partners_checkouts_to_pay_back(10).await.expect("a list").is_empty());
}

#[tokio::test]
async fn a_payment_that_takes_days_gives_its_units_when_it_is_there_or_never() {
    for (step, state, balance) in [("succeed", CheckoutState::Complete, 2_000), ("fail", CheckoutState::Failed, 0)] {
        let counter = Counter::open().await;
        counter.buys("a").await.expect("opened");
        let (id, session) = counter.shop.newest_page().await;
        counter.shop.on_page(&session, "complete_unpaid").await;
        counter.told(2, false).await;
        assert_eq!(counter.state(id).await, CheckoutState::Processing);
        assert_eq!((counter.owed().await, counter.balance().await), ((0, 0), 0), "not before it is paid");
        let again = counter.buys("a").await.expect_err("it is on its way").to_string();
        assert!(again.contains("on its way"), "{again}");
        counter.shop.advance(days(4)).await;
        counter.shop.reconcile().await;
        assert_eq!(counter.state(id).await, CheckoutState::Processing, "it takes as long as it takes");
        let (elsewhere, now) = (Shop::open().await, counter.shop.now().await);
        let settings = billing::PushSettings::default();
        let desk = Desk { stripe: &elsewhere.stripe, ..counter.shop.desk() };
        let _ = billing::reconcile(desk, settings, &|| now + hours(2)).await;
        assert_eq!(counter.state(id).await, CheckoutState::Processing, "another account's key ends no payment");
        counter.shop.on_page(&session, step).await;
        counter.told(2, true).await;
        assert_eq!(counter.state(id).await, state);
        assert_eq!(counter.balance().await, balance);
        assert_eq!(counter.owed().await.0, usize::from(balance > 0));
        counter.is_sound().await;
    }
}

#[tokio::test]
async fn a_lost_webhook_is_made_good_by_asking() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (_, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete_unpaid").await;
    counter.shop.advance(hours(2)).await;
    counter.shop.reconcile().await;
    counter.shop.on_page(&session, "succeed").await;
    counter.shop.advance(hours(2)).await;
    counter.shop.reconcile().await;
    assert_eq!(counter.balance().await, 2_000);
}

#[tokio::test]
async fn a_page_that_was_ended_without_its_units_is_made_good() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (id, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete").await;
    // As a server does that knows of no units.
    let (store, now) = (&counter.shop.store, counter.shop.now().await);
    store.end_checkout(counter.partner, id, CheckoutState::Complete, now).await.expect("ended");
    counter.shop.advance(hours(2)).await;
    for _ in 0..2 {
        counter.shop.reconcile().await;
    }
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
}

#[tokio::test]
async fn what_was_ordered_is_what_is_given_though_offer_and_plan_are_others_by_then() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (_, session) = counter.shop.newest_page().await;
    counter.sells("99.00", true).await;
    let now = counter.shop.now().await;
    let other = counter.shop.plan("other", crate::shop::terms("invoice_items")).await;
    counter.shop.store.assign_plan_version(counter.partner, other, Actor::System, now).await.expect("moved");
    counter.shop.on_page(&session, "complete").await;
    counter.told(1, false).await;
    let bought = counter.shop.store.credit_purchases(counter.partner).await.expect("purchases").remove(0);
    assert_eq!((bought.units, bought.cost), (2_000, Money::new(Currency::Usd, 24_680_000)));
    assert_eq!(counter.balance().await, 2_000, "who has paid gets what was paid for");
}

#[tokio::test]
async fn nothing_is_given_for_what_stripe_does_not_say_or_for_another_amount() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (id, session) = counter.shop.newest_page().await;
    let now = counter.shop.now().await;
    let forged = json!({ "id": "evt_x", "type": "checkout.session.completed", "livemode": false, "data": { "object": {
        "id": session, "object": "checkout.session", "status": "complete", "payment_status": "paid", "amount_total": 2_468,
        "metadata": { "turnpike_checkout": id } } } });
    counter.shop.store.keep_stripe_event("evt_x", "checkout.session.completed", &forged, now).await.expect("kept");
    apply_pending_webhooks(counter.shop.desk(), now).await.expect("applied");
    assert_eq!((counter.owed().await, counter.balance().await), ((0, 0), 0));

    counter.shop.on_page(&session, "complete").await;
    let set = json!({ "amount_total": 1 });
    counter.shop.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
    counter.told(1, false).await;
    assert_eq!((counter.owed().await, counter.balance().await), ((0, 0), 0));
    let events = counter
        .shop
        .store
        .stripe_events(Some(store::stripe_events::StripeEventState::Failed), None, 50)
        .await
        .expect("a list");
    assert!(
        events
            .items
            .iter()
            .any(|event| event.error.as_deref().is_some_and(|text| text.contains("no units were given")))
    );
}

#[tokio::test]
async fn a_credit_note_pays_back_through_stripes_own_invoice_of_the_payment() {
    let counter = Counter::open().await;
    counter.buys("a").await.expect("opened");
    let (_, session) = counter.shop.newest_page().await;
    counter.shop.on_page(&session, "complete").await;
    counter.told(1, false).await;
    let (store, now, partner) = (&counter.shop.store, counter.shop.now().await, counter.partner);
    let invoice = store.invoices(partner).await.expect("invoices")[0].id;
    let lines = vec![NewCreditLine { invoice_position: Some(0), amount: Money::new(Currency::Usd, 12_340_000) }];
    let (kind, payback, reason) = (CreditKind::Credit, Payback::Refund, "Too many".to_owned());
    let new = NewCreditNote { invoice, kind, lines, payback, reason };
    let note = store.draft_credit_note(partner, &new, false, Actor::System, now).await.expect("a draft");
    let issue = Issue { seen_paid: true, four_eyes: false };
    assert!(store.issue_credit_note(partner, note, issue, Actor::System, now).await.expect("issued"));
    for _ in 0..2 {
        counter.shop.reconcile().await;
    }
    let state = counter.shop.state().await;
    let [refunded] = list(&state, "credit_notes") else { panic!("not one: {state}") };
    assert_eq!((&refunded["amount"], refunded["refunds"].as_array().map(Vec::len)), (&json!(1_234), Some(1)));
    assert_eq!(counter.balance().await, 1_000);
    counter.is_sound().await;
}

#[tokio::test]
async fn a_page_that_cannot_be_made_keeps_no_reference() {
    let counter = Counter::open().await;
    let (shop, new, who) = (&counter.shop, two("a"), (counter.partner, Actor::System));
    let (pages, now) = (StripePages::usual(), shop.now().await);
    for _ in 0..25 {
        let refused = open_credit_checkout(shop.desk(), &pages, who, (&new, "nowhere"), now).await;
        assert!(refused.expect_err("no address").to_string().contains("Not a valid URL"));
    }
    counter.buys("a").await.expect("the reference is free, and so are the places of open pages");
}

#[tokio::test]
async fn a_page_whose_answer_was_lost_stands_in_nobodys_way() {
    let counter = Counter::open().await;
    counter.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
    assert!(counter.buys("a").await.is_err());
    let lost = counter.shop.newest_page().await.1;
    counter.shop.control("faults", json!({})).await;
    counter.shop.advance(hours(1)).await;
    counter.buys("a").await.expect("opened, though Stripe remembers the failure");
    let (id, session) = counter.shop.newest_page().await;
    assert_ne!(session, lost);
    // What expires is the page that nobody has seen.
    counter.shop.on_page(&lost, "expire").await;
    let expired = list(&counter.shop.state().await, "events").last().expect("an event").clone();
    let now = counter.shop.now().await;
    let kept = counter.shop.store.keep_stripe_event("evt_lost", "checkout.session.expired", &expired, now).await;
    assert!(kept.expect("kept"));
    apply_pending_webhooks(counter.shop.desk(), now).await.expect("applied");
    assert_eq!(counter.state(id).await, CheckoutState::Open);
    counter.shop.on_page(&session, "complete").await;
    counter.told(1, false).await;
    assert_eq!((counter.owed().await, counter.balance().await), ((1, 1), 2_000));
}
