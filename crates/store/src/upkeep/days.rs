//! Days that are over, summed up once; and again after a late call.

use super::{NEVER, Upkeep, alone, read_upkeep, take_time};
use crate::{
    Store, StoreError,
    ingest::days::{midnight, wait_for_all},
    row::ReadRow as _,
    time::Ts,
};
use jiff::{SignedDuration, Timestamp, tz::TimeZone};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// After its end a day is left alone for a while: most late calls come soon.
const SETTLING: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Marks that one transaction takes.
const MARKS: i64 = 100;
/// Such transactions in one run: what is marked again and again meanwhile waits for the next.
const PASSES: usize = 20;

/// The sums of the smaller roll-ups, over hourly rows.
macro_rules! sums {
    () => {
        "sum(calls)::bigint, sum(units)::bigint, sum(bytes_in)::bigint, sum(bytes_out)::bigint, sum(duration_us)::bigint,
         array[sum(durations[1]), sum(durations[2]), sum(durations[3]), sum(durations[4]), sum(durations[5]),
             sum(durations[6]), sum(durations[7]), sum(durations[8]), sum(durations[9]), sum(durations[10]),
             sum(durations[11]), sum(durations[12]), sum(durations[13])]::bigint[] "
    };
}

macro_rules! daily {
    ($from:expr, $conflict:expr) => {
        concat!(
            "insert into usage_daily as held (partner_id, day, environment, product_id, operation_id, app_id, key_id, team_id,
                 member_id, plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, durations)
             select partner_id, (hour at time zone 'UTC')::date as day, environment, product_id, operation_id, app_id, key_id,
                 team_id, member_id, plan_version_id, outcome, status_class, ",
            sums!(),
            $from,
            " group by partner_id, (hour at time zone 'UTC')::date, environment, product_id, operation_id, app_id, key_id,
                 team_id, member_id, plan_version_id, outcome, status_class ",
            $conflict
        )
    };
}

macro_rules! brief {
    ($from:expr, $conflict:expr) => {
        concat!(
            "insert into usage_brief as held (partner_id, hour, environment, product_id, outcome, status_class, calls, units,
                 bytes_in, bytes_out, duration_us, durations)
             select partner_id, hour, environment, product_id, outcome, status_class, ",
            sums!(),
            $from,
            " group by partner_id, hour, environment, product_id, outcome, status_class ",
            $conflict
        )
    };
}

macro_rules! operation_daily {
    ($from:expr, $conflict:expr) => {
        concat!(
            "insert into usage_operation_daily as held (partner_id, day, environment, product_id, operation_id, outcome,
                 status_class, calls, units, bytes_in, bytes_out, duration_us, durations)
             select partner_id, (hour at time zone 'UTC')::date as day, environment, product_id, operation_id, outcome,
                 status_class, ",
            sums!(),
            $from,
            " group by partner_id, (hour at time zone 'UTC')::date, environment, product_id, operation_id, outcome, status_class ",
            $conflict
        )
    };
}

macro_rules! of_day {
    () => {
        "from usage_hourly where hour >= $1 and hour < $1 + interval '24 hours'"
    };
}

macro_rules! marked_hours {
    () => {
        "u.partner_id = partner
         and u.hour >= of_day::timestamp at time zone 'UTC' and u.hour < (of_day + 1)::timestamp at time zone 'UTC'"
    };
}

