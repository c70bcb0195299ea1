//! What no page of ours sends is called the sender's fault, and not an outage.

use crate::{
    company::{Company, open_catalogue},
    portal::Portal,
};
use axum::http::{Method, StatusCode};
use domain::role::OperatorRole;

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_makes_no_sense_is_not_found() {
    let portal = Portal::open().await;
    let operator = portal.operator(OperatorRole::Admin).await;
    let mut console = portal.as_operator(operator).await;
    for path in ["/console/invoices?after=abc", "/console/audit?after=abc", "/console/partners?after=abc"] {
        assert_eq!(console.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_to_try_that_cannot_be_read_is_a_bad_request() {
    let portal = Portal::open().await;
    open_catalogue(&portal).await;
    let acme = Company::found(&portal, "acme").await;
    let mut developer = portal.as_member(acme.developer).await;
    let headers =
        [("sec-fetch-site", "same-origin"), ("content-type", "application/json"), ("accept", "application/json")];
    for body in ["{\"call\": {", "{}", "[]", "{\"call\": 5}"] {
        let answer = developer.send(Method::POST, "/do/try", &headers, body.to_owned()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {}", answer.text);
    }
}
