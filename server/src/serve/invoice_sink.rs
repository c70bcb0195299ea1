//! Where invoices go is noted before the first is taken there, and what was left with others is told.

use crate::{config::Config, tasks::TaskError};
use app::state::{Clock, InvoiceSink};
use std::{sync::Arc, time::Duration};
use store::{Collector, LeftBehind, Store};
use tokio::sync::OnceCell;

pub const NAME: &str = "note_invoice_sink";
pub const PERIOD: Duration = Duration::from_secs(60);

/// This process's sink. Cheap to clone. A server that starts while Postgres is away notes it once it is back.
#[derive(Clone)]
pub struct Noted {
    store: Store,
    clock: Clock,
    collector: Option<Collector>,
    has_stripe_key: bool,
    done: Arc<OnceCell<()>>,
}

impl Noted {
    pub fn new(config: &Config, store: Store, clock: Clock) -> Self {
        let collector = match config.invoice_sink {
            InvoiceSink::Files => None,
            InvoiceSink::Stripe => Some(Collector::Stripe),
            InvoiceSink::Webhook => Some(Collector::Webhook),
        };
        Self { store, clock, collector, has_stripe_key: config.stripe.is_some(), done: Arc::default() }
    }

    /// Notes it, the first time: whoever takes invoices asks for this before.
    ///
    /// # Errors
    /// Postgres does not answer.
    pub async fn ensure(&self) -> Result<(), TaskError> {
        self.done.get_or_try_init(|| self.note()).await?;
        Ok(())
    }

    async fn note(&self) -> Result<(), TaskError> {
        self.store.note_invoice_sink(self.collector, self.clock.now()).await?;
        let LeftBehind { stripe, webhook } = self.store.all_partners_left_behind(self.collector).await?;
        if stripe > 0 && !self.has_stripe_key {
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
}
