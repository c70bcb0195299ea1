//! Where a product's calls go, and what happens when that place is slow or gone.

use crate::plan::Problem;
use serde::{Deserialize, Serialize};

/// The upstream beyond its one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Upstream {
    /// More addresses of the same API besides the product's own, with their shares of the calls.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// The share of the product's own address, zero takes it out; one where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_weight: Option<u32>,
    pub protocol: Protocol,
    pub timeouts: Timeouts,
    /// Asks each target regularly; `None` learns only from calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    pub breaker: Breaker,
    pub retry: Retry,
    /// Calls in flight to this upstream on each core; one more is answered with 503 at once. `None` is the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<u32>,
    /// Whether names may lead to private, loopback and link-local addresses; `None` is the installation's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_private_addresses: Option<bool>,
    /// Our client certificate chain and private key in PEM form, as the name of a sealed secret of the product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_certificate: Option<String>,
}

/// One more address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// As the product's `upstream_url`.
    pub url: String,
    #[serde(default = "one")]
    pub weight: u32,
}

/// What is spoken to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, Default)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    #[default]
    Http1,
    /// HTTP/2, with prior knowledge where there is no TLS. gRPC needs it.
    Http2,
}

/// How long we wait, in milliseconds; the product's `timeout_ms` is the wait for the answer's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// To open a connection, TLS included; `None` is the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_ms: Option<u32>,
    /// Without a byte of the body in either direction; `None` is the installation's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_ms: Option<u32>,
    /// From the request's arrival to the answer's last byte; `None` is without end, as streams need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_ms: Option<u32>,
}

/// An active check: a GET that has to be answered with 2xx or 3xx.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Below the target's base path.
    pub path: String,
    #[serde(default = "five")]
    pub interval_seconds: u32,
    #[serde(default = "two_seconds")]
    pub timeout_ms: u32,
    /// Answers in a row that take a target out, or back in.
    #[serde(default = "two")]
    pub threshold: u32,
}

/// When a target is left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Breaker {
    /// Failures in a row (no answer, 502, 503, 504) that open it; zero switches it off.
    pub failures: u32,
    /// How long it stays open before one call may try, in milliseconds.
    pub open_ms: u32,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { failures: 10, open_ms: 5_000 }
    }
}

/// Sending a call again, only while no byte of it was sent or its method is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Attempts besides the first, at most five.
    pub attempts: u32,
    /// Retries are at most that share of all calls of the last ten seconds, in percent, and always at least three a second.
    pub budget_percent: u8,
}

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, budget_percent: 20 }
    }
}

const fn one() -> u32 {
    1
}

const fn two() -> u32 {
    2
}

const fn five() -> u32 {
    5
}

const fn two_seconds() -> u32 {
    2_000
}

/// Why a text cannot be an upstream's address, or `None`: scheme, host, port and base path, no slash at the end.
pub fn address_problem(url: &str) -> Option<&'static str> {
    let after_scheme = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let host = after_scheme.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    let whole = !host.is_empty() && !url.contains([' ', '?', '#', '@']) && !url.ends_with('/');
    (!whole).then_some("Write scheme and host, as https://api.internal:8443/v1, without a slash at the end")
}

impl Upstream {
    pub(super) fn problems(&self, problems: &mut Vec<Problem>) {
        let mut add = |field: String, message: &str| problems.push(Problem::new(format!("upstream.{field}"), message));
        for (index, target) in self.targets.iter().enumerate() {
            if let Some(message) = address_problem(&target.url) {
                add(format!("targets[{index}].url"), message);
            }
        }
        let heaviest = self.targets.iter().map(|target| target.weight).chain([self.own_weight.unwrap_or(1)]).max();
        if heaviest == Some(0) {
            add("own_weight".to_owned(), "At least one target has a weight above zero");
        }
        if heaviest > Some(1_000_000) {
            add("targets".to_owned(), "A weight is at most 1000000");
        }
        for (name, time) in [
            ("connect_ms", self.timeouts.connect_ms),
            ("idle_ms", self.timeouts.idle_ms),
            ("total_ms", self.timeouts.total_ms),
        ] {
            if time.is_some_and(|time| !(1..=86_400_000).contains(&time)) {
                add(format!("timeouts.{name}"), "A time is 1 millisecond to one day (86400000)");
            }
        }
        if let Some(check) = &self.health_check {
            if !check.path.starts_with('/') {
                add("health_check.path".to_owned(), "A path starts with a slash, as /health");
            }
            if check.interval_seconds == 0 || check.timeout_ms == 0 || check.threshold == 0 {
                add("health_check".to_owned(), "Interval, timeout and threshold are at least one");
            }
        }
        if self.breaker.failures > 0 && self.breaker.open_ms == 0 {
            add("breaker.open_ms".to_owned(), "It stays open for at least one millisecond");
        }
        if self.retry.attempts > 5 {
            add("retry.attempts".to_owned(), "At most five attempts besides the first");
        }
        if self.retry.budget_percent > 100 {
            add("retry.budget_percent".to_owned(), "A share is at most 100 percent");
        }
        if self.max_in_flight == Some(0) {
            add("max_in_flight".to_owned(), "At least one call may be in flight");
        }
    }
}
