//! Usage: totals, breakdowns and days. The figures are those of the dashboard and the invoice.

use super::{
    csv::Csv,
    extract::Params,
    guard::{PartnerCall, ProviderCall},
    missing::KnownOut,
    problem::Problem,
    rows::{Export, Lines, RowOut, Whose},
};
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
use store::usage::{Dimension, Ending, Totals, UsageFilter, UsageQuery, Window};
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
    /// What to break the totals down by: `product`, `operation`, `app`, `key`, `team`, `member`, `environment`, `plan_version`,
    /// `outcome` or `status_class`.
    #[param(value_type = Option<String>, pattern = "^(product|operation|app|key|team|member|environment|plan_version|outcome|status_class)$")]
    by: Option<Dimension>,
    /// `json` or `csv`.
    #[param(inline)]
    format: Option<Format>,
    /// For the provider's tokens: whose usage.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// Which usage, cut and broken down how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct QueryParams {
    /// From this instant on (RFC 3339). The begin of the current billing period where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// What the range is cut into, in local time: `total`, `hour`, `day`, `week` (from Monday on) or `month`; `total` where it
    /// is left out.
    #[param(value_type = Option<String>, pattern = "^(total|hour|day|week|month)$")]
    #[serde(default)]
    window: Window,
    /// IANA name of the time zone in which windows begin, as `Pacific/Auckland`. The partner's own where it is left out.
    time_zone: Option<String>,
    /// Up to two of `product`, `operation`, `app`, `key`, `team`, `member`, `environment`, `plan_version`, `outcome` and
    /// `status_class`, with a comma between them.
    #[param(pattern = "^[a-z_]+(,[a-z_]+)?$")]
    by: Option<String>,
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
    #[param(value_type = Option<String>)]
    plan_version: Option<PlanVersionId>,
    /// How the calls ended.
    #[param(value_type = Option<String>, pattern = "^(served|replayed|cached|refused|upstream_failed|client_gone)$")]
    outcome: Option<Ending>,
    /// First digit of the status.
    #[param(minimum = 1, maximum = 5)]
    status_class: Option<u8>,
    /// `json`, `csv` or `jsonl` (one JSON object on each line).
    #[param(inline)]
    #[serde(default)]
    format: RowFormat,
    /// For the provider's tokens: whose usage.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

/// What was measured besides units, cut and broken down how.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MeterParams {
    /// From this instant on (RFC 3339). The begin of the current billing period where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) from: Option<Timestamp>,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    pub(super) to: Option<Timestamp>,
    /// What the range is cut into, in local time: `total`, `hour`, `day`, `week` (from Monday on) or `month`; `total` where it
    /// is left out.
    #[param(value_type = Option<String>, pattern = "^(total|hour|day|week|month)$")]
    #[serde(default)]
    pub(super) window: Window,
    /// IANA name of the time zone in which windows begin, as `Pacific/Auckland`. The partner's own where it is left out.
    pub(super) time_zone: Option<String>,
    /// Up to two of `product`, `operation`, `app`, `key`, `team`, `member`, `environment` and `plan_version`, with a comma between
    /// them. Gauges are told by product and environment only, and left out of other breakdowns.
    #[param(pattern = "^[a-z_]+(,[a-z_]+)?$")]
    pub(super) by: Option<String>,
    /// The code of one meter; all of them where it is left out.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    pub(super) meter: Option<String>,
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
    /// `json`, `csv` or `jsonl` (one JSON object on each line).
    #[param(inline)]
    #[serde(default)]
    pub(super) format: RowFormat,
    /// For the provider's tokens: whose usage.
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    #[serde(rename = "partner")]
    _partner: Option<String>,
}

