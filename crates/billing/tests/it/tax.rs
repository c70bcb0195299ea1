//! Tax is Stripe's: it computes it on top of our total, says what it came to, and no difference is made of it.

use crate::shop::{Shop, days, hours, list, terms};
use billing::payment::{StripePages, open_checkout, open_credit_checkout};
use domain::{
    credit::package::CreditPackage,
    id::{InvoiceId, PartnerId},
    money::{Currency, Money},
    plan::PlanTerms,
};
use serde_json::{Value, json};
use store::{
    Actor, InvoiceStatus, LedgerAccount, NewCreditPurchase,
    credit_notes::{CreditKind, Issue, NewCreditLine, NewCreditNote, Payback},
};

const BACK: &str = "https://portal.example/credit";

fn usd(cents: i64) -> Money {
    Money::new(Currency::Usd, cents * 10_000)
}

struct Till {
    shop: Shop,
    partner: PartnerId,
    invoice: InvoiceId,
}

impl Till {
    /// A closed month of $55.01 with a line below zero, at a provider whose taxes Stripe computes, 15 % everywhere.
    async fn closed() -> Self {
        let mut shop = Shop::open().await;
        shop.stripe = shop.stripe.clone().with_tax(true);
        shop.control("tax", json!({ "basis_points": 1500 })).await;
        let now = shop.now().await;
        let plan = shop.plan("starter", terms("invoice_items")).await;
        let partner = shop.partner("acme", plan, now - days(32)).await;
        shop.live(partner, now - days(30), &[(1, 700), (2, 2_501)]).await;
        let invoice = shop.close(now).await.invoices[0];
        Self { shop, partner, invoice }
    }

    /// The same, sent to a customer whose address Stripe has.
    async fn sent() -> Self {
        let till = Self::closed().await;
        till.shop.reconcile().await;
        till.has_address().await;
        assert_eq!(till.shop.reconcile().await.pushed, [till.invoice]);
        till
    }

    /// And paid.
    async fn paid() -> Self {
        let till = Self::sent().await;
        let (held, _) = till.shop.at_stripe(till.invoice).await;
        till.shop.control("invoices", json!({ "invoice": held["id"], "step": "pay" })).await;
        till.looked_at().await;
        assert_eq!(till.ours().await.0, InvoiceStatus::Paid);
        till
    }

    async fn has_address(&self) {
        let state = self.shop.state().await;
        let id = list(&state, "customers")[0]["id"].clone();
        let change = json!({ "kind": "customers", "id": id, "set": { "address": { "country": "NZ" } } });
        self.shop.control("change", change).await;
    }

    /// Stripe is asked, as an hour without a webhook has it.
    async fn looked_at(&self) {
        self.shop.advance(hours(2)).await;
        self.shop.reconcile().await;
    }

    /// Status, total and tax.
    async fn ours(&self) -> (InvoiceStatus, Money, Option<Money>) {
        let (held, _) = self.shop.store.invoice(self.partner, self.invoice).await.expect("an invoice");
        (held.status, held.total, held.tax)
    }

    async fn problem(&self) -> Option<String> {
        self.shop.store.invoice(self.partner, self.invoice).await.expect("an invoice").0.push_problem
    }

    /// Takes so much off the first line, before tax.
    async fn credits(&self, cents: i64, paid: bool) {
        let lines = vec![NewCreditLine { invoice_position: Some(0), amount: usd(cents) }];
        let (payback, reason) = (Payback::Refund, "Our mistake".to_owned());
        let new = NewCreditNote { invoice: self.invoice, kind: CreditKind::Credit, lines, payback, reason };
        let (store, now) = (&self.shop.store, self.shop.now().await);
        let id = store.draft_credit_note(self.partner, &new, false, Actor::System, now).await.expect("a draft");
        let issue = Issue { seen_paid: paid, four_eyes: false };
        assert!(store.issue_credit_note(self.partner, id, issue, Actor::System, now).await.expect("issued"));
    }
}

/// Names of parameters that were sent and that have to do with tax.
async fn told_of_tax(shop: &Shop) -> Vec<String> {
    let requests = shop.stand_in.control("GET", "requests", Value::Null).await.expect("a log");
    let mut names: Vec<String> = requests
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|request| request["params"].as_object())
        .flat_map(|params| params.keys().cloned())
        .filter(|name| name.contains("tax") || name.contains("address"))
        .collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn stripe_adds_its_tax_to_our_total_and_nothing_of_it_is_a_difference() {
    let till = Till::paid().await;
    let (held, how_many) = till.shop.at_stripe(till.invoice).await;
    // 15 % of $55.01 are $8.2515.
    assert_eq!((how_many, &held["total"], &held["total_excluding_tax"]), (1, &json!(6_326), &json!(5_501)));
    assert_eq!(held["amount_paid"], 6_326);
    let amounts: Vec<_> = list(&held["lines"], "data").iter().filter_map(|line| line["amount"].as_i64()).collect();
    assert_eq!(amounts, [4_900, 0, 601], "what the included credit takes off comes off the usage");
    assert_eq!(till.ours().await, (InvoiceStatus::Paid, usd(5_501), Some(usd(825))));
    let (ours, _) = till.shop.store.invoice(till.partner, till.invoice).await.expect("an invoice");
    assert_eq!(ours.total_with_tax(), Some(usd(6_326)));
    // Our books have what is ours.
    let balances = till.shop.store.ledger_balances(till.partner).await.expect("balances");
    let cash = balances.iter().find(|(account, _)| *account == LedgerAccount::Cash).expect("cash");
    assert_eq!(cash.1, usd(5_501));
    assert_eq!(till.problem().await, None);
    till.shop.keep_requests("tax").await;
}

