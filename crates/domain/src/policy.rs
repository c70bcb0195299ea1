//! How the gateway treats a product's calls, besides who may make them: one file for each concern.
//!
//! Kept as JSON with the product and written as `policy` in the set-up file. Everything has a default, and all defaults
//! together are a plain proxy with API keys.

mod admission;
mod authentication;
mod cache;
mod cost;
mod counting;
mod idempotency;
mod meter;
mod operation;
mod upstream;

pub use admission::{Admission, Concurrency, Credit, Pace, Preset, Throttle};
pub use authentication::{Algorithm, Authentication, Issuer, Proof};
pub use cache::{Cache, CachePrice};
pub use cost::Cost;
pub use counting::{Counted, CountedRefusals, Counting, StatusClass, countable_refusals};
pub use idempotency::Idempotency;
pub use meter::{MOST_METERS, Meter, MeterValue, OnlyWhere, Told};
pub(crate) use operation::is_name;
pub use operation::{FeatureGate, IdempotencyKey, OperationPolicy, ParameterGate};
pub use upstream::{Breaker, HealthCheck, Protocol, Retry, Target, Timeouts, Upstream, address_problem};

use crate::plan::Problem;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A product's policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    #[serde(skip_serializing_if = "is_default")]
    pub authentication: Authentication,
    #[serde(skip_serializing_if = "is_default")]
    pub upstream: Upstream,
    /// Answers that are kept; `None` keeps none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Cache>,
    /// Which calls cost units.
    #[serde(skip_serializing_if = "is_default")]
    pub counting: Counting,
    #[serde(skip_serializing_if = "is_default")]
    pub idempotency: Idempotency,
    /// What is measured besides units, by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub meters: BTreeMap<String, Meter>,
    /// What happens to calls that need units while neither a lease nor Postgres has any.
    #[serde(skip_serializing_if = "is_default")]
    pub allowance_outage: AllowanceOutage,
    /// The longest request body, in bytes; `None` takes the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body_bytes: Option<u64>,
    /// By operation code; an operation that is not here has the defaults.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub operations: BTreeMap<String, OperationPolicy>,
}

/// What happens to calls that need units while neither a lease nor Postgres has any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AllowanceOutage {
    /// 503: a hard quota or balance is never overshot.
    #[default]
    Closed,
    /// Served on overdraft, counted exactly, for at most that many units of each partner and period and node.
    Open { overdraft_units: u64 },
}

impl Policy {
    /// All that is wrong with the policy by itself; that operations exist is checked where the document is read.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.authentication.problems(&mut problems);
        self.upstream.problems(&mut problems);
        if let Some(cache) = &self.cache {
            cache.problems(&mut problems);
        }
        self.counting.problems(&mut problems);
        self.idempotency.problems(&mut problems);
        meter::problems(&self.meters, &mut problems);
        if self.max_body_bytes == Some(0) {
            problems.push(Problem::new(
                "max_body_bytes",
                "A body limit is at least one byte; leave it out for the default",
            ));
        }
        for (code, operation) in &self.operations {
            operation.problems(&format!("operations.{code}"), &mut problems);
        }
        problems
    }

    /// What counts, in words for partners.
    pub fn counting_sentence(&self) -> String {
        self.counting.sentence(self.cache.as_ref().map(|cache| cache.price))
    }

    /// The policy of that operation, where it has one of its own.
    pub fn operation(&self, code: &str) -> Option<&OperationPolicy> {
        self.operations.get(code)
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
