//! The REST API as a whole, on a real Postgres.

mod bound_credit;
mod corrections;
mod coupons;
mod credit_allocations;
mod credit_packages;
mod deliveries;
mod disputes;
mod draft_invoice;
mod dunning;
mod events;
mod fuzz_events;
mod hooks;
mod invoice_thresholds;
pub(crate) mod invoices;
mod journal;
mod meters;
mod named_partners;
mod once;
mod own_credit;
mod plan;
mod plan_moves;
mod quotes;
mod reconciliation;
mod stripe_drift;
mod stripe_events;
mod trace;
mod unknown_requests;
mod usage;

use super::{
    access::{RULES, Rule, Whose},
    routes,
};
use crate::test_app::{Answer, TestApp};
use domain::scope::Scope;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{Actor, test_db::world::World};

/// A path of the list with something in the places of its parameters.
fn filled(path: &str) -> String {
    path.replace("{key}", "key_00000000000000000000000000000001")
        .replace("{app}", "app_00000000000000000000000000000001")
        .replace("{invoice}", "invoice_00000000000000000000000000000001")
        .replace("{position}", "0")
        .replace("{dispute}", "dispute_00000000000000000000000000000001")
        .replace("{credit_note}", "credit_note_00000000000000000000000000000001")
        .replace("{partner}", "partner_00000000000000000000000000000001")
        .replace("{product}", "payments")
        .replace("{attempt}", "attempt_00000000000000000000000000000001")
        .replace("{conflict}", "conflict_00000000000000000000000000000001")
        .replace("{hook}", "hook_00000000000000000000000000000001")
        .replace("{finding}", "finding_00000000000000000000000000000001")
        .replace("{correction}", "correction_00000000000000000000000000000001")
        .replace("{plan}", "starter")
        .replace("{request_id}", "req_1")
        .replace("{move}", "move_00000000000000000000000000000001")
        .replace("{package}", "million")
        .replace("{allocation}", "allocation_00000000000000000000000000000001")
}

async fn call(app: &TestApp, rule: &Rule, token: Option<&str>, partner: Option<&str>) -> Answer {
    let query = partner.map(|partner| format!("?partner={partner}")).unwrap_or_default();
    let body = (rule.method != "GET").then(|| json!({}));
    app.send(token, rule.method.as_str(), &format!("{}{query}", filled(rule.path)), body).await
}

#[test]
fn the_list_and_the_routes_are_the_same() {
    let (_, description) = routes().split_for_parts();
    let mut described = BTreeSet::new();
    for (path, item) in &description.paths.paths {
        let methods = [
            ("GET", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("DELETE", &item.delete),
            ("PATCH", &item.patch),
        ];
        described.extend(
            methods.iter().filter(|(_, operation)| operation.is_some()).map(|(method, _)| format!("{method} {path}")),
        );
    }
    let listed: BTreeSet<_> = RULES.iter().map(|rule| format!("{} {}", rule.method, rule.path)).collect();
    assert_eq!(described, listed);
}

#[tokio::test]
async fn no_route_answers_without_a_token_or_with_an_invented_one() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let real = app.token(Some(world.partner), &Scope::ALL).await;
    // The right form and checksum, and unknown here.
    let other = TestApp::start().await;
    let invented = other.token(None, &Scope::ALL).await;
    for rule in RULES {
        for token in [None, Some("tp_api_x"), Some(invented.as_str())] {
            let answer = call(&app, rule, token, None).await;
            assert_eq!(answer.status, 401, "{} {}", rule.method, rule.path);
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
        assert_ne!(call(&app, rule, Some(&real), None).await.status, 401, "{} {}", rule.method, rule.path);
    }
}

#[tokio::test]
async fn every_route_wants_its_own_scope() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let partner = world.partner.to_string();
    for rule in RULES {
        let wanted: Vec<Scope> = rule.wanted(true).collect();
        for scope in &wanted {
            let others: Vec<Scope> = Scope::ALL.into_iter().filter(|other| other != scope).collect();
            let lacking = app.token(None, &others).await;
            let answer = call(&app, rule, Some(&lacking), Some(&partner)).await;
            assert_eq!(answer.status, 403, "{} {} without {scope}", rule.method, rule.path);
        }
        if wanted.is_empty() {
            continue;
        }
        let having = app.token(None, &wanted).await;
        let answer = call(&app, rule, Some(&having), Some(&partner)).await;
        assert!(![401, 403].contains(&answer.status.as_u16()), "{} {}: {}", rule.method, rule.path, answer.text);
        assert!(answer.status.as_u16() < 500, "{} {}: {}", rule.method, rule.path, answer.text);
    }
}

