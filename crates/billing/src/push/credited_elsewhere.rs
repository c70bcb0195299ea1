//! Invoices for prepaid units of which somebody takes something off in Stripe's own dashboard. Here nobody knows why, so nothing is paid
//! back by itself and no units are taken; but units that nobody paid for are not given, and an operator is told.

use crate::{BillingError, stripe::StripeInvoice};
use domain::{
    id::{InvoiceId, PartnerId},
    money::Money,
};
use store::Store;

/// What was credited at Stripe and not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credited {
    /// Nothing, or it is not about prepaid units.
    Nothing,
    /// All of it, so that Stripe calls it paid and nobody has.
    Unpaid,
    /// So much.
    Part(Money),
}

impl Credited {
    /// What a person has to do about it.
    pub(super) fn problem(self) -> Option<String> {
        match self {
            Self::Nothing => None,
            Self::Unpaid => Some(
                "Somebody credited it in full at Stripe before it was paid: it is void here, and its units were not given".to_owned(),
            ),
            Self::Part(amount) => Some(format!(
                "Somebody credited {amount} of it at Stripe and not here: take the units back that are not paid for, under the partner's credit"
            )),
        }
    }
}

/// Compares what Stripe took off with what we did.
pub(super) async fn look(
    store: &Store,
    partner: PartnerId,
    invoice: InvoiceId,
    found: &StripeInvoice,
) -> Result<Credited, BillingError> {
    let (before, after) = (found.pre_payment_credit_notes_amount, found.post_payment_credit_notes_amount);
    if found.status.as_deref() != Some("paid") || before + after <= 0 || !store.sold_credit(partner, invoice).await? {
        return Ok(Credited::Nothing);
    }
    let ours = store.credit_standing(partner, invoice).await?;
    let coin = ours.total.currency.micros_per_minor();
    let theirs = Money { micros: before.saturating_add(after).saturating_mul(coin), ..ours.total };
    // Ours are there only after they are here.
    let more = theirs.micros - ours.credited.micros;
    Ok(match more {
        ..=0 => Credited::Nothing,
        _ if before.saturating_mul(coin) >= ours.total.micros => Credited::Unpaid,
        _ => Credited::Part(Money { micros: more, ..theirs }),
    })
}
