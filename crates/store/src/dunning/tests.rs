//! A partner that does not pay goes down step by step, told before each, and is back in the transaction that pays, credits, voids or
//! disputes; racing with the task it is never left suspended.

use super::*;
use crate::{
    Closed, InvoiceStatus, NewMail, Pause,
    credit_notes::{CreditKind, Issue, NewCreditNote, Payback},
    dunning::manage::Collection,
    invoices::tests::{billed_on, close},
    test_db::{self, TestStore, world},
};
use domain::directory::Directory;
use jiff::SignedDuration;

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

fn rules() -> serde_json::Value {
    json!({
        "currency": "USD", "products": [], "limits": [{"calls": 100, "window": "minute"}],
        "unpaid": {"grace_days": 10, "limited_days": 10, "limited_percent": 10, "minimum_micros": 40_000_000}
    })
}

/// Partners with an invoice over $49.00 each, due at that instant.
async fn owing() -> (TestStore, Vec<(PartnerId, InvoiceId)>, Timestamp) {
    let store = test_db::store().await;
    let mut owing = Vec::new();
    for of in billed_on(&store, rules()).await {
        let Ok(Closed::Invoiced(id)) = close(&store, of, 0, false).await else { panic!("not closed") };
        owing.push((of.partner, id));
    }
    let due = world::now() + days(44);
    for (partner, invoice) in &owing {
        let collection = Collection { due_at: Some(due), ..Collection::default() };
        store.note_collection(*partner, *invoice, &collection).await.expect("noted");
    }
    (store, owing, due)
}

/// What the task does for one partner, with one letter to each; how many steps it took.
async fn run(store: &Store, partner: PartnerId, now: Timestamp) -> u32 {
    let mut taken = 0;
    while let Some(step) = store.dunning_step(partner, now).await.expect("an answer") {
        let letters: Vec<NewMail> = match step.next {
            Next::Tell(..) => step.recipients.iter().map(|to| world::mail(to)).collect(),
            _ => Vec::new(),
        };
        if !store.take_dunning_step(&step, &letters, now).await.expect("taken") {
            break;
        }
        taken += 1;
    }
    taken
}

async fn run_days(store: &Store, partner: PartnerId, from: Timestamp, count: i64) {
    for day in 0..count {
        run(store, partner, from + days(day)).await;
    }
}

async fn stage(store: &Store, partner: PartnerId, now: Timestamp) -> Stage {
    store.dunning(partner, now).await.expect("a standing").stage
}

async fn actions(store: &Store, partner: PartnerId) -> Vec<String> {
    let page = store.audit_page(partner, None, 200).await.expect("a page");
    let all = page.items.into_iter().map(|entry| entry.action).filter(|action| action.starts_with("dunning."));
    let mut all: Vec<String> = all.collect();
    all.reverse();
    all
}

fn unpaid(directory: &Directory, partner: PartnerId) -> Option<Stage> {
    Some(directory.partner(partner)?.unpaid?.stage)
}

#[tokio::test]
async fn a_partner_goes_down_told_before_each_stage_and_the_directory_knows_the_invoice() {
    let (store, owing, due) = owing().await;
    let (partner, invoice) = owing[0];
    let verified = "update members set email_verified_at = now() where partner_id = $1";
    sqlx::query(verified).bind(partner.0).execute(store.pool()).await.expect("verified");
    let mails = async || {
        store.all_mails(100).await.expect("mails").into_iter().filter(|mail| mail.subject == "A subject").count()
    };
    run_days(&store, partner, due - days(5), 5).await;
    assert_eq!((stage(&store, partner, due).await, mails().await), (Stage::Good, 1), "told before it is due");
    run(&store, partner, due).await;
    assert_eq!(stage(&store, partner, due).await, Stage::Grace);
    assert_eq!(unpaid(&store.load_directory().await.expect("a directory"), partner), None, "gateways need not know");
    run_days(&store, partner, due, 11).await;
    assert_eq!((stage(&store, partner, due + days(10)).await, mails().await), (Stage::Limited, 2));
    let known = store.load_directory().await.expect("a directory");
    assert_eq!(unpaid(&known, partner), Some(Stage::Limited));
    run_days(&store, partner, due + days(11), 10).await;
    assert_eq!((stage(&store, partner, due + days(20)).await, mails().await), (Stage::Suspended, 3));
    let now = store.load_directory().await.expect("a directory");
    assert!(now.version > known.version);
    let told = now.partner(partner).and_then(|partner| partner.unpaid).expect("it is known");
    assert_eq!((told.stage, told.invoice, told.code().as_str()), (Stage::Suspended, invoice, "TP-000001"));
    let wanted = ["dunning.tell", "dunning.grace", "dunning.tell", "dunning.limit", "dunning.tell", "dunning.suspend"];
    assert_eq!(actions(&store, partner).await, wanted);
    let list = store.all_partners_unpaid(None, 10).await.expect("a page");
    assert_eq!(
        list.items.iter().map(|line| (line.partner, line.stage)).collect::<Vec<_>>(),
        [(partner, Stage::Suspended)]
    );
    assert_eq!(store.all_partners_stages().await.expect("counts"), [(Stage::Suspended, 1)]);

    store.set_invoice_status(partner, invoice, InvoiceStatus::Paid, due + days(21)).await.expect("paid");
    assert_eq!(stage(&store, partner, due + days(21)).await, Stage::Good);
    let back = store.load_directory().await.expect("a directory");
    assert_eq!((unpaid(&back, partner), back.version > now.version), (None, true));
    assert_eq!(actions(&store, partner).await.last().map(String::as_str), Some("dunning.return"));
    assert_eq!(run(&store, partner, due + days(30)).await, 0);
}

