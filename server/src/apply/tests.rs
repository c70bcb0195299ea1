//! A whole file on a real Postgres.

use super::*;
use crate::test_app;
use domain::directory::Directory;
use std::{fs, path::PathBuf};
use store::test_db::{self, TestStore};
use tempfile::TempDir;

const DOCUMENT: &str = r#"
openapi: 3.1.0
info: { title: Pay, version: "1" }
paths:
  /payments:
    get: { operationId: listPayments, responses: { "200": { description: ok } } }
    post: { operationId: createPayment, responses: { "201": { description: ok } } }
"#;

const SETUP: &str = r#"
products:
  payments:
    name: Payments
    document: api.yaml
    route: /payments
    upstream_url: http://127.0.0.1:7777
    visibility: invitation
    invited: [acme]
    headers: { Authorization: "file:secret" }
    weights: { createPayment: 5 }
    policy: { authentication: { identity_headers: true }, operations: { createPayment: { idempotency_key: required } } }
    secrets: { identity-signing: "file:signing" }
plans:
  starter:
    name: Starter
    currency: EUR
    base_fee: "9.00"
    products: [{ product: payments }]
    limits: [{ calls: 100, window: minute }]
partners:
  acme:
    name: Acme
    time_zone: Europe/Berlin
    plan: starter
    members: [{ email: ada@acme.example, role: owner }]
    apps:
      shop:
        name: Shop
        keys:
          live: { name: Live, environment: live }
          test: { name: Test, environment: test }
          service: { name: Service, environment: live, kind: token, issuer: "https://id.example/", identity: acme, scopes: [pay] }
"#;

struct Installation {
    store: TestStore,
    folder: TempDir,
}

