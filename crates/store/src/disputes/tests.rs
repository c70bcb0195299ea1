//! A dispute is credited once or not at all, is its partner's alone, and holds back what follows up to its amount.

use super::{Accept, Accepted, Dispute, DisputeNews, DisputeState, NewDispute};
use crate::{
    Actor, Closed, Collection, InvoiceStatus, LedgerAccount, NewMail, Store, StoreError,
    credit_notes::{CreditKind, CreditState, Issue, NewCreditLine, NewCreditNote, Payback},
    invoices::tests::{billed_on, close},
    test_db::{self, TestStore, world},
};
use domain::{
    dunning::Stage,
    id::{CreditNoteId, DisputeId, InvoiceId, OperatorId, PartnerId},
    money::{Currency, Money},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::Executor as _;
use uuid::Uuid;

fn usd(cents: i64) -> Money {
    Money::new(Currency::Usd, cents * 10_000)
}

fn now() -> Timestamp {
    world::now()
}

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// One letter to each.
fn letters(news: &DisputeNews) -> Vec<NewMail> {
    news.members.iter().chain(&news.operators).map(|to| world::mail(to)).collect()
}

/// Three partners with an invoice of one line of $49.00 each, whose plan lowers limits when less than everything is paid.
async fn invoiced() -> (TestStore, Vec<(PartnerId, InvoiceId)>) {
    let store = test_db::store().await;
    let terms = json!({
        "currency": "USD", "products": [], "limits": [{"calls": 100, "window": "minute"}],
        "unpaid": {"grace_days": 0, "limited_days": 0, "limited_percent": 10, "minimum_micros": 40_000_000}
    });
    let mut all = Vec::new();
    for of in billed_on(&store, terms).await.into_iter().take(3) {
        let Ok(Closed::Invoiced(id)) = close(&store, of, 0, false).await else { panic!("not closed") };
        all.push((of.partner, id));
    }
    (store, all)
}

async fn open(store: &Store, (partner, invoice): (PartnerId, InvoiceId), cents: i64) -> Result<Dispute, StoreError> {
    let new = NewDispute { invoice, position: 0, amount: usd(cents), reason: " Counted twice ".to_owned() };
    store.open_dispute(partner, &new, &letters, Actor::System, now()).await
}

fn all_of_it() -> Accept {
    Accept { amount: None, payback: Payback::Refund, seen_paid: false, four_eyes: false, answer: String::new() }
}

async fn accept(
    store: &Store,
    partner: PartnerId,
    id: DisputeId,
    accept: &Accept,
    actor: Actor,
) -> Result<Accepted, StoreError> {
    store.accept_dispute(partner, id, (accept, &letters), actor, now()).await
}

async fn owed(store: &Store, partner: PartnerId) -> i64 {
    let all = store.ledger_balances(partner).await.expect("balances");
    all.into_iter().filter(|(one, _)| *one == LedgerAccount::Receivable).map(|(_, money)| money.micros / 10_000).sum()
}

async fn note_state(store: &Store, id: CreditNoteId) -> CreditState {
    store.credit_note_of_any_partner(id).await.expect("a note").0.state
}

fn operator(number: u128) -> Actor {
    Actor::Operator(OperatorId(Uuid::from_u128(number)))
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_races_it_is_credited_once() {
    let (store, all) = invoiced().await;
    let (partner, invoice) = all[0];
    let dispute = open(&store, all[0], 1_250).await.expect("opened");
    assert_eq!(
        (dispute.reason.as_str(), dispute.billed, dispute.state, dispute.holds_back),
        ("Counted twice", usd(4_900), DisputeState::Open, true)
    );
    let runs: Vec<_> = (0..8)
        .map(|_| {
            let (store, id) = (store.handle(), dispute.id);
            tokio::spawn(async move { accept(&store, partner, id, &all_of_it(), Actor::System).await })
        })
        .collect();
    let mut notes = Vec::new();
    for run in runs {
        match run.await.expect("ran").expect("accepted") {
            Accepted::Credited(note) => notes.push(note),
            Accepted::Drafted(note) => panic!("{note} is a draft"),
        }
    }
    notes.dedup();
    assert_eq!((notes.len(), owed(&store, partner).await), (1, 3_650));
    let (note, lines) = store.credit_note(partner, notes[0]).await.expect("a note");
    assert_eq!((note.invoice, note.state, note.number), (invoice, CreditState::Issued, Some(1)));
    assert_eq!((lines[0].invoice_position, lines[0].amount), (Some(0), usd(1_250)));
    let ended = store.dispute(partner, dispute.id).await.expect("a dispute");
    assert_eq!((ended.state, ended.credit_note), (DisputeState::Accepted, Some(notes[0])));
    let refused = store.refuse_dispute(partner, dispute.id, ("No", &letters), Actor::System, now()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

#[tokio::test]
async fn another_partner_s_line_and_dispute_are_not_found() {
    let (store, all) = invoiced().await;
    let (own, other) = (all[0], all[1]);
    assert!(matches!(open(&store, (own.0, other.1), 100).await, Err(StoreError::NotFound)));
    let strange = NewDispute { invoice: own.1, position: 7, amount: usd(1), reason: "No such line".to_owned() };
    let none = store.open_dispute(own.0, &strange, &letters, Actor::System, now()).await;
    assert!(matches!(none, Err(StoreError::NotFound)), "{none:?}");
    let dispute = open(&store, own, 100).await.expect("opened").id;
    assert!(matches!(store.dispute(other.0, dispute).await, Err(StoreError::NotFound)));
    let taken = store.withdraw_dispute(other.0, dispute, &letters, Actor::System, now()).await;
    assert!(matches!(taken, Err(StoreError::NotFound)), "{taken:?}");
    let accepted = accept(&store, other.0, dispute, &all_of_it(), Actor::System).await;
    assert!(matches!(accepted, Err(StoreError::NotFound)), "{accepted:?}");
    assert_eq!(store.disputes(other.0, None, 10).await.expect("a page").items, []);
    assert_eq!(store.dispute_of_any_partner(dispute).await.expect("found").partner, own.0);
}

#[tokio::test]
async fn no_more_than_the_line_can_be_disputed_once_at_a_time_and_accepted() {
    let (store, all) = invoiced().await;
    let own = all[0];
    for (cents, reason) in [(4_901, "more than the line"), (0, "nothing"), (-1, "less")] {
        assert!(open(&store, own, cents).await.is_err(), "{reason}");
    }
    let silent = NewDispute { invoice: own.1, position: 0, amount: usd(1), reason: " ".to_owned() };
    let silent = store.open_dispute(own.0, &silent, &letters, Actor::System, now()).await;
    assert!(matches!(silent, Err(StoreError::Invalid { ref field, .. }) if field == "reason"), "{silent:?}");
    let first = open(&store, own, 1_000).await.expect("opened").id;
    assert!(matches!(open(&store, own, 100).await, Err(StoreError::Conflict { .. })), "one at a time");
    let more = Accept { amount: Some(usd(1_001)), ..all_of_it() };
    assert!(matches!(accept(&store, own.0, first, &more, Actor::System).await, Err(StoreError::Invalid { .. })));
    let paid = Accept { seen_paid: true, ..all_of_it() };
    assert!(matches!(accept(&store, own.0, first, &paid, Actor::System).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.dispute(own.0, first).await.expect("a dispute").credit_note, None, "nothing stays of what failed");
    let part = Accept { amount: Some(usd(400)), ..all_of_it() };
    accept(&store, own.0, first, &part, Actor::System).await.expect("accepted");
    assert_eq!(owed(&store, own.0).await, 4_500);
    assert!(open(&store, own, 4_501).await.is_err(), "so much is credited");
    let second = open(&store, own, 4_500).await.expect("opened").id;
    assert_eq!(store.disputes(own.0, None, 1).await.expect("a page").items[0].id, second);
    let next = store.disputes(own.0, None, 1).await.expect("a page").next;
    assert_eq!(store.disputes(own.0, next.as_deref(), 1).await.expect("a page").items[0].id, first);
    let list = store.all_partners_disputes(Some(DisputeState::Open), None, 10).await.expect("a page");
    assert_eq!(list.items.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    store.set_invoice_status(own.0, own.1, InvoiceStatus::Void, now()).await.expect("void");
    assert!(matches!(
        accept(&store, own.0, second, &all_of_it(), Actor::System).await,
        Err(StoreError::Conflict { .. })
    ));
    store.refuse_dispute(own.0, second, ("It is void", &letters), Actor::System, now()).await.expect("refused");
    assert!(open(&store, own, 100).await.is_err(), "nothing of it is owed");
}

#[tokio::test]
async fn where_it_takes_two_the_first_drafts_and_the_second_credits() {
    let (store, all) = invoiced().await;
    let own = all[0];
    let two = Accept { four_eyes: true, ..all_of_it() };
    let id = open(&store, own, 1_000).await.expect("opened").id;
    assert!(accept(&store, own.0, id, &two, Actor::System).await.is_err(), "it takes people");
    let Ok(Accepted::Drafted(note)) = accept(&store, own.0, id, &two, operator(1)).await else { panic!("no draft") };
    assert_eq!(owed(&store, own.0).await, 4_900);
    assert!(
        matches!(accept(&store, own.0, id, &two, operator(1)).await, Err(StoreError::Conflict { .. })),
        "the same one"
    );
    let beside = Issue { seen_paid: false, four_eyes: true };
    let beside = store.issue_credit_note(own.0, note, beside, operator(2), now()).await;
    assert!(matches!(beside, Err(StoreError::Conflict { .. })), "the dispute would stay open: {beside:?}");
    assert!(matches!(accept(&store, own.0, id, &two, operator(2)).await, Ok(Accepted::Credited(same)) if same == note));
    assert_eq!(owed(&store, own.0).await, 3_900);

    let second = open(&store, own, 500).await.expect("opened").id;
    let Ok(Accepted::Drafted(note)) = accept(&store, own.0, second, &two, operator(1)).await else {
        panic!("no draft")
    };
    store.discard_credit_note(own.0, note, operator(2), now()).await.expect("discarded");
    let Ok(Accepted::Drafted(anew)) = accept(&store, own.0, second, &two, operator(2)).await else {
        panic!("no draft")
    };
    store.withdraw_dispute(own.0, second, &letters, Actor::System, now()).await.expect("withdrawn");
    assert_eq!((note_state(&store, anew).await, owed(&store, own.0).await), (CreditState::Discarded, 3_900));
}

#[tokio::test]
async fn an_open_one_holds_back_what_follows_up_to_its_amount() {
    let (store, all) = invoiced().await;
    let (partner, invoice) = all[0];
    let due = now() + days(44);
    let collection = Collection { due_at: Some(due), ..Collection::default() };
    store.note_collection(partner, invoice, &collection).await.expect("noted");
    for (partner, invoice) in &all[1..] {
        store.note_collection(*partner, *invoice, &collection).await.expect("noted");
    }
    // Below 40.00 nothing follows: of 49.00, 9.00 leave enough and 9.01 do not.
    for ((partner, invoice), cents, has_consequence) in [(all[1], 900, true), (all[2], 901, false)] {
        let dispute = open(&store, (partner, invoice), cents).await.expect("opened").id;
        let standing = store.dunning(partner, due + days(1)).await.expect("a standing");
        assert_eq!(standing.invoice.map(|invoice| invoice.owed), has_consequence.then(|| usd(4_900 - cents)));
        let step = store.dunning_step(partner, due + days(1)).await.expect("an answer");
        assert_eq!(step.is_some(), has_consequence);
        store.withdraw_dispute(partner, dispute, &letters, Actor::System, now()).await.expect("withdrawn");
    }
    let later = async |days: i64| at_stage(&store, partner, due, days).await;
    for day in -4..13 {
        later(day).await;
    }
    assert_eq!(later(13).await, Stage::Suspended);
    // Opening brings the partner back, and refusing begins with telling them.
    let id = open_at(&store, all[0], 2_000, due + days(13)).await.expect("opened").id;
    assert_eq!(later(13).await, Stage::Good);
    store.refuse_dispute(partner, id, ("It is right", &letters), Actor::System, due + days(14)).await.expect("refused");
    assert_eq!(later(14).await, Stage::Good, "told first");
    // Once: the line holds nothing back again.
    open_at(&store, all[0], 4_900, due + days(14)).await.expect("opened");
    for day in 14..24 {
        later(day).await;
    }
    assert_eq!(later(24).await, Stage::Suspended);
}

async fn open_at(
    store: &Store,
    (partner, invoice): (PartnerId, InvoiceId),
    cents: i64,
    at: Timestamp,
) -> Result<Dispute, StoreError> {
    let new = NewDispute { invoice, position: 0, amount: usd(cents), reason: "Wrong".to_owned() };
    store.open_dispute(partner, &new, &letters, Actor::System, at).await
}

/// Where the task brings a partner so many days after the invoice is due.
async fn at_stage(store: &Store, partner: PartnerId, due: Timestamp, after: i64) -> Stage {
    let now = due + days(after);
    for _ in 0..4 {
        let Some(step) = store.dunning_step(partner, now).await.expect("an answer") else { break };
        store.take_dunning_step(&step, &[], now).await.expect("taken");
    }
    store.dunning(partner, now).await.expect("a standing").stage
}

/// A suspended partner, its invoice, and when that was due 13 days ago.
async fn suspended(store: &Store, (partner, invoice): (PartnerId, InvoiceId)) -> Timestamp {
    let due = now() + days(44);
    let collection = Collection { due_at: Some(due), ..Collection::default() };
    store.note_collection(partner, invoice, &collection).await.expect("noted");
    for day in -4..13 {
        at_stage(store, partner, due, day).await;
    }
    assert_eq!(at_stage(store, partner, due, 13).await, Stage::Suspended);
    due
}

#[tokio::test]
async fn accepting_lifts_no_suspension_of_which_enough_is_left() {
    let (store, all) = invoiced().await;
    let partner = all[0].0;
    let due = suspended(&store, all[0]).await;
    // Of 49.00, 5.00 leave 44.00; taken off twice, they would leave less than 40.00.
    let id = open_at(&store, all[0], 500, due + days(13)).await.expect("opened").id;
    assert_eq!(store.dunning(partner, due + days(13)).await.expect("a standing").stage, Stage::Suspended);
    let at = due + days(14);
    store.accept_dispute(partner, id, (&all_of_it(), &letters), Actor::System, at).await.expect("accepted");
    let standing = store.dunning(partner, at).await.expect("a standing");
    assert_eq!((standing.stage, standing.invoice.map(|one| one.owed)), (Stage::Suspended, Some(usd(4_400))));
    // What accepting leaves may be too little: then it is back.
    let id = open_at(&store, all[0], 401, at).await.expect("opened").id;
    store.accept_dispute(partner, id, (&all_of_it(), &letters), Actor::System, at).await.expect("accepted");
    assert_eq!(store.dunning(partner, at).await.expect("a standing").stage, Stage::Good);
}

#[tokio::test]
async fn what_is_credited_beside_an_open_one_is_not_held_back_besides() {
    let (store, all) = invoiced().await;
    let (partner, invoice) = all[0];
    let due = now() + days(44);
    let collection = Collection { due_at: Some(due), ..Collection::default() };
    store.note_collection(partner, invoice, &collection).await.expect("noted");
    for second_line in [
        "insert into invoice_lines (partner_id, invoice_id, position, kind, description, quantity, free, amount_micros)
         select partner_id, invoice_id, 1, 'base_fee', 'Another fee', 1, 0, 50000000 from invoice_lines where invoice_id = $1",
        "update invoices set total_micros = 99000000 where id = $1",
    ] {
        sqlx::query(second_line).bind(invoice.0).execute(store.pool()).await.expect("a second line");
    }
    open(&store, all[0], 4_900).await.expect("opened");
    let owed = async || store.dunning(partner, due).await.expect("a standing").invoice.map(|one| one.owed);
    assert_eq!(owed().await, Some(usd(5_000)));
    let lines = vec![NewCreditLine { invoice_position: Some(0), amount: usd(4_000) }];
    let new =
        NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback: Payback::Refund, reason: "Ours".to_owned() };
    let note = store.draft_credit_note(partner, &new, false, Actor::System, due).await.expect("a draft");
    let issue = Issue { seen_paid: false, four_eyes: false };
    store.issue_credit_note(partner, note, issue, Actor::System, due).await.expect("issued");
    assert_eq!(owed().await, Some(usd(5_000)), "59.00 less the 9.00 that are left of the line");
}

#[tokio::test]
async fn withdrawing_leads_back_to_the_stage_that_there_was() {
    let (store, all) = invoiced().await;
    let partner = all[0].0;
    let due = suspended(&store, all[0]).await;
    let stage = async |day| store.dunning(partner, due + days(day)).await.expect("a standing").stage;
    let id = open_at(&store, all[0], 2_000, due + days(13)).await.expect("opened").id;
    assert_eq!(stage(13).await, Stage::Good);
    store.withdraw_dispute(partner, id, &letters, Actor::System, due + days(14)).await.expect("withdrawn");
    assert_eq!(stage(14).await, Stage::Suspended, "at once");
    let id = open_at(&store, all[0], 4_900, due + days(15)).await.expect("opened").id;
    assert_eq!(stage(15).await, Stage::Suspended, "it holds nothing back again");
    assert!(!store.dispute(partner, id).await.expect("a dispute").holds_back);
    store.withdraw_dispute(partner, id, &letters, Actor::System, due + days(15)).await.expect("withdrawn");
    let third = open_at(&store, all[0], 100, due + days(15)).await;
    assert!(matches!(third, Err(StoreError::Conflict { .. })), "{third:?}");
    assert_eq!(stage(15).await, Stage::Suspended);
}

#[tokio::test]
async fn so_many_a_day_and_no_more() {
    let (store, all) = invoiced().await;
    for _ in 0..20 {
        let id = open(&store, all[0], 1).await.expect("opened").id;
        accept(&store, all[0].0, id, &all_of_it(), Actor::System).await.expect("accepted");
    }
    let more = open(&store, all[0], 1).await;
    assert!(matches!(more, Err(StoreError::Conflict { .. })), "{more:?}");
    open(&store, all[1], 1).await.expect("another partner's are its own");
    open_at(&store, all[0], 1, now() + days(1)).await.expect("a day later");
}

#[tokio::test]
async fn the_first_operator_s_answer_is_told_when_the_second_agrees_and_how_much_was_credited() {
    let (store, all) = invoiced().await;
    let (partner, _) = all[0];
    let id = open(&store, all[0], 1_000).await.expect("opened").id;
    let first = Accept { amount: Some(usd(400)), four_eyes: true, answer: "Four were wrong".to_owned(), ..all_of_it() };
    accept(&store, partner, id, &first, operator(1)).await.expect("drafted");
    let waiting = store.dispute(partner, id).await.expect("a dispute");
    assert_eq!((waiting.answer, waiting.credited), (None, None), "nobody has said it yet");
    assert_eq!(waiting.drafted_answer.as_deref(), Some("Four were wrong"));
    let second = Accept { four_eyes: true, ..all_of_it() };
    accept(&store, partner, id, &second, operator(2)).await.expect("accepted");
    let ended = store.dispute(partner, id).await.expect("a dispute");
    assert_eq!((ended.answer.as_deref(), ended.drafted_answer), (Some("Four were wrong"), None));
    assert_eq!((ended.credited, ended.drafted_by), (Some(usd(400)), None));

    let id = open(&store, all[0], 500).await.expect("opened").id;
    accept(&store, partner, id, &first, operator(1)).await.expect("drafted");
    store.withdraw_dispute(partner, id, &letters, Actor::System, now()).await.expect("withdrawn");
    let withdrawn = store.dispute(partner, id).await.expect("a dispute");
    assert_eq!((withdrawn.answer, withdrawn.credited), (None, None));
}

#[tokio::test]
async fn both_sides_are_told_and_what_was_said_stays() {
    let (store, all) = invoiced().await;
    let (partner, _) = all[0];
    let verified = "update members set email_verified_at = now() where partner_id = $1";
    sqlx::query(verified).bind(partner.0).execute(store.pool()).await.expect("verified");
    let operator = "insert into operators (id, email, name, role, created_at)
         values (gen_random_uuid(), 'op@example.com', '', 'admin', now())";
    store.pool().execute(operator).await.expect("an operator");
    let id = open(&store, all[0], 100).await.expect("opened").id;
    store.refuse_dispute(partner, id, ("It is right", &letters), Actor::System, now()).await.expect("refused");
    let mails = store.all_mails(100).await.expect("mails");
    let count = |to: &str| mails.iter().filter(|mail| mail.recipient == to && mail.subject == "A subject").count();
    assert_eq!((count("owner@partner-0.example"), count("op@example.com")), (2, 2));
    let page = store.audit_page(partner, None, 200).await.expect("a page");
    let mut actions: Vec<String> = page.items.into_iter().map(|entry| entry.action).collect();
    actions.retain(|action| action.starts_with("dispute."));
    assert_eq!(actions, ["dispute.refuse", "dispute.open"]);
    for refused in
        ["update disputes set reason = 'Other'", "update disputes set state = 'open'", "delete from disputes"]
    {
        store.pool().execute(refused).await.expect_err(refused);
    }
}
