//! The meters of a product's policy: a group of fields for each, and two for new ones.

use super::fields::Fields;
use crate::components::*;
use domain::{
    policy::{Meter, MeterValue, OnlyWhere, Told},
    usage::MeterKind,
};
use leptos::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

fn place_of(told: &Told) -> String {
    match told {
        Told::Header { name } => name.clone(),
        Told::JsonField { pointer } => pointer.clone(),
    }
}

const VALUES: [(&str, &str); 7] = [
    ("calls", "1 for each call"),
    ("weight", "The operation's weight"),
    ("bytes_in", "Bytes of the request's body"),
    ("bytes_out", "Bytes of the answer's body"),
    ("milliseconds", "Milliseconds until the answer begins"),
    ("header", "A header of the answer"),
    ("json_field", "A field of the answer's JSON"),
];

pub(super) fn meters(fields: &Fields, own: &BTreeMap<String, Meter>) -> AnyView {
    let kinds = MeterKind::ALL.map(|kind| (kind.code(), kind.describe()));
    let own: Vec<_> = own.iter().collect();
    let rows = (0..own.len() + 2).map(|row| {
        let there = own.get(row);
        let field = |name: &str| format!("meters.{row}.{name}");
        let text = |name: &str, label: &str, own: Option<String>, hint: &str| {
            fields.text(&field(name), label, fields.any(&field(name), own.filter(|text| !text.is_empty())), hint)
        };
        let of = |read: fn(&Meter) -> String| there.map(|(_, meter)| read(meter));
        let code = text("code", "Meter", there.map(|(code, _)| (*code).clone()), "A code, as tokens");
        let name = text("name", "Name", of(|meter| meter.name.clone()), "For partners, as Tokens");
        let unit = text("unit", "Unit", of(|meter| meter.unit.clone()), "What one is called, as token");
        let kind = there.map_or(MeterKind::Sum, |(_, meter)| meter.kind).code();
        let kind = fields.choice(&field("kind"), "Of many calls", fields.value(&field("kind"), kind), &kinds);
        let (value, place) = match there.map(|(_, meter)| &meter.value) {
            None | Some(MeterValue::Calls) => ("calls", None),
            Some(MeterValue::Weight) => ("weight", None),
            Some(MeterValue::BytesIn) => ("bytes_in", None),
            Some(MeterValue::BytesOut) => ("bytes_out", None),
            Some(MeterValue::Milliseconds) => ("milliseconds", None),
            Some(MeterValue::Header { name }) => ("header", Some(name.clone())),
            Some(MeterValue::JsonField { pointer }) => ("json_field", Some(pointer.clone())),
        };
        let value = fields.choice(&field("value"), "Of each call", fields.value(&field("value"), value), &VALUES);
        let place = text("place", "Header or field", place, "As X-Tokens or /usage/tokens");
        let bound = |name: &str, label: &str, read: fn(&Meter) -> Option<u64>, hint: &str| {
            let own = there.and_then(|(_, meter)| read(meter));
            fields.number(&field(name), label, fields.any(&field(name), own), "", hint)
        };
        let least = bound("at_least", "One call at least", |meter| meter.at_least, "Of a sum; empty: no least");
        let most = bound("at_most", "One call at most", |meter| meter.at_most, "Of a sum; empty: no most");
        let resource = there.and_then(|(_, meter)| meter.resource.as_ref()).map(place_of);
        let resource = text("resource", "Level of", resource, "Of a level: the header or field that names the thing");
        let operations = there.map(|(_, meter)| meter.operations.iter().cloned().collect::<Vec<_>>().join(", "));
        let operations = text("operations", "Operations", operations, "Their codes; empty: all");
        let only = there.and_then(|(_, meter)| meter.only_where.as_ref());
        let says = text(
            "only_where.says",
            "Only where",
            only.map(|only| place_of(&only.says)),
            "As X-Brand or /card/brand; empty: all",
        );
        let values = |values: fn(&OnlyWhere) -> &BTreeSet<String>| {
            only.map(|only| values(only).iter().map(String::as_str).collect::<Vec<_>>().join(", "))
        };
        let one_of = text("only_where.one_of", "is one of", values(|only| &only.one_of), "As amex, diners");
        let none_of = text(
            "only_where.none_of",
            "or is none of",
            values(|only| &only.none_of),
            "All others, and where nothing is said",
        );
        let title = match fields.any(&field("name"), there.map(|(_, meter)| meter.name.clone())) {
            name if name.trim().is_empty() => "Another meter".to_owned(),
            name => name,
        };
        let is_new = there.is_none() && (row == 0 || !fields.value(&field("code"), "").is_empty());
        let open = is_new || fields.any_problem(&field(""));
        let name_of_group = title.clone();
        view! {
            <details class="chosen-operations" open=open role="group" aria-label=name_of_group>
                <summary>{title}</summary>
                <FormRow>{code} {name} {unit}</FormRow>
                <FormRow>{value} {place} {kind}</FormRow>
                <FormRow>{least} {most} {operations}</FormRow>
                <FormRow>{says} {one_of} {none_of}</FormRow>
                <FormRow>{resource}</FormRow>
            </details>
        }
    });
    rows.collect_view().into_any()
}
