//! Usage told from outside, and events given out, over the whole router.

use crate::test_app::{Answer, TestApp};
use domain::{id::PartnerId, scope::Scope};
use serde_json::{Value, json};
use store::test_db::world::World;

fn event(id: &str, subject: Option<PartnerId>, data: Value) -> Value {
    let mut event = json!({"specversion": "1.0", "type": "io.turnpike.usage.v2", "source": "https://p.example", "id": id, "data": data});
    if let Some(subject) = subject {
        event["subject"] = json!(subject);
    }
    event
}

fn results(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = answer.json()["results"].as_array().cloned().expect("results");
    results
        .iter()
        .map(|result| format!("{} {}", result["id"].as_str().unwrap_or(""), result["result"].as_str().unwrap_or("")))
        .collect()
}

#[tokio::test]
async fn each_event_is_answered_and_what_is_taken_can_be_read_as_cloud_events() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(Some(world.partner), &[Scope::UsageRead, Scope::UsageWrite]).await;
    let batch = json!([
        event("a", None, json!({"units": 5})),
        event("a", Some(world.partner), json!({"units": 5})),
        event("a", None, json!({"units": 6})),
        event("b", None, json!({"units": "five"})),
        event("c", None, json!({"units": 1, "product": "none"})),
        "no event",
    ]);
    let answer = app.post(&token, "/api/events", batch.clone()).await;
    // The second names the partner, and is the same event all the same.
    assert_eq!(results(&answer), ["a accepted", "a duplicate", "a conflict", "b invalid", "c invalid", " invalid"]);
    let errors = &answer.json()["results"];
    assert_eq!(errors[3]["errors"][0]["pointer"], "/data");
    assert_eq!(errors[4]["errors"][0]["pointer"], "/data/product");
    assert_eq!(results(&app.post(&token, "/api/events", batch).await)[0], "a duplicate");
    assert_eq!(results(&app.post(&token, "/api/events", event("d", None, json!({"units": 2}))).await), ["d accepted"]);

    let listed = app.get(&token, "/api/events?limit=1&to=2100-01-01T00:00:00Z&from=2099-01-01T00:00:00Z").await;
    assert_eq!(listed.json(), json!([]));
    let listed = app.get(&token, "/api/events").await;
    assert_eq!(listed.headers["content-type"], "application/cloudevents-batch+json");
    let now = app.state.clock.now() + jiff::SignedDuration::from_secs(60);
    let first = app.get(&token, &format!("/api/events?limit=1&to={now}")).await;
    assert_eq!(first.json().as_array().map(Vec::len), Some(1), "{}", first.text);
    assert!(first.headers["link"].to_str().expect("a text").contains("rel=\"next\""));
    let all = app.get(&token, &format!("/api/events?to={now}")).await.json();
    let told: Vec<_> = all
        .as_array()
        .expect("a list")
        .iter()
        .map(|event| (event["id"].clone(), event["data"]["units"].clone()))
        .collect();
    assert_eq!(told, [(json!("a"), json!(5)), (json!("d"), json!(2))]);
    assert_eq!((&all[0]["source"], &all[0]["subject"]), (&json!("https://p.example"), &json!(world.partner)));

    let conflicts = app.get(&token, "/api/events/conflicts").await.json();
    assert_eq!(conflicts["items"].as_array().map(Vec::len), Some(1), "{conflicts}");
    assert_eq!(app.get(&token, "/api/events/late").await.json()["items"], json!([]));
    let schema = app.send(None, "GET", "/api/usage-event.schema.json", None).await;
    assert_eq!(schema.headers["content-type"], "application/schema+json");
    assert_eq!(schema.json()["properties"]["type"]["const"], all[0]["type"]);
}

#[tokio::test]
async fn a_partner_reports_its_own_usage_only_and_the_provider_names_whose_it_is() {
    let app = TestApp::start().await;
    let (own, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let token = app.token(Some(own.partner), &[Scope::UsageWrite, Scope::UsageRead]).await;
    let foreign = app.post(&token, "/api/events", event("1", Some(other.partner), json!({"units": 1}))).await;
    assert_eq!(
        (results(&foreign), foreign.json()["results"][0]["errors"][0]["pointer"].clone()),
        (vec!["1 invalid".to_owned()], json!("/subject"))
    );

    let provider = app.token(None, &[Scope::UsageWrite, Scope::UsageRead]).await;
    let nobody = PartnerId(uuid::Uuid::from_u128(5));
    let batch = json!([
        event("1", Some(own.partner), json!({"units": 1})),
        event("1", Some(other.partner), json!({"units": 2})),
        event("1", Some(nobody), json!({"units": 3})),
        event("1", None, json!({"units": 4})),
    ]);
    let answer = app.post(&provider, "/api/events", batch).await;
    assert_eq!(results(&answer), ["1 accepted", "1 accepted", "1 invalid", "1 invalid"]);
    let named = app
        .post(&provider, &format!("/api/events?partner={}", own.partner), event("2", None, json!({"units": 1})))
        .await;
    assert_eq!(results(&named), ["2 accepted"]);
    let too_many: Vec<Value> = (0..1_001).map(|number| event(&number.to_string(), None, json!({"units": 1}))).collect();
    assert_eq!(app.post(&token, "/api/events", json!(too_many)).await.status, 400);
    assert_eq!(app.post(&token, "/api/events", json!([])).await.status, 400);
}
