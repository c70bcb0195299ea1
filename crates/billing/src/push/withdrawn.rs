//! What Stripe holds of an invoice that nobody is to pay there any more: it was made void here, or was paid elsewhere.
//!
//! A draft of ours is deleted. One that Stripe's subscription has made cannot be: it is made final, uncollected, and then made void or marked
//! as paid. Where it has lines that are not of our invoice, that is for a person to do.

use super::{Push, invoice_items, look::Look, rated, rest};
use crate::{BillingError, stripe::StripeInvoice};
use store::Invoice;

impl Push<'_> {
    /// Stripe's invoices of it that are there, but for drafts of ours, which are deleted.
    pub(super) async fn withdraw(&self, invoice: &Invoice) -> Result<Vec<StripeInvoice>, BillingError> {
        let mut left = Vec::new();
        for subject in [rest::subject(invoice.id), invoice_items::subject(invoice.id)] {
            let Some(held) = self.store.stripe_object(invoice.partner, &subject).await? else { continue };
            let id = match held.stripe_id {
                Some(id) => id,
                // Its answer was lost: it may be there.
                None => {
                    let customer = self.customer(invoice.partner).await?;
                    let look = Look::Draft { customer: &customer, invoice: invoice.id.to_string() };
                    match look.at(self.stripe).await? {
                        Some(id) => id,
                        None => continue,
                    }
                }
            };
            let mut observed = match self.stripe.invoice(&id).await {
                Ok(observed) => observed,
                Err(error) if error.is_missing() => continue,
                Err(error) => return Err(error.into()),
            };
            let is_stripes = held.parameters.iter().any(|(name, _)| name == rated::STRIPES);
            if is_stripes && !is_settled(&observed) {
                self.is_ours_alone(invoice, &observed).await?;
            }
            if observed.is_draft() {
                if !is_stripes {
                    self.stripe.delete_draft(&id).await?;
                    continue;
                }
                observed = self.stripe.finalize_quietly(&id).await?;
            }
            left.push(observed);
        }
        Ok(left)
    }

    async fn is_ours_alone(&self, invoice: &Invoice, observed: &StripeInvoice) -> Result<(), BillingError> {
        let foreign = rated::foreign(self.stripe, invoice, observed).await?;
        if foreign.is_empty() {
            return Ok(());
        }
        let message = format!(
            "Stripe's invoice {} has {} lines that are not of this invoice: take those of this one off there by hand.",
            observed.id,
            foreign.len()
        );
        Err(BillingError::Differs(message))
    }
}

/// Whether nothing is left to take away.
fn is_settled(observed: &StripeInvoice) -> bool {
    matches!(observed.status.as_deref(), Some("paid" | "void"))
}
