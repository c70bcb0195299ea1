//! Usage whose time is over, dropped: by whole partitions where all of one may go.
//!
//! Never what a bill still needs. A billing period that is not closed holds back raw events and roll-ups from its begin on,
//! whatever was configured.

use super::{NEVER, Upkeep, alone, read_upkeep, storage::partitions, take_time};
use crate::{Store, StoreError, ingest::days::midnight, row::ReadRow as _, time::Ts};
use domain::key_text::Environment;
use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use sqlx::{Postgres, Transaction};

/// How many days each class is kept, counted back from now; `None` is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Raw events of live keys: what each invoice line opens to.
    pub live: Option<u32>,
    /// Raw events of test keys.
    pub test: Option<u32>,
    pub hourly: Option<u32>,
    /// Never less than the hourly ones.
    pub daily: Option<u32>,
}

/// What one run dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dropped {
    pub partitions: u64,
    /// Raw events that were deleted one by one.
    pub events: u64,
    /// Seals whose events are gone.
    pub seals: u64,
    /// Usage whose time is over stays because a billing period that begins there is not closed.
    pub held_by: Option<Timestamp>,
}

/// From when on each class is to be kept.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    live: Timestamp,
    test: Timestamp,
    hourly: Timestamp,
    daily: Timestamp,
}

impl Store {
    /// Drops usage that is kept long enough. Only one at a time does it; each partition is a transaction of its own.
    pub async fn drop_old_usage(&self, kept: &Kept, now: Timestamp) -> Result<Dropped, StoreError> {
        let needed = self.needed_from().await?;
        let bounds = Bounds::new(kept, needed, now);
        let mut dropped = Dropped::default();
        let wanted = Bounds::new(kept, None, now);
        if (wanted.live, wanted.hourly, wanted.daily) != (bounds.live, bounds.hourly, bounds.daily) {
            dropped.held_by = needed;
        }
        self.drop_events(bounds, &mut dropped).await?;
        self.drop_seals(&mut dropped).await?;
        self.drop_hours(bounds, &mut dropped).await?;
        self.drop_days(bounds, &mut dropped).await?;
        Ok(dropped)
    }

    /// The begin of the oldest billing period that is not closed, or of which late units wait for their invoice: what they cost
    /// depends on the others. A plan that changed within it does not make it younger: quotas count the whole period.
    async fn needed_from(&self) -> Result<Option<Timestamp>, StoreError> {
        let open = self.all_partners_open_subscriptions().await?;
        let begin = |subscription: &crate::OpenSubscription| {
            let period = subscription.cycle.period_at(subscription.billed_until);
            period.map_or(subscription.billed_until, |period| period.start.min(subscription.billed_until))
        };
        // Of a partner that is billed to its end no invoice follows.
        let billed: Vec<_> = open.iter().map(|subscription| subscription.partner.0).collect();
        let late = sqlx::query(
            "select min(period_start) as start from usage_adjustments where partner_id = any($1) and invoice_id is null",
        )
            .bind(billed)
            .fetch_one(self.pool())
            .await?
            .at_if_any("start")?;
        Ok(open.iter().map(begin).chain(late).min())
    }

    async fn drop_events(&self, bounds: Bounds, dropped: &mut Dropped) -> Result<(), StoreError> {
        let upkeep = read_upkeep(&mut *self.pool().acquire().await?).await?;
        for name in partitions(self.pool(), "usage_events").await? {
            let Some((starts, ends)) = day_of(&name) else { continue };
            if ends <= bounds.live.min(bounds.test) {
                let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
                drop_partition(&mut tx, &name).await?;
                raise(&mut tx, Class::Live, ends).await?;
                raise(&mut tx, Class::Test, ends).await?;
                tx.commit().await?;
                dropped.partitions += 1;
                continue;
            }
            for (class, environment, bound) in
                [(Class::Live, Environment::Live, bounds.live), (Class::Test, Environment::Test, bounds.test)]
            {
                if class.of(&upkeep) < ends && ends <= bound {
                    let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
                    dropped.events += delete_events(&mut tx, environment, starts, ends).await?;
                    raise(&mut tx, class, ends).await?;
                    tx.commit().await?;
                }
            }
        }
        self.drop_strays(bounds, dropped).await
    }

