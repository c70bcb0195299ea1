//! Applies Stripe's events that were kept; each is only a reason to ask Stripe.

use super::TaskError;
use app::{
    payment_letters,
    state::{Clock, Settings},
};
use billing::{
    Recipient,
    payment::{Desk, PaymentNews},
    stripe::Stripe,
};
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "apply_webhooks";
pub const PERIOD: Duration = Duration::from_secs(15);

/// # Errors
/// Postgres or Stripe does not answer.
pub async fn run(store: Store, clock: Clock, stripe: Stripe, settings: Arc<Settings>) -> Result<(), TaskError> {
    let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&settings, to, news);
    let desk = Desk { store: &store, stripe: &stripe, letters: &letters };
    billing::apply_pending_webhooks(desk, clock.now()).await?;
    Ok(())
}