#[tokio::test]
async fn without_a_place_or_while_the_tax_fails_it_stays_a_draft_and_the_reason_is_told() {
    let till = Till::closed().await;
    let report = till.shop.reconcile().await;
    assert_eq!((report.pushed.len(), report.problems.len()), (0, 1), "{report:?}");
    assert!(till.problem().await.expect("a reason").contains("does not know where the customer cus_"));
    assert_eq!(till.shop.at_stripe(till.invoice).await.0["status"], "draft");
    assert_eq!(till.ours().await, (InvoiceStatus::Open, usd(5_501), None));

    till.has_address().await;
    till.shop.control("tax", json!({ "basis_points": 1500, "fails": true })).await;
    till.shop.reconcile().await;
    assert!(till.problem().await.expect("a reason").contains("Stripe Tax failed"));
    assert_eq!(till.shop.at_stripe(till.invoice).await.0["status"], "draft");

    till.shop.control("tax", json!({ "basis_points": 1500 })).await;
    assert_eq!(till.shop.reconcile().await.pushed, [till.invoice]);
    assert_eq!(till.ours().await, (InvoiceStatus::Sent, usd(5_501), Some(usd(825))));
    assert_eq!(till.problem().await, None);
}

/// Here the draft has its tax before it is compared: whoever compares what comes with tax leaves it a draft.
#[tokio::test]
async fn a_draft_that_has_its_tax_from_the_first_on_is_no_difference() {
    let till = Till::paid().await;
    till.shop.advance(days(31)).await;
    let now = till.shop.now().await;
    let next = till.shop.close(now).await.invoices[0];
    let report = till.shop.reconcile().await;
    assert_eq!((report.pushed.as_slice(), report.problems.len()), ([next].as_slice(), 0), "{report:?}");
    let (ours, _) = till.shop.store.invoice(till.partner, next).await.expect("an invoice");
    assert_eq!((ours.status, ours.total, ours.tax), (InvoiceStatus::Sent, usd(4_900), Some(usd(735))));
    assert_eq!(till.shop.at_stripe(next).await.0["total"], 5_635);
}

#[tokio::test]
async fn nothing_of_tax_is_sent_where_it_is_off() {
    let shop = Shop::open().await;
    shop.control("tax", json!({ "basis_points": 1500 })).await;
    let now = shop.now().await;
    let plan = shop.plan("starter", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, now - days(32)).await;
    let invoice = shop.close(now).await.invoices[0];
    assert_eq!(shop.reconcile().await.pushed, [invoice]);
    let who = (partner, Actor::System);
    let method = (Currency::Usd, BACK);
    open_checkout(&shop.store, &shop.stripe, &StripePages::usual(), who, method, now).await.expect("a page");
    assert_eq!(told_of_tax(&shop).await, Vec::<String>::new());
    assert_eq!(shop.store.invoice(partner, invoice).await.expect("an invoice").0.tax, None);
}

#[tokio::test]
async fn a_draft_goes_on_as_it_was_begun_when_the_setting_changes() {
    // Begun with tax, and stuck for the want of an address.
    let mut till = Till::closed().await;
    till.shop.reconcile().await;
    till.shop.stripe = till.shop.stripe.clone().with_tax(false);
    till.has_address().await;
    assert_eq!(till.shop.reconcile().await.pushed, [till.invoice]);
    assert_eq!(till.ours().await.2, Some(usd(825)));
}

#[tokio::test]
async fn a_credit_note_of_an_unpaid_invoice_takes_its_part_of_the_tax_off() {
    let till = Till::sent().await;
    till.credits(900, false).await;
    till.shop.reconcile().await;
    let (held, _) = till.shop.at_stripe(till.invoice).await;
    // $9.00 and 15 % of it.
    assert_eq!(held["amount_remaining"], 6_326 - 1_035);
    till.credits(4_000, false).await;
    till.shop.reconcile().await;
    let (held, _) = till.shop.at_stripe(till.invoice).await;
    assert_eq!((&held["amount_remaining"], &held["status"]), (&json!(6_326 - 5_635), &json!("open")));
    let left = till.shop.store.credit_standing(till.partner, till.invoice).await.expect("a standing").left();
    assert_eq!(left, usd(601));
    till.shop.keep_requests("tax_credited").await;
}

