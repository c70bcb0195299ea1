//! The rows that every total is summed from: days and hours that are summed up, and raw events for the rest.

use super::{Totals, UsageFilter};
use crate::{row::ReadRow as _, time::Ts};
use domain::{id::PartnerId, period::Period};
use jiff::Timestamp;
use sqlx::{
    Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};

const HOUR_MICROS: i64 = 3_600_000_000;
const DAY_MICROS: i64 = 24 * HOUR_MICROS;

macro_rules! of_partner {
    (one, $column:literal) => {
        concat!($column, " = $1")
    };
    (all, $column:literal) => {
        concat!("($1::uuid is null or ", $column, " = $1)")
    };
}

/// The filter, over a row of days or hours.
macro_rules! filtered {
    () => {
        " and (s.environment is null or u.environment = s.environment)
          and ($12::text is null or u.environment = $12)
          and ($13::uuid is null or u.product_id = $13) and ($14::uuid is null or u.operation_id = $14)
          and ($15::uuid is null or u.app_id = $15) and ($16::uuid is null or u.key_id = $16)
          and ($17::uuid is null or u.team_id = $17) and ($18::uuid is null or u.member_id = $18)
          and ($19::uuid is null or u.plan_version_id = $19)
          and ($20::text is null or u.outcome = $20) and ($21::smallint is null or u.status_class = $21) "
    };
}

/// The durations of a summed-up row's served calls. As an array that a row stores, each of its thirteen numbers would be read from a
/// copy of its own; what `||` gives is copied once.
macro_rules! served_durations {
    () => {
        "case when outcome = 'served' then durations || '{}'::bigint[] end"
    };
}

