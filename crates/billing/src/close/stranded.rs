//! What no next invoice would bring: late and corrected usage of partners that have left, or that pay in another currency by now.
//!
//! It waits a day for more of its kind, and becomes an invoice of its own. Where it gives money back that invoice is below zero: Stripe
//! keeps it as the customer's balance, and paying it out is for people to do.

use super::{ClosingReport, late};
use crate::BillingError;
use domain::{money::Money, plan::Collect};
use jiff::{SignedDuration, Timestamp};
use store::{NewInvoice, Store, Stranded};

/// How long adjustments wait for others, so that several are on one invoice.
const WAITS: SignedDuration = SignedDuration::from_hours(24);

/// Makes the invoices that are due.
pub(super) async fn bill(store: &Store, now: Timestamp, report: &mut ClosingReport) -> Result<(), BillingError> {
    for stranded in store.all_partners_stranded(now - WAITS).await? {
        let partner = stranded.partner;
        match invoice(store, stranded, now).await {
            Ok(Some(id)) => {
                tracing::info!(%partner, invoice = %id, "made a final invoice for late and corrected usage");
                report.invoices.push(id);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%partner, %error, "a final invoice could not be made");
                report.problems.push((Some(partner), error));
            }
        }
    }
    Ok(())
}

async fn invoice(
    store: &Store,
    stranded: Stranded,
    now: Timestamp,
) -> Result<Option<domain::id::InvoiceId>, BillingError> {
    let late = late::lines(store, stranded.partner, stranded.currency).await?;
    // What adds up to nothing waits, for ever if need be.
    let Some(last) = late.last.filter(|_| !late.lines.is_empty()) else { return Ok(None) };
    let nothing = Money::zero(stranded.currency);
    let total = late.lines.iter().try_fold(nothing, |sum, line| sum.checked_add(line.amount))?;
    let new = NewInvoice {
        plan_version: last.plan_version,
        time_zone: last.cycle.time_zone,
        // Of meters Stripe has no subscription any more whose invoice would have it.
        collect: Collect::InvoiceItems,
        total,
        lines: late.lines,
        late: late.sequences,
        in_advance: false,
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    };
    Ok(store.make_final_invoice(stranded, new, now).await?)
}
