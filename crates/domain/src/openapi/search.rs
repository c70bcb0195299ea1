//! What a search of the reference finds.

use super::{Document, display::SchemaDoc};
use serde::{Deserialize, Serialize};

/// Words of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchEntry {
    pub operation: String,
    /// Summary, method and path, tags, names of parameters and properties, description; separated by line breaks.
    pub text: String,
}

/// One entry for each operation. Call it on a filtered document, so that nothing hidden can be found.
pub fn search_entries(document: &Document) -> Vec<SearchEntry> {
    document
        .operations()
        .iter()
        .map(|summary| {
            let mut parts = vec![
                summary.summary.clone(),
                format!("{} {}", summary.method, summary.path),
                summary.code.clone(),
                summary.tags.join(" "),
            ];
            if let Some(operation) = document.operation(&summary.code) {
                parts.extend(operation.parameters.iter().map(|parameter| parameter.name.clone()));
                let bodies = operation.request_body.iter().map(|body| &body.schema);
                let answers = operation.responses.iter().filter_map(|response| response.schema.as_ref());
                parts.extend(bodies.chain(answers).filter_map(property_names));
            }
            parts.push(summary.description.clone());
            parts.retain(|part| !part.is_empty());
            SearchEntry { operation: summary.code.clone(), text: parts.join("\n") }
        })
        .collect()
}

fn property_names(schema: &SchemaDoc) -> Option<String> {
    let names: Vec<&str> = schema.properties.iter().map(|property| property.name.as_str()).collect();
    if names.is_empty() { None } else { Some(names.join(" ")) }
}
