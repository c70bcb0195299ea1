//! A key is carried out once, whoever dies between the commit and the answer.

use super::{ApiRequest, ApiSlot, KEPT, LOST_AFTER};
use crate::{
    Actor, Closed, NewApiToken, Store, StoreError,
    credit_notes::{CreditKind, NewCreditLine, NewCreditNote, Payback},
    invoices::tests::{billed, close},
    test_db,
};
use domain::{
    id::{InvoiceId, PartnerId},
    idempotency::Key,
    money::{Currency, Money},
};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const FIRST: [u8; 32] = [1; 32];
const OTHER: [u8; 32] = [2; 32];

fn now() -> Timestamp {
    test_db::world::now()
}

async fn slot(store: &Store, key: &str) -> ApiSlot {
    let new = NewApiToken {
        name: "test".to_owned(),
        hash: [9; 32],
        last_four: "abcd".to_owned(),
        scopes: vec!["plans:read".to_owned()],
        expires_at: None,
    };
    let token = store.create_api_token(None, &new, Actor::System, now()).await.expect("a token");
    ApiSlot { token, route: "/api/corrections".to_owned(), key: Key::parse(key.as_bytes()).expect("a key") }
}

async fn fresh(store: &Store, slot: &ApiSlot, at: Timestamp) -> (Uuid, Option<Uuid>) {
    match store.begin_api_request(slot, FIRST, at).await.expect("an answer") {
        ApiRequest::Fresh { attempt, made } => (attempt, made),
        other => panic!("{other:?}"),
    }
}

async fn draft(
    store: &Store,
    (partner, invoice): (PartnerId, InvoiceId),
    attempt: Uuid,
) -> Result<domain::id::CreditNoteId, StoreError> {
    let lines = vec![NewCreditLine { invoice_position: None, amount: Money::new(Currency::Usd, 5_000_000) }];
    let (payback, reason) = (Payback::Refund, "Our mistake".to_owned());
    let new = NewCreditNote { invoice, kind: CreditKind::Credit, lines, payback, reason };
    store.draft_credit_note_once(partner, (&new, attempt), false, Actor::System, now()).await
}

async fn drafts(store: &Store) -> i64 {
    sqlx::query_scalar("select count(*) from credit_notes").fetch_one(store.pool()).await.expect("a count")
}

#[tokio::test]
async fn an_answer_is_given_again_until_it_is_forgotten_and_to_the_same_call_only() {
    let store = test_db::store().await;
    let slot = slot(&store, "one").await;
    let (attempt, made) = fresh(&store, &slot, now()).await;
    assert_eq!(made, None);
    let asked = async |fingerprint, at| store.begin_api_request(&slot, fingerprint, at).await.expect("an answer");
    assert_eq!(asked(FIRST, now()).await, ApiRequest::InFlight);
    assert_eq!(asked(OTHER, now()).await, ApiRequest::Mismatch);
    store.answer_api_request(attempt, (201, b"{}"), now()).await.expect("kept");
    let answered = ApiRequest::Answered { status: 201, body: b"{}".to_vec() };
    let soon = now() + SignedDuration::from_hours(25);
    assert_eq!(asked(FIRST, soon).await, answered);
    assert_eq!(asked(OTHER, soon).await, ApiRequest::Mismatch);
    assert_eq!(store.forget_api_requests(soon).await.expect("swept"), 0);
    assert_eq!(store.forget_api_requests(now() + KEPT).await.expect("swept"), 1);
    fresh(&store, &slot, now() + KEPT).await;
}

#[tokio::test]
async fn what_was_refused_frees_its_key() {
    let store = test_db::store().await;
    let slot = slot(&store, "one").await;
    let (attempt, _) = fresh(&store, &slot, now()).await;
    store.release_api_request(attempt).await.expect("released");
    let again = store.begin_api_request(&slot, OTHER, now()).await.expect("an answer");
    assert!(matches!(again, ApiRequest::Fresh { made: None, .. }), "{again:?}");
}

/// The control of both is the line in [`super::made`] that names the attempt: without it there are two drafts.
#[tokio::test]
async fn who_comes_after_a_crash_finds_what_was_made() {
    let store = test_db::store().await;
    let of = billed(&store).await[0];
    let Ok(Closed::Invoiced(invoice)) = close(&store, of, 0, false).await else { panic!("not closed") };
    let slot = slot(&store, "one").await;
    let (attempt, _) = fresh(&store, &slot, now()).await;
    let id = draft(&store, (of.partner, invoice), attempt).await.expect("drafted");
    // Here the server dies: nobody keeps an answer.
    let later = now() + LOST_AFTER;
    assert_eq!(store.begin_api_request(&slot, OTHER, later).await.expect("an answer"), ApiRequest::Mismatch);
    let (_, made) = fresh(&store, &slot, later).await;
    assert_eq!(made, Some(id.0));
    assert_eq!(drafts(&store).await, 1);
}

#[tokio::test]
async fn who_was_taken_for_dead_makes_nothing_any_more() {
    let store = test_db::store().await;
    let of = billed(&store).await[0];
    let Ok(Closed::Invoiced(invoice)) = close(&store, of, 0, false).await else { panic!("not closed") };
    let slot = slot(&store, "one").await;
    let (slow, _) = fresh(&store, &slot, now()).await;
    let (next, made) = fresh(&store, &slot, now() + LOST_AFTER).await;
    assert_eq!(made, None);
    draft(&store, (of.partner, invoice), next).await.expect("drafted");
    let refused = draft(&store, (of.partner, invoice), slow).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    assert_eq!(drafts(&store).await, 1);
}
