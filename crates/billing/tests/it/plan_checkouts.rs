//! Plans whose first fee is paid on a page of Stripe's: they begin once, when Stripe says that it is paid, with the one invoice of it; nothing
//! begins on a page that nobody pays; and of several pages one counts.

use crate::shop::{Shop, days, hours, list, terms};
use billing::{
    BillingError, ChangeRefused, News, Recipient, Wanted, apply_pending_webhooks, order_change,
    payment::{StripePages, end_plan_pages, first_fee, first_fee_as_shown, open_plan_checkout},
    preview_change,
};
use domain::{
    id::{CheckoutId, PartnerId, PlanVersionId},
    money::{Currency, Money},
    plan::PlanTerms,
    plan_change::When,
    rating::FeeDue,
};
use serde_json::json;
use store::{
    Actor, InvoiceStatus, LedgerAccount, NewMail, NewPlanCheckout, OrderedBy, PageNews, PagePaid, PagePayment,
    StoreError, SubscriptionStatus, Wish,
    payment_methods::{CheckoutFor, CheckoutState},
    test_db::world::World,
};

const BACK: &str = "https://portal.example/plan";
/// Who may see money.
const READER: &str = "billing@acme.example";

struct Gate {
    shop: Shop,
    partner: PartnerId,
    version: PlanVersionId,
}

impl Gate {
    /// A partner without a plan, and the plan `growth` for $49.00 a month in advance, which asks for a payment method.
    async fn open() -> Self {
        let shop = Shop::open().await;
        let version = sold(&shop, "growth", |_| {}).await;
        let partner = World::named(&shop.store, "acme").await.partner;
        shop.member(partner, READER).await;
        Self { shop, partner, version }
    }

    async fn begins(&self, code: &str) -> Result<String, BillingError> {
        let (shop, now) = (&self.shop, self.shop.now().await);
        let plan = shop.store.find_plan_by_code(code).await.expect("asked").expect("a plan").id;
        let fee = first_fee(&shop.store, self.partner, plan, now).await.expect("previewed").expect("a fee is due");
        let who = (self.partner, Actor::System);
        let pages = StripePages::usual();
        let page = open_plan_checkout(shop.desk(), &pages, who, (&fee, BACK), now).await?;
        Ok(page.url().to_owned())
    }

    /// All events that Stripe has are posted, so often, newest first or not.
    async fn told(&self, times: usize, reversed: bool) {
        self.shop.told(|_| true, times, reversed).await;
    }

    /// What the partner wants with a plan, and what it is told of it.
    async fn shown(&self, code: &str) -> (Wanted, String) {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let plan = store.find_plan_by_code(code).await.expect("asked").expect("a plan").id;
        let wanted = Wanted { wish: Wish::Plan(plan), when: When::Usual, by: OrderedBy::Partner };
        (wanted, preview_change(store, self.partner, wanted, now).await.expect("a preview").token)
    }

    /// The partner chooses the plan, as who has left a payment method may.
    async fn chooses(&self, code: &str) -> Result<(), ChangeRefused> {
        let (wanted, token) = self.shown(code).await;
        let letter = |to: &Recipient, _: &News| NewMail {
            recipient: to.email.clone(),
            subject: String::new(),
            body_text: String::new(),
            body_html: String::new(),
        };
        let (store, now) = (&self.shop.store, self.shop.now().await);
        order_change(store, self.partner, wanted, &token, &letter, Actor::System, now).await.map(drop)
    }

    async fn ends_pages(&self) {
        let (shop, now) = (&self.shop, self.shop.now().await);
        end_plan_pages(shop.desk(), self.partner, now).await.expect("asked");
    }

    /// A page for `growth` of which another account of Stripe's knows.
    async fn page_of_another_account(&self) -> CheckoutId {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let id =
            store.open_plan_checkout(self.partner, &growth(self.version), Actor::System, now).await.expect("noted").id;
        store.note_checkout_session(self.partner, id, &format!("cs_test_{id}")).await.expect("noted");
        id
    }

    async fn state(&self, id: CheckoutId) -> CheckoutState {
        self.shop.store.checkout(self.partner, id).await.expect("ours").state
    }

    async fn letters(&self) -> Vec<String> {
        self.shop.letters_to(READER).await
    }