impl Installation {
    async fn new() -> Self {
        let installation = Self { store: test_db::store().await, folder: tempfile::tempdir().expect("a folder") };
        installation.write("api.yaml", DOCUMENT);
        installation.write("secret", "Bearer upstream-secret\n");
        installation.write("signing", "line one\nline two\n");
        installation.write("turnpike.yaml", SETUP);
        installation
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    async fn walk(&self, mode: Mode) -> Report {
        let state = test_app::state(&self.store);
        let desired = Desired::read(&self.path("turnpike.yaml")).expect("a file that can be used");
        walk(&desired, &self.store, &state.secrets, &state.settings, mode, state.clock.now()).await.expect("a walk")
    }

    async fn directory(&self) -> Directory {
        self.store.load_directory().await.expect("a directory")
    }
}

fn named(report: &Report) -> Vec<String> {
    report.changes.iter().map(|change| format!("{} {}", change.kind, change.code)).collect()
}

#[tokio::test]
async fn a_plan_changes_nothing_and_says_what_apply_then_does() {
    let installation = Installation::new().await;
    let before = installation.directory().await;
    let planned = installation.walk(Mode::Plan).await;
    assert_eq!(installation.directory().await, before);
    assert!(planned.keys.is_empty() && planned.invitations.is_empty());
    let applied = installation.walk(Mode::Apply).await;
    assert_eq!(named(&planned), named(&applied));
    assert_eq!(applied.keys.len(), 2);
    assert_eq!(applied.invitations.len(), 1);
}

#[tokio::test]
async fn applying_twice_changes_nothing_the_second_time() {
    let installation = Installation::new().await;
    installation.walk(Mode::Apply).await;
    let after_first = installation.directory().await;
    let second = installation.walk(Mode::Apply).await;
    assert_eq!(second.changes, []);
    assert!(second.keys.is_empty() && second.invitations.is_empty());
    assert_eq!(installation.directory().await, after_first, "not even the version moves");
    let operations = &after_first.products[0].operations;
    assert_eq!(operations.iter().map(|one| one.weight).collect::<Vec<_>>(), [1, 5]);
}

#[tokio::test]
async fn packages_of_credit_are_sold_in_the_order_of_the_file() {
    let package = |code: &str, price: &str| {
        format!("  {code}: {{ name: {code}, units: 1000, currency: EUR, price: \"{price}\", plans: [starter] }}\n")
    };
    let installation = Installation::new().await;
    for (packages, changed) in [
        (vec![("small", "10.00")], vec!["credit package small"]),
        (vec![("small", "10.00"), ("large", "90.00")], vec!["credit package large"]),
        (vec![("small", "10.00"), ("large", "80.00")], vec!["credit package large"]),
        (
            vec![("tiny", "2.00"), ("small", "10.00"), ("large", "80.00")],
            vec!["credit package tiny", "credit package small", "credit package large"],
        ),
    ] {
        let list: String = packages.iter().map(|(code, price)| package(code, price)).collect();
        installation.write("turnpike.yaml", &format!("{SETUP}credit_packages:\n{list}"));
        let planned = installation.walk(Mode::Plan).await;
        let applied = installation.walk(Mode::Apply).await;
        assert_eq!(named(&planned), named(&applied));
        let of_packages: Vec<_> = named(&applied).into_iter().filter(|one| one.starts_with("credit package")).collect();
        assert_eq!(of_packages, changed);
        assert_eq!(installation.walk(Mode::Plan).await.changes, []);
        let held = installation.store.credit_packages().await.expect("packages");
        let held: Vec<_> = held.iter().map(|(code, _)| code.as_str()).collect();
        assert_eq!(held, packages.iter().map(|(code, _)| *code).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn coupons_of_the_file_can_be_redeemed_and_change_for_who_comes_later() {
    let installation = Installation::new().await;
    for percent in ["25", "25", "30"] {
        let coupon = format!("  spring: {{ name: Spring, percent: \"{percent}\", periods: 3, plans: [starter] }}\n");
        installation.write("turnpike.yaml", &format!("{SETUP}coupons:\n{coupon}"));
        let planned = installation.walk(Mode::Plan).await;
        let applied = installation.walk(Mode::Apply).await;
        assert_eq!(named(&planned), named(&applied));
        assert_eq!(installation.walk(Mode::Plan).await.changes, []);
        let held = installation.store.coupons().await.expect("coupons").remove(0);
        assert_eq!(held.coupon.percent.map(|own| own.to_string()).as_deref(), Some(percent));
    }
}

#[tokio::test]
async fn each_difference_is_named_and_only_that_is_changed() {
    let installation = Installation::new().await;
    installation.walk(Mode::Apply).await;
    let cases = [
        ("calls: 100", "calls: 200", "plan starter", "version 2, because of limits"),
        ("route: /payments", "route: /pay", "product payments", "route: /payments -> /pay"),
        ("createPayment: 5", "createPayment: 7", "product payments", "operation createPayment, weight: 5 -> 7"),
        ("name: Shop", "name: Store", "app acme/shop", "name: Shop -> Store"),
        ("Europe/Berlin", "Europe/Paris", "partner acme", "time_zone: Europe/Berlin -> Europe/Paris"),
    ];
    let mut setup = SETUP.to_owned();
    for (old, new, subject, detail) in cases {
        setup = setup.replace(old, new);
        installation.write("turnpike.yaml", &setup);
        let report = installation.walk(Mode::Apply).await;
        assert_eq!(named(&report), [subject]);
        assert_eq!(report.changes[0].details, [detail]);
        assert_eq!(installation.walk(Mode::Plan).await.changes, [], "after {detail}");
    }
}

#[tokio::test]
async fn a_header_secret_is_sealed_and_a_new_one_is_noticed_and_not_shown() {
    let installation = Installation::new().await;
    installation.walk(Mode::Apply).await;
    let header = installation.directory().await.headers.pop().expect("a header");
    assert!(!String::from_utf8_lossy(&header.sealed_value).contains("upstream-secret"));
    let secrets = test_app::state(&installation.store).secrets;
    let plain = secrets.unseal_header("payments", &header.name, &header.sealed_value);
    assert_eq!(plain.as_deref(), Some(b"Bearer upstream-secret".as_slice()));
    installation.write("secret", "Bearer rolled-secret");
    let report = installation.walk(Mode::Apply).await;
    assert_eq!(report.changes[0].details, ["header authorization: another value"]);
    assert!(!format!("{report} {report:?}").contains("rolled"));
}

#[tokio::test]
async fn a_file_that_cannot_be_used_names_every_problem_and_changes_nothing() {
    let installation = Installation::new().await;
    let broken =
        SETUP.replace("createPayment: 5", "unknownOperation: 5").replace("file:secret", "env:NOWHERE_TO_BE_FOUND");
    installation.write("turnpike.yaml", &broken);
    let Err(ApplyError::Problems(problems)) = Desired::read(&installation.path("turnpike.yaml")) else {
        panic!("the file was taken");
    };
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["products.payments.headers.Authorization", "products.payments.weights.unknownOperation"]);
}

#[tokio::test]
async fn a_policy_and_its_secrets_arrive_whole_and_a_change_is_told_by_name_only() {
    let installation = Installation::new().await;
    installation.walk(Mode::Apply).await;
    let directory = installation.directory().await;
    let policy = &directory.products[0].policy;
    assert!(policy.authentication.identity_headers && policy.operation("createPayment").is_some());
    let secret = &directory.secrets[0];
    let opened = test_app::state(&installation.store).secrets.unseal_product_secret(
        "payments",
        &secret.name,
        &secret.sealed_value,
    );
    assert_eq!(opened.as_deref(), Some(&b"line one\nline two"[..]), "secrets may have lines, as certificates do");
    installation.write("signing", "another");
    let changed = installation.walk(Mode::Apply).await;
    let details: Vec<&String> = changed.changes.iter().flat_map(|change| &change.details).collect();
    assert_eq!(details, ["secret identity-signing: another value"]);
    let without = SETUP.replace(r#"    secrets: { identity-signing: "file:signing" }"#, "");
    installation.write("turnpike.yaml", &without);
    installation.walk(Mode::Apply).await;
    assert_eq!(installation.directory().await.secrets, []);
}

#[tokio::test]
async fn a_keys_bounds_follow_the_file_and_an_identity_stays_what_it_is() {
    let installation = Installation::new().await;
    installation.walk(Mode::Apply).await;
    let secrets = test_app::state(&installation.store).secrets;
    let hash = secrets.hash_key("token\nhttps://id.example/\nacme");
    let of = |directory: &Directory| directory.keys.iter().find(|key| key.hash == hash).cloned().expect("registered");
    assert_eq!(of(&installation.directory().await).scopes, ["pay"]);

    let narrower = SETUP.replace("scopes: [pay]", "scopes: [pay, refund], allowed_addresses: [192.0.2.9/24]");
    installation.write("turnpike.yaml", &narrower);
    let report = installation.walk(Mode::Apply).await;
    assert_eq!(named(&report), ["key acme/shop/service"]);
    let key = of(&installation.directory().await);
    assert_eq!((key.scopes.len(), key.allowed_addresses), (2, vec!["192.0.2.0/24".to_owned()]));
    assert_eq!(installation.walk(Mode::Apply).await.changes, []);

    installation.write("turnpike.yaml", &SETUP.replace("identity: acme,", "identity: other,"));
    let state = test_app::state(&installation.store);
    let desired = Desired::read(&installation.path("turnpike.yaml")).expect("a file that can be used");
    let now = state.clock.now();
    let refused = walk(&desired, &installation.store, &state.secrets, &state.settings, Mode::Apply, now).await;
    assert!(refused.is_err(), "another identity is another key");
}

#[tokio::test]
async fn a_partners_own_plan_comes_from_the_file_and_a_second_walk_changes_nothing() {
    let installation = Installation::new().await;
    let own = r#"plans:
  special:
    name: Starter
    private: true
    partners: [acme]
    derived_from: starter
    currency: EUR
    base_fee: "5.00"
    products: [{ product: payments }]"#;
    let setup = SETUP.replacen("plans:", own, 1).replace("plan: starter", "plan: special");
    installation.write("turnpike.yaml", &setup);
    let planned = installation.walk(Mode::Plan).await;
    let applied = installation.walk(Mode::Apply).await;
    assert_eq!(named(&planned), named(&applied));
    assert!(named(&applied).contains(&"own plan special, acme's own".to_owned()), "{:?}", named(&applied));
    let store = &installation.store;
    let plan = store.find_plan_by_code("special").await.expect("answered").expect("a plan").id;
    let origin = store.plan_origin(plan).await.expect("answered").expect("derived");
    assert_eq!((origin.partner_name.as_str(), origin.plan_code.as_str(), origin.version), ("Acme", "starter", 1));
    let offered = store.offered_plans(Some(origin.partner)).await.expect("plans");
    assert!(offered.iter().any(|plan| plan.code == "special" && plan.private));
    assert!(store.offered_plans(None).await.expect("plans").iter().all(|plan| plan.code != "special"));
    assert_eq!(installation.walk(Mode::Apply).await.changes, []);

    for (old, new, field) in [
        ("    private: true\n", "", "plans.special.partners"),
        ("partners: [acme]", "partners: []", "plans.special.derived_from"),
        ("derived_from: starter", "derived_from: special", "plans.special.derived_from"),
        ("partners: [acme]", "partners: [nobody]", "plans.special.partners[0]"),
    ] {
        installation.write("turnpike.yaml", &setup.replacen(old, new, 1));
        let Err(ApplyError::Problems(problems)) = Desired::read(&installation.path("turnpike.yaml")) else {
            panic!("{new} was taken");
        };
        assert!(problems.iter().any(|problem| problem.field == field), "{problems:?}");
    }
}
