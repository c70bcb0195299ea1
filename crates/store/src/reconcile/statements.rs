//! The comparisons. Each is one statement over `[$1, $2)`, and answers with a row that says how many numbers were compared and
//! one for each place where they differ. What is not kept whole any more is not compared.
//!
//! Bounds stand by themselves, without `greatest`: Postgres leaves partitions out by what it knows before it plans, and to plan for a year
//! of them takes longer than to compare.

use super::Kind;

/// Open findings of these kinds whose numbers a run over that range compares: the others stay as they are.
///
/// - `gateway`: of lanes of which all is stored that any life of the node has told.
/// - `sequence`: where an earlier event of the lane is in the range, to which the number is compared, or the very one before it; and what
///   nobody handed over.
/// - `daily`: of days that lie wholly in the range and wait for nothing.
/// - `credit`: what was used of it. What could not be moved is in no other place; somebody has to look.
pub(super) const COMPARED_FINDINGS: &str =
    "select f.kind, f.partner_id, f.hour, f.meter, f.node, f.lane, f.place, f.expected::text, f.actual::text
     from reconciliation_findings f
     where f.resolved_at is null and f.hour >= $1 and f.hour < $2 and f.kind = any ($3) and case f.kind
         when 'gateway' then (
             select bool_and(coalesce(p.sequence, 0) >= t.through_sequence) from gateway_tally_lanes t
             left join spool_positions p on p.node = t.node and p.lane = t.lane
             where t.node = f.node and t.lane = f.lane)
         when 'sequence' then f.place like '%handed over' or exists (
             select from usage_upkeep, usage_events e where e.node = f.node and e.lane = f.lane
                 and e.at >= greatest($1, live_from, test_from) and (e.at < f.hour
                     or e.at < $2 and e.sequence = substring(f.place from '[0-9]+')::bigint - 1))
         when 'daily' then f.hour + interval '24 hours' <= $2 and not exists (
             select from usage_days_changed c where c.partner_id = f.partner_id
                 and c.day = (f.hour at time zone 'UTC')::date)
         when 'credit' then f.meter = 'used'
         else true end";

/// The first row says how much was compared; the others come from `differing`.
macro_rules! answer {
    ($count:literal) => {
        concat!(
            " select ",
            $count,
            " as compared, '00000000-0000-0000-0000-000000000000'::uuid as partner_id, 'epoch'::timestamptz as hour,
                 '' as node, -1 as lane, '' as place, null::text[] as meters, null::text[] as expected, null::text[] as actual
             from compared
             union all
             select 0, partner_id, hour, node, lane, place, meters, expected, actual from differing"
        )
    };
}

pub(super) const fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::Gateway => GATEWAY,
        Kind::Sequence => SEQUENCE,
        Kind::Hourly => HOURLY,
        Kind::Daily => DAILY,
        Kind::Meters => METERS,
        Kind::Credit => CREDIT,
        Kind::Invoice => INVOICE,
    }
}

/// From when on the events of the row's environment are kept. As a value of its own, which a plan is made for more quickly than for a
/// join with each partition.
macro_rules! kept_from {
    ($row:literal) => {
        concat!(
            "case ",
            $row,
            "environment when 'live' then (select live_from from usage_upkeep) else (select test_from from usage_upkeep) end"
        )
    };
}