    /// Subscriptions and invoices that there ever were.
    async fn begun(&self) -> (usize, usize) {
        let store = &self.shop.store;
        let subscriptions = store.subscription_history(self.partner).await.expect("a history").len();
        (subscriptions, store.invoices(self.partner).await.expect("invoices").len())
    }
}

fn growth(version: PlanVersionId) -> NewPlanCheckout {
    NewPlanCheckout {
        version,
        description: "growth, first month".to_owned(),
        lines: Vec::new(),
        cost: Money::new(Currency::Usd, 49_000_000),
    }
}

async fn sold(shop: &Shop, code: &str, change: impl FnOnce(&mut PlanTerms)) -> PlanVersionId {
    let mut terms = terms("invoice_items");
    terms.fee_due = FeeDue::Advance;
    change(&mut terms);
    let version = shop.plan(code, terms).await;
    let plan = shop.store.find_plan_by_code(code).await.expect("asked").expect("a plan").id;
    shop.store.set_asks_for_payment_method(plan, true, Actor::System, shop.now().await).await.expect("set");
    version
}

#[tokio::test]
async fn a_plan_begins_once_when_its_first_fee_is_paid_however_stripe_tells_of_it() {
    for reversed in [false, true] {
        let gate = Gate::open().await;
        let page = gate.begins("growth").await.expect("opened");
        assert!(page.starts_with("https://checkout.stripe.com/"), "{page}");
        let (id, session) = gate.shop.newest_page().await;
        let held = list(&gate.shop.state().await, "checkout_sessions")[0].clone();
        assert_eq!((&held["mode"], &held["amount_total"]), (&json!("payment"), &json!(4_900)));
        assert_eq!(held["success_url"], format!("{BACK}?checkout={id}"));
        assert_eq!(gate.begun().await, (0, 0), "nothing begins for a page");
        // Who comes back, and a forged event, begin nothing.
        let (store, now) = (&gate.shop.store, gate.shop.now().await);
        let forged = json!({ "id": "evt_x", "type": "checkout.session.completed", "livemode": false, "data": { "object": {
            "id": session, "object": "checkout.session", "status": "complete", "payment_status": "paid", "amount_total": 4_900,
            "metadata": { "turnpike_checkout": id } } } });
        store.keep_stripe_event("evt_x", "checkout.session.completed", &forged, now).await.expect("kept");
        apply_pending_webhooks(gate.shop.desk(), now).await.expect("applied");
        assert_eq!(gate.begun().await, (0, 0));

        gate.shop.on_page(&session, "complete").await;
        gate.shop.advance(hours(1)).await;
        gate.told(3, reversed).await;
        gate.shop.advance(hours(3)).await;
        gate.shop.reconcile().await;
        gate.told(2, !reversed).await;
        assert_eq!(gate.begun().await, (1, 1));
        assert_eq!(gate.state(id).await, CheckoutState::Complete);
        let own = store.subscription(gate.partner).await.expect("asked").expect("a plan");
        let began = own.started_at.expect("begun");
        assert!(
            (own.version_id, own.anchor) == (gate.version, began) && began > now,
            "when it was paid, and not before"
        );
        let (invoice, lines) = store
            .invoice(gate.partner, store.invoices(gate.partner).await.expect("invoices")[0].id)
            .await
            .expect("ours");
        assert_eq!((invoice.status, invoice.total), (InvoiceStatus::Paid, Money::new(Currency::Usd, 49_000_000)));
        assert_eq!((invoice.period.start, lines[0].description.as_str()), (began, "Base fee, in advance"));
        let books = store.ledger_balances(gate.partner).await.expect("balances");
        let of = |account| books.iter().find(|(held, _)| *held == account).map_or(0, |(_, money)| money.micros);
        assert_eq!((of(LedgerAccount::Cash), of(LedgerAccount::Receivable)), (49_000_000, 0));
        // Stripe has its own invoice of the payment, and gets none of ours to collect.
        let state = gate.shop.state().await;
        let [receipt] = list(&state, "invoices") else { panic!("not one: {state}") };
        assert_eq!((&receipt["status"], &receipt["total"]), (&json!("paid"), &json!(4_900)));
        // What was paid with is kept for the periods to come.
        assert!(store.payment_method(gate.partner).await.expect("asked").is_some());
        // The period has its fee, and the next one is due when it begins.
        gate.shop.close(gate.shop.now().await).await;
        assert_eq!(gate.begun().await.1, 1);
        assert_eq!(gate.letters().await, ["growth begun for $49.00"], "told once");
        gate.shop.advance(days(31)).await;
        gate.shop.close(gate.shop.now().await).await;
        let fees = store.invoices(gate.partner).await.expect("invoices");
        assert_eq!(fees.iter().filter(|invoice| invoice.total.micros == 49_000_000).count(), 2, "{fees:?}");
        gate.shop.keep_requests("plan_checkout").await;
    }
}