#[tokio::test]
async fn a_partners_token_reaches_neither_the_provider_s_routes_nor_another_partner() {
    let app = TestApp::start().await;
    let (own, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let token = app.token(Some(own.partner), &Scope::ALL).await;
    let theirs = other.partner.to_string();
    for rule in RULES {
        let answer = call(&app, rule, Some(&token), Some(&theirs)).await;
        match rule.whose {
            Whose::Provider => assert_eq!(answer.status, 403, "{} {}", rule.method, rule.path),
            Whose::Partner => assert_eq!(answer.status, 404, "{} {}", rule.method, rule.path),
            Whose::Anyone => {}
        }
    }
}

#[tokio::test]
async fn another_partners_key_and_app_do_not_exist() {
    let app = TestApp::start().await;
    let (own, other) = (World::new(&app.store).await, World::named(&app.store, "other").await);
    let token = app.token(Some(own.partner), &Scope::ALL).await;
    let their_token = app.token(Some(other.partner), &Scope::ALL).await;
    let their_app = app.get(&their_token, "/api/apps").await.json()["items"][0]["id"].clone();
    let new = json!({"app": their_app, "name": "Live", "environment": "live"});
    let their_key = app.post(&their_token, "/api/keys", new.clone()).await;
    assert_eq!(their_key.status, 201, "{}", their_key.text);
    let id = their_key.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!(app.post(&token, "/api/keys", new).await.status, 404);
    for verb in ["rotate", "revoke"] {
        assert_eq!(app.post(&token, &format!("/api/keys/{id}/{verb}"), json!({})).await.status, 404, "{verb}");
    }
    assert_eq!(app.get(&token, "/api/keys").await.json()["items"], json!([]));
}

#[tokio::test]
async fn a_key_is_made_rotated_and_revoked_and_its_text_is_told_once() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(Some(world.partner), &[Scope::KeysRead, Scope::KeysWrite]).await;
    let made = app.post(&token, "/api/apps", json!({"name": "Shop"})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let new = json!({"app": made.json()["id"], "name": "Live", "environment": "live"});
    let key = app.post(&token, "/api/keys", new).await;
    assert_eq!((key.status.as_u16(), &key.headers["cache-control"]), (201, &"no-store".parse().expect("a value")));
    let text = key.json()["text"].as_str().expect("a text").to_owned();
    assert!(text.starts_with("tp_live_"));
    let id = key.json()["id"].as_str().expect("an id").to_owned();

    let rotated = app.post(&token, &format!("/api/keys/{id}/rotate"), json!({"overlap_seconds": 60})).await;
    assert_eq!(rotated.status, 201, "{}", rotated.text);
    assert_ne!(rotated.json()["text"], text.as_str());
    let listed = app.get(&token, "/api/keys").await;
    assert!(!listed.text.contains(&text));
    let state = |of: &str| {
        let items = listed.json()["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().find(|key| key["id"] == of).expect("listed")["state"].clone()
    };
    assert_eq!(state(&id), "expiring");
    assert_eq!(state(rotated.json()["id"].as_str().expect("an id")), "active");
    assert_eq!(app.post(&token, &format!("/api/keys/{id}/revoke"), json!({})).await.status, 204);
    assert_eq!(app.post(&token, &format!("/api/keys/{id}/revoke"), json!({})).await.status, 409);
}

#[tokio::test]
async fn bounds_are_set_and_changed_and_only_the_provider_registers_identities() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let own = app.token(Some(world.partner), &[Scope::KeysRead, Scope::KeysWrite]).await;
    let provider = app.token(None, &[Scope::KeysRead, Scope::KeysWrite]).await;
    let shop = app.get(&own, "/api/apps").await.json()["items"][0]["id"].clone();
    let new = json!({
        "app": shop, "name": "Live", "environment": "live",
        "bounds": {"allowed_addresses": ["192.0.2.9/24"], "scopes": ["pay"]},
    });
    let id = app.post(&own, "/api/keys", new).await.json()["id"].as_str().expect("an id").to_owned();
    let listed = app.get(&own, "/api/keys").await.json();
    assert_eq!(listed["items"][0]["allowed_addresses"], json!(["192.0.2.0/24"]));
    let path = format!("/api/keys/{id}/bounds");
    let put = async |body| app.send(Some(&own), "PUT", &path, Some(body)).await;
    let wider = put(json!({"scopes": ["pay", "refund"]})).await;
    assert_eq!((wider.status.as_u16(), &wider.json()["allowed_addresses"]), (200, &json!([])));
    assert_eq!(put(json!({"allowed_addresses": ["everywhere"]})).await.status, 422);

    let identity = json!({
        "app": shop, "name": "Service", "environment": "live",
        "kind": "token", "issuer": "https://id.example/", "identity": "acme",
    });
    assert_eq!(app.post(&own, "/api/identities", identity.clone()).await.status, 403);
    let path = format!("/api/identities?partner={}", world.partner);
    let made = app.post(&provider, &path, identity.clone()).await;
    assert_eq!((made.status.as_u16(), &made.json()["identity"]), (201, &json!("acme")), "{}", made.text);
    assert_eq!(app.post(&provider, &path, identity).await.status, 409);
}

#[tokio::test]
async fn what_cannot_be_taken_is_told_with_a_pointer() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(Some(world.partner), &Scope::ALL).await;
    let answer = app.post(&token, "/api/apps", json!({"name": ""})).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.json()["errors"][0]["pointer"], "/name");
    let surplus = app.post(&token, "/api/apps", json!({"name": "Shop", "partner_id": "x"})).await;
    assert_eq!(surplus.status, 422, "{}", surplus.text);
    assert_eq!(app.send(Some(&token), "GET", "/api/usage?from=yesterday", None).await.status, 400);
    assert_eq!(app.get(&token, "/api/usage?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z").await.status, 400);
}

