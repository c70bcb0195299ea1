//! What pages that take a payment have in common: how they are made, what is taken over from Stripe, and that one of those for the same thing
//! is paid.

use super::{Desk, StripePage, StripePages, desk::Hears, refund};
use crate::{
    BillingError,
    push::{Push, PushSettings},
    stripe::{CheckoutSession, Stripe},
};
use domain::{
    id::{CheckoutId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use store::{
    PageNews, PagePaid, PagePayment, Parameters, PaymentPage, StoreError,
    payment_methods::{Checkout, CheckoutFor, CheckoutState},
};

/// What is particular to a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leads<'a> {
    /// Where people come back to once they have paid, with `?checkout=<id>`.
    pub done: &'a str,
    /// Where they come back to who give up.
    pub left: &'a str,
    /// Whether what is paid with is kept for later.
    pub keeps_method: bool,
}

/// Whether what was opened before can still be paid: then its address. What became of it is taken over otherwise.
pub(super) async fn still_open(
    desk: Desk<'_>,
    pages: &StripePages,
    (partner, id): (PartnerId, CheckoutId),
    session: &str,
    now: Timestamp,
) -> Result<Option<StripePage>, BillingError> {
    let Desk { store, stripe, .. } = desk;
    let checkout = store.checkout(partner, id).await?;
    let held = match stripe.checkout_session(session).await {
        // Another account's: nobody can be sent there.
        Err(error) if error.is_missing() => {
            if checkout.state == CheckoutState::Open {
                store.end_missing_checkout(partner, id, CheckoutState::Expired, now).await?;
            }
            return Ok(None);
        }
        held => held?,
    };
    if held.status.as_deref() == Some("open") {
        return pages.check(held.url.unwrap_or_default()).map(Some);
    }
    // Paid or expired, and the webhook is on its way.
    super::settle(desk, &checkout, session, now).await?;
    Ok(None)
}

/// Has Stripe make the page, after those that it takes the place of were ended.
///
/// # Errors
/// Stripe or Postgres does not answer, Stripe refuses; or one of the others was paid meanwhile, so that there is nothing to pay.
pub(super) async fn make(
    desk: Desk<'_>,
    pages: &StripePages,
    (partner, opened): (PartnerId, &PaymentPage),
    leads: Leads<'_>,
    now: Timestamp,
) -> Result<StripePage, BillingError> {
    let Desk { store, stripe, .. } = desk;
    if end_superseded(desk, partner, now).await? {
        store.end_checkout(partner, opened.id, CheckoutState::Expired, now).await?;
        let message = "What you opened before has been paid meanwhile. Look at what is there now";
        return Err(StoreError::conflict("", message).into());
    }
    let customer = Push::new(store, stripe, PushSettings::default(), &|| now).customer(partner).await?;
    let session = match create(stripe, opened, partner, (&customer, leads)).await {
        // There is no page, and there will be none: another try makes another.
        Err(error) if is_final(&error) => {
            store.end_checkout(partner, opened.id, CheckoutState::Failed, now).await?;
            return Err(error);
        }
        session => session?,
    };
    store.note_checkout_session(partner, opened.id, &session.id).await?;
    // Somebody else of the same partner opened another one while Stripe made this.
    if store.checkout(partner, opened.id).await?.is_superseded {
        end_superseded(desk, partner, now).await?;
        let message = "Another page was opened at the same time. Pay on that one, or open this anew";
        return Err(StoreError::conflict("", message).into());
    }
    pages.check(session.url.unwrap_or_default())
}

/// Has Stripe make it. Whoever asks at the same time is given the same one.
async fn create(
    stripe: &Stripe,
    opened: &PaymentPage,
    partner: PartnerId,
    (customer, leads): (&str, Leads<'_>),
) -> Result<CheckoutSession, BillingError> {
    let mut parameters = parameters(opened, partner, customer, leads)?;
    if stripe.computes_tax() {
        parameters.extend(WITH_TAX.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
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

/// What has Stripe compute the tax on a page, on top of the price, and keep the address that it asks for: later invoices are taxed by it.
const WITH_TAX: [(&str, &str); 4] = [
    ("automatic_tax[enabled]", "true"),
    ("customer_update[address]", "auto"),
    ("billing_address_collection", "required"),
    ("line_items[0][price_data][tax_behavior]", "exclusive"),
];

fn parameters(
    opened: &PaymentPage,
    partner: PartnerId,
    customer: &str,
    leads: Leads<'_>,
) -> Result<Parameters, BillingError> {
    let (own, of) = (opened.id.to_string(), partner.to_string());
    let amount = coins(opened.cost)?.to_string();
    let done = format!("{}?checkout={own}", leads.done);
    let currency = opened.cost.currency.code().to_lowercase();
    let mut parameters = vec![
        ("mode", "payment"),
        ("customer", customer),
        ("success_url", &done),
        ("cancel_url", leads.left),
        ("line_items[0][quantity]", "1"),
        ("line_items[0][price_data][currency]", &currency),
        ("line_items[0][price_data][unit_amount]", &amount),
        ("line_items[0][price_data][product_data][name]", &opened.description),
        ("invoice_creation[enabled]", "true"),
        ("invoice_creation[invoice_data][metadata][turnpike_checkout]", &own),
        ("metadata[turnpike_checkout]", &own),
        ("metadata[turnpike_partner]", &of),
    ];
    if leads.keeps_method {
        parameters.push(("payment_intent_data[setup_future_usage]", "off_session"));
    }
    Ok(parameters.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// Takes over what Stripe says of such a page.
pub(super) async fn settle(
    desk: Desk<'_>,
    (checkout, cost): (&Checkout, Money),
    held: &CheckoutSession,
    now: Timestamp,
) -> Result<(), BillingError> {
    let state = match (held.status.as_deref(), held.payment_status.as_deref()) {
        (Some("complete"), Some("paid")) => {
            check_amount(checkout, cost, held)?;
            return complete(desk, (checkout, cost), held, now).await;
        }
        (Some("complete"), Some("unpaid")) if held.has_failed() => CheckoutState::Failed,
        (Some("complete"), Some("unpaid")) => CheckoutState::Processing,
        (Some("complete"), other) => {
            let message = format!("Stripe's page {} is complete and {}", held.id, other.unwrap_or("says no more"));
            return Err(BillingError::Differs(message));
        }
        (Some("expired"), _) => CheckoutState::Expired,
        _ if checkout.is_superseded => return expire(desk, checkout, &held.id, now).await.map(drop),
        _ => return Ok(()),
    };
    desk.store.end_checkout(checkout.partner, checkout.id, state, now).await?;
    Ok(())
}

/// What was paid for, once; or the money back. The partner is told, and pages that it was not paid on are ended.
async fn complete(
    desk: Desk<'_>,
    (checkout, cost): (&Checkout, Money),
    held: &CheckoutSession,
    now: Timestamp,
) -> Result<(), BillingError> {
    let Desk { store, stripe, .. } = desk;
    let intent = held.payment_intent.as_ref().map(|intent| intent.id());
    let tax = held.tax().map(|coins| Money::new(cost.currency, coins.saturating_mul(cost.currency.micros_per_minor())));
    let (partner, id, payment) =
        (checkout.partner, checkout.id, PagePayment { invoice: held.invoice.as_deref(), intent, tax });
    let is_plan = matches!(checkout.purpose, CheckoutFor::Plan { .. });
    let hears = Hears::of(desk, checkout, cost).await?;
    let letters = |news: PageNews<'_>| hears.letters(news);
    let paid = match is_plan {
        true => store.complete_plan_checkout(partner, id, payment, &letters, now).await.map(why),
        false => store.complete_credit_checkout(partner, id, payment, &letters, now).await.map(why),
    };
    let goes_back = match paid {
        Err(StoreError::Conflict { message, .. }) => return Err(BillingError::Differs(message)),
        paid => paid?,
    };
    if let Some(why) = goes_back {
        tracing::warn!(%partner, checkout = %id, why, "a payment at Stripe goes back");
        return refund::pay_back(desk, &store.checkout(partner, id).await?, now).await;
    }
    if is_plan {
        super::ask_for_method(store, stripe, partner, now).await?;
    }
    end_superseded(desk, partner, now).await.map(drop)
}

fn why<T>(paid: PagePaid<T>) -> Option<String> {
    match paid {
        PagePaid::GoesBack(why) => Some(why),
        PagePaid::Now(_) | PagePaid::Before => None,
    }
}

/// Ends the partner's pages that others have taken the place of. Whether one of them was paid instead, or is being paid. One that cannot be
/// ended is logged, and keeps the partner from no other.
pub(super) async fn end_superseded(desk: Desk<'_>, partner: PartnerId, now: Timestamp) -> Result<bool, BillingError> {
    end(desk, &desk.store.superseded_checkouts(partner).await?, now).await
}

/// Ends these pages; whether one of them was paid instead, or is being paid.
pub(super) async fn end(desk: Desk<'_>, checkouts: &[Checkout], now: Timestamp) -> Result<bool, BillingError> {
    let mut is_paid = false;
    for checkout in checkouts {
        // Nobody has its address, unless Stripe makes it at this moment; whoever asked for it looks again then.
        let Some(session) = &checkout.session else { continue };
        match expire(desk, checkout, session, now).await {
            Ok(paid) => is_paid |= paid,
            Err(error) => super::unless_down(Err(error), checkout.partner)?,
        }
    }
    Ok(is_paid)
}

/// Ends a page; whether it was paid instead.
pub(super) async fn expire(
    desk: Desk<'_>,
    checkout: &Checkout,
    session: &str,
    now: Timestamp,
) -> Result<bool, BillingError> {
    let Desk { store, stripe, .. } = desk;
    match stripe.expire_checkout(session).await {
        Ok(_) => store.end_checkout(checkout.partner, checkout.id, CheckoutState::Expired, now).await?,
        // It is not open any more.
        Err(error) if error.is_refusal() && !error.is_unauthorized() => {
            let held = match stripe.checkout_session(session).await {
                // Another account's: nobody can be sent there, and it keeps nobody from another.
                Err(error) if error.is_missing() => {
                    if checkout.state == CheckoutState::Open {
                        let (partner, id) = (checkout.partner, checkout.id);
                        store.end_missing_checkout(partner, id, CheckoutState::Expired, now).await?;
                    }
                    return Ok(false);
                }
                held => held?,
            };
            if held.status.as_deref() != Some("open") {
                Box::pin(super::settle(desk, checkout, session, now)).await?;
            }
        }
        Err(error) => return Err(error.into()),
    }
    let state = store.checkout(checkout.partner, checkout.id).await?.state;
    Ok(matches!(state, CheckoutState::Complete | CheckoutState::Processing))
}

/// Whether that was paid which was ordered, before tax.
fn check_amount(checkout: &Checkout, cost: Money, held: &CheckoutSession) -> Result<(), BillingError> {
    let expected = coins(cost)?;
    let is_same = held.currency.as_deref().is_some_and(|currency| currency.eq_ignore_ascii_case(cost.currency.code()));
    if is_same && held.before_tax() == Some(expected) {
        return Ok(());
    }
    let (paid, currency) =
        (held.before_tax().unwrap_or_default(), held.currency.as_deref().unwrap_or("?").to_uppercase());
    let nothing = match &checkout.purpose {
        CheckoutFor::Plan { name, .. } => format!("{name} was not begun"),
        _ => "no units were given".to_owned(),
    };
    Err(BillingError::Differs(format!(
        "On Stripe's page {} {paid} {currency} in the smallest coin were paid for what costs {cost}: {nothing}.",
        held.id
    )))
}

pub(super) fn coins(amount: Money) -> Result<i64, BillingError> {
    amount.minor_units().ok_or_else(|| BillingError::Differs(format!("{amount} is not a whole number of coins")))
}
