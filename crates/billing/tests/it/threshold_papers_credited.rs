//! What is credited on threshold invoices is given back once: where their period becomes cheaper, where one of them is void after a later
//! one was made, and where Stripe credits one that is void here.

use crate::{
    corrections::{asked, carry_out, draft},
    shop::{Shop, days, hours},
    threshold_papers::{credit, dispute, of, said},
    thresholds::{START, at, dollars, made, priced, row, shown, sold, totals, void},
};
use billing::{apply_pending_webhooks, drift, project, stripe::Stripe};
use domain::{
    correction::Change,
    id::{InvoiceId, PartnerId},
    rating::LineKind,
};
use serde_json::json;
use store::{
    Actor, LedgerAccount, OrderedBy,
    stripe_drift::{DriftFilter, DriftKind},
    stripe_returns::ReturnState,
};

const CLOSED: &str = "2026-07-01T01:00:00Z";

/// What the partner owes by the ledger, in whole dollars.
async fn owed(shop: &Shop, partner: PartnerId) -> i64 {
    let books = shop.store.ledger_balances(partner).await.expect("balances");
    books.iter().filter(|(held, _)| *held == LedgerAccount::Receivable).map(|(_, money)| money.micros / 1_000_000).sum()
}

#[tokio::test]
async fn what_was_credited_on_a_line_is_not_given_back_once_more_where_the_period_becomes_cheaper() {
    // What is credited of 200.00, of the line or of none; what the last invoice comes to where the line is 100.00; what the partner then owes
    // of it all.
    let of_line =
        [(0, -100, 100), (50, -100, 50), (100, -100, 0), (150, -50, 0), (200, 0, 0)].map(|one| (Some(0), one));
    let of_none = [(50, -100, 50), (150, -50, 0), (200, 0, 0)].map(|one| (None, one));
    for (line, (credited, last, left)) in of_line.into_iter().chain(of_none) {
        let shop = Shop::open().await;
        let rest = json!({
            "invoice_threshold_micros": 100_000_000,
            "price": { "model": "volume", "steps": [{ "up_to": 200, "unit_price": "1" }, { "unit_price": "0.25" }] },
        });
        let (_, partner) = sold(&shop, rest).await;
        shop.live(partner, at(START) + days(1), &[(1, 200)]).await;
        let now = at(START) + days(2);
        let first = shop.close(now).await.invoices[0];
        if credited > 0 {
            credit(&shop, (partner, first), (line, dollars(credited)), now).await.expect("credited");
        }
        shop.live(partner, at(START) + days(3), &[(1, 200)]).await;
        let seen = project(&shop.store, partner, at(START) + days(4)).await.expect("rated").expect("a bill");
        assert_eq!(seen.so_far.total, dollars(last), "the bill so far");
        shop.close(at(CLOSED)).await;
        let made = made(&shop, partner).await;
        assert_eq!(made[1].0.total, dollars(last), "{credited} of {line:?}");
        assert_eq!(owed(&shop, partner).await, left, "{credited} of {line:?}");
        let words = format!("Credited already on threshold invoice {} of what costs less by now", made[0].0.code());
        let twice = shown(&made[1].1).into_iter().filter(|line| line.1 == words).map(|line| line.3);
        let beyond = (credited - 100).max(0);
        assert_eq!(
            twice.collect::<Vec<_>>(),
            (beyond > 0).then(|| format!("${beyond}.00")).into_iter().collect::<Vec<_>>()
        );
        // Nothing is left of what is dearer than that on the first one.
        let own = shop.store.own_part(partner, first, 0).await.expect("asked").expect("shared");
        assert_eq!(own.amount, dollars(100));
    }
}

#[tokio::test]
async fn what_was_credited_before_a_coupon_is_not_given_back_once_more_than_was_billed() {
    let shop = Shop::open().await;
    let rest = json!({
        "invoice_threshold_micros": 100_000_000,
        "price": { "model": "volume", "steps": [{ "up_to": 200, "unit_price": "1" }, { "unit_price": "0.25" }] },
    });
    let (_, partner) = sold(&shop, rest).await;
    let coupon = serde_json::from_value(json!({ "name": "Half", "percent": "50" })).expect("a coupon");
    shop.store.put_coupon("half", &coupon, Actor::System, at(START)).await.expect("saved");
    let redeemed = shop.store.redeem_coupon(partner, "half", OrderedBy::Operator, Actor::System, at(START));
    redeemed.await.expect("redeemed");
    shop.live(partner, at(START) + days(1), &[(1, 200)]).await;
    let now = at(START) + days(2);
    let first = shop.close(now).await.invoices[0];
    // All that the invoice comes to, and half of the line.
    credit(&shop, (partner, first), (Some(0), dollars(100)), now).await.expect("credited");
    // 100.00 less 50.00 in place of 200.00 less 100.00.
    shop.live(partner, at(START) + days(3), &[(1, 200)]).await;
    let seen = project(&shop.store, partner, at(START) + days(4)).await.expect("rated").expect("a bill");
    assert_eq!(seen.so_far.total, dollars(0), "the bill so far");
    shop.close(at(CLOSED)).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$100.00", "$0.00"]);
    assert_eq!(owed(&shop, partner).await, 0);
}

