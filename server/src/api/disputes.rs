//! Disputes about lines of invoices: a partner opens and withdraws its own, the provider accepts and refuses.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, PartnerOrProvider, ProviderCall},
    invoices::AmountOut,
    list::{List, Part},
    once::Once,
    problem::Problem,
};
use app::dispute_letters;
use axum::{
    Json,
    extract::{OriginalUri, Path},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use domain::{
    id::{DisputeId, InvoiceId},
    money::{Currency, Money},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::{
    credit_notes::Payback,
    disputes::{Accept, Accepted, Dispute, DisputeNews, DisputeState, NewDispute},
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

/// Whose, and which part of the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// For the provider's tokens: the partner's identifier; all partners where it is left out.
    #[serde(rename = "partner")]
    #[param(rename = "partner", pattern = "^partner_[0-9a-f]{32}$")]
    _partner: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What is wrong with the line.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DisputeLineIn {
    /// How much of the line it is about: decimal text in the invoice's currency.
    #[schema(example = "12.50")]
    amount: String,
    /// 1 to 2,000 characters.
    reason: String,
}

/// What is accepted of it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptIn {
    /// At most what is disputed; all of it where it is left out.
    #[serde(default)]
    amount: Option<String>,
    /// Whether the invoice was paid when it was looked at: then money goes back, and else less is owed.
    invoice_is_paid: bool,
    /// Where the invoice is paid: `refund` by Stripe, or `outside` by yourself.
    #[serde(default)]
    #[schema(value_type = Option<String>, pattern = "^(refund|outside)$")]
    payback: Payback,
    /// The partner reads this.
    #[serde(default)]
    answer: String,
}

/// Why it is refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefuseIn {
    /// The partner reads this; 1 to 2,000 characters.
    answer: String,
}

/// A dispute.
#[derive(Debug, Serialize, ToSchema)]
pub struct DisputeOut {
    #[schema(example = "dispute_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    partner: String,
    invoice: String,
    #[schema(example = "TP-000042")]
    invoice_code: String,
    /// The line's.
    position: i32,
    description: String,
    /// What the line bills.
    billed: AmountOut,
    /// How much of it is disputed.
    amount: AmountOut,
    reason: String,
    /// `open`, `accepted`, `refused` or `withdrawn`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
    answer: Option<String>,
    /// Whether nothing follows meanwhile if so much is not paid: while it is open, unless one about the line was refused or withdrawn.
    holds_back: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// The credit note that accepted it.
    credit_note: Option<String>,
    /// What that took off: less than is disputed where it was accepted in part.
    credited: Option<AmountOut>,
    /// Where the line opens to its hours, operations, keys and calls.
    #[schema(example = "/api/invoices/invoice_0192f0c1a5b27cc3a5b27cc30192f0c1/lines/1")]
    evidence: String,
}

/// Disputes, newest first.
#[utoipa::path(get, path = "/api/disputes", operation_id = "listDisputes", tag = "Invoices", params(ListParams),
    responses((status = 200, description = "Newest first", body = List<DisputeOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: PartnerOrProvider,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<ListParams>,
) -> Result<Response, Problem> {
    let part = Part { cursor: params.cursor, limit: params.limit };
    let store = &call.state.store;
    let page = match call.partner {
        Some(partner) => store.disputes(partner, part.cursor(), part.limit()).await?,
        None => store.all_partners_disputes(None, part.cursor(), part.limit()).await?,
    };
    Ok(List { items: page.items.into_iter().map(DisputeOut::from).collect(), next: page.next }.answer(&uri))
}

/// One dispute.
#[utoipa::path(get, path = "/api/disputes/{dispute}", operation_id = "getDispute", tag = "Invoices",
    params(("dispute" = String, Path, description = "The dispute's identifier", pattern = "^dispute_[0-9a-f]{32}$"), Whose),
    responses((status = 200, description = "The dispute", body = DisputeOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Named(id): Named<DisputeId>,
    _: Params<Whose>,
) -> Result<Json<DisputeOut>, Problem> {
    Ok(Json(call.state.store.dispute(call.partner, id).await?.into()))
}

/// Opens a dispute about a line of an invoice. Until it ends, nothing follows if so much of the invoice is not paid, unless one about the
/// line was refused or withdrawn before.
#[utoipa::path(post, path = "/api/invoices/{invoice}/lines/{position}/disputes", operation_id = "openDispute", tag = "Invoices", request_body = DisputeLineIn,
    params(("invoice" = String, Path, description = "The invoice's identifier", pattern = "^invoice_[0-9a-f]{32}$"), ("position" = String, Path, description = "The line's position", pattern = "^[0-9]{1,9}$"), Whose),
    responses((status = 201, description = "The dispute", body = DisputeOut), (status = "4XX", description = "Refused; 409 where the line has one already or two in vain, less than that is left of it, or too many were opened", body = Problem, content_type = "application/problem+json")))]
pub async fn open(
    call: PartnerCall,
    Path((invoice, position)): Path<(String, String)>,
    _: Params<Whose>,
    once: Once,
    Body(body): Body<DisputeLineIn>,
) -> Result<Response, Problem> {
    if let Some(made) = once.made {
        let dispute = call.state.store.dispute(call.partner, DisputeId(made)).await?;
        return Ok((StatusCode::CREATED, Json(DisputeOut::from(dispute))).into_response());
    }
    let invoice: InvoiceId = invoice.parse().map_err(|_| Problem::not_found())?;
    let position: i32 = position.parse().map_err(|_| Problem::not_found())?;
    let (held, _) = call.state.store.invoice(call.partner, invoice).await?;
    let amount = amount(&body.amount, held.total.currency)?;
    let new = NewDispute { invoice, position, amount, reason: body.reason };
    let letters = |news: &DisputeNews| dispute_letters::letters(&call.state.settings, news);
    let (store, actor) = (&call.state.store, call.token.actor());
    let dispute = match once.attempt {
        Some(attempt) => store.open_dispute_once(call.partner, (&new, attempt), &letters, actor, call.now).await?,
        None => store.open_dispute(call.partner, &new, &letters, actor, call.now).await?,
    };
    Ok((StatusCode::CREATED, Json(DisputeOut::from(dispute))).into_response())
}

/// Withdraws a dispute: the invoice stands as it is.
#[utoipa::path(post, path = "/api/disputes/{dispute}/withdraw", operation_id = "withdrawDispute", tag = "Invoices",
    params(("dispute" = String, Path, description = "The dispute's identifier", pattern = "^dispute_[0-9a-f]{32}$"), Whose),
    responses((status = 200, description = "The dispute", body = DisputeOut), (status = "4XX", description = "Refused; 409 where it has ended", body = Problem, content_type = "application/problem+json")))]
