//! Under an Idempotency-Key each call that moves money moves it once: again, with another body, and two at the same time.

use super::{
    filled,
    invoices::{billed, some_lines},
};
use crate::{
    api::{access::RULES, once::ROUTES, routes},
    test_app::{Answer, TestApp},
};
use axum::http::Method;
use domain::{id::PartnerId, scope::Scope};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{Actor, NewCreditGrant, test_db::world::World};
use utoipa::openapi::{RefOr, path::Parameter};

/// POST routes that move no money, and `/api/events`, whose reports have identifiers of their own for ever.
const NO_MONEY: [&str; 35] = [
    "/api/apps",
    "/api/keys",
    "/api/keys/{key}/rotate",
    "/api/keys/{key}/revoke",
    "/api/identities",
    "/api/teams",
    "/api/events",
    "/api/events/conflicts/{conflict}/resolve",
    "/api/partners/{partner}/dunning/pause",
    "/api/partners/{partner}/dunning/resume",
    "/api/products/{product}/purge-cache",
    "/api/plans/quotes",
    "/api/plan/preview",
    "/api/payment-method/portal",
    // Pages at Stripe have a reference, or move nothing.
    "/api/payment-method/checkout",
    "/api/credit/checkouts",
    "/api/plans/{plan}/versions",
    "/api/plans/{plan}/versions/preview",
    "/api/partners/{partner}/plans",
    "/api/partners/{partner}/suspend",
    "/api/partners/{partner}/reactivate",
    "/api/plan-moves/preview",
    "/api/hooks",
    "/api/hooks/{hook}/pause",
    "/api/hooks/{hook}/resume",
    "/api/hooks/{hook}/rotate",
    "/api/hooks/{hook}/test",
    "/api/reconciliation/findings/{finding}/accept",
    "/api/reconciliation/run",
    "/api/deliveries/{document}/replay",
    "/api/stripe/comparison",
    "/api/stripe/drift/{drift}/write",
    "/api/stripe/drift/{drift}/accept",
    "/api/stripe/events/{event}/replay",
    "/api/unknown-requests/{attempt}/resolve",
];

#[test]
fn each_route_that_changes_something_is_known_to_move_money_or_not() {
    let posts: BTreeSet<_> = RULES.iter().filter(|rule| rule.method == Method::POST).map(|rule| rule.path).collect();
    let known: BTreeSet<_> = ROUTES.iter().chain(&NO_MONEY).copied().collect();
    assert_eq!(posts, known);
}

#[test]
fn the_description_names_the_header_where_it_counts_and_nowhere_else() {
    let (_, description) = routes().split_for_parts();
    for (path, item) in &description.paths.paths {
        let Some(post) = &item.post else { continue };
        let is_the_header = |one: &&RefOr<Parameter>| matches!(one, RefOr::T(one) if one.name == "Idempotency-Key");
        let named = post.parameters.iter().flatten().filter(is_the_header).count();
        assert_eq!(named, usize::from(ROUTES.contains(&path.as_str())), "{path}");
    }
}

#[tokio::test]
async fn each_money_route_reads_the_key_before_all_else() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(None, &Scope::ALL).await;
    for route in ROUTES {
        let path = format!("{}?partner={}", filled(route), world.partner);
        let answer = app.post_once(&token, &path, "no key", json!({})).await;
        let told = (answer.status.as_u16(), answer.json()["code"].clone());
        assert_eq!(told, (400, json!("idempotency-key-invalid")), "{route}");
    }
}

/// One call, and how it is told from another one.
struct Money<'a> {
    token: &'a str,
    path: String,
    body: Value,
    other: Value,
}

