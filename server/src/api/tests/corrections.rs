//! The way of a correction over the whole router, and what its partner sees of it.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::{Value, json};
use store::test_db::world::World;

const PROVIDER: [Scope; 3] = [Scope::UsageRead, Scope::PartnersRead, Scope::PartnersWrite];

async fn units(app: &TestApp, token: &str) -> Value {
    let answer = app.get(token, "/api/usage").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["total"]["units"].clone()
}

async fn with_a_mistyped_report(app: &TestApp, world: &World) -> String {
    let token = app.token(Some(world.partner), &[Scope::UsageRead, Scope::UsageWrite]).await;
    let event = json!({"specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "s", "id": "job-1", "data": {"units": 5000}});
    let told = app.post(&token, "/api/events", event).await;
    assert_eq!(told.json()["results"][0]["result"], "accepted", "{}", told.text);
    token
}

#[tokio::test]
async fn a_mistyped_report_is_tried_approved_corrected_and_put_back() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let theirs = with_a_mistyped_report(&app, &world).await;
    let token = app.token(None, &PROVIDER).await;
    let body = json!({"partner": world.partner, "change": {"kind": "set_units", "units": 50},
        "filter": {"source": "s", "request_id": "job-1"}, "reason": "Typed two noughts too many"});
    let made = app.post(&token, "/api/corrections", body.clone()).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let made = made.json();
    assert_eq!((&made["state"], &made["dry_run"]["units_before"]), (&json!("draft"), &json!(5000)));
    let (id, hash) = (made["id"].as_str().expect("an id").to_owned(), made["hash"].clone());
    let step = async |verb: &str, body: Value| app.post(&token, &format!("/api/corrections/{id}/{verb}"), body).await;
    assert_eq!(step("apply", json!({})).await.status, 409);
    assert_eq!(step("approve", json!({"hash": "00"})).await.status, 422);
    assert_eq!(step("approve", json!({"hash": "0".repeat(64)})).await.status, 409);
    assert_eq!(app.get(&theirs, "/api/corrections").await.json()["items"], json!([]), "a draft is nobody's");
    assert_eq!(step("approve", json!({"hash": hash})).await.json()["state"], "approved");
    assert_eq!(units(&app, &theirs).await, 5000);
    for _ in 0..2 {
        let applied = step("apply", json!({})).await;
        assert_eq!(applied.json()["state"], "applied", "{}", applied.text);
        assert_eq!(units(&app, &theirs).await, 50);
    }
    let seen = app.get(&theirs, "/api/corrections").await.json();
    assert_eq!((&seen["items"][0]["id"], &seen["items"][0]["made"]["by"]), (&json!(id), &json!("")));
    assert_eq!(app.get(&theirs, "/api/corrections?state=draft").await.json()["items"], json!([]));
    assert_eq!(app.get(&theirs, "/api/corrections?state=nonsense").await.status, 400);
    for _ in 0..2 {
        let reverted = step("revert", json!({"reason": "It was right"})).await;
        assert_eq!(reverted.json()["state"], "reverted", "{}", reverted.text);
        assert_eq!(units(&app, &theirs).await, 5000);
    }
    let second = app.post(&token, "/api/corrections", body).await.json();
    let path = format!("/api/corrections/{}/refuse", second["id"].as_str().expect("an id"));
    assert_eq!(app.post(&token, &path, json!({"reason": ""})).await.status, 422);
    assert_eq!(app.post(&token, &path, json!({"reason": "No"})).await.json()["state"], "refused");
    let page = app.get(&token, "/api/corrections?limit=1").await;
    assert_eq!(page.json()["items"][0]["id"], second["id"]);
    let next = format!("/api/corrections?limit=1&cursor={}", page.json()["next"].as_str().expect("a cursor"));
    assert_eq!(app.get(&token, &next).await.json()["items"][0]["id"], json!(id));
    assert_eq!(
        app.get(&token, "/api/corrections?state=refused").await.json()["items"].as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn a_correction_that_makes_no_sense_is_answered_by_its_field() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(None, &PROVIDER).await;
    let void = json!({"kind": "void"});
    let range = json!({"from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"});
    let with = |more: Value| {
        let mut filter = range.clone();
        filter.as_object_mut().expect("fields").extend(more.as_object().cloned().expect("fields"));
        filter
    };
    for (change, filter, reason, pointer) in [
        (void.clone(), json!({}), "r", "/from"),
        (void.clone(), range.clone(), "", "/reason"),
        (void.clone(), range.clone(), "r", "/filter"),
        (void.clone(), with(json!({"product": "none"})), "r", "/product"),
        (void, with(json!({"operation": "none"})), "r", "/product"),
        (json!({"kind": "back_fill", "at": "2026-01-01T00:00:00Z", "calls": 0, "units": 1}), json!({}), "r", "/calls"),
    ] {
        let body = json!({"partner": world.partner, "change": change, "filter": filter, "reason": reason});
        let answer = app.post(&token, "/api/corrections", body).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["errors"][0]["pointer"]),
            (422, &json!(pointer)),
            "{}",
            answer.text
        );
    }
    let nobody = "partner_00000000000000000000000000000009";
    let body = json!({"partner": nobody, "change": {"kind": "void"}, "filter": range, "reason": "r"});
    assert_eq!(app.post(&token, "/api/corrections", body).await.status, 404);
}

#[tokio::test]
async fn where_it_takes_two_people_a_token_is_neither() {
    let app = TestApp::start_with(|settings| settings.four_eyes = true).await;
    let world = World::new(&app.store).await;
    with_a_mistyped_report(&app, &world).await;
    let token = app.token(None, &PROVIDER).await;
    let body =
        json!({"partner": world.partner, "change": {"kind": "void"}, "filter": {"request_id": "job-1"}, "reason": "r"});
    let answer = app.post(&token, "/api/corrections", body).await;
    assert_eq!(answer.status, 409, "{}", answer.text);
}