/// Only lanes of which all is stored that they have told: the others are compared a moment later. Two lives of a node may have
/// given the same numbers, where a loss of power took some back.
macro_rules! gateway {
    ($told:literal, $stored:literal) => { concat!(
    "with lanes as materialized (
         select t.node, t.epoch, t.lane, t.first_sequence, t.through_sequence from gateway_tally_lanes t
         join spool_positions p on p.node = t.node and p.lane = t.lane
         where p.sequence >= t.through_sequence and t.through_sequence > t.first_sequence
     ), told as (
         select g.partner_id, g.hour, g.node, g.lane, sum(g.calls)::bigint as calls, sum(g.units)::bigint as units
         from usage_upkeep, gateway_tallies g join lanes l on l.node = g.node and l.epoch = g.epoch and l.lane = g.lane
         where g.hour >= $1 and g.hour < $2 and g.hour >= case g.environment when 'live' then live_from else test_from end",
    $told,
    " group by 1, 2, 3, 4
     ), stored as (
         select e.partner_id, date_trunc('hour', e.at, 'UTC') as hour, e.node, e.lane, count(*) as calls,
             sum(e.units)::bigint as units
         from (
             select e.partner_id, e.at, e.node, e.epoch, e.lane, e.sequence, e.units from usage_events e
             where e.at >= $1 and e.at < $2 and e.at >= ", kept_from!("e."),
    $stored,
    "  offset 0
         ) e join lanes l on l.node = e.node and l.epoch = e.epoch and l.lane = e.lane
             and e.sequence >= l.first_sequence and e.sequence < l.through_sequence
         group by 1, 2, 3, 4
     ), compared as (
         select partner_id, hour, node, lane, coalesce(told.calls, 0) as told_calls, coalesce(stored.calls, 0) as stored_calls,
             coalesce(told.units, 0) as told_units, coalesce(stored.units, 0) as stored_units
         from told full join stored using (partner_id, hour, node, lane)
     ), differing as (
         select partner_id, hour, node, lane, '' as place, array['calls', 'units'] as meters,
             array[told_calls, told_units]::text[] as expected, array[stored_calls, stored_units]::text[] as actual
         from compared where told_calls <> stored_calls or told_units <> stored_units
     )",
    answer!("count(*) * 2")
    ) };
}
const GATEWAY: &str = gateway!("", "");

/// What others told us has numbers of each partner's own, and corrections have their own. A call is recorded when it ends, and none
/// takes a month: the numbers beside those of the range are not looked for beyond that. What is stored moves the lane's position in
/// the same transaction, so that an event without one, or beyond it, is nobody's.
const SEQUENCE: &str = concat!(
    "with bounds as materialized (
         select node, lane, min(sequence) as first, max(sequence) as last from usage_upkeep, usage_events
         where at >= $1 and at < $2 and at >= greatest(live_from, test_from) and kind = 0 and node <> 'outside' group by node, lane
     ), seen as (
         select b.node, b.lane, e.partner_id, e.at, e.sequence,
             lag(e.sequence) over (partition by b.node, b.lane order by e.sequence) as before
         from bounds b cross join lateral (
             select partner_id, at, sequence from usage_events e
             where e.node = b.node and e.lane = b.lane and e.sequence between b.first and b.last
                 and e.at >= $1 - interval '31 days' and e.at < $2 + interval '31 days' offset 0
         ) e
     ), strangers as (
         select b.node, b.lane, e.partner_id, date_trunc('hour', e.at, 'UTC') as hour, min(e.sequence) as first,
             max(e.sequence) as last, count(*) as records
         from usage_upkeep, bounds b left join spool_positions p on p.node = b.node and p.lane = b.lane
         cross join lateral (
             select partner_id, at, sequence from usage_events e where e.node = b.node and e.lane = b.lane
                 and e.at >= $1 and e.at < $2 and e.at >= greatest(live_from, test_from) and e.sequence >= coalesce(p.sequence, 0)
         ) e
         where p.sequence is null or b.last >= p.sequence group by 1, 2, 3, 4
     ), compared as (
         select * from seen where before is not null
     ), steps as (
         select c.*, c.sequence - c.before - 1 - coalesce((
             select sum(least(g.past_sequence, c.sequence) - greatest(g.first_sequence, c.before + 1)) from usage_gaps g
             where g.node = c.node and g.lane = c.lane and g.first_sequence < c.sequence and g.past_sequence > c.before + 1
         ), 0) as missing
         from compared c where c.sequence <> c.before + 1
     ), differing as (
         select case when sequence = before then partner_id else '00000000-0000-0000-0000-000000000000' end as partner_id,
             date_trunc('hour', at, 'UTC') as hour, node, lane,
             case when sequence = before then format('record %s', sequence)
                 else format('records %s to %s', before + 1, sequence - 1) end as place,
             array['records'] as meters,
             array[case when sequence = before then 1 else missing end]::text[] as expected,
             array[case when sequence = before then count(*) + 1 else 0 end]::text[] as actual
         from steps where sequence = before or missing > 0 group by partner_id, at, node, lane, sequence, before, missing
         union all
         select partner_id, hour, node, lane, format('records %s to %s, which no gateway has handed over', first, last),
             array['records'], array['0'], array[records]::text[] from strangers
     )",
    answer!("count(*)")
);

