//! Plans each partner's part of a bulk move that is not planned yet, and tells it.

use super::TaskError;
use app::{
    plan_letters,
    state::{Clock, Settings},
};
use billing::{News, Recipient};
use std::{sync::Arc, time::Duration};
use store::Store;

pub const NAME: &str = "move_plans";
/// How long after a move is ordered its partners are told.
pub const PERIOD: Duration = Duration::from_secs(5);

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock, settings: Arc<Settings>) -> Result<(), TaskError> {
    let letter = |to: &Recipient, news: &News| plan_letters::letter(&settings, to, news);
    let told = billing::follow_moves(&store, &letter, clock.now()).await?;
    if told > 0 {
        metrics::counter!("turnpike_plan_moves_told_total").increment(told.into());
    }
    Ok(())
}