#[tokio::test]
async fn nothing_is_made_good_where_the_period_is_dear_again() {
    let shop = Shop::open().await;
    // 200 units at a dollar, 600 at a quarter, 2,400 at half a dollar.
    let steps =
        json!([{ "up_to": 200, "unit_price": "1" }, { "up_to": 600, "unit_price": "0.25" }, { "unit_price": "0.5" }]);
    let rest = json!({ "invoice_threshold_micros": 100_000_000, "price": { "model": "volume", "steps": steps } });
    let (_, partner) = sold(&shop, rest).await;
    shop.live(partner, at(START) + days(1), &[(1, 200)]).await;
    let now = at(START) + days(2);
    let first = shop.close(now).await.invoices[0];
    credit(&shop, (partner, first), (Some(0), dollars(200)), now).await.expect("credited");
    shop.live(partner, at(START) + days(3), &[(1, 440)]).await;
    // 640 units for 320.00: nothing is cheaper.
    let second = shop.close(at(START) + days(4)).await.invoices[0];
    assert_eq!(shop.store.own_part(partner, second, 0).await.expect("asked").expect("shared").amount, dollars(120));
    shop.close(at(CLOSED)).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$200.00", "$120.00", "$0.00"]);
    assert_eq!(owed(&shop, partner).await, 120);
}

/// Of what was credited of a line that a correction made cheaper, nothing is to be made good where the line is dear again. What the invoice
/// between billed too much is no invoice below zero, which nobody could credit, but goes back with the last one.
#[tokio::test]
async fn what_was_made_good_too_early_goes_back_with_the_last_invoice() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 20_000_000 })).await;
    let coupon = serde_json::from_value(json!({ "name": "Half", "percent": "50" })).expect("a coupon");
    shop.store.put_coupon("half", &coupon, Actor::System, at(START)).await.expect("saved");
    let redeemed = shop.store.redeem_coupon(partner, "half", OrderedBy::Operator, Actor::System, at(START));
    redeemed.await.expect("redeemed");
    let mistaken = at(START) + days(1) + hours(2);
    shop.live(partner, at(START) + days(1), &[(1, 40)]).await;
    shop.live(partner, mistaken, &[(1, 160)]).await;
    let now = at(START) + days(2);
    let first = shop.close(now).await.invoices[0];
    credit(&shop, (partner, first), (Some(0), dollars(90)), now).await.expect("credited");
    void(&shop, partner, first, now).await;
    // 40.00 of a line of which 90.00 were credited, and 400.00 of another, by half.
    let (from, to) = (mistaken.to_string(), (mistaken + hours(1)).to_string());
    let now = now.to_string();
    let (id, _) = draft(&shop, partner, asked(Change::Void, &from, &to), &now).await;
    carry_out(&shop, id, &now).await;
    shop.live(partner, at(START) + days(3), &[(2, 400)]).await;
    shop.close(at(START) + days(4)).await;
    shop.live(partner, at(START) + days(5), &[(1, 50)]).await;
    assert_eq!(shop.close(at(START) + days(6)).await.invoices, [], "245.00 less 180.00 and less 90.00");
    shop.close(at(CLOSED)).await;
    assert_eq!(totals(&made(&shop, partner).await), ["$100.00", "$180.00", "−$25.00"]);
    assert_eq!(owed(&shop, partner).await, 155);
}

