//! Pages of Stripe's on which packages of units are paid, and what became of them.

use super::{
    credit_packages::BuyCreditIn,
    extract::{Body, Named, Params},
    guard::PartnerCall,
    invoices::AmountOut,
    keys::Whose,
    payment::refused,
    problem::Problem,
};
use app::payment;
use axum::{Json, http::StatusCode};
use billing::BillingError;
use domain::id::CheckoutId;
use jiff::Timestamp;
use serde::Serialize;
use store::payment_methods::CheckoutFor;
use utoipa::ToSchema;

/// A page of Stripe's on which units are paid.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditPageOut {
    /// To be opened in a browser, for a day at most. Who gives up there owes nothing.
    #[schema(example = "https://checkout.stripe.com/c/pay/…")]
    url: String,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditCheckoutOut {
    id: String,
    /// `open`, `processing`, `complete`, `expired`, `failed` or `paid_back`: the units can be used once it is complete; else nothing is owed,
    /// and what was paid goes back.
    #[schema(example = "complete")]
    state: &'static str,
    cost: AmountOut,
    /// Why what was paid goes back.
    pay_back: Option<String>,
    /// Why Stripe could not pay it back; the provider is told and decides.
    pay_back_failed: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    opened_at: Timestamp,
}

/// Opens a page of Stripe's on which packages are paid. The units can be used from when Stripe says that they are; a page that nobody pays
/// leaves nothing owed. The same reference again is the same page as long as that can be paid; under another one the pages for the same
/// package end that are open, and what is paid on two of them all the same goes back for one. People come back from it to
/// `/credit?checkout=…`.
#[utoipa::path(post, path = "/api/credit/checkouts", operation_id = "openCreditCheckout", tag = "Plans", params(Whose),
    request_body = BuyCreditIn,
    responses((status = 201, description = "The page", body = CreditPageOut), (status = "4XX", description = "Refused; 409 where invoices do not go to Stripe, it does not answer, or it was bought already", body = Problem, content_type = "application/problem+json")))]
pub async fn open(
    call: PartnerCall,
    Body(body): Body<BuyCreditIn>,
) -> Result<(StatusCode, Json<CreditPageOut>), Problem> {
    let new = body.read(&call.state.store).await?;
    let page = payment::buy(&call.state, (call.partner, call.token.actor()), &new, call.now).await;
    let page = page.map_err(|error| match error {
        BillingError::Store(error) => Problem::from(error),
        error => refused(error.into()),
    })?;
    Ok((StatusCode::CREATED, Json(CreditPageOut { url: page.url().to_owned() })))
}

/// What became of a page on which packages are paid, by the identifier with which people come back.
#[utoipa::path(get, path = "/api/credit/checkouts/{checkout}", operation_id = "getCreditCheckout", tag = "Plans",
    params(("checkout" = String, Path, description = "The page's identifier", pattern = "^checkout_[0-9a-f]{32}$"), Whose),
    responses((status = 200, description = "What became of it", body = CreditCheckoutOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    call: PartnerCall,
    Named(id): Named<CheckoutId>,
    _: Params<Whose>,
) -> Result<Json<CreditCheckoutOut>, Problem> {
    let held = call.state.store.checkout(call.partner, id).await?;
    let cost = held.cost.filter(|_| held.purpose == CheckoutFor::Units).ok_or_else(Problem::not_found)?;
    Ok(Json(CreditCheckoutOut {
        id: held.id.to_string(),
        state: held.state.code(),
        cost: cost.into(),
        pay_back: held.pay_back,
        pay_back_failed: held.refund_failed,
        opened_at: held.opened_at,
    }))
}
