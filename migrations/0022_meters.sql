-- What calls count for on meters besides units, summed up in the transaction that takes the calls in. All that is kept of several
-- values can be merged in any order: sums and largest values as they are, the latest by when it was said and then by where the event
-- stands in the usage log, different values by being there, and a gauge's levels each by itself.

-- One for each thing that is counted once (`item`), where the meter counts things.
create table usage_meter_hourly (
    partner_id         uuid not null,
    hour               timestamptz not null,
    product_id         uuid not null,      -- the nil UUID where none is known, as in usage_hourly
    meter              text not null,
    -- As the event has it: a meter that changes its kind leaves its past as it was.
    kind               text not null check (kind in ('sum', 'maximum', 'latest', 'unique', 'gauge')),
    environment        text not null,
    operation_id       uuid not null,
    app_id             uuid not null,
    key_id             uuid not null,
    team_id            uuid not null,
    member_id          uuid not null,
    plan_version_id    uuid not null,
    -- A keyed hash, or empty.
    item               bytea not null,
    events             bigint not null,
    -- Never too large for it, however long somebody counts large values.
    total              numeric not null,
    maximum            bigint not null,
    latest             bigint not null,
    latest_at          timestamptz not null,
    latest_node        text collate "C" not null,
    latest_lane        int not null,
    latest_sequence    bigint not null,
    primary key (partner_id, hour, product_id, meter, kind, environment, operation_id, app_id, key_id, team_id, member_id,
        plan_version_id, item)
) partition by range (hour);
create table usage_meter_hourly_other partition of usage_meter_hourly default;
create index usage_meter_hourly_by_hour on usage_meter_hourly using brin (hour);

-- Each level that was said, so that what held for how long can be told for any range of time.
create table usage_gauge_levels (
    partner_id         uuid not null,
    product_id         uuid not null,
    meter              text not null,
    environment        text not null,
    item               bytea not null,
    at                 timestamptz not null,
    node               text collate "C" not null,
    lane               int not null,
    sequence           bigint not null,
    level              bigint not null,
    primary key (partner_id, product_id, meter, environment, item, at, node, lane, sequence)
);

-- The meters of an event, as usage_events keeps them: [code, quantity], and the kind where it is no sum, and the item where there is one.
create function usage_meters(meters jsonb) returns table (meter text, kind text, quantity bigint, item bytea)
language sql immutable as $$
    select said ->> 0, coalesce(said ->> 2, 'sum'), (said ->> 1)::bigint, decode(coalesce(said ->> 3, ''), 'hex')
    from jsonb_array_elements(meters) as all_of_them (said)
$$;
