-- Units of a range of a partner's time, from the shortest roll-ups that have them, in statements that are planned for that very range. One
-- statement for all that may be asked of usage took Postgres longer to plan than to run, and the units of every period are read and, as it
-- is closed, counted once more.
--
-- Both answer for a time of which all is kept as events and by the hour, and of which no day has changed since it was made: whoever asks
-- says so (are_units_at_hand).

create function are_units_at_hand(partner uuid, first timestamptz, past timestamptz, of_environment text) returns boolean
language sql stable as $$
    select hourly_from <= first and case of_environment when 'live' then live_from else test_from end <= first and not exists (
        select from usage_days_changed c
        where c.partner_id = partner and c.day >= (first at time zone 'UTC')::date and c.day <= (past at time zone 'UTC')::date)
    from usage_upkeep
$$;

-- By operation, and how many of them prepaid credit paid: whole days that are made as such, the hours at both ends as hours, and the parts
-- of hours at both ends from the events.
create function units_by_operation(partner uuid, first timestamptz, past timestamptz, of_environment text)
returns table (product_id uuid, operation_id uuid, units bigint, prepaid bigint)
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
    past_hour constant timestamptz := date_trunc('hour', past, 'UTC');
    first_hour constant timestamptz := date_trunc('hour', first + interval '1 hour' - interval '1 microsecond', 'UTC');
    first_edge constant timestamptz := least(first_hour, past);
    last_edge constant timestamptz := greatest(past_hour, first_edge);
    first_day constant timestamptz := date_trunc('day', first_hour + interval '24 hours' - interval '1 microsecond', 'UTC');
    past_day constant timestamptz := least(date_trunc('day', past_hour, 'UTC'), (select made_before from usage_upkeep));
    -- Where no whole day is made they are all hours.
    days_from constant timestamptz := case when first_day < past_day then first_day else first_hour end;
    days_past constant timestamptz := case when first_day < past_day then past_day else first_hour end;
    from_date constant date := (days_from at time zone 'UTC')::date;
    past_date constant date := (days_past at time zone 'UTC')::date;
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
begin
    return query select product_id, operation_id, sum(units)::bigint, sum(prepaid)::bigint from (
        select d.product_id, d.operation_id, d.units, 0 as prepaid from usage_operation_daily d
            where d.partner_id = partner and d.day >= from_date and d.day < past_date and d.environment = of_environment
        union all
        select h.product_id, h.operation_id, h.units, 0 from usage_hourly h
            where h.partner_id = partner and h.hour >= first_hour and h.hour < days_from and h.environment = of_environment
        union all
        select h.product_id, h.operation_id, h.units, 0 from usage_hourly h
            where h.partner_id = partner and h.hour >= days_past and h.hour < past_hour and h.environment = of_environment
        union all
        select coalesce(e.product_id, nobody), coalesce(e.operation_id, nobody), e.units,
                case of_environment when 'live' then e.credits else 0 end from usage_events e
            where e.partner_id = partner and e.at >= first and e.at < first_edge and e.environment = of_environment
        union all
        select coalesce(e.product_id, nobody), coalesce(e.operation_id, nobody), e.units,
                case of_environment when 'live' then e.credits else 0 end from usage_events e
            where e.partner_id = partner and e.at >= last_edge and e.at < past and e.environment = of_environment
        union all
        select c.product_id, c.operation_id, 0, c.units from usage_credit_hourly c
            where c.partner_id = partner and c.hour >= first_hour and c.hour < past_hour and of_environment = 'live'
    ) as everywhere group by 1, 2 having sum(units) > 0;
end $$;

-- All of them in one number. Hours of days that are made are read without their operations.
create function units_counted(partner uuid, first timestamptz, past timestamptz, of_environment text) returns bigint
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
    past_hour constant timestamptz := date_trunc('hour', past, 'UTC');
    first_hour constant timestamptz := date_trunc('hour', first + interval '1 hour' - interval '1 microsecond', 'UTC');
    first_edge constant timestamptz := least(first_hour, past);
    last_edge constant timestamptz := greatest(past_hour, first_edge);
    made constant timestamptz := (select made_before from usage_upkeep);
    brief_past constant timestamptz := least(past_hour, made);
    hours_from constant timestamptz := greatest(first_hour, made);
    units numeric := 0;
begin
    if first_hour < brief_past then
        units := units + (select coalesce(sum(b.units), 0) from usage_brief b
            where b.partner_id = partner and b.hour >= first_hour and b.hour < brief_past and b.environment = of_environment);
    end if;
    if hours_from < past_hour then
        units := units + (select coalesce(sum(h.units), 0) from usage_hourly h
            where h.partner_id = partner and h.hour >= hours_from and h.hour < past_hour and h.environment = of_environment);
    end if;
    if first < first_edge then
        units := units + (select coalesce(sum(e.units), 0) from usage_events e
            where e.partner_id = partner and e.at >= first and e.at < first_edge and e.environment = of_environment);
    end if;
    if last_edge < past then
        units := units + (select coalesce(sum(e.units), 0) from usage_events e
            where e.partner_id = partner and e.at >= last_edge and e.at < past and e.environment = of_environment);
    end if;
    return units::bigint;
end $$;