impl MeterParams {
    pub(super) const fn filter(&self) -> UsageFilter {
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

/// Which usage of all partners.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// From this instant on (RFC 3339).
    #[param(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Up to this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `total`, `hour`, `day`, `week` or `month`; `day` where it is left out.
    #[param(value_type = Option<String>, pattern = "^(total|hour|day|week|month)$")]
    window: Option<Window>,
    /// IANA name of the time zone in which windows begin. UTC, where it is left out.
    time_zone: Option<String>,
    /// `live` or `test`; both where it is left out.
    #[param(value_type = Option<String>, pattern = "^(live|test)$")]
    environment: Option<Environment>,
    /// `csv` or `jsonl`.
    #[param(inline)]
    #[serde(default)]
    format: RowFormat,
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

/// Usage in windows and groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowsOut {
    /// IANA name of the zone in which windows begin.
    time_zone: String,
    #[serde(flatten)]
    known: KnownOut,
    /// Window by window, in each the most calls first. What was not used is left out; a window of which usage is missing and
    /// nothing is there has a row with no groups.
    rows: Vec<RowOut>,
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
    #[serde(flatten)]
    known: KnownOut,
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
    #[serde(flatten)]
    known: KnownOut,
    days: Vec<DayOut>,
}

/// One local day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayOut {
    /// Its midnight.
    #[schema(value_type = String, format = DateTime)]
    day: Timestamp,
    /// Whether all usage of the day, as far as it lies in the range, is stored. Where it is not, the total is what is there so far.
    complete: bool,
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
    let known = KnownOut::new(&store.completeness(call.partner, range, call.now).await?, range);
    if params.format == Some(Format::Csv) {
        return Ok(breakdown_csv(&total.into(), &by, known.complete).into_response());
    }
    Ok(Json(UsageOut { from: range.start, to: range.end, known, total: total.into(), by }).into_response())
}

