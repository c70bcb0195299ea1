//! Trials, from the first day to the first invoice that is paid: free as said, once, told before they end, and without a gap.

use crate::shop::{Shop, hours, terms};
use billing::{News, Recipient, project, tell_of_ending_trials};
use domain::{
    id::PartnerId,
    period::Period,
    plan::{Approval, PlanTerms},
    rating::{LineKind, Trial, discount::DiscountOn},
};
use jiff::Timestamp;
use serde_json::json;
use store::{Actor, NewMail, NewPlan, PlanMeta};

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn tried(fee_due: &str) -> PlanTerms {
    serde_json::from_value(json!({
        "currency": "USD", "products": [{ "product": "payments" }], "base_fee_micros": 90_000_000, "fee_due": fee_due,
        "price": { "model": "per_unit", "unit_price": "0.01" }, "quota": { "units": 100_000, "beyond": "bill" },
        "discounts": [{ "name": "Launch", "percent": "50", "on": "base_fee", "periods": 1 }],
        "trial": { "days": 14, "quota": { "units": 1_000, "beyond": "block" } },
    }))
    .expect("terms")
}

type Bill = (Period, String, Vec<(LineKind, String)>);

/// The partner's invoices, oldest first.
async fn bills(shop: &Shop, partner: PartnerId) -> Vec<Bill> {
    let mut bills = Vec::new();
    for invoice in shop.store.invoices(partner).await.expect("invoices").into_iter().rev() {
        let (invoice, lines) = shop.store.invoice(partner, invoice.id).await.expect("an invoice");
        let lines = lines.into_iter().map(|line| (line.kind, line.amount.to_string())).collect();
        bills.push((invoice.period, invoice.total.to_string(), lines));
    }
    bills
}

#[tokio::test]
async fn a_trial_is_free_and_the_first_period_that_is_paid_begins_where_it_ends() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", tried("arrears")).await;
    let (start, until, end) = (at("2026-01-05T09:30:00Z"), at("2026-01-19T09:30:00Z"), at("2026-02-19T09:30:00Z"));
    let partner = shop.partner("acme", plan, start).await;
    let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
    assert_eq!((own.trial_until, own.anchor), (Some(until), until));
    let quota = |at| own.quota_at(at).expect("a quota").units;
    assert_eq!((quota(start), quota(until - hours(1)), quota(until)), (1_000, 1_000, 100_000));
    shop.live(partner, start + hours(1), &[(1, 100)]).await;
    // The last call of the trial, and the first after it.
    let last = until.checked_sub(jiff::SignedDuration::from_micros(1)).expect("before");
    shop.live(partner, last, &[(1, 10)]).await;
    shop.live(partner, until, &[(1, 50)]).await;
    let seen = project(&shop.store, partner, start + hours(48)).await.expect("projects").expect("a plan");
    assert_eq!((seen.so_far.total.micros, seen.period.end), (0, until));
    shop.close(end + hours(1)).await;
    let free = (Period { start, end: until }, "$0.00".to_owned(), vec![(LineKind::Usage, "$0.00".to_owned())]);
    let lines = [(LineKind::BaseFee, "$90.00"), (LineKind::Usage, "$0.50"), (LineKind::Discount, "−$45.00")];
    let lines = lines.map(|(kind, amount)| (kind, amount.to_owned())).to_vec();
    let paid = (Period { start: until, end }, "$45.50".to_owned(), lines);
    assert_eq!(bills(&shop, partner).await, [free, paid]);
}

