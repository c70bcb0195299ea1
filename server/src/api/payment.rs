//! Payment methods at Stripe: whether there is one, and the pages on which it is left or changed. Nothing of a card passes here.

use super::{
    extract::{Body, Named, Params},
    guard::{PartnerCall, ProviderCall},
    invoices::AmountOut,
    keys::Whose,
    problem::Problem,
};
use app::{form::Failure, payment};
use axum::{Json, http::StatusCode};
use domain::id::CheckoutId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use store::payment_methods::CheckoutFor;
use utoipa::ToSchema;

/// Whether there is a payment method.
#[derive(Debug, Serialize, ToSchema)]
pub struct PaymentMethodOut {
    /// As Stripe has told us.
    on_file: bool,
}

/// A page of Stripe's.
#[derive(Debug, Serialize, ToSchema)]
pub struct StripePageOut {
    /// To be opened in a browser; it lets in whoever has it, for a while.
    #[schema(example = "https://billing.stripe.com/p/session/…")]
    url: String,
}

/// A page of Stripe's for a plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanPageOut {
    /// To be opened in a browser; it lets in whoever has it, for a while.
    #[schema(example = "https://checkout.stripe.com/c/pay/…")]
    url: String,
    /// What is paid there before the plan begins; null where a payment method is left and nothing is charged.
    due: Option<AmountOut>,
}

/// What became of such a page.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlanCheckoutOut {
    id: String,
    /// `open`, `processing`, `complete`, `expired`, `failed` or `paid_back`: the plan begins, or the payment method is on file, once it is
    /// complete; else nothing is owed, and what was paid goes back.
    #[schema(example = "complete")]
    state: &'static str,
    /// The code of the plan that is paid there; null where a payment method is left.
    plan: Option<String>,
    /// What is paid there.
    cost: Option<AmountOut>,
    /// Why what was paid goes back.
    pay_back: Option<String>,
    /// Why Stripe could not pay it back; the provider is told and decides.
    pay_back_failed: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
}

/// What a payment method is left for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutIn {
    /// The code of a plan that is offered.
    #[schema(example = "growth")]
    plan: String,
    /// `preview` of the answer of `POST /api/plan/preview`, where something is paid before the plan begins: it is what that told, or 409.
    #[serde(default)]
    preview: Option<String>,
}

/// Whether a plan asks for a payment method.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AsksIn {
    /// Who chooses the plan leaves one first; who is on it stays.
    asks: bool,
}

/// Whether the partner has a payment method on file.
#[utoipa::path(get, path = "/api/payment-method", operation_id = "getPaymentMethod", tag = "Plans", params(Whose),
    responses((status = 200, description = "Whether there is one", body = PaymentMethodOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall) -> Result<Json<PaymentMethodOut>, Problem> {
    let on_file = call.state.store.payment_method(call.partner).await?.is_some();
    Ok(Json(PaymentMethodOut { on_file }))
}

/// Opens Stripe's customer portal for the partner, where cards are changed.
#[utoipa::path(post, path = "/api/payment-method/portal", operation_id = "openPaymentPortal", tag = "Plans", params(Whose),
    responses((status = 201, description = "The page", body = StripePageOut), (status = "4XX", description = "Refused; 409 where invoices do not go to Stripe, or it does not answer", body = Problem, content_type = "application/problem+json")))]
pub async fn portal(call: PartnerCall) -> Result<(StatusCode, Json<StripePageOut>), Problem> {
    let page = payment::portal(&call.state, (call.partner, call.token.actor()), call.now).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(StripePageOut { url: page.url().to_owned() })))
}

/// Opens a page of Stripe's on which a payment method is left for a plan, or, where the plan asks for one and its first fee is due before it
/// begins, that fee is paid. A payment method is on file, and such a plan begins, once Stripe has said so. People come back from it to
/// `/plan?checkout=…`.
#[utoipa::path(post, path = "/api/payment-method/checkout", operation_id = "openPaymentCheckout", tag = "Plans", params(Whose),
    request_body = CheckoutIn,
    responses((status = 201, description = "The page", body = PlanPageOut), (status = "4XX", description = "Refused; 409 where invoices do not go to Stripe, it does not answer, a payment is on its way, or what is due is not what the preview told", body = Problem, content_type = "application/problem+json")))]
pub async fn checkout(
    call: PartnerCall,
    Body(wanted): Body<CheckoutIn>,
) -> Result<(StatusCode, Json<PlanPageOut>), Problem> {
    let offered = call.state.store.offered_plans(Some(call.partner)).await?;
    let offer = offered.into_iter().find(|offer| offer.code == wanted.plan);
    let offer = offer.ok_or_else(|| Problem::invalid("plan", "There is no such plan to choose"))?;
    let (who, preview) = ((call.partner, call.token.actor()), wanted.preview.as_deref().unwrap_or_default());
    let (page, due) = payment::checkout(&call.state, who, (&offer, preview), call.now).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(PlanPageOut { url: page.url().to_owned(), due: due.map(AmountOut::from) })))
}

/// What became of a page on which a payment method is left or a plan is paid, by the identifier with which people come back.
#[utoipa::path(get, path = "/api/payment-method/checkouts/{checkout}", operation_id = "getPaymentCheckout", tag = "Plans",
    params(("checkout" = String, Path, description = "The page's identifier", pattern = "^checkout_[0-9a-f]{32}$"), Whose),
    responses((status = 200, description = "What became of it", body = PlanCheckoutOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn came_of(
    call: PartnerCall,
    Named(id): Named<CheckoutId>,
    _: Params<Whose>,
) -> Result<Json<PlanCheckoutOut>, Problem> {
    let held = call.state.store.checkout(call.partner, id).await?;
    let plan = match held.purpose {
        CheckoutFor::Units => return Err(Problem::not_found()),
        CheckoutFor::Method => None,
        CheckoutFor::Plan { code, .. } => Some(code),
    };
    Ok(Json(PlanCheckoutOut {
        id: held.id.to_string(),
        state: held.state.code(),
        plan,
        cost: held.cost.map(AmountOut::from),
        pay_back: held.pay_back,
        pay_back_failed: held.refund_failed,
        opened_at: held.opened_at,
    }))
}

/// Has a plan ask for a payment method before it begins, or not.
#[utoipa::path(put, path = "/api/plans/{plan}/payment-method", operation_id = "setPlanPaymentMethod", tag = "Plans",
    params(("plan" = String, Path, description = "The plan's code")), request_body = AsksIn,
    responses((status = 200, description = "Set", body = AsksIn), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn ask(
    call: ProviderCall,
    Named(code): Named<String>,
    Body(wanted): Body<AsksIn>,
) -> Result<Json<AsksIn>, Problem> {
    let plan = call.state.store.find_plan_by_code(&code).await?.ok_or_else(Problem::not_found)?;
    call.state.store.set_asks_for_payment_method(plan.id, wanted.asks, call.token.actor(), call.now).await?;
    Ok(Json(wanted))
}

/// Why there is no page.
pub(super) fn refused(failure: Failure) -> Problem {
    let Failure(problems) = failure;
    let detail = problems.into_iter().next().map(|(_, detail)| detail).unwrap_or_default();
    Problem::new(StatusCode::CONFLICT, "conflict", "Conflict", detail)
}