/// Begins a statement: `used` holds one row for each summed-up row or raw event of the partner (`one`) or of all (`all`) in
/// the asked ranges, with the number of its range as `part`. The totals' columns are summed by [`sums!`].
///
/// - Days that are made are read as such, or where the statement asks for few dimensions (`$11`, a [`Detail`]) as those by
///   operation; the others, and those that changed since, by the hour.
/// - Hours are read as such, or where the statement asks for no operation either as the brief ones of days that are made.
/// - Where raw events are no longer kept, an hour counts where it begins; where hours are not, a day does.
///
/// `offset 0` keeps Postgres from turning the ranges into a join over all that the partner ever did: each range is an index
/// scan of its own, of the partitions that it touches. `$22` and `$23` are where the first range starts and the last ends, `$24` to `$27`
/// where the edges are: by them Postgres leaves out the other partitions before it plans, which takes longer than the query where a year
/// of them is kept.
macro_rules! from_used {
    ($who:ident; $($rest:expr),+ $(,)?) => {
        concat!(
            "with upkeep as materialized (
                 select * from usage_upkeep
             ), edges as (
                 select * from unnest($8::int[], $9::timestamptz[], $10::timestamptz[]) as asked (part, first, past)
             ), days as (
                 select * from unnest($2::int[], $3::timestamptz[], $4::timestamptz[]) as asked (part, first, past)
             ), hours as (
                 select part, first, past, null::text as environment
                     from unnest($5::int[], $6::timestamptz[], $7::timestamptz[]) as asked (part, first, past)
                 union all
                 select part, first, past, 'live' from edges, upkeep where first < live_from
                 union all
                 select part, first, past, 'test' from edges, upkeep where first < test_from
             ), made as (
                 select part, first, least(past, made_before) as past, null::text as environment, true as by_day from days, upkeep
                 union all
                 select part, first, least(past, made_before), environment, false from hours, upkeep where $11::smallint = 2
             ), changed as (
                 select c.partner_id, c.day, c.day::timestamp at time zone 'UTC' as starts,
                     (c.day + 1)::timestamp at time zone 'UTC' as ends
                 from usage_days_changed c, upkeep
                 where ", $crate::usage::source::of_partner!($who, "c.partner_id"), "
                     and c.day::timestamp at time zone 'UTC' >= hourly_from and c.day::timestamp at time zone 'UTC' < made_before
             ), daily as (
                 select part, first, past, environment from made where by_day
                 union all
                 select part, first, least(past, hourly_from), environment from hours, upkeep where $11 < 2
             ), hourly as (
                 select part, greatest(first, made_before) as first, past, null::text as environment, $1::uuid as partner
                     from days, upkeep
                 union all
                 select part, greatest(first, case when $11 = 2 then made_before else hourly_from end), past, environment, $1
                     from hours, upkeep
                 union all
                 select part, greatest(first, starts), least(past, ends), environment, partner_id
                     from made, changed where first < ends and past > starts
             ), used as (
                 select part, partner_id, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
                     environment, outcome, status_class, calls, units, bytes_in, bytes_out, ", $crate::usage::source::served_durations!(), " as durations, 0 as slot
                 from (
                     select s.part, row_of_day.* from daily s cross join lateral (
                         select * from usage_daily u where $11 = 0 and ",
            $crate::usage::source::of_partner!($who, "u.partner_id"), "
                             and u.day >= ((s.first + interval '1 day' - interval '1 microsecond') at time zone 'UTC')::date
                             and u.day < ((s.past + interval '1 day' - interval '1 microsecond') at time zone 'UTC')::date
                             and u.day >= ($22 at time zone 'UTC')::date and u.day <= ($23 at time zone 'UTC')::date
                             and not exists (select from changed c where c.partner_id = u.partner_id and c.day = u.day)",
            $crate::usage::source::filtered!(),
            "            offset 0
                     ) as row_of_day
                 ) as by_day
                 union all
                 select part, partner_id, product_id, operation_id, null, null, null, null, null,
                     environment, outcome, status_class, calls, units, bytes_in, bytes_out, ", $crate::usage::source::served_durations!(), ", 0
                 from (
                     select s.part, row_of_day.* from daily s cross join lateral (
                         select * from usage_operation_daily u where $11 > 0 and ",
            $crate::usage::source::of_partner!($who, "u.partner_id"), "
                             and u.day >= ((s.first + interval '1 day' - interval '1 microsecond') at time zone 'UTC')::date
                             and u.day < ((s.past + interval '1 day' - interval '1 microsecond') at time zone 'UTC')::date
                             and u.day >= ($22 at time zone 'UTC')::date and u.day <= ($23 at time zone 'UTC')::date
                             and not exists (select from changed c where c.partner_id = u.partner_id and c.day = u.day)
                             and (s.environment is null or u.environment = s.environment)
                             and ($12::text is null or u.environment = $12)
                             and ($13::uuid is null or u.product_id = $13) and ($14::uuid is null or u.operation_id = $14)
                             and ($20::text is null or u.outcome = $20)
                             and ($21::smallint is null or u.status_class = $21)
                         offset 0
                     ) as row_of_day
                 ) as by_operation
                 union all
                 select part, partner_id, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
                     environment, outcome, status_class, calls, units, bytes_in, bytes_out, ", $crate::usage::source::served_durations!(), ", 0
                 from (
                     select s.part, row_of_hour.* from hourly s cross join lateral (
                         select * from usage_hourly u where ", $crate::usage::source::of_partner!($who, "u.partner_id"), "
                             and (s.partner is null or u.partner_id = s.partner) and u.hour >= s.first and u.hour < s.past
                             and u.hour >= $22 and u.hour < $23",
            $crate::usage::source::filtered!(),
            "            offset 0
                     ) as row_of_hour
                 ) as by_hour
                 union all
                 select part, partner_id, product_id, null, null, null, null, null, null,
                     environment, outcome, status_class, calls, units, bytes_in, bytes_out, ", $crate::usage::source::served_durations!(), ", 0
                 from (
                     select s.part, row_of_hour.* from made s cross join lateral (
                         select * from usage_brief u where ", $crate::usage::source::of_partner!($who, "u.partner_id"), "
                             and u.hour >= s.first and u.hour < s.past and u.hour >= $22 and u.hour < $23
                             and not exists (select from changed c
                                 where c.partner_id = u.partner_id and u.hour >= c.starts and u.hour < c.ends)
                             and (s.environment is null or u.environment = s.environment)
                             and ($12::text is null or u.environment = $12) and ($13::uuid is null or u.product_id = $13)
                             and ($20::text is null or u.outcome = $20)
                             and ($21::smallint is null or u.status_class = $21)
                         offset 0
                     ) as row_of_hour
                     where not s.by_day
                 ) as briefly
                 union all
                 select part, partner_id, coalesce(product_id, '00000000-0000-0000-0000-000000000000'),
                     coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), app_id, key_id,
                     coalesce(team_id, '00000000-0000-0000-0000-000000000000'),
                     coalesce(member_id, '00000000-0000-0000-0000-000000000000'),
                     coalesce(plan_version_id, '00000000-0000-0000-0000-000000000000'), environment, outcome,
                     (status / 100)::smallint, calls, units, bytes_in, bytes_out, null,
                     case when outcome = 'served' then 1 + width_bucket(abs(duration_us), array[1001, 2001, 5001, 10001, 20001,
                         50001, 100001, 200001, 500001, 1000001, 2000001, 5000001]::bigint[]) else 0 end
                 from (
                     select s.part, event.* from edges s cross join lateral (
                         select * from usage_events e where ", $crate::usage::source::of_partner!($who, "e.partner_id"), "
                             and e.at >= s.first and e.at < s.past
                             and (e.at >= $24 and e.at < $25 or e.at >= $26 and e.at < $27)
                             and ($12::text is null or e.environment = $12)
                             and ($13::uuid is null or coalesce(e.product_id, '00000000-0000-0000-0000-000000000000') = $13)
                             and ($14::uuid is null or coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000') = $14)
                             and ($15::uuid is null or e.app_id = $15) and ($16::uuid is null or e.key_id = $16)
                             and ($17::uuid is null or coalesce(e.team_id, '00000000-0000-0000-0000-000000000000') = $17)
                             and ($18::uuid is null or e.member_id = $18)
                             and ($19::uuid is null or e.plan_version_id = $19)
                             and ($20::text is null or e.outcome = $20)
                             and ($21::smallint is null or e.status / 100 = $21)
                         offset 0
                     ) as event
                 ) as raw, upkeep
                 where at >= case environment when 'live' then live_from else test_from end
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
             sum(coalesce(durations[1], (slot = 1)::int * calls)),
             sum(coalesce(durations[2], (slot = 2)::int * calls)),
             sum(coalesce(durations[3], (slot = 3)::int * calls)),
             sum(coalesce(durations[4], (slot = 4)::int * calls)),
             sum(coalesce(durations[5], (slot = 5)::int * calls)),
             sum(coalesce(durations[6], (slot = 6)::int * calls)),
             sum(coalesce(durations[7], (slot = 7)::int * calls)),
             sum(coalesce(durations[8], (slot = 8)::int * calls)),
             sum(coalesce(durations[9], (slot = 9)::int * calls)),
             sum(coalesce(durations[10], (slot = 10)::int * calls)),
             sum(coalesce(durations[11], (slot = 11)::int * calls)),
             sum(coalesce(durations[12], (slot = 12)::int * calls)),
             sum(coalesce(durations[13], (slot = 13)::int * calls))
         ]::bigint[] as durations "
    };
}