#[tokio::test]
async fn what_is_void_credited_disputed_or_too_small_suspends_nobody() {
    let (store, owing, due) = owing().await;
    let actor = Actor::System;
    let later = due + days(40);
    let suspend = async |partner| {
        run_days(&store, partner, due - days(3), 24).await;
        assert_eq!(stage(&store, partner, later).await, Stage::Suspended);
    };
    for (partner, _) in &owing[..6] {
        suspend(*partner).await;
    }
    let credit = async |(partner, invoice): (PartnerId, InvoiceId), kind, dollars: i64| {
        let amount = Money::new(Currency::Usd, dollars * 1_000_000);
        let lines = match kind {
            CreditKind::Void => Vec::new(),
            CreditKind::Credit => vec![crate::credit_notes::NewCreditLine { invoice_position: None, amount }],
        };
        let new = NewCreditNote { invoice, kind, lines, payback: Payback::Refund, reason: "Ours".to_owned() };
        let id = store.draft_credit_note(partner, &new, false, actor, later).await.expect("a draft");
        store
            .issue_credit_note(partner, id, Issue { seen_paid: false, four_eyes: false }, actor, later)
            .await
            .expect("issued");
        stage(&store, partner, later).await
    };
    assert_eq!(credit(owing[0], CreditKind::Void, 0).await, Stage::Good);
    assert_eq!(credit(owing[1], CreditKind::Credit, 5).await, Stage::Suspended, "$44.00 are above the minimum");
    assert_eq!(credit(owing[1], CreditKind::Credit, 5).await, Stage::Good, "$39.00 are not");
    assert_eq!(credit(owing[2], CreditKind::Credit, 49).await, Stage::Good);
    let (partner, invoice) = owing[3];
    store
        .dispute_invoice(partner, invoice, Some("Half of it was never called"), actor, later)
        .await
        .expect("held back");
    assert_eq!(stage(&store, partner, later).await, Stage::Good);
    store.dispute_invoice(partner, invoice, None, actor, later).await.expect("it goes on");
    run_days(&store, partner, later, 9).await;
    assert_eq!(stage(&store, partner, later + days(8)).await, Stage::Limited, "step by step, each told anew");
    run(&store, partner, later + days(9)).await;
    assert_eq!(stage(&store, partner, later + days(9)).await, Stage::Suspended);
    // Given up is not paid; a payment that comes after all is.
    let (partner, invoice) = owing[4];
    store.set_invoice_status(partner, invoice, InvoiceStatus::Uncollectible, later).await.expect("noted");
    assert_eq!(stage(&store, partner, later).await, Stage::Suspended);
    assert!(store.mark_invoice_paid(partner, invoice, actor, later).await.expect("paid"));
    assert!(!store.mark_invoice_paid(partner, invoice, actor, later).await.expect("paid already"));
    assert_eq!(stage(&store, partner, later).await, Stage::Good);
    for (partner, _) in [owing[0], owing[1], owing[2], owing[4]] {
        assert_eq!(run(&store, partner, later + days(100)).await, 0, "nothing comes back by itself");
    }
}