#[tokio::test]
async fn a_second_trial_of_the_same_plan_is_refused() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", tried("arrears")).await;
    let other = shop.plan("other", terms("invoice_items")).await;
    let partner = shop.partner("acme", plan, at("2026-01-05T00:00:00Z")).await;
    let moves = async |version, when| {
        shop.store.assign_plan_version(partner, version, Actor::System, at(when)).await.expect("changed");
        let own = shop.store.subscription(partner).await.expect("answered").expect("a plan");
        (own.trial_until, own.quota_at(at(when)).map(|quota| quota.units))
    };
    assert_eq!(moves(other, "2026-01-10T00:00:00Z").await, (None, None));
    assert_eq!(moves(plan, "2026-01-12T00:00:00Z").await, (None, Some(100_000)), "it had its trial");
    shop.close(at("2026-01-19T01:00:00Z")).await;
    let last = bills(&shop, partner).await.pop().expect("an invoice");
    assert!(last.2.contains(&(LineKind::BaseFee, "$20.32".to_owned())), "7 of 31 days of 90.00 are paid: {last:?}");
    // Somebody else has it for the first time.
    let bolt = shop.partner("bolt", plan, at("2026-01-12T00:00:00Z")).await;
    let own = shop.store.subscription(bolt).await.expect("answered").expect("a plan");
    assert_eq!(own.trial_until, Some(at("2026-01-26T00:00:00Z")));
}

#[tokio::test]
async fn neither_another_plan_nor_terms_of_its_own_give_a_second_trial() {
    let shop = Shop::open().await;
    let pro = shop.plan("pro", tried("arrears")).await;
    let max = shop.plan("max", tried("arrears")).await;
    let trial_after = async |partner, version, when| {
        shop.store.assign_plan_version(partner, version, Actor::System, at(when)).await.expect("changed");
        shop.store.subscription(partner).await.expect("answered").expect("a plan").trial_until
    };
    let own_terms = async |partner, code: &str, when| {
        let meta = PlanMeta {
            name: code.to_owned(),
            summary: String::new(),
            position: 0,
            private: true,
            approval: Approval::Automatic,
        };
        let new = NewPlan { code: code.to_owned(), meta, terms: tried("arrears") };
        let own = shop.store.derive_plan(partner, pro, &new, Actor::System, at(when)).await.expect("derived");
        shop.store.plan(own).await.expect("a plan").versions[0].id
    };
    let acme = shop.partner("acme", pro, at("2026-01-05T00:00:00Z")).await;
    let own = own_terms(acme, "acme-own", "2026-01-07T00:00:00Z").await;
    assert_eq!(trial_after(acme, own, "2026-01-07T00:00:00Z").await, Some(at("2026-01-19T00:00:00Z")), "it goes on");
    assert_eq!(trial_after(acme, max, "2026-01-10T00:00:00Z").await, None, "one trial for a partner");

    let free = PlanTerms { trial: None, ..tried("arrears") };
    let id = shop.store.find_plan_by_code("pro").await.expect("answered").expect("a plan").id;
    shop.store.add_plan_version(id, &free, Actor::System, at("2026-01-05T00:00:00Z")).await.expect("added");
    let paying = shop.store.plan(id).await.expect("a plan").versions[0].id;
    let bolt = shop.partner("bolt", paying, at("2026-01-05T00:00:00Z")).await;
    let own = own_terms(bolt, "bolt-own", "2026-03-07T00:00:00Z").await;
    assert_eq!(trial_after(bolt, own, "2026-03-07T00:00:00Z").await, None, "it has paid for the plan");
}

#[tokio::test]
async fn a_new_version_leaves_a_trial_as_it_is_and_one_without_a_trial_ends_it() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", tried("arrears")).await;
    let id = shop.store.find_plan_by_code("pro").await.expect("answered").expect("a plan").id;
    let partner = shop.partner("acme", plan, at("2026-01-05T00:00:00Z")).await;
    let until = at("2026-01-19T00:00:00Z");
    let moved = async |terms: PlanTerms, when| {
        shop.store.add_plan_version(id, &terms, Actor::System, at(when)).await.expect("added");
        shop.store.move_to_newest_version(partner, Actor::System, at(when)).await.expect("moved");
        shop.store.subscription(partner).await.expect("answered").expect("a plan").trial_until
    };
    let dearer = PlanTerms { base_fee_micros: 95_000_000, ..tried("arrears") };
    assert_eq!(moved(dearer.clone(), "2026-01-07T00:00:00Z").await, Some(until));
    assert_eq!(moved(PlanTerms { trial: None, ..dearer }, "2026-01-09T00:00:00Z").await, None);
    shop.close(until + hours(1)).await;
    let totals: Vec<String> = bills(&shop, partner).await.into_iter().map(|bill| bill.1).collect();
    // 10 of 31 days of 95.00, less the half of the first period.
    assert_eq!(totals, ["$15.32"]);
}

