//! Invoices for prepaid units that somebody credits in full in Stripe's own dashboard before they are paid: Stripe calls them paid, and nobody
//! has. Units that nobody paid for are not given, and an operator is told.

use crate::{BillingError, stripe::StripeInvoice};
use domain::id::{InvoiceId, PartnerId};
use store::Store;

/// What a person has to know of it.
pub(super) const PROBLEM: &str =
    "Somebody credited it in full at Stripe before it was paid: it is void here, and its units were not given";

/// Whether it is such a one.
pub(super) async fn is_unpaid(
    store: &Store,
    partner: PartnerId,
    invoice: InvoiceId,
    found: &StripeInvoice,
) -> Result<bool, BillingError> {
    let before = found.pre_payment_credit_notes_amount;
    if found.status.as_deref() != Some("paid") || before <= 0 || !store.sold_credit(partner, invoice).await? {
        return Ok(false);
    }
    let ours = store.credit_standing(partner, invoice).await?;
    let coin = ours.total.currency.micros_per_minor();
    Ok(found.before_tax_of(before).saturating_mul(coin) >= ours.total.micros)
}
