//! Metrics. Handles are made once, for each product and plan, and for the few partners that the configuration names, so their
//! number is bounded.

use domain::{id::PartnerId, refusal::Code, usage::Outcome};
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};
use std::{collections::HashMap, sync::OnceLock, time::Duration};

const OUTCOMES: [&str; 6] = ["served", "refused", "upstream_failed", "client_gone", "replayed", "cached"];
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Calls of one product, or those that reached none.
pub(crate) struct ProductMetrics {
    /// The product's.
    pub code: String,
    /// By [`Code`], in its order; made when there is something to count, as most products never refuse for most reasons.
    refusals: [OnceLock<Counter>; Code::ALL.len()],
    /// By outcome and status class.
    requests: [[Counter; 5]; 6],
    duration: Histogram,
    /// Answers that should have said what they cost, and did not.
    pub cost_unreadable: Counter,
    /// Values that answers should have said for a meter, and did not.
    pub meter_unreadable: Counter,
    /// Units that were served beyond what allowances had.
    pub overdraft: Counter,
}

impl ProductMetrics {
    /// The handles for the product with that code; empty for calls that reached no product.
    pub(crate) fn new(code: &str) -> Self {
        let requests = OUTCOMES.map(|outcome| {
            CLASSES.map(|class| {
                let product = code.to_owned();
                counter!("turnpike_gateway_requests_total", "product" => product, "outcome" => outcome, "status_class" => class)
            })
        });
        let duration = histogram!("turnpike_gateway_request_duration_seconds", "product" => code.to_owned());
        let cost_unreadable = counter!("turnpike_gateway_cost_unreadable_total", "product" => code.to_owned());
        let meter_unreadable = counter!("turnpike_gateway_meter_unreadable_total", "product" => code.to_owned());
        let overdraft = counter!("turnpike_gateway_overdraft_units_total", "product" => code.to_owned());
        let refusals = std::array::from_fn(|_| OnceLock::new());
        Self { code: code.to_owned(), refusals, requests, duration, cost_unreadable, meter_unreadable, overdraft }
    }

    pub(crate) fn count(&self, outcome: Outcome, status: u16, duration: Duration) {
        let (row, class) = cell(outcome, status);
        self.requests[row][class].increment(1);
        self.duration.record(duration);
    }
}

impl ProductMetrics {
    /// Counts a refusal by product and reason.
    pub(crate) fn refuse(&self, code: Code) {
        if let Some(counter) = self.refusals.get(code as usize) {
            let make = || {
                let product = self.code.clone();
                counter!("turnpike_gateway_product_refusals_total", "product" => product, "code" => code.describe().code)
            };
            counter.get_or_init(make).increment(1);
        }
    }
}

/// Where a call is counted.
fn cell(outcome: Outcome, status: u16) -> (usize, usize) {
    let row = match outcome {
        Outcome::Served => 0,
        Outcome::Refused(_) => 1,
        Outcome::UpstreamFailed => 2,
        Outcome::ClientGone => 3,
        Outcome::Replayed => 4,
        Outcome::Cached => 5,
    };
    (row, usize::from(status / 100).clamp(1, 5) - 1)
}

/// Calls of the partners that are on one plan.
pub(crate) struct PlanMetrics {
    /// By outcome and status class.
    requests: [[Counter; 5]; 6],
}

impl PlanMetrics {
    /// The handles for the plan with that code, whatever its version.
    pub(crate) fn new(code: &str) -> Self {
        let requests = OUTCOMES.map(|outcome| {
            CLASSES.map(|class| {
                let plan = code.to_owned();
                counter!("turnpike_gateway_plan_requests_total", "plan" => plan, "outcome" => outcome, "status_class" => class)
            })
        });
        Self { requests }
    }

    pub(crate) fn count(&self, outcome: Outcome, status: u16) {
        let (row, class) = cell(outcome, status);
        self.requests[row][class].increment(1);
    }
}

impl std::fmt::Debug for PlanMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlanMetrics")
    }
}

impl std::fmt::Debug for ProductMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProductMetrics")
    }
}

