//! What Stripe holds otherwise than we, for the provider's tokens: how comparing stands, what differs, and what to do about it.

use super::{
    extract::{Body, Named, Params},
    guard::ProviderCall,
    list::{List, Part},
    problem::Problem,
};
use axum::{Json, extract::OriginalUri, http::StatusCode, response::Response};
use domain::id::{DriftId, PartnerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::stripe_drift::{DriftFilter, ListedDrift};
use utoipa::{IntoParams, ToSchema};

/// How comparing with Stripe stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StripeComparisonOut {
    /// Null where nothing was compared yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    compared_at: Option<Timestamp>,
    /// Somebody wants another one, which begins within seconds.
    #[schema(value_type = Option<String>, format = DateTime)]
    asked_at: Option<Timestamp>,
    /// Fields that were compared.
    compared: u64,
    open: u64,
    /// To be written.
    asked: u64,
    accepted: u64,
}

/// Which differences.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StripeDriftParams {
    /// `open`, `asked` or `accepted`; all where it is left out.
    #[param(pattern = "^(open|asked|accepted)$")]
    state: Option<String>,
    /// `customer`, `product`, `price`, `meter` or `invoice`.
    #[param(pattern = "^(customer|product|price|meter|invoice)$")]
    kind: Option<String>,
    /// Only that partner's customer.
    #[param(value_type = Option<String>, pattern = "^partner_[0-9a-f]{32}$")]
    partner: Option<PartnerId>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most, 1 to 200. 50 where it is left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A field that Stripe holds otherwise than we.
#[derive(Debug, Serialize, ToSchema)]
pub struct StripeDriftOut {
    /// Of these two values: where one changes, it is another.
    #[schema(example = "drift_0192f0c1a5b27cc3a5b27cc30192f0c1")]
    id: String,
    /// `customer`, `product`, `price`, `meter`, or `invoice` for money that went back, or was to go back and could not.
    kind: &'static str,
    /// Our name of it: a partner's identifier, Stripe's name of a product, a price's lookup key, a meter's event name, an invoice's identifier
    /// or that of a page on which something was paid.
    #[schema(example = "turnpike_units_payments")]
    object: String,
    /// As Stripe's parameter is called; `object` where all of it is missing, `only` where a customer is there more than once, `refund` where
    /// what was paid on a page could not be paid back: writing that sends it again.
    #[schema(example = "display_name")]
    field: String,
    /// Of customers and of money that went back.
    partner: Option<String>,
    partner_name: String,
    /// Empty where Stripe does not have it.
    stripe_id: String,
    ours: String,
    theirs: String,
    /// `open`, `asked` (ours is written within seconds) or `accepted`.
    state: &'static str,
    /// Whether Stripe lets anybody change it.
    can_be_written: bool,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    last_seen_at: Timestamp,
    /// Why it was accepted.
    note: String,
    /// Why it was not written.
    problem: String,
}

/// Why Stripe's value may stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptDriftIn {
    /// For the audit log.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 500, example = "The partner asked for this name on invoices")]
    note: String,
}

/// How comparing what Stripe holds with ours stands.
#[utoipa::path(get, path = "/api/stripe/comparison", operation_id = "getStripeComparison", tag = "Invoices",
    responses((status = 200, description = "How it stands", body = StripeComparisonOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: ProviderCall) -> Result<Json<StripeComparisonOut>, Problem> {
    let standing = call.state.store.stripe_comparison().await?;
    Ok(Json(StripeComparisonOut {
        compared_at: standing.compared_at,
        asked_at: standing.asked_at,
        compared: standing.compared,
        open: standing.open,
        asked: standing.asked,
        accepted: standing.accepted,
    }))
}

/// Compares within seconds; it reads at Stripe and writes nothing there. What is found is in the list.
#[utoipa::path(post, path = "/api/stripe/comparison", operation_id = "compareWithStripe", tag = "Invoices",
    responses((status = 202, description = "It begins within seconds"), (status = "4XX", description = "Refused; 409 where Stripe is not set up", body = Problem, content_type = "application/problem+json")))]
pub async fn compare(call: ProviderCall) -> Result<StatusCode, Problem> {
    if !call.state.settings.has_stripe_account {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "conflict",
            "Conflict",
            "Stripe is not set up: there is nothing to compare with.",
        ));
    }
    call.state.store.ask_to_compare_with_stripe(call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What Stripe holds otherwise than we, the newest first.
#[utoipa::path(get, path = "/api/stripe/drift", operation_id = "listStripeDrift", tag = "Invoices", params(StripeDriftParams),
    responses((status = 200, description = "Newest first", body = List<StripeDriftOut>), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    call: ProviderCall,
    OriginalUri(uri): OriginalUri,
    Params(params): Params<StripeDriftParams>,
) -> Result<Response, Problem> {
    let filter = DriftFilter {
        state: params.state.map(|code| code.parse()).transpose()?,
        kind: params.kind.map(|code| code.parse()).transpose()?,
        partner: params.partner,
    };
    let part = Part { cursor: params.cursor, limit: params.limit };
    let page = call.state.store.all_partners_stripe_drift(&filter, part.cursor(), part.limit()).await?;
    Ok(List { items: page.items.into_iter().map(StripeDriftOut::from).collect(), next: page.next }.answer(&uri))
}

/// Has our value written to Stripe, on record. Where Stripe holds another value by then it is not written, and is in the list anew.
#[utoipa::path(post, path = "/api/stripe/drift/{drift}/write", operation_id = "writeStripeDrift", tag = "Invoices",
    params(("drift" = String, Path, description = "The identifier of the list", pattern = "^drift_[0-9a-f]{32}$")),
    responses((status = 202, description = "It is written within seconds"), (status = "4XX", description = "Refused; 404 where the values are others by now, or it was asked for before", body = Problem, content_type = "application/problem+json")))]
pub async fn write(call: ProviderCall, Named(drift): Named<DriftId>) -> Result<StatusCode, Problem> {
    call.state.store.ask_to_write_stripe_drift(drift, call.token.actor(), call.now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Lets Stripe's value stand as long as both stay as they are, on record.
#[utoipa::path(post, path = "/api/stripe/drift/{drift}/accept", operation_id = "acceptStripeDrift", tag = "Invoices",
    params(("drift" = String, Path, description = "The identifier of the list", pattern = "^drift_[0-9a-f]{32}$")), request_body = AcceptDriftIn,
    responses((status = 204, description = "Accepted"), (status = "4XX", description = "Refused; 404 where the values are others by now, or somebody decided before", body = Problem, content_type = "application/problem+json")))]
pub async fn accept(
    call: ProviderCall,
    Named(drift): Named<DriftId>,
    Body(body): Body<AcceptDriftIn>,
) -> Result<StatusCode, Problem> {
    call.state.store.accept_stripe_drift(drift, &body.note, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<ListedDrift> for StripeDriftOut {
    fn from(listed: ListedDrift) -> Self {
        let ListedDrift { id, drift, partner_name, state, first_seen_at, last_seen_at, note, problem } = listed;
        Self {
            id: id.to_string(),
            kind: drift.kind.code(),
            can_be_written: billing::drift::can_write(drift.kind, &drift.field),
            object: drift.object,
            field: drift.field,
            partner: drift.partner.map(|partner| partner.to_string()),
            partner_name,
            stripe_id: drift.stripe_id,
            ours: drift.ours,
            theirs: drift.theirs,
            state: state.code(),
            since: first_seen_at,
            last_seen_at,
            note,
            problem,
        }
    }
}