#[tokio::test]
async fn the_provider_sells_a_product_and_moves_a_partner_to_a_plan() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(None, &Scope::ALL).await;
    let document = json!({"openapi": "3.1.0", "info": {"title": "Pay", "version": "1"},
        "paths": {"/payments": {"get": {"operationId": "listPayments", "responses": {"200": {"description": "ok"}}}}}});
    let product = json!({"name": "Payments", "route": "/payments", "upstream_url": "http://127.0.0.1:9", "document": document,
        "headers": {"authorization": "Bearer hidden"}});
    let put = |body: Value| app.send(Some(&token), "PUT", "/api/products/payments", Some(body));
    assert_eq!(put(product.clone()).await.status, 201);
    let again = put(product.clone()).await;
    assert_eq!(again.status, 200, "{}", again.text);
    assert!(!again.text.contains("hidden"));
    let purge = |body: Value| app.post(&token, "/api/products/payments/purge-cache", body);
    assert_eq!(purge(json!({})).await.status, 204);
    let narrow = json!({"partner": world.partner.to_string(), "path_prefix": "/payments/"});
    assert_eq!(purge(narrow).await.status, 204);
    assert_eq!(purge(json!({"path_prefix": "payments"})).await.status, 422);
    assert_eq!(app.post(&token, "/api/products/none/purge-cache", json!({})).await.status, 404);
    let purges = app.store.cache_purges_after(0).await.expect("purges");
    assert_eq!(purges.len(), 2, "each node finds them in order");
    assert_eq!((purges[0].1.partner, purges[1].1.path_prefix.as_deref()), (None, Some("/payments/")));
    assert_eq!(app.store.newest_cache_purge().await.expect("a number"), purges[1].0);
    let mut broken = product;
    broken["document"] = json!({"openapi": "3.1.0", "info": {"title": "Pay", "version": "1"}, "paths": {}});
    let refused = put(broken).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.json()["errors"][0]["pointer"].as_str().is_some_and(|at| at.starts_with("/document")));

    let terms = json!({"currency": "EUR", "products": [{"product": "payments"}]});
    assert_eq!(app.post(&token, "/api/plans/starter/versions", terms.clone()).await.status, 404);
    let meta = store::PlanMeta {
        name: "Starter".into(),
        summary: String::new(),
        position: 1,
        private: false,
        approval: Default::default(),
    };
    let new =
        store::NewPlan { code: "starter".into(), meta, terms: serde_json::from_value(terms.clone()).expect("terms") };
    app.store.create_plan(&new, Actor::System, world.now).await.expect("a plan");
    assert_eq!(app.post(&token, "/api/plans/starter/versions", terms.clone()).await.status, 200);
    let mut dearer = terms;
    dearer["base_fee_micros"] = json!(9_000_000);
    let tried = app.post(&token, "/api/plans/starter/versions/preview", dearer.clone()).await;
    assert_eq!((tried.status.as_u16(), tried.json()["partners_in_all"].clone()), (200, json!(0)), "{}", tried.text);
    let unsold = json!({"currency": "EUR", "products": [], "minimum_micros": 5});
    let refused = app.post(&token, "/api/plans/starter/versions/preview", unsold).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["errors"][0]["pointer"]), (422, &json!("/minimum")));
    let added = app.post(&token, "/api/plans/starter/versions", dearer).await;
    assert_eq!((added.status.as_u16(), added.json()["version"].clone()), (201, json!(2)), "{}", added.text);

    let partner = format!("/api/partners/{}", world.partner);
    let assigned = app.post(&token, &format!("{partner}/plan"), json!({"plan": "starter"})).await;
    assert_eq!(assigned.status, 204, "{}", assigned.text);
    let cheaper = json!({"currency": "EUR", "products": [{"product": "payments"}], "base_fee_micros": 4_000_000});
    let tried = app.post(&token, "/api/plans/starter/versions/preview", cheaper.clone()).await.json();
    let one = &tried["partners"][0];
    // It came just now, so it is listed, and in no sum.
    assert_eq!((&one["version"], &one["differs"], &one["before"]["amount"]), (&json!(2), &json!("new"), &Value::Null));
    assert_eq!((&tried["before"]["amount"], &tried["after"]["amount"]), (&json!("0.00"), &json!("0.00")), "{tried}");
    for lacking in [Scope::PartnersRead, Scope::InvoicesRead] {
        let scopes = [Scope::PlansWrite, Scope::PartnersRead, Scope::InvoicesRead].into_iter();
        let token = app.token(None, &scopes.filter(|scope| *scope != lacking).collect::<Vec<_>>()).await;
        let sums = app.post(&token, "/api/plans/starter/versions/preview", cheaper.clone()).await;
        assert_eq!((sums.status.as_u16(), &sums.json()["partners"]), (200, &json!([])), "{}", sums.text);
        assert_eq!(sums.json()["before"], tried["before"]);
    }
    assert_eq!(app.post(&token, &format!("{partner}/plan"), json!({"plan": "none"})).await.status, 422);
    let credit = format!("{partner}/credit");
    for _ in 0..2 {
        let body = json!({"units": 250, "reason": "Invoice 7", "reference": "pay-7"});
        let granted = app.post(&token, &credit, body).await;
        assert_eq!((granted.status.as_u16(), granted.json()["granted"].clone()), (200, json!(250)), "once");
    }
    let too_much = app.post(&token, &credit, json!({"units": -251, "reason": "Back"})).await;
    assert_eq!(too_much.status, 409);
    assert_eq!(
        app.get(&token, &credit).await.json(),
        json!({"granted": 250, "used": 0, "balance": 250, "overdraft": 0, "to_be_billed": 0, "allocated": 0, "bound": []})
    );
    let line = app.get(&token, "/api/partners?search=acme").await.json()["items"][0].clone();
    assert_eq!((line["plan"].clone(), line["plan_version"].clone()), (json!("Starter"), json!(2)));
    assert_eq!(app.post(&token, &format!("{partner}/suspend"), json!({"reason": "unpaid"})).await.status, 204);
    assert_eq!(app.get(&token, &partner).await.json()["suspended"], true);
    assert_eq!(app.post(&token, &format!("{partner}/reactivate"), json!({})).await.status, 204);

    let own = app.token(Some(world.partner), &[Scope::PlansRead]).await;
    let seen = app.get(&own, "/api/products").await;
    assert_eq!(seen.json()["items"][0]["open"], true, "{}", seen.text);
    assert!(!seen.text.contains("127.0.0.1:9"), "the upstream is the provider's own");
}

