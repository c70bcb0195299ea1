//! What a product measures besides units: tokens, seats, bytes, whatever its API can say of a call.

mod only_where;

use super::cost::is_header_name;
use crate::{money::group_thousands, plan::Problem, product::is_code, usage::MeterKind};
pub use only_where::OnlyWhere;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Meters of one product.
pub const MOST_METERS: usize = 48;
/// What one call counts for at most.
const MOST_OF_A_CALL: u64 = 1_000_000_000_000;
/// Characters of a meter's name, and of its unit.
const LONGEST_NAME: usize = 100;
const LONGEST_UNIT: usize = 40;
/// What an answer needs to be one, or to be understood: a meter's header is not passed on.
const NOT_TAKEN: [&str; 22] = [
    "accept-ranges",
    "age",
    "allow",
    "cache-control",
    "cache-status",
    "connection",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "pragma",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "www-authenticate",
];
/// The same, by how it begins.
const NOT_TAKEN_BEGIN: &str = "content-";

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
    /// A call whose value is less counts for so much: the least fee of one payment. For sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u64>,
    /// A call whose value is more counts for so much: where the fee of one payment ends. For sums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// Which of several things a gauge's level is the level of; one for each partner and environment where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Told>,
    /// Codes of the operations that it measures; empty measures all of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub operations: BTreeSet<String>,
    /// Which calls of those, by what their answers say; all of them where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only_where: Option<OnlyWhere>,
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
    /// One that measures all calls, each for what its value says.
    pub fn new(name: impl Into<String>, kind: MeterKind, value: MeterValue) -> Self {
        Self {
            name: name.into(),
            unit: String::new(),
            kind,
            value,
            at_least: None,
            at_most: None,
            resource: None,
            operations: BTreeSet::new(),
            only_where: None,
        }
    }

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
        let of_all = match self.kind {
            MeterKind::Sum => format!("The sum of {value}."),
            MeterKind::Maximum => format!("The largest of the {values}."),
            MeterKind::Latest => format!("The latest of the {values}."),
            MeterKind::Unique => format!("How many different {values} there are."),
            MeterKind::Gauge => "The level that the API says, as its average over the time.".to_owned(),
        };
        let bounds = match (self.at_least, self.at_most) {
            (None, None) => None,
            (Some(least), None) => Some(format!("Each call counts for at least {}.", group_thousands(least))),
            (None, Some(most)) => Some(format!("Each call counts for at most {}.", group_thousands(most))),
            (Some(least), Some(most)) => Some(format!(
                "Each call counts for at least {} and at most {}.",
                group_thousands(least),
                group_thousands(most)
            )),
        };
        let only = self.only_where.as_ref().map(OnlyWhere::sentence);
        [Some(of_all), bounds, only].into_iter().flatten().collect::<Vec<_>>().join(" ")
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
        if self.kind != MeterKind::Sum {
            for (field, bound) in [("at_least", self.at_least), ("at_most", self.at_most)] {
                if bound.is_some() {
                    add(field, "Only what is added up has a least or a most for each call; leave it out");
                }
            }
        }
        let most = self.at_most.unwrap_or(MOST_OF_A_CALL);
        if !(1..=MOST_OF_A_CALL).contains(&most) {
            add("at_most", "The most that one call counts for is 1 to 1,000,000,000,000");
        } else if self.at_least.is_some_and(|least| least > most) {
            add("at_least", "The least that one call counts for is not above the most, nor above 1,000,000,000,000");
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
        if let Some(message) = self.resource.as_ref().and_then(Told::problem) {
            add("resource", message);
        }
        for problem in self.only_where.iter().flat_map(OnlyWhere::problems) {
            add(&format!("only_where.{}", problem.field), &problem.message);
        }
    }
}

impl Told {
    fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Header { name } => header_problem(name),
            Self::JsonField { pointer } => pointer_problem(pointer),
        }
    }
}

pub(super) fn problems(meters: &BTreeMap<String, Meter>, problems: &mut Vec<Problem>) {
    if meters.len() > MOST_METERS {
        problems.push(Problem::new("meters", "A product has at most 48 meters"));
    }
    for (code, meter) in meters {
        meter.problems(code, problems);
    }
}

fn header_problem(name: &str) -> Option<&'static str> {
    if !is_header_name(name) {
        return Some("Name the header that holds it: letters, digits and dashes");
    }
    let name = name.to_ascii_lowercase();
    (NOT_TAKEN.contains(&name.as_str()) || name.starts_with(NOT_TAKEN_BEGIN))
        .then_some("An answer needs this header itself; let the API say it in one of its own, as X-Tokens")
}

fn pointer_problem(pointer: &str) -> Option<&'static str> {
    (!pointer.starts_with('/')).then_some("Write a JSON Pointer that starts with a slash, as /usage/tokens")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(kind: MeterKind, value: MeterValue) -> Meter {
        Meter { unit: "token".to_owned(), ..Meter::new("Tokens", kind, value) }
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
    fn a_call_counts_for_at_least_and_at_most_what_can_be() {
        let bounded =
            |kind, at_least, at_most| wrong("m", &Meter { at_least, at_most, ..meter(kind, header("X-Cents")) });
        let (fine, most): ([&str; 0], u64) = ([], 1_000_000_000_000);
        assert_eq!(bounded(MeterKind::Sum, Some(50), Some(50)), fine);
        assert_eq!(bounded(MeterKind::Sum, Some(0), Some(most)), fine);
        assert_eq!(bounded(MeterKind::Sum, Some(51), Some(50)), ["meters.m.at_least"]);
        assert_eq!(bounded(MeterKind::Sum, Some(most + 1), None), ["meters.m.at_least"]);
        assert_eq!(bounded(MeterKind::Sum, None, Some(most + 1)), ["meters.m.at_most"]);
        assert_eq!(bounded(MeterKind::Sum, None, Some(0)), ["meters.m.at_most"]);
        for kind in [MeterKind::Maximum, MeterKind::Latest, MeterKind::Unique, MeterKind::Gauge] {
            assert_eq!(bounded(kind, Some(1), Some(2)), ["meters.m.at_least", "meters.m.at_most"]);
        }
        let says = Told::JsonField { pointer: "brand".to_owned() };
        let only_where = Some(OnlyWhere { says, one_of: BTreeSet::new(), none_of: BTreeSet::new() });
        let lost = Meter { only_where, ..meter(MeterKind::Sum, MeterValue::Calls) };
        assert_eq!(wrong("m", &lost), ["meters.m.only_where.says", "meters.m.only_where.one_of"]);
    }

    #[test]
    fn a_product_has_a_bounded_number_of_meters() {
        let many =
            |count: usize| (0..count).map(|n| (format!("m{n}"), meter(MeterKind::Sum, MeterValue::Calls))).collect();
        for (count, expected) in [(48, 0), (49, 1)] {
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
        let says = Told::JsonField { pointer: "/card".to_owned() };
        let only_where = Some(OnlyWhere { says, one_of: ["amex".to_owned()].into(), none_of: BTreeSet::new() });
        let of_amex = Meter { at_most: Some(62_500), only_where, ..meter(MeterKind::Sum, told) };
        assert_eq!(
            of_amex.sentence(),
            "The sum of what the API says of each call. Each call counts for at most 62,500. Only where the API says amex in /card."
        );
    }
}
