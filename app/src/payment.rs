//! Payment methods and payments: what pages and the REST API share. Only Stripe's own pages ask for cards; nothing of one passes here.

use crate::{
    form::Failure,
    payment_letters,
    state::{AppState, Settings},
};
use billing::{
    BillingError, ChangeRefused, Recipient,
    payment::{
        Desk, FirstFee, PaymentNews, StripePage, end_plan_pages, first_fee, first_fee_as_shown, open_checkout,
        open_credit_checkout, open_plan_checkout, open_portal,
    },
};
use domain::{
    id::{PartnerId, PlanId},
    money::Money,
};
use jiff::Timestamp;
use store::{Actor, Collector, Invoice, InvoiceStatus, NewCreditPurchase, OfferedPlan, StoreError};

const NOT_SET_UP: &str = "This provider takes no payment methods here.";

const NOT_PAID_HERE: &str = "This provider takes no payments here: buy on an invoice.";

/// Why a plan is not begun.
pub const METHOD_FIRST: &str =
    "This plan asks for a payment method first, or for its first payment. Leave or pay it, and look at the plan then.";

/// Stripe's customer portal, from which people come back to their plan.
///
/// # Errors
/// Why there is none, for people.
pub async fn portal(state: &AppState, who: (PartnerId, Actor), now: Timestamp) -> Result<StripePage, Failure> {
    let access = state.stripe.as_ref().ok_or_else(|| Failure::whole(NOT_SET_UP))?;
    let back = format!("{}/plan", state.settings.portal_url);
    Ok(open_portal(&state.store, &access.stripe, &access.pages, who, &back, now).await?)
}

/// A page on which a payment method is left and nothing is charged; or the plan's first fee is paid, where that is due before it begins.
/// With what is paid there, which has to be what `preview` told.
///
/// # Errors
/// Why there is none, for people.
pub async fn checkout(
    state: &AppState,
    who: (PartnerId, Actor),
    (plan, preview): (&OfferedPlan, &str),
    now: Timestamp,
) -> Result<(StripePage, Option<Money>), Failure> {
    let access = state.stripe.as_ref().ok_or_else(|| Failure::whole(NOT_SET_UP))?;
    let (store, stripe, pages) = (&state.store, &access.stripe, &access.pages);
    let back = format!("{}/plan", state.settings.portal_url);
    let due = match paid_first(state, who.0, plan.id, now).await? {
        Some(_) => first_fee_as_shown(store, who.0, plan.id, preview, now).await?,
        None => None,
    };
    if let Some(fee) = due {
        let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&state.settings, to, news);
        let desk = Desk { store, stripe, letters: &letters };
        match open_plan_checkout(desk, pages, who, (&fee, &back), now).await {
            // In the currency that the account is paid out in: the fee's own invoice is charged, as another that is as small.
            Err(BillingError::Stripe(error)) if error.is_too_small() => {}
            page => return Ok((page?, Some(fee.cost()))),
        }
    }
    let page = open_checkout(store, stripe, pages, who, (plan.terms.currency, &back), now).await?;
    Ok((page, None))
}

/// What the partner has to pay before the plan begins; `None` where a payment method alone is asked for, or nothing.
///
/// # Errors
/// There is no preview of the plan, or Postgres does not answer.
pub async fn paid_first(
    state: &AppState,
    partner: PartnerId,
    plan: PlanId,
    now: Timestamp,
) -> Result<Option<FirstFee>, ChangeRefused> {
    match is_missing(state, partner, plan).await? {
        true => first_fee(&state.store, partner, plan, now).await,
        false => Ok(None),
    }
}

/// Before the partner begins a plan in another way: pages on which one is paid end, or what became of them is taken over.
///
/// # Errors
/// Stripe or Postgres does not answer.
pub async fn end_pages(state: &AppState, partner: PartnerId, now: Timestamp) -> Result<(), Failure> {
    let Some(access) = state.stripe.as_ref() else { return Ok(()) };
    let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&state.settings, to, news);
    let desk = Desk { store: &state.store, stripe: &access.stripe, letters: &letters };
    Ok(end_plan_pages(desk, partner, now).await?)
}

/// A page on which packages of units are paid. They can be used from when Stripe says so.
///
/// # Errors
/// Nothing can be bought like that, or Stripe does not answer.
pub async fn buy(
    state: &AppState,
    who: (PartnerId, Actor),
    new: &NewCreditPurchase,
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let access = state.stripe.as_ref().ok_or_else(|| StoreError::conflict("", NOT_PAID_HERE))?;
    let back = format!("{}/credit", state.settings.portal_url);
    let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&state.settings, to, news);
    let desk = Desk { store: &state.store, stripe: &access.stripe, letters: &letters };
    open_credit_checkout(desk, &access.pages, who, (new, &back), now).await
}

/// Whether Stripe says when the invoice is paid, and nobody else. What Stripe has taken and refuses for good, somebody else may; the store
/// refuses that where some of it is on an invoice of Stripe's that nobody here knows.
pub fn stripe_collects(settings: &Settings, invoice: &Invoice) -> bool {
    let is_refused = invoice.status == InvoiceStatus::Open && invoice.push_problem.is_some();
    if is_refused && invoice.collected_by == Some(Collector::Stripe) {
        return false;
    }
    invoice.collected_by.map_or(settings.stripe_is_on, |collector| collector == Collector::Stripe)
}

/// Whether the partner has to leave a payment method before the plan. Where invoices do not go to Stripe nobody can, and none is asked for.
///
/// # Errors
/// Postgres does not answer.
pub async fn is_missing(state: &AppState, partner: PartnerId, plan: PlanId) -> Result<bool, StoreError> {
    let asks = state.stripe.is_some() && state.store.asks_for_payment_method(plan).await?;
    Ok(asks && state.store.payment_method(partner).await?.is_none())
}

impl From<BillingError> for Failure {
    fn from(error: BillingError) -> Self {
        match error {
            BillingError::Store(error) => error.into(),
            error => {
                tracing::error!(%error, "a page of Stripe's could not be opened");
                Self::whole("Stripe did not open its page, and nothing was changed. Try again in a moment.")
            }
        }
    }
}
