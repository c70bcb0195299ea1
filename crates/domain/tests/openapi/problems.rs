//! A bad document gets each of its errors with the line or the place, in words.

use domain::openapi::{Document, Problem};
use serde_json::{Value, json};

/// A good document, changed.
fn with(change: impl FnOnce(&mut Value)) -> Result<Document, Vec<Problem>> {
    let mut document = json!({
        "openapi": "3.1.0",
        "info": { "title": "T", "version": "1" },
        "paths": { "/a/{id}": {
            "parameters": [{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }],
            "get": { "operationId": "getA", "responses": { "200": { "description": "ok", "content": { "application/json": {
                "schema": { "$ref": "#/components/schemas/A" },
                "example": { "$ref": "nowhere" },
            } } } } },
        } },
        "components": { "schemas": { "A": { "type": "object", "properties": { "$ref": { "type": "string" } } } } },
    });
    change(&mut document);
    Document::read(&document.to_string())
}

/// The one problem's place and words.
fn problem(change: impl FnOnce(&mut Value)) -> (String, String) {
    let problems = with(change).expect_err("has a problem");
    let [problem] = problems.as_slice() else { panic!("{problems:#?}") };
    (problem.pointer.clone(), problem.message.clone())
}

fn assert_problem(change: impl FnOnce(&mut Value), pointer: &str, words: &str) {
    let (place, message) = problem(change);
    assert_eq!(place, pointer, "{message}");
    assert!(message.contains(words), "{message}");
}

#[test]
fn the_unchanged_document_is_good() {
    let document = with(|_| {}).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(document.warnings(), []);
    assert_eq!((document.title(), document.version()), ("T", "1"));
}

#[test]
fn text_that_is_no_document_is_told_by_its_line() {
    let first = |text: &str| Document::read(text).expect_err("is wrong").remove(0);
    assert_eq!(first("{\n\"openapi\": \"3.1.0\",\n}").line, Some(3));
    assert_eq!(first("openapi: 3.1.0\ninfo:\n  title: [x\npaths: {}\n").line, Some(4));
    assert!(first("").message.contains("empty"));
    assert!(first("just words").message.contains("not an OpenAPI document"));
    assert!(first("[1]").message.contains("not an OpenAPI document"));
    assert!(first(&" ".repeat(9 << 20)).message.contains("longer than 8 MiB"));
}

