//! Never more is credited than was billed, whatever races; the ledger follows; a credit note is never changed.

use super::{CreditKind, CreditState, Issue, NewCreditLine, NewCreditNote, Payback};
use crate::{
    Actor, InvoiceStatus, LedgerAccount, Store, StoreError,
    invoices::tests::{billed, close},
    test_db::{self, TestStore},
};
use domain::{
    id::{CreditNoteId, InvoiceId, OperatorId, PartnerId},
    money::{Currency, Money},
};
use jiff::Timestamp;
use uuid::Uuid;

fn usd(cents: i64) -> Money {
    Money::new(Currency::Usd, cents * 10_000)
}

fn now() -> Timestamp {
    test_db::world::now()
}

/// An invoice over one line of $49.00.
async fn invoiced() -> (TestStore, PartnerId, InvoiceId) {
    let store = test_db::store().await;
    let of = billed(&store).await[0];
    let Ok(crate::Closed::Invoiced(id)) = close(&store, of, 0, false).await else { panic!("not closed") };
    (store, of.partner, id)
}

async fn draft(
    store: &Store,
    (partner, invoice): (PartnerId, InvoiceId),
    line: Option<i32>,
    cents: i64,
) -> Result<CreditNoteId, StoreError> {
    let lines = vec![NewCreditLine { invoice_position: line, amount: usd(cents) }];
    let (payback, reason) = (Payback::Refund, "Our mistake".to_owned());
    let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
    store.draft_credit_note(partner, &new, false, Actor::System, now()).await
}

async fn issue(store: &Store, partner: PartnerId, id: CreditNoteId, seen_paid: bool) -> Result<bool, StoreError> {
    store.issue_credit_note(partner, id, Issue { seen_paid, four_eyes: false }, Actor::System, now()).await
}