pub(in crate::usage) use {filtered, from_used, of_partner, served_durations, sums};

/// Ranges of time, taken apart into whole days and hours (UTC) and edges. Each range is one part, counted from zero.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ranges {
    days: Spans,
    hours: Spans,
    edges: Spans,
}

/// From when until when; `None` where there is nothing.
type Bounds = (Option<Ts>, Option<Ts>);

#[derive(Debug, Default, PartialEq, Eq)]
struct Spans {
    parts: Vec<i32>,
    starts: Vec<Ts>,
    ends: Vec<Ts>,
}

impl Spans {
    fn add(&mut self, part: i32, start: Timestamp, end: Timestamp) {
        if start < end {
            self.parts.push(part);
            self.starts.push(Ts(start));
            self.ends.push(Ts(end));
        }
    }
}

impl Ranges {
    pub(super) fn new(ranges: &[Period]) -> Self {
        let mut taken_apart = Self::default();
        for (part, range) in (0..).zip(ranges) {
            taken_apart.add(part, *range);
        }
        taken_apart
    }

    /// Where the first of them starts and the last ends; `None` where there is none.
    fn bounds(&self) -> Bounds {
        let spans = [&self.days, &self.hours, &self.edges];
        let first = spans.iter().flat_map(|spans| &spans.starts).map(|start| start.0).min();
        let past = spans.iter().flat_map(|spans| &spans.ends).map(|end| end.0).max();
        (first.map(Ts), past.map(Ts))
    }

