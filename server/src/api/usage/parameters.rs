//! Which usage is asked for, and how it is to be cut and written.

use crate::api::{guard::PartnerCall, problem::Problem};
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::usage::{Dimension, Ending, UsageFilter, Window};
use utoipa::{IntoParams, ToSchema};

const LONGEST_DAYS: i64 = 400;

/// From when to when, and whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RangeParams {
    /// From this instant on (RFC 3339). The begin of the current billing period where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// For the provider's tokens: whose usage.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// Which usage counts; all of it where nothing is named.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FilterParams {
    /// `live` or `test`; both where it is left out.
    #[param(value_type = Option<String>, pattern = "^(live|test)$")]
    environment: Option<Environment>,
    #[param(value_type = Option<String>, pattern = "^product_[0-9a-f]{32}$")]
    product: Option<ProductId>,
    #[param(value_type = Option<String>, pattern = "^op_[0-9a-f]{32}$")]
    operation: Option<OperationId>,
    #[param(value_type = Option<String>, pattern = "^app_[0-9a-f]{32}$")]
    app: Option<AppId>,
    #[param(value_type = Option<String>, pattern = "^key_[0-9a-f]{32}$")]
    key: Option<KeyId>,
    #[param(value_type = Option<String>, pattern = "^team_[0-9a-f]{32}$")]
    team: Option<TeamId>,
    #[param(value_type = Option<String>, pattern = "^member_[0-9a-f]{32}$")]
    member: Option<MemberId>,
}

/// What the totals are broken down by, and how they are written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageParams {
    /// What to break the totals down by: `product`, `operation`, `app`, `key`, `team`, `member`, `environment`, `plan_version`,
    /// `outcome` or `status_class`.
    #[param(value_type = Option<String>, pattern = "^(product|operation|app|key|team|member|environment|plan_version|outcome|status_class)$")]
    pub(super) by: Option<Dimension>,
    /// `json` or `csv`.
    #[param(inline)]
    pub(super) format: Option<Format>,
}

/// What the range is cut into, what each window is broken down by, and how the rows are written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CutParams {
    /// What the range is cut into, in local time: `total`, `hour`, `day`, `week` (from Monday on) or `month`; `total` where it
    /// is left out.
    #[param(value_type = Option<String>, pattern = "^(total|hour|day|week|month)$")]
    #[serde(default)]
    pub(in crate::api) window: Window,
    /// IANA name of the time zone in which windows begin, as `Pacific/Auckland`. The partner's own where it is left out.
    time_zone: Option<String>,
    /// Up to two of `product`, `operation`, `app`, `key`, `team`, `member`, `environment`, `plan_version`, `outcome` and
    /// `status_class`, with a comma between them. Meters have no outcome and no status class, and gauges among them are told by
    /// product and environment only, and left out of other breakdowns.
    #[param(pattern = "^[a-z_]+(,[a-z_]+)?$")]
    by: Option<String>,
    /// `json`, `csv` or `jsonl` (one JSON object on each line).
    #[param(inline)]
    #[serde(default)]
    pub(in crate::api) format: RowFormat,
}

/// Which calls count, besides what [`FilterParams`] says.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CallParams {
    #[param(value_type = Option<String>)]
    plan_version: Option<PlanVersionId>,
    /// How the calls ended.
    #[param(value_type = Option<String>, pattern = "^(served|replayed|cached|refused|upstream_failed|client_gone)$")]
    outcome: Option<Ending>,
    /// First digit of the status.
    #[param(minimum = 1, maximum = 5)]
    status_class: Option<u8>,
}

/// Which usage of all partners.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// From this instant on (RFC 3339).
    #[param(value_type = String, format = DateTime)]
    pub(super) from: Timestamp,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) to: Option<Timestamp>,
    /// `total`, `hour`, `day`, `week` or `month`; `day` where it is left out.
    #[param(value_type = Option<String>, pattern = "^(total|hour|day|week|month)$")]
    pub(super) window: Option<Window>,
    /// IANA name of the time zone in which windows begin. UTC, where it is left out.
    pub(super) time_zone: Option<String>,
    /// `live` or `test`; both where it is left out.
    #[param(value_type = Option<String>, pattern = "^(live|test)$")]
    pub(super) environment: Option<Environment>,
    /// `csv` or `jsonl`.
    #[param(inline)]
    #[serde(default)]
    pub(super) format: RowFormat,
}

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    #[default]
    Json,
    Csv,
    Jsonl,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
}

impl RangeParams {
    pub(in crate::api) async fn range(&self, call: &PartnerCall) -> Result<Period, Problem> {
        let end = self.to.unwrap_or(call.now);
        let start = match self.from {
            Some(from) => from,
            None => period_start(call).await?.min(end),
        };
        range(start, end)
    }
}

impl FilterParams {
    pub(in crate::api) const fn filter(&self) -> UsageFilter {
        UsageFilter {
            environment: self.environment,
            product: self.product,
            operation: self.operation,
            app: self.app,
            key: self.key,
            team: self.team,
            member: self.member,
            ..UsageFilter::EVERYTHING
        }
    }
}

impl CallParams {
    pub(super) const fn narrow(&self, filter: UsageFilter) -> UsageFilter {
        UsageFilter {
            plan_version: self.plan_version,
            outcome: self.outcome,
            status_class: self.status_class,
            ..filter
        }
    }
}

impl CutParams {
    pub(in crate::api) async fn time_zone(&self, call: &PartnerCall) -> Result<String, Problem> {
        match &self.time_zone {
            Some(time_zone) => Ok(time_zone.clone()),
            None => Ok(call.state.store.partner(call.partner).await?.time_zone),
        }
    }

    /// A partner has no other partners.
    pub(in crate::api) fn dimensions(&self) -> Result<Vec<Dimension>, Problem> {
        let named = self.by.as_deref().unwrap_or_default().split(',').map(str::trim).filter(|code| !code.is_empty());
        let by = named.map(str::parse).collect::<Result<Vec<Dimension>, _>>()?;
        if by.contains(&Dimension::Partner) {
            return Err(Problem::invalid("by", "There is no such dimension"));
        }
        Ok(by)
    }
}

/// The begin of the running billing period, or of the last thirty days where there is no subscription.
async fn period_start(call: &PartnerCall) -> Result<Timestamp, Problem> {
    let subscription = call.state.store.subscription(call.partner).await?;
    let period = subscription.and_then(|subscription| subscription.counted_at(call.now).ok());
    Ok(period.map_or(call.now - SignedDuration::from_hours(30 * 24), |period| period.start))
}

/// So long before `end`, or the first instant that there is.
pub fn before(end: Timestamp, reach: SignedDuration) -> Timestamp {
    end.checked_sub(reach).unwrap_or(Timestamp::MIN)
}

/// A range that is not empty the wrong way round and not longer than a year and a month.
pub fn range(start: Timestamp, end: Timestamp) -> Result<Period, Problem> {
    if start > end {
        return Err(Problem::bad_request("from is later than to"));
    }
    if end.duration_since(start).as_hours() > LONGEST_DAYS * 24 {
        return Err(Problem::bad_request("from and to are at most 400 days apart"));
    }
    Ok(Period { start, end })
}
