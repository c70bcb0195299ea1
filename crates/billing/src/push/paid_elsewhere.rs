//! Invoices that Stripe has taken and refused for good, and that an operator says were paid elsewhere: what Stripe has of them is taken away
//! or marked as paid outside, so that nobody pays there as well.

use super::{ENOUGH_FAILURES, Push, Reconciled};
use crate::BillingError;
use store::Invoice;

/// Looked at in one run.
const MOST_AT_ONCE: u32 = 200;

impl Push<'_> {
    /// Tells Stripe of all of them. What fails for a passing reason goes on with the next run.
    pub(super) async fn paid_elsewhere(&self, report: &mut Reconciled) -> Result<(), BillingError> {
        let mut failures = 0;
        for invoice in self.store.all_partners_invoices_paid_elsewhere(MOST_AT_ONCE).await? {
            match self.tell_paid(&invoice).await {
                Ok(()) => self.store.note_told_paid(invoice.partner, invoice.id, self.now()).await?,
                Err(BillingError::Stripe(error)) if error.is_unauthorized() => return Err(error.into()),
                Err(BillingError::Stripe(error)) if error.is_passing() => {
                    tracing::warn!(invoice = %invoice.id, %error, "an invoice that was paid elsewhere waits for Stripe");
                    self.store.note_push_try(invoice.partner, invoice.id, self.now()).await?;
                    report.waiting += 1;
                    failures += 1;
                    if failures >= ENOUGH_FAILURES {
                        return Ok(());
                    }
                }
                Err(error @ (BillingError::Stripe(_) | BillingError::Differs(_))) => {
                    let problem = error.to_string();
                    if invoice.push_problem.as_ref() != Some(&problem) {
                        tracing::error!(invoice = %invoice.id, problem, "Stripe could not be told that an invoice was paid elsewhere");
                    }
                    self.store.set_push_problem(invoice.partner, invoice.id, &problem, self.now()).await?;
                    report.problems.push((invoice.id, problem));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn tell_paid(&self, invoice: &Invoice) -> Result<(), BillingError> {
        for observed in self.withdraw(invoice).await? {
            let id = &observed.id;
            match observed.status.as_deref() {
                Some("open" | "uncollectible") => {
                    self.stripe.pay_outside(id).await?;
                }
                // Whether by our own request, whose answer was lost, or by somebody who paid there.
                Some("paid") if !self.stripe.payments_of_invoice(id).await?.is_empty() => {
                    let message = format!(
                        "Stripe's invoice {id} was paid there, too, and here an operator said that it was paid elsewhere: pay one of both back."
                    );
                    return Err(BillingError::Differs(message));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