#[tokio::test]
async fn what_a_void_one_billed_before_a_later_one_is_disputed_and_credited_on_the_invoice_that_bills_it() {
    let shop = Shop::open().await;
    let (_, partner) = sold(&shop, json!({ "invoice_threshold_micros": 100_000_000 })).await;
    shop.live(partner, at(START) + days(1), &[(1, 100)]).await;
    let first = shop.close(at(START) + days(2)).await.invoices[0];
    shop.live(partner, at(START) + days(3), &[(1, 150)]).await;
    let second = shop.close(at(START) + days(4)).await.invoices[0];
    void(&shop, partner, first, at(START) + days(5)).await;
    let own = shop.store.own_part(partner, second, 0).await.expect("asked").expect("shared");
    assert_eq!(own.amount, dollars(150), "as much as it comes to");
    shop.live(partner, at(START) + days(6), &[(1, 10)]).await;
    let now = at(CLOSED);
    shop.close(now).await;
    let made = made(&shop, partner).await;
    assert_eq!(totals(&made), ["$100.00", "$150.00", "$110.00"]);
    let (last, lines) = &made[2];
    let line = (last.id, of(lines, "create"));
    let code = made[1].0.code();
    let told = said(dispute(&shop, partner, line, dollars(111), now).await);
    let there = format!("{code} of the same period has billed the rest, which is disputed and credited there");
    assert_eq!(told, format!("Of this line $110.00 is left to dispute: {there}"));
    dispute(&shop, partner, line, dollars(110), now).await.expect("all that it bills");
    credit(&shop, (partner, second), (Some(0), dollars(150)), now).await.expect("all that it bills");
    let told = said(credit(&shop, (partner, last.id), (Some(line.1), dollars(111)), now).await);
    assert!(told.starts_with("Of this line $110.00 is left to credit"), "{told}");
}

/// A partner with a threshold invoice over $100.00 that Stripe has, and of which somebody has credited $30.00 there.
struct Credited {
    shop: Shop,
    partner: PartnerId,
    first: InvoiceId,
    note: String,
}

/// The same without the credit: the invoice, and what Stripe calls it.
async fn sent() -> (Shop, PartnerId, InvoiceId, String) {
    let shop = Shop::open().await;
    let plan = shop.plan("sold", priced(json!({ "invoice_threshold_micros": 100_000_000 }))).await;
    let begin = shop.now().await;
    let partner = shop.partner("acme", plan, begin).await;
    shop.live(partner, begin + hours(1), &[(1, 100)]).await;
    shop.close(begin + hours(4)).await;
    shop.advance(hours(4)).await;
    shop.reconcile().await;
    let first = made(&shop, partner).await[0].0.id;
    let held = shop.at_stripe(first).await.0["id"].as_str().expect("an id").to_owned();
    (shop, partner, first, held)
}

impl Credited {
    async fn at_stripe() -> Self {
        let (shop, partner, first, held) = sent().await;
        let note = by_hand(&shop.stripe, &held, &[]).await;
        Self { shop, partner, first, note }
    }

    /// The same once it is paid there: the money goes to the customer's balance.
    async fn of_what_was_paid_at_stripe() -> Self {
        let (shop, partner, first, held) = sent().await;
        shop.control("invoices", json!({ "invoice": held, "step": "pay" })).await;
        let note = by_hand(&shop.stripe, &held, &[("credit_amount", "3000")]).await;
        Self { shop, partner, first, note }
    }

    /// An operator makes it void before anybody of ours has heard of that.
    async fn is_made_void(&self) {
        void(&self.shop, self.partner, self.first, self.shop.now().await).await;
    }

    /// All events that Stripe has.
    async fn told(&self) {
        let now = self.shop.now().await;
        for event in crate::shop::list(&self.shop.state().await, "events") {
            let (id, kind) = (event["id"].as_str().expect("an id"), event["type"].as_str().expect("a type"));
            let id = format!("{id}-{now}");
            self.shop.store.keep_stripe_event(&id, kind, event, now).await.expect("kept");
        }
        apply_pending_webhooks(self.shop.desk(), now).await.expect("applied");
    }

    async fn compared(&self) {
        drift::compare(&self.shop.store, &self.shop.stripe, self.shop.now().await).await.expect("compared");
    }

    /// What waits for a person.
    async fn waits(&self) -> Vec<String> {
        let filter = DriftFilter { kind: Some(DriftKind::Invoice), ..DriftFilter::default() };
        let found = self.shop.store.all_partners_stripe_drift(&filter, None, 10).await.expect("a list").items;
        found.into_iter().map(|one| one.drift.theirs).collect()
    }

    async fn closes_the_month(&self) {
        self.shop.advance(days(32)).await;
        self.shop.close(self.shop.now().await).await;
    }
}

async fn by_hand(stripe: &Stripe, invoice: &str, rest: &[(&str, &str)]) -> String {
    let parameters = [&[("invoice", invoice), ("amount", "3000"), ("memo", "Goodwill")], rest].concat();
    let parameters: Vec<_> = parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    stripe.create("/v1/credit_notes", &parameters, "by hand").await.expect("credited")
}

