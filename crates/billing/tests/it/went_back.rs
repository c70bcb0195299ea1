//! Money that goes back at Stripe and not by us is taken over once, however Stripe tells of it; what cannot be taken over is told.

use crate::shop::{Shop, days, hours, list, terms};
use billing::drift;
use domain::{
    credit::package::CreditPackage,
    id::{CreditNoteId, InvoiceId, PartnerId},
    key_text::Environment,
    money::{Currency, Money},
};
use serde_json::{Value, json};
use store::{
    Actor, InvoiceStatus, LedgerAccount, NewCreditPurchase,
    credit_notes::{CreditKind, CreditState, Issue, NewCreditLine, NewCreditNote, Payback},
    stripe_drift::{DriftFilter, DriftKind},
    stripe_returns::ReturnState,
};

pub struct Till {
    pub shop: Shop,
    pub partner: PartnerId,
    pub invoice: InvoiceId,
}

impl Till {
    /// An invoice over $49.00 that is sent.
    pub async fn sent() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, now - days(32)).await;
        let invoice = shop.close(now).await.invoices[0];
        shop.reconcile().await;
        Self { shop, partner, invoice }
    }

    /// A thousand units for $20.00, which are sent.
    pub async fn of_units() -> Self {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let mut terms = terms("invoice_items");
        terms.admission.credit.required = true;
        let plan = shop.plan("prepaid", terms).await;
        let partner = shop.partner("acme", plan, now - days(3)).await;
        let package = json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": "20.00" });
        let package: CreditPackage = serde_json::from_value(package).expect("a package");
        shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
        let new = NewCreditPurchase { code: "thousand".to_owned(), quantity: 1, reference: "a".to_owned(), cost: None };
        let invoice = shop.store.buy_credit(partner, &new, Actor::System, now).await.expect("bought").invoice;
        shop.reconcile().await;
        Self { shop, partner, invoice }
    }

    pub async fn paid(self) -> Self {
        let id = self.at_stripe().await;
        self.shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
        self.told(1, false).await;
        assert_eq!(self.status().await, InvoiceStatus::Paid);
        self
    }

    pub async fn at_stripe(&self) -> String {
        self.shop.at_stripe(self.invoice).await.0["id"].as_str().expect("an id").to_owned()
    }

    /// Stripe's name of the payment.
    pub async fn payment(&self) -> String {
        let state = self.shop.state().await;
        let id = self.at_stripe().await;
        let paid = list(&state, "invoice_payments").iter().find(|paid| paid["invoice"] == id.as_str());
        paid.expect("a payment")["payment"]["payment_intent"].as_str().expect("an id").to_owned()
    }

    /// What somebody does in Stripe's dashboard.
    pub async fn in_dashboard(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let key = format!("dashboard {}", uuid::Uuid::new_v4());
        self.shop.stripe.create(path, &parameters, &key).await.expect("done")
    }

    /// All events are posted as they stand, so often, newest first or not.
    pub async fn told(&self, times: usize, reversed: bool) {
        let now = self.shop.now().await;
        let state = self.shop.state().await;
        let mut events = list(&state, "events").to_vec();
        if reversed {
            events.reverse();
        }
        for _ in 0..times {
            // Under another name each time, so that each is looked at.
            for event in &mut events {
                event["id"] = json!(format!("evt_{}", uuid::Uuid::new_v4().simple()));
            }
            self.shop.hears(&events, now).await;
        }
    }

    pub async fn status(&self) -> InvoiceStatus {
        self.shop.store.invoice(self.partner, self.invoice).await.expect("ours").0.status
    }

    pub async fn problem(&self) -> String {
        self.shop.store.invoice(self.partner, self.invoice).await.expect("ours").0.push_problem.unwrap_or_default()
    }

    /// What credit notes took off, and how many there are.
    pub async fn credited(&self) -> (i64, usize) {
        let notes = self.shop.store.credit_notes_of(self.partner, self.invoice).await.expect("notes");
        let issued: Vec<_> = notes.iter().filter(|note| note.state == CreditState::Issued).collect();
        (issued.iter().map(|note| note.total.micros / 10_000).sum(), issued.len())
    }

    pub async fn cash(&self) -> i64 {
        let books = self.shop.store.ledger_balances(self.partner).await.expect("balances");
        books.iter().find(|(held, _)| *held == LedgerAccount::Cash).map_or(0, |(_, money)| money.micros / 10_000)
    }

    pub async fn owed(&self) -> i64 {
        let books = self.shop.store.ledger_balances(self.partner).await.expect("balances");
        books.iter().find(|(held, _)| *held == LedgerAccount::Receivable).map_or(0, |(_, money)| money.micros / 10_000)
    }

    pub async fn units(&self) -> i64 {
        self.shop.store.credit(self.partner).await.expect("a standing").balance
    }

    pub async fn is_sound(&self) {
        assert_eq!(self.shop.store.check_all_credit().await.expect("checked"), []);
    }

    /// What Stripe is asked of all that happened lately.
    pub async fn compared(&self) -> Vec<String> {
        drift::compare(&self.shop.store, &self.shop.stripe, self.shop.now().await).await.expect("compared");
        let filter = DriftFilter { kind: Some(DriftKind::Invoice), ..DriftFilter::default() };
        let found = self.shop.store.all_partners_stripe_drift(&filter, None, 50).await.expect("a list").items;
        found.into_iter().map(|one| one.drift.theirs).collect()
    }

    /// Another thousand units, bought on a page whose invoice Stripe does not name.
    pub async fn bought_on_page(&self) -> InvoiceId {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let new =
            NewCreditPurchase { code: "thousand".to_owned(), quantity: 1, reference: "page".to_owned(), cost: None };
        let pages = billing::payment::StripePages::usual();
        let (who, back) = ((self.partner, Actor::System), "https://portal.example/credit");
        let opened = billing::payment::open_credit_checkout(self.shop.desk(), &pages, who, (&new, back), now).await;
        opened.expect("opened");
        let session = list(&self.shop.state().await, "checkout_sessions")[0]["id"].as_str().expect("an id").to_owned();
        self.shop.control("checkout", json!({ "session": session, "step": "complete" })).await;
        let set = json!({ "invoice": null });
        self.shop.control("change", json!({ "kind": "checkout_sessions", "id": session, "set": set })).await;
        self.told(1, false).await;
        assert_eq!(self.units().await, 1_000);
        let bought = store.credit_purchases(self.partner).await.expect("purchases");
        bought.iter().find(|bought| bought.reference == "page").expect("bought").invoice
    }

    /// A credit note of ours over so many cents of the first line.
    pub async fn credits(&self, invoice: InvoiceId, cents: i64, seen_paid: bool) -> CreditNoteId {
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let amount = Money::new(Currency::Usd, cents * 10_000);
        let lines = vec![NewCreditLine { invoice_position: Some(0), amount }];
        let (kind, payback, reason) = (CreditKind::Credit, Payback::Refund, "Too many".to_owned());
        let new = NewCreditNote { invoice, kind, lines, payback, reason };
        let note = store.draft_credit_note(self.partner, &new, false, Actor::System, now).await.expect("a draft");
        let issue = Issue { seen_paid, four_eyes: false };
        assert!(store.issue_credit_note(self.partner, note, issue, Actor::System, now).await.expect("issued"));
        note
    }
}

