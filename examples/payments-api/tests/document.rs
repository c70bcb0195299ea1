//! The program does what its OpenAPI document says, over real TCP.

use bytes::Bytes;
use domain::openapi::{
    Document,
    display::{OperationDoc, Place, SchemaDoc},
    samples::{Request, request_for},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn document() -> Document {
    Document::read(include_str!("../openapi.yaml")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// A running API of the test's own.
async fn start() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async { axum::serve(listener, payments_api::router()).await });
    format!("http://{address}")
}

struct Answer {
    status: u16,
    content_type: String,
    body: Bytes,
    first_byte_after: Duration,
    whole_after: Duration,
}

async fn send(request: &Request) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let mut built = hyper::Request::builder().method(request.method.as_str()).uri(&request.url);
    for (name, value) in &request.headers {
        built = built.header(name, value);
    }
    let body = request.body.as_ref().map(Value::to_string).unwrap_or_default();
    let start = Instant::now();
    let answer = client.request(built.body(Full::new(body.into())).expect("a request")).await.expect("an answer");
    let (parts, mut body) = answer.into_parts();
    let first = body.frame().await.and_then(|frame| frame.expect("a frame").into_data().ok()).unwrap_or_default();
    let first_byte_after = start.elapsed();
    let rest = body.collect().await.expect("the rest").to_bytes();
    Answer {
        status: parts.status.as_u16(),
        content_type: parts.headers.get("content-type").map_or("", |value| value.to_str().expect("text")).to_owned(),
        body: [first, rest].concat().into(),
        first_byte_after,
        whole_after: start.elapsed(),
    }
}

/// Fails where the answer is not one that the document describes.
fn assert_documented(operation: &OperationDoc, answer: &Answer) {
    let code = &operation.code;
    let status = answer.status.to_string();
    let range = format!("{}XX", answer.status / 100);
    let described = operation.responses.iter().find(|response| response.status == status);
    let described = described.or_else(|| operation.responses.iter().find(|response| response.status == range));
    let described = described.unwrap_or_else(|| panic!("{code} answers {status}, which the document does not have"));
    let content_type = described.content_type.as_deref().unwrap_or_default();
    assert!(answer.content_type.starts_with(content_type), "{code} {status}: {}", answer.content_type);
    if content_type.ends_with("json") {
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        assert_fits(&value, described.schema.as_ref().expect("a schema"), &format!("{code} {status}"));
    }
}

fn assert_fits(value: &Value, schema: &SchemaDoc, place: &str) {
    if value.is_null() {
        return assert!(schema.nullable, "{place} is null");
    }
    let fits = |name: &String| match name.as_str() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        _ => value.is_number(),
    };
    assert!(schema.types.is_empty() || schema.types.iter().any(fits), "{place} is {value}, not {}", schema.type_text);
    assert!(schema.enum_values.is_empty() || schema.enum_values.contains(value), "{place} is {value}");
    if let Value::Object(fields) = value {
        for property in &schema.properties {
            let inner = fields.get(&property.name);
            assert!(inner.is_some() || !property.required, "{place}/{} is missing", property.name);
            if let Some(inner) = inner {
                assert_fits(inner, &property.schema, &format!("{place}/{}", property.name));
            }
        }
        for name in fields.keys() {
            let known = schema.properties.iter().any(|property| property.name == *name);
            assert!(known, "{place}/{name} is not in the document");
        }
    }
    if let (Value::Array(items), Some(schema)) = (value, &schema.items) {
        for (index, item) in items.iter().enumerate() {
            assert_fits(item, schema, &format!("{place}/{index}"));
        }
    }
}