#[tokio::test]
async fn several_who_hear_of_it_at_once_begin_one_plan() {
    let gate = Gate::open().await;
    gate.begins("growth").await.expect("opened");
    let (id, _) = gate.shop.newest_page().await;
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    let paid = |invoice| PagePayment { invoice: Some(invoice), intent: Some("pi_1"), tax: None };
    let done = async || {
        store.complete_plan_checkout(gate.partner, id, paid("in_1"), &|_| Vec::new(), now).await.expect("done")
    };
    let (one, two, three, four) = tokio::join!(done(), done(), done(), done());
    assert_eq!([one, two, three, four].iter().filter(|made| matches!(made, PagePaid::Now(_))).count(), 1);
    assert_eq!(gate.begun().await, (1, 1));
    let twice = store.complete_plan_checkout(gate.partner, id, paid("in_2"), &|_| Vec::new(), now).await;
    assert!(twice.expect_err("told").to_string().contains("in_1 and in_2"));
}

#[tokio::test]
async fn a_letter_is_there_if_and_only_if_it_is_so() {
    for suspended in [false, true] {
        let gate = Gate::open().await;
        gate.begins("growth").await.expect("opened");
        let (id, _) = gate.shop.newest_page().await;
        let (store, now) = (&gate.shop.store, gate.shop.now().await);
        if suspended {
            store.suspend_partner(gate.partner, "misuse", Actor::System, now).await.expect("suspended");
        }
        let letter = |body: &'static str| {
            move |_: PageNews<'_>| {
                let (recipient, subject) = (READER.to_owned(), "A letter".to_owned());
                vec![NewMail { recipient, subject, body_text: body.to_owned(), body_html: String::new() }]
            }
        };
        let paid = PagePayment { invoice: Some("in_1"), intent: Some("pi_1"), tax: None };
        // Postgres takes no such text.
        let refused = store.complete_plan_checkout(gate.partner, id, paid, &letter("\0"), now).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(
            (gate.begun().await, gate.state(id).await),
            ((0, 0), CheckoutState::Open),
            "nothing without its letter"
        );
        for _ in 0..2 {
            store.complete_plan_checkout(gate.partner, id, paid, &letter("It is so."), now).await.expect("done");
        }
        assert_eq!(gate.letters().await, ["A letter"]);
        let came = if suspended { CheckoutState::PaidBack } else { CheckoutState::Complete };
        assert_eq!(gate.state(id).await, came);
    }
}

#[tokio::test]
async fn a_page_that_nobody_pays_begins_nothing_and_is_offered_again() {
    let gate = Gate::open().await;
    let first = gate.begins("growth").await.expect("opened");
    assert_eq!(gate.begins("growth").await.expect("the same"), first, "a second tab has the same page");
    assert_eq!(list(&gate.shop.state().await, "checkout_sessions").len(), 1);
    let (id, session) = gate.shop.newest_page().await;
    gate.shop.on_page(&session, "expire").await;
    gate.shop.advance(hours(2)).await;
    gate.shop.reconcile().await;
    assert_eq!((gate.state(id).await, gate.begun().await), (CheckoutState::Expired, (0, 0)));
    let since = gate.shop.now().await - days(1);
    let left = gate.shop.store.newest_plan_checkout(gate.partner, since).await.expect("asked").expect("a page");
    assert_eq!(left.purpose, CheckoutFor::Plan { code: "growth".to_owned(), name: "growth".to_owned() });
    gate.begins("growth").await.expect("opened again");
    let (again, session) = gate.shop.newest_page().await;
    assert_ne!(again, id);
    gate.shop.on_page(&session, "complete").await;
    // Before any webhook, whoever opens it anew is told what came of it.
    let told = gate.begins("growth").await.expect_err("it has begun").to_string();
    assert!(told.contains("There is a plan by now"), "{told}");
    assert_eq!(gate.begun().await, (1, 1));
}