pub async fn withdraw(
    call: PartnerCall,
    Named(id): Named<DisputeId>,
    _: Params<Whose>,
) -> Result<Json<DisputeOut>, Problem> {
    let letters = |news: &DisputeNews| dispute_letters::letters(&call.state.settings, news);
    call.state.store.withdraw_dispute(call.partner, id, &letters, call.token.actor(), call.now).await?;
    Ok(Json(call.state.store.dispute(call.partner, id).await?.into()))
}

/// Accepts a dispute: a credit note over the line is issued, once. Where that takes two operators, tokens cannot.
#[utoipa::path(post, path = "/api/disputes/{dispute}/accept", operation_id = "acceptDispute", tag = "Invoices", request_body = AcceptIn,
    params(("dispute" = String, Path, description = "The dispute's identifier", pattern = "^dispute_[0-9a-f]{32}$")),
    responses((status = 200, description = "The dispute", body = DisputeOut), (status = "4XX", description = "Refused; 409 where it was refused or withdrawn, or the invoice was paid meanwhile", body = Problem, content_type = "application/problem+json")))]
pub async fn accept(
    call: ProviderCall,
    Named(id): Named<DisputeId>,
    Body(body): Body<AcceptIn>,
) -> Result<Json<DisputeOut>, Problem> {
    let store = &call.state.store;
    let held = store.dispute_of_any_partner(id).await?;
    let AcceptIn { amount: asked, invoice_is_paid, payback, answer } = body;
    let asked = asked.map(|text| amount(&text, held.amount.currency)).transpose()?;
    let four_eyes = call.state.settings.four_eyes;
    let accept = Accept { amount: asked, payback, seen_paid: invoice_is_paid, four_eyes, answer };
    let letters = |news: &DisputeNews| dispute_letters::letters(&call.state.settings, news);
    let done = store.accept_dispute(held.partner, id, (&accept, &letters), call.token.actor(), call.now).await?;
    if let Accepted::Drafted(note) = done {
        tracing::info!(dispute = %id, credit_note = %note, "a dispute waits for another operator");
    }
    Ok(Json(store.dispute(held.partner, id).await?.into()))
}

/// Refuses a dispute with an answer.
#[utoipa::path(post, path = "/api/disputes/{dispute}/refuse", operation_id = "refuseDispute", tag = "Invoices", request_body = RefuseIn,
    params(("dispute" = String, Path, description = "The dispute's identifier", pattern = "^dispute_[0-9a-f]{32}$")),
    responses((status = 200, description = "The dispute", body = DisputeOut), (status = "4XX", description = "Refused; 409 where it has ended", body = Problem, content_type = "application/problem+json")))]
pub async fn refuse(
    call: ProviderCall,
    Named(id): Named<DisputeId>,
    Body(body): Body<RefuseIn>,
) -> Result<Json<DisputeOut>, Problem> {
    let store = &call.state.store;
    let held = store.dispute_of_any_partner(id).await?;
    let letters = |news: &DisputeNews| dispute_letters::letters(&call.state.settings, news);
    store.refuse_dispute(held.partner, id, (&body.answer, &letters), call.token.actor(), call.now).await?;
    Ok(Json(store.dispute(held.partner, id).await?.into()))
}

pub(super) fn amount(text: &str, currency: Currency) -> Result<Money, Problem> {
    let wrong = || Problem::invalid("amount", "Write an amount, as 12.50");
    let decimal = text.trim().parse().map_err(|_| wrong())?;
    Money::from_decimal_exact(currency, decimal).map_err(|_| wrong())
}

impl From<Dispute> for DisputeOut {
    fn from(dispute: Dispute) -> Self {
        Self {
            id: dispute.id.to_string(),
            partner: dispute.partner.to_string(),
            invoice: dispute.invoice.to_string(),
            invoice_code: dispute.invoice_code(),
            position: dispute.position,
            billed: dispute.billed.into(),
            amount: dispute.amount.into(),
            state: dispute.state.code(),
            opened_at: dispute.opened_at,
            ended_at: dispute.ended_at,
            // A draft is no credit yet, nor one that was discarded.
            credit_note: dispute
                .credit_note
                .filter(|_| dispute.state == DisputeState::Accepted)
                .map(|note| note.to_string()),
            credited: dispute.credited.map(AmountOut::from),
            holds_back: dispute.holds_back,
            evidence: format!("/api/invoices/{}/lines/{}", dispute.invoice, dispute.position),
            description: dispute.description,
            reason: dispute.reason,
            answer: dispute.answer,
        }
    }
}
