//! A document that was read and checked.

use super::{
    Problem, check,
    describe::Describer,
    display::{OperationDoc, SchemaDoc},
    operations::{self, OperationSummary},
    read, repair,
};
use serde_json::Value;

/// The longest text that is read, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 8 << 20;

/// An OpenAPI document without errors: every reference leads somewhere, every operation can be routed.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    value: Value,
    operations: Vec<OperationSummary>,
    warnings: Vec<Problem>,
}

impl Document {
    /// Reads JSON or YAML. The error lists everything that is wrong, as far as it can be known at once.
    pub fn read(text: &str) -> Result<Self, Vec<Problem>> {
        if text.len() > MAX_DOCUMENT_BYTES {
            let message =
                format!("The document is longer than {} MiB; split the API into products", MAX_DOCUMENT_BYTES >> 20);
            return Err(vec![Problem::in_text(None, message)]);
        }
        if text.trim().is_empty() {
            return Err(vec![Problem::in_text(None, "The document is empty")]);
        }
        Self::from_value(read::read(text).map_err(|problem| vec![problem])?)
    }

    /// Checks a value, such as one that [`value`](Self::value) gave and a database kept.
    pub fn from_value(mut value: Value) -> Result<Self, Vec<Problem>> {
        check::depth(&value)?;
        check::version(&value)?;
        let mut warnings = repair::repair(&mut value);
        let found = check::check(&value);
        if !found.errors.is_empty() {
            return Err(found.errors);
        }
        warnings.extend(found.warnings);
        let operations = operations::list(&value);
        if operations.is_empty() {
            return Err(vec![Problem::at("/paths", "The document has no operation; there is nothing to sell")]);
        }
        Ok(Self { value, operations, warnings })
    }

    /// The document as canonical JSON: anchors and merge keys resolved, key order kept, small omissions filled in.
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// The same, without a copy.
    pub fn into_value(self) -> Value {
        self.value
    }

    /// What is odd but not wrong; for the operator who imports it.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// All operations in the document's order.
    pub fn operations(&self) -> &[OperationSummary] {
        &self.operations
    }

    /// The API's name.
    pub fn title(&self) -> &str {
        self.info("title")
    }

    /// The API's version, as the document has it.
    pub fn version(&self) -> &str {
        self.info("version")
    }

    /// CommonMark, not yet made safe.
    pub fn description(&self) -> &str {
        self.info("description")
    }

    fn info(&self, field: &str) -> &str {
        self.value.pointer("/info").and_then(|info| info.get(field)).and_then(Value::as_str).unwrap_or_default()
    }

    /// One operation, ready to be shown. Call it on a filtered document, so that nothing hidden is described.
    pub fn operation(&self, code: &str) -> Option<OperationDoc> {
        let summary = self.operations.iter().find(|operation| operation.code == code)?;
        Describer::new(&self.value).operation(summary)
    }

    /// A component schema by its name, for reading on where an operation's schema stopped.
    pub fn schema(&self, name: &str) -> Option<SchemaDoc> {
        let schema = self.value.pointer("/components/schemas")?.get(name)?;
        Some(Describer::new(&self.value).component(name, schema))
    }

    /// Names of the component schemas in the document's order.
    pub fn schema_names(&self) -> impl Iterator<Item = &str> {
        let schemas = self.value.pointer("/components/schemas").and_then(Value::as_object);
        schemas.into_iter().flat_map(|schemas| schemas.keys().map(String::as_str))
    }
}