impl Money<'_> {
    /// Sends it twice at once, then again, then with another body, all under `key`. Gives the one answer.
    async fn once(&self, app: &TestApp, key: &str) -> Value {
        let send = |body: &Value| app.post_once(self.token, &self.path, key, body.clone());
        let (left, right) = tokio::join!(send(&self.body), send(&self.body));
        let told: Vec<&Answer> = [&left, &right].into_iter().filter(|one| one.status.is_success()).collect();
        assert!(!told.is_empty(), "{}: {} {}", self.path, left.text, right.text);
        for refused in [&left, &right].into_iter().filter(|one| !one.status.is_success()) {
            let told = (refused.status.as_u16(), refused.json()["code"].clone());
            assert_eq!(told, (409, json!("idempotency-in-flight")), "{}", self.path);
            assert_eq!(refused.headers["retry-after"], "1");
        }
        let again = send(&self.body).await;
        assert_eq!((again.status, &again.text), (told[0].status, &told[0].text), "{}", self.path);
        assert_eq!(again.headers["idempotent-replayed"], "true", "{}", self.path);
        assert_eq!(again.headers.get("content-type"), told[0].headers.get("content-type"));
        let other = send(&self.other).await;
        let code = (other.status.as_u16(), other.json()["code"].clone());
        assert_eq!(code, (422, json!("idempotency-mismatch")), "{}: {}", self.path, other.text);
        if again.text.is_empty() { Value::Null } else { again.json() }
    }
}

async fn granted(app: &TestApp, partner: PartnerId) -> (u64, u64) {
    let credit = app.store.credit(partner).await.expect("a standing");
    (credit.granted, credit.allocated)
}

#[tokio::test]
async fn units_are_granted_allocated_and_given_back_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let provider = app.token(None, &Scope::ALL).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let shop = app.store.apps(world.partner).await.expect("apps")[0].app.id;
    let grant = |units: u64| json!({ "units": units, "reason": "Paid" });
    let credit = format!("/api/partners/{}/credit", world.partner);
    let one = Money { token: &provider, path: credit.clone(), body: grant(100), other: grant(101) };
    one.once(&app, "a").await;
    assert_eq!(granted(&app, world.partner).await, (100, 0));
    one.once(&app, "b").await;
    assert_eq!(granted(&app, world.partner).await, (200, 0), "another key is another call");
    // The control: without a key the same call moves units each time.
    for _ in 0..2 {
        assert_eq!(app.post(&provider, &credit, grant(100)).await.status, 200);
    }
    assert_eq!(granted(&app, world.partner).await, (400, 0));

    let allocate = |units: u64| json!({ "app": shop, "units": units });
    let path = "/api/credit/allocations".to_owned();
    let told = Money { token: &own, path, body: allocate(30), other: allocate(31) }.once(&app, "a").await;
    assert_eq!(granted(&app, world.partner).await, (370, 30));
    let path = format!("/api/credit/allocations/{}/give-back", told["id"].as_str().expect("an id"));
    Money { token: &own, path, body: json!({ "units": 10 }), other: json!({ "units": 9 }) }.once(&app, "a").await;
    assert_eq!(granted(&app, world.partner).await, (380, 20));

    let grants = app.get(&provider, &format!("{credit}/grants")).await.json();
    let newest = grants[0]["id"].as_str().expect("an id");
    let void = |reason: &str| json!({ "reason": reason });
    let path = format!("{credit}/grants/{newest}/void");
    Money { token: &provider, path, body: void("Twice"), other: void("Once") }.once(&app, "a").await;
    assert_eq!(granted(&app, world.partner).await, (280, 20));
    assert_eq!(app.store.check_all_credit().await.expect("checked"), []);
}

#[tokio::test]
async fn credit_notes_are_drafted_and_issued_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let id = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let provider = app.token(None, &Scope::ALL).await;
    let drafts = async || app.store.credit_notes_of(world.partner, id).await.expect("notes").len();
    let note = |amount: &str| json!({ "partner": world.partner, "kind": "credit", "reason": "Twice", "lines": [{ "position": 1, "amount": amount }] });
    let path = format!("/api/invoices/{id}/credit-notes");
    let one = Money { token: &provider, path: path.clone(), body: note("5.00"), other: note("6.00") };
    let draft = one.once(&app, "a").await;
    assert_eq!(drafts().await, 1);
    assert_eq!(app.post(&provider, &path, note("5.00")).await.status, 201);
    assert_eq!(drafts().await, 2, "the control: without a key there is another draft");
    let path = format!("/api/credit-notes/{}/issue", draft["id"].as_str().expect("an id"));
    let issue = |paid: bool| json!({ "invoice_is_paid": paid });
    let issued = Money { token: &provider, path, body: issue(false), other: issue(true) }.once(&app, "a").await;
    assert_eq!(issued["code"], "CN-000001");
    assert_eq!(app.store.credit_standing(world.partner, id).await.expect("a standing").credited.micros, 5_000_000);
    let paid = Money {
        token: &provider,
        path: format!("/api/invoices/{id}/paid"),
        body: json!({ "partner": world.partner }),
        other: json!({ "partner": "partner_00000000000000000000000000000009" }),
    };
    assert_eq!(paid.once(&app, "a").await, Value::Null);
}

