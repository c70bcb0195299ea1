//! A filtered document is whole, and what a partner may not use is nowhere in it.

use super::reading;
use domain::openapi::{Document, filter, search_entries, to_json_pretty};
use serde_json::{Value, json};
use std::path::Path;

const GATEWAY: &str = "https://api.example.com/shop";

fn shop() -> Document {
    Document::read(include_str!("documents/shop.yaml")).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn only(open: &[&str]) -> Value {
    let filtered = filter(&shop(), |code| open.contains(&code), GATEWAY);
    let again = Document::from_value(filtered.clone()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(again.operations().len(), open.len());
    reading::assert_names_nothing_hidden(&shop(), open, &to_json_pretty(&filtered));
    reading::keep_for_referee(Path::new(&format!("shop-{}.yaml", open.join("+"))), 0, &filtered);
    filtered
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
}

#[test]
fn only_open_operations_and_what_they_refer_to_stay() {
    let filtered = only(&["listOrders"]);
    assert_eq!(keys(&filtered["paths"]), ["/orders"]);
    assert_eq!(keys(&filtered["paths"]["/orders"]), ["get"]);
    assert_eq!(keys(&filtered["components"]), ["examples", "schemas", "securitySchemes"]);
    assert_eq!(keys(&filtered["components"]["schemas"]), ["Order", "Line", "Priced"]);
    assert_eq!(keys(&filtered["components"]["examples"]), ["listOrders-first"]);
    assert_eq!(filtered["tags"], json!([{ "name": "orders", "description": "Orders" }]));
    assert_eq!(keys(&filtered), ["openapi", "info", "servers", "tags", "paths", "components", "security"]);
}

#[test]
fn the_gateway_is_the_only_server_and_its_key_the_only_credential() {
    let filtered = only(&["listOrders", "placeOrder"]);
    let text = to_json_pretty(&filtered);
    assert_eq!(filtered["servers"], json!([{ "url": GATEWAY }]));
    assert_eq!(keys(&filtered["components"]["securitySchemes"]), ["bearerKey", "headerKey"]);
    for gone in ["internal.example", "other.example", "oauth", "x-internal", "x-tag-groups"] {
        assert!(!text.contains(gone), "{gone} is there");
    }
    assert_eq!(filtered["paths"]["/orders"]["get"]["x-color"], "green", "an extension that names nothing hidden stays");
}

#[test]
fn words_that_name_a_hidden_operation_are_replaced() {
    let filtered = only(&["listOrders", "placeOrder"]);
    let words = filtered["info"]["description"].as_str().expect("text");
    assert_eq!(words, "Read how to refund. Call `placeOrder`, then GET another operation.");
    let words = filtered["paths"]["/orders"]["get"]["description"].as_str().expect("text");
    assert_eq!(words, "Not to be confused with another operation. See https://docs.example/v1/… for more.");
    let media = &filtered["paths"]["/orders"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(keys(&media["examples"]), ["first", "entry-2"]);
    assert_eq!(media["examples"]["entry-2"]["value"][0]["note"], "made by another operation");
    assert_eq!(keys(&filtered["components"]["responses"]), ["shared-1"], "named after a hidden operation before");
    assert_eq!(
        filtered["paths"]["/orders"]["post"]["responses"]["400"],
        json!({ "$ref": "#/components/responses/shared-1" })
    );
}

#[test]
fn links_lead_only_to_open_operations() {
    let links = |open: &[&str]| {
        let filtered = only(open);
        keys(&filtered["paths"]["/orders"]["post"]["responses"]["201"]["links"]).join(" ")
    };
    assert_eq!(links(&["placeOrder"]), "");
    assert_eq!(links(&["placeOrder", "getOrder"]), "read");
    assert_eq!(links(&["placeOrder", "get-orders-order_id-audit"]), "audit");
    assert_eq!(links(&["placeOrder", "refundOrder"]), "refund shared");
}

#[test]
fn what_an_open_operation_takes_from_a_hidden_one_moves_to_the_components() {
    let filtered = only(&["getOrder"]);
    let schema =
        &filtered["paths"]["/orders/{order_id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
    assert_eq!(schema, &json!({ "$ref": "#/components/schemas/moved-1" }));
    let document = Document::from_value(filtered).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let operation = document.operation("getOrder").expect("is described");
    let names: Vec<String> =
        operation.responses[0].schema.as_ref().expect("a schema").properties.iter().map(|it| it.name.clone()).collect();
    assert_eq!(names, ["order", "secret"]);
}

#[test]
fn a_discriminator_keeps_the_schemas_that_extend_it_and_no_other() {
    let filtered = only(&["listMethods"]);
    assert_eq!(keys(&filtered["components"]["schemas"]), ["Method", "Card", "Bank"]);
    let mapping = &filtered["components"]["schemas"]["Method"]["discriminator"]["mapping"];
    assert_eq!(keys(mapping), ["card", "bank"]);
}

#[test]
fn callbacks_of_open_operations_stay_whole() {
    let filtered = only(&["placeOrder"]);
    let callback =
        &filtered["paths"]["/orders"]["post"]["callbacks"]["shipped"]["{$request.body#/callback_url}"]["post"];
    assert_eq!(callback["operationId"], "onShipped");
    assert!(keys(&filtered["components"]["schemas"]).contains(&"Shipped"));
}

#[test]
fn codes_stay_what_they_were_and_nothing_open_is_an_empty_document() {
    let shop = shop();
    for operation in shop.operations() {
        let again = Document::from_value(filter(&shop, |code| code == operation.code, GATEWAY));
        let again = again.unwrap_or_else(|problems| panic!("{}: {problems:#?}", operation.code));
        assert_eq!(again.operations()[0].code, operation.code);
        assert_eq!(search_entries(&again).len(), 1);
    }
    let nothing = filter(&shop, |_| false, GATEWAY);
    assert_eq!(nothing["paths"], json!({}));
    assert_eq!(keys(&nothing["components"]), ["securitySchemes"]);
    let everything = filter(&shop, |_| true, GATEWAY);
    assert!(everything["info"]["description"].as_str().is_some_and(|words| words.contains("#operation/refundOrder")));
    assert!(keys(&everything["components"]["responses"]).contains(&"refundOrder-400"));
}

#[test]
fn path_items_by_reference_and_webhooks_are_dealt_with() {
    let document =
        Document::read(include_str!("documents/modern.json")).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let codes: Vec<&str> = document.operations().iter().map(|operation| operation.code.as_str()).collect();
    assert_eq!(codes.len(), 2);
    assert!(codes[0].starts_with("make-a-thing-"), "{codes:?}");
    assert_eq!(codes[1], "get-things-id");
    let filtered = filter(&document, |code| code == "get-things-id", GATEWAY);
    let text = to_json_pretty(&filtered);
    assert!(!text.contains("secretHook") && !text.contains("make a thing") && !text.contains("pathItems"), "{text}");
    assert_eq!(filtered["paths"]["/things/{id}"]["get"]["operationId"], "get-things-id");
    reading::keep_for_referee(Path::new("modern.json"), 0, &filtered);
}
