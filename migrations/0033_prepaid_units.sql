-- Units that prepaid credit paid are paid: an invoice lists them and does not bill them again. Bills are made from sums, so there is a
-- sum of them, by hour and operation. It is small: only calls that took credit are in it.

create table usage_credit_hourly (
    partner_id         uuid not null,
    hour               timestamptz not null,
    -- All zeros where it is not known.
    product_id         uuid not null,
    operation_id       uuid not null,
    -- Paid with credit, corrected.
    units              bigint not null,
    -- What corrections moved of periods that were closed: their bills have it as adjustments.
    closed_units       bigint not null default 0,
    primary key (partner_id, hour, product_id, operation_id)
);

insert into usage_credit_hourly (partner_id, hour, product_id, operation_id, units)
select partner_id, date_trunc('hour', at, 'UTC'), coalesce(product_id, '00000000-0000-0000-0000-000000000000'),
    coalesce(operation_id, '00000000-0000-0000-0000-000000000000'), sum(credits)
from usage_events where credits <> 0 group by 1, 2, 3, 4;

-- What of a range credit paid, by operation. Hours are whole in UTC; what lies beside them is read from the events.
create function units_prepaid(partner uuid, first timestamptz, past timestamptz)
returns table (product_id uuid, operation_id uuid, units bigint) language sql stable as $$
    with hours as (
        select case when date_trunc('hour', first, 'UTC') = first then first
            else date_trunc('hour', first, 'UTC') + interval '1 hour' end as first_hour,
            date_trunc('hour', past, 'UTC') as past_hour, live_from from usage_upkeep
    )
    select product_id, operation_id, sum(units)::bigint from (
        select u.product_id, u.operation_id, u.units from usage_credit_hourly u, hours
            where u.partner_id = partner and u.hour >= first_hour and u.hour < past_hour
        union all
        -- Where events are no longer kept, an hour counts where it begins.
        select u.product_id, u.operation_id, u.units from usage_credit_hourly u, hours
            where u.partner_id = partner and u.hour >= greatest(first, past_hour) and u.hour < past and past_hour < live_from
        union all
        select coalesce(e.product_id, '00000000-0000-0000-0000-000000000000'),
            coalesce(e.operation_id, '00000000-0000-0000-0000-000000000000'), e.credits
        from hours cross join lateral (
            select product_id, operation_id, credits from usage_events
                where partner_id = partner and at >= first and at < least(first_hour, past) and at >= live_from and credits <> 0
            union all
            select product_id, operation_id, credits from usage_events
                where partner_id = partner and at >= greatest(past_hour, first_hour) and at < past and past_hour >= live_from
                    and credits <> 0
        ) e
    ) as both_kinds group by 1, 2
$$;

-- Of the line's units, how many credit paid. Null on lines from before this was kept: on those they were billed.
alter table invoice_lines add column prepaid bigint;
-- Of the adjustment's units; below zero where some come back.
alter table usage_adjustments add column credits bigint not null default 0;
