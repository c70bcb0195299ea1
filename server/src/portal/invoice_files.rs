//! Invoices as files, for members and for operators. Who may take which is in the access list.

use super::downloads::{NoFile, member};
use crate::{
    api::{
        credit_notes::{self, CreditNoteFormat},
        draft_invoice,
        invoices::{InvoiceFormat, file},
        rows::Lines,
    },
    documents::{
        self,
        draft::Draft,
        many::{self, Many, ManyAs},
    },
};
use app::{state::AppState, viewer::Viewer};
use axum::{
    Extension, Router,
    extract::{MatchedPath, Path, Query, State},
    response::{IntoResponse as _, Response},
    routing::get,
};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    period::Period,
};
use http::StatusCode;
use jiff::{Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use serde::Deserialize;
use store::{credit_notes::CreditState, journal::JournalDays};

pub fn router() -> Router<AppState> {
    Router::new()
        .route("/plan/bill-so-far.csv", get(so_far))
        .route("/invoices/download", get(own_many))
        .route("/invoices/{invoice}/lines.csv", get(own_csv))
        .route("/invoices/{invoice}/teams.csv", get(own_teams))
        .route("/invoices/{invoice}/invoice.json", get(own_json))
        .route("/invoices/{invoice}/invoice.pdf", get(own_pdf))
        .route("/console/invoices/download", get(all_many))
        .route("/credit-notes/{note}/credit-note.csv", get(own_credit_note))
        .route("/credit-notes/{note}/credit-note.json", get(own_credit_note))
        .route("/credit-notes/{note}/credit-note.pdf", get(own_credit_note))
        .route("/console/revenue/download", get(journal))
        .route("/console/credit-notes/{note}/credit-note.csv", get(credit_note))
        .route("/console/credit-notes/{note}/credit-note.json", get(credit_note))
        .route("/console/credit-notes/{note}/credit-note.pdf", get(credit_note))
        .route("/console/partners/{partner}/invoices/{invoice}/lines.csv", get(csv))
        .route("/console/partners/{partner}/invoices/{invoice}/teams.csv", get(teams))
        .route("/console/partners/{partner}/invoices/{invoice}/invoice.json", get(json))
        .route("/console/partners/{partner}/invoices/{invoice}/invoice.pdf", get(pdf))
}

async fn own_csv(state: State<AppState>, viewer: Extension<Viewer>, id: Path<String>) -> Result<Response, NoFile> {
    own(&state, viewer, &id, InvoiceFormat::Csv).await
}

async fn own_teams(state: State<AppState>, viewer: Extension<Viewer>, id: Path<String>) -> Result<Response, NoFile> {
    own(&state, viewer, &id, InvoiceFormat::TeamsCsv).await
}

async fn own_json(state: State<AppState>, viewer: Extension<Viewer>, id: Path<String>) -> Result<Response, NoFile> {
    own(&state, viewer, &id, InvoiceFormat::Json).await
}

async fn own_pdf(state: State<AppState>, viewer: Extension<Viewer>, id: Path<String>) -> Result<Response, NoFile> {
    own(&state, viewer, &id, InvoiceFormat::Pdf).await
}

async fn csv(state: State<AppState>, ids: Path<(String, String)>) -> Result<Response, NoFile> {
    of_partner(&state, &ids, InvoiceFormat::Csv).await
}

async fn teams(state: State<AppState>, ids: Path<(String, String)>) -> Result<Response, NoFile> {
    of_partner(&state, &ids, InvoiceFormat::TeamsCsv).await
}

async fn json(state: State<AppState>, ids: Path<(String, String)>) -> Result<Response, NoFile> {
    of_partner(&state, &ids, InvoiceFormat::Json).await
}

async fn pdf(state: State<AppState>, ids: Path<(String, String)>) -> Result<Response, NoFile> {
    of_partner(&state, &ids, InvoiceFormat::Pdf).await
}

/// What the running period comes to so far, for whoever sees it on `/plan`.
async fn so_far(state: State<AppState>, Extension(viewer): Extension<Viewer>) -> Result<Response, NoFile> {
    let draft = Draft::of(&state.store, member(viewer)?.partner, state.clock.now()).await.map_err(|error| {
        tracing::error!(%error, "the bill so far cannot be written");
        NoFile::status(StatusCode::SERVICE_UNAVAILABLE)
    })?;
    let draft = draft.ok_or_else(|| NoFile::status(StatusCode::NOT_FOUND))?;
    Ok(draft_invoice::csv(&draft).into_response())
}

async fn own(
    state: &AppState,
    Extension(viewer): Extension<Viewer>,
    id: &str,
    format: InvoiceFormat,
) -> Result<Response, NoFile> {
    one(state, member(viewer)?.partner, id, format).await
}

async fn of_partner(state: &AppState, ids: &(String, String), format: InvoiceFormat) -> Result<Response, NoFile> {
    let (partner, id) = ids;
    let partner: PartnerId = partner.parse().map_err(|_| NoFile::status(StatusCode::NOT_FOUND))?;
    one(state, partner, id, format).await
}

async fn one(state: &AppState, partner: PartnerId, id: &str, format: InvoiceFormat) -> Result<Response, NoFile> {
    let id: InvoiceId = id.parse().map_err(|_| NoFile::status(StatusCode::NOT_FOUND))?;
    let (invoice, lines) = state.store.invoice(partner, id).await?;
    let name = invoice.code();
    let answer = file(state, invoice, lines, format).map_err(|_| NoFile::status(StatusCode::SERVICE_UNAVAILABLE))?;
    Ok(match format {
        InvoiceFormat::Json => (crate::documents::attachment(&format!("{name}.json")), answer).into_response(),
        InvoiceFormat::Csv | InvoiceFormat::TeamsCsv | InvoiceFormat::Pdf => answer,
    })
}

/// By how the route ends.
fn format_of(route: &MatchedPath) -> CreditNoteFormat {
    match route.as_str().rsplit_once('.') {
        Some((_, "pdf")) => CreditNoteFormat::Pdf,
        Some((_, "csv")) => CreditNoteFormat::Csv,
        _ => CreditNoteFormat::Json,
    }
}

/// A partner sees what was issued.
async fn own_credit_note(
    State(state): State<AppState>,
    Extension(viewer): Extension<Viewer>,
    route: MatchedPath,
    Path(note): Path<String>,
) -> Result<Response, NoFile> {
    let missing = || NoFile::status(StatusCode::NOT_FOUND);
    let id: CreditNoteId = note.parse().map_err(|_| missing())?;
    let (note, lines) = state.store.credit_note(member(viewer)?.partner, id).await?;
    if note.state != CreditState::Issued {
        return Err(missing());
    }
    credit_notes::file(&state, note, lines, format_of(&route)).map_err(|_| missing())
}

async fn credit_note(
    State(state): State<AppState>,
    route: MatchedPath,
    Path(note): Path<String>,
) -> Result<Response, NoFile> {
    let missing = || NoFile::status(StatusCode::NOT_FOUND);
    let id: CreditNoteId = note.parse().map_err(|_| missing())?;
    let (note, lines) = state.store.credit_note_of_any_partner(id).await?;
    credit_notes::file(&state, note, lines, format_of(&route)).map_err(|_| missing())
}

/// As the form sends it: days, both of them included.
#[derive(Deserialize)]
struct Asked {
    from: String,
    to: String,
    format: String,
}

/// Days of the company's time zone.
async fn own_many(
    State(state): State<AppState>,
    Extension(viewer): Extension<Viewer>,
    Query(asked): Query<Asked>,
) -> Result<Response, NoFile> {
    let viewer = member(viewer)?;
    let zone = domain::period::zone(&viewer.time_zone).unwrap_or(TimeZone::UTC);
    asked.send(&state, Some(viewer.partner), &zone).await
}

/// Days in UTC.
async fn all_many(State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, NoFile> {
    asked.send(&state, None, &TimeZone::UTC).await
}

/// Days in UTC.
async fn journal(State(state): State<AppState>, Query(asked): Query<Asked>) -> Result<Response, NoFile> {
    let lines = match asked.format.as_str() {
        "csv" => Lines::Csv,
        "jsonl" => Lines::Jsonl,
        _ => return Err(NoFile::text("Choose CSV or JSON Lines.")),
    };
    let (first, last) = asked.days().ok_or_else(|| NoFile::text(NO_DAYS))?;
    Ok(documents::journal::send(state.store.clone(), JournalDays { first, last, partner: None }, lines))
}

const NO_DAYS: &str = "Give the first and the last day, as 2026-11-01 and 2026-11-30, the earlier one first.";

impl Asked {
    async fn send(&self, state: &AppState, partner: Option<PartnerId>, zone: &TimeZone) -> Result<Response, NoFile> {
        let format = match self.format.as_str() {
            "csv" => ManyAs::Csv,
            "jsonl" => ManyAs::Jsonl,
            "zip" => ManyAs::Zip,
            _ => return Err(NoFile::text("Choose CSV, JSON Lines or ZIP.")),
        };
        let made = self.range(zone).ok_or_else(|| NoFile::text(NO_DAYS))?;
        Many { partner, made }.send(state, format).await.map_err(|error| match error {
            many::NoFile::TooMany(_) => NoFile::text(format!("{error}.")),
            other => {
                tracing::error!(error = %other, "invoices cannot be written");
                NoFile::status(StatusCode::SERVICE_UNAVAILABLE)
            }
        })
    }

    fn range(&self, zone: &TimeZone) -> Option<Period> {
        let begin = |day: Date| -> Option<Timestamp> { Some(day.to_zoned(zone.clone()).ok()?.timestamp()) };
        let (from, to) = self.days()?;
        let (start, end) = (begin(from)?, begin(to.checked_add(1.day()).ok()?)?);
        (start < end).then_some(Period { start, end })
    }

    fn days(&self) -> Option<(Date, Date)> {
        let (from, to): (Date, Date) = (self.from.parse().ok()?, self.to.parse().ok()?);
        (from <= to).then_some((from, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_zone_and_both_are_in() {
        let range = |from: &str, to: &str| {
            let asked = Asked { from: from.to_owned(), to: to.to_owned(), format: "csv".to_owned() };
            let range = asked.range(&domain::period::zone("Pacific/Auckland").expect("a zone"))?;
            Some((range.start.to_string(), range.end.to_string()))
        };
        let november = ("2026-10-31T11:00:00Z".to_owned(), "2026-11-30T11:00:00Z".to_owned());
        assert_eq!(range("2026-11-01", "2026-11-30"), Some(november));
        assert_eq!(range("2026-11-02", "2026-11-01"), None);
        assert_eq!(range("yesterday", "2026-11-01"), None);
        assert_eq!(range("2026-11-01", "9999-12-31"), None);
    }
}