    /// Events that came too late for any day's partition, and too late to be kept.
    async fn drop_strays(&self, bounds: Bounds, dropped: &mut Dropped) -> Result<(), StoreError> {
        for (class, environment, bound) in
            [(Class::Live, Environment::Live, bounds.live), (Class::Test, Environment::Test, bounds.test)]
        {
            let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
            let gone = sqlx::query("delete from usage_events_other where environment = $1 and at < $2")
                .bind(environment.code())
                .bind(Ts(bound))
                .execute(&mut *tx)
                .await?
                .rows_affected();
            if gone > 0 {
                raise(&mut tx, class, bound).await?;
            }
            tx.commit().await?;
            dropped.events += gone;
        }
        Ok(())
    }

    /// A call is sealed soon after it is recorded, and that is when it ends: two days after its events' time a seal has none left.
    async fn drop_seals(&self, dropped: &mut Dropped) -> Result<(), StoreError> {
        let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
        dropped.seals += sqlx::query(
            "with gone as materialized (
                 select s.node, s.lane, s.past_sequence, max(s.past_sequence) over (partition by s.node, s.lane) as last
                 from usage_upkeep, spool_seals s where s.sealed_at < least(live_from, test_from) - interval '48 hours'
             )
             delete from spool_seals s using gone g
             where s.node = g.node and s.lane = g.lane and s.past_sequence = g.past_sequence and g.past_sequence < g.last",
        )
        .execute(&mut *tx)
        .await?
        .rows_affected();
        tx.commit().await?;
        Ok(())
    }

    async fn drop_hours(&self, bounds: Bounds, dropped: &mut Dropped) -> Result<(), StoreError> {
        for name in partitions(self.pool(), "usage_hourly").await? {
            let Some((_, ends)) = month_of(&name) else { continue };
            if ends > bounds.hourly {
                break;
            }
            let Some((mut tx, upkeep)) = self.begin_alone().await? else { return Ok(()) };
            // What is dropped must have been summed up, and nobody may change it meanwhile.
            // The whole table, as a drop does: whoever reads it has begun there, and would wait for us at the partition.
            sqlx::query("lock table only usage_hourly in access exclusive mode").execute(&mut *tx).await?;
            if ends > upkeep.made_before || is_marked(&mut tx, ends).await? {
                return Ok(());
            }
            drop_partition(&mut tx, &name).await?;
            sqlx::query("delete from usage_hourly_other where hour < $1").bind(Ts(ends)).execute(&mut *tx).await?;
            raise(&mut tx, Class::Hourly, ends).await?;
            tx.commit().await?;
            dropped.partitions += 1;
        }
        Ok(())
    }

    async fn drop_days(&self, bounds: Bounds, dropped: &mut Dropped) -> Result<(), StoreError> {
        for name in partitions(self.pool(), "usage_daily").await? {
            let Some((_, ends)) = month_of(&name) else { continue };
            if ends > bounds.daily {
                break;
            }
            let Some((mut tx, upkeep)) = self.begin_alone().await? else { return Ok(()) };
            if ends > upkeep.hourly_from {
                return Ok(());
            }
            drop_partition(&mut tx, &name.replace("usage_daily", "usage_brief")).await?;
            sqlx::query("delete from usage_brief_other where hour < $1").bind(Ts(ends)).execute(&mut *tx).await?;
            raise(&mut tx, Class::Daily, ends).await?;
            tx.commit().await?;
            // A transaction for each table: whoever reads both would else wait for us, and we for them.
            let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
            drop_partition(&mut tx, &name.replace("usage_daily", "usage_meter_hourly")).await?;
            sqlx::query("delete from usage_meter_hourly_other where hour < $1")
                .bind(Ts(ends))
                .execute(&mut *tx)
                .await?;
            drop_levels(&mut tx, ends).await?;
            tx.commit().await?;
            let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
            drop_partition(&mut tx, &name).await?;
            sqlx::query("delete from usage_daily_other where day < ($1::timestamptz at time zone 'UTC')::date")
                .bind(Ts(ends))
                .execute(&mut *tx)
                .await?;
            tx.commit().await?;
            let Some((mut tx, _)) = self.begin_alone().await? else { return Ok(()) };
            drop_partition(&mut tx, &name.replace("usage_daily", "usage_operation_daily")).await?;
            sqlx::query(
                "delete from usage_operation_daily_other where day < ($1::timestamptz at time zone 'UTC')::date",
            )
            .bind(Ts(ends))
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            dropped.partitions += 4;
        }
        Ok(())
    }

    /// A transaction in which nobody else drops or makes anything; `None` where somebody does.
    async fn begin_alone(&self) -> Result<Option<(Transaction<'static, Postgres>, Upkeep)>, StoreError> {
        let mut tx = self.begin().await?;
        if !alone(&mut tx).await? {
            return Ok(None);
        }
        take_time(&mut tx).await?;
        let upkeep = read_upkeep(&mut tx).await?;
        Ok(Some((tx, upkeep)))
    }
}

