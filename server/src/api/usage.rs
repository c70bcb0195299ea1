//! Usage: totals, breakdowns and days. The figures are those of the dashboard and the invoice.

mod answers;
mod parameters;

pub(super) use answers::SUMS;
pub use answers::{DayOut, RowsOut, SeriesOut, SliceOut, TotalsOut, UsageOut};
pub use parameters::{
    CallParams, CutParams, ExportParams, FilterParams, Format, RangeParams, RowFormat, UsageParams, before, range,
};

use super::{
    extract::Params,
    guard::{PartnerCall, ProviderCall},
    missing::KnownOut,
    problem::Problem,
    rows::{Export, Lines, Whose},
};
use answers::{breakdown_csv, days_csv};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::period::Period;
use jiff::Timestamp;
use store::usage::{Dimension, Totals, UsageFilter, UsageQuery, Window};

/// Usage of a range of time, whole and broken down.
#[utoipa::path(get, path = "/api/usage", operation_id = "getUsage", tag = "Usage", params(RangeParams, FilterParams, UsageParams),
    responses((status = 200, description = "What was used", content((UsageOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Params(range): Params<RangeParams>,
    Params(filter): Params<FilterParams>,
    Params(params): Params<UsageParams>,
) -> Result<Response, Problem> {
    let (range, filter) = (range.range(&call).await?, filter.filter());
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
#[utoipa::path(get, path = "/api/usage/series", operation_id = "getUsageSeries", tag = "Usage", params(RangeParams, FilterParams, UsageParams),
    responses((status = 200, description = "One row a day", content((SeriesOut = "application/json"), (String = "text/csv"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn series(
    call: PartnerCall,
    Params(range): Params<RangeParams>,
    Params(filter): Params<FilterParams>,
    Params(params): Params<UsageParams>,
) -> Result<Response, Problem> {
    let (range, filter) = (range.range(&call).await?, filter.filter());
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
#[utoipa::path(get, path = "/api/usage/query", operation_id = "queryUsage", tag = "Usage", params(RangeParams, FilterParams, CutParams, CallParams),
    responses((status = 200, description = "Rows", content((RowsOut = "application/json"), (String = "text/csv"), (String = "application/jsonl"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn query(
    call: PartnerCall,
    Params(range): Params<RangeParams>,
    Params(filter): Params<FilterParams>,
    Params(cut): Params<CutParams>,
    Params(calls): Params<CallParams>,
) -> Result<Response, Problem> {
    let store = &call.state.store;
    let (time_zone, by) = (cut.time_zone(&call).await?, cut.dimensions()?);
    let query = UsageQuery {
        range: range.range(&call).await?,
        time_zone: &time_zone,
        window: cut.window,
        by: &by,
        filter: calls.narrow(filter.filter()),
    };
    let answer = store.usage(call.partner, &query).await?;
    let known = store.completeness(call.partner, query.range, call.now).await?;
    let whose = Whose { partner: Some(call.partner), known: &known };
    let lines = match cut.format {
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