#[tokio::test]
async fn a_payment_that_takes_days_begins_the_plan_when_it_is_there_or_never() {
    for (step, begun) in [("succeed", (1, 1)), ("fail", (0, 0))] {
        let gate = Gate::open().await;
        gate.begins("growth").await.expect("opened");
        let (id, session) = gate.shop.newest_page().await;
        gate.shop.on_page(&session, "complete_unpaid").await;
        gate.told(2, false).await;
        assert_eq!((gate.state(id).await, gate.begun().await), (CheckoutState::Processing, (0, 0)));
        let again = gate.begins("growth").await.expect_err("it is on its way").to_string();
        assert!(again.contains("on its way"), "{again}");
        gate.shop.advance(days(4)).await;
        gate.shop.on_page(&session, step).await;
        gate.told(2, true).await;
        assert_eq!(gate.begun().await, begun);
        assert_eq!(gate.letters().await.len(), begun.0, "whose payment does not come reads it in the portal");
        assert_eq!(list(&gate.shop.state().await, "refunds").len(), 0);
    }
}

#[tokio::test]
async fn a_page_for_another_plan_ends_the_first_and_what_is_paid_on_both_goes_back_once() {
    for reversed in [false, true] {
        let gate = Gate::open().await;
        sold(&gate.shop, "scale", |terms| terms.base_fee_micros = 99_000_000).await;
        gate.begins("growth").await.expect("opened");
        let (first, one) = gate.shop.newest_page().await;
        gate.begins("scale").await.expect("opened");
        let (second, other) = gate.shop.newest_page().await;
        assert_eq!(gate.state(first).await, CheckoutState::Expired);
        gate.shop.open_page_again(&one).await;
        gate.shop.on_page(&one, "complete").await;
        gate.shop.on_page(&other, "complete").await;
        for _ in 0..3 {
            gate.told(2, reversed).await;
        }
        gate.shop.advance(hours(3)).await;
        gate.shop.reconcile().await;
        assert_eq!(gate.begun().await, (1, 1));
        let states = [gate.state(first).await, gate.state(second).await];
        assert!(states.contains(&CheckoutState::Complete) && states.contains(&CheckoutState::PaidBack), "{states:?}");
        let state = gate.shop.state().await;
        let [refund] = list(&state, "refunds") else { panic!("not one: {state}") };
        let kept = gate.shop.store.invoices(gate.partner).await.expect("invoices")[0].total.micros / 10_000;
        assert_eq!(refund["amount"].as_i64().expect("a number") + kept, 4_900 + 9_900, "all of the other one");
        let letters = gate.letters().await;
        let [begun, back] = letters.as_slice() else { panic!("not two: {letters:?}") };
        assert!(
            begun.contains("begun for $") && back.ends_with("back: Another page for the plan was paid before"),
            "{letters:?}"
        );
        gate.shop.keep_requests("plan_twice").await;
    }
}

#[tokio::test]
async fn what_is_paid_for_a_plan_that_there_is_by_then_goes_back() {
    let gate = Gate::open().await;
    gate.begins("growth").await.expect("opened");
    let (id, session) = gate.shop.newest_page().await;
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    let other = gate.shop.plan("given", terms("invoice_items")).await;
    store.assign_plan_version(gate.partner, other, Actor::System, now).await.expect("an operator's plan");
    gate.shop.on_page(&session, "complete").await;
    gate.told(3, false).await;
    assert_eq!(gate.state(id).await, CheckoutState::PaidBack);
    assert_eq!(gate.begun().await, (1, 0), "the operator's plan stays, and nothing was billed");
    assert_eq!(gate.letters().await, ["$49.00 back: There was a plan already when it was paid"]);
    let state = gate.shop.state().await;
    assert_eq!(list(&state, "refunds").len(), 1);
    let own = store.subscription(gate.partner).await.expect("asked").expect("a plan");
    assert_eq!((own.version_id, own.status), (other, SubscriptionStatus::Active));
    let refused = store.open_plan_checkout(gate.partner, &growth(gate.version), Actor::System, now).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
}