/// Sends what the document gives as the example, with another body where there is one.
async fn call(document: &Document, base: &str, code: &str, path: &[(&str, &str)], body: Option<Value>) -> Answer {
    let mut operation = document.operation(code).unwrap_or_else(|| panic!("there is no {code}"));
    for parameter in &mut operation.parameters {
        if let Some((_, value)) = path.iter().find(|(name, _)| *name == parameter.name) {
            parameter.example = json!(value);
            parameter.required = true;
        }
    }
    let mut request = request_for(&operation, base);
    request.body = body.or(request.body);
    let answer = send(&request).await;
    assert_documented(&operation, &answer);
    answer
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn every_documented_operation_answers_its_example_as_documented() {
    let (document, base) = (document(), start().await);
    for summary in document.operations() {
        let answer = call(&document, &base, &summary.code, &[], None).await;
        let failed = summary.code == "simulateFailure";
        // The example payment is captured already, which the document says too.
        let too_late = matches!(summary.code.as_str(), "capturePayment" | "cancelPayment");
        let expected = if failed {
            503
        } else if too_late {
            409
        } else {
            answer.status.min(201)
        };
        assert_eq!(answer.status, expected, "{}: {}", summary.code, String::from_utf8_lossy(&answer.body));
    }
}

#[tokio::test]
async fn things_that_are_not_there_and_bodies_that_are_wrong_are_answered_as_documented() {
    let (document, base) = (document(), start().await);
    for summary in document.operations() {
        let operation = document.operation(&summary.code).expect("is described");
        let named: Vec<(&str, &str)> = operation
            .parameters
            .iter()
            .filter(|parameter| parameter.place == Place::Path)
            .map(|parameter| (parameter.name.as_str(), "none"))
            .collect();
        if !named.is_empty() {
            assert_eq!(call(&document, &base, &summary.code, &named, None).await.status, 404, "{}", summary.code);
        }
        if operation.request_body.as_ref().is_some_and(|body| body.required) {
            for (body, status) in [(json!({}), 422), (json!([1]), 400), (json!({ "amount": -1, "no": 1 }), 422)] {
                let answer = call(&document, &base, &summary.code, &[], Some(body)).await;
                assert_eq!(answer.status, status, "{}", summary.code);
            }
        }
    }
    for (code, name, value) in [
        ("listPayments", "limit", "0"),
        ("searchPayments", "delay_ms", "x"),
        ("getSettlementReport", "currency", "euro"),
    ] {
        assert_eq!(call(&document, &base, code, &[(name, value)], None).await.status, 400, "{code}");
    }
}

#[tokio::test]
async fn a_payment_is_authorised_captured_and_refunded() {
    let (document, base) = (document(), start().await);
    let wish = json!({ "amount": 5_000, "currency": "EUR", "capture": "manual" });
    let payment = json_of(&call(&document, &base, "createPayment", &[], Some(wish)).await);
    assert_eq!(payment["status"], "requires_capture");
    let id = payment["id"].as_str().expect("an id");
    let capture =
        call(&document, &base, "capturePayment", &[("payment_id", id)], Some(json!({ "amount": 6_000 }))).await;
    assert_eq!(capture.status, 422);
    let capture =
        call(&document, &base, "capturePayment", &[("payment_id", id)], Some(json!({ "amount": 4_000 }))).await;
    assert_eq!(json_of(&capture)["amount"], 4_000);
    let refund = |amount: i64| Some(json!({ "payment": id, "amount": amount }));
    assert_eq!(call(&document, &base, "createRefund", &[], refund(4_001)).await.status, 422);
    assert_eq!(call(&document, &base, "createRefund", &[], refund(4_000)).await.status, 201);
    assert_eq!(call(&document, &base, "createRefund", &[], refund(1)).await.status, 409);
    let payment = json_of(&call(&document, &base, "getPayment", &[("payment_id", id)], None).await);
    assert_eq!((&payment["status"], &payment["amount_refunded"]), (&json!("refunded"), &json!(4_000)));
}

#[tokio::test]
async fn pages_follow_one_another_without_a_gap() {
    let (document, base) = (document(), start().await);
    let mut ids: Vec<String> = Vec::new();
    let mut cursor = String::from("pay_999999");
    loop {
        let page = call(&document, &base, "listPayments", &[("limit", "7"), ("cursor", &cursor)], None).await;
        let page = json_of(&page);
        ids.extend(page["data"].as_array().expect("a list").iter().map(|it| it["id"].as_str().expect("id").to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<String> = (1..=40).rev().map(|number| format!("pay_{number:06}")).collect();
    assert_eq!(ids, expected);
}

#[tokio::test]
async fn the_report_streams_and_the_search_takes_its_time() {
    let (document, base) = (document(), start().await);
    let report = call(&document, &base, "getSettlementReport", &[], None).await;
    assert!(report.first_byte_after < Duration::from_millis(700), "{:?}", report.first_byte_after);
    assert!(report.whole_after > Duration::from_millis(1_500), "{:?}", report.whole_after);
    assert!(String::from_utf8_lossy(&report.body).lines().count() > 20);
    let search = call(&document, &base, "searchPayments", &[("delay_ms", "400")], None).await;
    assert!(search.first_byte_after >= Duration::from_millis(400));
    assert_eq!(json_of(&search)["total"], 8);
}
