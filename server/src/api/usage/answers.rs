//! What was used, as the answers tell it.

use crate::api::{csv::Csv, missing::KnownOut, rows::RowOut};
use domain::id::{AppId, KeyId, MemberId, OperationId, PartnerId, PlanVersionId, ProductId, TeamId};
use jiff::Timestamp;
use serde::Serialize;
use store::usage::{Dimension, Totals};
use utoipa::ToSchema;

/// Usage in windows and groups.
#[derive(Debug, Serialize, ToSchema)]
pub struct RowsOut {
    /// IANA name of the zone in which windows begin.
    pub(super) time_zone: String,
    #[serde(flatten)]
    pub(super) known: KnownOut,
    /// Window by window, in each the most calls first. What was not used is left out; a window of which usage is missing and
    /// nothing is there has a row with no groups.
    pub(super) rows: Vec<RowOut>,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageOut {
    #[schema(value_type = String, format = DateTime)]
    pub(super) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(super) to: Timestamp,
    #[serde(flatten)]
    pub(super) known: KnownOut,
    pub(super) total: TotalsOut,
    /// The breakdown, where one was asked for. Its rows add up to the total.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) by: Vec<SliceOut>,
}

/// Sums.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalsOut {
    /// All calls, refused ones included.
    pub(super) calls: u64,
    pub(super) served: u64,
    pub(super) refused: u64,
    /// Calls answered with a status of 400 or more.
    pub(super) errors: u64,
    pub(super) server_errors: u64,
    /// Billable units.
    pub(super) units: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    /// Microseconds that half of the served calls did not exceed; null where nothing was served.
    pub(super) p50_us: Option<u64>,
    pub(super) p95_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
}

/// One row of a breakdown.
#[derive(Debug, Serialize, ToSchema)]
pub struct SliceOut {
    /// The product's, operation's, app's or key's identifier; null for an environment and for what matched nothing.
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// The product's code, for an operation.
    pub(super) product: String,
    pub(super) total: TotalsOut,
}

/// Usage by day.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeriesOut {
    /// IANA name of the zone in which the days are.
    pub(super) time_zone: String,
    #[serde(flatten)]
    pub(super) known: KnownOut,
    pub(super) days: Vec<DayOut>,
}

/// One local day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayOut {
    /// Its midnight.
    #[schema(value_type = String, format = DateTime)]
    pub(super) day: Timestamp,
    /// Whether all usage of the day, as far as it lies in the range, is stored. Where it is not, the total is what is there so far.
    pub(super) complete: bool,
    pub(super) total: TotalsOut,
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
    pub(super) fn new(by: Option<Dimension>, slice: store::usage::Slice) -> Self {
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

pub(in crate::api) const SUMS: [&str; 8] =
    ["calls", "served", "refused", "errors", "server_errors", "units", "bytes_in", "bytes_out"];

impl TotalsOut {
    /// Percentiles of the time that served calls took; empty where there were none.
    pub(in crate::api) fn times(&self) -> [String; 3] {
        [self.p50_us, self.p95_us, self.p99_us].map(|time| time.map(|time| time.to_string()).unwrap_or_default())
    }

    pub(in crate::api) fn cells(&self) -> [String; 8] {
        let Self { calls, served, refused, errors, server_errors, units, bytes_in, bytes_out, .. } = self;
        [calls, served, refused, errors, server_errors, units, bytes_in, bytes_out].map(u64::to_string)
    }
}

pub(super) fn breakdown_csv(total: &TotalsOut, by: &[SliceOut], complete: bool) -> Csv {
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

pub(super) fn days_csv(days: &[DayOut]) -> Csv {
    let columns = [["day"].as_slice(), &SUMS, &["complete"]].concat();
    let mut csv = Csv::new(&columns);
    for day in days {
        csv.row(&[[day.day.to_string()].as_slice(), &day.total.cells(), &[day.complete.to_string()]].concat());
    }
    csv
}
