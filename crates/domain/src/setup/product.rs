//! A product of the set-up.

use super::{Coded, PlanSetup, SecretSource};
use crate::{
    plan::Problem,
    policy::{Policy, address_problem},
    product::{Visibility, route_problem},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A set of operations of one upstream API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductSetup {
    pub name: String,
    /// One or two sentences for the catalogue.
    #[serde(default)]
    pub summary: String,
    /// The OpenAPI document's file, relative to the set-up file.
    pub document: String,
    /// Where it is on the gateway: `/payments`.
    pub route: String,
    /// Scheme, host, port and base path of the API behind it.
    pub upstream_url: String,
    /// From the request's first byte sent to the response's first byte, in milliseconds.
    #[serde(default = "default_timeout_ms")]
    pub timeout_ms: u32,
    #[serde(default)]
    pub visibility: Visibility,
    /// Codes of partners who may know of it, where the visibility is by invitation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub invited: Vec<String>,
    /// Headers that the gateway adds before it forwards.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, SecretSource>,
    /// Units that one call uses, by operation code; 1 where it is not here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, u32>,
    /// How calls are authenticated, cached, kept for retries, balanced and priced.
    #[serde(default)]
    pub policy: Policy,
    /// What the policy refers to by name: signing secrets, client certificates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, SecretSource>,
}

const fn default_timeout_ms() -> u32 {
    30_000
}

/// The longest timeout, in milliseconds.
const MAX_TIMEOUT_MS: u32 = 600_000;
/// The largest weight, in units.
const MAX_WEIGHT: u32 = 1_000_000;
/// Headers that the gateway sets itself, or that concern one connection only.
const NOT_ADDED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
];

impl ProductSetup {
    pub(super) fn problems(&self, place: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |field: &str, message: &str| problems.push(Problem::new(format!("{place}.{field}"), message));
        if !(1..=200).contains(&self.name.trim().chars().count()) {
            add("name", "The name is 1 to 200 characters long");
        }
        if self.document.trim().is_empty() {
            add("document", "Name the file of the OpenAPI document");
        }
        if let Some(message) = route_problem(&self.route) {
            add("route", message);
        }
        if let Some(message) = address_problem(&self.upstream_url) {
            add("upstream_url", message);
        }
        if !(1..=MAX_TIMEOUT_MS).contains(&self.timeout_ms) {
            add("timeout_ms", "The timeout is 1 to 600000 milliseconds");
        }
        if !self.invited.is_empty() && self.visibility != Visibility::Invitation {
            add("invited", "Partners are invited to products whose visibility is `invitation`");
        }
        for (name, source) in &self.headers {
            let token =
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&b));
            if !token || NOT_ADDED.contains(&name.to_ascii_lowercase().as_str()) {
                add(&format!("headers.{name}"), "The gateway cannot add a header of this name");
            }
            match source {
                SecretSource::Environment(source) | SecretSource::File(source) if source.is_empty() => {
                    add(&format!("headers.{name}"), "Write env:NAME or file:PATH");
                }
                SecretSource::Value(value) if value.contains(char::is_control) => {
                    add(&format!("headers.{name}"), "A header's value is one line");
                }
                _ => {}
            }
        }
        for (operation, _) in self.weights.iter().filter(|(_, weight)| **weight > MAX_WEIGHT) {
            add(&format!("weights.{operation}"), "A weight is at most 1000000 units");
        }
        let policy = self.policy.problems().into_iter();
        problems
            .extend(policy.map(|problem| Problem { field: format!("{place}.policy.{}", problem.field), ..problem }));
        problems
    }

    /// What names an operation that the document does not have: weights here, and what plans open of this product.
    /// `known` holds the operation codes of the document.
    pub fn operation_problems(&self, code: &str, plans: &Coded<PlanSetup>, known: &[&str]) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut check = |place: String, operation: &str| {
            if !known.contains(&operation) {
                let message = format!("{code} has no operation {operation:?}; it has {}", known.join(", "));
                problems.push(Problem::new(place, message));
            }
        };
        for operation in self.weights.keys() {
            check(format!("products.{code}.weights.{operation}"), operation);
        }
        for operation in self.policy.operations.keys() {
            check(format!("products.{code}.policy.operations.{operation}"), operation);
        }
        for (meter, setup) in &self.policy.meters {
            for operation in &setup.operations {
                check(format!("products.{code}.policy.meters.{meter}.operations"), operation);
            }
        }
        for (plan, setup) in plans {
            for (index, grant) in setup.products.iter().enumerate().filter(|(_, grant)| grant.product == code) {
                for (number, operation) in grant.operations.iter().flatten().enumerate() {
                    check(format!("plans.{plan}.products[{index}].operations[{number}]"), operation);
                }
            }
        }
        problems
    }
}
