//! Invoices, credit notes and voids on their way to the provider's own receiver, for the provider's tokens: what came of each, and sending
//! one again.

use super::{
    extract::{Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    problem::Problem,
};
use axum::{extract::OriginalUri, http::StatusCode, response::Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::document_deliveries::{DeliveryState, Document, ListedDelivery};
use utoipa::{IntoParams, ToSchema};

/// Which deliveries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryParams {
    /// `waiting`, `delivered` or `dead`; all where it is left out.
    #[param(pattern = "^(waiting|delivered|dead)$")]
    state: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A document on its way.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeliveryOut {
    /// The invoice's or credit note's, and that of the message (`webhook-id`).
    #[schema(example = "invoice_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// `invoice`, `credit_note` or `void`.
    kind: &'static str,
    /// As on paper; of a void that of its invoice.
    #[schema(example = "TP-000042")]
    code: String,
    partner: String,
    partner_name: String,
    /// `waiting`, `delivered`, or `dead`: given up until it is sent again.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    made_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    delivered_at: Option<Timestamp>,
    /// Tries that failed since the last one that worked.
    failures: u32,
    /// Of those that wait.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_try_at: Option<Timestamp>,
    /// It comes after its invoice, which has not arrived.
    waits_for_invoice: bool,
    /// What went wrong last.
    message: String,
    /// How often somebody had it sent again.
    replays: u32,
}

/// Invoices, credit notes and voids that were or are to be sent to the provider's own receiver, the newest first.
#[utoipa::path(get, path = "/api/deliveries", operation_id = "listDeliveries", tag = "Invoices", params(DeliveryParams),
    responses((status = 200, description = "Newest first", body = List<DeliveryOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<DeliveryParams>,
) -> Result<Response, Problem> {
    let state: Option<DeliveryState> = params.state.map(|code| code.parse()).transpose()?;
    let part = Part { cursor: params.cursor, limit: params.limit };
    let page = call.state.store.all_partners_deliveries(state, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(DeliveryOut::from).collect(), next: page.next }.answer(&uri))
}

/// Has a document sent again, whatever became of it: the same message under the same identifier.
#[utoipa::path(post, path = "/api/deliveries/{document}/replay", operation_id = "replayDelivery", tag = "Invoices",
    params(("document" = String, Path, description = "The invoice's or the credit note's identifier", pattern = "^(invoice|credit_note)_[0-9a-f]{32}$")),
    responses((status = 202, description = "It goes within seconds"), (status = "4XX", description = "Refused; 404 where it is not in the list", body = Problem, content_type = "application/problem+json")))]
pub async fn replay(call: ProviderCall, Named(document): Named<Document>) -> Result<StatusCode, Problem> {
    call.state.store.replay_delivery(document, call.token.actor(), call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

impl From<ListedDelivery> for DeliveryOut {
    fn from(listed: ListedDelivery) -> Self {
        let is_waiting = listed.state == DeliveryState::Waiting;
        Self {
            id: listed.document.to_string(),
            kind: listed.kind.code(),
            code: listed.code,
            partner: listed.partner.to_string(),
            partner_name: listed.partner_name,
            state: listed.state.code(),
            made_at: listed.enlisted_at,
            delivered_at: listed.delivered_at,
            failures: listed.failures,
            next_try_at: is_waiting.then_some(listed.next_try_at),
            waits_for_invoice: listed.waits_for_invoice,
            message: listed.message,
            replays: listed.replays,
        }
    }
}
