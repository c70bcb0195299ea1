//! A partner's standing order for prepaid credit.

use super::{
    extract::{Body, Params},
    guard::PartnerCall,
    invoices::AmountOut,
    keys::Whose,
    problem::Problem,
};
use axum::{Json, http::StatusCode};
use domain::{credit::top_up::TopUp, money::Money};
use serde::{Deserialize, Serialize};
use store::{StoreError, TopUpStanding};
use utoipa::ToSchema;

/// What is to be bought by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TopUpIn {
    /// Units: it buys when fewer than that are left.
    #[schema(example = 100_000)]
    below: u64,
    /// The package's code.
    #[schema(example = "million")]
    package: String,
    /// How many of it at a time.
    quantity: u32,
    /// What it may cost in a calendar month of the partner's time zone: decimal text in the package's currency.
    #[schema(example = "5000.00")]
    monthly_cap: String,
    /// What one purchase should cost, as decimal text in the package's currency: 409 where it costs something else by now. Where it is left out,
    /// what it costs now is agreed.
    #[serde(default)]
    #[schema(example = "1000.00")]
    cost: Option<String>,
}

/// A standing order, and how it stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopUpOut {
    below: u64,
    package: String,
    quantity: u32,
    monthly_cap: AmountOut,
    /// What one purchase cost when it was ordered. Where it costs more by now, or has fewer units, nothing is bought.
    agreed: Option<AmountOut>,
    /// What it has bought in the running month.
    spent: AmountOut,
    /// Why the last try bought nothing.
    problem: Option<String>,
}

/// The standing order. 404 where there is none.
#[utoipa::path(get, path = "/api/credit/top-up", operation_id = "getCreditTopUp", tag = "Plans", params(Whose),
    responses((status = 200, description = "The order", body = TopUpOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn show(call: PartnerCall, _: Params<Whose>) -> Result<Json<TopUpOut>, Problem> {
    let standing = call.state.store.credit_top_up(call.partner, call.now).await?;
    standing.map(|standing| Json(standing.into())).ok_or_else(Problem::not_found)
}

/// Orders packages by itself when the balance is low, or changes the order.
#[utoipa::path(put, path = "/api/credit/top-up", operation_id = "putCreditTopUp", tag = "Plans", params(Whose), request_body = TopUpIn,
    responses((status = 200, description = "The order", body = TopUpOut), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn put(call: PartnerCall, Body(body): Body<TopUpIn>) -> Result<Json<TopUpOut>, Problem> {
    let store = &call.state.store;
    let packages = store.credit_packages().await?;
    let package = packages.into_iter().find(|(code, _)| *code == body.package);
    let (_, package) = package.ok_or_else(|| Problem::invalid("package", "No such package is sold"))?;
    let wrong = || Problem::invalid("monthly_cap", "Write a number with no more digits than the currency has");
    let amount = body.monthly_cap.parse().map_err(|_| wrong())?;
    let monthly_cap = Money::from_decimal_exact(package.currency, amount).map_err(|_| wrong())?;
    let seen = match &body.cost {
        None => None,
        Some(cost) => {
            let wrong = || Problem::invalid("cost", "This is no amount of the package's currency");
            let amount = cost.parse().map_err(|_| wrong())?;
            let cost = Money::from_decimal_exact(package.currency, amount).map_err(|_| wrong())?;
            let now = package.cost(body.quantity).map_err(|_| Problem::invalid("quantity", "Buy fewer at once"))?;
            if cost != now {
                let message = format!("It costs {now}: the offer is another one by now");
                return Err(StoreError::conflict("cost", message).into());
            }
            Some(package)
        }
    };
    let top_up = TopUp { below: body.below, package: body.package, quantity: body.quantity, monthly_cap };
    store.put_credit_top_up(call.partner, (&top_up, seen.as_ref()), call.token.actor(), call.now).await?;
    let standing = store.credit_top_up(call.partner, call.now).await?;
    standing.map(|standing| Json(standing.into())).ok_or_else(Problem::not_found)
}

/// Ends the order. What it has bought stays bought. A second time changes nothing.
#[utoipa::path(delete, path = "/api/credit/top-up", operation_id = "stopCreditTopUp", tag = "Plans", params(Whose),
    responses((status = 204, description = "Nothing is bought by itself any more"), (status = "4XX", description = "Refused", body = Problem, content_type = "application/problem+json")))]
pub async fn stop(call: PartnerCall, _: Params<Whose>) -> Result<StatusCode, Problem> {
    call.state.store.stop_credit_top_up(call.partner, call.token.actor(), call.now).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<TopUpStanding> for TopUpOut {
    fn from(standing: TopUpStanding) -> Self {
        let TopUpStanding { top_up, agreed, spent, problem } = standing;
        Self {
            below: top_up.below,
            package: top_up.package,
            quantity: top_up.quantity,
            monthly_cap: top_up.monthly_cap.into(),
            agreed: agreed.map(Into::into),
            spent: spent.into(),
            problem,
        }
    }
}
