//! An operation that takes an Idempotency-Key says so in the partner's document, once.

use domain::openapi::{Document, declare_key, display::Place, filter};
use serde_json::{Value, json};

const GATEWAY: &str = "https://api.example.com/pay";

fn document(parameters: Value) -> Document {
    Document::from_value(json!({
        "openapi": "3.1.0",
        "info": { "title": "Pay", "version": "1" },
        "paths": { "/payments": { "post": {
            "operationId": "createPayment", "parameters": parameters, "responses": { "201": { "description": "Made" } }
        } } },
        "components": { "parameters": { "Key": {
            "name": "idempotency-key", "in": "header", "schema": { "type": "string" }
        } } }
    }))
    .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Name and whether it is required, of each header that the partner reads about.
fn headers(document: &Document, code: &str) -> Vec<(String, bool)> {
    let mut filtered = filter(document, |_| true, GATEWAY);
    declare_key(document, &mut filtered, code, true, "Kept for a day.");
    let read = Document::from_value(filtered).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let operation = read.operation("createPayment").expect("an operation");
    let headers = operation.parameters.iter().filter(|parameter| parameter.place == Place::Header);
    headers.map(|header| (header.name.clone(), header.required)).collect()
}

#[test]
fn the_header_is_added_where_the_document_does_not_have_it() {
    let other = json!([{ "name": "Prefer", "in": "header", "schema": { "type": "string" } }]);
    let key = ("Idempotency-Key".to_owned(), true);
    assert_eq!(headers(&document(json!([])), "createPayment"), std::slice::from_ref(&key));
    assert_eq!(headers(&document(other), "createPayment"), [("Prefer".to_owned(), false), key]);
    assert_eq!(headers(&document(json!([])), "another"), []);
}

#[test]
fn the_document_s_own_words_stay() {
    let referred = document(json!([{ "$ref": "#/components/parameters/Key" }]));
    assert_eq!(headers(&referred, "createPayment"), [("idempotency-key".to_owned(), false)]);
}