#[tokio::test]
async fn a_credit_note_of_a_paid_invoice_pays_the_tax_back_once_even_where_the_answer_is_lost() {
    let till = Till::paid().await;
    till.credits(900, true).await;
    till.shop.control("faults", json!({ "error_after": 100, "only_changes": true })).await;
    till.shop.reconcile().await;
    till.shop.control("faults", json!({})).await;
    till.shop.reconcile().await;
    till.shop.reconcile().await;
    let state = till.shop.state().await;
    let refunds: Vec<_> = list(&state, "refunds").iter().filter_map(|refund| refund["amount"].as_i64()).collect();
    assert_eq!(refunds, [1_035]);
    // All of the rest: no coin of the tax is left or too much.
    till.credits(4_000, true).await;
    till.shop.reconcile().await;
    let state = till.shop.state().await;
    let refunds: i64 = list(&state, "refunds").iter().filter_map(|refund| refund["amount"].as_i64()).sum();
    assert_eq!(refunds, 5_635);
    let left = till.shop.store.credit_standing(till.partner, till.invoice).await.expect("a standing").left();
    assert_eq!(left, usd(601));
    till.shop.keep_requests("tax_refunded").await;
}

#[tokio::test]
async fn what_goes_back_in_stripes_dashboard_is_taken_over_before_tax() {
    for (coins, ours) in [(6_326, 5_501), (1_000, 869)] {
        let till = Till::paid().await;
        let state = till.shop.state().await;
        let intent = list(&state, "payment_intents")[0]["id"].as_str().expect("an id").to_owned();
        let parameters = vec![("payment_intent".to_owned(), intent), ("amount".to_owned(), coins.to_string())];
        till.shop.stripe.create("/v1/refunds", &parameters, "dashboard").await.expect("refunded");
        let now = till.shop.now().await;
        billing::drift::compare(&till.shop.store, &till.shop.stripe, now).await.expect("compared");
        let standing = till.shop.store.credit_standing(till.partner, till.invoice).await.expect("a standing");
        assert_eq!(standing.left(), usd(5_501 - ours), "{coins}");
        if ours < 5_501 {
            // The coin that was rounded off is not there to be paid back any more.
            till.credits(5_501 - ours, true).await;
            assert_eq!(till.shop.reconcile().await.problems, []);
            let state = till.shop.state().await;
            let refunds: i64 = list(&state, "refunds").iter().filter_map(|refund| refund["amount"].as_i64()).sum();
            assert_eq!(refunds, 6_326);
        }
    }
}

#[tokio::test]
async fn a_page_takes_the_tax_on_top_and_the_address_that_later_invoices_go_by() {
    let mut shop = Shop::open().await;
    shop.stripe = shop.stripe.clone().with_tax(true);
    shop.control("tax", json!({ "basis_points": 1500 })).await;
    let now = shop.now().await;
    let mut terms: PlanTerms = terms("invoice_items");
    terms.admission.credit.required = true;
    let plan = shop.plan("starter", terms).await;
    let partner = shop.partner("acme", plan, now - days(3)).await;
    let package = json!({ "name": "Thousand", "units": 1000, "currency": "USD", "price": "12.34" });
    let package: CreditPackage = serde_json::from_value(package).expect("a package");
    shop.store.put_credit_package(("thousand", None), &package, Actor::System, now).await.expect("sold");
    let new = NewCreditPurchase { code: "thousand".to_owned(), quantity: 2, reference: "a".to_owned(), cost: None };
    let who = (partner, Actor::System);
    open_credit_checkout(shop.desk(), &StripePages::usual(), who, (&new, BACK), now).await.expect("opened");
    let state = shop.state().await;
    let session = list(&state, "checkout_sessions")[0]["id"].clone();
    shop.control("checkout", json!({ "session": session, "step": "complete" })).await;
    shop.advance(hours(2)).await;
    shop.reconcile().await;

    let invoices = shop.store.invoices(partner).await.expect("invoices");
    // 15 % of $24.68 are $3.702.
    assert_eq!((invoices.len(), invoices[0].total, invoices[0].tax), (1, usd(2_468), Some(usd(370))));
    assert_eq!(invoices[0].status, InvoiceStatus::Paid);
    assert_eq!(shop.store.credit(partner).await.expect("a standing").balance, 2_000);
    let state = shop.state().await;
    assert_eq!(list(&state, "charges")[0]["amount"], 2_838);
    assert_eq!(list(&state, "customers")[0]["address"]["country"], "NZ");

    let till = Till { shop, partner, invoice: invoices[0].id };
    till.credits(2_468, true).await;
    till.shop.reconcile().await;
    assert_eq!(list(&till.shop.state().await, "refunds")[0]["amount"], 2_838, "with all of the tax");
    let who = (partner, Actor::System);
    let (method, now) = ((Currency::Usd, BACK), till.shop.now().await);
    open_checkout(&till.shop.store, &till.shop.stripe, &StripePages::usual(), who, method, now).await.expect("a page");
    till.shop.keep_requests("tax_on_pages").await;
}