/// Usage day by day in the partner's time zone; days without a call are there with zeros.
#[utoipa::path(get, path = "/api/usage/series", operation_id = "getUsageSeries", tag = "Usage", params(UsageParams),
    responses((status = 200, description = "One row a day", content((SeriesOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn series(call: PartnerCall, Params(params): Params<UsageParams>) -> Result<Response, Problem> {
    let (range, filter) = (params.range(&call).await?, params.filter());
    let store = &call.state.store;
    let time_zone = store.partner(call.partner).await?.time_zone;
    // Before the figures: what comes in between is in them, and not said to be complete.
    let known = store.completeness(call.partner, range, call.now).await?;
    let days = store.usage_days(call.partner, range, &time_zone, &filter).await?;
    let ends: Vec<Timestamp> = days.iter().skip(1).map(|(day, _)| *day).chain([range.end]).collect();
    let day = |((day, totals), end): ((Timestamp, Totals), Timestamp)| {
        let window = Period { start: day.max(range.start), end };
        DayOut { day, complete: known.covers(window, Some(call.partner)), total: totals.into() }
    };
    let days: Vec<DayOut> = days.into_iter().zip(ends).map(day).collect();
    if params.format == Some(Format::Csv) {
        return Ok(days_csv(&days).into_response());
    }
    Ok(Json(SeriesOut { time_zone, known: KnownOut::new(&known, range), days }).into_response())
}

/// Usage by any dimension, window and time zone. Rows of all windows add up to the total of the range.
#[utoipa::path(get, path = "/api/usage/query", operation_id = "queryUsage", tag = "Usage", params(QueryParams),
    responses((status = 200, description = "Rows", content((RowsOut = "application/json"), (String = "text/csv"), (String = "application/jsonl"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn query(call: PartnerCall, Params(params): Params<QueryParams>) -> Result<Response, Problem> {
    let end = params.to.unwrap_or(call.now);
    let start = match params.from {
        Some(from) => from,
        None => period_start(&call).await?.min(end),
    };
    let store = &call.state.store;
    let time_zone = match &params.time_zone {
        Some(time_zone) => time_zone.clone(),
        None => store.partner(call.partner).await?.time_zone,
    };
    let by = dimensions(params.by.as_deref().unwrap_or_default())?;
    let query = UsageQuery {
        range: range(start, end)?,
        time_zone: &time_zone,
        window: params.window,
        by: &by,
        filter: params.filter(),
    };
    let answer = store.usage(call.partner, &query).await?;
    let known = store.completeness(call.partner, query.range, call.now).await?;
    let whose = Whose { partner: Some(call.partner), known: &known };
    let lines = match params.format {
        RowFormat::Json => {
            let known = KnownOut::new(&known, query.range);
            return Ok(Json(RowsOut { time_zone, known, rows: whose.rows(&by, answer) }).into_response());
        }
        RowFormat::Csv => Lines::Csv,
        RowFormat::Jsonl => Lines::Jsonl,
    };
    let text = lines.heading(&by) + &lines.rows(&by, answer, whose);
    Ok(([("content-type", lines.content_type())], text).into_response())
}

/// Usage of all partners by partner and product: counts, latency and errors, as a file that is read while it is sent.
#[utoipa::path(get, path = "/api/export/usage", operation_id = "exportUsage", tag = "Usage", params(ExportParams),
    responses((status = 200, description = "One row for each window, partner and product", content((String = "text/csv"), (String = "application/jsonl"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn export(call: ProviderCall, Params(params): Params<ExportParams>) -> Result<Response, Problem> {
    let export = Export {
        partner: None,
        range: range(params.from, params.to.unwrap_or(call.now))?,
        time_zone: params.time_zone.unwrap_or_else(|| "UTC".to_owned()),
        window: params.window.unwrap_or(Window::Day),
        by: vec![Dimension::Partner, Dimension::Product],
        filter: UsageFilter { environment: params.environment, ..UsageFilter::EVERYTHING },
    };
    let (lines, name) = match params.format {
        RowFormat::Jsonl => (Lines::Jsonl, "usage.jsonl"),
        RowFormat::Json | RowFormat::Csv => (Lines::Csv, "usage.csv"),
    };
    Ok(export.send(call.state.store, lines, name, call.now)?)
}

/// Dimensions with commas between them. A partner has no other partners.
pub(super) fn dimensions(text: &str) -> Result<Vec<Dimension>, Problem> {
    let named = text.split(',').map(str::trim).filter(|code| !code.is_empty());
    let by = named.map(str::parse).collect::<Result<Vec<Dimension>, _>>()?;
    if by.contains(&Dimension::Partner) {
        return Err(Problem::invalid("by", "There is no such dimension"));
    }
    Ok(by)
}

impl QueryParams {
    const fn filter(&self) -> UsageFilter {
        UsageFilter {
            environment: self.environment,
            product: self.product,
            operation: self.operation,
            app: self.app,
            key: self.key,
            team: self.team,
            member: self.member,
            plan_version: self.plan_version,
            outcome: self.outcome,
            status_class: self.status_class,
        }
    }
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
pub(super) async fn period_start(call: &PartnerCall) -> Result<Timestamp, Problem> {
    let subscription = call.state.store.subscription(call.partner).await?;
    let period = subscription.and_then(|subscription| subscription.cycle().period_at(call.now).ok());
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

pub(super) const SUMS: [&str; 8] =
    ["calls", "served", "refused", "errors", "server_errors", "units", "bytes_in", "bytes_out"];

impl TotalsOut {
    /// Percentiles of the time that served calls took; empty where there were none.
    pub(super) fn times(&self) -> [String; 3] {
        [self.p50_us, self.p95_us, self.p99_us].map(|time| time.map(|time| time.to_string()).unwrap_or_default())
    }

    pub(super) fn cells(&self) -> [String; 8] {
        let Self { calls, served, refused, errors, server_errors, units, bytes_in, bytes_out, .. } = self;
        [calls, served, refused, errors, server_errors, units, bytes_in, bytes_out].map(u64::to_string)
    }
}

fn breakdown_csv(total: &TotalsOut, by: &[SliceOut], complete: bool) -> Csv {
    let columns = [["id", "name", "product"].as_slice(), &SUMS, &["complete"]].concat();
    let mut csv = Csv::new(&columns);
    let complete = [complete.to_string()];
    for slice in by {
        let names = [slice.id.clone().unwrap_or_default(), slice.name.clone(), slice.product.clone()];
        csv.row(&[names.as_slice(), &slice.total.cells(), &complete].concat());
    }
    if by.is_empty() {
        let names = [String::new(), "total".to_owned(), String::new()];
        csv.row(&[names.as_slice(), &total.cells(), &complete].concat());
    }
    csv
}

fn days_csv(days: &[DayOut]) -> Csv {
    let columns = [["day"].as_slice(), &SUMS, &["complete"]].concat();
    let mut csv = Csv::new(&columns);
    for day in days {
        csv.row(&[[day.day.to_string()].as_slice(), &day.total.cells(), &[day.complete.to_string()]].concat());
    }
    csv
}