#[tokio::test]
async fn another_amount_begins_nothing() {
    let gate = Gate::open().await;
    gate.begins("growth").await.expect("opened");
    let (_, session) = gate.shop.newest_page().await;
    gate.shop.on_page(&session, "complete").await;
    let set = json!({ "amount_total": 1 });
    gate.shop.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
    gate.told(1, false).await;
    assert_eq!(gate.begun().await, (0, 0));
    let failed = Some(store::stripe_events::StripeEventState::Failed);
    let events = gate.shop.store.stripe_events(failed, None, 50).await.expect("a list").items;
    assert!(events.iter().any(|event| event.error.as_deref().is_some_and(|text| text.contains("was not begun"))));
}

#[tokio::test]
async fn a_plan_that_a_server_of_the_version_before_did_not_begin_is_made_good() {
    let gate = Gate::open().await;
    gate.begins("growth").await.expect("opened");
    let (id, session) = gate.shop.newest_page().await;
    gate.shop.on_page(&session, "complete").await;
    // As a server does that takes the page for one on which a payment method was left.
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    store.end_checkout(gate.partner, id, CheckoutState::Complete, now).await.expect("ended");
    gate.shop.advance(hours(2)).await;
    for _ in 0..2 {
        gate.shop.reconcile().await;
    }
    assert_eq!(gate.begun().await, (1, 1));
}

#[tokio::test]
async fn nothing_is_paid_first_where_another_document_would_change_it() {
    let gate = Gate::open().await;
    let (shop, store, now) = (&gate.shop, &gate.shop.store, gate.shop.now().await);
    sold(shop, "arrears", |terms| terms.fee_due = FeeDue::Arrears).await;
    sold(shop, "free", |terms| terms.base_fee_micros = 0).await;
    sold(shop, "tried", |terms| {
        terms.trial = Some(serde_json::from_value(json!({ "days": 14 })).expect("a trial"));
    })
    .await;
    let due = async |code: &str| {
        let plan = store.find_plan_by_code(code).await.expect("asked").expect("a plan").id;
        first_fee(store, gate.partner, plan, now).await.expect("previewed").map(|fee| fee.cost().micros)
    };
    assert_eq!(due("growth").await, Some(49_000_000));
    for code in ["arrears", "free", "tried"] {
        assert_eq!(due(code).await, None, "{code}");
    }
    store.assign_plan_version(gate.partner, gate.version, Actor::System, now).await.expect("a plan");
    assert_eq!(due("arrears").await, None, "who has a plan changes it");
}

#[tokio::test]
async fn no_plan_is_chosen_while_one_is_being_paid() {
    let gate = Gate::open().await;
    sold(&gate.shop, "free", |terms| terms.base_fee_micros = 0).await;
    gate.begins("growth").await.expect("opened");
    let (id, session) = gate.shop.newest_page().await;
    for code in ["growth", "free"] {
        let told = gate.chooses(code).await.expect_err("somebody may be paying").to_string();
        assert!(told.contains("on which growth is paid"), "{told}");
    }
    gate.shop.on_page(&session, "complete_unpaid").await;
    // The page is asked after first, also before any webhook.
    gate.ends_pages().await;
    assert_eq!(gate.state(id).await, CheckoutState::Processing);
    assert!(gate.shop.store.payment_method(gate.partner).await.expect("asked").is_none());
    gate.told(1, false).await;
    for code in ["growth", "free"] {
        let told = gate.chooses(code).await.expect_err("the money is on its way").to_string();
        assert!(told.contains("growth begins when it is there"), "{told}");
    }
    assert_eq!(gate.begun().await, (0, 0));
    gate.shop.advance(days(4)).await;
    gate.shop.on_page(&session, "succeed").await;
    gate.told(1, false).await;
    gate.shop.close(gate.shop.now().await).await;
    assert_eq!(gate.begun().await, (1, 1), "one fee");
}

#[tokio::test]
async fn an_open_page_ends_before_another_plan_is_chosen_and_one_that_was_paid_counts() {
    let gate = Gate::open().await;
    sold(&gate.shop, "free", |terms| terms.base_fee_micros = 0).await;
    gate.begins("growth").await.expect("opened");
    let (id, _) = gate.shop.newest_page().await;
    gate.ends_pages().await;
    assert_eq!(gate.state(id).await, CheckoutState::Expired);
    assert_eq!(list(&gate.shop.state().await, "checkout_sessions")[0]["status"], "expired");
    gate.chooses("free").await.expect("nobody pays");
    assert_eq!(gate.begun().await.0, 1);

    let gate = Gate::open().await;
    sold(&gate.shop, "free", |terms| terms.base_fee_micros = 0).await;
    gate.begins("growth").await.expect("opened");
    let (_, session) = gate.shop.newest_page().await;
    let (wanted, _) = gate.shown("free").await;
    gate.shop.on_page(&session, "complete").await;
    gate.ends_pages().await;
    assert_eq!(gate.begun().await, (1, 1), "it was paid, and that is found before any webhook");
    let own = gate.shop.store.subscription(gate.partner).await.expect("asked").expect("a plan");
    assert!(own.version_id == gate.version && wanted.wish != Wish::Plan(own.plan));
}

