//! The rows that every total is summed from: roll-ups for whole hours, raw events for the rest.

use super::{Totals, UsageFilter};
use crate::{Store, StoreError, row::ReadRow as _, time::Ts};
use domain::{id::PartnerId, period::Period};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Begins a statement: `used` holds one row for each roll-up row or raw event of the partner in the asked ranges, with the
/// number of its range as `part`. The totals' columns are summed by [`sums!`].
///
/// `offset 0` keeps Postgres from turning the ranges into a join over all that the partner ever did: each range is an index
/// scan of its own, of the partitions that it touches.
macro_rules! from_used {
    ($($rest:expr),+ $(,)?) => {
        concat!(
            "with used as (
                 select part, product_id, operation_id, app_id, key_id, environment, outcome, status_class,
                     calls, units, bytes_in, bytes_out, durations, 0 as slot
                 from unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) as hours (part, first, past)
                 cross join lateral (
                     select * from usage_hourly u where u.partner_id = $1 and u.hour >= first and u.hour < past
                         and ($8::text is null or u.environment = $8)
                         and ($9::uuid is null or u.product_id = $9) and ($10::uuid is null or u.operation_id = $10)
                         and ($11::uuid is null or u.app_id = $11) and ($12::uuid is null or u.key_id = $12)
                     offset 0
                 ) as rolled_up
                 union all
                 select part, coalesce(product_id, '00000000-0000-0000-0000-000000000000'),
                     coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), app_id, key_id, environment, outcome,
                     (status / 100)::smallint, 1, units, bytes_in, bytes_out, null,
                     1 + width_bucket(duration_us, array[1001, 2001, 5001, 10001, 20001, 50001, 100001, 200001, 500001,
                         1000001, 2000001, 5000001]::bigint[])
                 from unnest($5::int[], $6::timestamptz[], $7::timestamptz[]) as edges (part, first, past)
                 cross join lateral (
                     select * from usage_events e where e.partner_id = $1 and e.at >= first and e.at < past
                         and ($8::text is null or e.environment = $8)
                         and ($9::uuid is null or e.product_id = $9) and ($10::uuid is null or e.operation_id = $10)
                         and ($11::uuid is null or e.app_id = $11) and ($12::uuid is null or e.key_id = $12)
                     offset 0
                 ) as raw
             ) ",
            $($rest),+
        )
    };
}

/// The totals' columns over the rows of `used`.
macro_rules! sums {
    () => {
        "coalesce(sum(calls), 0)::bigint as calls,
         coalesce(sum(calls) filter (where outcome = 'served'), 0)::bigint as served,
         coalesce(sum(calls) filter (where outcome = 'refused'), 0)::bigint as refused,
         coalesce(sum(calls) filter (where status_class >= 4), 0)::bigint as errors,
         coalesce(sum(calls) filter (where status_class >= 5), 0)::bigint as server_errors,
         coalesce(sum(units), 0)::bigint as units,
         coalesce(sum(bytes_in), 0)::bigint as bytes_in,
         coalesce(sum(bytes_out), 0)::bigint as bytes_out,
         array[
             sum(coalesce(durations[1], (slot = 1)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[2], (slot = 2)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[3], (slot = 3)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[4], (slot = 4)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[5], (slot = 5)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[6], (slot = 6)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[7], (slot = 7)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[8], (slot = 8)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[9], (slot = 9)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[10], (slot = 10)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[11], (slot = 11)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[12], (slot = 12)::int)) filter (where outcome = 'served'),
             sum(coalesce(durations[13], (slot = 13)::int)) filter (where outcome = 'served')
         ]::bigint[] as durations "
    };
}

pub(super) use {from_used, sums};

/// Ranges of time, taken apart into whole hours and edges. Each range is one part, counted from zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    hours: Vec<(i32, Period)>,
    edges: Vec<(i32, Period)>,
}

impl Ranges {
    pub(super) fn new(ranges: &[Period]) -> Self {
        let mut taken_apart = Self::default();
        for (part, range) in (0..).zip(ranges) {
            taken_apart.add(part, *range);
        }
        taken_apart
    }

    fn add(&mut self, part: i32, Period { start, end }: Period) {
        let (first, past) = (hour_not_before(start), hour_not_after(end));
        let mut edge = |start: Timestamp, end: Timestamp| {
            if start < end {
                self.edges.push((part, Period { start, end }));
            }
        };
        if first < past {
            edge(start, first);
            edge(past, end);
            self.hours.push((part, Period { start: first, end: past }));
        } else {
            edge(start, end);
        }
    }
}

fn hour_not_after(at: Timestamp) -> Timestamp {
    let micros = at.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(HOUR_MICROS)).unwrap_or(at)
}

fn hour_not_before(at: Timestamp) -> Timestamp {
    let floor = hour_not_after(at);
    if floor == at { at } else { Timestamp::from_microsecond(floor.as_microsecond() + HOUR_MICROS).unwrap_or(at) }
}

impl Store {
    /// Runs a statement that begins with [`from_used!`].
    pub(super) async fn used(
        &self,
        statement: &'static str,
        partner: PartnerId,
        ranges: &Ranges,
        filter: &UsageFilter,
    ) -> Result<Vec<PgRow>, StoreError> {
        let parts = |list: &[(i32, Period)]| list.iter().map(|(part, _)| *part).collect::<Vec<_>>();
        let starts = |list: &[(i32, Period)]| list.iter().map(|(_, range)| Ts(range.start)).collect::<Vec<_>>();
        let ends = |list: &[(i32, Period)]| list.iter().map(|(_, range)| Ts(range.end)).collect::<Vec<_>>();
        let query = sqlx::query(statement)
            .bind(partner.0)
            .bind(parts(&ranges.hours))
            .bind(starts(&ranges.hours))
            .bind(ends(&ranges.hours))
            .bind(parts(&ranges.edges))
            .bind(starts(&ranges.edges))
            .bind(ends(&ranges.edges))
            .bind(filter.environment.map(|environment| environment.code()))
            .bind(filter.product.map(|id| id.0))
            .bind(filter.operation.map(|id| id.0))
            .bind(filter.app.map(|id| id.0))
            .bind(filter.key.map(|id| id.0));
        Ok(query.fetch_all(self.pool()).await?)
    }
}

/// Reads the columns of [`sums!`].
pub(super) fn read_totals(row: &PgRow) -> Result<Totals, sqlx::Error> {
    let counts: Vec<Option<i64>> = row.try_get("durations")?;
    let mut durations = [0; 13];
    for (slot, count) in durations.iter_mut().zip(counts) {
        *slot = u64::try_from(count.unwrap_or(0)).unwrap_or(0);
    }
    Ok(Totals {
        calls: row.count("calls")?,
        served: row.count("served")?,
        refused: row.count("refused")?,
        errors: row.count("errors")?,
        server_errors: row.count("server_errors")?,
        units: row.count("units")?,
        bytes_in: row.count("bytes_in")?,
        bytes_out: row.count("bytes_out")?,
        durations,
    })
}
