//! Compares the places that count usage: what gateways say, events, roll-ups, invoices. See `store::reconcile`.
//!
//! Each run looks at this hour and the one before; the first of a day at the last two days. Days before those that have open findings
//! are compared again, a few in each run, until their numbers agree.

use super::TaskError;
use app::state::Clock;
use jiff::{SignedDuration, Timestamp};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};
use store::{
    Store, StoreError,
    reconcile::{Kind, Reconciliation, hours_before},
};

pub const NAME: &str = "reconcile_usage";
pub const PERIOD: Duration = Duration::from_secs(300);

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Days before the range that one run compares again.
const MOST_AGAIN: u16 = 4;

/// Where the last run got to.
#[derive(Debug, Clone, Default)]
pub struct Days(Arc<Reached>);

#[derive(Debug, Default)]
struct Reached {
    /// The day of the last run that looked at all of it.
    whole: AtomicI64,
    /// The begin of the day that was compared again last, in seconds; zero before there was one.
    again: AtomicI64,
}

/// # Errors
/// Postgres does not answer.
pub async fn run(store: Store, clock: Clock, days: Days) -> Result<(), TaskError> {
    let now = clock.now();
    let today = now.as_second().div_euclid(DAY);
    let is_first = days.0.whole.load(Relaxed) != today;
    let back = if is_first { SignedDuration::from_secs(2 * DAY) } else { SignedDuration::from_secs(HOUR) };
    let range = hours_before(now, back);
    let Reconciliation { compared, findings } = match store.reconcile_all(range, &Kind::ALL, now).await {
        // Another server, or somebody at the command line.
        Err(StoreError::Conflict { .. }) => return Ok(()),
        done => done?,
    };
    days.0.whole.store(today, Relaxed);
    let after = Timestamp::from_second(days.0.again.load(Relaxed))?;
    match store.reconcile_open(range.start, after, MOST_AGAIN, now).await {
        Err(StoreError::Conflict { .. }) => {}
        last => days.0.again.store(last?.map_or(0, Timestamp::as_second), Relaxed),
    }
    if is_first {
        store.forget_tallies().await?;
    }
    metrics::counter!("turnpike_reconciled_total").increment(compared);
    let open = store.all_open_findings(10_000).await?;
    metrics::gauge!("turnpike_usage_drift").set(open.len() as f64);
    for finding in findings.iter().take(20) {
        tracing::error!(%finding, "two places that count usage do not say the same");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_app;
    use domain::key_text::Environment;
    use store::{ingest::Position, test_db, test_db::world::World};

    #[tokio::test]
    async fn a_finding_is_compared_again_however_old_it_is_until_its_numbers_agree() {
        let store = test_db::store().await;
        let world = World::new(&store).await;
        let (clock, days) = (Clock::default(), Days::default());
        let now = clock.now();
        let old = hours_before(now - SignedDuration::from_hours(240), SignedDuration::ZERO);
        let call = |minute| {
            test_app::event(world.partner, Environment::Live, 1, old.start + SignedDuration::from_mins(minute))
        };
        let to = Position { segment: 0, byte_offset: 1, sequence: 4 };
        let calls = vec![(0, call(10)), (3, call(30))];
        store.ingest(("a", 0, calls), Position::default(), to, now).await.expect("taken in");
        store.reconcile_all(old, &Kind::ALL, now).await.expect("compared");
        let run = || run(store.handle(), clock.clone(), days.clone());
        run().await.expect("ran");
        let open = store.all_open_findings(9).await.expect("findings");
        assert_eq!(open.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [Kind::Sequence], "{open:?}");
        // The numbers in between are accounted for now.
        store.note_unsynced("a", 0, &[(1, 3)], now).await.expect("noted");
        run().await.expect("ran");
        assert_eq!(store.all_open_findings(9).await.expect("findings"), []);
    }

    #[test]
    fn a_run_looks_at_whole_hours_up_to_the_one_that_runs() {
        let at = |text: &str| text.parse::<Timestamp>().expect("a timestamp");
        let hours = hours_before(at("2026-03-01T10:59:59.9Z"), SignedDuration::from_hours(1));
        assert_eq!((hours.start, hours.end), (at("2026-03-01T09:00:00Z"), at("2026-03-01T11:00:00Z")));
        let hours = hours_before(at("2026-03-01T10:00:00Z"), SignedDuration::from_hours(48));
        assert_eq!((hours.start, hours.end), (at("2026-02-27T10:00:00Z"), at("2026-03-01T11:00:00Z")));
    }
}
