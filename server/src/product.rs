//! From a document to a product's operations, for the API and for `apply`.

use domain::openapi::Document;
use std::collections::BTreeMap;
use store::NewOperation;

/// The document's operations, each with its weight: 1 where `weights` does not name it.
pub fn operations(document: &Document, weights: &BTreeMap<String, u32>) -> Vec<NewOperation> {
    let operation = |one: &domain::openapi::OperationSummary| NewOperation {
        code: one.code.clone(),
        method: one.method.clone(),
        path: one.path.clone(),
        summary: one.summary.clone(),
        weight: weights.get(&one.code).copied().unwrap_or(1),
        deprecated: one.deprecated,
    };
    document.operations().iter().map(operation).collect()
}
