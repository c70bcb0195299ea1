//! What the product form holds, and the product that it describes.

use crate::{
    drafts,
    form::{self, Done, Failure},
    state::AppState,
};
use domain::{
    openapi::Document,
    product::{Operation, Visibility},
};
use leptos::{prelude::ServerFnError, server_fn::codec::MultipartData};
use serde_json::Value;
use std::collections::HashMap;
use store::{NewOperation, NewProduct, Product};

/// Fields that go back to the form as they were typed.
const TYPED: [&str; 7] = ["name", "code", "summary", "route", "upstream_url", "timeout_ms", "visibility"];

/// Problems of a document that are shown; a document can have hundreds.
const MOST_PROBLEMS: usize = 12;

/// The form's fields, in the order in which they came. A file counts as the document where one was chosen.
pub struct ProductForm {
    fields: Vec<(String, String)>,
}

/// The form was not one of ours.
pub fn unreadable() -> Failure {
    Failure::whole("The form could not be read. Send a text file of up to 8 MB.")
}

/// Reads all fields as text; the body's size is limited before this.
pub async fn read(data: MultipartData) -> Option<ProductForm> {
    let mut data = data.into_inner()?;
    let mut fields = Vec::new();
    while let Some(field) = data.next_field().await.ok()? {
        let name = field.name().unwrap_or_default().to_owned();
        let text = String::from_utf8(field.bytes().await.ok()?.to_vec()).ok()?;
        fields.push((name, text));
    }
    Some(ProductForm { fields })
}

impl ProductForm {
    /// A field's text, empty where it did not come.
    pub fn text(&self, name: &str) -> &str {
        let name = if name == "document" && self.has("file") { "file" } else { name };
        self.fields.iter().find(|(own, _)| own == name).map_or("", |(_, text)| text.as_str())
    }

    fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(own, text)| own == name && !text.trim().is_empty())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(move |(own, _)| own == name).map(|(_, text)| text.trim())
    }

    /// The product that the form describes; operations keep the weights that they have in `there`.
    pub async fn product(&self, state: &AppState, there: &[Operation]) -> Result<NewProduct, Failure> {
        let mut problems = Vec::new();
        let document = match self.text("document") {
            text if text.trim().is_empty() && !there.is_empty() => None,
            text if text.trim().is_empty() => {
                problems.push(("document".to_owned(), "Paste an OpenAPI document or choose its file".to_owned()));
                None
            }
            text => {
                // A long document takes a while, and must not hold up what else this thread serves.
                let text = text.to_owned();
                let read = tokio::task::spawn_blocking(move || Document::read(&text)).await;
                let read = read.map_err(|_| crate::api::accounts::server_trouble())?;
                read.map_err(|found| problems.extend(document_problems(&found))).ok()
            }
        };
        let visibility = self.text("visibility").parse().unwrap_or_else(|message| {
            problems.push(("visibility".to_owned(), message));
            Visibility::Plan
        });
        let timeout_ms = self.text("timeout_ms").trim().parse().unwrap_or_else(|_| {
            problems.push(("timeout_ms".to_owned(), "Enter whole milliseconds, as 30000".to_owned()));
            30_000
        });
        if !problems.is_empty() {
            return Err(Failure(problems));
        }
        let code = self.text("code").trim().to_owned();
        let headers = self.all("header_name").zip(self.all("header_value")).filter(|(name, _)| !name.is_empty());
        let seal = |(name, value): (&str, &str)| {
            let sealed = (!value.is_empty()).then(|| state.secrets.seal_header(&code, name, value.as_bytes()));
            (name.to_owned(), sealed)
        };
        Ok(NewProduct {
            headers: headers.map(seal).collect(),
            policy: None,
            secrets: None,
            name: self.text("name").trim().to_owned(),
            summary: self.text("summary").trim().to_owned(),
            route: self.text("route").trim().to_owned(),
            upstream_url: self.text("upstream_url").trim().trim_end_matches('/').to_owned(),
            timeout_ms,
            visibility,
            operations: document.as_ref().map(|document| operations(document, there)).unwrap_or_default(),
            document: document.map_or(Value::Null, Document::into_value),
            code,
        })
    }

    /// Answers the form; a document that could not be taken stays in it.
    pub fn answer(&self, form: &str, back: &str, outcome: Result<Done, Failure>) -> Result<(), ServerFnError> {
        let document = self.text("document");
        let draft =
            if outcome.is_err() && !document.is_empty() { drafts::keep(document.to_owned()) } else { String::new() };
        let mut typed: Vec<(&str, &str)> = TYPED.iter().map(|name| (*name, self.text(name))).collect();
        typed.push(("draft", &draft));
        form::answer(form, back, &typed, outcome)
    }
}

fn document_problems(found: &[domain::openapi::Problem]) -> Vec<(String, String)> {
    let mut problems: Vec<_> =
        found.iter().take(MOST_PROBLEMS).map(|problem| ("document".to_owned(), problem.to_string())).collect();
    if found.len() > MOST_PROBLEMS {
        problems.push(("document".to_owned(), format!("and {} more", found.len() - MOST_PROBLEMS)));
    }
    problems
}

fn operations(document: &Document, there: &[Operation]) -> Vec<NewOperation> {
    let weights: HashMap<&str, u32> = there.iter().map(|own| (own.code.as_str(), own.weight)).collect();
    let new = |operation: &domain::openapi::OperationSummary| NewOperation {
        code: operation.code.clone(),
        method: operation.method.clone(),
        path: operation.path.clone(),
        summary: operation.summary.clone(),
        weight: weights.get(operation.code.as_str()).copied().unwrap_or(1),
        deprecated: operation.deprecated,
    };
    document.operations().iter().map(new).collect()
}

/// The operations as they are.
pub fn keep_operations(there: &[Operation]) -> Vec<NewOperation> {
    let keep = |own: &Operation| NewOperation {
        code: own.code.clone(),
        method: own.method.clone(),
        path: own.path.clone(),
        summary: own.summary.clone(),
        weight: own.weight,
        deprecated: own.deprecated,
    };
    there.iter().map(keep).collect()
}

/// The product as it is, with other weights; an operation that is not among them keeps its own.
pub fn with_weights(
    there: &Product,
    document: Value,
    weights: &HashMap<String, String>,
) -> Result<NewProduct, Failure> {
    let mut operations = keep_operations(&there.operations);
    for operation in &mut operations {
        let Some(text) = weights.get(&operation.code) else { continue };
        operation.weight = text.trim().parse().map_err(|_| {
            Failure::field("weights", format!("The weight of {} is a whole number of units, 0 or more", operation.code))
        })?;
    }
    let line = there.line.clone();
    Ok(NewProduct {
        code: line.code,
        name: line.name,
        summary: line.summary,
        route: line.route,
        upstream_url: line.upstream_url,
        timeout_ms: line.timeout_ms,
        visibility: line.visibility,
        document,
        operations,
        headers: there.headers.iter().map(|name| (name.clone(), None)).collect(),
        policy: None,
        secrets: None,
    })
}
