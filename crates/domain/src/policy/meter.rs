//! What a product measures besides units: tokens, seats, bytes, whatever its API can say of a call.

use super::cost::is_header_name;
use crate::{plan::Problem, product::is_code, usage::MeterKind};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Meters of one product.
const MOST_METERS: usize = 16;
/// Characters of a meter's name, and of its unit.
const LONGEST_NAME: usize = 100;
const LONGEST_UNIT: usize = 40;
/// What an answer needs to be one, or to be understood: a meter's header is not passed on.
const NOT_TAKEN: [&str; 12] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "location",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "www-authenticate",
];

/// One meter. It measures the calls that count by the product's rule ([`super::Counting::statuses`] and what it says of broken-off
/// calls), test calls too; an answer that is given again, a refusal and a cache hit that costs nothing measure nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meter {
    /// For partners, as `Tokens`.
    pub name: String,
    /// What one is called, as `token`; empty where the name says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// What becomes of the values of many calls.
    #[serde(default)]
    pub kind: MeterKind,
    /// What one call counts for.
    pub value: MeterValue,
    /// Which of several things a gauge's level is the level of; one for each partner and environment where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Told>,
    /// Codes of the operations that it measures; empty measures all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub operations: BTreeSet<String>,
}

/// What one call counts for: a whole number from 0 to 10^12.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MeterValue {
    /// 1.
    Calls,
    /// The operation's weight, whatever the call cost.
    Weight,
    /// Of the request's body.
    BytesIn,
    /// Of the answer's body.
    BytesOut,
    /// Until the upstream's answer began, rounded up.
    Milliseconds,
    /// A header of the answer holds it. The header is not passed on.
    Header { name: String },
    /// A field of the answer's JSON body, by JSON Pointer (RFC 6901); a number is rounded up. Answers up to 1 MiB are read for it.
    JsonField { pointer: String },
}

/// Where the answer names a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// A header of the answer, which is not passed on.
    Header { name: String },
    /// A field of the answer's JSON body, by JSON Pointer.
    JsonField { pointer: String },
}

impl Meter {
    /// Whether it measures calls of that operation.
    pub fn measures(&self, operation: &str) -> bool {
        self.operations.is_empty() || self.operations.contains(operation)
    }

    /// What it measures, in words for partners.
    pub fn sentence(&self) -> String {
        let (value, values) = match &self.value {
            MeterValue::Calls => ("calls", "calls"),
            MeterValue::Weight => ("the units that operations weigh", "units that operations weigh"),
            MeterValue::BytesIn => ("the bytes that you send", "bytes that you send"),
            MeterValue::BytesOut => ("the bytes of answers", "bytes of answers"),
            MeterValue::Milliseconds => ("the milliseconds until answers begin", "milliseconds until an answer begins"),
            MeterValue::Header { .. } | MeterValue::JsonField { .. } => {
                ("what the API says of each call", "values that the API says")
            }
        };
        match self.kind {
            MeterKind::Sum => format!("The sum of {value}."),
            MeterKind::Maximum => format!("The largest of the {values}."),
            MeterKind::Latest => format!("The latest of the {values}."),
            MeterKind::Unique => format!("How many different {values} there are."),
            MeterKind::Gauge => "The level that the API says, as its average over the time.".to_owned(),
        }
    }

    fn problems(&self, code: &str, problems: &mut Vec<Problem>) {
        let mut add = |field: &str, message: &str| {
            let place = if field.is_empty() { format!("meters.{code}") } else { format!("meters.{code}.{field}") };
            problems.push(Problem::new(place, message));
        };
        if !is_code(code) {
            add("", "A meter's code is 1 to 64 lower-case letters, digits and inner hyphens");
        }
        if matches!(code, "units" | "calls") {
            add("", "Units and calls are always counted; call the meter something else");
        }
        if !(1..=LONGEST_NAME).contains(&self.name.trim().chars().count()) {
            add("name", "Give it a name of 1 to 100 characters, as Tokens");
        }
        if self.unit.chars().count() > LONGEST_UNIT {
            add("unit", "The unit's name is at most 40 characters long, as token");
        }
        let is_told = matches!(self.value, MeterValue::Header { .. } | MeterValue::JsonField { .. });
        if matches!(self.kind, MeterKind::Unique | MeterKind::Gauge) && !is_told {
            add("value", "This kind takes its values from a header or a JSON field of the answer");
        }
        let told = match &self.value {
            MeterValue::Header { name } => header_problem(name),
            MeterValue::JsonField { pointer } => pointer_problem(pointer),
            _ => None,
        };
        if let Some(message) = told {
            add("value", message);
        }
        if self.resource.is_some() && self.kind != MeterKind::Gauge {
            add("resource", "Only a gauge has levels of several things; leave it out");
        }
        let told = self.resource.as_ref().and_then(|told| match told {
            Told::Header { name } => header_problem(name),
            Told::JsonField { pointer } => pointer_problem(pointer),
        });
        if let Some(message) = told {
            add("resource", message);
        }
    }
}

