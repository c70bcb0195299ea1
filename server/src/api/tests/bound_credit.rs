//! Units for calls of some products: given by the provider once, refused in words, and told to the partner.

use super::quotes::product;
use crate::test_app::TestApp;
use domain::{product::Visibility, scope::Scope};
use serde_json::{Value, json};
use store::test_db::world::World;

#[tokio::test]
async fn a_grant_for_some_products_is_given_once_and_both_sides_read_for_what_it_is() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    for code in ["payments", "payouts"] {
        product(&app, code, Visibility::Public, 1).await;
    }
    let provider = app.token(None, &Scope::ALL).await;
    let path = format!("/api/partners/{}/credit", world.partner);
    let give = async |body: Value| app.post(&provider, &path, body).await;
    let body = json!({ "units": 300, "reason": "Spring", "reference": "s-1", "products": ["payouts", "payments"],
        "expires_at": "2099-01-31T00:00:00Z" });
    let given = give(body.clone()).await;
    assert_eq!(given.status, 200, "{}", given.text);
    let told = given.json();
    assert_eq!((&told["balance"], &told["granted"]), (&json!(0), &json!(0)), "none of it is common");
    let bound = &told["bound"][0];
    assert_eq!(
        (&bound["products"], &bound["left"], &bound["first_end"]),
        (&json!(["payments", "payouts"]), &json!(300), &json!("2099-01-31T00:00:00Z"))
    );
    assert_eq!(give(body).await.json(), told, "the same reference gives it once");
    let other = json!({ "units": 300, "reason": "Spring", "reference": "s-1", "products": ["payments"] });
    assert_eq!(give(other).await.status, 409);
    let unknown = give(json!({ "units": 1, "reason": "Spring", "products": ["cards"] })).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.text.contains("No product has the code") && unknown.text.contains("cards"), "{}", unknown.text);
    let back = give(json!({ "units": -1, "reason": "Back", "products": ["payments"] })).await;
    assert_eq!(back.status, 422, "{}", back.text);

    let own = app.token(Some(world.partner), &[Scope::InvoicesRead]).await;
    let seen = app.get(&own, "/api/credit").await.json();
    assert_eq!((&seen["balance"], &seen["allocated"], &seen["bound"]), (&json!(0), &json!(0), &told["bound"]));
    let grant = &seen["grants"][0];
    assert_eq!(
        (&grant["products"], &grant["left"], &grant["allocated"]),
        (&json!(["payments", "payouts"]), &json!(300), &json!(0))
    );
    let plain = give(json!({ "units": 5, "reason": "Welcome" })).await.json();
    assert_eq!((&plain["balance"], &plain["bound"]), (&json!(5), &told["bound"]));

    let grants = app.get(&provider, &format!("{path}/grants")).await.json();
    let id = grants.as_array().expect("grants").iter().find(|one| one["reason"] == "Spring").expect("it")["id"].clone();
    let void = format!("{path}/grants/{}/void", id.as_str().expect("an id"));
    assert_eq!(app.post(&provider, &void, json!({ "reason": "Wrong" })).await.status, 204);
    let after = app.get(&provider, &path).await.json();
    assert_eq!((&after["balance"], &after["bound"]), (&json!(5), &json!([])));
}
