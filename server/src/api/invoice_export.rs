//! Many invoices at once, of one partner or, for the provider, of all.

use super::{extract::Params, guard::PartnerOrProvider, problem::Problem};
use crate::documents::many::{Many, ManyAs, NoFile};
use axum::response::Response;
use domain::period::Period;
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

/// Which, and how written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportParams {
    /// Made at this instant or later (RFC 3339).
    #[param(value_type = String, format = DateTime)]
    from: Timestamp,
    /// Made before this instant. Now, where it is left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// `csv` or `jsonl`: a row for each line of each invoice. `zip`: each as PDF and the lines as CSV, 500 invoices at most.
    #[param(inline)]
    format: ExportFormat,
    /// For the provider's tokens: the partner's identifier; all partners where it is left out.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// How many invoices are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    Csv,
    Jsonl,
    Zip,
}

/// The invoices that were made in a range, in the order of their numbers.
#[utoipa::path(get, path = "/api/invoices/export", operation_id = "exportInvoices", tag = "Invoices", params(ExportParams),
    responses((status = 200, description = "The file", content((String = "text/csv"), (crate::documents::lines::BilledLine = "application/jsonl"), (Vec<u8> = "application/zip"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn export(
    PartnerOrProvider { state, partner, .. }: PartnerOrProvider,
    Params(params): Params<ExportParams>,
) -> Result<Response, Problem> {
    let made = Period { start: params.from, end: params.to.unwrap_or_else(|| state.clock.now()) };
    let format = match params.format {
        ExportFormat::Csv => ManyAs::Csv,
        ExportFormat::Jsonl => ManyAs::Jsonl,
        ExportFormat::Zip => ManyAs::Zip,
    };
    Ok(Many { partner, made }.send(&state, format).await?)
}

impl From<NoFile> for Problem {
    fn from(error: NoFile) -> Self {
        match error {
            NoFile::Store(error) => error.into(),
            NoFile::TooMany(_) => {
                let message = error.to_string();
                Self::invalid("format", message)
            }
            other => {
                tracing::error!(error = %other, "invoices cannot be written");
                Self::unavailable("The file cannot be written.")
            }
        }
    }
}