#[tokio::test]
async fn lists_go_on_by_the_link_header_until_they_end() {
    let app = TestApp::start().await;
    for name in ["ash", "birch", "cedar", "douglas", "elm"] {
        World::named(&app.store, name).await;
    }
    let token = app.token(None, &[Scope::PartnersRead]).await;
    let (mut path, mut names) = ("/api/partners?limit=2".to_owned(), Vec::new());
    loop {
        let page = app.get(&token, &path).await;
        let items = page.json()["items"].as_array().cloned().expect("items");
        names.extend(items.iter().map(|item| item["name"].as_str().expect("a name").to_owned()));
        let Some(link) = page.headers.get("link") else { break };
        let link = link.to_str().expect("a text");
        path = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
    }
    assert_eq!(names, ["ash", "birch", "cedar", "douglas", "elm"]);
}

#[tokio::test]
async fn usage_and_invoices_are_empty_lists_and_csv_before_the_first_call() {
    let app = TestApp::start().await;
    let world = World::new(&app.store).await;
    let token = app.token(Some(world.partner), &[Scope::UsageRead, Scope::InvoicesRead]).await;
    let usage = app.get(&token, "/api/usage?by=product").await;
    assert_eq!((usage.status.as_u16(), usage.json()["total"]["calls"].clone()), (200, json!(0)), "{}", usage.text);
    let csv = app.get(&token, "/api/usage/series?format=csv&from=2026-01-01T00:00:00Z&to=2026-01-03T00:00:00Z").await;
    assert_eq!(csv.text.lines().count(), 3, "{}", csv.text);
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    assert_eq!(app.get(&token, "/api/requests").await.json(), json!({"items": [], "next": null}));
    assert_eq!(app.get(&token, "/api/invoices").await.json(), json!({"items": [], "next": null}));
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_and_never_a_page() {
    let app = TestApp::start().await;
    for (method, path, status) in [("GET", "/api", 404), ("GET", "/api/nothing", 404), ("DELETE", "/api/keys", 405)] {
        let answer = app.send(None, method, path, None).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.headers["content-type"], "application/problem+json", "{method} {path}");
    }
    let description = app.send(None, "GET", "/api/openapi.json", None).await.json();
    assert_eq!(description["openapi"], "3.1.0");
    // Left for a validator and a linter that are not ours.
    if let Some(folder) = std::env::var_os("TURNPIKE_OPENAPI_OUT").map(std::path::PathBuf::from) {
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("rest-api.json"), description.to_string()).expect("written");
    }
}
