//! A line of an invoice, opened: what it was counted from.

use super::{extract::Params, guard::PartnerCall, invoices::LineOut, missing::KnownOut, problem::Problem};
use crate::documents::teams::TeamOut;
use axum::{Json, extract::Path};
use billing::{Behind, BillingError, OpenBy, OpenedRow, Opening};
use domain::{
    id::{AppId, InvoiceId, KeyId, TeamId},
    period::Period,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// How to open it.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OpenParams {
    /// `day` (which is usual), `hour`, `app`, `key` or `team`.
    #[param(value_type = Option<String>, pattern = "^(day|hour|app|key|team)$")]
    by: Option<OpenBy>,
    /// Of the invoice's period only the part from this instant (RFC 3339) …
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// … to this one.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only what one team has of the line: its identifier, or `none` for that of no team.
    #[param(pattern = "^(team_[0-9a-f]{32}|none)$")]
    team: Option<String>,
    /// Of adjustments: `next` of the page before.
    cursor: Option<i64>,
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// A line and its parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedOut {
    line: LineOut,
    /// What the team has of it, where it is opened for one: the rows are of that.
    of_team: Option<TeamOut>,
    /// What the rows are of.
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// `usage`, `meter`, `adjustment`, or `nothing` where no calls are behind the line.
    kind: &'static str,
    /// Sum of the rows; null where they do not add up, as for the largest value of a meter.
    sum: Option<i64>,
    /// Units among them that were handed over after the invoice was made, and are an adjustment on a later one.
    late: i64,
    rows: Vec<OpenedRowOut>,
    /// Of an adjustment: late and corrected units of the operation, on all adjustment lines of the invoice.
    adjusted: Vec<AdjustedOut>,
    /// Where the next page of `adjusted` begins.
    next: Option<i64>,
    /// What is known of the usage.
    #[serde(flatten)]
    known: Option<KnownOut>,
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenedRowOut {
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// The app, key or team; null by day or hour, and for calls of none.
    id: Option<String>,
    name: String,
    calls: u64,
    /// Units, or what was measured.
    quantity: u64,
}

/// Late or corrected units.
#[derive(Debug, Serialize, ToSchema)]
pub struct AdjustedOut {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_start: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    period_end: Timestamp,
    source: String,
    event: String,
    units: i64,
    correction: Option<String>,
}

/// What a line of an invoice was counted from, by day, hour, app, key or team. The single calls are under `/api/requests` with the
/// line's product, operation and period.
#[utoipa::path(get, path = "/api/invoices/{invoice}/lines/{position}", operation_id = "openInvoiceLine", tag = "Invoices",
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$"), ("position" = String, Path, description = "The line's position", pattern = "^[0-9]{1,9}$"), OpenParams),
    responses((status = 200, description = "The line and its parts", body = OpenedOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn open(
    call: PartnerCall,
    Path((invoice, position)): Path<(String, String)>,
    Params(params): Params<OpenParams>,
) -> Result<Json<OpenedOut>, Problem> {
    let invoice: InvoiceId = invoice.parse().map_err(|_| Problem::not_found())?;
    let position: i32 = position.parse().map_err(|_| Problem::not_found())?;
    let by = params.by.unwrap_or_default();
    let part = match (params.from, params.to) {
        (Some(start), Some(end)) => Some(Period { start, end }),
        (None, None) => None,
        _ => return Err(Problem::bad_request("Give both from and to, or neither")),
    };
    let team = match params.team.as_deref() {
        None => None,
        Some("none") => Some(TeamId(Uuid::nil())),
        Some(id) => Some(id.parse().map_err(|_| Problem::bad_request("team is a team's identifier, or none"))?),
    };
    let opening = Opening { by, part, team, after: params.cursor };
    let opened = billing::open_line(&call.state.store, (call.partner, invoice, position), opening, call.now)
        .await
        .map_err(|error| match error {
            BillingError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "a line cannot be opened");
                Problem::unavailable("The line cannot be opened.")
            }
        })?;
    let signed = |quantity: u64| i64::try_from(quantity).unwrap_or(i64::MAX);
    let mut out = OpenedOut {
        line: opened.line.into(),
        of_team: opened.of_team.map(TeamOut::from),
        from: opened.range.start,
        to: opened.range.end,
        kind: "nothing",
        sum: None,
        late: 0,
        rows: Vec::new(),
        adjusted: Vec::new(),
        next: None,
        known: None,
    };
    let rows = |rows: Vec<OpenedRow>| rows.into_iter().map(|row| OpenedRowOut::new(by, row)).collect();
    match opened.behind {
        Behind::Usage { rows: all, units, late, known } => {
            (out.kind, out.sum, out.late, out.rows) = ("usage", Some(signed(units)), late, rows(all));
            out.known = Some(KnownOut::new(&known, opened.range));
        }
        Behind::Meter { rows: all, quantity, adds_up, known } => {
            (out.kind, out.sum, out.rows) = ("meter", adds_up.then_some(signed(quantity)), rows(all));
            out.known = Some(KnownOut::new(&known, opened.range));
        }
        Behind::Adjustment(page) => {
            (out.kind, out.sum, out.next) = ("adjustment", Some(page.units), page.next);
            let adjusted = page.rows.into_iter().map(|row| AdjustedOut {
                at: row.at,
                period_start: row.period.start,
                period_end: row.period.end,
                source: row.source,
                event: row.id,
                units: row.units,
                correction: row.correction.map(|id| id.to_string()),
            });
            out.adjusted = adjusted.collect();
        }
        Behind::Nothing => {}
    }
    Ok(Json(out))
}

impl OpenedRowOut {
    fn new(by: OpenBy, row: OpenedRow) -> Self {
        let group = row.group.unwrap_or_default();
        let id = group.id.and_then(|id| match by {
            OpenBy::Day | OpenBy::Hour => None,
            OpenBy::App => Some(AppId(id).to_string()),
            OpenBy::Key => Some(KeyId(id).to_string()),
            OpenBy::Team => Some(TeamId(id).to_string()),
        });
        Self {
            from: row.window.start,
            to: row.window.end,
            id,
            name: group.name,
            calls: row.calls,
            quantity: row.quantity,
        }
    }
}
