-- Usage that is quick to read however much there is, and that ends when the operator says so.
--
-- Hourly roll-ups get the team and the member, and partitions by month. Two smaller ones are made of them when a day is over, never
-- while calls are taken in: by day with every dimension, and by hour with few, for series in time zones whose days are not UTC's.
-- An hour that changes after its day was made leaves a mark in the same transaction: until the day is made again, queries read that
-- partner's day from the hourly rows. So every total is the count of all that is stored, whenever it is asked for.

-- Makes the partition of `parent` that holds `key` from `starts` up to `ends`, if it is missing, and gives it what the default
-- partition held of that range: how many rows. Writers of the default partition wait meanwhile.
create function make_usage_part(parent text, suffix text, key text, starts text, ends text) returns bigint language plpgsql as $$
declare
    part constant text := parent || '_' || suffix;
    other constant text := parent || '_other';
    moved bigint;
begin
    if to_regclass(part) is not null then
        return 0;
    end if;
    execute format('lock table %I in share row exclusive mode', other);
    execute format('create table %I (like %I including defaults including constraints)', part, parent);
    execute format('with moved as (delete from %1$I where %2$I >= %3$L and %2$I < %4$L returning *) insert into %5$I select * from moved',
        other, key, starts, ends, part);
    get diagnostics moved = row_count;
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part, starts, ends);
    return moved;
end $$;

-- As before, but what came before its day's partition is moved into it.
create or replace function make_usage_partition(day date) returns boolean language plpgsql as $$
begin
    perform make_usage_part('usage_events', to_char(day, 'YYYYMMDD'), 'at', day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
    return true;
end $$;

-- The month (UTC) that `of_day` lies in, of one of the roll-ups.
create function make_usage_month(parent text, of_day date) returns bigint language plpgsql as $$
declare
    starts constant date := date_trunc('month', of_day::timestamp);
    ends constant date := starts + interval '1 month';
    suffix constant text := to_char(starts, 'YYYYMM');
begin
    if parent = 'usage_daily' then
        return make_usage_part(parent, suffix, 'day', starts::text, ends::text);
    end if;
    return make_usage_part(parent, suffix, 'hour', starts || ' 00:00:00+00', ends || ' 00:00:00+00');
end $$;

-- How far the smaller roll-ups are, and from when on each class is still kept whole. All are midnights of UTC and only rise.
create table usage_upkeep (
    only_row           boolean primary key default true check (only_row),
    -- Who changes an hour before this instant leaves a mark.
    marked_before      timestamptz not null default '1970-01-01 00:00:00+00',
    -- Days before this one are made.
    made_before        timestamptz not null default '1970-01-01 00:00:00+00' check (made_before <= marked_before),
    live_from          timestamptz not null default '1970-01-01 00:00:00+00',
    test_from          timestamptz not null default '1970-01-01 00:00:00+00',
    hourly_from        timestamptz not null default '1970-01-01 00:00:00+00' check (hourly_from <= made_before),
    daily_from         timestamptz not null default '1970-01-01 00:00:00+00' check (daily_from <= made_before)
);
insert into usage_upkeep default values;

create table usage_days_changed (
    partner_id         uuid not null,
    day                date not null,
    primary key (partner_id, day)
);

alter table usage_hourly rename to usage_hourly_before;
alter index usage_hourly_pkey rename to usage_hourly_before_pkey;

create table usage_hourly (
    partner_id         uuid not null,
    hour               timestamptz not null,
    environment        text not null,
    product_id         uuid not null,      -- the nil UUID where none matched
    operation_id       uuid not null,
    app_id             uuid not null,
    key_id             uuid not null,
    team_id            uuid not null,      -- the nil UUID where the app is in no team
    member_id          uuid not null,
    plan_version_id    uuid not null,
    outcome            text not null,
    status_class       smallint not null,  -- 1 to 5
    calls              bigint not null,
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    -- Calls by duration: at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000 ms, and longer.
    durations          bigint[] not null check (array_length(durations, 1) = 13),
    primary key (partner_id, hour, environment, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
        outcome, status_class)
) partition by range (hour);
create table usage_hourly_other partition of usage_hourly default;
-- For whoever makes a day of all partners: rows come in the order of time.
create index usage_hourly_by_hour on usage_hourly using brin (hour);

create table usage_daily (
    partner_id         uuid not null,
    day                date not null,      -- UTC
    environment        text not null,
    product_id         uuid not null,
    operation_id       uuid not null,
    app_id             uuid not null,
    key_id             uuid not null,
    team_id            uuid not null,
    member_id          uuid not null,
    plan_version_id    uuid not null,
    outcome            text not null,
    status_class       smallint not null,
    calls              bigint not null,
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    durations          bigint[] not null check (array_length(durations, 1) = 13),
    primary key (partner_id, day, environment, product_id, operation_id, app_id, key_id, team_id, member_id, plan_version_id,
        outcome, status_class)
) partition by range (day);
create table usage_daily_other partition of usage_daily default;

create table usage_brief (
    partner_id         uuid not null,
    hour               timestamptz not null,
    environment        text not null,
    product_id         uuid not null,
    outcome            text not null,
    status_class       smallint not null,
    calls              bigint not null,
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    durations          bigint[] not null check (array_length(durations, 1) = 13),
    primary key (partner_id, hour, environment, product_id, outcome, status_class)
) partition by range (hour);
create table usage_brief_other partition of usage_brief default;

do $$
declare
    month timestamp;
begin
    for month in select distinct date_trunc('month', hour at time zone 'UTC') from usage_hourly_before loop
        perform make_usage_month('usage_hourly', month::date), make_usage_month('usage_daily', month::date),
            make_usage_month('usage_brief', month::date);
    end loop;
end $$;

-- Under no team and no member: summing up all raw events again would keep everybody waiting, for little.
insert into usage_hourly
select partner_id, hour, environment, product_id, operation_id, app_id, key_id, '00000000-0000-0000-0000-000000000000',
    '00000000-0000-0000-0000-000000000000', plan_version_id, outcome, status_class, calls, units, bytes_in, bytes_out,
    duration_us, durations
from usage_hourly_before;

drop table usage_hourly_before;

-- Drops a partition, if it is there.
create function drop_usage_part(part text) returns void language plpgsql as $$
begin
    execute format('drop table if exists %I', part);
end $$;
