//! What was used: one number everywhere.
//!
//! Every total here is exact by event time. Whole UTC days and hours come from roll-ups; the rest of a range, where a
//! period or a partner's midnight does not fall on a UTC hour, is counted from the raw events. The dashboard, the API, the
//! invoice and the gateway's quota all ask this module.
//!
//! Only where raw events are no longer kept a part of an hour counts with the whole hour that it begins, and where hourly
//! roll-ups are not, a part of a day with its day. Billing never looks there ([`crate::Store::drop_old_usage`]).

mod billable;
mod by_team;
mod completeness;
mod events;
mod metered_units;
mod meters;
mod operators;
mod query;
mod request_log;
mod source;
mod totals;

pub use billable::{BilledMeter, UsedUnits};
pub(crate) use billable::{units_of, units_stored};
pub use by_team::TeamUsed;
pub(crate) use by_team::of_teams;
pub use completeness::{Completeness, LONGEST_CALL, Missing, MissingReason};
pub(crate) use events::stored;
pub use events::{EventPage, StoredEvent};
pub use metered_units::MeteredUnits;
pub(crate) use metered_units::metered_calls;
pub use meters::{MeterAnswer, MeterQuery, MeterRow};
pub use operators::PartnerUsage;
pub use query::{Dimension, Group, MOST_ROWS, UsageAnswer, UsageQuery, UsageRow, Window};
pub use request_log::{LoggedRequest, Place, RequestFilter, RequestPage};
pub use totals::Slice;

use crate::{StoreError, ingest::SLOTS_US};
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
};
use serde::{Deserialize, Serialize};
use source::Detail;
use std::str::FromStr;

/// Which calls to count; an empty filter counts all of the partner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsageFilter {
    pub environment: Option<Environment>,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    pub app: Option<AppId>,
    pub key: Option<KeyId>,
    /// All zeros for calls of no team.
    pub team: Option<TeamId>,
    pub member: Option<MemberId>,
    pub plan_version: Option<PlanVersionId>,
    pub outcome: Option<Ending>,
    /// First digit of the status: 1 to 5.
    pub status_class: Option<u8>,
}

impl UsageFilter {
    /// Counts all calls.
    pub const EVERYTHING: Self = Self {
        environment: None,
        product: None,
        operation: None,
        app: None,
        key: None,
        team: None,
        member: None,
        plan_version: None,
        outcome: None,
        status_class: None,
    };

    /// The shortest roll-ups that have all that it looks at.
    const fn detail(&self) -> Detail {
        let by_caller = self.app.is_some() || self.key.is_some() || self.team.is_some() || self.member.is_some();
        if by_caller || self.plan_version.is_some() {
            Detail::Full
        } else if self.operation.is_some() {
            Detail::Operations
        } else {
            Detail::Brief
        }
    }
}

/// How a call ended, without the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Served,
    Replayed,
    Cached,
    Refused,
    UpstreamFailed,
    ClientGone,
}

impl Ending {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Served, Self::Replayed, Self::Cached, Self::Refused, Self::UpstreamFailed, Self::ClientGone];

    /// The column's text, as [`domain::usage::Outcome::code`].
    pub const fn code(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Replayed => "replayed",
            Self::Cached => "cached",
            Self::Refused => "refused",
            Self::UpstreamFailed => "upstream_failed",
            Self::ClientGone => "client_gone",
        }
    }
}

impl FromStr for Ending {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|ending| ending.code() == text);
        known.ok_or_else(|| StoreError::invalid("outcome", "There is no such outcome"))
    }
}

/// Sums over a range of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Totals {
    /// All calls, refused ones included.
    pub calls: u64,
    /// Calls that the upstream answered in full.
    pub served: u64,
    /// Calls that we said no to.
    pub refused: u64,
    /// Calls answered with a status of 400 or more, refused ones included.
    pub errors: u64,
    /// Of those, with 500 or more.
    pub server_errors: u64,
    /// Billable units.
    pub units: u64,
    /// Request body bytes.
    pub bytes_in: u64,
    /// Response body bytes.
    pub bytes_out: u64,
    /// Served calls by how long they took: at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000 ms, and longer.
    pub durations: [u64; 13],
}

/// How long served calls took, in microseconds, estimated within the slots of [`Totals::durations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    pub p50_us: u64,
    pub p95_us: u64,
    pub p99_us: u64,
}

impl std::iter::Sum for Totals {
    fn sum<Parts: Iterator<Item = Self>>(parts: Parts) -> Self {
        parts.fold(Self::default(), |mut sum, part| {
            let Self { calls, served, refused, errors, server_errors, units, bytes_in, bytes_out, durations } = part;
            sum.calls += calls;
            sum.served += served;
            sum.refused += refused;
            sum.errors += errors;
            sum.server_errors += server_errors;
            sum.units += units;
            sum.bytes_in += bytes_in;
            sum.bytes_out += bytes_out;
            for (slot, count) in sum.durations.iter_mut().zip(durations) {
                *slot += count;
            }
            sum
        })
    }
}

impl Totals {
    /// `None` where nothing was served.
    pub fn latency(&self) -> Option<Latency> {
        Some(Latency { p50_us: self.percentile(50)?, p95_us: self.percentile(95)?, p99_us: self.percentile(99)? })
    }

    /// The duration that `percent` of the served calls did not exceed, in microseconds: linear within a slot, and the last
    /// slot, which has no end, answers with its beginning.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let calls: u64 = self.durations.iter().sum();
        if calls == 0 {
            return None;
        }
        let wanted = calls.saturating_mul(percent).div_ceil(100).max(1);
        let (mut before, mut from) = (0_u64, 0_u64);
        for (count, to) in self.durations.iter().zip(SLOTS_US) {
            if before + count >= wanted {
                return Some(from + (to - from).saturating_mul(wanted - before) / count.max(&1));
            }
            before += count;
            from = to;
        }
        Some(from)
    }
}

#[cfg(test)]
mod tests;
