//! A document becomes a text again.

use serde_json::Value;

/// Indented JSON with a line break at the end.
pub fn to_json_pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// YAML 1.2. Texts that another reader could take for something else are quoted.
pub fn to_yaml(document: &Value) -> String {
    // A JSON value always has a YAML form; JSON is YAML, should the writer ever disagree.
    serde_norway::to_string(document).unwrap_or_else(|_| to_json_pretty(document))
}