impl Bounds {
    fn new(kept: &Kept, needed: Option<Timestamp>, now: Timestamp) -> Self {
        let needed = needed.map_or(Timestamp::MAX, midnight);
        let back = |days: Option<u32>| {
            // Not the first instant that there is: Postgres knows none so early.
            let Some(days) = days else { return NEVER };
            midnight(now.checked_sub(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(NEVER)).max(NEVER)
        };
        let hourly = back(kept.hourly).min(needed);
        Self {
            live: back(kept.live).min(needed),
            test: back(kept.test),
            hourly,
            daily: back(kept.daily).min(needed).min(hourly),
        }
    }
}

/// Whose bound is raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Live,
    Test,
    Hourly,
    Daily,
}

impl Class {
    const fn of(self, upkeep: &Upkeep) -> Timestamp {
        match self {
            Self::Live => upkeep.live_from,
            Self::Test => upkeep.test_from,
            Self::Hourly => upkeep.hourly_from,
            Self::Daily => upkeep.daily_from,
        }
    }
}

async fn raise(tx: &mut Transaction<'_, Postgres>, class: Class, to: Timestamp) -> Result<(), sqlx::Error> {
    let statement = match class {
        Class::Live => "update usage_upkeep set live_from = greatest(live_from, $1)",
        Class::Test => "update usage_upkeep set test_from = greatest(test_from, $1)",
        Class::Hourly => "update usage_upkeep set hourly_from = greatest(hourly_from, $1)",
        Class::Daily => "update usage_upkeep set daily_from = greatest(daily_from, $1)",
    };
    sqlx::query(statement).bind(Ts(to)).execute(&mut **tx).await?;
    Ok(())
}

async fn drop_partition(tx: &mut Transaction<'_, Postgres>, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query("select drop_usage_part($1)").bind(name).execute(&mut **tx).await?;
    Ok(())
}

/// Levels from before that, but for those that still held then.
async fn drop_levels(tx: &mut Transaction<'_, Postgres>, before: Timestamp) -> Result<(), sqlx::Error> {
    sqlx::query(
        "delete from usage_gauge_levels l where l.at < $1 and exists (
             select from usage_gauge_levels n where n.partner_id = l.partner_id and n.product_id = l.product_id and n.meter = l.meter
                 and n.environment = l.environment and n.item = l.item and n.at <= $1
                 and (n.at, n.node, n.lane, n.sequence) > (l.at, l.node, l.lane, l.sequence))",
    )
    .bind(Ts(before))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn is_marked(tx: &mut Transaction<'_, Postgres>, before: Timestamp) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "select exists (select from usage_days_changed where day < ($1::timestamptz at time zone 'UTC')::date)",
    )
    .bind(Ts(before))
    .fetch_one(&mut **tx)
    .await
}

async fn delete_events(
    tx: &mut Transaction<'_, Postgres>,
    environment: Environment,
    starts: Timestamp,
    ends: Timestamp,
) -> Result<u64, sqlx::Error> {
    let gone = sqlx::query("delete from usage_events where environment = $1 and at >= $2 and at < $3")
        .bind(environment.code())
        .bind(Ts(starts))
        .bind(Ts(ends))
        .execute(&mut **tx)
        .await?;
    Ok(gone.rows_affected())
}

/// The day (UTC) that a partition's name ends with, as `_20260329`.
fn day_of(name: &str) -> Option<(Timestamp, Timestamp)> {
    let day = Date::strptime("%Y%m%d", name.rsplit('_').next()?).ok()?;
    Some((start_of(day)?, start_of(day.tomorrow().ok()?)?))
}

/// The month that it ends with, as `_202603`.
fn month_of(name: &str) -> Option<(Timestamp, Timestamp)> {
    let first = Date::strptime("%Y%m%d", format!("{}01", name.rsplit('_').next()?)).ok()?;
    Some((start_of(first)?, start_of(first.last_of_month().tomorrow().ok()?)?))
}

fn start_of(day: Date) -> Option<Timestamp> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