    /// The edges as two groups, those before and after the longest time without any: the edges of one range are its first hour and its last.
    fn edge_bounds(&self) -> [Bounds; 2] {
        let mut edges: Vec<_> =
            self.edges.starts.iter().map(|at| at.0).zip(self.edges.ends.iter().map(|at| at.0)).collect();
        edges.sort_unstable();
        let gap = |index: &usize| edges[*index].0.duration_since(edges[*index - 1].1);
        let (early, late) = edges.split_at((1..edges.len()).max_by_key(gap).unwrap_or(edges.len()));
        let bounds = |group: &[(Timestamp, Timestamp)]| {
            (group.iter().map(|edge| Ts(edge.0)).min(), group.iter().map(|edge| Ts(edge.1)).max())
        };
        [bounds(early), bounds(late)]
    }

    fn add(&mut self, part: i32, Period { start, end }: Period) {
        let (first_hour, past_hour) = (not_before(start, HOUR_MICROS), not_after(end, HOUR_MICROS));
        if first_hour >= past_hour {
            return self.edges.add(part, start, end);
        }
        self.edges.add(part, start, first_hour);
        self.edges.add(part, past_hour, end);
        let (first_day, past_day) = (not_before(first_hour, DAY_MICROS), not_after(past_hour, DAY_MICROS));
        if first_day >= past_day {
            return self.hours.add(part, first_hour, past_hour);
        }
        self.hours.add(part, first_hour, first_day);
        self.hours.add(part, past_day, past_hour);
        self.days.add(part, first_day, past_day);
    }
}

fn not_after(at: Timestamp, step: i64) -> Timestamp {
    let micros = at.as_microsecond();
    Timestamp::from_microsecond(micros - micros.rem_euclid(step)).unwrap_or(at)
}

fn not_before(at: Timestamp, step: i64) -> Timestamp {
    let floor = not_after(at, step);
    if floor == at { at } else { Timestamp::from_microsecond(floor.as_microsecond() + step).unwrap_or(at) }
}

/// How much a statement and its filter look at: the less, the fewer rows are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Detail {
    /// Any dimension.
    Full = 0,
    /// No dimension but product, operation, environment, outcome and class of status.
    Operations = 1,
    /// Nor the operation.
    Brief = 2,
}

/// A statement that begins with [`from_used!`]. What it binds itself begins with `$28`.
pub(super) fn used<'a>(
    statement: &'static str,
    partner: Option<PartnerId>,
    ranges: Ranges,
    filter: &UsageFilter,
    detail: Detail,
) -> Query<'a, Postgres, PgArguments> {
    let ((first, past), [early, late]) = (ranges.bounds(), ranges.edge_bounds());
    let Ranges { days, hours, edges } = ranges;
    sqlx::query(statement)
        .bind(partner.map(|id| id.0))
        .bind(days.parts)
        .bind(days.starts)
        .bind(days.ends)
        .bind(hours.parts)
        .bind(hours.starts)
        .bind(hours.ends)
        .bind(edges.parts)
        .bind(edges.starts)
        .bind(edges.ends)
        .bind(detail as i16)
        .bind(filter.environment.map(|environment| environment.code()))
        .bind(filter.product.map(|id| id.0))
        .bind(filter.operation.map(|id| id.0))
        .bind(filter.app.map(|id| id.0))
        .bind(filter.key.map(|id| id.0))
        .bind(filter.team.map(|id| id.0))
        .bind(filter.member.map(|id| id.0))
        .bind(filter.plan_version.map(|id| id.0))
        .bind(filter.outcome.map(|ending| ending.code()))
        .bind(filter.status_class.map(i16::from))
        .bind(first)
        .bind(past)
        .bind(early.0)
        .bind(early.1)
        .bind(late.0)
        .bind(late.1)
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
