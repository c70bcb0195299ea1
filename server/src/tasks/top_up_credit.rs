//! Buys prepaid credit for partners whose balance is low and who want that: see their standing orders.

use super::TaskError;
use app::{
    mail,
    state::{Clock, Settings},
};
use std::{sync::Arc, time::Duration};
use store::{Store, ToppedUp};

pub const NAME: &str = "top_up_credit";
pub const PERIOD: Duration = Duration::from_secs(5);

/// # Errors
/// Postgres does not answer, or one partner's order could not be looked at; the others' are.
pub async fn run(store: Store, clock: Clock, settings: Arc<Settings>) -> Result<(), TaskError> {
    let now = clock.now();
    let mut failed = None;
    for partner in store.all_partners_to_top_up().await? {
        let letters = |news: &ToppedUp, to: &str| mail::topped_up(&settings, to, news);
        match store.top_up_credit(partner, letters, now).await {
            Ok(ToppedUp::Bought(purchase)) => {
                tracing::info!(%partner, invoice = %purchase.invoice, units = purchase.units, "credit was topped up");
            }
            Ok(ToppedUp::Failed(why)) => tracing::warn!(%partner, why, "credit cannot be topped up"),
            Ok(ToppedUp::Capped { .. } | ToppedUp::Nothing) => {}
            Err(error) => {
                tracing::error!(%partner, %error, "credit could not be topped up");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}