/// Calls of one partner, and why some were refused.
struct PartnerMetrics {
    partner: String,
    /// By outcome and status class.
    requests: [[Counter; 5]; 6],
    /// By [`Code`], in its order.
    refusals: [OnceLock<Counter>; Code::ALL.len()],
}

impl PartnerMetrics {
    fn new(id: PartnerId) -> Self {
        let partner = id.to_string();
        let requests = OUTCOMES.map(|outcome| {
            CLASSES.map(|class| {
                let partner = partner.clone();
                counter!("turnpike_gateway_partner_requests_total", "partner" => partner, "outcome" => outcome, "status_class" => class)
            })
        });
        Self { partner, requests, refusals: std::array::from_fn(|_| OnceLock::new()) }
    }

    fn count(&self, outcome: Outcome, status: u16) {
        let (row, class) = cell(outcome, status);
        self.requests[row][class].increment(1);
        if let Outcome::Refused(code) = outcome
            && let Some(counter) = self.refusals.get(code as usize)
        {
            let make = || {
                let partner = self.partner.clone();
                counter!("turnpike_gateway_partner_refusals_total", "partner" => partner, "code" => code.describe().code)
            };
            counter.get_or_init(make).increment(1);
        }
    }
}

/// What is counted for the whole gateway.
pub(crate) struct GatewayMetrics {
    /// Of the partners that somebody asked for.
    partners: HashMap<PartnerId, PartnerMetrics>,
    /// Calls that reached no product.
    pub no_product: ProductMetrics,
    /// By [`Code`], in its order.
    refusals: Vec<Counter>,
    /// Calls that found too little in what their app has for itself, or their team.
    pub exhausted: [Counter; 2],
    /// Calls that were served without a record, because the configuration says so.
    pub unmetered: Counter,
    /// Refused calls of a known key whose event the full log did not take; they bill nothing.
    pub unrecorded: Counter,
    /// TLS handshakes of clients that came to nothing.
    pub handshake_failures: Counter,
    /// HTTP/2 connections that were closed because they flooded us.
    pub floods: Counter,
    /// Connections without a call that were closed because a core had no room for another.
    pub displaced: Counter,
    spool_bytes: Vec<Gauge>,
}

impl GatewayMetrics {
    pub(crate) fn new(cores: usize, partners: &[PartnerId]) -> Self {
        let refusal = |code: Code| counter!("turnpike_gateway_refusals_total", "code" => code.describe().code);
        Self {
            partners: partners.iter().map(|id| (*id, PartnerMetrics::new(*id))).collect(),
            no_product: ProductMetrics::new(""),
            refusals: Code::ALL.into_iter().map(refusal).collect(),
            exhausted: ["app", "team"].map(|of| counter!("turnpike_gateway_allocation_exhausted_total", "of" => of)),
            unmetered: counter!("turnpike_gateway_unmetered_total"),
            unrecorded: counter!("turnpike_gateway_unrecorded_refusals_total"),
            handshake_failures: counter!("turnpike_gateway_tls_handshake_failures_total"),
            floods: counter!("turnpike_gateway_http2_floods_total"),
            displaced: counter!("turnpike_gateway_connections_displaced_total"),
            spool_bytes: (0..cores)
                .map(|core| gauge!("turnpike_gateway_spool_bytes", "lane" => core.to_string()))
                .collect(),
        }
    }

    /// Counts the call for its partner, if somebody asked for that one.
    pub(crate) fn count_partner(&self, partner: PartnerId, outcome: Outcome, status: u16) {
        if !self.partners.is_empty()
            && let Some(own) = self.partners.get(&partner)
        {
            own.count(outcome, status);
        }
    }

    pub(crate) fn count_refusal(&self, code: Code) {
        if let Some(counter) = self.refusals.get(code as usize) {
            counter.increment(1);
        }
    }

    pub(crate) fn set_spool_bytes(&self, core: usize, bytes: u64) {
        if let Some(gauge) = self.spool_bytes.get(core) {
            gauge.set(bytes as f64);
        }
    }
}