macro_rules! hourly {
    ($of:literal) => { concat!(
    "with parts as materialized (
         select partner_id, date_trunc('hour', at, 'UTC') as hour, environment,
             coalesce(product_id, '00000000-0000-0000-0000-000000000000') as product_id,
             coalesce(operation_id, '00000000-0000-0000-0000-000000000000') as operation_id, app_id, key_id,
             coalesce(plan_version_id, '00000000-0000-0000-0000-000000000000') as plan_version_id, outcome,
             (status / 100)::smallint as status_class, allocation_id, sum(calls) as calls, sum(units) as units,
             sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(duration_us) as duration_us, sum(credits) as credits,
             sum(allocated) as allocated
         from usage_events
         where at >= $1 and at < $2 and at >= (select hourly_from from usage_upkeep)
             and at >= ", kept_from!(""),
    $of,
    " group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
     ), events as (
         select partner_id, hour, environment, product_id, operation_id, app_id, key_id, plan_version_id, outcome, status_class,
             sum(calls) as calls, sum(units) as units, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out,
             sum(duration_us) as duration_us, sum(credits) as credits
         from parts group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
     ), corrected as (
         select partner_id, date_trunc('hour', of_at, 'UTC') as hour,
             coalesce(product_id, '00000000-0000-0000-0000-000000000000') as product_id,
             coalesce(operation_id, '00000000-0000-0000-0000-000000000000') as operation_id, allocation_id, allocated
         from usage_correction_events
         where not in_place and allocation_id is not null and of_at >= $1 and of_at < $2
             and of_at >= (select greatest(hourly_from, live_from) from usage_upkeep)",
    $of,
    "
     ), own_paid as (
         select partner_id, hour, product_id, operation_id, allocation_id, sum(allocated) as units from (
             select partner_id, hour, product_id, operation_id, allocation_id, allocated from parts where allocation_id is not null
             union all
             select partner_id, hour, product_id, operation_id, allocation_id, allocated from corrected
         ) own group by 1, 2, 3, 4, 5 having sum(allocated) <> 0
     ), own_summed as (
         select partner_id, hour, product_id, operation_id, allocation_id, units from usage_upkeep, usage_allocated_hourly
         where hour >= $1 and hour < $2 and hour >= greatest(hourly_from, live_from) and units <> 0",
    $of,
    "
     ), paid as (
         select partner_id, hour, product_id, operation_id, sum(credits) as credits from events
         group by 1, 2, 3, 4 having sum(credits) <> 0
     ), summed as (
         select partner_id, hour, product_id, operation_id, units from usage_upkeep, usage_credit_hourly
         where hour >= $1 and hour < $2 and hour >= greatest(hourly_from, live_from) and units <> 0",
    $of,
    "
     ), rolled_up as (
         select partner_id, hour, environment, product_id, operation_id, app_id, key_id, plan_version_id, outcome, status_class,
             sum(calls) as calls, sum(units) as units, sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out,
             sum(duration_us) as duration_us, sum((select sum(slot) from unnest(durations) as slots (slot))) as durations
         from usage_hourly
         where hour >= $1 and hour < $2 and hour >= (select hourly_from from usage_upkeep)
             and hour >= ", kept_from!(""),
    $of,
    " group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
     ), compared as (
         select partner_id, hour, environment, product_id, operation_id, app_id, key_id, plan_version_id, outcome, status_class,
             null::uuid as allocation_id, 6 as numbers,
             array[coalesce(e.calls, 0), coalesce(e.units, 0), coalesce(e.bytes_in, 0), coalesce(e.bytes_out, 0),
                 coalesce(e.duration_us, 0), coalesce(e.calls, 0)]::numeric[] as expected,
             array[coalesce(r.calls, 0), coalesce(r.units, 0), coalesce(r.bytes_in, 0), coalesce(r.bytes_out, 0),
                 coalesce(r.duration_us, 0), coalesce(r.durations, 0)]::numeric[] as actual
         from events e full join rolled_up r using (partner_id, hour, environment, product_id, operation_id, app_id, key_id,
             plan_version_id, outcome, status_class)
         union all
         select partner_id, hour, 'live', product_id, operation_id, null, null, null, null, null, null, 1,
             array[coalesce(p.credits, 0)]::numeric[], array[coalesce(s.units, 0)]::numeric[]
         from paid p full join summed s using (partner_id, hour, product_id, operation_id)
         union all
         select partner_id, hour, 'live', product_id, operation_id, null, null, null, null, null, allocation_id, 1,
             array[coalesce(p.units, 0)]::numeric[], array[coalesce(s.units, 0)]::numeric[]
         from own_paid p full join own_summed s using (partner_id, hour, product_id, operation_id, allocation_id)
     ), differing as (
         select partner_id, hour, '' as node, -1 as lane, concat_ws(', ', environment, 'product ' || product_id,
                 'operation ' || operation_id, 'app ' || app_id, 'key ' || key_id, 'plan version ' || plan_version_id, outcome,
                 status_class || 'xx', 'allocation ' || allocation_id) as place,
             case when numbers = 6 then array['calls', 'units', 'bytes_in', 'bytes_out', 'duration_us', 'durations']
                 when allocation_id is null then array['prepaid'] else array['allocated'] end as meters,
             expected::text[] as expected, actual::text[] as actual
         from compared where expected <> actual
     )",
    answer!("coalesce(sum(numbers), 0)::bigint")
    ) };
}
const HOURLY: &str = hourly!("");

