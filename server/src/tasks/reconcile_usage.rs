//! Compares the places that count usage: what gateways say, events, roll-ups, invoices. See `store::reconcile`.
//!
//! Each run looks at this hour and the one before; the first of a day at the last two days.

use super::TaskError;
use app::state::Clock;
use jiff::SignedDuration;
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use store::{
    Store, StoreError,
    reconcile::{Kind, Reconciliation, hours_before},
};

pub const NAME: &str = "reconcile_usage";
pub const PERIOD: Duration = Duration::from_secs(300);

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// The day of the last run that looked at all of it.
#[derive(Debug, Clone, Default)]
pub struct Days(Arc<AtomicI64>);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock, days: Days) -> Result<(), TaskError> {
    let now = clock.now();
    let today = now.as_second().div_euclid(DAY);
    let is_first = days.0.load(Relaxed) != today;
    let back = if is_first { SignedDuration::from_secs(2 * DAY) } else { SignedDuration::from_secs(HOUR) };
    let Reconciliation { compared, findings } =
        match store.reconcile_all(hours_before(now, back), &Kind::ALL, now).await {
            // Another server, or somebody at the command line.
            Err(StoreError::Conflict { .. }) => return Ok(()),
            done => done?,
        };
    days.0.store(today, Relaxed);
    if is_first {
        store.forget_tallies().await?;
    }
    metrics::counter!("turnpike_reconciled_total").increment(compared);
    let open = store.all_open_findings(10_000).await?;
    metrics::gauge!("turnpike_usage_drift").set(open.len() as f64);
    for finding in findings.iter().take(20) {
        tracing::error!(%finding, "two places that count usage do not say the same");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn a_run_looks_at_whole_hours_up_to_the_one_that_runs() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        let hours = hours_before(at("2026-03-01T10:59:59.9Z"), SignedDuration::from_hours(1));
        assert_eq!((hours.start, hours.end), (at("2026-03-01T09:00:00Z"), at("2026-03-01T11:00:00Z")));
        let hours = hours_before(at("2026-03-01T10:00:00Z"), SignedDuration::from_hours(48));
        assert_eq!((hours.start, hours.end), (at("2026-02-27T10:00:00Z"), at("2026-03-01T11:00:00Z")));
    }
}
