-- What was used. Raw events are partitioned by day (UTC) and written by COPY; hourly roll-ups and the spool's stored
-- position move in the same transaction, so a crash anywhere replays from the position and counts nothing twice.
-- There is no unique index on the events: the position is what makes them exactly once.

create table spool_positions (
    node               text not null,
    -- The core's spool: each appends without locks to its own.
    lane               int not null,
    -- Segments rise by one; the offset is the byte after the last record taken from that segment.
    segment            bigint not null,
    byte_offset        bigint not null,
    -- Records taken from this lane since it began: sequence numbers have no gaps.
    sequence           bigint not null,
    updated_at         timestamptz not null,
    -- Every call recorded in this lane before this instant has been taken in: set when the shipper finds nothing more to
    -- read. An invoice waits for it.
    through            timestamptz,
    primary key (node, lane)
);

create table usage_events (
    partner_id         uuid not null,
    at                 timestamptz not null,
    node               text not null,
    lane               int not null,
    sequence           bigint not null,
    request_id         text not null,
    app_id             uuid not null,
    key_id             uuid not null,
    team_id            uuid,
    member_id          uuid,
    environment        text not null,
    plan_version_id    uuid,
    product_id         uuid,
    operation_id       uuid,
    method             text not null,
    path               text not null,
    status             smallint not null,
    outcome            text not null,      -- served, refused, upstream_failed, client_gone
    refusal            text,               -- the refusal's code
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    upstream_us        bigint not null
) partition by range (at);
create index usage_events_by_partner on usage_events (partner_id, at desc);
create index usage_events_by_request on usage_events (request_id);
-- Takes what no day holds yet, so that an event is never refused for its time.
create table usage_events_other partition of usage_events default;

-- Makes the partition of one day (UTC), if it is missing. False where the default partition already holds events of that
-- day: Postgres then refuses the new partition, and the events stay where they are, found by the same queries.
create function make_usage_partition(day date) returns boolean language plpgsql as $$
declare
    partition_name text := 'usage_events_' || to_char(day, 'YYYYMMDD');
    starts timestamptz := day::timestamp at time zone 'UTC';
    ends timestamptz := (day + 1)::timestamp at time zone 'UTC';
begin
    if to_regclass(partition_name) is not null then
        return true;
    end if;
    if exists (select from usage_events_other where at >= starts and at < ends) then
        return false;
    end if;
    execute format('create table %I partition of usage_events for values from (%L) to (%L)', partition_name, starts, ends);
    return true;
exception when check_violation then
    return false; -- an event of that day arrived in between
end $$;

create table usage_hourly (
    partner_id         uuid not null,
    hour               timestamptz not null,
    environment        text not null,
    product_id         uuid not null,      -- the nil UUID where none matched
    operation_id       uuid not null,
    app_id             uuid not null,
    key_id             uuid not null,
    plan_version_id    uuid not null,
    outcome            text not null,
    status_class       smallint not null,  -- 2, 3, 4, 5
    calls              bigint not null,
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    -- Calls by duration: at most 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000 ms, and longer.
    durations          bigint[] not null check (array_length(durations, 1) = 13),
    primary key (partner_id, hour, environment, product_id, operation_id, app_id, key_id, plan_version_id, outcome, status_class)
);

create table key_last_used (
    partner_id         uuid not null,
    key_id             uuid not null,
    at                 timestamptz not null,
    primary key (partner_id, key_id)
);
