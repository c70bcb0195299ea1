//! Findings of days that no run looks at any more, compared again until they resolve.

use super::{Kind, Reconciliation, findings};
use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::period::Period;
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, postgres::PgRow};

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Days (UTC) with open findings, those behind `$2` first and then from the beginning. A gap of a lane is found where the record before
/// it is read, too: `from_at` is when that was.
const DAYS: &str = "
    select date_trunc('day', f.hour, 'UTC') as day, array_agg(distinct f.kind) as kinds, min(least(f.hour - interval '1 day', (
        select min(e.at) from usage_events e
        where f.kind = 'sequence' and e.node = f.node and e.lane = f.lane and e.at > f.hour - interval '31 days'
            and e.at < f.hour + interval '1 hour' and e.sequence = substring(f.place from '[0-9]+')::bigint - 1
    ))) as from_at
    from reconciliation_findings f
    where f.resolved_at is null and f.accepted_at is null and f.hour < $1 and not (f.kind = 'credit' and f.meter = 'taken')
    group by 1 order by date_trunc('day', f.hour, 'UTC') <= $2, 1 limit $3";

/// A day whose findings are compared again.
struct Again {
    day: Timestamp,
    from: Timestamp,
    kinds: Vec<Kind>,
}

impl Store {
    /// Compares what is open of before `before`, day by day and at most so many days; the last of them, or `None` where nothing is
    /// open. Given that as `after`, the next run goes on behind it, and in the end with the first.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where somebody else compares just now.
    pub async fn reconcile_open(
        &self,
        before: Timestamp,
        after: Timestamp,
        most: u16,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let rows =
            sqlx::query(DAYS).bind(Ts(before)).bind(Ts(after)).bind(i64::from(most)).fetch_all(self.pool()).await?;
        let mut last = None;
        for row in &rows {
            let Again { day, from, kinds } = read(row)?;
            let end = day.saturating_add(DAY).unwrap_or(Timestamp::MAX);
            let (sequence, others): (Vec<_>, Vec<_>) = kinds.into_iter().partition(|kind| *kind == Kind::Sequence);
            for (kinds, start) in [(others, day), (sequence, from)] {
                if !kinds.is_empty() {
                    let Reconciliation { findings, .. } = self.compare(Period { start, end }, &kinds, now).await?;
                    tracing::debug!(%day, open = findings.len(), "compared again");
                }
            }
            last = Some(day);
        }
        Ok(last)
    }
}

fn read(row: &PgRow) -> Result<Again, sqlx::Error> {
    let codes: Vec<String> = row.try_get("kinds")?;
    let from: Timestamp = row.at("from_at")?;
    let hour = from.as_second() - from.as_second().rem_euclid(3_600);
    Ok(Again {
        day: row.at("day")?,
        from: Timestamp::from_second(hour).unwrap_or(from),
        kinds: codes.iter().map(|code| findings::kind(code)).collect::<Result<_, _>>()?,
    })
}
