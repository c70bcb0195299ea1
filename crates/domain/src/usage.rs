//! The usage event: what happened to one call. It is what the spool keeps, Postgres stores and rating counts.

use crate::{
    id::{AllocationId, AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
    refusal,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub mod cloud_event;
mod metered;
pub mod outside;
pub mod wire;

pub use metered::{MeterKind, Metered};

/// One call, as it ended.
///
/// A refused call is an event too: it explains the answer. It has zero `units`, unless the product's rule
/// ([`crate::policy::Counting`]) says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent<Text = String> {
    /// When the request arrived, by the gateway's clock (which a test clock may move). Kept in whole microseconds.
    pub at: Timestamp,
    /// The request id that the client saw, at most 128 bytes of visible ASCII.
    pub request_id: Text,
    pub partner: PartnerId,
    pub app: AppId,
    pub key: KeyId,
    pub team: Option<TeamId>,
    /// The person, where a call was tried from the portal.
    pub member: Option<MemberId>,
    pub environment: Environment,
    pub plan_version: Option<PlanVersionId>,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// Upper case, at most 16 bytes.
    pub method: Text,
    /// The path template that matched, else empty: a raw path may hold personal data and is not kept.
    pub path: Text,
    /// What the client was answered.
    pub status: u16,
    pub outcome: Outcome,
    /// Billable units, as the product's rule says; without one the operation's weight where the API answered with less than 500
    /// and the whole answer was handed over, or at least one byte of its body before the client left, else zero.
    pub units: u64,
    /// Of those, the units that were paid with prepaid credit. The others count in the quota.
    pub credits: u64,
    /// The billing period that the units count in; `None` for a test call and for a partner without a subscription.
    pub period: Option<Period>,
    /// Request body bytes read from the client.
    pub bytes_in: u64,
    /// Response body bytes written to the client.
    pub bytes_out: u64,
    /// From the request's head read to the response's last byte handed over, in microseconds.
    pub duration_us: u64,
    /// Of those, waiting for the upstream.
    pub upstream_us: u64,
    /// Which start of its node recorded it: 1 and up. 0 where it was recorded before starts were counted.
    pub epoch: u64,
    /// Where the node stands, by its operator's word for it; empty where it has none.
    pub region: Text,
    /// The trace that the call is part of (W3C Trace Context).
    pub trace_id: Option<[u8; 16]>,
    /// How `units` came about, as `weight:5`, `header:x-units`, `cache`, `replay` or `refusal`; empty where the call costs nothing.
    pub price_rule: Text,
    /// What it counts for on meters besides `units`, in the meters' order.
    pub meters: Vec<Metered<Text>>,
    /// Of [`Self::credits`], those that its app or team had for itself, or that only calls of its product may spend; the others were common
    /// to the partner.
    #[serde(default)]
    pub allocated: Option<Allocated>,
}

/// Prepaid units that came from an allocation, or from a purse of products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocated {
    pub allocation: AllocationId,
    /// One or more.
    pub units: u64,
}

impl<Text: Default> UsageEvent<Text> {
    /// A served live call of which nothing else is known, and which costs nothing.
    pub fn new(at: Timestamp, partner: PartnerId, app: AppId, key: KeyId) -> Self {
        Self {
            at,
            request_id: Text::default(),
            partner,
            app,
            key,
            team: None,
            member: None,
            environment: Environment::Live,
            plan_version: None,
            product: None,
            operation: None,
            method: Text::default(),
            path: Text::default(),
            status: 200,
            outcome: Outcome::Served,
            units: 0,
            credits: 0,
            period: None,
            bytes_in: 0,
            bytes_out: 0,
            duration_us: 0,
            upstream_us: 0,
            epoch: 0,
            region: Text::default(),
            trace_id: None,
            price_rule: Text::default(),
            meters: Vec::new(),
            allocated: None,
        }
    }
}

impl<Text> UsageEvent<Text> {
    /// The same event with each of its texts as `of` makes it.
    pub fn map_text<Other>(self, of: impl Fn(Text) -> Other) -> UsageEvent<Other> {
        let meters = self.meters.into_iter().map(|Metered { meter, kind, quantity, item }| Metered {
            meter: of(meter),
            kind,
            quantity,
            item,
        });
        UsageEvent {
            at: self.at,
            request_id: of(self.request_id),
            partner: self.partner,
            app: self.app,
            key: self.key,
            team: self.team,
            member: self.member,
            environment: self.environment,
            plan_version: self.plan_version,
            product: self.product,
            operation: self.operation,
            method: of(self.method),
            path: of(self.path),
            status: self.status,
            outcome: self.outcome,
            units: self.units,
            credits: self.credits,
            period: self.period,
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            duration_us: self.duration_us,
            upstream_us: self.upstream_us,
            epoch: self.epoch,
            region: of(self.region),
            trace_id: self.trace_id,
            price_rule: of(self.price_rule),
            meters: meters.collect(),
            allocated: self.allocated,
        }
    }

    /// The units that an allocation paid, and which; never more than credit paid.
    pub fn of_allocation(&self) -> Option<Allocated> {
        let Allocated { allocation, units } = self.allocated?;
        let units = units.min(self.credits);
        (units > 0).then_some(Allocated { allocation, units })
    }
}

/// An event's name, which no other event of any node has: `<node>.<epoch>.<lane>.<sequence>`.
///
/// It is where the event stands in the usage log, so an event can be found by it, and it costs nothing to make.
pub fn event_id(node: &str, epoch: u64, lane: u16, sequence: u64) -> String {
    format!("{node}.{epoch}.{lane}.{sequence}")
}

/// Microseconds since 1970, cut towards the past: rounding up could carry an event into the next hour or billing period.
pub fn whole_micros(at: Timestamp) -> i64 {
    // In 64 bits, which hold every microsecond that a timestamp can name.
    at.as_second() * 1_000_000 + i64::from(at.subsec_nanosecond().div_euclid(1_000))
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The upstream answered and the whole answer was handed over.
    Served,
    /// The answer of an earlier call with the same Idempotency-Key was given again.
    Replayed,
    /// The response cache answered.
    Cached,
    /// We said no; the code tells why.
    Refused(refusal::Code),
    /// The upstream could not be reached, was too slow, or broke off, or the gateway stopped before its answer had ended.
    UpstreamFailed,
    /// The client went away before the whole answer was handed over. It costs its units once some of the body was.
    ClientGone,
}

impl Outcome {
    /// `served`, `replayed`, `cached`, `refused`, `upstream_failed`, `client_gone`: the column's text.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Replayed => "replayed",
            Self::Cached => "cached",
            Self::Refused(_) => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::ClientGone => "client_gone",
        }
    }

    /// The outcome of that [`Self::code`]; of a refusal with its own code.
    pub fn from_code(code: &str, refusal: Option<&str>) -> Option<Self> {
        let plain = [Self::Served, Self::Replayed, Self::Cached, Self::UpstreamFailed, Self::ClientGone];
        match refusal {
            Some(refusal) if code == "refused" => refusal::Code::from_code(refusal).map(Self::Refused),
            _ => plain.into_iter().find(|outcome| outcome.code() == code),
        }
    }
}
