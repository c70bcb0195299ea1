//! A partner changes its plan by a script.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::{Value, json};
use store::{Actor, NewPlan, PlanMeta, test_db::world::World};

async fn plan(app: &TestApp, code: &str, euros: i64, private: bool) {
    let approval = domain::plan::Approval::Automatic;
    let meta = PlanMeta { name: code.to_owned(), summary: String::new(), position: 1, private, approval };
    let terms = json!({"currency": "EUR", "products": [], "base_fee_micros": euros * 1_000_000});
    let new = NewPlan { code: code.to_owned(), meta, terms: serde_json::from_value(terms).expect("terms") };
    app.store.create_plan(&new, Actor::System, app.state.clock.now()).await.expect("a plan");
}

#[tokio::test]
async fn a_change_carries_its_preview_and_is_refused_where_it_no_longer_holds() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    for (code, euros, private) in [("small", 10, false), ("large", 100, false), ("secret", 50, true)] {
        plan(&app, code, euros, private).await;
    }
    let token = app.token(Some(world.partner), &[Scope::PlansRead, Scope::PlanWrite]).await;
    assert_eq!(app.get(&token, "/api/plan").await.json()["plan"], Value::Null);
    let look = async |wish: Value| app.post(&token, "/api/plan/preview", wish).await;
    let first = look(json!({"plan": "large"})).await.json();
    assert_eq!((&first["direction"], &first["fee"]["amount"]), (&json!("start"), &json!("100.00")));
    let order = async |plan: Value, preview: &Value| {
        app.post(&token, "/api/plan/change", json!({"plan": plan, "preview": preview})).await
    };
    let made = order(json!("large"), &first["preview"]).await;
    assert_eq!((made.status.as_u16(), &made.json()["status"]), (200, &json!("in_force")), "{}", made.text);
    let again = order(json!("large"), &first["preview"]).await;
    assert_eq!(again.status, 409, "{}", again.text);
    let own = app.get(&token, "/api/plan").await.json();
    assert_eq!((&own["plan"]["code"], &own["started_at"]), (&json!("large"), &first["effective_at"]));

    for (wish, status) in [
        (json!({"plan": "secret"}), 422),
        (json!({"plan": "nothing"}), 422),
        (json!({"plan": "small", "when": "at_once"}), 422),
        (json!({"plan": "large"}), 409),
        (json!({"plan": 7}), 422),
    ] {
        assert_eq!(look(wish.clone()).await.status, status, "{wish}");
    }
    let down = look(json!({"plan": "small"})).await.json();
    assert_eq!((&down["direction"], &down["at_once"]), (&json!("downgrade"), &json!(false)));
    assert_eq!(order(json!(null), &down["preview"]).await.status, 409, "another wish than was shown");
    let planned = order(json!("small"), &down["preview"]).await.json();
    assert_eq!((&planned["status"], &planned["effective_at"]), (&json!("scheduled"), &own["period_end"]));
    assert_eq!(app.get(&token, "/api/plan").await.json()["scheduled"]["to"]["code"], "small");
    let end = look(json!({"plan": null})).await.json();
    assert_eq!((&end["direction"], &end["replaces"]["to"]["code"]), (&json!("cancel"), &json!("small")));
    assert_eq!(app.send(Some(&token), "DELETE", "/api/plan/change", None).await.status, 204);
    assert_eq!(app.send(Some(&token), "DELETE", "/api/plan/change", None).await.status, 404);
    assert_eq!(order(json!(null), &end["preview"]).await.status, 409, "what it took the place of is gone");

    let partner = world.partner;
    let narrow = app.token(None, &[Scope::PlansRead, Scope::PlanWrite]).await;
    let provider = app
        .token(
            None,
            &[Scope::PlansRead, Scope::PlanWrite, Scope::PartnersWrite, Scope::PartnersRead, Scope::InvoicesRead],
        )
        .await;
    let wish = json!({"plan": "secret", "when": "at_once"});
    let shown = app.post(&provider, &format!("/api/plan/preview?partner={partner}"), wish).await.json();
    assert!(shown["so_far"].is_object() && shown["old_fee"].is_object(), "{shown}");
    let wish = json!({"plan": "secret", "when": "at_once"});
    let blind = app.post(&narrow, &format!("/api/plan/preview?partner={partner}"), wish).await.json();
    assert_eq!((&blind["so_far"], &blind["old_fee"], &blind["fee"]), (&Value::Null, &Value::Null, &shown["fee"]));
    let order = json!({"plan": "secret", "when": "at_once", "preview": shown["preview"]});
    let change = format!("/api/plan/change?partner={partner}");
    assert_eq!(app.post(&narrow, &change, order.clone()).await.status, 403);
    assert_eq!(app.send(Some(&narrow), "DELETE", &change, None).await.status, 403);
    let made = app.post(&provider, &change, order).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert_eq!(app.get(&token, "/api/plan").await.json()["plan"]["code"], "secret");

    // What the provider planned is the provider's.
    let wish = json!({"plan": "small", "when": "period_end"});
    let shown = app.post(&provider, &format!("/api/plan/preview?partner={partner}"), wish).await.json();
    let order = json!({"plan": "small", "when": "period_end", "preview": shown["preview"]});
    assert_eq!(app.post(&provider, &change, order).await.json()["status"], "scheduled");
    let refused = app.send(Some(&token), "DELETE", "/api/plan/change", None).await;
    assert!(refused.status == 409 && refused.text.contains("provider planned"), "{}", refused.text);
    assert_eq!(look(json!({"plan": "large"})).await.status, 409);
    assert_eq!(app.send(Some(&provider), "DELETE", &change, None).await.status, 204);
}