#[tokio::test]
async fn a_fee_in_advance_is_billed_when_the_trial_ends() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", tried("advance")).await;
    let partner = shop.partner("acme", plan, at("2026-01-05T00:00:00Z")).await;
    shop.close(at("2026-01-18T00:00:00Z")).await;
    assert_eq!(bills(&shop, partner).await, []);
    shop.close(at("2026-01-19T01:00:00Z")).await;
    let billed = bills(&shop, partner).await;
    assert_eq!(billed.len(), 1, "{billed:?}");
    let period = Period { start: at("2026-01-19T00:00:00Z"), end: at("2026-02-19T00:00:00Z") };
    assert_eq!((billed[0].0, billed[0].1.as_str()), (period, "$45.00"));
}

#[tokio::test]
async fn what_is_not_free_in_a_trial_is_paid_in_it() {
    let shop = Shop::open().await;
    let trial = Some(Trial { days: 14, free: DiscountOn::BaseFee, quota: None });
    let plan = shop.plan("pro", PlanTerms { trial, ..tried("arrears") }).await;
    let start = at("2026-01-05T00:00:00Z");
    let partner = shop.partner("acme", plan, start).await;
    shop.live(partner, start + hours(1), &[(1, 300)]).await;
    shop.close(at("2026-01-19T01:00:00Z")).await;
    let billed = bills(&shop, partner).await;
    assert_eq!(
        (billed.len(), billed[0].1.as_str(), &billed[0].2),
        (1, "$3.00", &vec![(LineKind::Usage, "$3.00".to_owned())])
    );
}

#[tokio::test]
async fn the_end_is_told_three_days_before_and_once() {
    let shop = Shop::open().await;
    let plan = shop.plan("pro", tried("arrears")).await;
    let partner = shop.partner("acme", plan, at("2026-01-05T00:00:00Z")).await;
    shop.member(partner, "money@acme.example").await;
    let letter = |to: &Recipient, news: &News| {
        let News::TrialEnds { plan, at, then, is_left } = news else { panic!("{news:?}") };
        let subject = format!("{plan} {at} {then} {is_left}");
        NewMail { recipient: to.email.clone(), subject, body_text: String::new(), body_html: String::new() }
    };
    let tell = async |when| tell_of_ending_trials(&shop.store, &letter, at(when)).await.expect("told");
    let heard = async || -> Vec<(String, String)> {
        let mails = shop.store.all_mails(50).await.expect("mails");
        mails
            .into_iter()
            .filter(|mail| mail.subject.starts_with("pro"))
            .map(|mail| (mail.recipient, mail.subject))
            .collect()
    };
    assert_eq!(tell("2026-01-15T23:59:59Z").await, 0, "not yet");
    assert_eq!(tell("2026-01-16T00:00:00Z").await, 1);
    assert_eq!(tell("2026-01-16T00:00:01Z").await, 0, "once");
    let told = "pro 2026-01-19T00:00:00Z $90.00 a month, and usage as your plan's page says false".to_owned();
    assert_eq!(heard().await, [("money@acme.example".to_owned(), told)]);
    // Whoever comes to it later, after it is over, hears nothing.
    let late = shop.partner("bolt", plan, at("2026-01-05T00:00:00Z")).await;
    shop.member(late, "money@bolt.example").await;
    assert_eq!(tell("2026-01-19T00:00:00Z").await, 0);
    assert_eq!(heard().await.len(), 1);
}
