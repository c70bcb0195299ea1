-- Units that others tell us are billed and not held against a quota: what was used before an allowance is made is what gateways
-- counted, whichever came first. Their hourly rows have no key.
create or replace function units_stored(partner uuid, first timestamptz, past timestamptz) returns bigint language sql stable as $$
    with hours as (
        select case when date_trunc('hour', first, 'UTC') = first then first
            else date_trunc('hour', first, 'UTC') + interval '1 hour' end as first_hour,
            date_trunc('hour', past, 'UTC') as past_hour
    )
    select (
        coalesce((select sum(u.units) from usage_hourly u, hours
            where u.partner_id = partner and u.environment = 'live' and u.hour >= first_hour and u.hour < past_hour
                and u.key_id <> '00000000-0000-0000-0000-000000000000'), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.kind = 0
                and e.at >= first and e.at < least(first_hour, past)), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.kind = 0
                and e.at >= greatest(past_hour, first_hour) and e.at < past), 0)
    )::bigint
$$;
