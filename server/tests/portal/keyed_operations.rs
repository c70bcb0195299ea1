//! What a partner reads of operations that take an Idempotency-Key: on the page, in the form, in the file.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::StatusCode;
use domain::policy::{Idempotency, IdempotencyKey, OperationPolicy, Policy};
use serde_json::Value;
use std::collections::BTreeMap;
use store::Actor;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_says_what_its_operation_makes_of_an_idempotency_key_and_for_how_long() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut developer = portal.as_member(acme.developer).await;
    let page = format!("/products/{}/{}", acme.product_code, acme.operation);
    let file = format!("/products/{}/openapi.json", acme.product_code);
    for (rule, words, required) in [
        (IdempotencyKey::Ignored, None, None),
        (IdempotencyKey::Optional, Some("Optional."), Some(false)),
        (IdempotencyKey::Required, Some("Required: a call without it is refused."), Some(true)),
    ] {
        let operation = OperationPolicy { idempotency_key: rule, ..OperationPolicy::default() };
        let policy = Policy {
            idempotency: Idempotency { keep_seconds: 7 * 86_400, ..Idempotency::default() },
            operations: BTreeMap::from([(acme.operation.clone(), operation)]),
            ..Policy::default()
        };
        portal.store.set_product_policy(acme.product, &policy, Actor::System, portal.now()).await.expect("a policy");
        let shown = developer.get(&page).await;
        assert_eq!(shown.status, StatusCode::OK);
        assert_eq!(shown.text.contains("operation-key"), words.is_some(), "{rule:?}");
        assert_eq!(shown.text.contains("try-header-Idempotency-Key"), words.is_some(), "{rule:?}");
        let told = words.is_none_or(|words| shown.text.contains(words) && shown.text.contains("within 7 days"));
        assert!(told, "{rule:?}: {}", shown.text);
        let document: Value = serde_json::from_str(&developer.get(&file).await.text).expect("JSON");
        let parameters = document["paths"]["/entries"]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let header = parameters.iter().find(|parameter| parameter["name"] == "Idempotency-Key");
        assert_eq!(header.map(|header| header["required"] == true), required, "{rule:?}");
    }
}