macro_rules! of_marks {
    () => {
        concat!(
            "from unnest($1::uuid[], $2::text[]::date[]) as marks (partner, of_day)
             cross join lateral (select * from usage_hourly u where ",
            marked_hours!(),
            " offset 0) as hours"
        )
    };
}

/// What was summed up already keeps what it has: its hours are gone.
macro_rules! add {
    ($key:literal) => {
        concat!(
            "on conflict (",
            $key,
            ") do update set
                 calls = held.calls + excluded.calls,
                 units = held.units + excluded.units,
                 bytes_in = held.bytes_in + excluded.bytes_in,
                 bytes_out = held.bytes_out + excluded.bytes_out,
                 duration_us = held.duration_us + excluded.duration_us,
                 durations = (
                     select array_agg(one + other order by slot)
                     from unnest(held.durations, excluded.durations) with ordinality as both_arrays (one, other, slot)
                 )"
        )
    };
}

const MAKE: [&str; 3] = [daily!(of_day!(), ""), brief!(of_day!(), ""), operation_daily!(of_day!(), "")];

const AGAIN: [&str; 6] = [
    "delete from usage_daily u using unnest($1::uuid[], $2::text[]::date[]) as marks (partner, of_day)
     where u.partner_id = partner and u.day = of_day",
    "delete from usage_operation_daily u using unnest($1::uuid[], $2::text[]::date[]) as marks (partner, of_day)
     where u.partner_id = partner and u.day = of_day",
    concat!(
        "delete from usage_brief u using unnest($1::uuid[], $2::text[]::date[]) as marks (partner, of_day) where ",
        marked_hours!()
    ),
    daily!(of_marks!(), ""),
    brief!(of_marks!(), ""),
    operation_daily!(of_marks!(), ""),
];

const ADD: [&str; 4] = [
    daily!(
        of_marks!(),
        add!(
            "partner_id, day, environment, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
             outcome, status_class"
        )
    ),
    brief!(of_marks!(), add!("partner_id, hour, environment, product_id, outcome, status_class")),
    operation_daily!(
        of_marks!(),
        add!("partner_id, day, environment, product_id, operation_id, outcome, status_class")
    ),
    concat!(
        "delete from usage_hourly u using unnest($1::uuid[], $2::text[]::date[]) as marks (partner, of_day) where ",
        marked_hours!()
    ),
];

impl Store {
    /// Sums up the days (UTC) that ended an hour ago or more, and those again whose hours changed since; how many days of
    /// single partners the latter were.
    ///
    /// Only one at a time does it: another one waits for five seconds and returns. Each day is a transaction of its own.
    pub async fn make_usage_days(&self, now: Timestamp) -> Result<u64, StoreError> {
        let until = midnight(now - SETTLING);
        if let Some(first) = self.raise_marks(until).await? {
            let mut day = first;
            let mut month = None;
            while day < until {
                let of = day.to_zoned(TimeZone::UTC).date().first_of_month();
                if month.replace(of) != Some(of) {
                    self.make_month(of).await?;
                }
                if !self.make_day(day).await? {
                    break;
                }
                day += DAY;
            }
        }
        let unsummed = self.mark_without_operations().await?;
        if unsummed > 0 {
            tracing::warn!(
                days = unsummed,
                "days lacked sums by operation, as an older server leaves them; they are made again"
            );
        }
        let mut again = 0;
        for _ in 0..PASSES {
            match self.make_marked_days().await? {
                0 => break,
                made => again += made,
            }
        }
        Ok(again)
    }

    /// Says that hours before `until` are marked when they change, and waits until all know; the first day to be made.
    async fn raise_marks(&self, until: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut tx = self.begin().await?;
        let upkeep = read_upkeep(&mut tx).await?;
        if upkeep.made_before >= until || !alone(&mut tx).await? {
            return Ok(None);
        }
        sqlx::query("update usage_upkeep set marked_before = greatest(marked_before, $1)")
            .bind(Ts(until))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;

        let mut tx = self.begin().await?;
        take_time(&mut tx).await?;
        wait_for_all(&mut tx).await?;
        let first = if upkeep.made_before == NEVER {
            let row = sqlx::query("select min(hour) as hour from usage_hourly").fetch_one(&mut *tx).await?;
            row.at_if_any("hour")?.map_or(until, midnight).clamp(NEVER, until)
        } else {
            upkeep.made_before
        };
        sqlx::query("update usage_upkeep set made_before = greatest(made_before, $1)")
            .bind(Ts(first))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(first))
    }

    /// Marks days that were made since this was done last, and the two before, and whose sums by operation are not there or lack calls;
    /// how many of single partners.
    async fn mark_without_operations(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let upkeep = read_upkeep(&mut tx).await?;
        if upkeep.operations_before >= upkeep.made_before || !alone(&mut tx).await? {
            return Ok(0);
        }
        take_time(&mut tx).await?;
        let from = upkeep.operations_before.saturating_sub(DAY * 2).unwrap_or(NEVER).max(upkeep.hourly_from);
        let marked = sqlx::query(
            "insert into usage_days_changed (partner_id, day)
             select partner_id, day
             from (
                 select partner_id, day, sum(calls) as calls from usage_daily
                 where day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date
                 group by partner_id, day
             ) as whole left join (
                 select partner_id, day, sum(calls) as calls from usage_operation_daily
                 where day >= ($1::timestamptz at time zone 'UTC')::date and day < ($2::timestamptz at time zone 'UTC')::date
                 group by partner_id, day
             ) as by_operation using (partner_id, day)
             where by_operation.calls is null or by_operation.calls < whole.calls
             on conflict do nothing",
        )
        .bind(Ts(from.max(NEVER)))
        .bind(Ts(upkeep.made_before))
        .execute(&mut *tx)
        .await?
        .rows_affected();
        sqlx::query("update usage_upkeep set operations_before = $1")
            .bind(Ts(upkeep.made_before))
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(marked)
    }

    /// Makes one day of all partners; false where somebody else is at it or has made it.
    async fn make_day(&self, day: Timestamp) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        if !alone(&mut tx).await? || read_upkeep(&mut tx).await?.made_before != day {
            return Ok(false);
        }
        take_time(&mut tx).await?;
        for statement in MAKE {
            sqlx::query(statement).bind(Ts(day)).execute(&mut *tx).await?;
        }
        sqlx::query("update usage_upkeep set made_before = $1").bind(Ts(day + DAY)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes some marks that nobody is writing and makes their days again: how many; none where somebody else is at it.
    async fn make_marked_days(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        if !alone(&mut tx).await? {
            return Ok(0);
        }
        take_time(&mut tx).await?;
        let upkeep = read_upkeep(&mut tx).await?;
        let marks = take_marks(&mut tx, upkeep).await?;
        let made = marks.len() as u64;
        let (late, others): (Vec<_>, Vec<_>) =
            marks.into_iter().partition(|(_, starts, _)| *starts < upkeep.hourly_from);
        apply(&mut tx, &AGAIN, others).await?;
        apply(&mut tx, &ADD, late).await?;
        tx.commit().await?;
        Ok(made)
    }
}

/// A partner, the begin of its day, and that day as text.
type Mark = (Uuid, Timestamp, String);

/// A statement of its own: the next one sees all that was stored by those who left these marks.
async fn take_marks(tx: &mut Transaction<'_, Postgres>, upkeep: Upkeep) -> Result<Vec<Mark>, sqlx::Error> {
    let rows = sqlx::query(
        "delete from usage_days_changed d using (
             select partner_id, day from usage_days_changed where day < ($1::timestamptz at time zone 'UTC')::date
             order by partner_id, day limit $2 for update skip locked
         ) as taken
         where d.partner_id = taken.partner_id and d.day = taken.day
         returning d.partner_id, d.day::timestamp at time zone 'UTC' as starts, d.day::text as day",
    )
    .bind(Ts(upkeep.made_before))
    .bind(MARKS)
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok((row.try_get("partner_id")?, row.at("starts")?, row.try_get("day")?))).collect()
}

async fn apply(
    tx: &mut Transaction<'_, Postgres>,
    statements: &[&'static str],
    marks: Vec<Mark>,
) -> Result<(), sqlx::Error> {
    if marks.is_empty() {
        return Ok(());
    }
    let (partners, days): (Vec<_>, Vec<_>) = marks.into_iter().map(|(partner, _, day)| (partner, day)).unzip();
    for statement in statements {
        sqlx::query(*statement).bind(&partners).bind(&days).execute(&mut **tx).await?;
    }
    Ok(())
}
