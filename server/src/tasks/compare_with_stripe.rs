//! Compares what Stripe holds of ours, every few hours or where somebody asks, and writes ours there where somebody asked for that.

use super::TaskError;
use app::state::Clock;
use billing::{drift, stripe::Stripe};
use jiff::SignedDuration;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "compare_with_stripe";
/// How long somebody who asked waits at the most.
pub const PERIOD: Duration = Duration::from_secs(15);

/// # Errors
/// Postgres or Stripe does not answer; what was found before stays in the list.
pub async fn run(store: Store, clock: Clock, stripe: Stripe, every: SignedDuration) -> Result<(), TaskError> {
    let now = clock.now();
    let written = drift::write_asked(&store, &stripe, now).await;
    let before = store.stripe_comparison().await?;
    let is_due = before.compared_at.is_none_or(|at| now.duration_since(at) >= every);
    let compared =
        if is_due || before.asked_at.is_some() { drift::compare(&store, &stripe, now).await.map(drop) } else { Ok(()) };
    let standing = store.stripe_comparison().await?;
    metrics::gauge!("turnpike_stripe_drift").set(standing.open as f64);
    compared?;
    metrics::counter!("turnpike_stripe_drift_written_total").increment(written?);
    Ok(())
}
