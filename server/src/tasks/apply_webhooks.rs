//! Applies Stripe's events that were kept; each is only a reason to ask Stripe.

use super::TaskError;
use app::state::Clock;
use billing::stripe::Stripe;
use std::time::Duration;
use store::Store;

pub const NAME: &str = "apply_webhooks";
pub const PERIOD: Duration = Duration::from_secs(15);

/// # Errors
/// Postgres or Stripe does not answer.
pub async fn run(store: Store, clock: Clock, stripe: Stripe) -> Result<(), TaskError> {
    billing::apply_pending_webhooks(&store, &stripe, clock.now()).await?;
    Ok(())
}
