//! Tells readers of a document that the gateway takes an Idempotency-Key at an operation whose own description does not.

use super::{Document, display::Place};
use crate::idempotency::MAX_KEY_BYTES;
use serde_json::{Value, json};

const NAME: &str = "Idempotency-Key";

/// Adds the header to the operation's parameters in `filtered`, which is a part of the document, unless the document
/// declares it itself. `text` says how long answers are kept.
pub fn declare_key(document: &Document, filtered: &mut Value, code: &str, required: bool, text: &str) {
    let Some(summary) = document.operations().iter().find(|operation| operation.code == code) else { return };
    let declared = document.operation(code).is_some_and(|operation| {
        let mut headers = operation.parameters.iter().filter(|parameter| parameter.place == Place::Header);
        headers.any(|header| header.name.eq_ignore_ascii_case(NAME))
    });
    let Some(operation) = filtered.pointer_mut(&summary.pointer).and_then(Value::as_object_mut) else { return };
    let parameters = operation.entry("parameters").or_insert_with(|| json!([]));
    let Some(parameters) = parameters.as_array_mut().filter(|_| !declared) else { return };
    parameters.push(json!({
        "name": NAME,
        "in": "header",
        "required": required,
        "description": text,
        "schema": { "type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES },
        "example": "8e03978e-40d5-43dd-bc93-6894a57f9324",
    }));
}