#[tokio::test]
async fn what_stripe_credited_on_one_that_was_void_here_by_then_is_not_billed_again() {
    for heard in ["with the void", "by a webhook before it", "by a webhook", "by the comparison"] {
        let credited = Credited::at_stripe().await;
        let Credited { shop, partner, .. } = &credited;
        credited.is_made_void().await;
        match heard {
            "with the void" => drop(shop.reconcile().await),
            "by a webhook before it" => credited.told().await,
            "by a webhook" => {
                shop.reconcile().await;
                credited.told().await;
                credited.told().await;
            }
            _ => credited.compared().await,
        }
        let now = shop.now().await;
        let seen = project(&shop.store, *partner, now).await.expect("rated").expect("a bill");
        assert_eq!((seen.billed_before, seen.so_far.total), (dollars(0), dollars(70)), "{heard}");
        shop.live(*partner, now, &[(1, 100)]).await;
        shop.advance(hours(3)).await;
        shop.close(shop.now().await).await;
        credited.closes_the_month().await;
        let made = made(shop, *partner).await;
        assert_eq!(totals(&made)[..3], ["$100.00", "$170.00", "$0.00"], "{heard}");
        let words = format!("Credited already on threshold invoice {}, which is void", made[0].0.code());
        assert_eq!(shown(&made[1].1)[1], row(LineKind::BilledBefore, &words, 1, "−$30.00"));
        assert_eq!(credited.waits().await, Vec::<String>::new());
        // What is heard of it afterwards changes nothing.
        credited.told().await;
        credited.compared().await;
        shop.reconcile().await;
        assert_eq!((owed(shop, *partner).await, credited.waits().await.len()), (170, 0), "{heard}");
    }
}

#[tokio::test]
async fn what_stripe_gave_back_of_what_was_paid_there_is_not_taken_off_as_well() {
    let credited = Credited::of_what_was_paid_at_stripe().await;
    let Credited { shop, partner, first, note } = &credited;
    credited.is_made_void().await;
    credited.told().await;
    credited.compared().await;
    let held = shop.store.stripe_returns_of(*partner, *first).await.expect("a list");
    let held: Vec<_> = held.iter().map(|one| (&one.stripe_id, one.state, one.is_carried)).collect();
    assert_eq!(held, [(note, ReturnState::Over, false)]);
    let seen = project(&shop.store, *partner, shop.now().await).await.expect("rated").expect("a bill");
    assert_eq!(seen.so_far.total, dollars(100), "it is billed again");
    credited.closes_the_month().await;
    assert_eq!(totals(&made(shop, *partner).await)[..2], ["$100.00", "$100.00"]);
}

#[tokio::test]
async fn what_stripe_credited_is_not_given_back_where_the_usage_is_corrected_away() {
    let credited = Credited::at_stripe().await;
    let Credited { shop, partner, .. } = &credited;
    credited.is_made_void().await;
    shop.reconcile().await;
    let now = shop.now().await;
    let (from, to) = ((now - hours(4)).to_string(), now.to_string());
    let (id, _) = draft(shop, *partner, asked(Change::Void, &from, &to), &to).await;
    carry_out(shop, id, &to).await;
    let seen = project(&shop.store, *partner, now).await.expect("rated").expect("a bill");
    assert_eq!(seen.so_far.total, dollars(0));
    credited.closes_the_month().await;
    let made = made(shop, *partner).await;
    assert_eq!(totals(&made)[..2], ["$100.00", "$0.00"]);
    let lines: Vec<_> = shown(&made[1].1).into_iter().map(|line| line.3).collect();
    assert_eq!(lines, ["−$30.00", "$30.00"]);
    assert_eq!(owed(shop, *partner).await, 0);
}

#[tokio::test]
async fn what_stripe_credited_on_one_whose_period_is_closed_waits_for_a_person() {
    let credited = Credited::at_stripe().await;
    credited.is_made_void().await;
    credited.closes_the_month().await;
    assert_eq!(totals(&made(&credited.shop, credited.partner).await)[..2], ["$100.00", "$100.00"]);
    credited.shop.reconcile().await;
    credited.told().await;
    credited.compared().await;
    let waits = credited.waits().await;
    let [one] = waits.as_slice() else { panic!("not one: {waits:?}") };
    assert!(one.contains(&credited.note) && one.contains("on that one"), "{one}");
}
