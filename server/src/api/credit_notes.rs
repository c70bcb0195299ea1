//! Credit notes and voids: a partner reads its own, the provider drafts, issues and discards them.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, ProviderCall},
    invoices::AmountOut,
    list::List,
    once::Once,
    problem::Problem,
};
use crate::documents::{attachment, credit_note};
use app::state::AppState;
use axum::{
    Json,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::credit_notes::{
    CreditKind, CreditLine, CreditNote, CreditState, Issue, NewCreditLine, NewCreditNote, Payback,
};
use utoipa::{IntoParams, ToSchema};

/// Whose.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Whose {
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// Whose, and how written.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OneParams {
    /// `json`, `csv` (its lines) or `pdf`.
    #[param(inline)]
    format: Option<CreditNoteFormat>,
    /// For the provider's tokens: the partner's identifier.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
}

/// What is to be credited.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreditNoteIn {
    #[schema(value_type = String, pattern = "^partner_[0-9a-f]{32}$")]
    partner: PartnerId,
    /// `credit` takes amounts off; `void` takes the whole of an unpaid invoice.
    #[schema(value_type = String, pattern = "^(credit|void)$")]
    kind: CreditKind,
    /// Of a credit: what is taken off. None for a void.
    #[serde(default)]
    lines: Vec<CreditLineIn>,
    /// Where the invoice is paid: `refund` by Stripe, or `outside` by yourself.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(refund|outside)$")]
    payback: Payback,
    /// The partner reads this.
    reason: String,
}

/// A part of it.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CreditLineIn {
    /// The position of the invoice's line; left out for an amount of the whole invoice.
    position: Option<i32>,
    /// Decimal text in the invoice's currency.
    #[schema(example = "12.50")]
    amount: String,
}

/// What was looked at.
#[derive(Debug, Deserialize, ToSchema)]
pub struct IssueIn {
    /// Whether the invoice was paid when the draft was looked at: then money goes back, and else less is owed.
    invoice_is_paid: bool,
}

/// A credit note.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditNoteOut {
    #[schema(example = "credit_note_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    partner: String,
    /// The number as on paper; null for drafts and voids.
    #[schema(example = "CN-000007")]
    code: Option<String>,
    /// `credit` or `void`.
    kind: &'static str,
    /// `draft`, `issued` or `discarded`.
    state: &'static str,
    invoice: String,
    invoice_code: String,
    total: AmountOut,
    /// Whether the invoice was paid when it was issued: then the amount is paid back.
    was_paid: Option<bool>,
    /// `refund` or `outside`.
    payback: &'static str,
    reason: String,
    #[schema(value_type = Option<String>, format = DateTime)]
    issued_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lines: Option<Vec<CreditLineOut>>,
}

/// A line of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditLineOut {
    position: i32,
    /// The line of the invoice that it takes from; null for an amount of the whole invoice.
    invoice_position: Option<i32>,
    description: String,
    amount: AmountOut,
}

