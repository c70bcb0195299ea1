//! Units that are paid on a page of Checkout's. There is an invoice only once they are paid, so that a page which nobody pays leaves
//! nothing owed and nobody is asked twice; Stripe makes an invoice of its own then, through which it can be paid back.

use super::{StripePage, StripePages};
use crate::{
    BillingError,
    push::{Push, PushSettings},
    stripe::{CheckoutSession, Stripe},
};
use domain::{id::PartnerId, money::Money};
use jiff::Timestamp;
use store::{
    Actor, CreditCheckout, NewCreditPurchase, Parameters, Store, StoreError,
    payment_methods::{Checkout, CheckoutState},
};

/// The address of a page of Checkout's on which the partner pays for packages of units. `back` gets `?checkout=<id>` where people come back
/// from it, and nothing where they gave up. The same reference leads to the same page as long as that can be paid.
///
/// # Errors
/// Stripe or Postgres does not answer, Stripe refuses, or nothing can be bought like that.
pub async fn open_credit_checkout(
    store: &Store,
    stripe: &Stripe,
    pages: &StripePages,
    (partner, actor): (PartnerId, Actor),
    (new, back): (&NewCreditPurchase, &str),
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let mut opened = store.open_credit_checkout(partner, new, actor, now).await?;
    if let Some(session) = &opened.session {
        let held = stripe.checkout_session(session).await?;
        if held.status.as_deref() == Some("open") {
            return pages.check(held.url.unwrap_or_default());
        }
        // Paid or expired, and the webhook is on its way.
        let checkout = store.checkout(partner, opened.id).await?;
        super::settle(store, stripe, &checkout, session, now).await?;
        opened = store.open_credit_checkout(partner, new, actor, now).await?;
        if opened.session.is_some() {
            let message = "The payment is on its way: the units come with it";
            return Err(StoreError::conflict("reference", message).into());
        }
    }
    let customer = Push::new(store, stripe, PushSettings::default(), &|| now).customer(partner).await?;
    let session = match create(stripe, &opened, partner, (&customer, back)).await {
        // There is no page, and there will be none: the reference is free for another try.
        Err(error) if is_final(&error) => {
            store.end_checkout(partner, opened.id, CheckoutState::Failed, now).await?;
            return Err(error);
        }
        session => session?,
    };
    store.note_checkout_session(partner, opened.id, &session.id).await?;
    pages.check(session.url.unwrap_or_default())
}

/// Has Stripe make the page. Whoever asks at the same time is given the same one.
async fn create(
    stripe: &Stripe,
    opened: &CreditCheckout,
    partner: PartnerId,
    (customer, back): (&str, &str),
) -> Result<CheckoutSession, BillingError> {
    let parameters = parameters(opened, partner, customer, back)?;
    let key = format!("turnpike:{partner}:{}", opened.id);
    match stripe.create_checkout(&parameters, &key).await {
        // Whatever was made under that key, nobody has its address, and nobody can pay there.
        Err(error) if error.is_remembered_failure() => {
            Ok(stripe.create_checkout(&parameters, &format!("{key}:2")).await?)
        }
        session => Ok(session?),
    }
}

/// Whether there is no page under these keys that anybody could pay on, and never will be: Stripe refuses or remembers a failure for both,
/// or the amount cannot be said in coins. Whoever asks at the same time hears the same.
fn is_final(error: &BillingError) -> bool {
    match error {
        BillingError::Stripe(error) => error.is_refusal() || error.is_remembered_failure(),
        error => matches!(error, BillingError::Differs(_)),
    }
}

fn parameters(
    opened: &CreditCheckout,
    partner: PartnerId,
    customer: &str,
    back: &str,
) -> Result<Parameters, BillingError> {
    let (own, of) = (opened.id.to_string(), partner.to_string());
    let amount = coins(opened.cost)?.to_string();
    let done = format!("{back}?checkout={own}");
    let parameters = [
        ("mode", "payment"),
        ("customer", customer),
        ("success_url", &done),
        ("cancel_url", back),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", &opened.cost.currency.code().to_lowercase()),
        ("line_items[0][price_data][unit_amount]", &amount),
        ("line_items[0][price_data][product_data][name]", &opened.description),
        ("invoice_creation[enabled]", "true"),
        ("invoice_creation[invoice_data][metadata][turnpike_checkout]", &own),
        ("metadata[turnpike_checkout]", &own),
        ("metadata[turnpike_partner]", &of),
    ];
    Ok(parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec())
}

/// Takes over what Stripe says of such a page.
pub(super) async fn settle(
    store: &Store,
    checkout: &Checkout,
    cost: Money,
    held: &CheckoutSession,
    now: Timestamp,
) -> Result<(), BillingError> {
    let state = match (held.status.as_deref(), held.payment_status.as_deref()) {
        (Some("complete"), Some("paid")) => {
            check_amount(cost, held)?;
            let invoice = held.invoice.as_deref();
            return match store.complete_credit_checkout(checkout.partner, checkout.id, invoice, now).await {
                Err(StoreError::Conflict { message, .. }) => Err(BillingError::Differs(message)),
                done => Ok(done.map(drop)?),
            };
        }
        (Some("complete"), Some("unpaid")) if held.has_failed() => CheckoutState::Failed,
        (Some("complete"), Some("unpaid")) => CheckoutState::Processing,
        (Some("complete"), other) => {
            let message = format!("Stripe's page {} is complete and {}", held.id, other.unwrap_or("says no more"));
            return Err(BillingError::Differs(message));
        }
        (Some("expired"), _) => CheckoutState::Expired,
        _ => return Ok(()),
    };
    store.end_checkout(checkout.partner, checkout.id, state, now).await?;
    Ok(())
}

/// Whether that was paid which was ordered.
fn check_amount(cost: Money, held: &CheckoutSession) -> Result<(), BillingError> {
    let expected = coins(cost)?;
    let is_same = held.currency.as_deref().is_some_and(|currency| currency.eq_ignore_ascii_case(cost.currency.code()));
    if is_same && held.amount_total == Some(expected) {
        return Ok(());
    }
    let (paid, currency) =
        (held.amount_total.unwrap_or_default(), held.currency.as_deref().unwrap_or("?").to_uppercase());
    Err(BillingError::Differs(format!(
        "On Stripe's page {} {paid} {currency} in the smallest coin were paid for what costs {cost}: no units were given.",
        held.id
    )))
}

fn coins(amount: Money) -> Result<i64, BillingError> {
    amount.minor_units().ok_or_else(|| BillingError::Differs(format!("{amount} is not a whole number of coins")))
}
