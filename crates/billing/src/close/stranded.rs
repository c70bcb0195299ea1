//! What no next invoice would bring: late and corrected usage, and units beyond all credit, of partners that have left, or that pay in
//! another currency by now.
//!
//! It waits a day for more of its kind, and becomes an invoice of its own. Where it gives money back that invoice is below zero: Stripe
//! keeps it as the customer's balance, and paying it out is for people to do.

use super::{ClosingReport, late, overdraft};
use crate::BillingError;
use domain::{money::Money, period::Period, plan::Collect};
use jiff::{SignedDuration, Timestamp};
use store::{BilledAlready, CouponsTaken, NewInvoice, Overdrawn, Store, Stranded};

/// How long adjustments wait for others, so that several are on one invoice.
const WAITS: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Makes the invoices that are due.
pub(super) async fn bill(store: &Store, now: Timestamp, report: &mut ClosingReport) -> Result<(), BillingError> {
    for stranded in store.all_partners_stranded(now - WAITS).await? {
        let partner = stranded.partner;
        match invoice(store, &stranded, now).await {
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
    stranded: &Stranded,
    now: Timestamp,
) -> Result<Option<domain::id::InvoiceId>, BillingError> {
    let late = late::lines(store, stranded.partner, stranded.currency, None).await?;
    let overdrawn = overdrawn(store, stranded, now).await?;
    let lines: Vec<_> = overdraft::lines(&overdrawn, stranded.currency)?.into_iter().chain(late.lines).collect();
    // What adds up to nothing waits, for ever if need be.
    if lines.is_empty() {
        return Ok(None);
    }
    let total = lines.iter().try_fold(Money::zero(stranded.currency), |sum, line| sum.checked_add(line.amount))?;
    // No bill of a period: of coupons it takes what late usage has off.
    let coupons = match late.coupons.is_empty() {
        true => None,
        false => {
            let of_bill = store.coupons_of_bill(stranded.partner, stranded.subscription, stranded.since).await?;
            Some(CouponsTaken {
                period_start: stranded.since,
                part_start: stranded.since,
                known: of_bill.known,
                taken: Vec::new(),
                returned: Vec::new(),
                late: late.coupons,
            })
        }
    };
    let new = NewInvoice {
        plan_version: stranded.plan_version,
        time_zone: stranded.time_zone.clone(),
        // Of meters Stripe has no subscription any more whose invoice would have it.
        collect: Collect::InvoiceItems,
        total,
        lines,
        late: late.sequences,
        in_advance: false,
        threshold_number: 0,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn,
        coupons,
    };
    Ok(store.make_final_invoice(stranded, new, now).await?)
}

/// Units beyond all credit; none while the usage of their hours is in doubt.
async fn overdrawn(store: &Store, stranded: &Stranded, now: Timestamp) -> Result<Vec<Overdrawn>, BillingError> {
    let partner = stranded.partner;
    let owed = store.stranded_credit(partner, stranded.currency, now).await?;
    let (Some(first), Some(last)) = (owed.first(), owed.last()) else { return Ok(owed) };
    let hours = Period { start: first.hour, end: last.hour.saturating_add(HOUR).unwrap_or(Timestamp::MAX) };
    if let Some(finding) = store.doubt(partner, hours).await? {
        tracing::warn!(%partner, %finding, "an overdraft waits: two places that count usage then do not say the same");
        return Ok(Vec::new());
    }
    Ok(owed)
}
