-- Days by operation. A dashboard of a month and a bill ask for totals and for operations, not for keys: a partner's month has as
-- many of these rows as it has operations and days, however many apps and keys made the calls.

create table usage_operation_daily (
    partner_id         uuid not null,
    day                date not null,      -- UTC
    environment        text not null,
    product_id         uuid not null,
    operation_id       uuid not null,
    outcome            text not null,
    status_class       smallint not null,
    calls              bigint not null,
    units              bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    durations          bigint[] not null check (array_length(durations, 1) = 13),
    primary key (partner_id, day, environment, product_id, operation_id, outcome, status_class)
) partition by range (day);
create table usage_operation_daily_other partition of usage_operation_daily default;

-- As before, with the new table among those by day.
create or replace function make_usage_month(parent text, of_day date) returns bigint language plpgsql as $$
declare
    starts constant date := date_trunc('month', of_day::timestamp);
    ends constant date := starts + interval '1 month';
    suffix constant text := to_char(starts, 'YYYYMM');
begin
    if parent in ('usage_daily', 'usage_operation_daily') then
        return make_usage_part(parent, suffix, 'day', starts::text, ends::text);
    end if;
    return make_usage_part(parent, suffix, 'hour', starts || ' 00:00:00+00', ends || ' 00:00:00+00');
end $$;

do $$
declare
    month timestamp;
begin
    for month in select distinct date_trunc('month', day::timestamp) from usage_daily loop
        perform make_usage_month('usage_operation_daily', month::date);
    end loop;
end $$;

insert into usage_operation_daily
select partner_id, day, environment, product_id, operation_id, outcome, status_class, sum(calls), sum(units), sum(bytes_in),
    sum(bytes_out), sum(duration_us),
    array[sum(durations[1]), sum(durations[2]), sum(durations[3]), sum(durations[4]), sum(durations[5]), sum(durations[6]),
        sum(durations[7]), sum(durations[8]), sum(durations[9]), sum(durations[10]), sum(durations[11]), sum(durations[12]),
        sum(durations[13])]
from usage_daily group by partner_id, day, environment, product_id, operation_id, outcome, status_class;
