//! Sends invoices, credit notes and voids to the provider's own receiver, where that is where they go.

use super::TaskError;
use crate::hooks::documents::Courier;
use std::time::Duration;

pub const NAME: &str = "send_documents";
pub const PERIOD: Duration = Duration::from_secs(5);

/// # Errors
/// Postgres does not answer.
pub async fn run(courier: Courier) -> Result<(), TaskError> {
    let delivered = courier.run().await?;
    metrics::counter!("turnpike_invoice_deliveries_total").increment(u64::from(delivered));
    let standing = courier.store.deliveries_standing().await?;
    let waits = standing.waiting_since.map_or(0, |since| courier.clock.now().duration_since(since).as_secs().max(0));
    metrics::gauge!("turnpike_invoice_delivery_waiting_seconds").set(waits as f64);
    metrics::gauge!("turnpike_invoice_deliveries_dead").set(standing.dead as f64);
    Ok(())
}
