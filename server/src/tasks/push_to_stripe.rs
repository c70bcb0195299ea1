//! Brings Stripe's books to ours, again and again.

use super::TaskError;
use app::state::Clock;
use billing::{PushSettings, stripe::Stripe};
use std::time::Duration;
use store::Store;

pub const NAME: &str = "push_to_stripe";
pub const PERIOD: Duration = Duration::from_secs(60);

/// # Errors
/// Postgres or Stripe does not answer, or an invoice needs a person; the others went on.
pub async fn run(store: Store, clock: Clock, stripe: Stripe, settings: PushSettings) -> Result<(), TaskError> {
    let report = billing::reconcile(&store, &stripe, settings, &|| clock.now()).await?;
    metrics::counter!("turnpike_invoices_pushed_total").increment(report.pushed.len() as u64);
    match (report.problems.first(), report.waiting) {
        (Some((invoice, problem)), _) => Err(format!("{invoice}: {problem}").into()),
        (None, 0) => Ok(()),
        (None, waiting) => Err(format!("{waiting} invoices wait for Stripe").into()),
    }
}
