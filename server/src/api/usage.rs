//! Usage: totals, breakdowns and days. The figures are those of the dashboard and the invoice.

use super::{csv::Csv, extract::Params, guard::PartnerCall, problem::Problem};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId},
    key_text::Environment,
    period::Period,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::usage::{Dimension, Totals, UsageFilter};
use utoipa::{IntoParams, ToSchema};

/// Which usage.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageParams {
    /// From this instant on (RFC 3339). The begin of the current billing period where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
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
    /// What to break the totals down by: `product`, `operation`, `app`, `key` or `environment`.
    #[param(value_type = Option<String>, pattern = "^(product|operation|app|key|environment)$")]
    by: Option<Dimension>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
    /// For the provider's tokens: whose usage.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// How the answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Json,
    Csv,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageOut {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    total: TotalsOut,
    /// The breakdown, where one was asked for. Its rows add up to the total.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    by: Vec<SliceOut>,
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalsOut {
    /// All calls, refused ones included.
    calls: u64,
    served: u64,
    refused: u64,
    /// Calls answered with a status of 400 or more.
    errors: u64,
    server_errors: u64,
    /// Billable units.
    units: u64,
    bytes_in: u64,
    bytes_out: u64,
    /// Microseconds that half of the served calls did not exceed; null where nothing was served.
    p50_us: Option<u64>,
    p95_us: Option<u64>,
    p99_us: Option<u64>,
}

/// One row of a breakdown.
#[derive(Debug, Serialize, ToSchema)]
pub struct SliceOut {
    /// The product's, operation's, app's or key's identifier; null for an environment and for what matched nothing.
    id: Option<String>,
    name: String,
    /// The product's code, for an operation.
    product: String,
    total: TotalsOut,
}

/// Usage by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesOut {
    /// IANA name of the zone in which the days are.
    time_zone: String,
    days: Vec<DayOut>,
}

/// One local day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayOut {
    /// Its midnight.
    #[schema(value_type = String, format = DateTime)]
    day: Timestamp,
    total: TotalsOut,
}

/// Usage of a range of time, whole and broken down.
#[utoipa::path(get, path = "/api/usage", operation_id = "getUsage", tag = "Usage", params(UsageParams),
    responses((status = 200, description = "What was used", content((UsageOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall, Params(params): Params<UsageParams>) -> Result<Response, Problem> {
    let (range, filter) = (params.range(&call).await?, params.filter());
    let store = &call.state.store;
    let total = store.usage_totals(call.partner, range, &filter).await?;
    let by = match params.by {
        Some(by) => store.usage_by(call.partner, by, range, &filter).await?,
        None => Vec::new(),
    };
    let by: Vec<SliceOut> = by.into_iter().map(|slice| SliceOut::new(params.by, slice)).collect();
    if params.format == Some(Format::Csv) {
        return Ok(breakdown_csv(&total.into(), &by).into_response());
    }
    Ok(Json(UsageOut { from: range.start, to: range.end, total: total.into(), by }).into_response())
}

/// Usage day by day in the partner's time zone; days without a call are there with zeros.
#[utoipa::path(get, path = "/api/usage/series", operation_id = "getUsageSeries", tag = "Usage", params(UsageParams),
    responses((status = 200, description = "One row a day", content((SeriesOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn series(call: PartnerCall, Params(params): Params<UsageParams>) -> Result<Response, Problem> {
    let (range, filter) = (params.range(&call).await?, params.filter());
    let store = &call.state.store;
    let time_zone = store.partner(call.partner).await?.time_zone;
    let days = store.usage_days(call.partner, range, &time_zone, &filter).await?;
    let days: Vec<DayOut> = days.into_iter().map(|(day, totals)| DayOut { day, total: totals.into() }).collect();
    if params.format == Some(Format::Csv) {
        return Ok(days_csv(&days).into_response());
    }
    Ok(Json(SeriesOut { time_zone, days }).into_response())
}

const LONGEST_DAYS: i64 = 400;

impl UsageParams {
    async fn range(&self, call: &PartnerCall) -> Result<Period, Problem> {
        let end = self.to.unwrap_or(call.now);
        let start = match self.from {
            Some(from) => from,
            None => period_start(call).await?.min(end),
        };
        range(start, end)
    }

    const fn filter(&self) -> UsageFilter {
        UsageFilter {
            environment: self.environment,
            product: self.product,
            operation: self.operation,
            app: self.app,
            key: self.key,
            ..UsageFilter::EVERYTHING
        }
    }
}

/// The begin of the running billing period, or of the last thirty days where there is no subscription.
async fn period_start(call: &PartnerCall) -> Result<Timestamp, Problem> {
    let subscription = call.state.store.subscription(call.partner).await?;
    let period = subscription.and_then(|subscription| subscription.cycle().period_at(call.now).ok());
    Ok(period.map_or(call.now - SignedDuration::from_hours(30 * 24), |period| period.start))
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

impl From<Totals> for TotalsOut {
    fn from(totals: Totals) -> Self {
        let latency = totals.latency();
        Self {
            calls: totals.calls,
            served: totals.served,
            refused: totals.refused,
            errors: totals.errors,
            server_errors: totals.server_errors,
            units: totals.units,
            bytes_in: totals.bytes_in,
            bytes_out: totals.bytes_out,
            p50_us: latency.map(|latency| latency.p50_us),
            p95_us: latency.map(|latency| latency.p95_us),
            p99_us: latency.map(|latency| latency.p99_us),
        }
    }
}

impl SliceOut {
    fn new(by: Option<Dimension>, slice: store::usage::Slice) -> Self {
        let id = slice.id.and_then(|id| match by? {
            Dimension::Product => Some(ProductId(id).to_string()),
            Dimension::Operation => Some(OperationId(id).to_string()),
            Dimension::App => Some(AppId(id).to_string()),
            Dimension::Key => Some(KeyId(id).to_string()),
            Dimension::Team => Some(TeamId(id).to_string()),
            Dimension::Member => Some(MemberId(id).to_string()),
            Dimension::PlanVersion => Some(PlanVersionId(id).to_string()),
            Dimension::Partner => Some(PartnerId(id).to_string()),
            Dimension::Environment | Dimension::Outcome | Dimension::StatusClass => None,
        });
        Self { id, name: slice.name, product: slice.product, total: slice.totals.into() }
    }
}

const SUMS: [&str; 8] = ["calls", "served", "refused", "errors", "server_errors", "units", "bytes_in", "bytes_out"];

impl TotalsOut {
    fn cells(&self) -> [String; 8] {
        let Self { calls, served, refused, errors, server_errors, units, bytes_in, bytes_out, .. } = self;
        [calls, served, refused, errors, server_errors, units, bytes_in, bytes_out].map(u64::to_string)
    }
}

fn breakdown_csv(total: &TotalsOut, by: &[SliceOut]) -> Csv {
    let columns = [["id", "name", "product"].as_slice(), &SUMS].concat();
    let mut csv = Csv::new(&columns);
    for slice in by {
        let names = [slice.id.clone().unwrap_or_default(), slice.name.clone(), slice.product.clone()];
        csv.row(&[names.as_slice(), &slice.total.cells()].concat());
    }
    if by.is_empty() {
        let names = [String::new(), "total".to_owned(), String::new()];
        csv.row(&[names.as_slice(), &total.cells()].concat());
    }
    csv
}

fn days_csv(days: &[DayOut]) -> Csv {
    let columns = [["day"].as_slice(), &SUMS].concat();
    let mut csv = Csv::new(&columns);
    for day in days {
        csv.row(&[[day.day.to_string()].as_slice(), &day.total.cells()].concat());
    }
    csv
}
