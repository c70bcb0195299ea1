//! Files of the portal: a partner's filtered OpenAPI documents, usage as CSV; those of invoices are in `invoice_files`.

use crate::api::{
    csv::Csv,
    rows::{Export, Lines},
};
use app::{
    docs,
    page::PageError,
    state::AppState,
    viewer::{MemberViewer, Viewer},
};
use axum::{
    Extension, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use domain::{
    id::{AppId, KeyId, MemberId, OperationId, ProductId, TeamId},
    key_text::Environment,
    openapi::{to_json_pretty, to_yaml},
    period::{Cycle, Period},
};
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use store::{
    StoreError,
    usage::{Dimension, Slice, UsageFilter, Window},
};

/// The files' routes; who may take them is in the access list.
pub fn router(state: AppState) -> Router {
    Router::new()
        .route("/products/{product}/openapi.json", get(openapi_json))
        .route("/products/{product}/openapi.yaml", get(openapi_yaml))
        .route("/usage.csv", get(usage_csv))
        .route("/console/usage.csv", get(all_usage_csv))
        .route("/console/usage.jsonl", get(all_usage_jsonl))
        .merge(super::invoice_files::router())
        .with_state(state)
}

/// Why there is no file.
pub struct NoFile(StatusCode, String);

impl NoFile {
    pub fn status(status: StatusCode) -> Self {
        let text = match status {
            StatusCode::NOT_FOUND => "There is nothing at this address, or nothing that you may see.",
            _ => "The database did not answer. Try again in a moment.",
        };
        Self(status, text.to_owned())
    }

    /// What was asked cannot be given.
    pub fn text(text: impl Into<String>) -> Self {
        Self(StatusCode::UNPROCESSABLE_ENTITY, text.into())
    }
}

impl IntoResponse for NoFile {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

impl From<PageError> for NoFile {
    fn from(error: PageError) -> Self {
        match error {
            PageError::NotFound | PageError::NotAllowed => Self::status(StatusCode::NOT_FOUND),
            PageError::Unavailable => Self::status(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

impl From<StoreError> for NoFile {
    fn from(error: StoreError) -> Self {
        PageError::from(error).into()
    }
}

pub fn member(viewer: Viewer) -> Result<MemberViewer, NoFile> {
    match viewer {
        Viewer::Member(member) => Ok(member),
        Viewer::Nobody | Viewer::Operator(_) => Err(NoFile::status(StatusCode::NOT_FOUND)),
    }
}

async fn openapi_json(
    State(state): State<AppState>,
    Extension(viewer): Extension<Viewer>,
    Path(product): Path<String>,
) -> Result<Response, NoFile> {
    let document = docs::download(&state, member(viewer)?.partner, &product).await?;
    Ok(([(header::CONTENT_TYPE, "application/json")], to_json_pretty(&document)).into_response())
}

async fn openapi_yaml(
    State(state): State<AppState>,
    Extension(viewer): Extension<Viewer>,
    Path(product): Path<String>,
) -> Result<Response, NoFile> {
    let document = docs::download(&state, member(viewer)?.partner, &product).await?;
    Ok(([(header::CONTENT_TYPE, "application/yaml")], to_yaml(&document)).into_response())
}

/// As the page's address has it. Without `from` and `to` it is the billing period that holds `period`, or now.
#[derive(Deserialize)]
struct UsageAsked {
    period: Option<String>,
    from: Option<String>,
    to: Option<String>,
    environment: Option<String>,
    product: Option<ProductId>,
    operation: Option<OperationId>,
    app: Option<AppId>,
    key: Option<KeyId>,
    team: Option<TeamId>,
    member: Option<MemberId>,
}

/// A year and a month.
const LONGEST: SignedDuration = SignedDuration::from_hours(400 * 24);

async fn usage_csv(
    State(state): State<AppState>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<UsageAsked>,
) -> Result<Response, NoFile> {
    let viewer = member(viewer)?;
    let now = state.clock.now();
    let (cycle, counts_from) = match state.store.subscription(viewer.partner).await? {
        Some(subscription) => (subscription.cycle(), subscription.counts_from),
        None => {
            let months = Cycle::calendar_month(now, &viewer.time_zone);
            (months.map_err(|_| NoFile::status(StatusCode::NOT_FOUND))?, None)
        }
    };
    let instant = |text: &Option<String>| text.as_ref().and_then(|at| at.parse::<Timestamp>().ok());
    let period = match (instant(&asked.from), instant(&asked.to)) {
        (Some(start), Some(end)) if start < end && end.duration_since(start) <= LONGEST => Period { start, end },
        (None, None) => {
            let at = instant(&asked.period).unwrap_or(now);
            cycle.counted_at(at, counts_from).map_err(|_| NoFile::status(StatusCode::NOT_FOUND))?
        }
        _ => return Err(NoFile::status(StatusCode::NOT_FOUND)),
    };
    let environment = asked.environment.and_then(|code| code.parse().ok()).unwrap_or(Environment::Live);
    let UsageAsked { product, operation, app, key, team, member, .. } = asked;
    let environment_only = UsageFilter { environment: Some(environment), ..UsageFilter::EVERYTHING };
    let filter = UsageFilter { product, operation, app, key, team, member, ..environment_only };
    let known = state.store.completeness(viewer.partner, period, now).await?;
    let slices = state.store.usage_by(viewer.partner, Dimension::Operation, period, &filter).await?;
    let complete = known.covers(period, Some(viewer.partner)).to_string();
    // Without a row it would look as if nothing had been used.
    let nothing = (slices.is_empty() && !known.is_whole()).then(Slice::default);
    let mut csv = Csv::new(&[
        "period_start",
        "period_end",
        "environment",
        "product",
        "operation",
        "calls",
        "served",
        "refused",
        "errors",
        "units",
        "complete",
    ]);
    for slice in slices.into_iter().chain(nothing) {
        let totals = slice.totals;
        csv.row(&[
            period.start.to_string(),
            period.end.to_string(),
            environment.to_string(),
            slice.product,
            slice.name,
            totals.calls.to_string(),
            totals.served.to_string(),
            totals.refused.to_string(),
            totals.errors.to_string(),
            totals.units.to_string(),
            complete.clone(),
        ]);
    }
    Ok(as_file(csv, "usage.csv"))
}

#[derive(Deserialize)]
struct AllUsageAsked {
    span: Option<String>,
    environment: Option<String>,
}

async fn all_usage_csv(State(state): State<AppState>, Query(asked): Query<AllUsageAsked>) -> Result<Response, NoFile> {
    all_usage(&state, &asked, Lines::Csv, "usage.csv")
}

async fn all_usage_jsonl(
    State(state): State<AppState>,
    Query(asked): Query<AllUsageAsked>,
) -> Result<Response, NoFile> {
    all_usage(&state, &asked, Lines::Jsonl, "usage.jsonl")
}

/// By partner, product and day (UTC). The access list lets only operators come here.
fn all_usage(state: &AppState, asked: &AllUsageAsked, lines: Lines, name: &str) -> Result<Response, NoFile> {
    let environment = asked.environment.as_deref().and_then(|code| code.parse().ok());
    let export = Export {
        partner: None,
        range: app::pages::console::usage::range_of(asked.span.as_deref().unwrap_or_default(), state.clock.now()),
        time_zone: "UTC".to_owned(),
        window: Window::Day,
        by: vec![Dimension::Partner, Dimension::Product],
        filter: UsageFilter { environment, ..UsageFilter::EVERYTHING },
    };
    Ok(export.send(state.store.clone(), lines, name, state.clock.now())?)
}

fn as_file(csv: Csv, name: &str) -> Response {
    let disposition = format!("attachment; filename=\"{name}\"");
    ([(header::CONTENT_DISPOSITION, disposition)], csv).into_response()
}