async fn balance(store: &Store, partner: PartnerId, account: LedgerAccount) -> i64 {
    let all = store.ledger_balances(partner).await.expect("balances");
    all.into_iter().filter(|(one, _)| *one == account).map(|(_, money)| money.micros / 10_000).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_credits_never_take_more_than_was_billed() {
    let (store, partner, invoice) = invoiced().await;
    let mut drafts = Vec::new();
    for number in 0..30 {
        let line = (number % 2 == 0).then_some(0);
        drafts.push(draft(&store, (partner, invoice), line, 500).await.expect("a draft"));
    }
    let runs: Vec<_> = drafts
        .iter()
        .map(|id| {
            let (store, id) = (store.handle(), *id);
            tokio::spawn(async move { issue(&store, partner, id, false).await })
        })
        .collect();
    let mut issued = 0;
    for run in runs {
        match run.await.expect("ran") {
            Ok(first) => issued += i64::from(first),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    // $49.00 holds nine of $5.00.
    assert_eq!(issued, 9);
    let standing = store.credit_standing(partner, invoice).await.expect("a standing");
    assert_eq!((standing.credited, standing.left()), (usd(4_500), usd(400)));
    let notes = store.credit_notes(partner).await.expect("notes");
    let mut numbers: Vec<i64> = notes.iter().filter_map(|note| note.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=9).collect::<Vec<_>>());
    assert_eq!(balance(&store, partner, LedgerAccount::Receivable).await, 400);
    assert_eq!(balance(&store, partner, LedgerAccount::Revenue).await, -400);
    draft(&store, (partner, invoice), None, 401).await.expect_err("only $4.00 is left");
    // Issued twice, it counts once.
    let one = notes[0].id;
    assert!(!issue(&store, partner, one, false).await.expect("nothing happens"));
    // What is paid then is what was left.
    store.set_invoice_status(partner, invoice, InvoiceStatus::Paid, now()).await.expect("paid");
    assert_eq!(balance(&store, partner, LedgerAccount::Cash).await, 400);
    assert_eq!(balance(&store, partner, LedgerAccount::Receivable).await, 0);
}

#[tokio::test]
async fn a_paid_invoice_is_paid_back_and_what_was_looked_at_must_hold() {
    let (store, partner, invoice) = invoiced().await;
    let before = draft(&store, (partner, invoice), Some(0), 1_000).await.expect("a draft");
    store.set_invoice_status(partner, invoice, InvoiceStatus::Paid, now()).await.expect("paid");
    let error = issue(&store, partner, before, false).await.expect_err("it was paid in the meantime");
    assert!(error.to_string().contains("paid in the meantime"), "{error}");
    assert!(issue(&store, partner, before, true).await.expect("issued"));
    assert_eq!(balance(&store, partner, LedgerAccount::Cash).await, 3_900);
    assert_eq!(balance(&store, partner, LedgerAccount::Revenue).await, -3_900);
    let (note, lines) = store.credit_note(partner, before).await.expect("a note");
    assert_eq!(
        (note.state, note.was_paid, note.code()),
        (CreditState::Issued, Some(true), Some("CN-000001".to_owned()))
    );
    assert_eq!((lines.len(), lines[0].description.as_str()), (1, "Base fee"));
    let void = NewCreditNote {
        invoice,
        kind: CreditKind::Void,
        lines: Vec::new(),
        payback: Payback::Refund,
        reason: "x".to_owned(),
    };
    store
        .draft_credit_note(partner, &void, false, Actor::System, now())
        .await
        .expect_err("a paid one is not made void");
}

#[tokio::test]
async fn a_void_takes_what_is_left_and_the_period_stays_closed() {
    let (store, partner, invoice) = invoiced().await;
    let first = draft(&store, (partner, invoice), None, 900).await.expect("a draft");
    issue(&store, partner, first, false).await.expect("issued");
    let void = NewCreditNote {
        invoice,
        kind: CreditKind::Void,
        lines: Vec::new(),
        payback: Payback::Refund,
        reason: "Billed by mistake".to_owned(),
    };
    let id = store.draft_credit_note(partner, &void, false, Actor::System, now()).await.expect("a draft");
    assert!(issue(&store, partner, id, false).await.expect("issued"));
    let (held, _) = store.invoice(partner, invoice).await.expect("an invoice");
    assert_eq!(held.status, InvoiceStatus::Void);
    assert_eq!(balance(&store, partner, LedgerAccount::Receivable).await, 0);
    assert_eq!(balance(&store, partner, LedgerAccount::Revenue).await, 0);
    draft(&store, (partner, invoice), None, 1).await.expect_err("nothing is left on a void invoice");
    let open = store.open_subscription(partner).await.expect("an answer").expect("a subscription");
    assert!(open.billed_until > held.period.start, "the period is not billed again");
    // Stripe's word for it later changes nothing.
    assert!(!store.set_invoice_status(partner, invoice, InvoiceStatus::Void, now()).await.expect("an answer"));
}

#[tokio::test]
async fn it_takes_two_where_it_takes_two_and_nothing_issued_is_changed() {
    let (store, partner, invoice) = invoiced().await;
    let (ada, bob) = (Actor::Operator(OperatorId(Uuid::from_u128(1))), Actor::Operator(OperatorId(Uuid::from_u128(2))));
    let lines = vec![NewCreditLine { invoice_position: Some(0), amount: usd(100) }];
    let new = NewCreditNote {
        invoice,
        kind: CreditKind::Credit,
        lines,
        payback: Payback::Refund,
        reason: "Our mistake".to_owned(),
    };
    store.draft_credit_note(partner, &new, true, Actor::System, now()).await.expect_err("a token is nobody");
    let id = store.draft_credit_note(partner, &new, true, ada, now()).await.expect("a draft");
    let two = Issue { seen_paid: false, four_eyes: true };
    store.issue_credit_note(partner, id, two, ada, now()).await.expect_err("its maker");
    assert!(store.issue_credit_note(partner, id, two, bob, now()).await.expect("issued"));
    store.discard_credit_note(partner, id, bob, now()).await.expect_err("it is issued");
    for change in [
        "update credit_notes set total_micros = 1",
        "update credit_notes set state = 'draft', number = null, was_paid = null",
        "delete from credit_notes",
        "update credit_note_lines set amount_micros = 1",
    ] {
        sqlx::query(change).execute(store.pool()).await.expect_err(change);
    }
}