#[tokio::test]
async fn a_refund_in_stripes_dashboard_is_credited_once_and_goes_to_stripe_no_more() {
    for reversed in [false, true] {
        let till = Till::sent().await.paid().await;
        let payment = till.payment().await;
        till.in_dashboard("/v1/refunds", &[("payment_intent", &payment), ("amount", "1900")]).await;
        for _ in 0..2 {
            till.told(2, reversed).await;
            till.shop.advance(hours(2)).await;
        }
        assert_eq!((till.credited().await, till.cash().await), ((1_900, 1), 3_000));
        assert_eq!(till.status().await, InvoiceStatus::Paid);
        till.in_dashboard("/v1/refunds", &[("payment_intent", &payment)]).await;
        till.told(2, !reversed).await;
        assert_eq!((till.credited().await, till.cash().await, till.owed().await), ((4_900, 2), 0, 0));
        for _ in 0..2 {
            till.shop.reconcile().await;
        }
        let state = till.shop.state().await;
        assert_eq!((list(&state, "credit_notes").len(), list(&state, "refunds").len()), (0, 2));
        assert_eq!(till.problem().await, "");
        till.shop.keep_requests("went_back").await;
    }
}

#[tokio::test]
async fn several_who_hear_of_a_refund_at_once_credit_it_once() {
    let till = Till::of_units().await.paid().await;
    let payment = till.payment().await;
    let id = till.in_dashboard("/v1/refunds", &[("payment_intent", &payment), ("amount", "500")]).await;
    let back = store::stripe_returns::StripeReturn {
        stripe_id: id,
        kind: store::stripe_returns::ReturnKind::Refund,
        amount: Money::new(Currency::Usd, 5_000_000),
        unpaid: Money::zero(Currency::Usd),
        returned: store::stripe_returns::Returned::Back,
        reason: String::new(),
    };
    let (store, now) = (&till.shop.store, till.shop.now().await);
    let take = async || store.take_stripe_return((till.partner, till.invoice), &back, now).await.expect("taken").state;
    let states = tokio::join!(take(), take(), take(), take());
    assert_eq!(states, (ReturnState::Taken, ReturnState::Taken, ReturnState::Taken, ReturnState::Taken));
    assert_eq!((till.credited().await, till.units().await), ((500, 1), 750));
    till.is_sound().await;
}

