//! Brings Stripe's books to ours, again and again.

use super::TaskError;
use app::{
    payment_letters,
    state::{Clock, Settings},
};
use billing::{
    PushSettings, Recipient,
    payment::{Desk, PaymentNews},
    stripe::Stripe,
};
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "push_to_stripe";
pub const PERIOD: Duration = Duration::from_secs(60);

/// # Errors
/// Postgres or Stripe does not answer, or an invoice needs a person; the others went on.
pub async fn run(
    store: Store,
    clock: Clock,
    stripe: Stripe,
    (push, settings): (PushSettings, Arc<Settings>),
) -> Result<(), TaskError> {
    let letters = |to: &Recipient, news: &PaymentNews| payment_letters::letter(&settings, to, news);
    let desk = Desk { store: &store, stripe: &stripe, letters: &letters };
    let report = billing::reconcile(desk, push, &|| clock.now()).await?;
    metrics::counter!("turnpike_invoices_pushed_total").increment(report.pushed.len() as u64);
    match (report.problems.first(), report.waiting) {
        (Some((invoice, problem)), _) => Err(format!("{invoice}: {problem}").into()),
        (None, 0) => Ok(()),
        (None, waiting) => Err(format!("{waiting} invoices wait for Stripe").into()),
    }
}
