//! Whether the places that count usage say the same, for the provider's tokens: what was found, and what was done about it.

use super::{
    extract::{Body, Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    problem::Problem,
};
use axum::{Json, extract::OriginalUri, http::StatusCode, response::Response};
use domain::id::{FindingId, PartnerId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use store::reconcile::{FindingFilter, FindingState, Kind, ListedFinding, hours_before};
use utoipa::{IntoParams, ToSchema};

/// The hours that are compared where nobody says otherwise, and the most.
const USUAL_HOURS: i64 = 48;
const MOST_HOURS: i64 = 24 * 400;

/// How comparing stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReconciliationOut {
    /// When usage was compared last; null where it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    compared_at: Option<Timestamp>,
    /// Until when the usage was that was compared.
    #[schema(value_type = Option<String>, format = DateTime)]
    compared_to: Option<Timestamp>,
    /// Findings that hold invoices back.
    open: u64,
    accepted: u64,
    resolved: u64,
}

/// Which findings.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindingParams {
    /// `open`, `accepted` or `resolved`; all where it is left out.
    #[param(pattern = "^(open|accepted|resolved)$")]
    state: Option<String>,
    /// `gateway`, `sequence`, `hourly`, `daily`, `meters`, `credit` or `invoice`.
    #[param(pattern = "^(gateway|sequence|hourly|daily|meters|credit|invoice)$")]
    kind: Option<String>,
    /// Only that partner's.
    #[param(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Two numbers that should be the same and are not.
#[derive(Debug, Serialize, ToSchema)]
pub struct FindingOut {
    /// Of these two numbers: where they change, it is another finding.
    #[schema(example = "finding_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// What was compared: `gateway` (what gateways counted with the events), `sequence` (the numbers of records), `hourly` and `daily`
    /// (sums), `meters`, `credit` (the ledger's entries of used credit), `invoice` (invoice lines).
    kind: &'static str,
    /// Null where nobody can say whose it is.
    partner: Option<String>,
    partner_name: String,
    #[schema(value_type = String, format = DateTime)]
    hour: Timestamp,
    /// `calls`, `units`, `records` and so on.
    meter: String,
    node: Option<String>,
    lane: Option<u16>,
    /// More of where it is.
    place: String,
    /// Decimal numbers, of any length.
    expected: String,
    actual: String,
    /// `open`, `accepted` or `resolved`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    first_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// Why it was accepted.
    note: String,
}

/// Why a finding may stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptIn {
    /// For the audit log: what was found.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, example = "The disk of gateway 3; see ticket 812")]
    note: String,
}

/// What to compare.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunIn {
    /// So many whole hours back from now. 48, where it is left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 9600)]
    hours: Option<i64>,
}

/// How comparing stands.
#[utoipa::path(get, path = "/api/reconciliation", operation_id = "getReconciliation", tag = "Usage",
    responses((status = 200, description = "How it stands", body = ReconciliationOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall) -> Result<Json<ReconciliationOut>, Problem> {
    let store = &call.state.store;
    let (last, found) = (store.last_reconciliation().await?, store.all_finding_sources().await?);
    Ok(Json(ReconciliationOut {
        compared_at: last.map(|(at, _)| at),
        compared_to: last.map(|(_, to)| to),
        open: found.open,
        accepted: found.accepted,
        resolved: found.resolved,
    }))
}

/// Numbers that differ, the newest hour first. An open one holds the invoices of its partner back.
#[utoipa::path(get, path = "/api/reconciliation/findings", operation_id = "listFindings", tag = "Usage", params(FindingParams),
    responses((status = 200, description = "Newest hour first", body = List<FindingOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn findings(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<FindingParams>,
) -> Result<Response, Problem> {
    let kind = |code: String| {
        let known = Kind::ALL.into_iter().find(|kind| kind.code() == code);
        known.ok_or_else(|| Problem::invalid("kind", "There is no such kind"))
    };
    let filter = FindingFilter {
        state: params.state.map(|code| code.parse::<FindingState>()).transpose()?,
        kind: params.kind.map(kind).transpose()?,
        partner: params.partner,
    };
    let part = Part { cursor: params.cursor, limit: params.limit };
    let page = call.state.store.all_findings(&filter, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(FindingOut::from).collect(), next: page.next }.answer(&uri))
}

/// Lets invoices go on although these two numbers differ, on record.
#[utoipa::path(post, path = "/api/reconciliation/findings/{finding}/accept", operation_id = "acceptFinding", tag = "Usage",
    params(("finding" = String, Path, description = "The identifier of the list", pattern = "^finding_[0-9a-f]{32}$")), request_body = AcceptIn,
    responses((status = 204, description = "Accepted"), (status = "4XX", description = "Refused; 404 where the numbers are others by now, or were accepted", body = Problem, content_type = "application/problem+json")))]
pub async fn accept(
    call: ProviderCall,
    Named(finding): Named<FindingId>,
    Body(body): Body<AcceptIn>,
) -> Result<StatusCode, Problem> {
    call.state.store.accept_finding(finding, &body.note, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Begins to compare, beside the answer and day by day; what is found is in the list as it is found, and `compared_at` says when it was.
#[utoipa::path(post, path = "/api/reconciliation/run", operation_id = "runReconciliation", tag = "Usage", request_body = RunIn,
    responses((status = 202, description = "Begun"), (status = "4XX", description = "Refused; 409 where one that was begun earlier still runs", body = Problem, content_type = "application/problem+json")))]
pub async fn run(call: ProviderCall, Body(body): Body<RunIn>) -> Result<StatusCode, Problem> {
    let hours = body.hours.unwrap_or(USUAL_HOURS);
    if !(1..=MOST_HOURS).contains(&hours) {
        return Err(Problem::invalid("hours", "Compare 1 to 9,600 hours"));
    }
    let range = hours_before(call.now, SignedDuration::from_hours(hours));
    app::reconciliation::begin(&call.state, range, call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

impl From<ListedFinding> for FindingOut {
    fn from(listed: ListedFinding) -> Self {
        let ListedFinding { id, finding, partner_name, state, first_seen_at, last_seen_at, note, .. } = listed;
        let (node, lane) = finding.lane.unzip();
        Self {
            id: id.to_string(),
            kind: finding.kind.code(),
            partner: finding.partner.map(|partner| partner.to_string()),
            partner_name,
            hour: finding.hour,
            meter: finding.meter,
            node,
            lane,
            place: finding.place,
            expected: finding.expected,
            actual: finding.actual,
            state: state.code(),
            first_seen_at,
            last_seen_at,
            note,
        }
    }
}
