//! The usage event: what happened to one call. It is what the spool keeps, Postgres stores and rating counts.

use crate::{
    id::{AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub mod wire;

/// One call, as it ended.
///
/// A refused call is an event too, with zero `units`: it explains the answer and is never billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEvent<Text = String> {
    /// When the request arrived, by the gateway's clock (which a test clock may move).
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
    /// Billable units: the operation's weight where [`is_billable_status`] and the whole answer was handed over, or at least
    /// one byte of its body before the client left; else zero.
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
    Refused(crate::refusal::Code),
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
}

/// Whether a call that was answered with this status counts: 101 (a WebSocket), 2xx, 3xx and 4xx of the upstream do, its 5xx
/// do not.
pub const fn is_billable_status(status: u16) -> bool {
    matches!(status, 101 | 200..=499)
}
