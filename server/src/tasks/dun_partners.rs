//! Takes the next step about invoices that stay unpaid: tells partners before each stage, and brings them into it.

use super::TaskError;
use app::{
    state::{Clock, Settings},
    unpaid_letters,
};
use domain::dunning::Stage;
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "dun_partners";
pub const PERIOD: Duration = Duration::from_secs(30);
/// More than one partner has to take at once.
const MOST_STEPS: u8 = 8;

/// # Errors
/// Postgres does not answer, or a step of one partner could not be taken; the others were.
pub async fn run(store: Store, clock: Clock, settings: Arc<Settings>) -> Result<(), TaskError> {
    let now = clock.now();
    if !settings.stripe_is_on {
        store.all_partners_set_due_days().await?;
    }
    let mut failed = None;
    for partner in store.all_partners_to_dun(now).await? {
        for _ in 0..MOST_STEPS {
            let taken = async {
                let Some(step) = store.dunning_step(partner, now).await? else { return Ok(false) };
                let letters = unpaid_letters::letters(&settings, &step);
                store.take_dunning_step(&step, &letters, now).await
            };
            match taken.await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::error!(%partner, %error, "a step about an unpaid invoice could not be taken");
                    failed = Some(error);
                    break;
                }
            }
        }
    }
    let stages = store.all_partners_stages().await?;
    for stage in [Stage::Grace, Stage::Limited, Stage::Suspended] {
        let partners = stages.iter().find(|(own, _)| *own == stage).map_or(0, |(_, partners)| *partners);
        metrics::gauge!("turnpike_partners_unpaid", "stage" => stage.code()).set(partners as f64);
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}
