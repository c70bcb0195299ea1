-- What each team used of a line of an invoice. A line is rated over the whole partner; its parts say how its units were spread, and share
-- its amount to the last coin (domain::rating::teams). They are written with the invoice: teams that are renamed and apps that change their
-- team later move nothing of it.

create table invoice_line_teams (
    partner_id         uuid not null,
    invoice_id         uuid not null,
    position           int not null,
    -- All zeros for usage of no team.
    team_id            uuid not null,
    -- The team's name when the invoice was made; empty for usage of no team.
    team_name          text not null,
    -- Below zero where an adjustment takes units back.
    quantity           bigint not null,
    free               bigint not null check (free >= 0),
    prepaid            bigint not null check (prepaid >= 0),
    amount_micros      bigint not null,
    primary key (partner_id, invoice_id, position, team_id),
    foreign key (partner_id, invoice_id, position) references invoice_lines (partner_id, invoice_id, position)
);
create trigger invoice_line_teams_are_append_only before update or delete or truncate on invoice_line_teams
    for each statement execute function refuse_change();

-- They are compared with their lines by when the period of their invoice ended.
create index invoices_by_end on invoices (period_end);

-- Whose usage it is that came late or was corrected. Null for none, and on what was written before this was kept.
alter table usage_adjustments add column team_id uuid;
alter table usage_correction_events add column team_id uuid;

-- Units of a range by operation and team, and how many of them prepaid credit paid, of a time of which all is kept as events and by the hour:
-- whole days that are made and have not changed since as such, other hours as hours, and the parts of hours at both ends from the events.
-- Usage of no team has the nil UUID.
create function units_by_team(partner uuid, first timestamptz, past timestamptz, of_environment text)
returns table (product_id uuid, operation_id uuid, team_id uuid, units bigint, prepaid bigint)
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
    return query select product_id, operation_id, team_id, sum(units)::bigint, sum(prepaid)::bigint from (
        select d.product_id, d.operation_id, d.team_id, d.units, 0 as prepaid from usage_daily d
            where d.partner_id = partner and d.day >= from_date and d.day < past_date and d.environment = of_environment
                and not exists (select from usage_days_changed c where c.partner_id = partner and c.day = d.day)
        union all
        select h.product_id, h.operation_id, h.team_id, h.units, 0 from usage_days_changed c
            join usage_hourly h on h.partner_id = partner and h.hour >= c.day::timestamp at time zone 'UTC'
                and h.hour < (c.day + 1)::timestamp at time zone 'UTC' and h.environment = of_environment
            where c.partner_id = partner and c.day >= from_date and c.day < past_date
                and h.hour >= days_from and h.hour < days_past
        union all
        select h.product_id, h.operation_id, h.team_id, h.units, 0 from usage_hourly h
            where h.partner_id = partner and h.hour >= first_hour and h.hour < days_from and h.environment = of_environment
        union all
        select h.product_id, h.operation_id, h.team_id, h.units, 0 from usage_hourly h
            where h.partner_id = partner and h.hour >= days_past and h.hour < past_hour and h.environment = of_environment
        union all
        select coalesce(e.product_id, nobody), coalesce(e.operation_id, nobody), coalesce(e.team_id, nobody), e.units, 0 from usage_events e
            where e.partner_id = partner and e.at >= first and e.at < first_edge and e.environment = of_environment
        union all
        select coalesce(e.product_id, nobody), coalesce(e.operation_id, nobody), coalesce(e.team_id, nobody), e.units, 0 from usage_events e
            where e.partner_id = partner and e.at >= last_edge and e.at < past and e.environment = of_environment
        union all
        select coalesce(e.product_id, nobody), coalesce(e.operation_id, nobody), e.team_id, 0, e.credits from usage_events e
            where e.partner_id = partner and e.at >= first and e.at < past and e.environment = 'live' and of_environment = 'live'
                and e.credits <> 0 and e.team_id is not null
    ) as everywhere group by 1, 2, 3 having sum(units) <> 0 or sum(prepaid) <> 0;
end $$;