pub(super) fn problems(meters: &BTreeMap<String, Meter>, problems: &mut Vec<Problem>) {
    if meters.len() > MOST_METERS {
        problems.push(Problem::new("meters", "A product has at most 16 meters"));
    }
    for (code, meter) in meters {
        meter.problems(code, problems);
    }
}

fn header_problem(name: &str) -> Option<&'static str> {
    if !is_header_name(name) {
        return Some("Name the header that holds it: letters, digits and dashes");
    }
    NOT_TAKEN
        .contains(&name.to_ascii_lowercase().as_str())
        .then_some("An answer needs this header itself; let the API say it in one of its own, as X-Tokens")
}

fn pointer_problem(pointer: &str) -> Option<&'static str> {
    (!pointer.starts_with('/')).then_some("Write a JSON Pointer that starts with a slash, as /usage/tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(kind: MeterKind, value: MeterValue) -> Meter {
        Meter {
            name: "Tokens".to_owned(),
            unit: "token".to_owned(),
            kind,
            value,
            resource: None,
            operations: BTreeSet::new(),
        }
    }

    fn header(name: &str) -> MeterValue {
        MeterValue::Header { name: name.to_owned() }
    }

    fn wrong(code: &str, meter: &Meter) -> Vec<String> {
        let mut problems = Vec::new();
        meter.problems(code, &mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn a_meter_that_could_not_work_is_refused_where_its_mistake_is() {
        let sum = |value| meter(MeterKind::Sum, value);
        assert_eq!(wrong("tokens", &sum(header("X-Tokens"))), Vec::<String>::new());
        assert_eq!(wrong("Tokens", &sum(MeterValue::Calls)), ["meters.Tokens"]);
        assert_eq!(wrong("units", &sum(MeterValue::Calls)), ["meters.units"]);
        assert_eq!(wrong("m", &sum(header("Content-Length"))), ["meters.m.value"]);
        assert_eq!(wrong("m", &sum(header(""))), ["meters.m.value"]);
        assert_eq!(wrong("m", &sum(MeterValue::JsonField { pointer: "usage".to_owned() })), ["meters.m.value"]);
        assert_eq!(wrong("m", &meter(MeterKind::Unique, MeterValue::Calls)), ["meters.m.value"]);
        assert_eq!(wrong("m", &meter(MeterKind::Gauge, MeterValue::BytesIn)), ["meters.m.value"]);
        let resource = Some(Told::JsonField { pointer: "id".to_owned() });
        let lost = Meter { resource: resource.clone(), name: " ".to_owned(), ..sum(header("X-T")) };
        assert_eq!(wrong("m", &lost), ["meters.m.name", "meters.m.resource", "meters.m.resource"]);
        let gauge = Meter { resource, unit: "u".repeat(41), ..meter(MeterKind::Gauge, header("X-Level")) };
        assert_eq!(wrong("m", &gauge), ["meters.m.unit", "meters.m.resource"]);
    }

    #[test]
    fn a_product_has_a_bounded_number_of_meters() {
        let many =
            |count: usize| (0..count).map(|n| (format!("m{n}"), meter(MeterKind::Sum, MeterValue::Calls))).collect();
        for (count, expected) in [(16, 0), (17, 1)] {
            let mut found = Vec::new();
            problems(&many(count), &mut found);
            assert_eq!(found.len(), expected, "{count}");
        }
    }

    #[test]
    fn each_kind_says_in_words_what_it_is() {
        let told = MeterValue::JsonField { pointer: "/tokens".to_owned() };
        for (kind, sentence) in [
            (MeterKind::Sum, "The sum of what the API says of each call."),
            (MeterKind::Maximum, "The largest of the values that the API says."),
            (MeterKind::Latest, "The latest of the values that the API says."),
            (MeterKind::Unique, "How many different values that the API says there are."),
            (MeterKind::Gauge, "The level that the API says, as its average over the time."),
        ] {
            assert_eq!(meter(kind, told.clone()).sentence(), sentence);
        }
    }
}
