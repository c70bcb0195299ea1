//! Products: what a partner may see, on a real Postgres.

use super::{NewOperation, NewProduct};
use crate::{
    Actor, Store, StoreError, plans, test_db,
    test_db::world::{World, now},
};
use domain::{
    id::ProductId,
    plan::{Grant, PlanTerms},
    product::Visibility,
};
use serde_json::json;
use sqlx::Row as _;

pub(crate) fn new_product(code: &str, visibility: Visibility, operations: &[&str]) -> NewProduct {
    let operation = |code: &&str| NewOperation {
        code: (*code).to_owned(),
        method: "GET".to_owned(),
        path: format!("/{code}"),
        summary: String::new(),
        weight: 1,
        deprecated: false,
    };
    NewProduct {
        code: code.to_owned(),
        name: code.to_owned(),
        summary: String::new(),
        route: format!("/{code}"),
        upstream_url: "http://127.0.0.1:4000/v1".to_owned(),
        timeout_ms: 30_000,
        visibility,
        document: json!({"openapi": "3.1.0", "zebra": 1, "apple": 2}),
        operations: operations.iter().map(operation).collect(),
        headers: Vec::new(),
        policy: None,
        secrets: None,
    }
}

pub(crate) async fn create(store: &Store, code: &str, visibility: Visibility, operations: &[&str]) -> ProductId {
    store.create_product(&new_product(code, visibility, operations), Actor::System, now()).await.expect("created")
}

