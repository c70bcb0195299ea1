//! What was paid on a page and goes back: asked of Stripe once, followed until it is there, and sent again where an operator asks for it.
//!
//! A refund may fail days after Stripe took it in. Nobody tries again by himself then: the same card would fail again, and the provider may
//! have paid in another way. It stands in the list of what Stripe holds otherwise, where it is sent again or accepted. Stripe tells of it once,
//! perhaps before we have noted the refund: so it is looked at right after it is noted, and now and then as long as it may fail.

use super::Desk;
use crate::{
    BillingError,
    stripe::{Refund, Stripe, StripeError},
};
use domain::id::CheckoutId;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use store::{
    Store,
    payment_methods::Checkout,
    stripe_drift::{Drift, DriftKind},
};

/// The field of a page whose refund failed.
pub(crate) const FIELD: &str = "refund";
/// Pages that are read at once.
const AT_ONCE: u32 = 200;
/// Banks send refunds back for a month.
pub(crate) const MAY_FAIL_FOR: SignedDuration = SignedDuration::from_hours(35 * 24);

/// Has Stripe pay back what was paid on the page, all of it, once.
pub(super) async fn pay_back(desk: Desk<'_>, checkout: &Checkout, now: Timestamp) -> Result<(), BillingError> {
    if checkout.pay_back.is_none() || checkout.paid_back_at.is_some() {
        return Ok(());
    }
    let Desk { store, stripe, .. } = desk;
    let refund = ask(store, stripe, checkout, 1).await?;
    store.note_paid_back(checkout.partner, checkout.id, &refund, now).await?;
    look(store, stripe, &store.checkout(checkout.partner, checkout.id).await?, now).await
}

/// Asks for the refund; Stripe's name of it.
async fn ask(store: &Store, stripe: &Stripe, checkout: &Checkout, asked: u32) -> Result<String, BillingError> {
    let (partner, id) = (checkout.partner, checkout.id);
    let Some(payment) = &checkout.payment else {
        let message = format!("Stripe does not say how {id} was paid: pay it back there, it was paid twice");
        return Err(BillingError::Differs(message));
    };
    let own = id.to_string();
    let parameters =
        [("payment_intent", payment.as_str()), ("reason", "duplicate"), ("metadata[turnpike_checkout]", &own)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let refused = match stripe.refund(&parameters, &key(checkout, asked)).await {
        Ok(refund) => return Ok(refund.id),
        Err(error) => error,
    };
    // By us, when the answer was lost, or by somebody in Stripe's dashboard.
    if refused.is_refunded_already()
        && let Some(refund) = standing(stripe, checkout, payment).await?
    {
        return Ok(refund);
    }
    // Nothing was made of this attempt, and Stripe gives its answer again for a day, whatever has changed.
    if refused.is_refusal() && !refused.is_unauthorized() {
        store.note_refund_refused(partner, id, checkout.refund_attempt).await?;
    }
    if refused.is_refunded_already() {
        let message =
            "Stripe says that it was paid back and lists no refund of it that stands: pay it back in another way";
        return Err(BillingError::Differs(message.to_owned()));
    }
    Err(refused.into())
}

/// The idempotency key of an attempt: whoever makes the same one sends the same.
fn key(checkout: &Checkout, asked: u32) -> String {
    let Checkout { partner, id, refund_attempt, .. } = checkout;
    match (asked, *refund_attempt) {
        (1, 1) => format!("turnpike:{partner}:{id}:back"),
        (asked, 1) => format!("turnpike:{partner}:{id}:back:{asked}"),
        (asked, attempt) => format!("turnpike:{partner}:{id}:back:{asked}.{attempt}"),
    }
}

/// The name of a refund of the payment that has not failed, where Stripe lists one: ours, if it is there.
async fn standing(stripe: &Stripe, checkout: &Checkout, payment: &str) -> Result<Option<String>, StripeError> {
    let mut refunds = stripe.refunds_of(payment).await?;
    refunds.retain(|refund| !refund.has_failed());
    let own = checkout.id.to_string();
    let ours = refunds.iter().find(|refund| refund.metadata.get("turnpike_checkout") == Some(&own));
    Ok(ours.or(refunds.first()).map(|refund| refund.id.clone()))
}

/// The page whose payment a refund of Stripe's pays back: one that we asked for says so, one that somebody made there was noted.
pub(super) async fn page_of(store: &Store, refund: &Value) -> Result<Option<Checkout>, BillingError> {
    let own = refund["metadata"]["turnpike_checkout"].as_str().and_then(|id| id.parse::<CheckoutId>().ok());
    let page = match (own, refund["id"].as_str()) {
        (Some(own), _) => store.checkout_of_any_partner(own).await?,
        (None, Some(id)) => store.checkout_of_refund_of_any_partner(id).await?,
        (None, None) => None,
    };
    Ok(page)
}

/// Asks Stripe what became of a page's refund.
pub(super) async fn look(
    store: &Store,
    stripe: &Stripe,
    checkout: &Checkout,
    now: Timestamp,
) -> Result<(), BillingError> {
    let (Some(_), Some(payment)) = (checkout.paid_back_at, &checkout.payment) else { return Ok(()) };
    let refunds = stripe.refunds_of(payment).await?;
    let Some(refund) = last(checkout, &refunds).filter(|refund| refund.has_failed()) else { return Ok(()) };
    let (partner, id) = (checkout.partner, checkout.id);
    let why = match refund.failure_reason.as_deref() {
        Some(reason) => reason.replace('_', " "),
        None => refund.status.clone().unwrap_or_default(),
    };
    if store.note_refund_failed(partner, id, (&refund.id, &why), now).await? {
        tracing::error!(%partner, checkout = %id, refund = refund.id, why, "Stripe could not pay back what was paid: see Stripe drift");
    }
    // In the list at once, and not after the next comparison.
    if let Some(drift) = drift(&store.checkout(partner, id).await?) {
        store.keep_stripe_drift_of(&drift, std::slice::from_ref(&drift), "", now).await?;
    }
    Ok(())
}

/// The refund that counts: the one that was noted, and where a server of the version before noted none, one that stands, or else the newest.
fn last<'a>(checkout: &Checkout, refunds: &'a [Refund]) -> Option<&'a Refund> {
    match &checkout.refund {
        Some(noted) => refunds.iter().find(|refund| refund.id == *noted),
        None => refunds.iter().find(|refund| !refund.has_failed()).or(refunds.first()),
    }
}

