//! Text that tries to be markup: whatever people and documents say is shown as text.

use crate::{
    browser::Answer,
    company::{document, new_plan, new_product, open_catalogue, secret, unknown_request},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::{
    correction::{BackFill, Change, Filter, NewCorrection},
    idempotency::{Key, Slot},
    key_text::Environment,
    plan::Approval,
    product::Visibility,
    role::{MemberRole, OperatorRole},
};
use serde_json::json;
use store::{Actor, NewApiToken, NewApp, NewKey, NewMember, NewPartner, corrections};

/// Each ends another thing that text may stand in.
const HOSTILE: [&str; 6] = [
    "</title><script>boo()</script>",
    "</textarea><script>boo()</script>",
    "\"><img src=x onerror=boo()>",
    "'><svg onload=boo()>",
    "--><script>boo()</script>",
    "</script><script>boo()</script>",
];

/// What of these texts would be markup.
const MARKUP: [&str; 5] = ["<script>boo", "<img src=x", "<svg onload", "onerror=boo()>", "<b>boo"];

fn assert_is_text(answer: &Answer, path: &str) {
    assert_eq!(answer.status, StatusCode::OK, "{path}");
    for markup in MARKUP {
        // Between quotes the `>` is harmless; the tag's beginning never may stand there.
        let found = answer.text.find(markup).filter(|_| markup.starts_with('<'));
        let around = found.and_then(|at| answer.text.get(at.saturating_sub(80)..at + 40));
        assert_eq!(found, None, "{path}: {}", around.unwrap_or_default());
    }
    // A quote that ends an attribute would leave these behind.
    assert!(!answer.text.contains("\" onerror=") && !answer.text.contains("\"><img"), "{path}");
    let title = answer.text.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
    assert!(!title.contains('<'), "{path}: {title}");
}

#[tokio::test(flavor = "multi_thread")]
async fn text_of_partners_and_documents_is_shown_as_text() {
    for hostile in HOSTILE {
        shown_as_text(hostile).await;
    }
}

async fn shown_as_text(hostile: &str) {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (store, now, system) = (&portal.store, portal.now(), Actor::System);
    let new = NewPartner { code: None, name: hostile.to_owned(), time_zone: "UTC".to_owned() };
    let partner = store.create_partner(&new, system, now).await.expect("a partner");
    let new = NewMember {
        email: "owner@acme.example".to_owned(),
        name: hostile.to_owned(),
        role: MemberRole::Owner,
        password_hash: None,
        verified: true,
    };
    let owner = store.create_member(partner, &new, system, now).await.expect("a member");
    let app = store.create_app(partner, &NewApp::named(hostile), system, now).await.expect("an app");
    for environment in [Environment::Test, Environment::Live] {
        let new = NewKey::text(app, hostile, environment, secret(&portal).1);
        store.create_key(partner, &new, system, now).await.expect("a key");
    }
    let new = NewApiToken {
        name: hostile.to_owned(),
        hash: [9; 32],
        last_four: "1234".to_owned(),
        scopes: vec!["usage:read".to_owned()],
        expires_at: None,
    };
    store.create_api_token(Some(partner), &new, system, now).await.expect("a token");
    let mut product = new_product("acme", Visibility::Public, "http://127.0.0.1:1");
    product.name = hostile.to_owned();
    product.summary = hostile.to_owned();
    product.operations[0].summary = hostile.to_owned();
    product.document = hostile_document(hostile);
    let product = store.create_product(&product, system, now).await.expect("a product");
    let mut plan = new_plan("evil", "acme-ledger", false, Approval::Automatic);
    plan.meta.name = hostile.to_owned();
    plan.meta.summary = hostile.to_owned();
    plan.terms.features = vec![hostile.to_owned()];
    let plan = store.create_plan(&plan, system, now).await.expect("a plan");
    let version = store.plan(plan).await.expect("a plan").versions[0].id;
    store.assign_plan_version(partner, version, system, now).await.expect("assigned");

    let operation = store.product(product).await.expect("a product").operations[0].id;
    let key = format!("\"{}\"", hostile.replace(' ', "/").replace('"', "\\\""));
    let key = Key::parse(key.as_bytes()).expect("a key");
    let slot = Slot { partner, environment: Environment::Live, product, operation, key };
    let unknown = unknown_request(store, &slot, hostile, now).await;

    let fill = BackFill {
        at: now - jiff::SignedDuration::from_mins(1),
        calls: 1,
        units: 1,
        environment: Environment::Test,
        product: None,
        operation: None,
        app: None,
    };
    let new = NewCorrection { change: Change::BackFill(fill), filter: Filter::default(), reason: hostile.to_owned() };
    let correction = billing::draft_correction(store, partner, new, (false, system), now).await.expect("a draft");
    let seen = store.correction_of_any_partner(correction).await.expect("it is there").hash;
    let approval = corrections::Approval { seen, four_eyes: false };
    billing::approve_correction(store, correction, approval, system, now).await.expect("approved");
    billing::apply_correction(store, correction, (false, system), now).await.expect("applied");

    let mut member = portal.as_member(owner).await;
    let mut shown = 0;
    for path in [
        "/home",
        "/apps",
        &format!("/apps/{app}"),
        "/tokens",
        "/team",
        &format!("/team/{owner}/remove"),
        "/settings",
        "/products",
        "/products/acme-ledger",
        "/products/acme-ledger/acmeListEntries",
        "/usage",
        "/requests",
        "/plan",
        "/plan/change?to=evil",
        "/pricing",
    ] {
        let page = member.get(path).await;
        assert_is_text(&page, path);
        shown += usize::from(page.text.contains("boo()"));
    }
    assert!(shown > 10, "the text is on most of these pages: {shown}");
    for path in ["/", "/pricing"] {
        assert_is_text(&portal.browser().get(path).await, path);
    }
    let mut console = portal.as_operator(portal.operator(OperatorRole::Admin).await).await;
    let mut shown = 0;
    for path in [
        "/console",
        "/console/partners",
        &format!("/console/partners/{partner}"),
        "/console/products",
        &format!("/console/products/{product}"),
        "/console/plans",
        &format!("/console/plans/{plan}"),
        &format!("/console/plans/{plan}/impact"),
        &format!("/console/plans/{plan}/moves"),
        "/console/corrections",
        &format!("/console/corrections/{correction}"),
        &format!("/console/partners/{partner}/correct"),
        "/console/unknown-requests",
        &format!("/console/unknown-requests/{unknown}"),
        "/console/audit",
    ] {
        let page = console.get(path).await;
        assert_is_text(&page, path);
        shown += usize::from(page.text.contains("boo()"));
    }
    assert!(shown > 7, "{shown}");
    echoed_as_text(&portal, hostile).await;
}

/// A document whose every text tries, and that links to where nobody should go.
fn hostile_document(hostile: &str) -> serde_json::Value {
    let text = format!("{hostile} <b>boo()</b> [go](javascript:boo()) ![x](javascript:boo())");
    let mut document = document("acme");
    document["info"]["title"] = json!(hostile);
    document["info"]["description"] = json!(text);
    let operation = &mut document["paths"]["/entries"]["get"];
    operation["summary"] = json!(hostile);
    operation["description"] = json!(text);
    operation["tags"] = json!([hostile]);
    operation["parameters"][0]["name"] = json!(hostile);
    operation["parameters"][0]["description"] = json!(text);
    operation["parameters"][0]["example"] = json!(hostile);
    operation["requestBody"] = json!({ "description": text, "content": { "application/json": {
        "schema": { "$ref": "#/components/schemas/acmeEntry" }, "example": { "note": hostile },
    } } });
    operation["responses"]["200"]["description"] = json!(text);
    operation["responses"]["200"]["headers"] =
        json!({ "X-Evil": { "description": text, "schema": { "type": "string" } } });
    let schema = &mut document["components"]["schemas"]["acmeEntry"];
    schema["title"] = json!(hostile);
    schema["description"] = json!(text);
    schema["properties"][hostile] =
        json!({ "type": "string", "description": text, "default": hostile, "enum": [hostile], "pattern": hostile });
    document
}

/// What somebody typed wrongly comes back in the form, and not as markup.
async fn echoed_as_text(portal: &Portal, hostile: &str) {
    let mut browser = portal.browser();
    let fields = [("company", hostile), ("name", hostile), ("email", hostile), ("password", "short")];
    let answer = browser.post("/do/sign-up", &fields).await;
    assert_eq!(answer.location(), "/sign-up");
    let page = browser.get("/sign-up").await;
    assert!(page.text.contains("boo()"), "what was typed is still there");
    assert_is_text(&page, "/sign-up");
    let mut browser = portal.browser();
    browser.post("/do/sign-in", &[("email", hostile), ("password", hostile)]).await;
    let page = browser.get("/sign-in").await;
    assert!(page.text.contains("boo()"));
    assert_is_text(&page, "/sign-in");
    let encoded = crate::browser::encoded(&[("next", hostile), ("token", hostile), ("plan", hostile), ("to", hostile)]);
    for path in ["/sign-in", "/verify", "/reset/choose", "/invitation", "/console/welcome", "/sign-up", "/pricing"] {
        assert_is_text(&portal.browser().get(&format!("{path}?{encoded}")).await, path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_a_document_lead_to_pages_and_run_nothing() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let (store, now) = (&portal.store, portal.now());
    let mut product = new_product("acme", Visibility::Public, "http://127.0.0.1:1");
    product.document = hostile_document("x");
    product.document["info"]["description"] = json!(
        "[a](javascript:boo()) [b](JaVaScRiPt:boo()) [c](&#106;avascript:boo()) [d](data:text/html,boo) [e](vbscript:boo) \
         <javascript:boo()> [f](https://good.example/page) <img src=x onerror=boo()> ![g](https://good.example/pixel.png)"
    );
    store.create_product(&product, Actor::System, now).await.expect("a product");
    let company = crate::company::Company::found(&portal, "bolt").await;
    let page = portal.as_member(company.viewer).await.get("/products/acme-ledger").await;
    assert!(page.text.contains("https://good.example/page"), "{}", page.text);
    let links = page.text.to_lowercase();
    for scheme in ["javascript:", "data:text", "vbscript:"] {
        for attribute in ["href=\"", "src=\"", "action=\""] {
            assert!(!links.contains(&format!("{attribute}{scheme}")), "{scheme}: {}", page.text);
        }
    }
    assert!(!links.contains("<img src=x"), "{}", page.text);
}