#[tokio::test]
async fn a_refund_takes_the_units_back_that_it_paid_for_once() {
    for reversed in [false, true] {
        let till = Till::of_units().await.paid().await;
        assert_eq!(till.units().await, 1_000);
        let payment = till.payment().await;
        till.in_dashboard("/v1/refunds", &[("payment_intent", &payment), ("amount", "500")]).await;
        till.told(3, reversed).await;
        assert_eq!((till.credited().await, till.units().await), ((500, 1), 750));
        // A credit note that is made of the refund afterwards is the same money.
        let id = till.at_stripe().await;
        let refund = list(&till.shop.state().await, "refunds")[0]["id"].as_str().expect("an id").to_owned();
        let parts = [
            ("invoice", id.as_str()),
            ("amount", "700"),
            ("refunds[0][refund]", &refund),
            ("refunds[0][amount_refunded]", "500"),
            ("out_of_band_amount", "200"),
        ];
        till.in_dashboard("/v1/credit_notes", &parts).await;
        till.told(2, !reversed).await;
        assert_eq!((till.credited().await, till.units().await), ((700, 2), 650));
        till.is_sound().await;
    }
}

#[tokio::test]
async fn our_own_refunds_are_not_taken_for_somebody_elses() {
    let till = Till::of_units().await.paid().await;
    till.credits(till.invoice, 500, true).await;
    till.shop.reconcile().await;
    assert_eq!(list(&till.shop.state().await, "refunds").len(), 1, "Stripe pays it back");
    till.told(2, true).await;
    assert_eq!(till.compared().await, Vec::<String>::new());
    assert_eq!((till.credited().await, till.units().await), ((500, 1), 750));
}

#[tokio::test]
async fn a_refund_of_units_that_are_used_is_a_finding_until_somebody_decides() {
    let till = Till::of_units().await.paid().await;
    let now = till.shop.now().await;
    till.shop.paid_by_credit(till.partner, (now, now), Environment::Live, &[(0, 900, 900)]).await;
    till.shop.advance(hours(2)).await;
    let later = till.shop.now().await;
    till.shop.store.settle_credit(till.partner, later).await.expect("settled");
    let payment = till.payment().await;
    let id = till.in_dashboard("/v1/refunds", &[("payment_intent", &payment)]).await;
    till.told(2, false).await;
    assert_eq!(till.credited().await, (0, 0), "units that are used are not taken");
    let problem = till.problem().await;
    assert!(problem.contains(&id) && problem.contains("not taken over"), "{problem}");
    let found = till.compared().await;
    assert!(found.len() == 1 && found[0].contains(&id), "{found:?}");
    till.is_sound().await;
}

