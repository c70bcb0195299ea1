//! The display model says what the schemas say, and it ends.

use super::reading;
use domain::openapi::{
    Document,
    display::{OperationDoc, SchemaDoc, VariantRule},
    samples::request_for,
};
use serde_json::{Value, json};

fn modern() -> OperationDoc {
    let document =
        Document::read(include_str!("documents/modern.json")).unwrap_or_else(|problems| panic!("{problems:#?}"));
    let code = document.operations()[0].code.clone();
    document.operation(&code).expect("is described")
}

fn shop(code: &str) -> OperationDoc {
    let document =
        Document::read(include_str!("documents/shop.yaml")).unwrap_or_else(|problems| panic!("{problems:#?}"));
    document.operation(code).expect("is described")
}

fn property<'a>(schema: &'a SchemaDoc, name: &str) -> &'a SchemaDoc {
    &schema.properties.iter().find(|property| property.name == name).unwrap_or_else(|| panic!("no {name}")).schema
}

#[test]
fn keywords_of_3_1_become_words() {
    let operation = modern();
    let thing = &operation.request_body.as_ref().expect("a body").schema;
    assert_eq!(thing.name.as_deref(), Some("Thing"));
    assert_eq!(property(thing, "kind").enum_values, [json!("thing")]);
    let size = property(thing, "size");
    assert_eq!((size.type_text.as_str(), size.nullable), ("integer", true));
    assert_eq!(size.constraints, ["more than 0", "at most 9"]);
    let label = property(thing, "label");
    assert_eq!(
        (label.description.as_str(), label.constraints[0].as_str()),
        ("What people call it", "exactly 2 characters")
    );
    let shape = property(thing, "shape");
    assert_eq!((shape.variants.len(), shape.variant_rule, shape.nullable), (2, Some(VariantRule::OneOf), true));
    let maybe = property(thing, "maybe");
    assert_eq!((maybe.name.as_deref(), maybe.nullable, maybe.variants.len()), (Some("Circle"), true, 0));
    assert_eq!(property(thing, "either").constraints, ["needs `a`, or `b`"]);
    assert_eq!(property(thing, "scores").type_text, "map of number");
    assert_eq!(property(thing, "pair").constraints, ["item 1 is string", "item 2 is integer"]);
    assert_eq!(property(thing, "when").type_text, "string, date-time");
    let tree = property(thing, "tree");
    let inner = property(tree, "children").items.as_ref().expect("items");
    assert!(inner.recursive && !tree.recursive);
    assert_eq!((inner.name.as_deref(), inner.type_text.as_str()), (Some("Tree"), "object"));
}

#[test]
fn keywords_of_3_0_become_words() {
    let operation = shop("placeOrder");
    let order = operation.responses[0].schema.as_ref().expect("a schema");
    let note = property(order, "note");
    assert_eq!((note.nullable, note.constraints[0].as_str()), (true, "at most 80 characters"));
    let parent = property(order, "parent");
    assert!(parent.recursive && parent.nullable);
    assert_eq!((parent.name.as_deref(), parent.description.as_str()), (Some("Order"), "What it replaces"));
    let lines = property(order, "lines");
    assert_eq!((lines.type_text.as_str(), lines.constraints[0].as_str()), ("array of object", "at least 1 item"));
    let line = lines.items.as_ref().expect("items");
    let names: Vec<(&str, bool)> = line.properties.iter().map(|it| (it.name.as_str(), it.required)).collect();
    assert_eq!(names, [("amount", true), ("sku", true)], "allOf is merged");
    assert_eq!(property(line, "amount").constraints, ["more than 0", "at most 500"], "and so are its properties");
    assert!(order.properties[0].read_only);
}

#[test]
fn examples_fit_and_leave_out_what_is_not_sent() {
    let body = modern().request_body.expect("a body").example;
    assert_eq!(body["kind"], "thing");
    assert_eq!(body["size"], 1);
    assert_eq!(body["label"].as_str().map(str::len), Some(2));
    assert_eq!(body["when"], "2020-02-02T02:02:02Z");
    assert_eq!(body["shape"], json!({ "radius": 0.5 }));
    let order = shop("placeOrder");
    let sent = order.request_body.expect("a body").example;
    assert_eq!(sent["callback_url"], "https://example.com/path");
    assert!(sent.get("token").is_some());
    let answered = order.responses[0].example.clone().expect("an example");
    assert!(answered.get("id").is_some() && answered["lines"][0].get("amount").is_some(), "{answered}");
    assert_eq!(shop("listOrders").responses[0].example.as_ref().map(|it| &it[0]["id"]), Some(&json!("o1")));
}

#[test]
fn a_sample_request_is_filled_in() {
    let request = request_for(&shop("getOrder"), "https://api.example.com/shop");
    assert_eq!((request.method.as_str(), request.url.as_str()), ("GET", "https://api.example.com/shop/orders/o1"));
}

#[test]
fn the_model_travels() {
    let operation = modern();
    let text = serde_json::to_string(&operation).expect("writes");
    assert_eq!(serde_json::from_str::<OperationDoc>(&text).expect("reads"), operation);
}

/// Schemas that refer to each other in every way: without limits, a page of them would have no end.
#[test]
fn schemas_that_multiply_stay_small() {
    let mut schemas = serde_json::Map::new();
    for number in 0..40 {
        let properties: serde_json::Map<String, Value> = (0..40)
            .map(|other| (format!("p{other}"), json!({ "$ref": format!("#/components/schemas/S{other}") })))
            .collect();
        let next = format!("#/components/schemas/S{}", (number + 1) % 40);
        schemas.insert(format!("S{number}"), json!({ "properties": properties, "allOf": [{ "$ref": next }] }));
    }
    let document = json!({
        "openapi": "3.1.0", "info": { "title": "T", "version": "1" },
        "paths": { "/a": { "get": { "operationId": "a", "responses": { "200": { "description": "", "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/S0" } } } } } } } },
        "components": { "schemas": schemas },
    });
    let operation = Document::from_value(document).expect("is good").operation("a").expect("is described");
    let mut count = 0;
    reading::each_schema(operation.responses[0].schema.as_ref().expect("a schema"), &mut |schema| {
        count += 1;
        assert!(!schema.recursive || schema.name.is_some());
    });
    assert!(count < 2_000, "{count} schemas");
}
