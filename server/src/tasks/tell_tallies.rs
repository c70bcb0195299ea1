//! Tells Postgres what this gateway has served, by another way than its usage log: numbers, and up to which record they count.

use super::TaskError;
use app::state::Clock;
use gateway::{LaneTally, Tallies};
use jiff::Timestamp;
use std::time::Duration;
use store::{
    Store,
    reconcile::{ToldLane, ToldTally},
};

pub const NAME: &str = "tell_tallies";
pub const PERIOD: Duration = Duration::from_secs(15);

/// Tells what changed. What cannot be told now is told later: the numbers are absolute.
///
/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock, tallies: Tallies, node: String) -> Result<(), TaskError> {
    let untold = tallies.take();
    let lanes: Vec<ToldLane> = untold.iter().filter_map(|(lane, tally)| told(*lane, tally)).collect();
    if lanes.is_empty() {
        return Ok(());
    }
    let outcome = store.tell_tallies(&node, &lanes, clock.now()).await;
    if outcome.is_err() {
        tallies.give_back(untold);
    }
    let forgotten = outcome?;
    for ToldLane { lane, first, through, .. } in lanes {
        if forgotten.contains(&lane) {
            tracing::warn!(lane, "Postgres knows less than it was told, as after a restore; the lane is counted anew");
            tallies.begin_anew(u32::from(lane));
        } else {
            tallies.note_told(u32::from(lane), first, through);
        }
    }
    Ok(())
}

fn told(lane: u32, tally: &LaneTally) -> Option<ToldLane> {
    let rows = tally.rows.iter().map(|(key, count)| ToldTally {
        partner: key.partner,
        hour: Timestamp::from_second(key.hour * 3600).unwrap_or_default(),
        environment: key.environment,
        part: key.part,
        calls: count.calls,
        units: count.units,
    });
    let tallies: Vec<ToldTally> = rows.collect();
    // A lane without calls has nothing to tell.
    (!tallies.is_empty()).then(|| ToldLane {
        lane: u16::try_from(lane).unwrap_or(u16::MAX),
        epoch: tally.epoch,
        first: tally.first,
        through: tally.through,
        told: tally.told,
        tallies,
    })
}

/// The last numbers, after the last call.
pub async fn finish(store: Store, clock: Clock, tallies: Tallies, node: String, patience: Duration) {
    let told = tokio::time::timeout(patience, run(store, clock, tallies, node)).await;
    if !matches!(told, Ok(Ok(()))) {
        tracing::info!("what was served last is in the usage log only, and is not compared");
    }
}