#[tokio::test]
async fn corrections_and_disputes_go_each_step_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let provider = app.token(None, &Scope::ALL).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let fill = |units: u64| {
        json!({ "partner": world.partner, "reason": "They were lost", "change": { "kind": "back_fill", "at": "2026-01-01T00:00:00Z",
            "calls": 1, "units": units, "environment": "live", "product": "pay", "operation": "pay" } })
    };
    let void = |reason: &str| {
        json!({ "partner": world.partner, "reason": reason, "change": { "kind": "set_units", "units": 50 },
            "filter": { "source": "s", "request_id": "job-1" } })
    };
    // A product that nobody sells is refused, which frees the key for the call that should have been.
    assert_eq!(app.post_once(&provider, "/api/corrections", "a", fill(7)).await.status, 422);
    let event = json!({"specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "s", "id": "job-1", "data": {"units": 5000}});
    assert_eq!(app.post(&own, "/api/events", event).await.status, 200);
    let path = "/api/corrections".to_owned();
    let one = Money { token: &provider, path, body: void("Mistyped"), other: void("Wrong") };
    let made = one.once(&app, "a").await;
    let count = async || app.get(&provider, "/api/corrections").await.json()["items"].as_array().map(Vec::len);
    assert_eq!(count().await, Some(1));
    app.post(&provider, "/api/corrections", void("Mistyped")).await;
    assert_eq!(count().await, Some(2), "the control: without a key there is another draft");
    let step = |verb: &str, body: Value, other: Value| {
        let path = format!("/api/corrections/{}/{verb}", made["id"].as_str().expect("an id"));
        Money { token: &provider, path, body, other }
    };
    let other = json!({ "hash": "0".repeat(64) });
    assert_eq!(step("approve", json!({ "hash": made["hash"] }), other).once(&app, "b").await["state"], "approved");
    assert_eq!(step("apply", json!({}), json!({ "a": 1 })).once(&app, "c").await["state"], "applied");
    let why = |text: &str| json!({ "reason": text });
    assert_eq!(step("revert", why("It was right"), why("No")).once(&app, "d").await["state"], "reverted");
    assert_eq!(app.get(&own, "/api/usage").await.json()["total"]["units"], 5000);

    let invoice = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    let path = format!("/api/invoices/{invoice}/lines/1/disputes");
    let ask = |amount: &str| json!({ "amount": amount, "reason": "Twice" });
    let dispute = Money { token: &own, path, body: ask("5.00"), other: ask("6.00") }.once(&app, "a").await;
    let path = format!("/api/disputes/{}/accept", dispute["id"].as_str().expect("an id"));
    let accept = |paid: bool| json!({ "invoice_is_paid": paid, "answer": "You are right" });
    let done = Money { token: &provider, path, body: accept(false), other: accept(true) }.once(&app, "a").await;
    assert_eq!(done["state"], "accepted");
    assert_eq!(app.store.credit_standing(world.partner, invoice).await.expect("one").credited.micros, 5_000_000);
}

#[tokio::test]
async fn packages_are_bought_once_and_a_plan_begins_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let provider = app.token(None, &Scope::ALL).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    billed(&app, world.partner, "growth", Vec::new()).await;
    let package = json!({ "name": "One", "units": 1, "currency": "USD", "price": "1.00" });
    assert_eq!(app.send(Some(&provider), "PUT", "/api/credit-packages/one", Some(package)).await.status, 200);
    let order = |quantity: u32| json!({ "package": "one", "quantity": quantity, "reference": "order-1" });
    let path = "/api/credit/purchases".to_owned();
    Money { token: &own, path, body: order(1), other: order(2) }.once(&app, "a").await;
    let bought = app.get(&own, "/api/credit/purchases").await.json();
    assert_eq!(bought["items"].as_array().map(Vec::len), Some(1));
    let other = World::named(&app.store, "bolt").await;
    let plan = |code: &str| json!({ "plan": code });
    let path = format!("/api/partners/{}/plan", other.partner);
    Money { token: &provider, path, body: plan("growth"), other: plan("none") }.once(&app, "a").await;
    assert!(app.store.subscription(other.partner).await.expect("an answer").is_some());
}

