//! Reports that Stripe did not count a meter event which it had answered with success: units that it will not bill. The invoice that has
//! them gets a problem, and the event stays in the list of those that somebody has to look at.

use crate::{BillingError, stripe::Stripe};
use domain::money::group_thousands;
use jiff::Timestamp;
use store::{Store, StoreError};

/// Takes in what a report says. It is always an error, as only a person can mend it; the error says what was not counted.
pub(super) async fn apply(store: &Store, stripe: &Stripe, event: &str, now: Timestamp) -> Result<(), BillingError> {
    let report = stripe.meter_report(event).await?;
    let mut told = Vec::new();
    for problem in &report.problems {
        let Some((partner, invoice, line)) = store.all_partners_meter_event(&problem.identifier).await? else {
            told.push(format!("event {}, which is not ours: {}", problem.identifier, problem.message));
            continue;
        };
        let (held, lines) = match store.invoice(partner, invoice).await {
            Ok(found) => found,
            Err(StoreError::NotFound) => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(line) = lines.iter().find(|own| u32::try_from(own.position).is_ok_and(|position| position == line))
        else {
            continue;
        };
        let (units, of) = (group_thousands(line.quantity.unsigned_abs()), &line.description);
        let message =
            format!("Stripe did not count {units} units of {of}: {}. Bill them there by hand.", problem.message);
        store.set_push_problem(partner, invoice, &message, now).await?;
        told.push(format!("{units} units of {of} on invoice {}: {}", held.number, problem.message));
    }
    let more = report.count.saturating_sub(report.problems.len() as u64);
    if more > 0 {
        told.push(format!("{more} more, which Stripe does not name"));
    }
    Err(BillingError::Differs(format!("Stripe rejected metered usage: {}", told.join("; "))))
}
