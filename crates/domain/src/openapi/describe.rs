//! Operations in the form that the reference pages show.

mod schema;
mod view;
mod words;

pub use view::View;

use super::{
    display::{BodyDoc, HeaderDoc, OperationDoc, ParameterDoc, Place, ResponseDoc, SchemaDoc},
    example::{Direction, generate},
    operations::OperationSummary,
    pointer::lookup,
};
use serde_json::{Map, Value};

/// References from one component to the next that are followed.
const MAX_HOPS: usize = 8;
/// Headers that the specification forbids to describe as parameters, and the one that carries the key.
const NOT_PARAMETERS: [&str; 4] = ["accept", "content-type", "authorization", "x-api-key"];

/// Reads one document.
pub struct Describer<'a> {
    root: &'a Value,
}

impl<'a> Describer<'a> {
    pub const fn new(root: &'a Value) -> Self {
        Self { root }
    }

    /// The operation at the summary's place; `None` where there is none.
    pub fn operation(&self, summary: &OperationSummary) -> Option<OperationDoc> {
        let operation = self.root.pointer(&summary.pointer)?.as_object()?;
        let item = self.root.get("paths")?.get(&summary.path)?;
        Some(OperationDoc {
            code: summary.code.clone(),
            method: summary.method.clone(),
            path: summary.path.clone(),
            summary: summary.summary.clone(),
            description_markdown: summary.description.clone(),
            tags: summary.tags.clone(),
            deprecated: summary.deprecated,
            parameters: self.parameters(item.get("parameters"), operation.get("parameters")),
            request_body: operation.get("requestBody").and_then(|body| self.body(body)),
            responses: self.responses(operation.get("responses")),
        })
    }

    /// A component schema under its own name.
    pub fn component(&self, name: &str, schema: &'a Value) -> SchemaDoc {
        let mut doc = schema::describe(self.root, schema);
        doc.name = Some(name.to_owned());
        doc
    }

    fn parameters(&self, shared: Option<&'a Value>, own: Option<&'a Value>) -> Vec<ParameterDoc> {
        let mut docs: Vec<ParameterDoc> = Vec::new();
        for list in [shared, own].into_iter().flatten().filter_map(Value::as_array) {
            for doc in list.iter().filter_map(|parameter| self.parameter(parameter)) {
                match docs.iter_mut().find(|earlier| earlier.name == doc.name && earlier.place == doc.place) {
                    Some(earlier) => *earlier = doc,
                    None => docs.push(doc),
                }
            }
        }
        docs
    }

    fn parameter(&self, value: &'a Value) -> Option<ParameterDoc> {
        let fields = self.resolved(value)?;
        let name = text(fields, "name");
        let code = fields.get("in").and_then(Value::as_str)?;
        let place = Place::ALL.into_iter().find(|place| place.code() == code)?;
        if place == Place::Header && NOT_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
            return None;
        }
        let schema = self.schema_of(fields);
        let example = self.example_of(fields).unwrap_or_else(|| generate(&schema, Direction::Request));
        let description = text(fields, "description");
        Some(ParameterDoc {
            required: place == Place::Path || flag(fields, "required"),
            deprecated: flag(fields, "deprecated") || schema.deprecated,
            description: if description.is_empty() { schema.description.clone() } else { description },
            name,
            place,
            schema,
            example,
        })
    }

    fn body(&self, value: &'a Value) -> Option<BodyDoc> {
        let fields = self.resolved(value)?;
        let content = fields.get("content").and_then(Value::as_object)?;
        let (content_type, media) = preferred(content)?;
        let (schema, example) = self.media(media, Direction::Request);
        Some(BodyDoc {
            required: flag(fields, "required"),
            description: text(fields, "description"),
            content_type: content_type.to_owned(),
            content_types: content.keys().cloned().collect(),
            schema,
            example,
        })
    }

    fn responses(&self, value: Option<&'a Value>) -> Vec<ResponseDoc> {
        let entries = value.and_then(Value::as_object).into_iter().flatten();
        entries
            .filter(|(status, _)| !status.starts_with("x-"))
            .filter_map(|(status, response)| Some((status, self.resolved(response)?)))
            .map(|(status, fields)| {
                let content = fields.get("content").and_then(Value::as_object).and_then(preferred);
                let media = content.map(|(_, media)| self.media(media, Direction::Response));
                let (schema, example) = media.unzip();
                ResponseDoc {
                    status: status.clone(),
                    description: text(fields, "description"),
                    headers: self.headers(fields.get("headers")),
                    content_type: content.map(|(content_type, _)| content_type.to_owned()),
                    schema,
                    example,
                }
            })
            .collect()
    }

    fn headers(&self, value: Option<&'a Value>) -> Vec<HeaderDoc> {
        let entries = value.and_then(Value::as_object).into_iter().flatten();
        entries
            .filter_map(|(name, header)| Some((name, self.resolved(header)?)))
            .map(|(name, fields)| HeaderDoc {
                name: name.clone(),
                required: flag(fields, "required"),
                description: text(fields, "description"),
                schema: self.schema_of(fields),
            })
            .collect()
    }

    fn media(&self, value: &'a Value, direction: Direction) -> (SchemaDoc, Value) {
        let Some(fields) = self.resolved(value) else { return (SchemaDoc::default(), Value::Null) };
        let schema = self.schema_of(fields);
        let example = self.example_of(fields).unwrap_or_else(|| generate(&schema, direction));
        (schema, example)
    }

    fn schema_of(&self, fields: &'a Map<String, Value>) -> SchemaDoc {
        let content = fields.get("content").and_then(Value::as_object).and_then(preferred);
        let inner = content.and_then(|(_, media)| media.get("schema"));
        match fields.get("schema").or_else(|| fields.get("itemSchema")).or(inner) {
            Some(schema) => schema::describe(self.root, schema),
            None => SchemaDoc { type_text: "any value".to_owned(), ..SchemaDoc::default() },
        }
    }

    /// The example that the document gives itself.
    fn example_of(&self, fields: &'a Map<String, Value>) -> Option<Value> {
        if let Some(example) = fields.get("example") {
            return Some(example.clone());
        }
        let examples = fields.get("examples")?.as_object()?;
        let named = examples.values().filter_map(|example| self.resolved(example));
        named.filter_map(|example| example.get("value").or_else(|| example.get("dataValue"))).next().cloned()
    }

    /// The object itself, or what it refers to.
    fn resolved(&self, value: &'a Value) -> Option<&'a Map<String, Value>> {
        let mut current = value;
        for _ in 0..MAX_HOPS {
            match current.get("$ref").and_then(Value::as_str) {
                Some(reference) => current = lookup(self.root, reference)?,
                None => return current.as_object(),
            }
        }
        None
    }
}

/// JSON where there is JSON, else what comes first.
fn preferred(content: &Map<String, Value>) -> Option<(&str, &Value)> {
    let is_json = |name: &str| {
        let name = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        name == "application/json" || name.ends_with("+json")
    };
    let found = content.iter().find(|(name, _)| is_json(name)).or_else(|| content.iter().next());
    found.map(|(name, media)| (name.as_str(), media))
}

fn text(fields: &Map<String, Value>, field: &str) -> String {
    fields.get(field).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

fn flag(fields: &Map<String, Value>, field: &str) -> bool {
    fields.get(field).and_then(Value::as_bool).unwrap_or(false)
}
