//! Disputes over REST: a partner opens its own, the provider ends it, and another partner knows of none.

use super::invoices::{billed, some_lines};
use crate::test_app::TestApp;
use domain::{
    id::{DisputeId, OperatorId},
    scope::Scope,
};
use serde_json::json;
use store::{
    Actor,
    credit_notes::Payback,
    disputes::{Accept, Accepted},
    test_db::world::World,
};
use uuid::Uuid;

#[tokio::test]
async fn a_line_is_disputed_accepted_in_part_and_credited_once() {
    let app = TestApp::start().await;
    let (acme, bolt) = (World::named(&app.store, "acme").await, World::named(&app.store, "bolt").await);
    let id = billed(&app, acme.partner, "growth", vec![some_lines()]).await[0];
    let scopes = [Scope::InvoicesRead, Scope::PlanWrite];
    let (own, other) = (app.token(Some(acme.partner), &scopes).await, app.token(Some(bolt.partner), &scopes).await);
    let provider = app.token(None, &[Scope::PartnersWrite, Scope::InvoicesRead]).await;
    let path = format!("/api/invoices/{id}/lines/1/disputes");
    let asked = |amount: &str| json!({ "amount": amount, "reason": "Counted twice" });
    assert_eq!(app.post(&other, &path, asked("1.00")).await.status, 404, "another partner's line");
    assert_eq!(app.post(&own, &format!("/api/invoices/{id}/lines/9/disputes"), asked("1.00")).await.status, 404);
    assert_eq!(app.post(&own, &format!("/api/invoices/{id}/lines/x/disputes"), asked("1.00")).await.status, 404);
    assert_eq!(app.post(&own, &path, asked("1234.57")).await.status, 409, "more than the line has");
    assert_eq!(app.post(&own, &path, asked("0.001")).await.status, 422, "less than a coin");
    assert_eq!(app.post(&own, &path, json!({ "amount": "1.00", "reason": " " })).await.status, 422);
    let reads = app.token(Some(acme.partner), &[Scope::InvoicesRead]).await;
    assert_eq!(app.post(&reads, &path, asked("1.00")).await.status, 403);
    let opened = app.post(&own, &path, asked("34.56")).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(app.post(&own, &path, asked("1.00")).await.status, 409, "one at a time");
    let dispute = format!("/api/disputes/{}", opened.json()["id"].as_str().expect("an id"));
    assert_eq!(app.get(&other, &dispute).await.status, 404);
    assert_eq!(app.get(&other, "/api/disputes").await.json()["items"], json!([]));
    let evidence = opened.json()["evidence"].as_str().expect("a path").to_owned();
    assert_eq!(evidence, format!("/api/invoices/{id}/lines/1"));

    let accept =
        |amount: &str, paid: bool| json!({ "amount": amount, "invoice_is_paid": paid, "answer": "You are right" });
    assert_eq!(app.post(&own, &format!("{dispute}/accept"), accept("1.00", false)).await.status, 403);
    assert_eq!(app.post(&provider, &format!("{dispute}/accept"), accept("34.57", false)).await.status, 422);
    assert_eq!(app.post(&provider, &format!("{dispute}/accept"), accept("30.00", true)).await.status, 409);
    for _ in 0..2 {
        let done = app.post(&provider, &format!("{dispute}/accept"), accept("30.00", false)).await;
        assert_eq!((done.status.as_u16(), &done.json()["state"]), (200, &json!("accepted")), "{}", done.text);
    }
    let notes = app.get(&own, "/api/credit-notes").await.json();
    assert_eq!(notes["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&notes["items"][0]["total"]["amount"], &notes["items"][0]["code"]),
        (&json!("30.00"), &json!("CN-000001"))
    );
    let told = app.get(&own, &dispute).await.json();
    assert_eq!((&told["answer"], &told["credit_note"]), (&json!("You are right"), &notes["items"][0]["id"]));
    assert_eq!((&told["credited"]["amount"], &told["amount"]["amount"]), (&json!("30.00"), &json!("34.56")));
    assert_eq!(app.post(&own, &format!("{dispute}/withdraw"), json!({})).await.status, 409, "it has ended");
}

#[tokio::test]
async fn it_is_refused_with_an_answer_or_withdrawn_and_listed_page_by_page() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let id = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let own = app.token(Some(world.partner), &[Scope::InvoicesRead, Scope::PlanWrite]).await;
    let provider = app.token(None, &[Scope::PartnersWrite, Scope::InvoicesRead]).await;
    let path = |line: u8| format!("/api/invoices/{id}/lines/{line}/disputes");
    let mut disputes = Vec::new();
    for line in [0, 1] {
        let opened = app.post(&own, &path(line), json!({ "amount": "1.00", "reason": "Wrong" })).await;
        disputes.push(opened.json()["id"].as_str().expect("an id").to_owned());
    }
    let first = app.get(&own, "/api/disputes?limit=1").await.json();
    assert_eq!(first["items"][0]["id"], disputes[1].as_str(), "newest first");
    let next = first["next"].as_str().expect("another page");
    let second = app.get(&provider, &format!("/api/disputes?limit=1&cursor={next}")).await.json();
    assert_eq!((&second["items"][0]["id"], &second["next"]), (&json!(disputes[0]), &json!(null)));
    // A draft that is given up is no credit note that accepted it.
    let id: DisputeId = disputes[0].parse().expect("an id");
    let draft = Accept {
        amount: None,
        payback: Payback::Refund,
        seen_paid: false,
        four_eyes: true,
        answer: "A draft's answer".to_owned(),
    };
    let operator = Actor::Operator(OperatorId(Uuid::from_u128(1)));
    let done =
        app.store.accept_dispute(world.partner, id, (&draft, &|_| Vec::new()), operator, app.state.clock.now()).await;
    assert!(matches!(done, Ok(Accepted::Drafted(_))), "{done:?}");
    let shown = app.get(&own, &format!("/api/disputes/{id}")).await.json();
    assert_eq!(
        (&shown["credit_note"], &shown["credited"], &shown["answer"]),
        (&json!(null), &json!(null), &json!(null))
    );
    let [refused, withdrawn] = [&disputes[0], &disputes[1]].map(|id| format!("/api/disputes/{id}"));
    assert_eq!(app.post(&provider, &format!("{refused}/refuse"), json!({ "answer": "" })).await.status, 422);
    let answer = json!({ "answer": "Each call was made" });
    let told = app.post(&provider, &format!("{refused}/refuse"), answer).await.json();
    assert_eq!((&told["state"], &told["answer"]), (&json!("refused"), &json!("Each call was made")));
    assert_eq!((&told["credit_note"], &told["credited"]), (&json!(null), &json!(null)), "the draft is discarded");
    assert_eq!(app.post(&own, &format!("{withdrawn}/withdraw"), json!({})).await.json()["state"], "withdrawn");
    assert_eq!(app.get(&own, "/api/credit-notes").await.json()["items"], json!([]));
}