#[tokio::test]
async fn a_page_of_another_account_ends_and_so_does_a_payment_that_nobody_knows_of_for_weeks() {
    let gate = Gate::open().await;
    let lost = gate.page_of_another_account().await;
    gate.begins("growth").await.expect("another page");
    assert_eq!(gate.state(lost).await, CheckoutState::Expired);
    gate.ends_pages().await;

    let lost = gate.page_of_another_account().await;
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    store.end_checkout(gate.partner, lost, CheckoutState::Processing, now).await.expect("noted");
    gate.shop.advance(days(20)).await;
    gate.shop.reconcile().await;
    assert_eq!(gate.state(lost).await, CheckoutState::Processing);
    gate.shop.advance(days(9)).await;
    gate.shop.reconcile().await;
    assert_eq!(gate.state(lost).await, CheckoutState::Failed);
    gate.begins("growth").await.expect("another page");
}

#[tokio::test]
async fn a_page_of_another_account_keeps_nobody_from_another_plan() {
    for by_page in [false, true] {
        let gate = Gate::open().await;
        sold(&gate.shop, "free", |terms| terms.base_fee_micros = 0).await;
        sold(&gate.shop, "scale", |terms| terms.base_fee_micros = 99_000_000).await;
        let lost = gate.page_of_another_account().await;
        let told = gate.chooses("free").await.expect_err("nobody has asked after it yet").to_string();
        assert!(told.contains("on which growth is paid"), "{told}");
        match by_page {
            // A page for another plan takes its place.
            true => drop(gate.begins("scale").await.expect("another page")),
            false => gate.ends_pages().await,
        }
        assert_eq!(gate.state(lost).await, CheckoutState::Expired);
        gate.ends_pages().await;
        gate.chooses("free").await.expect("nobody pays");
        assert_eq!(gate.begun().await.0, 1);
    }
}

#[tokio::test]
async fn a_page_that_cannot_be_settled_keeps_the_partner_from_no_other() {
    let gate = Gate::open().await;
    sold(&gate.shop, "scale", |terms| terms.base_fee_micros = 99_000_000).await;
    gate.begins("growth").await.expect("opened");
    let (_, session) = gate.shop.newest_page().await;
    gate.shop.on_page(&session, "complete").await;
    let set = json!({ "amount_total": 1 });
    gate.shop.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
    gate.begins("scale").await.expect("opened all the same");
    let (_, session) = gate.shop.newest_page().await;
    gate.shop.on_page(&session, "complete").await;
    gate.told(1, false).await;
    assert_eq!(gate.begun().await, (1, 1));
}

#[tokio::test]
async fn what_a_suspended_partner_pays_goes_back() {
    let gate = Gate::open().await;
    gate.begins("growth").await.expect("opened");
    let (id, session) = gate.shop.newest_page().await;
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    store.suspend_partner(gate.partner, "misuse", Actor::System, now).await.expect("suspended");
    gate.shop.on_page(&session, "complete").await;
    gate.told(2, false).await;
    assert_eq!((gate.state(id).await, gate.begun().await), (CheckoutState::PaidBack, (0, 0)));
    let held = store.checkout(gate.partner, id).await.expect("ours");
    assert!(held.pay_back.expect("a reason").contains("suspended"));
    assert_eq!(gate.letters().await, ["$49.00 back: The account was suspended when it was paid"]);
    assert_eq!(list(&gate.shop.state().await, "refunds").len(), 1);
}

