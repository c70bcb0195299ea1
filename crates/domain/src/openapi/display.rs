//! What a reference page shows of an operation: references resolved, `allOf` merged, cycles cut, words instead of
//! keywords. It is finite, and it can travel to the browser.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One operation, ready to be shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OperationDoc {
    /// Stable name within the product, fit for a URL.
    pub code: String,
    /// Upper case.
    pub method: String,
    /// The document's path template, as `/payments/{payment_id}`.
    pub path: String,
    /// One line; the method and path where the document has none.
    pub summary: String,
    /// CommonMark, not yet made safe: whoever renders it strips raw HTML and unsafe links.
    pub description_markdown: String,
    pub tags: Vec<String>,
    pub deprecated: bool,
    /// Path, query, header and cookie parameters, in the document's order. Credentials are not among them.
    pub parameters: Vec<ParameterDoc>,
    pub request_body: Option<BodyDoc>,
    pub responses: Vec<ResponseDoc>,
}

/// Where a parameter is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    pub const ALL: [Self; 4] = [Self::Path, Self::Query, Self::Header, Self::Cookie];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ParameterDoc {
    pub name: String,
    pub place: Place,
    pub required: bool,
    pub deprecated: bool,
    /// CommonMark.
    pub description: String,
    pub schema: SchemaDoc,
    /// A value that the form can start with.
    pub example: Value,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BodyDoc {
    pub required: bool,
    /// CommonMark.
    pub description: String,
    /// The media type that is shown: JSON where the operation takes it.
    pub content_type: String,
    /// All media types that the operation takes, in the document's order.
    pub content_types: Vec<String>,
    pub schema: SchemaDoc,
    pub example: Value,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResponseDoc {
    /// `200`, `4XX` or `default`.
    pub status: String,
    /// CommonMark.
    pub description: String,
    pub headers: Vec<HeaderDoc>,
    /// Absent where the answer has no body.
    pub content_type: Option<String>,
    pub schema: Option<SchemaDoc>,
    pub example: Option<Value>,
}

/// A header of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeaderDoc {
    pub name: String,
    pub required: bool,
    /// CommonMark.
    pub description: String,
    pub schema: SchemaDoc,
}

/// Whether exactly one or at least one variant applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VariantRule {
    OneOf,
    AnyOf,
}

impl VariantRule {
    /// The heading above the variants.
    pub const fn label(self) -> &'static str {
        match self {
            Self::OneOf => "One of",
            Self::AnyOf => "Any of",
        }
    }
}

/// A schema with everything that it refers to put in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Default)]
pub struct SchemaDoc {
    /// The name of the component that it is, or its title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In words: `array of string`, `object`, `string, date-time`, `map of integer`.
    pub type_text: String,
    /// JSON Schema types without `null`; empty where any value will do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub nullable: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub deprecated: bool,
    /// CommonMark.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// In words: `at most 127 characters`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub enum_values: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Value>,
    /// The document's example, or for a scalar one that fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<PropertyDoc>,
    /// What an array's items or a map's values are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub items: Option<Box<SchemaDoc>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<SchemaDoc>,
    /// Set where there are variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant_rule: Option<VariantRule>,
    /// Expansion stopped here, at a cycle or at the limit of depth or size; `name` says where to read on.
    #[serde(default, skip_serializing_if = "is_false")]
    pub recursive: bool,
}

/// One property of an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PropertyDoc {
    pub name: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Only in answers.
    #[serde(default, skip_serializing_if = "is_false")]
    pub read_only: bool,
    /// Only in requests.
    #[serde(default, skip_serializing_if = "is_false")]
    pub write_only: bool,
    pub schema: SchemaDoc,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
