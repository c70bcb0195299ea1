//! Pages of Stripe's: people are sent there to leave a payment method or to pay for units, and what came of it is asked of Stripe.
//!
//! Nothing that a browser brings back is believed. A webhook is a reason to ask, and so is an hour without one; what Stripe says is kept with
//! the instant at which it was asked, so that order, repeats and delay change nothing.

mod credit;
mod desk;
mod minimum;
mod pages;
mod paid;
mod plan;
pub(crate) mod refund;

pub use credit::open_credit_checkout;
pub use desk::{Desk, PaymentLetters, PaymentNews};
pub use pages::{StripePage, StripePages};
pub use plan::{FirstFee, end_plan_pages, first_fee, first_fee_as_shown, open_plan_checkout};

use crate::{
    BillingError,
    push::{Push, PushSettings, customer},
    stripe::Stripe,
};
use domain::{
    id::{CheckoutId, PartnerId},
    money::Currency,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{
    Actor, Store,
    payment_methods::{Checkout, CheckoutState},
};

/// How long a webhook is waited for.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);
/// Pages and payment methods that one run asks about.
const MOST_AT_ONCE: u32 = 50;
/// How long a page is asked after that Stripe did not know of: the key of its account may be put back.
const LOST_FOR: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How old our knowledge of a payment method becomes when no webhook arrives.
const METHOD_KNOWN: SignedDuration = SignedDuration::from_hours(24);
/// A page is open for a day at most. One that Stripe does not know of by then is none.
const LONGEST_OPEN: SignedDuration = SignedDuration::from_hours(48);
/// No bank takes that long. A payment that Stripe does not know of by then does not come.
const LONGEST_PROCESSING: SignedDuration = SignedDuration::from_hours(28 * 24);

/// The address of Stripe's customer portal for the partner, from which people come back to `back`. Who is let in is in the audit log.
///
/// # Errors
/// Stripe or Postgres does not answer, or Stripe refuses.
pub async fn open_portal(
    store: &Store,
    stripe: &Stripe,
    pages: &StripePages,
    (partner, actor): (PartnerId, Actor),
    back: &str,
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let customer = Push::new(store, stripe, PushSettings::default(), &|| now).customer(partner).await?;
    let page = pages.check(stripe.create_portal_session(&customer, back).await?.url)?;
    store.note_payment_portal(partner, actor, &customer, now).await?;
    Ok(page)
}

/// The address of a page of Checkout's on which the partner leaves a payment method, and is charged nothing. `back` gets
/// `?checkout=<id>` where people come back from it, and nothing where they gave up.
///
/// # Errors
/// Stripe or Postgres does not answer, or Stripe refuses.
pub async fn open_checkout(
    store: &Store,
    stripe: &Stripe,
    pages: &StripePages,
    (partner, actor): (PartnerId, Actor),
    (currency, back): (Currency, &str),
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let customer = Push::new(store, stripe, PushSettings::default(), &|| now).customer(partner).await?;
    let id = store.open_checkout(partner, actor, now).await?;
    let (own, of) = (id.to_string(), partner.to_string());
    let done = format!("{back}?checkout={own}");
    let parameters = [
        ("mode", "setup"),
        ("customer", &customer),
        ("currency", &currency.code().to_lowercase()),
        ("success_url", &done),
        ("cancel_url", back),
        ("metadata[turnpike_checkout]", &own),
        ("metadata[turnpike_partner]", &of),
    ];
    let mut parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    if stripe.computes_tax() {
        // Nothing is paid here; Stripe Tax goes by this address where the customer has none.
        parameters.push(("billing_address_collection".to_owned(), "required".to_owned()));
    }
    let session = stripe.create_checkout(&parameters, &format!("turnpike:{partner}:{id}")).await?;
    store.note_checkout_session(partner, id, &session.id).await?;
    pages.check(session.url.unwrap_or_default())
}

/// Whether an event is about such things; then what it is a reason to ask for was asked.
pub(crate) async fn apply(desk: Desk<'_>, (kind, data): (&str, &Value), now: Timestamp) -> Result<bool, BillingError> {
    let Desk { store, stripe, .. } = desk;
    let object = &data["object"];
    match object["object"].as_str() {
        Some("checkout.session") => {
            let own = object["metadata"]["turnpike_checkout"].as_str().and_then(|id| id.parse::<CheckoutId>().ok());
            let Some(own) = own else { return Ok(true) };
            let Some(checkout) = store.checkout_of_any_partner(own).await? else { return Ok(true) };
            let id = object["id"].as_str().unwrap_or_default();
            settle(desk, &checkout, id, now).await?;
        }
        // Stripe's own invoice of a payment on such a page.
        Some("invoice") => {
            let own = object["metadata"]["turnpike_checkout"].as_str().and_then(|id| id.parse::<CheckoutId>().ok());
            let Some(own) = own else { return Ok(false) };
            let Some(checkout) = store.checkout_of_any_partner(own).await? else { return Ok(true) };
            let Some(session) = checkout.session.clone() else { return Ok(true) };
            settle(desk, &checkout, &session, now).await?;
        }
        // What was paid on such a page goes back, or cannot.
        Some("refund") => {
            let Some(page) = refund::page_of(store, object).await? else { return Ok(false) };
            refund::look(store, stripe, &page, now).await?;
        }
        Some("payment_method") => {
            // One that was taken away is nobody's any more.
            let customer = object["customer"].as_str().or(data["previous_attributes"]["customer"].as_str());
            let Some(customer) = customer else { return Ok(true) };
            if let Some(partner) = store.all_partners_partner_of_customer(customer).await? {
                ask_for_method(store, stripe, partner, now).await?;
            }
        }
        // With a customer its payment methods go.
        Some("customer") if kind == "customer.deleted" => {
            let customer = object["id"].as_str().unwrap_or_default();
            if let Some(partner) = store.all_partners_partner_of_customer(customer).await? {
                ask_for_method(store, stripe, partner, now).await?;
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Asks after pages and payment methods whose webhook may have been lost, longest unseen first: what cannot be settled comes last the
/// next time.
pub(crate) async fn look_again(desk: Desk<'_>, now: Timestamp) -> Result<(), BillingError> {
    let Desk { store, stripe, .. } = desk;
    let before = |age| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
    for checkout in store.all_partners_open_checkouts(before(LOOK_AGAIN), MOST_AT_ONCE).await? {
        store.note_checkout_look(checkout.partner, checkout.id, now).await?;
        let looked = match &checkout.session {
            Some(id) => settle(desk, &checkout, id, now).await,
            None => give_up(store, &checkout, now).await,
        };
        unless_down(looked, checkout.partner)?;
    }
    for checkout in store.all_partners_missing_checkouts((before(LOST_FOR), before(LOOK_AGAIN)), MOST_AT_ONCE).await? {
        store.note_checkout_look(checkout.partner, checkout.id, now).await?;
        let Some(id) = &checkout.session else { continue };
        unless_down(settle(desk, &checkout, id, now).await, checkout.partner)?;
    }
    for checkout in store.all_partners_checkouts_to_pay_back(MOST_AT_ONCE).await? {
        store.note_checkout_look(checkout.partner, checkout.id, now).await?;
        unless_down(refund::pay_back(desk, &checkout, now).await, checkout.partner)?;
    }
    for partner in store.all_partners_payment_methods_to_look_at(before(METHOD_KNOWN), MOST_AT_ONCE).await? {
        store.note_payment_method_look(partner, now).await?;
        unless_down(ask_for_method(store, stripe, partner, now).await, partner)?;
    }
    Ok(())
}

/// What is wrong with one partner's keeps nobody else waiting.
fn unless_down(looked: Result<(), BillingError>, partner: PartnerId) -> Result<(), BillingError> {
    match looked {
        Err(BillingError::Stripe(error)) if error.is_forbidden() => {
            tracing::error!(%partner, %error, "the key at Stripe may not do what a page or a payment method takes: give it that right");
            Ok(())
        }
        Err(BillingError::Stripe(error)) if !error.is_passing() && !error.is_unauthorized() => {
            tracing::warn!(%partner, %error, "Stripe does not say what became of a page or a payment method");
            Ok(())
        }
        Err(BillingError::Differs(what)) => {
            tracing::error!(%partner, what, "a payment at Stripe is not the one that was ordered");
            Ok(())
        }
        other => other,
    }
}

/// Ends a page of which Stripe cannot say anything any more, once it is time to.
async fn give_up(store: &Store, checkout: &Checkout, now: Timestamp) -> Result<(), BillingError> {
    if let Some(state) = given_up(checkout, now) {
        store.end_checkout(checkout.partner, checkout.id, state, now).await?;
    }
    Ok(())
}

/// The same for one that Stripe says there is none of. It may be another account's, and is asked after for a while.
async fn lose(store: &Store, checkout: &Checkout, now: Timestamp) -> Result<(), BillingError> {
    if let Some(state) = given_up(checkout, now) {
        let (partner, id) = (checkout.partner, checkout.id);
        tracing::warn!(%partner, checkout = %id, "Stripe does not know of a page that was opened there: is it the account that it was opened in?");
        store.end_missing_checkout(partner, id, state, now).await?;
    }
    Ok(())
}

/// What such a page becomes: where nobody was known to pay after two days, where a payment was on its way after weeks.
fn given_up(checkout: &Checkout, now: Timestamp) -> Option<CheckoutState> {
    let (partner, id) = (checkout.partner, checkout.id);
    let age = now.duration_since(checkout.opened_at);
    match checkout.state {
        CheckoutState::Open if age >= LONGEST_OPEN => Some(CheckoutState::Expired),
        CheckoutState::Processing if age >= LONGEST_PROCESSING => {
            tracing::error!(%partner, checkout = %id, "Stripe does not know of a payment that was on its way for weeks: it is given up");
            Some(CheckoutState::Failed)
        }
        CheckoutState::Processing => {
            tracing::warn!(%partner, checkout = %id, "Stripe does not know of a payment that is on its way");
            None
        }
        _ => None,
    }
}

/// Takes over what became of a page. One that carries another's name is not ours.
async fn settle(desk: Desk<'_>, checkout: &Checkout, session: &str, now: Timestamp) -> Result<(), BillingError> {
    let Desk { store, stripe, .. } = desk;
    let held = match stripe.checkout_session(session).await {
        Err(error)
            if error.is_missing() && matches!(checkout.state, CheckoutState::Open | CheckoutState::Processing) =>
        {
            return lose(store, checkout, now).await;
        }
        // As before.
        Err(error) if error.is_missing() && checkout.is_missing => return Ok(()),
        held => held?,
    };
    if held.metadata.get("turnpike_checkout") != Some(&checkout.id.to_string()) {
        return give_up(store, checkout, now).await;
    }
    // Another than people were sent to, as where an answer was lost; unless somebody has paid there.
    let is_other = checkout.session.as_ref().is_some_and(|own| *own != held.id);
    if is_other && held.status.as_deref() != Some("complete") {
        return Ok(());
    }
    store.note_checkout_session(checkout.partner, checkout.id, &held.id).await?;
    if checkout.is_missing && store.note_checkout_found(checkout.partner, checkout.id, now).await? {
        tracing::info!(partner = %checkout.partner, checkout = %checkout.id, "Stripe knows of a page again that was missing there");
        // It has ended here: nobody is sent there any more.
        if held.status.as_deref() == Some("open") {
            return paid::expire(desk, checkout, &held.id, now).await.map(drop);
        }
    }
    if let Some(cost) = checkout.cost {
        return paid::settle(desk, (checkout, cost), &held, now).await;
    }
    let state = match held.status.as_deref() {
        Some("complete") => CheckoutState::Complete,
        Some("expired") => CheckoutState::Expired,
        _ => return Ok(()),
    };
    // First what came of it, so that whoever sees that it is complete has the payment method, too.
    if state == CheckoutState::Complete {
        ask_for_method(store, stripe, checkout.partner, now).await?;
    }
    store.end_checkout(checkout.partner, checkout.id, state, now).await?;
    Ok(())
}

/// Asks Stripe for what it charges, and has it charge the newest where it has not been told. A customer of which Stripe
/// says that it is deleted has none; one that it does not know may be another account's, and nothing is concluded from that.
async fn ask_for_method(
    store: &Store,
    stripe: &Stripe,
    partner: PartnerId,
    now: Timestamp,
) -> Result<(), BillingError> {
    let Some(id) = store.stripe_object(partner, customer::SUBJECT).await?.and_then(|held| held.stripe_id) else {
        return Ok(());
    };
    let customer = stripe.customer(&id).await?;
    if customer.deleted {
        store.note_payment_method(partner, None, now).await?;
        return Ok(());
    }
    let methods = stripe.payment_methods_of(&id).await?;
    let chosen = customer.invoice_settings.default_payment_method;
    let chosen = chosen.filter(|chosen| methods.iter().any(|method| method.id == *chosen));
    let charged = match (chosen, methods.first()) {
        (Some(chosen), _) => Some(chosen),
        (None, Some(newest)) => {
            let name = "invoice_settings[default_payment_method]".to_owned();
            stripe.update_customer(&id, &vec![(name, newest.id.clone())]).await?;
            Some(newest.id.clone())
        }
        (None, None) => None,
    };
    store.note_payment_method(partner, charged.as_deref(), now).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::StripeError;

    #[test]
    fn a_right_that_the_key_lacks_keeps_nobody_waiting_and_a_key_that_is_not_accepted_does() {
        let answered = |status| {
            let refused = StripeError::Refused {
                status,
                kind: "invalid_request_error".to_owned(),
                code: String::new(),
                message: "no".to_owned(),
                replayed: false,
            };
            unless_down(Err(refused.into()), PartnerId(uuid::Uuid::nil())).is_ok()
        };
        assert_eq!([400, 403, 404].map(answered), [true; 3]);
        assert_eq!([401, 429, 503].map(answered), [false; 3]);
    }
}