#[tokio::test]
async fn a_dispute_is_told_while_it_is_open_and_taken_over_once_when_it_is_lost() {
    for (step, credited, units) in [("lost", (2_000, 1), 0), ("won", (0, 0), 1_000), ("warning_closed", (0, 0), 1_000)]
    {
        let till = Till::of_units().await.paid().await;
        let id = till.at_stripe().await;
        till.shop.control("disputes", json!({ "invoice": id })).await;
        till.told(2, false).await;
        assert!(till.problem().await.contains("is disputed at Stripe"), "{}", till.problem().await);
        assert_eq!((till.credited().await, till.units().await), ((0, 0), 1_000));
        let dispute = list(&till.shop.state().await, "disputes")[0]["id"].clone();
        till.shop.control("disputes", json!({ "dispute": dispute, "step": step })).await;
        // The end of it is heard of before its beginning, too.
        till.told(2, true).await;
        till.told(2, false).await;
        assert_eq!((till.credited().await, till.units().await), (credited, units), "{step}");
        assert_eq!((till.problem().await.as_str(), till.compared().await.len()), ("", 0), "{step}");
        till.is_sound().await;
    }
}

#[tokio::test]
async fn what_no_webhook_told_of_is_found_by_the_comparison() {
    let till = Till::sent().await.paid().await;
    let payment = till.payment().await;
    till.in_dashboard("/v1/refunds", &[("payment_intent", &payment), ("amount", "900")]).await;
    till.shop.advance(days(2)).await;
    for _ in 0..2 {
        assert_eq!(till.compared().await.len(), 0);
    }
    assert_eq!((till.credited().await, till.cash().await), ((900, 1), 4_000));
    let requests = till.shop.stand_in.control("GET", "count", Value::Null).await.expect("a count")["requests"].as_u64();
    till.compared().await;
    let after = till.shop.stand_in.control("GET", "count", Value::Null).await.expect("a count")["requests"].as_u64();
    assert!(after.zip(requests).is_some_and(|(after, before)| after - before < 8), "what is known is not asked about");
    till.shop.keep_requests("swept").await;
}

#[tokio::test]
async fn what_is_credited_at_stripe_before_it_is_paid_is_owed_no_more() {
    for reversed in [false, true] {
        let till = Till::sent().await;
        let id = till.at_stripe().await;
        till.in_dashboard("/v1/credit_notes", &[("invoice", &id), ("amount", "900"), ("memo", "Goodwill")]).await;
        till.told(2, reversed).await;
        assert_eq!((till.credited().await, till.owed().await, till.cash().await), ((900, 1), 4_000, 0));
        till.shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
        till.told(2, !reversed).await;
        assert_eq!((till.status().await, till.cash().await, till.owed().await), (InvoiceStatus::Paid, 4_000, 0));
        assert_eq!(till.credited().await, (900, 1));
    }
    // All of it, which Stripe calls paid: no cash came.
    let till = Till::sent().await;
    let id = till.at_stripe().await;
    till.in_dashboard("/v1/credit_notes", &[("invoice", &id), ("amount", "4900")]).await;
    till.told(2, true).await;
    assert_eq!((till.credited().await, till.owed().await, till.cash().await), ((4_900, 1), 0, 0));
}