/// Looks at every page whose refund may fail yet, longest unseen first. What Stripe does not say of one keeps the others from nothing.
pub(crate) async fn sweep(store: &Store, stripe: &Stripe, now: Timestamp) -> Result<(), BillingError> {
    let since = now.saturating_sub(MAY_FAIL_FOR).unwrap_or(Timestamp::MIN);
    for checkout in store.all_partners_checkouts_paid_back(since, AT_ONCE).await? {
        store.note_checkout_look(checkout.partner, checkout.id, now).await?;
        super::unless_down(look(store, stripe, &checkout, now).await, checkout.partner)?;
    }
    Ok(())
}

/// All that failed, as it is listed: what is left out would be forgotten with what an operator decided about it.
pub(crate) async fn failed(store: &Store) -> Result<Vec<Drift>, BillingError> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = store.all_partners_checkouts_whose_refund_failed(after.as_ref(), AT_ONCE).await?;
        found.extend(page.iter().filter_map(drift));
        after = page.into_iter().next_back();
        if after.is_none() {
            return Ok(found);
        }
    }
}

fn drift(checkout: &Checkout) -> Option<Drift> {
    let (why, cost) = (checkout.refund_failed.as_ref()?, checkout.cost?);
    let refund = checkout.refund.clone().unwrap_or_default();
    Some(Drift {
        kind: DriftKind::Invoice,
        object: checkout.id.to_string(),
        field: FIELD.to_owned(),
        partner: Some(checkout.partner),
        ours: format!("{cost} paid on a page go back"),
        // Another refund that fails is another thing to decide.
        theirs: format!("{refund} failed: {why}"),
        stripe_id: refund,
    })
}

/// Sends it again, where it still stands as it was listed. Until Stripe takes or refuses it, it is asked with the same key, so that a lost answer
/// pays nothing twice; and where somebody has paid it back at Stripe meanwhile, that is noted.
pub(crate) async fn send_again(
    store: &Store,
    stripe: &Stripe,
    listed: &Drift,
    now: Timestamp,
) -> Result<(), BillingError> {
    let found = match (listed.partner, listed.object.parse()) {
        (Some(partner), Ok(id)) => Some(store.checkout(partner, id).await?),
        _ => None,
    };
    let Some((checkout, current)) = found.and_then(|held| drift(&held).map(|drift| (held, drift))) else {
        // It was sent again before.
        store.keep_stripe_drift_of(listed, &[], "", now).await?;
        return Ok(());
    };
    if current == *listed {
        let asked = checkout.refunds_asked.saturating_add(1);
        let refund = ask(store, stripe, &checkout, asked).await?;
        store.note_paid_back_again(checkout.partner, checkout.id, (&refund, asked), now).await?;
        store.keep_stripe_drift_of(listed, &[], "", now).await?;
        look(store, stripe, &store.checkout(checkout.partner, checkout.id).await?, now).await?;
    } else {
        store.keep_stripe_drift_of(listed, &[current], "", now).await?;
    }
    Ok(())
}
