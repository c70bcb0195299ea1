//! Compares what Stripe holds of ours, every few hours or where somebody asks, and writes ours there where somebody asked for that. Where
//! invoices go elsewhere by now, money that Stripe has taken before may still go back: that is followed all the same.

use super::TaskError;
use app::state::Clock;
use billing::{drift, stripe::Stripe};
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use store::Store;

pub const NAME: &str = "compare_with_stripe";
/// How long somebody who asked waits at the most.
pub const PERIOD: Duration = Duration::from_secs(15);

/// After a comparison that failed, how long until the next one that nobody asked for: it begins anew, and Stripe's limit is for all.
const PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// When it compares, and what.
#[derive(Debug, Clone, Copy)]
pub struct Comparing {
    pub every: SignedDuration,
    /// Whether invoices go to Stripe; else only what went back there is of interest.
    pub takes_new: bool,
}

/// When a comparison failed last.
#[derive(Debug, Clone, Default)]
pub struct Failed(Arc<Mutex<Option<Timestamp>>>);

impl Failed {
    /// Whether it is too early to try again; who asked after the failure need not wait.
    fn pauses(&self, asked_at: Option<Timestamp>, now: Timestamp) -> bool {
        let failed = self.0.lock().ok().and_then(|failed| *failed);
        failed.is_some_and(|failed| now.duration_since(failed) < PAUSE && asked_at.is_none_or(|asked| asked <= failed))
    }

    fn note(&self, failed: Option<Timestamp>) {
        if let Ok(mut last) = self.0.lock() {
            *last = failed;
        }
    }
}

/// # Errors
/// Postgres or Stripe does not answer; what was found before stays in the list.
pub async fn run(
    store: Store,
    clock: Clock,
    stripe: Stripe,
    comparing: Comparing,
    failed: Failed,
) -> Result<(), TaskError> {
    let now = clock.now();
    let written = drift::write_asked(&store, &stripe, now).await;
    let before = store.stripe_comparison().await?;
    let is_due =
        before.compared_at.is_none_or(|at| now.duration_since(at) >= comparing.every) || before.asked_at.is_some();
    let mut compared = Ok(());
    if is_due && !failed.pauses(before.asked_at, now) {
        compared = match comparing.takes_new {
            true => drift::compare(&store, &stripe, now).await.map(drop),
            false => drift::compare_what_went_back(&store, &stripe, now).await.map(drop),
        };
        failed.note(compared.is_err().then_some(now));
    }
    let standing = store.stripe_comparison().await?;
    metrics::gauge!("turnpike_stripe_drift").set(standing.open as f64);
    compared?;
    metrics::counter!("turnpike_stripe_drift_written_total").increment(written?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_it_waits_unless_somebody_asks_again() {
        let at = |second| Timestamp::from_second(second).expect("in range");
        let failed = Failed::default();
        assert!(!failed.pauses(None, at(1_000)));
        failed.note(Some(at(1_000)));
        assert!(failed.pauses(None, at(1_899)) && failed.pauses(Some(at(999)), at(1_001)));
        assert!(!failed.pauses(Some(at(1_001)), at(1_002)) && !failed.pauses(None, at(1_900)));
        failed.note(None);
        assert!(!failed.pauses(None, at(1_001)));
    }
}