#[tokio::test]
async fn a_refund_whose_invoice_stripe_does_not_name_is_made_by_its_payment() {
    let till = Till::of_units().await;
    let invoice = till.bought_on_page().await;
    let note = till.credits(invoice, 500, true).await;
    // The answer is lost at first, and Stripe has forgotten the key when it is asked again.
    till.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
    till.shop.reconcile().await;
    till.shop.control("faults", json!({})).await;
    till.shop.advance(days(2)).await;
    for _ in 0..3 {
        till.shop.reconcile().await;
    }
    let state = till.shop.state().await;
    let [refund] = list(&state, "refunds") else { panic!("not one: {state}") };
    assert_eq!(refund["amount"], 500);
    let (held, _) = till.shop.store.credit_note(till.partner, note).await.expect("ours");
    assert!(held.pushed_at.is_some() && held.push_problem.is_none(), "{held:?}");
    till.shop.keep_requests("unnamed_refund").await;
}

#[tokio::test]
async fn what_stripe_refuses_for_good_can_be_marked_paid_and_is_paid_nowhere_else() {
    let till = Till::sent().await;
    let (store, now) = (&till.shop.store, till.shop.now().await);
    let refused = store.mark_invoice_paid(till.partner, till.invoice, Actor::System, now).await;
    assert!(refused.expect_err("Stripe collects it").to_string().contains("Stripe collects"));

    for (step, problem) in [("draft", ""), ("open", ""), ("paid", "was paid there, too")] {
        let shop = Shop::open().await;
        let now = shop.now().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, now - days(32)).await;
        let invoice = shop.close(now).await.invoices[0];
        let create = async |path: &str, parameters: &[(&str, &str)]| {
            let owned = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            shop.stripe.create(path, &owned, &uuid::Uuid::new_v4().to_string()).await.expect("done")
        };
        // What another server made of it before Stripe refused it for good.
        let customer = create("/v1/customers", &[("name", "acme"), ("email", "a@acme.example")]).await;
        let (own, subject) = (invoice.to_string(), format!("invoice:{invoice}"));
        let draft = [("customer", customer.as_str()), ("currency", "usd"), ("metadata[turnpike_invoice]", &own)];
        let id = create("/v1/invoices", &draft).await;
        let item = [("customer", customer.as_str()), ("currency", "usd"), ("invoice", &id), ("amount", "4900")];
        create("/v1/invoiceitems", &item).await;
        if step != "draft" {
            create(&format!("/v1/invoices/{id}/finalize"), &[]).await;
        }
        if step == "paid" {
            shop.control("invoices", json!({ "invoice": id, "step": "pay" })).await;
        }
        let store = &shop.store;
        store.begin_stripe_object(partner, &subject, 1, &Vec::new(), now).await.expect("noted");
        store.finish_stripe_object(partner, &subject, &id, now).await.expect("noted");
        assert!(store.take_invoice_for_stripe(partner, invoice, now).await.expect("taken"));
        store.set_push_problem(partner, invoice, "Stripe refuses it", now).await.expect("noted");
        assert!(store.mark_invoice_paid(partner, invoice, Actor::System, now).await.expect("marked"));
        for _ in 0..2 {
            shop.reconcile().await;
        }
        let state = shop.state().await;
        let can_be_paid = |held: &&Value| held["status"] == "open" || held["status"] == "draft";
        assert_eq!(list(&state, "invoices").iter().filter(can_be_paid).count(), 0, "nobody pays it there: {step}");
        let (held, _) = store.invoice(partner, invoice).await.expect("ours");
        let told = held.push_problem.unwrap_or_default();
        assert!(held.status == InvoiceStatus::Paid && told.contains(problem) && told.is_empty() == problem.is_empty());
        let left = store.all_partners_invoices_paid_elsewhere(10).await.expect("a list").len();
        assert_eq!(left, usize::from(step == "paid"));
        let cash = store.ledger_balances(partner).await.expect("balances");
        let cash = cash.iter().find(|(account, _)| *account == LedgerAccount::Cash).map(|(_, money)| money.micros);
        assert_eq!(cash, Some(49_000_000), "once: {step}");
        shop.keep_requests(&format!("paid_elsewhere_{step}")).await;
    }
}
