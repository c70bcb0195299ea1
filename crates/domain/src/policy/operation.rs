//! What one operation has of its own.

use super::Cost;
use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// An operation's policy; all defaults together change nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct OperationPolicy {
    /// Whether the operation takes an Idempotency-Key.
    #[serde(skip_serializing_if = "super::is_default")]
    pub idempotency_key: IdempotencyKey,
    /// The key has to have this scope, unless it has no scopes at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What the plan has to hold for this operation or some of its parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<FeatureGate>,
    /// Where the call's units come from; `None` is the operation's weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Cost>,
    /// Keeps the operation out of the product's cache.
    #[serde(skip_serializing_if = "super::is_default")]
    pub never_cached: bool,
    /// The longest that its answer may take in all, in milliseconds; `None` is the product's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_timeout_ms: Option<u32>,
}

/// Whether an operation takes an Idempotency-Key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum IdempotencyKey {
    /// The header is passed on and means nothing to us.
    #[default]
    Ignored,
    /// Honoured where it is sent.
    Optional,
    /// 400 without it.
    Required,
}

/// A feature that the plan has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureGate {
    /// One of the plan's `opens_features`.
    pub feature: String,
    /// Only calls whose query has this parameter; `None` is every call of the operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter: Option<ParameterGate>,
}

/// A query parameter that a feature opens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterGate {
    pub name: String,
    /// Only these values; empty is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

impl OperationPolicy {
    pub(super) fn problems(&self, place: &str, problems: &mut Vec<Problem>) {
        if self.scope.as_ref().is_some_and(|scope| !is_name(scope)) {
            problems.push(Problem::new(format!("{place}.scope"), NAME));
        }
        for (index, gate) in self.gates.iter().enumerate() {
            if !is_name(&gate.feature) {
                problems.push(Problem::new(format!("{place}.gates[{index}].feature"), NAME));
            }
            if gate.parameter.as_ref().is_some_and(|parameter| parameter.name.is_empty()) {
                problems
                    .push(Problem::new(format!("{place}.gates[{index}].parameter.name"), "Name the query parameter"));
            }
        }
        if let Some(cost) = &self.cost {
            cost.problems(place, problems);
        }
        if self.total_timeout_ms == Some(0) {
            problems.push(Problem::new(format!("{place}.total_timeout_ms"), "A time is at least one millisecond"));
        }
    }
}

const NAME: &str = "A name is 1 to 64 letters, digits, and : . - _";

/// Whether a text may name a scope or a feature: 1 to 64 letters, digits, and `: . - _`.
pub(crate) fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":.-_".contains(&byte))
}
