//! Looking through Stripe for something of ours, by what it carries.

use crate::{
    BillingError,
    stripe::{InvoiceItem, Stripe, StripeSubscription},
};
use rust_decimal::Decimal;

/// What to look for.
pub(super) enum Look<'a> {
    Customer {
        email: Option<&'a str>,
        /// Seconds since 1970.
        since: i64,
        partner: String,
    },
    Draft {
        customer: &'a str,
        invoice: String,
    },
    /// On the draft, or waiting for Stripe's own next invoice of the customer.
    Item {
        customer: &'a str,
        draft: Option<&'a str>,
        invoice: String,
        position: String,
    },
    CreditNote {
        /// Stripe's.
        invoice: &'a str,
        note: String,
    },
    Refund {
        /// Stripe's name of the payment.
        intent: &'a str,
        note: String,
    },
    /// One that is not cancelled.
    Subscription {
        customer: &'a str,
        /// Our identifier of it.
        ours: String,
    },
    /// `minute` is the start of a minute that only this event uses.
    Event {
        meter: &'a str,
        customer: &'a str,
        minute: Option<i64>,
        units: u64,
        identifier: String,
    },
}

impl Look<'_> {
    /// The id of what was found; `None` where it is certain that there is no such thing.
    pub(super) async fn at(&self, stripe: &Stripe) -> Result<Option<String>, BillingError> {
        match self {
            Self::Customer { email, since, partner } => {
                Ok(stripe.find_customer(*email, *since, "turnpike_partner", partner).await?.map(|customer| customer.id))
            }
            Self::Draft { customer, invoice } => {
                let all = stripe.invoices_of(customer).await?;
                let found = all.into_iter().find(|held| held.metadata.get("turnpike_invoice") == Some(invoice));
                Ok(found.map(|held| held.id))
            }
            Self::Item { customer, draft, invoice, position } => {
                let items = match draft {
                    Some(draft) => stripe.items_of_invoice(draft).await?,
                    None => stripe.items_of_customer(customer).await?,
                };
                let ours = |item: &InvoiceItem| {
                    item.metadata.get("turnpike_invoice") == Some(invoice)
                        && item.metadata.get("turnpike_line") == Some(position)
                };
                Ok(items.into_iter().find(ours).map(|item| item.id))
            }
            Self::CreditNote { invoice, note } => {
                let all = stripe.credit_notes_of(invoice).await?;
                let found = all.into_iter().find(|held| held.metadata.get("turnpike_credit_note") == Some(note));
                Ok(found.map(|held| held.id))
            }
            Self::Refund { intent, note } => {
                let all = stripe.refunds_of(intent).await?;
                let found = all.into_iter().find(|held| held.metadata.get("turnpike_credit_note") == Some(note));
                Ok(found.map(|held| held.id))
            }
            Self::Subscription { customer, ours } => {
                let all = stripe.subscriptions_of(customer).await?;
                let is_ours = |held: &StripeSubscription| held.metadata.get("turnpike_subscription") == Some(ours);
                let found = all.into_iter().find(|held| is_ours(held) && !held.is_over());
                Ok(found.map(|held| held.id))
            }
            Self::Event { meter, customer, minute, units, identifier } => {
                let unclear = || {
                    let message = format!(
                        "Whether Stripe's meter {meter} counted {units} units cannot be told; compare it by hand."
                    );
                    Err(BillingError::Differs(message))
                };
                let Some(minute) = *minute else { return unclear() };
                let counted = stripe.metered(meter, customer, minute, minute + 60).await?;
                if counted == Decimal::from(*units) {
                    Ok(Some(identifier.clone()))
                } else if counted.is_zero() {
                    Ok(None)
                } else {
                    unclear()
                }
            }
        }
    }
}
