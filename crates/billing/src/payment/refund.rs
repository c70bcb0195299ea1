//! What was paid on a page and goes back: asked of Stripe once, followed until it is there, and sent again where an operator asks for it.
//!
//! A refund may fail days after Stripe took it in. Nobody tries again by himself then: the same card would fail again, and the provider may
//! have paid in another way. It stands in the list of what Stripe holds otherwise, where it is sent again or accepted.

use super::Desk;
use crate::{
    BillingError,
    stripe::{Refund, Stripe, StripeError},
};
use domain::id::CheckoutId;
use jiff::Timestamp;
use store::{
    Store,
    payment_methods::Checkout,
    stripe_drift::{Drift, DriftKind},
};

/// The field of a page whose refund failed.
pub(crate) const FIELD: &str = "refund";
/// Refunds that failed and are listed at once.
const MOST_LISTED: u32 = 200;

/// Has Stripe pay back what was paid on the page, all of it, once.
pub(super) async fn pay_back(desk: Desk<'_>, checkout: &Checkout, now: Timestamp) -> Result<(), BillingError> {
    if checkout.pay_back.is_none() || checkout.paid_back_at.is_some() {
        return Ok(());
    }
    let refund = ask(desk.stripe, checkout, 1).await?;
    desk.store.note_paid_back(checkout.partner, checkout.id, &refund, now).await?;
    Ok(())
}

/// Asks for the refund; Stripe's name of it.
async fn ask(stripe: &Stripe, checkout: &Checkout, asked: u32) -> Result<String, BillingError> {
    let (partner, id) = (checkout.partner, checkout.id);
    let Some(payment) = &checkout.payment else {
        let message = format!("Stripe does not say how {id} was paid: pay it back there, it was paid twice");
        return Err(BillingError::Differs(message));
    };
    let own = id.to_string();
    let parameters =
        [("payment_intent", payment.as_str()), ("reason", "duplicate"), ("metadata[turnpike_checkout]", &own)];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let key = match asked {
        1 => format!("turnpike:{partner}:{id}:back"),
        asked => format!("turnpike:{partner}:{id}:back:{asked}"),
    };
    match stripe.refund(&parameters, &key).await {
        Ok(refund) => Ok(refund.id),
        // By us, when the answer was lost, or by somebody in Stripe's dashboard.
        Err(error) if error.is_refunded_already() => standing(stripe, payment).await?.ok_or_else(|| {
            let message =
                "Stripe says that it was paid back and lists no refund of it that stands: pay it back in another way";
            BillingError::Differs(message.to_owned())
        }),
        Err(error) => Err(error.into()),
    }
}

/// The name of the refund of a payment that has not failed, where Stripe lists one.
async fn standing(stripe: &Stripe, payment: &str) -> Result<Option<String>, StripeError> {
    let refunds = stripe.refunds_of(payment).await?;
    Ok(refunds.into_iter().find(|refund| !has_failed(refund)).map(|refund| refund.id))
}

fn has_failed(refund: &Refund) -> bool {
    matches!(refund.status.as_deref(), Some("failed" | "canceled"))
}

/// The page whose payment a refund of ours pays back.
pub(crate) fn page_of(refund: &Refund) -> Option<CheckoutId> {
    refund.metadata.get("turnpike_checkout")?.parse().ok()
}

/// Asks Stripe what became of a page's refund.
pub(super) async fn look(desk: Desk<'_>, id: CheckoutId, now: Timestamp) -> Result<(), BillingError> {
    let Desk { store, stripe, .. } = desk;
    let Some(checkout) = store.checkout_of_any_partner(id).await? else { return Ok(()) };
    let (Some(_), Some(payment)) = (checkout.paid_back_at, &checkout.payment) else { return Ok(()) };
    for refund in stripe.refunds_of(payment).await? {
        follow(store, &refund, now).await?;
    }
    // In the list at once, and not after the next comparison.
    let checkout = store.checkout(checkout.partner, id).await?;
    if let Some(drift) = drift(&checkout) {
        store.keep_stripe_drift_of(&drift, std::slice::from_ref(&drift), "", now).await?;
    }
    Ok(())
}

/// Takes over that a refund of ours failed.
pub(crate) async fn follow(store: &Store, refund: &Refund, now: Timestamp) -> Result<(), BillingError> {
    let (true, Some(id)) = (has_failed(refund), page_of(refund)) else { return Ok(()) };
    let Some(checkout) = store.checkout_of_any_partner(id).await? else { return Ok(()) };
    let why = match refund.failure_reason.as_deref() {
        Some(reason) => reason.replace('_', " "),
        None => refund.status.clone().unwrap_or_default(),
    };
    if store.note_refund_failed(checkout.partner, id, (&refund.id, &why), now).await? {
        tracing::error!(partner = %checkout.partner, checkout = %id, refund = refund.id, why, "Stripe could not pay back what was paid: see Stripe drift");
    }
    Ok(())
}

/// What failed, as it is listed.
pub(crate) async fn failed(store: &Store) -> Result<Vec<Drift>, BillingError> {
    let failed = store.all_partners_checkouts_whose_refund_failed(MOST_LISTED).await?;
    Ok(failed.iter().filter_map(drift).collect())
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

/// Sends it again, where it still stands as it was listed. The same click asks with the same key, so that a lost answer pays nothing twice;
/// and where somebody has paid it back at Stripe meanwhile, that is noted.
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
        let refund = ask(stripe, &checkout, asked).await?;
        store.note_paid_back_again(checkout.partner, checkout.id, (&refund, asked), now).await?;
        store.keep_stripe_drift_of(listed, &[], "", now).await?;
    } else {
        store.keep_stripe_drift_of(listed, &[current], "", now).await?;
    }
    Ok(())
}