#[tokio::test]
async fn a_pause_brings_back_and_its_end_begins_the_days_anew() {
    let (store, owing, due) = owing().await;
    let (partner, _) = owing[0];
    run_days(&store, partner, due - days(3), 24).await;
    let now = due + days(21);
    let pause = |until, reason: &str| Pause { until, reason: reason.to_owned() };
    let wrong = [pause(now, "x"), pause(now + days(400), "x"), pause(now + days(1), " ")];
    for wrong in &wrong {
        store.pause_dunning(partner, Some(wrong), Actor::System, now).await.expect_err("refused");
    }
    let until = now + days(20);
    store.pause_dunning(partner, Some(&pause(until, "They pay in parts")), Actor::System, now).await.expect("paused");
    assert_eq!(stage(&store, partner, now).await, Stage::Good);
    run_days(&store, partner, now, 20).await;
    assert_eq!(stage(&store, partner, until - days(1)).await, Stage::Good);
    run_days(&store, partner, until, 4).await;
    assert_eq!(stage(&store, partner, until + days(4)).await, Stage::Grace, "told, and three days later");
    run_days(&store, partner, until + days(4), 7).await;
    assert_eq!(stage(&store, partner, until + days(10)).await, Stage::Limited);
    // Ended early, the days count from there.
    store
        .pause_dunning(partner, Some(&pause(until + days(50), "Again")), Actor::System, until + days(11))
        .await
        .expect("paused");
    store.pause_dunning(partner, None, Actor::System, until + days(12)).await.expect("ended");
    store.pause_dunning(partner, None, Actor::System, until + days(12)).await.expect_err("there is none");
    assert_eq!(stage(&store, partner, until + days(12)).await, Stage::Good);
    let own = OwnDays { grace: Some(0), limited: Some(365) };
    store.set_dunning_days(partner, own, Actor::System, until + days(12)).await.expect("set");
    run_days(&store, partner, until + days(12), 4).await;
    assert_eq!(stage(&store, partner, until + days(16)).await, Stage::Limited, "without days of grace");
    let long = OwnDays { grace: Some(366), limited: None };
    store.set_dunning_days(partner, long, Actor::System, until).await.expect_err("more than a year");
}

#[tokio::test]
async fn without_rules_or_a_day_that_it_is_due_on_nothing_follows() {
    let store = test_db::store().await;
    let of = billed_on(&store, json!({ "currency": "USD", "products": [] })).await[0];
    let Ok(Closed::Invoiced(_)) = close(&store, of, 0, false).await else { panic!("not closed") };
    let later = world::now() + days(400);
    assert_eq!(run(&store, of.partner, later).await, 0);
    assert_eq!(store.all_partners_set_due_days().await.expect("set"), 1);
    assert_eq!(store.all_partners_set_due_days().await.expect("set"), 0);
    assert_eq!(store.all_partners_to_dun(later).await.expect("partners"), [of.partner]);
    assert_eq!(run(&store, of.partner, later).await, 0, "the plan says nothing");
}

/// Each pays in a transaction that is open while the task goes to suspend it. Without the lock of the partner's row this fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_pays_while_the_task_suspends_is_never_left_suspended() {
    let (store, owing, due) = owing().await;
    store.warm().await;
    for (partner, _) in &owing {
        run_days(&store, *partner, due - days(3), 23).await;
        assert_eq!(stage(&store, *partner, due + days(19)).await, Stage::Limited);
    }
    let now = due + days(20);
    let mut suspended_first = 0;
    for (partner, invoice) in &owing {
        let (partner, invoice) = (*partner, *invoice);
        let step = store.dunning_step(partner, now).await.expect("an answer").expect("a step");
        assert_eq!(step.next, Next::Enter(Stage::Suspended));
        // The payment is in its transaction, and not committed, when the task looks.
        let mut paying = store.begin().await.expect("a transaction");
        crate::partners::lock(&mut paying, partner).await.expect("held");
        crate::invoices::move_to(&mut paying, partner, invoice, InvoiceStatus::Paid, now).await.expect("paid");
        settle(&mut paying, partner, Actor::System, now).await.expect("settled");
        let task = {
            let (store, step) = (store.handle(), step.clone());
            tokio::spawn(async move { store.take_dunning_step(&step, &[], now).await })
        };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        paying.commit().await.expect("committed");
        suspended_first += u32::from(task.await.expect("ran").expect("an answer"));
        assert_eq!(stage(&store, partner, now).await, Stage::Good, "it has paid");
    }
    assert_eq!(suspended_first, 0, "the step was not taken any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_other_way_round_the_payment_brings_it_back() {
    let (store, owing, due) = owing().await;
    store.warm().await;
    let now = due + days(20);
    for (partner, invoice) in &owing {
        let (partner, invoice) = (*partner, *invoice);
        run_days(&store, partner, due - days(3), 23).await;
        let step = store.dunning_step(partner, now).await.expect("an answer").expect("a step");
        let (one, other) = (store.handle(), store.handle());
        let task = tokio::spawn(async move { one.take_dunning_step(&step, &[], now).await });
        let paid =
            tokio::spawn(async move { other.set_invoice_status(partner, invoice, InvoiceStatus::Paid, now).await });
        task.await.expect("ran").expect("an answer");
        assert!(paid.await.expect("ran").expect("paid"));
        assert_eq!(stage(&store, partner, now).await, Stage::Good, "it has paid");
    }
}