#[tokio::test]
async fn a_fee_that_stripe_is_too_large_for_is_not_paid_first() {
    let gate = Gate::open().await;
    let (shop, now) = (&gate.shop, gate.shop.now().await);
    sold(shop, "coins", |terms| terms.base_fee_micros = 490_000).await;
    sold(shop, "half", |terms| terms.base_fee_micros = 500_000).await;
    let plan = shop.store.find_plan_by_code("coins").await.expect("asked").expect("a plan").id;
    assert!(first_fee(&shop.store, gate.partner, plan, now).await.expect("previewed").is_none());
    gate.begins("half").await.expect("opened");
    // Stripe itself says so.
    let customer = list(&shop.state().await, "customers")[0]["id"].as_str().expect("an id").to_owned();
    let parameters = [
        ("mode", "payment"),
        ("customer", &customer),
        ("success_url", BACK),
        ("cancel_url", BACK),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "49"),
        ("line_items[0][price_data][product_data][name]", "coins"),
    ];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let refused = shop.stripe.create_checkout(&parameters, "coins").await.expect_err("too small");
    assert!(refused.is_too_small(), "{refused}");
}

#[tokio::test]
async fn what_stripe_charges_at_least_is_known_in_every_currency() {
    let gate = Gate::open().await;
    for currency in Currency::ALL {
        let least: i64 = match currency {
            Currency::Gbp => 30,
            Currency::Sek => 300,
            _ => 50,
        };
        for (code, coins) in [("below", least - 1), ("enough", least)] {
            let code = format!("{code}-{}", currency.code().to_lowercase());
            sold(&gate.shop, &code, |terms| {
                (terms.currency, terms.base_fee_micros) = (currency, coins * currency.micros_per_minor());
                terms.included_credit_micros = 0;
            })
            .await;
            let (store, now) = (&gate.shop.store, gate.shop.now().await);
            let plan = store.find_plan_by_code(&code).await.expect("asked").expect("a plan").id;
            let due = first_fee(store, gate.partner, plan, now).await.expect("previewed");
            assert_eq!(due.is_some(), coins == least, "{code}");
            if due.is_some() {
                gate.begins(&code).await.expect("and Stripe opens a page for it");
            }
        }
    }
}

#[tokio::test]
async fn what_is_paid_is_what_was_shown_within_ten_minutes() {
    let gate = Gate::open().await;
    let store = &gate.shop.store;
    let due = async |token: &str| {
        let plan = store.find_plan_by_code("growth").await.expect("asked").expect("a plan").id;
        first_fee_as_shown(store, gate.partner, plan, token, gate.shop.now().await).await
    };
    let (_, token) = gate.shown("growth").await;
    assert_eq!(due(&token).await.expect("as shown").expect("a fee").cost().micros, 49_000_000);
    assert!(matches!(due("").await, Err(ChangeRefused::Moved(_))), "nothing was shown");
    let plan = store.find_plan_by_code("growth").await.expect("asked").expect("a plan").id;
    let mut dearer = terms("invoice_items");
    (dearer.fee_due, dearer.base_fee_micros) = (FeeDue::Advance, 59_000_000);
    store.add_plan_version(plan, &dearer, Actor::System, gate.shop.now().await).await.expect("a version");
    assert!(matches!(due(&token).await, Err(ChangeRefused::Moved(_))), "it costs more by now");
    let (_, token) = gate.shown("growth").await;
    assert_eq!(due(&token).await.expect("as shown").expect("a fee").cost().micros, 59_000_000);
    gate.shop.advance(hours(1)).await;
    assert!(matches!(due(&token).await, Err(ChangeRefused::Moved(_))), "that is long ago");
}

#[tokio::test]
async fn a_payment_that_is_on_its_way_is_told_of_before_newer_pages_and_however_long_it_takes() {
    let gate = Gate::open().await;
    let scale = sold(&gate.shop, "scale", |_| {}).await;
    let (store, now) = (&gate.shop.store, gate.shop.now().await);
    let open = async |version| {
        store.open_plan_checkout(gate.partner, &growth(version), Actor::System, now).await.expect("noted").id
    };
    let (first, second) = (open(gate.version).await, open(scale).await);
    store.end_checkout(gate.partner, first, CheckoutState::Processing, now).await.expect("noted");
    let told = store.newest_plan_checkout(gate.partner, now + days(4)).await.expect("asked").expect("a page");
    assert_eq!((told.id, told.state), (first, CheckoutState::Processing));
    // As a server of the version before notes it, which begins nothing.
    store.end_checkout(gate.partner, second, CheckoutState::Complete, now).await.expect("noted");
    assert_eq!(gate.state(second).await, CheckoutState::Processing);
}