#[tokio::test]
async fn an_update_keeps_operation_ids_and_closes_what_the_document_dropped() {
    let store = test_db::store().await;
    let id = create(&store, "payments", Visibility::Public, &["create", "list", "refund"]).await;
    let before = store.product(id).await.expect("a product");
    let mut new = new_product("payments", Visibility::Plan, &["refund", "create"]);
    new.operations[1].weight = 5;
    store.update_product(id, &new, Actor::System, now()).await.expect("updated");
    let after = store.product(id).await.expect("a product");
    assert_eq!(after.operations.iter().map(|o| o.code.as_str()).collect::<Vec<_>>(), ["refund", "create"]);
    assert_eq!((after.operations[1].id, after.operations[1].weight), (before.operations[0].id, 5));
    assert_eq!((after.line.operations, after.line.visibility), (2, Visibility::Plan));
    let row = sqlx::query("select removed_at is not null as removed from operations where id = $1")
        .bind(before.operations[1].id.0)
        .fetch_one(store.pool())
        .await
        .expect("the dropped operation is kept");
    assert!(row.get::<bool, _>("removed"));

    let all = new_product("payments", Visibility::Plan, &["create", "list", "refund"]);
    store.update_product(id, &all, Actor::System, now()).await.expect("updated");
    let again = store.product(id).await.expect("a product").operations;
    assert_eq!(
        again.iter().map(|o| o.id).collect::<Vec<_>>(),
        before.operations.iter().map(|o| o.id).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn the_document_keeps_the_order_of_its_keys() {
    let store = test_db::store().await;
    let id = create(&store, "payments", Visibility::Public, &["create"]).await;
    let document = store.product_document(id).await.expect("a document");
    assert_eq!(document.to_string(), r#"{"openapi":"3.1.0","zebra":1,"apple":2}"#);
}

#[tokio::test]
async fn a_header_keeps_its_value_until_another_is_given_and_shows_only_its_name() {
    let store = test_db::store().await;
    let mut new = new_product("payments", Visibility::Public, &["create"]);
    new.headers = vec![("X-Secret".to_owned(), None)];
    let missing = store.create_product(&new, Actor::System, now()).await;
    assert!(matches!(missing, Err(StoreError::Invalid { field, .. }) if field == "headers"));
    new.headers = vec![("X-Secret".to_owned(), Some(vec![1])), ("X-Other".to_owned(), Some(vec![2]))];
    let id = store.create_product(&new, Actor::System, now()).await.expect("created");
    new.headers = vec![("x-secret".to_owned(), None)];
    store.update_product(id, &new, Actor::System, now()).await.expect("updated");
    assert_eq!(store.product(id).await.expect("a product").headers, ["x-secret"]);
    let sealed: Vec<u8> = sqlx::query_scalar("select sealed_value from product_headers")
        .fetch_one(store.pool())
        .await
        .expect("one header");
    assert_eq!(sealed, [1]);
}

#[tokio::test]
async fn what_cannot_be_a_product_is_refused_with_its_field() {
    let store = test_db::store().await;
    create(&store, "payments", Visibility::Public, &["create"]).await;
    let good = || new_product("other", Visibility::Public, &["create"]);
    let cases = [
        ("code", NewProduct { code: "Bad Code".to_owned(), ..good() }),
        ("code", NewProduct { code: "payments".to_owned(), ..good() }),
        ("name", NewProduct { name: " ".to_owned(), ..good() }),
        ("route", NewProduct { route: "payments".to_owned(), ..good() }),
        ("route", NewProduct { route: "/payments".to_owned(), ..good() }),
        ("upstream_url", NewProduct { upstream_url: "ftp://x".to_owned(), ..good() }),
        ("upstream_url", NewProduct { upstream_url: "https://user:secret@x".to_owned(), ..good() }),
        ("upstream_url", NewProduct { upstream_url: "https://x/".to_owned(), ..good() }),
        ("timeout_ms", NewProduct { timeout_ms: 0, ..good() }),
        ("document", NewProduct { operations: Vec::new(), ..good() }),
        ("document", new_product("other", Visibility::Public, &["create", "create"])),
        ("headers", NewProduct { headers: vec![("Host".to_owned(), Some(vec![1]))], ..good() }),
        ("headers", NewProduct { headers: vec![("a b".to_owned(), Some(vec![1]))], ..good() }),
    ];
    for (expected, new) in cases {
        match store.create_product(&new, Actor::System, now()).await {
            Err(StoreError::Invalid { field, .. } | StoreError::Conflict { field, .. }) => assert_eq!(field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    assert_eq!(store.all_products().await.expect("products").len(), 1);
}

#[tokio::test]
async fn a_product_keeps_its_code() {
    let store = test_db::store().await;
    let id = create(&store, "payments", Visibility::Public, &["create"]).await;
    let renamed = NewProduct { code: "paying".to_owned(), ..new_product("payments", Visibility::Public, &["create"]) };
    let refused = store.update_product(id, &renamed, Actor::System, now()).await;
    assert!(matches!(refused, Err(StoreError::Invalid { field, .. }) if field == "code"));
}

#[tokio::test]
async fn a_partner_knows_of_public_products_and_of_what_its_plan_and_invitations_open() {
    let store = test_db::store().await;
    let (world, other) = (World::new(&store).await, World::named(&store, "other").await);
    create(&store, "open", Visibility::Public, &["a", "b"]).await;
    create(&store, "paid", Visibility::Plan, &["a", "b"]).await;
    let secret = create(&store, "secret", Visibility::Invitation, &["a"]).await;
    create(&store, "unsold", Visibility::Plan, &["a"]).await;
    let gone = create(&store, "gone", Visibility::Public, &["a"]).await;
    let grants = [("paid", Some(vec!["b".to_owned()])), ("secret", None), ("gone", None)];
    let products = grants.map(|(product, operations)| Grant { product: product.to_owned(), operations }).to_vec();
    let terms = PlanTerms { products, ..plans::tests::terms() };
    let plan = plans::tests::create(&store, "pro", terms).await;
    store.archive_product(gone, Actor::System, now()).await.expect("archived");
    store.choose_plan(world.partner, plan, world.actor(), now()).await.expect("chosen");

    let seen = async |partner| {
        let products = store.visible_products(partner).await.expect("products");
        products
            .into_iter()
            .map(|p| (p.line.code.clone(), p.is_open(), p.operations.into_iter().map(|o| o.code).collect::<String>()))
            .collect::<Vec<_>>()
    };
    let open = || ("open".to_owned(), false, "ab".to_owned());
    let paid = || ("paid".to_owned(), true, "b".to_owned());
    assert_eq!(seen(world.partner).await, [open(), paid()]);
    assert_eq!(seen(other.partner).await, [open()]);
    store.invite_partner_to_product(world.partner, secret, Actor::System, now()).await.expect("invited");
    store.invite_partner_to_product(other.partner, secret, Actor::System, now()).await.expect("invited");
    assert_eq!(seen(world.partner).await, [open(), paid(), ("secret".to_owned(), true, "a".to_owned())]);
    assert_eq!(seen(other.partner).await, [open()], "an invitation alone opens nothing");
    for hidden in ["unsold", "gone", "nothing"] {
        assert!(matches!(store.visible_product(world.partner, hidden).await, Err(StoreError::NotFound)), "{hidden}");
    }
    let refused = store.visible_product_with_document(other.partner, "paid").await;
    assert!(matches!(refused, Err(StoreError::NotFound)));
    let (product, _) = store.visible_product_with_document(world.partner, "paid").await.expect("visible");
    assert!(product.line.upstream_url.is_empty());
    store.uninvite_partner_from_product(world.partner, secret, Actor::System, now()).await.expect("uninvited");
    assert_eq!(seen(world.partner).await, [open(), paid()]);
    assert_eq!(store.product(secret).await.expect("a product").invited, [(other.partner, "other".to_owned())]);
}