/// Whole days that are made, and of which no hour has changed since: by all dimensions, by operation, and the brief hours.
macro_rules! daily {
    ($of:literal) => { concat!(
    "with days as (
         select date_trunc('day', $1 + interval '1 day' - interval '1 microsecond', 'UTC') as first,
             least(date_trunc('day', $2, 'UTC'), made_before) as past, greatest(hourly_from, daily_from) as kept
         from usage_upkeep
     ), hours as (
         select h.*, (h.hour at time zone 'UTC')::date as day
         from usage_hourly h where h.hour >= $1 and h.hour < $2 and h.hour >= (select first from days)
             and h.hour < (select past from days) and h.hour >= (select kept from days)",
    $of,
    "
     ), both_sides as (
         select partner_id, day::timestamp at time zone 'UTC' as hour, environment, product_id, operation_id, app_id, key_id,
             team_id, member_id, plan_version_id, outcome, status_class, sum(calls) as calls, sum(units) as units,
             sum(bytes_in) as bytes_in, sum(bytes_out) as bytes_out, sum(duration_us) as duration_us, true as of_hours
         from hours group by partner_id, day, environment, product_id, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, outcome, status_class
         union all
         select partner_id, day::timestamp at time zone 'UTC', environment, product_id, operation_id, app_id, key_id, team_id,
             member_id, plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, false
         from usage_daily d where d.day >= ((select first from days) at time zone 'UTC')::date
             and d.day < ((select past from days) at time zone 'UTC')::date and d.day >= ((select kept from days) at time zone 'UTC')::date
             and d.day >= ($1 at time zone 'UTC')::date and d.day < ($2 at time zone 'UTC')::date",
    $of,
    "
         union all
         select partner_id, day::timestamp at time zone 'UTC', environment, product_id, operation_id, null, null, null, null, null,
             outcome, status_class, sum(calls), sum(units), sum(bytes_in), sum(bytes_out), sum(duration_us), true
         from hours group by partner_id, day, environment, product_id, operation_id, outcome, status_class
         union all
         select partner_id, day::timestamp at time zone 'UTC', environment, product_id, operation_id, null, null, null, null, null,
             outcome, status_class, calls, units, bytes_in, bytes_out, duration_us, false
         from usage_operation_daily d where d.day >= ((select first from days) at time zone 'UTC')::date
             and d.day < ((select past from days) at time zone 'UTC')::date and d.day >= ((select kept from days) at time zone 'UTC')::date
             and d.day >= ($1 at time zone 'UTC')::date and d.day < ($2 at time zone 'UTC')::date",
    $of,
    "
         union all
         select partner_id, hour, environment, product_id, null, null, null, null, null, null, outcome, status_class, sum(calls),
             sum(units), sum(bytes_in), sum(bytes_out), sum(duration_us), true
         from hours group by partner_id, hour, environment, product_id, outcome, status_class
         union all
         select partner_id, hour, environment, product_id, null, null, null, null, null, null, outcome, status_class, calls, units,
             bytes_in, bytes_out, duration_us, false
         from usage_brief b where b.hour >= $1 and b.hour < $2 and b.hour >= (select first from days)
             and b.hour < (select past from days) and b.hour >= (select kept from days)",
    $of,
    "
     ), compared as (
         select partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id, outcome,
             status_class,
             array[coalesce(sum(calls) filter (where of_hours), 0), coalesce(sum(units) filter (where of_hours), 0),
                 coalesce(sum(bytes_in) filter (where of_hours), 0), coalesce(sum(bytes_out) filter (where of_hours), 0),
                 coalesce(sum(duration_us) filter (where of_hours), 0)]::numeric[] as expected,
             array[coalesce(sum(calls) filter (where not of_hours), 0), coalesce(sum(units) filter (where not of_hours), 0),
                 coalesce(sum(bytes_in) filter (where not of_hours), 0), coalesce(sum(bytes_out) filter (where not of_hours), 0),
                 coalesce(sum(duration_us) filter (where not of_hours), 0)]::numeric[] as actual
         from both_sides b
         where not exists (select from usage_days_changed c where c.partner_id = b.partner_id
             and c.day = (b.hour at time zone 'UTC')::date)
         group by partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
             outcome, status_class
     ), differing as (
         select partner_id, hour, '' as node, -1 as lane,
             concat(environment, ', product ', product_id, ', operation ' || operation_id, ', app ' || app_id, ', key ' || key_id,
                 ', team ' || team_id, ', member ' || member_id, ', plan version ' || plan_version_id, ', ', outcome, ', ',
                 status_class, 'xx') as place,
             array['calls', 'units', 'bytes_in', 'bytes_out', 'duration_us'] as meters, expected::text[] as expected,
             actual::text[] as actual
         from compared where expected <> actual
     )",
    answer!("count(*) * 5")
    ) };
}
const DAILY: &str = daily!("");