#[test]
fn versions_that_are_not_read_are_told_kindly() {
    let first = |text: &str| Document::read(text).expect_err("is wrong").remove(0).message;
    assert!(first("swagger: '2.0'\ninfo: {title: a, version: b}\npaths: {}").contains("Swagger 2.0"));
    assert!(first("asyncapi: 3.0.0").contains("AsyncAPI"));
    assert!(first("openapi: 4.0.0").contains("4.0.0 is not known"));
    assert!(first("openapi: 3.1").contains("in quotes") || first("openapi: 3.1").contains("three numbers"));
    assert!(first("info: {}").contains("`openapi` is missing"));
    for version in ["3.0.4", "3.1.1", "3.2.0"] {
        assert!(with(|document| document["openapi"] = json!(version)).is_ok(), "{version}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let gone =
        |field: &'static str| move |document: &mut Value| drop(document.as_object_mut().expect("map").remove(field));
    assert_problem(gone("info"), "", "`info` is missing");
    assert_problem(gone("paths"), "", "`paths` is missing");
    assert_problem(|it| it["info"] = json!({ "title": "x" }), "/info", "`version` is missing");
    assert_problem(|it| it["paths"] = json!({}), "/paths", "no operation");
    let get = "/paths/~1a~1{id}/get";
    let remove = |it: &mut Value| drop(it["paths"]["/a/{id}"]["get"].as_object_mut().expect("map").remove("responses"));
    assert!(with(remove).is_ok(), "3.1 does not ask for responses");
    assert_problem(
        |it| {
            remove(it);
            it["openapi"] = json!("3.0.3");
        },
        get,
        "no `responses`",
    );
}

#[test]
fn references_are_checked_where_they_are_references() {
    let schema = "/paths/~1a~1{id}/get/responses/200/content/application~1json/schema/$ref";
    let point = |target: &'static str| {
        move |it: &mut Value| {
            it["paths"]["/a/{id}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]["$ref"] =
                json!(target)
        }
    };
    assert_problem(point("#/components/schemas/B"), schema, "leads nowhere");
    assert_problem(point("other.yaml#/A"), schema, "outside of this document");
    assert_problem(point("#A"), schema, "anchor");
    assert_problem(point("#/info/title"), schema, "plain value");
}

#[test]
fn operations_that_cannot_be_told_apart_are_named() {
    let twice = |it: &mut Value| it["paths"]["/b"] = json!({ "get": { "operationId": "getA", "responses": {} } });
    assert_problem(twice, "/paths/~1b/get/operationId", "used twice, first at /paths/~1a~1{id}/get");
    let same = |it: &mut Value| {
        let mut item = it["paths"]["/a/{id}"].clone();
        item["parameters"][0]["name"] = json!("key");
        item["get"]["operationId"] = json!("other");
        it["paths"]["/a/{key}"] = item;
    };
    assert_problem(same, "/paths/~1a~1{key}", "the same to a router");
}

#[test]
fn paths_and_their_parameters_agree() {
    let path = |path: &'static str| move |it: &mut Value| it["paths"] = json!({ path: { "get": { "responses": {} } } });
    assert_problem(path("/a/{id}"), "/paths/~1a~1{id}/get", "no parameter with this name");
    assert_problem(path("a"), "/paths/a", "begins with a slash");
    assert_problem(path("/a/{id"), "/paths/~1a~1{id", "not closed");
    assert_problem(path("/a/id}"), "/paths/~1a~1id}", "not opened");
    assert_problem(path("/a/{id}/{id}"), "/paths/~1a~1{id}~1{id}", "twice");
    assert_problem(path("/a/{x}-{y}"), "/paths/~1a~1{x}-{y}", "two parameters between two slashes");
    assert_problem(path("/a?b={c}"), "/paths/~1a?b={c}", "no query");
    let unused = with(|it| {
        it["paths"]["/b"] = json!({ "get": { "responses": {}, "parameters": [
        { "name": "x", "in": "path", "required": true, "schema": {} }] } })
    });
    assert_eq!(unused.expect("is a warning").warnings().len(), 1);
}

#[test]
fn shapes_that_are_wrong_are_named() {
    let get = "/paths/~1a~1{id}/get";
    assert_problem(
        |it| it["paths"]["/a/{id}"]["get"]["responses"]["2000"] = json!({ "description": "" }),
        &format!("{get}/responses/2000"),
        "status",
    );
    assert_problem(
        |it| it["paths"]["/a/{id}"]["get"]["parameters"] = json!({}),
        &format!("{get}/parameters"),
        "a list",
    );
    assert_problem(
        |it| it["paths"]["/a/{id}"]["get"]["requestBody"] = json!("x"),
        &format!("{get}/requestBody"),
        "a mapping",
    );
    assert_problem(
        |it| it["components"]["schemas"]["A"]["type"] = json!("strnig"),
        "/components/schemas/A/type",
        "not a type",
    );
    assert_problem(|it| it["components"]["schemas"]["a b"] = json!({}), "/components/schemas/a b", "letters, digits");
    assert_problem(
        |it| it["paths"]["/a/{id}"]["get"]["parameters"] = json!([{ "in": "query", "schema": {} }]),
        &format!("{get}/parameters/0"),
        "no name",
    );
    assert_problem(
        |it| it["paths"]["/a/{id}"]["get"]["parameters"] = json!([{ "name": "b", "in": "body", "schema": {} }]),
        &format!("{get}/parameters/0"),
        "Swagger 2.0",
    );
}

#[test]
fn small_omissions_are_filled_in_with_a_warning() {
    let text = "openapi: 3.1.0\ninfo: {title: T, version: 4}\npaths:\n  /a/{id}:\n    get:\n      tags:\n      parameters:\n      \
                - {name: id, in: path, schema: {type: string}}\n      responses:\n        200:\n          headers:\n";
    let document = Document::read(text).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(document.version(), "4");
    assert_eq!(document.warnings().len(), 3, "{:#?}", document.warnings());
    let get = &document.value()["paths"]["/a/{id}"]["get"];
    assert_eq!(get["parameters"][0]["required"], json!(true));
    assert_eq!(get["responses"]["200"], json!({ "description": "" }));
}
