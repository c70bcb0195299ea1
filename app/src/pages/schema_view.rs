//! A schema as a list of properties that open; everything is there without script.

use crate::docs::markdown::Markdown;
use domain::openapi::display::{PropertyDoc, SchemaDoc};
use leptos::prelude::*;
use serde_json::Value;

/// Nesting that is open at first.
const OPEN: usize = 1;

/// The schema's own lines, then what it is made of.
#[component]
pub fn SchemaView(schema: SchemaDoc, #[prop(optional)] depth: usize) -> impl IntoView {
    let inner = inner(&schema, depth);
    let facts = facts(&schema);
    view! {
        <div class="schema">
            <p class="schema-type">
                <span>{type_text(&schema)}</span>
                {schema.name.clone().map(|name| view! { " " <code>{name}</code> })}
            </p>
            <Markdown text=schema.description.clone()/>
            {facts}
            {inner}
        </div>
    }
}

fn type_text(schema: &SchemaDoc) -> String {
    if schema.nullable { format!("{} or null", schema.type_text) } else { schema.type_text.clone() }
}

fn facts(schema: &SchemaDoc) -> AnyView {
    let mut facts = schema.constraints.clone();
    if let Some(default) = &schema.default {
        facts.push(format!("default {}", plain(default)));
    }
    let values: Vec<_> = schema.enum_values.iter().map(|value| view! { <code>{plain(value)}</code> " " }).collect();
    let values = (!values.is_empty()).then(|| view! { <p class="schema-values">"One of " {values}</p> });
    let facts = (!facts.is_empty()).then(|| view! { <p class="schema-facts">{facts.join(" · ")}</p> });
    view! {
        {facts}
        {values}
    }
    .into_any()
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn inner(schema: &SchemaDoc, depth: usize) -> AnyView {
    if schema.recursive {
        return view! { <p class="schema-facts">"Described above; it repeats here."</p> }.into_any();
    }
    let properties = schema.properties.iter().map(|property| property_view(property, depth)).collect_view();
    let list = (!schema.properties.is_empty()).then(|| view! { <ul class="schema-properties">{properties}</ul> });
    let variants = schema.variant_rule.map(|rule| {
        let cards = schema.variants.iter().cloned().enumerate().map(|(position, variant)| {
            let title =
                variant.name.clone().unwrap_or_else(|| format!("Variant {}: {}", position + 1, variant.type_text));
            folded(title, variant, depth)
        });
        let cards = cards.collect_view();
        view! {
            <p class="schema-rule">{rule.label()}</p>
            {cards}
        }
    });
    let items = schema.items.as_ref().filter(|items| has_inside(items)).map(|items| {
        let title = items.name.clone().map_or("Each item".to_owned(), |name| format!("Each item: {name}"));
        folded(title, (**items).clone(), depth)
    });
    view! {
        {list}
        {items}
        {variants}
    }
    .into_any()
}

/// One property or parameter: name, type and marks on a line, then what it means and holds.
pub fn property_view(property: &PropertyDoc, depth: usize) -> impl IntoView + use<> {
    let PropertyDoc { name, required, read_only, write_only, schema } = property.clone();
    let mut marks = Vec::new();
    if required {
        marks.push("required");
    }
    if read_only {
        marks.push("only in answers");
    }
    if write_only {
        marks.push("only in requests");
    }
    if schema.deprecated {
        marks.push("deprecated");
    }
    let type_text = type_text(&schema);
    let facts = facts(&schema);
    let description = schema.description.clone();
    let inside = if schema.recursive {
        schema
            .name
            .clone()
            .map(|name| view! { <p class="schema-facts">{format!("{name}, described above")}</p> }.into_any())
    } else {
        has_inside(&schema).then(|| {
            let title = schema.name.clone().map_or("What it holds".to_owned(), |name| format!("What it holds: {name}"));
            let body = inner(&schema, depth + 1);
            view! { <details class="schema-fold" open=depth + 1 < OPEN><summary>{title}</summary>{body}</details> }
                .into_any()
        })
    };
    view! {
        <li>
            <p class="schema-name"><code>{name}</code> " " <span>{type_text}</span> " " <em>{marks.join(", ")}</em></p>
            <Markdown text=description/>
            {facts}
            {inside}
        </li>
    }
}

fn folded(title: String, schema: SchemaDoc, depth: usize) -> impl IntoView {
    let body = view! { <SchemaView schema=schema depth=depth + 1/> }.into_any();
    view! { <details class="schema-fold" open=depth < OPEN><summary>{title}</summary>{body}</details> }
}

fn has_inside(schema: &SchemaDoc) -> bool {
    !schema.properties.is_empty()
        || schema.variant_rule.is_some()
        || schema.items.as_ref().is_some_and(|items| has_inside(items))
}
