-- Overdraft, mended. What is owed is kept beside the entries, hour by hour: gateways' exchanges ask for it. Units that an invoice will bill
-- are nobody's next units: what is given or bought meanwhile can be used at once. And an hour in which the plan changes is the first
-- plan's that has a price for it, so that nobody leaves a price behind by another plan, and none is raised for what was used before.

-- A server of the version before goes on booking: nothing may come between what is read here and the trigger. In the order of bookings.
lock table usage_credit_hourly, ledger_unit_entries in share row exclusive mode;

create table credit_owed (
    partner_id         uuid not null references partners (id),
    hour               timestamptz not null,
    -- What the entries of the account come to; no row where that is nothing.
    units              bigint not null,
    primary key (partner_id, hour)
);

insert into credit_owed (partner_id, hour, units)
select partner_id, hour, -sum(units) from ledger_unit_entries where account = 'owed' and hour is not null
group by partner_id, hour having sum(units) <> 0;

-- By the database, so that a server of the version before keeps it, too.
create function keep_credit_owed() returns trigger language plpgsql as $$
begin
    insert into credit_owed as held (partner_id, hour, units) values (new.partner_id, new.hour, -new.units)
        on conflict (partner_id, hour) do update set units = held.units + excluded.units;
    delete from credit_owed where partner_id = new.partner_id and hour = new.hour and units = 0;
    return null;
end $$;
create trigger ledger_unit_entries_keep_credit_owed after insert on ledger_unit_entries
    for each row when (new.account = 'owed' and new.hour is not null) execute function keep_credit_owed();

-- What is not booked yet, of one partner: pages ask for it.
create index usage_credit_not_settled on usage_credit_hourly (partner_id, hour) where units + closed_units <> settled;

-- What the first plan of an hour that has a price says of units beyond all credit; no row where none has: those are owed to the next grant.
drop function credit_overdraft_in(uuid, timestamptz);
create function credit_overdraft_in(
    of_partner uuid, of_hour timestamptz, out began_at timestamptz, out currency text, out unit_price numeric, out subscription_id uuid
) returns setof record language sql stable as $$
    select s.started_at, v.terms ->> 'currency', (v.terms #>> '{admission,credit,overdraft,unit_price}')::numeric, s.id
    from subscriptions s join plan_versions v on v.id = s.plan_version_id
    where s.partner_id = of_partner and s.status in ('active', 'ended') and s.started_at < of_hour + interval '1 hour'
        and (s.ended_at is null or s.ended_at > of_hour and s.ended_at > s.started_at)
        and v.terms #>> '{admission,credit,overdraft,unit_price}' is not null
    order by s.started_at, s.id limit 1
$$;

-- Units that are owed and that an invoice will bill. What was taken back and is not booked yet may be of those, and gateways have it again:
-- so it is not among them.
create function credit_to_be_billed(of_partner uuid) returns bigint language sql stable as $$
    with plans as materialized (
        select s.started_at, s.ended_at from subscriptions s join plan_versions v on v.id = s.plan_version_id
        where s.partner_id = of_partner and s.status in ('active', 'ended') and s.started_at is not null
            and v.terms #>> '{admission,credit,overdraft,unit_price}' is not null
    )
    select greatest(0, coalesce((
            select sum(o.units) from credit_owed o
            where o.partner_id = of_partner and exists (
                select from plans p where p.started_at < o.hour + interval '1 hour'
                    and (p.ended_at is null or p.ended_at > o.hour and p.ended_at > p.started_at))
        ), 0) + case when exists (select from credit_owed o where o.partner_id = of_partner) then coalesce((
            select sum(u.units + u.closed_units - u.settled) from usage_credit_hourly u
            where u.partner_id = of_partner and u.units + u.closed_units <> u.settled and u.units + u.closed_units < u.settled
        ), 0) else 0 end)::bigint
$$;

-- Units below zero that calls may take the balance to: by the plan in force, none of whoever did not pay an invoice for long; and never
-- less than what an invoice will bill, so that what is given meanwhile is not held against it.
create or replace function credit_overdraft_of(of_partner uuid) returns bigint language sql stable as $$
    select greatest(credit_to_be_billed(of_partner), coalesce((
        select (v.terms #>> '{admission,credit,overdraft,units}')::bigint
        from subscriptions s join plan_versions v on v.id = s.plan_version_id
        where s.partner_id = of_partner and s.status = 'active'
            and not exists (select from dunning d where d.partner_id = of_partner and d.stage in ('limited', 'suspended'))
    ), 0))
$$;

-- Whether the partner has a subscription in the currency that is not billed to its end: what is left over is on its next invoice.
create function next_invoice_comes(of_partner uuid, in_currency text) returns boolean language sql stable as $$
    select exists (
        select from subscriptions s join plan_versions v on v.id = s.plan_version_id
        where s.partner_id = of_partner and v.terms ->> 'currency' = in_currency
            and s.status in ('active', 'ended') and s.started_at is not null
            and (s.ended_at is null or s.ended_at > coalesce(
                (select max(b.period_end) from billing_periods b
                 where b.partner_id = s.partner_id and b.subscription_id = s.id), s.started_at)))
$$;

-- Units that an invoice would bill when the order last bought: what it bought is not for those.
alter table credit_top_ups add column lent_units bigint not null default 0;
