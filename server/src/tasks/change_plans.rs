//! Puts changes of plan in force that waited for the end of a period, and tells of trials that end.

use super::TaskError;
use app::{
    plan_letters,
    state::{Clock, Settings},
};
use billing::{News, Recipient};
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "change_plans";
/// How long after a period's end the old limits may still hold.
pub const PERIOD: Duration = Duration::from_millis(500);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock, settings: Arc<Settings>) -> Result<(), TaskError> {
    let letter = |to: &Recipient, news: &News| plan_letters::letter(&settings, to, news);
    let (done, failed) = billing::put_changes_in_force(&store, &letter, clock.now()).await?;
    let told = billing::tell_of_ending_trials(&store, &letter, clock.now()).await?;
    if told > 0 {
        metrics::counter!("turnpike_trial_ends_told_total").increment(told.into());
    }
    for (outcome, count) in [("done", done), ("failed", failed)] {
        if count > 0 {
            metrics::counter!("turnpike_plan_changes_total", "outcome" => outcome).increment(count.into());
        }
    }
    Ok(())
}