macro_rules! meters {
    ($of_events:literal, $of_sums:literal) => { concat!(
    "with said as (
         select e.partner_id, date_trunc('hour', e.at, 'UTC') as hour,
             coalesce(e.product_id, '00000000-0000-0000-0000-000000000000') as product_id, m.meter, m.kind, e.environment,
             coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000') as operation_id, e.app_id, e.key_id,
             coalesce(e.team_id, '00000000-0000-0000-0000-000000000000') as team_id,
             coalesce(e.member_id, '00000000-0000-0000-0000-000000000000') as member_id,
             coalesce(e.plan_version_id, '00000000-0000-0000-0000-000000000000') as plan_version_id, m.item, m.quantity, e.at,
             e.node, e.lane, e.sequence
         from usage_events e cross join lateral usage_meters(e.meters) as m
         where e.meters is not null and e.at >= $1 and e.at < $2 and e.at >= (select daily_from from usage_upkeep)
             and e.at >= ", kept_from!("e."),
    $of_events,
    "), events as (
         select partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, item, array[count(*), sum(quantity), max(quantity), (array_agg(quantity
                 order by at desc, node collate \"C\" desc, lane desc, sequence desc, quantity desc))[1]]::numeric[] as numbers
         from said group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13
     ), rolled_up as (
         select partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
             plan_version_id, item, array[events, total, maximum, latest]::numeric[] as numbers
         from usage_meter_hourly
         where hour >= $1 and hour < $2 and hour >= (select daily_from from usage_upkeep)
             and hour >= ", kept_from!(""),
    $of_sums,
    "), levels_said as (
         select partner_id, product_id, meter, environment, item, at, node collate \"C\" as node, lane, sequence,
             max(quantity) as level
         from said where kind = 'gauge' group by 1, 2, 3, 4, 5, 6, 7, 8, 9
     ), levels_kept as (
         select partner_id, product_id, meter, environment, item, at, node, lane, sequence, level
         from usage_upkeep, usage_gauge_levels
         where at >= $1 and at < $2 and at >= daily_from and at >= case environment when 'live' then live_from else test_from end",
    $of_sums,
    "), compared as (
         select partner_id, hour, '' as node, -1 as lane,
             format('%s, product %s, %s, operation %s, app %s, key %s, team %s, member %s, plan version %s, item %s', environment,
                 product_id, kind, operation_id, app_id, key_id, team_id, member_id, plan_version_id, encode(item, 'hex')) as place,
             array[meter || ': events', meter || ': total', meter || ': maximum', meter || ': latest'] as meters,
             coalesce(e.numbers, array[0, 0, 0, 0]::numeric[]) as expected,
             coalesce(r.numbers, array[0, 0, 0, 0]::numeric[]) as actual
         from events e full join rolled_up r using (partner_id, hour, product_id, meter, kind, environment, operation_id, app_id,
             key_id, team_id, member_id, plan_version_id, item)
         union all
         select partner_id, date_trunc('hour', at, 'UTC'), node, lane,
             format('%s, product %s, level of item %s at %s, record %s', environment, product_id, encode(item, 'hex'),
                 to_char(at at time zone 'UTC', 'HH24:MI:SS.US'), sequence),
             array[meter || ': levels', meter || ': level'],
             array[(s.level is not null)::int, coalesce(s.level, 0)]::numeric[],
             array[(k.level is not null)::int, coalesce(k.level, 0)]::numeric[]
         from levels_said s full join levels_kept k using (partner_id, product_id, meter, environment, item, at, node, lane, sequence)
     ), differing as (
         select partner_id, hour, node, lane, place, meters, expected::text[] as expected, actual::text[] as actual
         from compared where expected <> actual
     )",
    answer!("coalesce(sum(cardinality(expected)), 0)::bigint")
    ) };
}
const METERS: &str = meters!("", "");

/// Partner by partner, as both sides are kept.
const CREDIT: &str = concat!(
    "with compared as (
         select b.partner_id, h.hour, h.settled, h.used from credit_balances b cross join lateral (
             select hour, sum(settled) as settled, sum(used) as used from (
                 select u.hour, u.settled, 0 as used from usage_credit_hourly u
                 where u.partner_id = b.partner_id and u.hour >= $1 and u.hour < $2
                 union all
                 select e.hour, 0, e.units from ledger_unit_entries e
                 where e.partner_id = b.partner_id and e.hour >= $1 and e.hour < $2 and e.account = 'used'
             ) as both_sides group by hour
         ) as h
     ), differing as (
         select partner_id, hour, '' as node, -1 as lane, '' as place, array['used'] as meters, array[settled]::text[] as expected,
             array[used]::text[] as actual
         from compared where settled <> used
     )",
    answer!("count(*)")
);

/// The same of the partners `$3` alone: what invoices are made from.
pub(super) const OF_PARTNERS: [(Kind, &str); 4] = [
    (Kind::Gateway, gateway!(" and g.partner_id = any($3)", " and e.partner_id = any($3)")),
    (Kind::Hourly, hourly!(" and partner_id = any($3)")),
    (Kind::Daily, daily!(" and partner_id = any($3)")),
    (Kind::Meters, meters!(" and e.partner_id = any($3)", " and partner_id = any($3)")),
];

/// Of which of the partners `$3` a gateway told more, of hours from `$1` up to `$2` and from the partner's own `$4` up to its `$5`, than is
/// stored of its lane. They are compared a moment later.
pub(super) const WHO_IS_TOLD_MORE: &str = "
    select distinct o.partner_id
    from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[]) as o (partner_id, first, past)
    join gateway_tallies g on g.partner_id = o.partner_id and g.hour >= o.first and g.hour < o.past
    join gateway_tally_lanes t on t.node = g.node and t.epoch = g.epoch and t.lane = g.lane
    left join spool_positions p on p.node = g.node and p.lane = g.lane
    where g.hour >= $1 and g.hour < $2 and t.through_sequence > t.first_sequence
        and coalesce(p.sequence, 0) < t.through_sequence and not coalesce(p.forgotten, false)";

