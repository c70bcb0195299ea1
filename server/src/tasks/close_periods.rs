//! Closes billing periods that have ended and whose usage is complete: each becomes an invoice.

use super::{Nudge, TaskError};
use app::state::Clock;
use billing::Closing;
use jiff::SignedDuration;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "close_periods";
pub const PERIOD: Duration = Duration::from_secs(10);
/// Longer than the longest timeout that a product can have.
const GRACE: SignedDuration = SignedDuration::from_mins(11);

/// How long after its end a period's last calls may still be recorded. Whoever moves the clock in a development install
/// wants to see the invoice at once.
pub const fn grace(development: bool) -> SignedDuration {
    if development { SignedDuration::from_secs(1) } else { GRACE }
}

/// # Errors
/// Postgres does not answer, or a partner's period could not be closed; the others were.
pub async fn run(store: Store, clock: Clock, grace: SignedDuration, push: Nudge) -> Result<(), TaskError> {
    let closing = Closing { grace, ingested_through: store.ingested_through().await? };
    let report = billing::close_due_periods(&store, closing, clock.now()).await?;
    if !report.invoices.is_empty() {
        metrics::counter!("turnpike_invoices_closed_total").increment(report.invoices.len() as u64);
        push.nudge();
    }
    match report.problems.first() {
        None => Ok(()),
        Some((partner, error)) => {
            Err(format!("{} periods could not be closed; {partner}: {error}", report.problems.len()).into())
        }
    }
}
