//! Where invoices go is noted at the start, and what was left with others is told.

use crate::{cli::CommandError, config::Config};
use app::state::{Clock, InvoiceSink};
use store::{Collector, LeftBehind, Store};

/// # Errors
/// Postgres does not answer.
pub(super) async fn note(store: &Store, clock: &Clock, config: &Config) -> Result<(), CommandError> {
    let collector = match config.invoice_sink {
        InvoiceSink::Files => None,
        InvoiceSink::Stripe => Some(Collector::Stripe),
        InvoiceSink::Webhook => Some(Collector::Webhook),
    };
    store.note_invoice_sink(collector, clock.now()).await?;
    let LeftBehind { stripe, webhook } = store.all_partners_left_behind(collector).await?;
    if stripe > 0 && config.stripe.is_none() {
        tracing::warn!(
            invoices = stripe,
            "Stripe still collects invoices, and nobody hears when they are paid: keep TURNPIKE_STRIPE_KEY until they are"
        );
    }
    if webhook > 0 {
        tracing::warn!(
            invoices = webhook,
            "invoices were offered to your own receiver, which did not take them: no other collects them. Set \
             TURNPIKE_INVOICE_SINK back to webhook until it has, or make them void"
        );
    }
    Ok(())
}