/// Issued credit notes, newest first.
#[utoipa::path(get, path = "/api/credit-notes", operation_id = "listCreditNotes", tag = "Invoices", params(Whose),
    responses((status = 200, description = "Newest first", body = List<CreditNoteOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(call: PartnerCall, _: Params<Whose>) -> Result<Json<List<CreditNoteOut>>, Problem> {
    let notes = call.state.store.credit_notes(call.partner).await?;
    Ok(Json(List::whole(notes.into_iter().map(CreditNoteOut::from).collect())))
}

/// One credit note with its lines. A partner sees those that were issued.
#[utoipa::path(get, path = "/api/credit-notes/{credit_note}", operation_id = "getCreditNote", tag = "Invoices",
    params(("credit_note" = String, Path, description = "The credit note's identifier", pattern = "^credit_note_[0-9a-f]{32}$"), OneParams),
    responses((status = 200, description = "The credit note", content((CreditNoteOut = "application/json"), (String = "text/csv"), (Vec<u8> = "application/pdf"))), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Named(id): Named<CreditNoteId>,
    Params(params): Params<OneParams>,
) -> Result<Response, Problem> {
    let (note, lines) = call.state.store.credit_note(call.partner, id).await?;
    if call.token.partner.is_some() && note.state != CreditState::Issued {
        return Err(Problem::not_found());
    }
    file(&call.state, note, lines, params.format.unwrap_or_default())
}

/// Keeps a credit note, or a void, to be looked at. Nothing is credited yet.
#[utoipa::path(post, path = "/api/invoices/{invoice}/credit-notes", operation_id = "draftCreditNote", tag = "Invoices", request_body = CreditNoteIn,
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$")),
    responses((status = 201, description = "The draft", body = CreditNoteOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn draft(
    call: ProviderCall,
    Named(invoice): Named<InvoiceId>,
    once: Once,
    Body(body): Body<CreditNoteIn>,
) -> Result<Response, Problem> {
    if let Some(made) = once.made {
        return Ok((StatusCode::CREATED, shown(&call, CreditNoteId(made)).await?).into_response());
    }
    let store = &call.state.store;
    let (held, _) = store.invoice(body.partner, invoice).await?;
    let lines = body.lines.iter().map(|line| line.read(held.total.currency)).collect::<Result<_, _>>()?;
    let CreditNoteIn { partner, kind, payback, reason, .. } = body;
    let new = NewCreditNote { invoice, kind, lines, payback, reason };
    let (four_eyes, actor) = (call.state.settings.four_eyes, call.token.actor());
    let id = match once.attempt {
        Some(attempt) => store.draft_credit_note_once(partner, (&new, attempt), four_eyes, actor, call.now).await?,
        None => store.draft_credit_note(partner, &new, four_eyes, actor, call.now).await?,
    };
    Ok((StatusCode::CREATED, shown(&call, id).await?).into_response())
}

/// Issues a draft: it counts at once and is never changed. Asking again changes nothing.
#[utoipa::path(post, path = "/api/credit-notes/{credit_note}/issue", operation_id = "issueCreditNote", tag = "Invoices", request_body = IssueIn,
    params(("credit_note" = String, Path, description = "The credit note's identifier", pattern = "^credit_note_[0-9a-f]{32}$")),
    responses((status = 200, description = "The credit note", body = CreditNoteOut), (status = "4XX", description = "Refused; 409 where it would take more than is left, or the invoice was paid meanwhile", body = Problem, content_type = "application/problem+json")))]
pub async fn issue(
    call: ProviderCall,
    Named(id): Named<CreditNoteId>,
    Body(body): Body<IssueIn>,
) -> Result<Json<CreditNoteOut>, Problem> {
    let store = &call.state.store;
    let (note, _) = store.credit_note_of_any_partner(id).await?;
    let issue = Issue { seen_paid: body.invoice_is_paid, four_eyes: call.state.settings.four_eyes };
    store.issue_credit_note(note.partner, id, issue, call.token.actor(), call.now).await?;
    shown(&call, id).await
}

/// Gives a draft up.
#[utoipa::path(post, path = "/api/credit-notes/{credit_note}/discard", operation_id = "discardCreditNote", tag = "Invoices",
    params(("credit_note" = String, Path, description = "The credit note's identifier", pattern = "^credit_note_[0-9a-f]{32}$")),
    responses((status = 200, description = "The credit note", body = CreditNoteOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn discard(call: ProviderCall, Named(id): Named<CreditNoteId>) -> Result<Json<CreditNoteOut>, Problem> {
    let store = &call.state.store;
    let (note, _) = store.credit_note_of_any_partner(id).await?;
    store.discard_credit_note(note.partner, id, call.token.actor(), call.now).await?;
    shown(&call, id).await
}

async fn shown(call: &ProviderCall, id: CreditNoteId) -> Result<Json<CreditNoteOut>, Problem> {
    let (note, lines) = call.state.store.credit_note_of_any_partner(id).await?;
    Ok(Json(CreditNoteOut::with_lines(note, lines)))
}

/// How one credit note is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CreditNoteFormat {
    #[default]
    Json,
    Csv,
    Pdf,
}

/// One credit note, under its number where it is a file.
pub fn file(
    state: &AppState,
    note: CreditNote,
    lines: Vec<CreditLine>,
    format: CreditNoteFormat,
) -> Result<Response, Problem> {
    let name = note.code().unwrap_or_else(|| note.id.to_string());
    match format {
        CreditNoteFormat::Json => Ok(Json(CreditNoteOut::with_lines(note, lines)).into_response()),
        CreditNoteFormat::Csv => {
            Ok((attachment(&format!("{name}.csv")), credit_note::csv(&note, &lines)).into_response())
        }
        CreditNoteFormat::Pdf => {
            let paper = credit_note::paper(&state.settings, &note, &lines).map_err(|error| {
                tracing::error!(%error, "a credit note cannot be written");
                Problem::unavailable("The paper cannot be written.")
            })?;
            let paper = paper.ok_or_else(Problem::not_found)?;
            Ok((attachment(&format!("{name}.pdf")), [(CONTENT_TYPE, "application/pdf")], paper).into_response())
        }
    }
}

impl CreditLineIn {
    fn read(&self, currency: Currency) -> Result<NewCreditLine, Problem> {
        let wrong = || Problem::invalid("amount", "Write an amount, as 12.50");
        let decimal = self.amount.trim().parse().map_err(|_| wrong())?;
        let amount = Money::from_decimal_exact(currency, decimal).map_err(|_| wrong())?;
        Ok(NewCreditLine { invoice_position: self.position, amount })
    }
}

impl CreditNoteOut {
    pub fn with_lines(note: CreditNote, lines: Vec<CreditLine>) -> Self {
        let line = |line: CreditLine| CreditLineOut {
            position: line.position,
            invoice_position: line.invoice_position,
            description: line.description,
            amount: line.amount.into(),
        };
        Self { lines: Some(lines.into_iter().map(line).collect()), ..Self::from(note) }
    }
}

impl From<CreditNote> for CreditNoteOut {
    fn from(note: CreditNote) -> Self {
        Self {
            id: note.id.to_string(),
            partner: note.partner.to_string(),
            code: note.code(),
            kind: note.kind.code(),
            state: note.state.code(),
            invoice: note.invoice.to_string(),
            invoice_code: note.invoice_code(),
            total: note.total.into(),
            was_paid: note.was_paid,
            payback: note.payback.code(),
            reason: note.reason,
            issued_at: note.ended_at.filter(|_| note.state == CreditState::Issued),
            lines: None,
        }
    }
}
