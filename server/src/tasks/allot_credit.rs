//! Gives partners the units that their plans have for each period, carries over what is left of the last one, and sees bonuses for fees to their
//! end.

use super::{TaskError, close_periods::Patience};
use app::state::Clock;
use jiff::Timestamp;
use std::time::Duration;
use store::{Store, usage::LONGEST_CALL};

pub const NAME: &str = "allot_credit";
pub const PERIOD: Duration = Duration::from_secs(5);

/// # Errors
/// Postgres does not answer, or one partner's units could not be given; the others' are.
pub async fn run(store: Store, clock: Clock, Patience { grace, unseen }: Patience) -> Result<(), TaskError> {
    let now = clock.now();
    let mut failed = None;
    for partner in store.all_partners_fee_bonuses_due(now).await? {
        match store.settle_fee_bonuses(partner, now).await {
            Ok(0) => {}
            Ok(units) => tracing::info!(%partner, units, "a bonus for a fee in advance went back"),
            Err(error) => {
                tracing::error!(%partner, %error, "a bonus for a fee in advance could not be settled");
                failed = Some(error);
            }
        }
    }
    let partners = store.all_partners_to_allot(now).await?;
    if partners.is_empty() {
        return failed.map_or(Ok(()), |error| Err(error.into()));
    }
    let ended_before = now.checked_sub(unseen).unwrap_or(Timestamp::UNIX_EPOCH);
    let through = store.ingested_through(ended_before).await?.unwrap_or(Timestamp::UNIX_EPOCH);
    // Only calls spend credit: what may be told later (`TURNPIKE_CLOSING_GRACE`) keeps nobody's units back.
    let wait = grace.min(LONGEST_CALL);
    let complete = through.min(now).checked_sub(wait).unwrap_or(Timestamp::UNIX_EPOCH);
    for partner in partners {
        let given = store.allot_credit(partner, now).await;
        let done = match given {
            Ok(given) => store.carry_over_credit(partner, complete, now).await.map(|carried| (given, carried)),
            Err(error) => Err(error),
        };
        match done {
            Ok((0, 0)) => {}
            Ok((given, carried)) => tracing::info!(%partner, given, carried, "credit of the plan was given"),
            Err(error) => {
                tracing::error!(%partner, %error, "credit of the plan could not be given");
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}