/// Units by operation, and what the plan has a price for on meters: sums, how many different values, the largest and the latest, and
/// levels by the hour. An invoice with lines of meters that do not say of which is not compared on those. Nor is how many values are
/// different in a part of a period that begins where another plan ended: the bill has what the parts before it have not counted.
const INVOICE: &str = concat!(
    "with periods as materialized (
         select b.partner_id, b.subscription_id, b.period_start, b.period_end, b.invoice_id,
             coalesce(i.plan_version_id, s.plan_version_id) as plan_version_id,
             exists (select from subscriptions o where o.partner_id = b.partner_id and o.id <> b.subscription_id
                 and o.started_at is not null and o.ended_at = b.period_start) as is_later_part
         from usage_upkeep, billing_periods b
         join subscriptions s on s.partner_id = b.partner_id and s.id = b.subscription_id
         left join invoices i on i.partner_id = b.partner_id and i.id = b.invoice_id
         where b.period_end > $1 and b.period_end <= $2 and b.period_start >= live_from
     ), priced as materialized (
         select p.*, pr.id as product_id, m.priced ->> 'meter' as meter
         from periods p join plan_versions v on v.id = p.plan_version_id
         cross join lateral jsonb_array_elements(coalesce(v.terms -> 'meters', '[]')) as m (priced)
         join products pr on pr.code = m.priced ->> 'product'
         where not exists (select from invoice_lines l
             where l.partner_id = p.partner_id and l.invoice_id = p.invoice_id and l.kind = 'meter' and l.meter is null)
     ), billed as (
         select p.partner_id, p.subscription_id, p.period_start, p.period_end,
             coalesce(l.product_id, '00000000-0000-0000-0000-000000000000') as product_id,
             coalesce(l.operation_id, '00000000-0000-0000-0000-000000000000') as operation_id, l.meter, sum(l.units) as units
         from periods p cross join lateral (
             select l.product_id, l.operation_id, coalesce(l.meter, 'units') as meter, l.quantity as units from invoice_lines l
             where l.partner_id = p.partner_id and l.invoice_id = p.invoice_id
                 and (l.kind = 'usage' or l.kind = 'meter' and l.meter is not null)
             union all
             select l.product_id, l.operation_id, 'prepaid', l.prepaid from invoice_lines l
             where l.partner_id = p.partner_id and l.invoice_id = p.invoice_id and l.kind = 'usage'
             union all
             select a.product_id, a.operation_id, 'prepaid', a.credits from usage_adjustments a
             where a.partner_id = p.partner_id and a.subscription_id = p.subscription_id and a.period_start = p.period_start
                 and a.node is not null
             union all
             select a.product_id, a.operation_id, 'units', a.units from usage_adjustments a
             where a.partner_id = p.partner_id and a.subscription_id = p.subscription_id and a.period_start = p.period_start
                 and a.node is not null
         ) l
         group by 1, 2, 3, 4, 5, 6, 7
     ), measured as (
         select p.partner_id, p.subscription_id, p.period_start, p.period_end, p.product_id, p.meter, p.is_later_part, e.at,
             e.node, e.lane, e.sequence, m.kind, m.quantity, m.item
         from priced p cross join lateral (
             select at, node, lane, sequence, meters from usage_events e where e.partner_id = p.partner_id
                 and e.at >= p.period_start and e.at < p.period_end
                 and e.environment = 'live' and e.product_id = p.product_id and e.meters is not null offset 0
         ) e cross join lateral usage_meters(e.meters) as m
         where m.meter = p.meter and m.kind in ('sum', 'unique', 'maximum', 'latest')
     ), by_kind as materialized (
         select partner_id, subscription_id, period_start, period_end, product_id, meter, kind, is_later_part,
             greatest(case kind when 'sum' then sum(quantity) when 'maximum' then max(quantity)
                 when 'latest' then (array_agg(quantity order by at desc, node collate \"C\" desc, lane desc, sequence desc,
                     quantity desc))[1]
                 else count(distinct item) end, 0) as quantity
         from measured group by partner_id, subscription_id, period_start, period_end, product_id, meter, kind, is_later_part
     ), left_out as (
         select partner_id, subscription_id, period_start, product_id, meter from by_kind
         where kind = 'unique' and is_later_part
     ), untold as (
         select p.partner_id, p.subscription_id, p.period_start from periods p
         join invoice_lines l on l.partner_id = p.partner_id and l.invoice_id = p.invoice_id
         where l.kind = 'usage' and l.prepaid is null
     ), held as (
         select p.partner_id, p.subscription_id, p.period_start, p.period_end, p.product_id, p.meter, l.level,
             extract(epoch from least(l.until, p.period_end) - greatest(l.at, p.period_start)) as seconds
         from priced p cross join lateral (
             select at, level, lead(at, 1, p.period_end) over (partition by item order by at, node, lane, sequence) as until
             from usage_gauge_levels g where g.partner_id = p.partner_id and g.product_id = p.product_id and g.meter = p.meter
                 and g.environment = 'live' and g.at < p.period_end offset 0
         ) l
         where l.until > p.period_start
     ), used as (
         select p.partner_id, p.subscription_id, p.period_start, p.period_end,
             coalesce(e.product_id, '00000000-0000-0000-0000-000000000000') as product_id,
             coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000') as operation_id, n.meter, sum(n.units) as units
         from periods p cross join lateral (
             select product_id, operation_id, units, credits from usage_events e where e.partner_id = p.partner_id
                 and e.at >= p.period_start and e.at < p.period_end and e.environment = 'live' and e.units <> 0 offset 0
         ) e cross join lateral (values ('units', e.units), ('prepaid', e.credits)) as n (meter, units)
         group by 1, 2, 3, 4, 5, 6, 7
         union all
         select partner_id, subscription_id, period_start, period_end, product_id, '00000000-0000-0000-0000-000000000000'::uuid, meter,
             sum(quantity)
         from (
             select partner_id, subscription_id, period_start, period_end, product_id, meter, quantity from by_kind
             union all
             select partner_id, subscription_id, period_start, period_end, product_id, meter,
                 div(trunc(sum(level * seconds)), 3600)
             from held group by partner_id, subscription_id, period_start, period_end, product_id, meter
         ) as of_meters group by 1, 2, 3, 4, 5, 6, 7
     ), compared as (
         select partner_id, period_start, period_end, product_id, operation_id, meter, coalesce(used.units, 0) as used,
             coalesce(billed.units, 0) as billed
         from used full join billed using (partner_id, subscription_id, period_start, period_end, product_id, operation_id, meter)
         where (partner_id, subscription_id, period_start, product_id, meter) not in (select * from left_out)
             and (meter <> 'prepaid' or (partner_id, subscription_id, period_start) not in (select * from untold))
     ), shared as (
         select i.partner_id, i.period_end, i.number, l.position, n.meter, n.of_line, n.of_teams
         from invoices i join invoice_lines l on l.partner_id = i.partner_id and l.invoice_id = i.id
         cross join lateral (
             select count(*) as parts, sum(t.quantity) as quantity, sum(t.free) as free, sum(t.prepaid) as prepaid,
                 sum(t.amount_micros) as amount
             from invoice_line_teams t
             where t.partner_id = l.partner_id and t.invoice_id = l.invoice_id and t.position = l.position
         ) t
         cross join lateral (values ('units by team', l.quantity, t.quantity), ('free by team', l.free, t.free),
             ('prepaid by team', l.prepaid, t.prepaid), ('amount by team', l.amount_micros, t.amount)) as n (meter, of_line, of_teams)
         where i.period_end > $1 and i.period_end <= $2 and t.parts > 0
     ), differing as (
         select partner_id, date_trunc('hour', period_end - interval '1 microsecond', 'UTC') as hour, '' as node, -1 as lane,
             format('period of %s, product %s', to_char(period_start at time zone 'UTC', 'YYYY-MM-DD'), product_id)
                 || case when meter in ('units', 'prepaid') then format(', operation %s', operation_id) else '' end as place,
             array[meter] as meters, array[used]::text[] as expected, array[billed]::text[] as actual
         from compared where used <> billed
         union all
         select partner_id, date_trunc('hour', period_end - interval '1 microsecond', 'UTC'), '', -1,
             format('invoice %s, line %s: the line, and its parts by team', number, position), array[meter], array[of_line]::text[],
             array[of_teams]::text[]
         from shared where of_line <> of_teams
     )",
    answer!("count(*) + (select count(*) from shared)")
);