#[tokio::test]
async fn a_key_is_a_token_s_own_and_one_route_s() {
    let app = TestApp::start().await;
    let (world, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let (first, second) = (app.token(None, &Scope::ALL).await, app.token(None, &Scope::ALL).await);
    let grant = json!({ "units": 1, "reason": "Paid" });
    let credit = |partner: PartnerId| format!("/api/partners/{partner}/credit");
    for token in [&first, &second] {
        assert_eq!(app.post_once(token, &credit(world.partner), "a", grant.clone()).await.status, 200);
    }
    assert_eq!(granted(&app, world.partner).await.0, 2);
    let moved = app.post_once(&first, &credit(other.partner), "a", grant.clone()).await;
    assert_eq!(moved.status, 422, "the same route for another partner is another call: {}", moved.text);
    let quoted = app.post_once(&first, &credit(world.partner), "\"a\"", grant).await;
    assert_eq!(quoted.headers["idempotent-replayed"], "true", "in quotes it is the same key");
}

/// What a server that died between the commit and the answer leaves behind: the key in flight, and the units booked under it.
#[tokio::test]
async fn a_retry_after_a_crash_meets_what_was_booked() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(None, &Scope::ALL).await;
    let path = format!("/api/partners/{}/credit", world.partner);
    let grant = json!({ "units": 5, "reason": "Paid" });
    assert_eq!(app.post_once(&token, &path, "a", grant.clone()).await.status, 200);
    app.store.forget_api_answers().await;
    assert_eq!(app.post_once(&token, &path, "a", grant.clone()).await.status, 409, "it may still be carried out");
    app.state.clock.set_ahead_seconds(61);
    let again = app.post_once(&token, &path, "a", grant).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(again.headers.get("idempotent-replayed").is_none(), "it was carried out once more");
    assert_eq!(granted(&app, world.partner).await.0, 5, "and moved nothing");
    let plain = NewCreditGrant::new(5, "Paid");
    app.store.grant_credit(world.partner, &plain, Actor::System, app.state.clock.now()).await.expect("granted");
    assert_eq!(granted(&app, world.partner).await.0, 10, "the control: under no reference it moves again");
}

/// The same of what has no reference: nobody is put back on a plan that was left meanwhile, and what was withdrawn is not opened again.
#[tokio::test]
async fn a_retry_after_a_crash_takes_nothing_back_that_came_after_it() {
    let app = TestApp::start().await;
    let (world, third) = (World::new(&app.store).await, World::named(&app.store, "third").await);
    let provider = app.token(None, &Scope::ALL).await;
    let own = app.token(Some(world.partner), &Scope::ALL).await;
    let invoice = billed(&app, world.partner, "growth", vec![some_lines()]).await[0];
    billed(&app, third.partner, "pro", Vec::new()).await;
    let bolt = World::named(&app.store, "bolt").await.partner;
    let plan = format!("/api/partners/{bolt}/plan");
    let assign = async |key: &str, code: &str| {
        app.post_once(&provider, &plan, key, json!({ "plan": code })).await.status.as_u16()
    };
    let lines = format!("/api/invoices/{invoice}/lines/1/disputes");
    let ask = async || app.post_once(&own, &lines, "a", json!({ "amount": "5.00", "reason": "Twice" })).await;
    assert_eq!(assign("a", "growth").await, 204);
    let opened = ask().await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    app.store.forget_api_answers().await;
    assert_eq!(assign("b", "pro").await, 204);
    let dispute = opened.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.post(&own, &format!("/api/disputes/{dispute}/withdraw"), json!({})).await.status, 200);
    app.state.clock.set_ahead_seconds(61);
    assert_eq!(assign("a", "growth").await, 204);
    let held = app.store.subscription(bolt).await.expect("an answer").expect("a subscription");
    assert_eq!(held.plan_code, "pro");
    let again = ask().await;
    assert_eq!((again.status.as_u16(), &again.json()["id"]), (201, &json!(dispute)), "{}", again.text);
    assert_eq!(again.json()["state"], "withdrawn");
}
