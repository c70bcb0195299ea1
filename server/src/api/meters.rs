//! What was measured besides units. The figures are those of the dashboard.

use super::{
    csv::Csv,
    extract::Params,
    guard::PartnerCall,
    missing::KnownOut,
    problem::Problem,
    rows::{GroupOut, Lines, columns},
    usage::{CutParams, FilterParams, RangeParams, RowFormat},
};
use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::period::Period;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::usage::{Dimension, MeterQuery, MeterRow, UsageQuery};
use utoipa::{IntoParams, ToSchema};

/// Which meter.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MeterParams {
    /// The code of one meter; all of them where it is left out.
    #[param(pattern = "^[a-z0-9-]{1,64}$")]
    meter: Option<String>,
}

/// Meters in windows and groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct MetersOut {
    /// IANA name of the zone in which windows begin.
    time_zone: String,
    #[serde(flatten)]
    known: KnownOut,
    /// Window by window, and in each by product and meter. What was not measured is left out.
    rows: Vec<MeterOut>,
}

/// One meter in one window.
#[derive(Debug, Serialize, ToSchema)]
pub struct MeterOut {
    /// Where the window begins and ends; the first and the last are cut where the range is.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    groups: Vec<GroupOut>,
    /// The product's code; empty where none is known.
    product: String,
    /// The meter's code.
    meter: String,
    /// As the product calls it now.
    name: String,
    /// What one is called, as `token`; empty where the name says it.
    unit: String,
    /// `sum`, `maximum`, `latest`, `unique` (how many different values) or `gauge` (a level, averaged over the window until now).
    #[schema(value_type = String)]
    kind: &'static str,
    /// In whole units of the meter.
    quantity: i64,
    /// Of a gauge: level times seconds, of which `quantity` is the average.
    level_seconds: Option<i64>,
    /// Calls that were measured.
    calls: u64,
    /// Whether all usage of the window is stored. Where it is not, the figures are what is there so far.
    complete: bool,
}

/// What calls counted for on products' meters besides units, by window, time zone and dimension. Sums of all windows add up to that
/// of the range; largest and different values, of course, do not.
#[utoipa::path(get, path = "/api/usage/meters", operation_id = "getMeters", tag = "Usage", params(RangeParams, FilterParams, CutParams, MeterParams),
    responses((status = 200, description = "Rows", content((MetersOut = "application/json"), (String = "text/csv"), (String = "application/jsonl"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Params(range): Params<RangeParams>,
    Params(filter): Params<FilterParams>,
    Params(cut): Params<CutParams>,
    Params(params): Params<MeterParams>,
) -> Result<Response, Problem> {
    let store = &call.state.store;
    let (time_zone, by, range) = (cut.time_zone(&call).await?, cut.dimensions()?, range.range(&call).await?);
    let usage = UsageQuery { range, time_zone: &time_zone, window: cut.window, by: &by, filter: filter.filter() };
    let query = MeterQuery { usage, meter: params.meter.as_deref(), now: call.now };
    let known = store.completeness(call.partner, range, call.now).await?;
    let answer = store.metered(call.partner, &query).await?;
    let rows = answer.rows.into_iter().map(|row| {
        let window = answer.windows.get(row.window).copied();
        let complete = window.is_some_and(|window| known.covers(window, Some(call.partner)));
        MeterOut::new(&by, window, complete, row)
    });
    let (lines, text) = match cut.format {
        RowFormat::Json => {
            let known = KnownOut::new(&known, range);
            return Ok(Json(MetersOut { known, rows: rows.collect(), time_zone }).into_response());
        }
        RowFormat::Csv => (Lines::Csv, csv(&by, rows)),
        RowFormat::Jsonl => {
            let line = |row| serde_json::to_string(&row).ok().map(|row| row + "\n");
            (Lines::Jsonl, rows.filter_map(line).collect())
        }
    };
    Ok(([("content-type", lines.content_type())], text).into_response())
}

fn csv(by: &[Dimension], rows: impl Iterator<Item = MeterOut>) -> String {
    let mut names = columns(by);
    let own = ["product", "meter", "name", "unit", "kind", "quantity", "level_seconds", "calls", "complete"];
    names.extend(own.map(str::to_owned));
    let mut csv = Csv::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    rows.for_each(|row| csv.row(&row.cells()));
    csv.into_text()
}

impl MeterOut {
    fn new(by: &[Dimension], window: Option<Period>, complete: bool, row: MeterRow) -> Self {
        Self {
            from: window.map_or(Timestamp::UNIX_EPOCH, |window| window.start),
            to: window.map_or(Timestamp::UNIX_EPOCH, |window| window.end),
            groups: by.iter().zip(row.groups).map(|(dimension, group)| GroupOut::new(*dimension, group)).collect(),
            product: row.product_code,
            meter: row.meter,
            name: row.name,
            unit: row.unit,
            kind: row.kind.code(),
            quantity: row.quantity,
            level_seconds: row.level_seconds,
            calls: row.events,
            complete,
        }
    }

    fn cells(&self) -> Vec<String> {
        let Self { from, to, groups, product, meter, name, unit, kind, quantity, level_seconds, calls, complete } =
            self;
        let mut cells = vec![from.to_string(), to.to_string()];
        cells.extend(groups.iter().flat_map(GroupOut::cells));
        cells.extend([product, meter, name, unit].map(Clone::clone));
        cells.extend([(*kind).to_owned(), quantity.to_string()]);
        cells.extend([level_seconds.map(|level| level.to_string()).unwrap_or_default(), calls.to_string()]);
        cells.push(complete.to_string());
        cells
    }
}
