//! A schema in the form that the reference pages show.

use super::{view::View, words};
use crate::openapi::{
    display::{PropertyDoc, SchemaDoc, VariantRule},
    example,
    pointer::lookup,
};
use serde_json::Value;

/// References inside one another that are followed.
const MAX_DEPTH: usize = 8;
/// Schemas shown for one schema of an operation; where there are more, all are shown to a smaller depth.
const MAX_SCHEMAS: usize = 300;

/// Describes a schema: as deep as keeps the whole readable.
pub fn describe(root: &Value, schema: &Value) -> SchemaDoc {
    let mut best = None;
    for depth in 1..=MAX_DEPTH {
        let mut builder = Builder { root, max_depth: depth, spent: 0, was_cut: false };
        let doc = builder.build(&[schema], &mut Vec::new(), 0);
        let fits = builder.spent <= MAX_SCHEMAS;
        if fits || best.is_none() {
            best = Some(doc);
        }
        if !fits || !builder.was_cut {
            break;
        }
    }
    best.unwrap_or_default()
}

struct Builder<'a> {
    root: &'a Value,
    max_depth: usize,
    spent: usize,
    /// Whether the limit of depth or size stopped an expansion, so that a higher limit would show more.
    was_cut: bool,
}

impl<'a> Builder<'a> {
    fn build(&mut self, sources: &[&'a Value], entered: &mut Vec<&'a str>, depth: usize) -> SchemaDoc {
        self.spent += 1;
        let closed = depth >= self.max_depth || self.spent > MAX_SCHEMAS;
        let view = View::new(self.root, sources, entered, closed);
        if let Some(reference) = view.cut {
            self.was_cut |= closed;
            return self.stub(&view, reference);
        }
        if view.nothing {
            return SchemaDoc { type_text: "nothing".to_owned(), ..SchemaDoc::default() };
        }
        let outer = entered.len();
        entered.extend(&view.references);
        let depth = depth + usize::from(!view.references.is_empty());
        let doc = self.whole(&view, entered, depth);
        entered.truncate(outer);
        doc
    }

    /// What is known of a schema without entering it.
    fn stub(&self, view: &View<'a>, reference: &'a str) -> SchemaDoc {
        let target = lookup(self.root, reference).unwrap_or(&Value::Null);
        let beyond = View::new(self.root, &[target], &[], true);
        let seen =
            View { fragments: view.fragments.iter().chain(&beyond.fragments).copied().collect(), ..View::default() };
        let types = words::types(&seen);
        SchemaDoc {
            name: view.name.clone(),
            type_text: words::type_text(&types, seen.text("format"), None, false),
            nullable: words::nullable(&seen),
            deprecated: seen.flag("deprecated"),
            description: seen.text("description").unwrap_or_default().trim().to_owned(),
            format: seen.text("format").map(str::to_owned),
            types,
            recursive: true,
            ..SchemaDoc::default()
        }
    }

    fn whole(&mut self, view: &View<'a>, entered: &mut Vec<&'a str>, depth: usize) -> SchemaDoc {
        let mut constraints = words::constraints(view);
        let (choices, rule, mut nullable) = variants(view, &mut constraints);
        nullable |= words::nullable(view);
        if let ([only], true) = (choices.as_slice(), has_no_content(view)) {
            return self.only_choice(view, only, nullable, entered, depth);
        }
        let variants: Vec<SchemaDoc> = choices.iter().map(|choice| self.build(&[choice], entered, depth)).collect();
        let properties = self.properties(view, entered, depth);
        let mut types = words::types(view);
        if types.is_empty() && !variants.is_empty() {
            types = words::shared_types(&variants);
        }
        let (items, is_map) = self.items(view, &properties, &variants, &mut constraints, entered, depth);
        let enum_values = enum_values(view);
        let format = view.text("format").map(str::to_owned);
        let mut type_text = words::type_text(&types, format.as_deref(), items.as_ref(), is_map);
        if types.is_empty() {
            type_text = words::type_text_of_choice(&enum_values, &variants).unwrap_or(type_text);
        }
        SchemaDoc {
            name: view.name.clone().or_else(|| view.text("title").map(str::to_owned)),
            example: example::given_or_scalar(view, &types, &enum_values),
            type_text,
            types,
            format,
            nullable,
            deprecated: view.flag("deprecated"),
            description: view.text("description").unwrap_or_default().trim().to_owned(),
            constraints,
            enum_values,
            default: view.get("default").cloned(),
            properties,
            items: items.map(Box::new),
            variant_rule: if variants.is_empty() { None } else { rule },
            variants,
            recursive: false,
        }
    }

    /// `oneOf` of one schema, or of one schema and `null`, is that schema.
    fn only_choice(
        &mut self,
        view: &View<'a>,
        only: &'a Value,
        nullable: bool,
        entered: &mut Vec<&'a str>,
        depth: usize,
    ) -> SchemaDoc {
        let mut doc = self.build(&[only], entered, depth);
        doc.nullable |= nullable;
        doc.deprecated |= view.flag("deprecated");
        if let Some(description) = view.text("description") {
            description.trim().clone_into(&mut doc.description);
        }
        if let Some(name) = &view.name {
            doc.name = Some(name.clone());
        }
        if let Some(default) = view.get("default") {
            doc.default = Some(default.clone());
        }
        doc
    }

    fn properties(&mut self, view: &View<'a>, entered: &mut Vec<&'a str>, depth: usize) -> Vec<PropertyDoc> {
        let required: Vec<&str> =
            view.all("required").filter_map(Value::as_array).flatten().filter_map(Value::as_str).collect();
        let mut grouped: Vec<(&'a str, Vec<&'a Value>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (name, schema) in view.all("properties").filter_map(Value::as_object).flatten() {
            let place = *places.entry(name.as_str()).or_insert(grouped.len());
            match grouped.get_mut(place) {
                // Of the same schema twice, one is enough.
                Some((_, sources)) if sources.contains(&schema) => {}
                Some((_, sources)) => sources.push(schema),
                None => grouped.push((name, vec![schema])),
            }
        }
        grouped
            .into_iter()
            .map(|(name, sources)| {
                let marks = View::new(self.root, &sources, &[], false);
                PropertyDoc {
                    name: name.to_owned(),
                    required: required.contains(&name),
                    read_only: marks.flag("readOnly"),
                    write_only: marks.flag("writeOnly"),
                    schema: self.build(&sources, entered, depth),
                }
            })
            .collect()
    }

    /// An array's items or a map's values, and whether it is a map.
    fn items(
        &mut self,
        view: &View<'a>,
        properties: &[PropertyDoc],
        variants: &[SchemaDoc],
        constraints: &mut Vec<String>,
        entered: &mut Vec<&'a str>,
        depth: usize,
    ) -> (Option<SchemaDoc>, bool) {
        if let Some(items) = view.get("items").filter(|items| items.is_object()) {
            return (Some(self.build(&[items], entered, depth)), false);
        }
        for (place, schema) in view.get("prefixItems").and_then(Value::as_array).into_iter().flatten().enumerate() {
            let doc = self.build(&[schema], entered, depth);
            constraints.push(format!("item {} is {}", place + 1, doc.type_text));
        }
        for (pattern, schema) in view.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            let doc = self.build(&[schema], entered, depth);
            constraints.push(format!("properties whose names match `{pattern}` are {}", doc.type_text));
        }
        match view.get("additionalProperties") {
            Some(Value::Bool(false)) if !properties.is_empty() => constraints.push("no other properties".to_owned()),
            Some(schema @ Value::Object(fields)) if !fields.is_empty() => {
                let doc = self.build(&[schema], entered, depth);
                if properties.is_empty() && variants.is_empty() {
                    return (Some(doc), true);
                }
                constraints.push(format!("other properties are {}", doc.type_text));
            }
            _ => {}
        }
        (None, false)
    }
}

/// Members of `oneOf` and `anyOf` that are schemas of their own; `null` is told apart, and alternatives that only ask
/// for properties become words.
fn variants<'a>(view: &View<'a>, constraints: &mut Vec<String>) -> (Vec<&'a Value>, Option<VariantRule>, bool) {
    let mut choices = Vec::new();
    let mut nullable = false;
    let mut rule = None;
    for (keyword, its_rule) in [("oneOf", VariantRule::OneOf), ("anyOf", VariantRule::AnyOf)] {
        for members in view.all(keyword).filter_map(Value::as_array) {
            if let Some(text) = words::required_alternatives(members) {
                constraints.push(text);
                continue;
            }
            for member in members {
                if words::is_null(member) {
                    nullable = true;
                } else {
                    choices.push(member);
                    rule.get_or_insert(its_rule);
                }
            }
        }
    }
    (choices, rule, nullable)
}

/// Whether everything that the schema says is about which variant it is.
fn has_no_content(view: &View<'_>) -> bool {
    const CONTENT: [&str; 8] =
        ["properties", "items", "enum", "const", "additionalProperties", "format", "pattern", "patternProperties"];
    CONTENT.iter().all(|keyword| view.get(keyword).is_none())
}

fn enum_values(view: &View<'_>) -> Vec<Value> {
    if let Some(constant) = view.get("const") {
        return vec![constant.clone()];
    }
    view.get("enum").and_then(Value::as_array).cloned().unwrap_or_default()
}
