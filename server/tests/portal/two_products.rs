//! Two partners, each with a product of its own: neither can see, download, search, try or call the other's.

use crate::{
    company::{Company, open_catalogue},
    portal::{Options, Portal},
};
use axum::{
    Router,
    http::{StatusCode, Uri},
};
use domain::{product::Visibility, role::OperatorRole};
use gateway::{Gateway, GatewayConfig, Leases, Running, Secret, Spool};
use jiff::Timestamp;
use serde_json::{Value, json};
use server::serve::data_plane;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};
use store::{Actor, test_db};

/// An API behind the gateway that counts its calls, and whose answers hold markup: JSON, or bare where it is asked for that.
struct Upstream {
    address: SocketAddr,
    calls: Arc<AtomicU32>,
}

impl Upstream {
    async fn start() -> Self {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let answer = move |uri: Uri| {
            let counted = counted.clone();
            async move {
                let call = counted.fetch_add(1, Ordering::SeqCst);
                let bare = uri.query().is_some_and(|query| query.contains("bare"));
                if bare { MARKUP.to_owned() } else { json!({ "call": call, "note": MARKUP }).to_string() }
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, calls }
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

const MARKUP: &str = "<img src=x onerror=boo()>";

struct Market {
    portal: Portal,
    upstream: Upstream,
    gateway: Running,
    acme: Company,
    bolt: Company,
}

impl Market {
    /// Two partners with a product each, and a gateway that knows them.
    async fn open(visibility: Visibility) -> Self {
        let upstream = Upstream::start().await;
        let url = format!("http://{}", upstream.address);
        // The gateway has to be up before the portal knows its address, so a first portal only sets up.
        let first = Portal::with(Options::default()).await;
        open_catalogue(&first).await;
        let acme = Company::with(&first, "acme", visibility, &url).await;
        let bolt = Company::with(&first, "bolt", visibility, &url).await;
        let gateway = gateway(&first).await;
        let options = Options { gateway: gateway.address(), ..Options::default() };
        let Portal { store, .. } = first;
        Self { portal: Portal::on(store, options), upstream, gateway, acme, bolt }
    }

    /// The status of a call to the gateway, and the answer.
    async fn call(&self, key: &str, path: &str) -> (u16, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut stream = tokio::net::TcpStream::connect(self.gateway.address()).await.expect("a connection");
        let head =
            format!("GET {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        (answer.get(9..12).and_then(|code| code.parse().ok()).expect("a status"), answer)
    }
}

async fn gateway(portal: &Portal) -> Running {
    let secrets = &portal.state.secrets;
    let directory = portal.store.load_directory().await.expect("a directory");
    let mut config = GatewayConfig::new(
        "127.0.0.1:0".parse().expect("an address"),
        "http://localhost:3000".to_owned(),
        Secret(secrets.pepper()),
        Secret(secrets.try_signing_key()),
        Spool::Off,
    );
    config.cores = 1;
    let directory = gateway::directory(data_plane::compile(&directory, secrets));
    Gateway::start(config, directory, Leases::in_process(), Arc::new(Timestamp::now)).expect("a gateway")
}

fn tried(company: &Company, product: &Company) -> Value {
    json!({ "call": {
        "product": product.product_code, "operation": product.operation, "key": company.key, "parameters": [],
        "content_type": "", "body": null,
    } })
}

async fn neither_knows_of_the_other(visibility: Visibility) {
    let market = Market::open(visibility).await;
    let (portal, acme, bolt) = (&market.portal, &market.acme, &market.bolt);
    for (own, other) in [(acme, bolt), (bolt, acme)] {
        for member in [own.owner, own.developer, own.viewer] {
            sees_only_its_own(portal, own, other, member).await;
        }
        tries_only_its_own(&market, own, other).await;
        calls_only_its_own(&market, own, other).await;
    }
}

async fn sees_only_its_own(portal: &Portal, own: &Company, other: &Company, member: domain::id::MemberId) {
    let mut browser = portal.as_member(member).await;
    let code = &other.product_code;
    let pages = [
        "/home".to_owned(),
        "/products".to_owned(),
        format!("/products?q={code}"),
        format!("/products/{}", own.product_code),
        format!("/products/{}/{}", own.product_code, own.operation),
        format!("/products/{}/openapi.json", own.product_code),
        format!("/products/{}/openapi.yaml", own.product_code),
        "/usage".to_owned(),
        format!("/usage?product={code}"),
        "/requests?span=month".to_owned(),
        "/plan".to_owned(),
        "/pricing".to_owned(),
        "/docs/errors".to_owned(),
    ];
    for path in pages {
        let page = browser.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        let text = page.text.replace(code, "").to_lowercase();
        assert!(!text.contains(other.name), "{path} names {}: {}", other.name, page.text);
    }
    let downloaded = browser.get(&format!("/products/{}/openapi.json", own.product_code)).await.text;
    assert!(downloaded.contains(&own.operation) && downloaded.contains(&format!("{}Entry", own.name)), "{downloaded}");
    for path in ["", "/openapi.json", "/openapi.yaml", &format!("/{}", other.operation)] {
        let answer = browser.get(&format!("/products/{code}{path}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!answer.text.to_lowercase().contains(other.name), "{path}: {}", answer.text);
    }
    // Each other's operation under the own product, and the own under the other's.
    for (product, operation) in [(&own.product_code, &other.operation), (code, &own.operation)] {
        let answer = browser.get(&format!("/products/{product}/{operation}")).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{product} {operation}");
    }
    // Nobody at all sees none of the two.
    for path in ["/", "/pricing"] {
        let text = portal.browser().get(path).await.text.to_lowercase();
        assert!(!text.contains(own.name) && !text.contains(other.name), "{path}: {text}");
        assert!(text.contains("open ledger"), "{path} shows what is public");
    }
}

async fn tries_only_its_own(market: &Market, own: &Company, other: &Company) {
    let mut developer = market.portal.as_member(own.developer).await;
    let before = market.upstream.calls();
    let mut problems = Vec::new();
    let nothing = json!({ "call": {
        "product": "no-such-product", "operation": other.operation, "key": own.key, "parameters": [], "content_type": "",
        "body": null,
    } });
    let foreign_operation = json!({ "call": {
        "product": own.product_code, "operation": other.operation, "key": own.key, "parameters": [], "content_type": "",
        "body": null,
    } });
    for call in [&tried(own, other), &tried(other, other), &foreign_operation, &nothing] {
        let answer = developer.post_json("/do/try", call).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        assert!(!answer.text.to_lowercase().contains(other.name), "{}", answer.text);
        let told: Value = serde_json::from_str(&answer.text).expect("JSON");
        assert_eq!(told["status"], 0, "nothing was sent");
        problems.push(told["problem"].clone());
    }
    assert!(problems.iter().all(|problem| problem.is_string() && *problem == problems[0]), "{problems:?}");
    // Its own product as the other's key, and as a key that nobody has.
    let mut told = Vec::new();
    for key in [other.key, domain::id::KeyId(uuid::Uuid::now_v7())] {
        let mut call = tried(own, own);
        call["call"]["key"] = json!(key);
        told.push(developer.post_json("/do/try", &call).await.text);
    }
    assert_eq!(told[0], told[1]);
    assert!(told[0].contains("This key no longer exists"), "{}", told[0]);
    assert_eq!(market.upstream.calls(), before, "nothing arrived");
    // The same call of its own arrives.
    let answer = developer.post_json("/do/try", &tried(own, own)).await;
    let told: Value = serde_json::from_str(&answer.text).expect("JSON");
    assert_eq!((&told["status"], &told["problem"]), (&json!(200), &Value::Null), "{told}");
    assert_eq!(market.upstream.calls(), before + 1);
    // The page takes the body for HTML, so it has to come as text of it.
    let mut bare = tried(own, own);
    bare["call"]["parameters"] = json!([["query", "after", "bare"]]);
    let bare: Value = serde_json::from_str(&developer.post_json("/do/try", &bare).await.text).expect("JSON");
    for told in [told, bare] {
        let body = told["body"].as_str().expect("a text");
        assert!(!body.contains("<img") && body.contains("&lt;img src=x"), "{body}");
    }
}

async fn calls_only_its_own(market: &Market, own: &Company, other: &Company) {
    let before = market.upstream.calls();
    let (status, answer) = market.call(&own.key_text, &format!("/{}/entries", own.product_code)).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(market.upstream.calls(), before + 1);
    let (theirs, answer) = market.call(&own.key_text, &format!("/{}/entries", other.product_code)).await;
    let (nobodys, nothing) = market.call(&own.key_text, "/none-ledger/entries").await;
    assert_eq!((theirs, nobodys), (404, 404), "{answer}{nothing}");
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    assert!(!body.to_lowercase().contains(&format!("{} ledger", other.name)), "{answer}");
    assert!(!body.contains(&other.operation), "{answer}");
    assert_eq!(market.upstream.calls(), before + 1, "nothing arrived");
}

#[tokio::test(flavor = "multi_thread")]
async fn products_by_plan_stay_with_the_partners_whose_plan_opens_them() {
    neither_knows_of_the_other(Visibility::Plan).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn products_by_invitation_stay_with_the_partners_who_were_invited() {
    neither_knows_of_the_other(Visibility::Invitation).await;
}

/// The plan alone does not open a product by invitation: both are on one plan, and one was invited.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_without_an_invitation_opens_nothing() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::with(&portal, "acme", Visibility::Invitation, "http://127.0.0.1:1").await;
    let bolt = Company::found(&portal, "bolt").await;
    let version = portal.store.plan(acme.plan).await.expect("a plan").versions[0].id;
    portal.store.assign_plan_version(bolt.id, version, Actor::System, portal.now()).await.expect("assigned");
    let mut browser = portal.as_member(bolt.owner).await;
    let page = format!("/products/{}", acme.product_code);
    assert_eq!(browser.get(&page).await.status, StatusCode::NOT_FOUND);
    let call = developer_try(&portal, &bolt, &acme).await;
    assert!(call.contains("not in your plan"), "{call}");
    for path in ["/products", "/home", "/pricing"] {
        let text = browser.get(path).await.text;
        assert!(!text.contains("acme ledger") && !text.contains("acme-ledger"), "{path}: {text}");
    }
    // An invitation in the console opens it, and taking it back closes it.
    let operator = portal.operator(OperatorRole::Admin).await;
    let mut console = portal.as_operator(operator).await;
    let (product, partner) = (acme.product.to_string(), bolt.id.to_string());
    let fields = [("product", product.as_str()), ("partner", &partner)];
    console.post("/do/console/products/invite", &fields).await;
    assert_eq!(browser.get(&page).await.status, StatusCode::OK);
    console.post("/do/console/products/uninvite", &fields).await;
    assert_eq!(browser.get(&page).await.status, StatusCode::NOT_FOUND);
}

async fn developer_try(portal: &Portal, own: &Company, product: &Company) -> String {
    portal.as_member(own.developer).await.post_json("/do/try", &tried(own, product)).await.text
}

/// A plan that opens one operation of a document: the rest of the document is not there.
#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_the_plan_does_not_open_is_not_there() {
    let portal = Portal::on(test_db::store().await, Options::default());
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let (store, now) = (&portal.store, portal.now());
    let mut product = crate::company::new_product("acme", Visibility::Plan, "http://127.0.0.1:1");
    product.document["paths"]["/vault"]["get"] = json!({
        "operationId": "openVault", "summary": "Open the vault",
        "responses": { "200": { "description": "Open.", "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/VaultContent" }
        } } } }
    });
    product.document["components"]["schemas"]["VaultContent"] =
        json!({ "type": "object", "properties": { "bullion": { "type": "integer" } } });
    let mut vault = product.operations[0].clone();
    (vault.code, vault.path, vault.summary) =
        ("openVault".to_owned(), "/vault".to_owned(), "Open the vault".to_owned());
    product.operations.push(vault);
    store.update_product(acme.product, &product, Actor::System, now).await.expect("updated");
    let mut browser = portal.as_member(acme.owner).await;
    let pages = [
        "/products/acme-ledger",
        "/products/acme-ledger/openapi.json",
        "/products/acme-ledger/openapi.yaml",
        "/products",
    ];
    assert!(browser.get(pages[1]).await.text.contains("VaultContent"), "the whole plan opens all of it");
    let mut terms = store.plan(acme.plan).await.expect("a plan").versions[0].terms.clone();
    terms.products[0].operations = Some(vec![acme.operation.clone()]);
    store.add_plan_version(acme.plan, &terms, Actor::System, now).await.expect("a version");
    let version = store.plan(acme.plan).await.expect("a plan").newest().expect("a version").id;
    store.assign_plan_version(acme.id, version, Actor::System, now).await.expect("assigned");
    for path in pages {
        let text = browser.get(path).await.text;
        for word in ["openVault", "VaultContent", "bullion", "the vault", "/vault"] {
            assert!(!text.contains(word), "{path} has {word}: {text}");
        }
    }
    assert_eq!(browser.get("/products/acme-ledger/openVault").await.status, StatusCode::NOT_FOUND);
    let mut call = tried(&acme, &acme);
    call["call"]["operation"] = json!("openVault");
    let answer = portal.as_member(acme.developer).await.post_json("/do/try", &call).await;
    assert!(answer.text.contains("not in your plan"), "{}", answer.text);
}
