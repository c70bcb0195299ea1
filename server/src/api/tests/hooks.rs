//! Hooks over the REST API: their secret is told once and again at a rotation, and nowhere else.

use crate::test_app::TestApp;
use domain::scope::Scope;
use serde_json::json;
use store::test_db::world::World;

#[tokio::test]
async fn a_hook_is_made_paused_rotated_tested_and_deleted_and_its_secret_is_told_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let (reader, writer) =
        (app.token(None, &[Scope::PartnersRead]).await, app.token(None, &[Scope::PartnersWrite]).await);
    let new = json!({"url": "https://receiver.example/in?token=letmein", "partner": world.partner});
    assert_eq!(app.post(&reader, "/api/hooks", new.clone()).await.status, 403);
    for bad in [
        "receiver.example",
        "https://name:word@receiver.example",
        "ftp://receiver.example",
        "https://receiver.example:25",
        "http://receiver.example",
    ] {
        let refused = app.post(&writer, "/api/hooks", json!({ "url": bad })).await;
        assert_eq!(refused.status, 422, "{bad}: {}", refused.text);
    }
    let nobody = json!({"url": "https://a.example", "partner": "partner_00000000000000000000000000000001"});
    assert_eq!(app.post(&writer, "/api/hooks", nobody).await.status, 404);
    let made = app.post(&writer, "/api/hooks", new).await;
    assert_eq!((made.status.as_u16(), &made.headers["cache-control"]), (201, &"no-store".parse().expect("a value")));
    let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].clone());
    let (id, secret) = (id.as_str().expect("an id"), secret.as_str().expect("a secret"));
    assert!(secret.starts_with("whsec_"));
    let listed = app.get(&reader, "/api/hooks").await;
    let hook = &listed.json()["items"][0];
    assert_eq!((hook["id"].as_str(), hook["state"].as_str()), (Some(id), Some("active")), "{}", listed.text);
    assert!(!listed.text.contains("whsec_"));
    assert_eq!(hook["url"], "https://receiver.example/in?…");

    let change = async |verb: &str| app.post(&writer, &format!("/api/hooks/{id}/{verb}"), json!({})).await;
    for (verb, state) in [("pause", "paused"), ("resume", "active")] {
        assert_eq!(change(verb).await.status, 204);
        assert_eq!(app.get(&reader, "/api/hooks").await.json()["items"][0]["state"], state);
    }
    let rotated = change("rotate").await;
    assert_eq!(rotated.status, 200);
    assert_ne!(rotated.json()["secret"], secret);
    assert_eq!(change("test").await.status, 202);
    let other = World::named(&app.store, "other").await.partner;
    assert_eq!(app.get(&reader, &format!("/api/hooks?partner={other}")).await.json()["items"], json!([]));
    let delete = async || app.send(Some(&writer), "DELETE", &format!("/api/hooks/{id}"), None).await.status;
    assert_eq!((delete().await.as_u16(), delete().await.as_u16()), (204, 404));
    let audit = app.store.audit_page(world.partner, None, 50).await.expect("a page").items;
    let mut actions: Vec<_> = audit.iter().filter(|entry| entry.action.starts_with("hook.")).collect();
    actions.reverse();
    let names: Vec<_> = actions.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(names, ["hook.create", "hook.pause", "hook.resume", "hook.rotate", "hook.delete"]);
    let noted = actions.iter().map(|entry| format!("{entry:?}")).collect::<String>();
    assert!(
        noted.contains("receiver.example/in?…") && !noted.contains("whsec_") && !noted.contains("letmein"),
        "{noted}"
    );
}
