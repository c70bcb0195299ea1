//! Whatever is done to a document, reading, filtering and describing it end in an answer.

use domain::openapi::{Document, filter, search_entries, to_json_pretty, to_yaml};
use proptest::{prelude::*, test_runner::TestRunner};
use serde_json::Value;

const SOURCES: [&str; 3] = [
    include_str!("documents/shop.yaml"),
    include_str!("documents/modern.json"),
    include_str!("../../../../examples/payments-api/openapi.yaml"),
];

/// Values that do not belong where they are put, and some that could.
fn strange() -> Vec<Value> {
    let mut values: Vec<Value> =
        ["null", "true", "-1", "1e300", "\"\"", "\"#\"", "\"#/\"", "\"é\u{0}/~1{\"", "[]", "[null]", "{}", "{\"\":{}}"]
            .iter()
            .map(|text| serde_json::from_str(&text.replace('\u{0}', "\\u0000")).expect("JSON"))
            .collect();
    for reference in
        ["#/components/schemas/Order", "#/paths/~1orders/get", "#/components/pathItems/Things", "#/components"]
    {
        values.push(serde_json::json!({ "$ref": reference }));
        values.push(serde_json::json!({ "allOf": [{ "$ref": reference }], "oneOf": [{ "$ref": reference }] }));
        values.push(serde_json::json!(reference));
    }
    values
}

/// All places in a value.
fn places(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, it)| places(it, &format!("{here}/{}", escaped(name)), found))
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, it)| places(it, &format!("{here}/{index}"), found))
        }
        _ => {}
    }
}

/// Everything that is done with a document once it is read.
fn use_it(document: &Document) {
    let last = document.operations().last().expect("has operations").code.clone();
    let filtered = filter(document, |code| code == last, "https://api.example.com/p");
    let again = Document::from_value(filtered.clone());
    let again = again.unwrap_or_else(|problems| panic!("{problems:#?}\n{}", to_json_pretty(&filtered)));
    assert_eq!(again.operations().len(), 1);
    assert_eq!(again.operations()[0].code, last);
    let by_yaml = Document::read(&to_yaml(&filtered)).unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert_eq!(by_yaml.value(), again.value());
    for operation in document.operations() {
        assert!(document.operation(&operation.code).is_some());
    }
    assert_eq!(search_entries(document).len(), document.operations().len());
}

#[test]
fn a_value_out_of_place_is_a_problem_or_a_document_that_works() {
    let documents: Vec<(Value, Vec<String>)> = SOURCES
        .iter()
        .map(|text| {
            let value = Document::read(text).expect("is good").into_value();
            let mut found = Vec::new();
            places(&value, "", &mut found);
            (value, found)
        })
        .collect();
    let values = strange();
    let config = ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() };
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let changes = prop::collection::vec(change, 1..4);
    let worked = std::cell::Cell::new(0);
    TestRunner::new(config)
        .run(&(0..SOURCES.len(), changes), |(which, changes)| {
            let (value, places) = &documents[which];
            let mut value = value.clone();
            for (place, strange) in changes {
                if let Some(target) = value.pointer_mut(place.get(places.as_slice()).as_str()) {
                    *target = strange.get(values.as_slice()).clone();
                }
            }
            match Document::from_value(value) {
                Ok(document) => {
                    worked.set(worked.get() + 1);
                    use_it(&document);
                }
                Err(problems) => prop_assert!(!problems.is_empty()),
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
    assert!(worked.get() > 100, "only {} mutants were documents", worked.get());
}

#[test]
fn damaged_text_is_a_problem_or_a_document_that_works() {
    let config = ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() };
    let cuts = prop::collection::vec(
        (any::<prop::sample::Index>(), 0..6_usize, "[-:{}\\[\\]&*!#|>%@`'\",\\n \\t\u{0}-\u{7f}é]{0,4}"),
        1..4,
    );
    TestRunner::new(config)
        .run(&(0..SOURCES.len(), cuts), |(which, cuts)| {
            let mut letters: Vec<char> = SOURCES[which].chars().collect();
            for (place, length, inserted) in cuts {
                let from = place.index(letters.len());
                let to = (from + length).min(letters.len());
                letters.splice(from..to, inserted.chars());
            }
            let text: String = letters.into_iter().collect();
            if let Ok(document) = Document::read(&text) {
                use_it(&document);
            }
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn any_text_is_answered() {
    let config = ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&".{0,200}", |text| {
            let _ = Document::read(&text);
            let _ = Document::read(&format!("openapi: 3.1.0\npaths: {text}"));
            Ok(())
        })
        .unwrap_or_else(|failure| panic!("{failure}"));
}
