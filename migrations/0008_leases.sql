-- Units that nodes take in blocks, so that a hard quota or a balance of credit is exact however many nodes spend it.
--
-- An allowance is a partner's quota in one billing period, or its credit. `taken` is what all nodes were granted of it and did
-- not give back, and what was used before there were leases. A lease is one node's part: what it was granted, and how much of
-- it the events say that it spent. So, always: taken = what was used before + the sum of granted, and granted >= spent.
--
-- Locks are taken in this order by everybody: leases, allowances, balances.

create table allowances (
    partner_id         uuid not null,
    kind               text not null check (kind in ('quota', 'credit')),
    -- Of credit: 1970, and the end of time.
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    taken              bigint not null check (taken >= 0),
    -- When a node found nothing left, in real time: the others then give back what they do not use.
    short_at           timestamptz,
    primary key (partner_id, kind, period_start)
);
create index allowances_by_end on allowances (period_end);

create table allowance_leases (
    partner_id         uuid not null,
    kind               text not null check (kind in ('quota', 'credit')),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    node               text not null,
    granted            bigint not null,
    -- Moves in the transaction that takes the node's events in.
    spent              bigint not null check (spent >= 0),
    -- Rises with each exchange: what a node gave back in one that was overtaken is not taken from it twice.
    turn               bigint not null default 0,
    primary key (partner_id, kind, period_start, node),
    check (granted >= spent)
);
create index allowance_leases_by_node on allowance_leases (node);

-- Gateways, by their own word and in real time.
create table gateway_nodes (
    node               text primary key,
    started_at         timestamptz not null,
    seen_at            timestamptz not null
);

-- Units of credit that a partner was ever given, less what was taken back. What is left is `units` less what its allowance of
-- kind credit says is used. A ledger feeds it: every row of credit_grants moves it in the same transaction.
create table credit_balances (
    partner_id         uuid primary key references partners (id),
    units              bigint not null check (units >= 0)
);

create table credit_grants (
    partner_id         uuid not null references partners (id),
    id                 uuid not null,
    -- Below zero where units are taken back.
    units              bigint not null check (units <> 0),
    reason             text not null check (length(reason) between 1 and 200),
    -- The grantor's own number for it: a second grant with the same one is the first.
    reference          text check (length(reference) between 1 and 200),
    granted_at         timestamptz not null,
    primary key (partner_id, id)
);
create unique index credit_grants_by_reference on credit_grants (partner_id, reference) where reference is not null;

-- Of the event's units, those that were paid with credit.
alter table usage_events add column credits bigint not null default 0;

-- Live units that are stored of a range of time: what a new allowance begins with.
create function units_stored(partner uuid, first timestamptz, past timestamptz) returns bigint language sql stable as $$
    with hours as (
        select case when date_trunc('hour', first, 'UTC') = first then first
            else date_trunc('hour', first, 'UTC') + interval '1 hour' end as first_hour,
            date_trunc('hour', past, 'UTC') as past_hour
    )
    select (
        coalesce((select sum(u.units) from usage_hourly u, hours
            where u.partner_id = partner and u.environment = 'live' and u.hour >= first_hour and u.hour < past_hour), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.at >= first and e.at < least(first_hour, past)), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.at >= greatest(past_hour, first_hour)
                and e.at < past), 0)
    )::bigint
$$;

-- Makes allowances that are not there. What was used before is counted once: whoever stores usage under an allowance makes
-- it in the same transaction, before the usage.
create function open_allowances(partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
returns void language sql as $$
    insert into allowances (partner_id, kind, period_start, period_end, taken)
    select partner, kind_of, starts_at, ends_at,
        case when kind_of = 'quota' then units_stored(partner, starts_at, ends_at) else 0 end
    from (
        select * from unnest(partners, kinds, starts, ends) as asked (partner, kind_of, starts_at, ends_at)
        where not exists (select from allowances held
            where held.partner_id = partner and held.kind = kind_of and held.period_start = starts_at)
        order by 1, 2, 3
    ) as missing
    on conflict do nothing
$$;

-- Makes a node's leases that are not there, and locks all of them.
create function lock_leases(of_node text, partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
returns void language plpgsql as $$
begin
    insert into allowance_leases (partner_id, kind, period_start, period_end, node, granted, spent)
    select partner, kind_of, starts_at, ends_at, of_node, 0, 0
    from unnest(partners, kinds, starts, ends) as asked (partner, kind_of, starts_at, ends_at)
    order by 1, 2, 3 on conflict do nothing;

    perform from allowance_leases l
        join unnest(partners, kinds, starts) as asked (partner, kind_of, starts_at)
            on l.partner_id = partner and l.kind = kind_of and l.period_start = starts_at
        where l.node = of_node order by l.partner_id, l.kind, l.period_start for update of l;
end $$;

-- Makes allowances, for a node that is about to store what it spent. Where one is missing the node's leases are locked
-- first, which keeps the order of locks.
create function open_spending(of_node text, partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
returns void language plpgsql as $$
begin
    if not exists (select from unnest(partners, kinds, starts) as asked (partner, kind_of, starts_at)
        where not exists (select from allowances held
            where held.partner_id = partner and held.kind = kind_of and held.period_start = starts_at))
    then
        return;
    end if;
    perform lock_leases(of_node, partners, kinds, starts, ends);
    perform open_allowances(partners, kinds, starts, ends);
end $$;

-- Adds to what a node spent. What it spent beyond its grants (a quota that never refuses, or overdraft) is granted to it now.
-- The arrays have no allowance twice.
create function spend_leases(
    of_node text, partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[], spent_units bigint[]
) returns void language plpgsql as $$
begin
    perform lock_leases(of_node, partners, kinds, starts, ends);

    perform from allowances a
        join unnest(partners, kinds, starts, spent_units) as asked (partner, kind_of, starts_at, units)
            on a.partner_id = partner and a.kind = kind_of and a.period_start = starts_at
        join allowance_leases l
            on l.partner_id = partner and l.kind = kind_of and l.period_start = starts_at and l.node = of_node
        where l.spent + units > l.granted order by a.partner_id, a.kind, a.period_start for update of a;

    update allowances a set taken = a.taken + l.spent + units - l.granted
        from unnest(partners, kinds, starts, spent_units) as asked (partner, kind_of, starts_at, units),
            allowance_leases l
        where a.partner_id = partner and a.kind = kind_of and a.period_start = starts_at
            and l.partner_id = partner and l.kind = kind_of and l.period_start = starts_at and l.node = of_node
            and l.spent + units > l.granted;

    update allowance_leases l set spent = l.spent + units, granted = greatest(l.granted, l.spent + units)
        from unnest(partners, kinds, starts, spent_units) as asked (partner, kind_of, starts_at, units)
        where l.partner_id = partner and l.kind = kind_of and l.period_start = starts_at and l.node = of_node;
end $$;

-- One exchange: what the node gives back goes first, unless another exchange came in between; then as many units as it needs
-- and are left, and beyond them a share of what is left that leaves enough for the other nodes.
create function exchange_units(
    of_partner uuid, of_kind text, starts_at timestamptz, ends_at timestamptz, of_node text, of_limit bigint,
    needed bigint, wanted bigint, returned bigint, known_turn bigint, alive_since timestamptz, at timestamptz,
    out granted bigint, out taken bigint, out allowed bigint, out turn bigint, out is_wanted boolean
) language plpgsql as $$
declare
    lease allowance_leases;
    held allowances;
    nodes bigint;
    back bigint := 0;
    block bigint := 0;
begin
    insert into allowance_leases (partner_id, kind, period_start, period_end, node, granted, spent)
        values (of_partner, of_kind, starts_at, ends_at, of_node, 0, 0) on conflict do nothing;
    select * into lease from allowance_leases l
        where l.partner_id = of_partner and l.kind = of_kind and l.period_start = starts_at and l.node = of_node for update;
    perform open_allowances(array[of_partner], array[of_kind], array[starts_at], array[ends_at]);
    select * into held from allowances a
        where a.partner_id = of_partner and a.kind = of_kind and a.period_start = starts_at for update;
    -- Read under the lock: whoever lowers a balance takes the same lock first.
    allowed := coalesce(of_limit,
        (select b.units from credit_balances b where of_kind = 'credit' and b.partner_id = of_partner), 0);
    nodes := greatest(1, (select count(*) from gateway_nodes n where n.seen_at > alive_since));

    if lease.turn = known_turn then
        back := greatest(0, least(returned, lease.granted - lease.spent));
    end if;
    taken := held.taken - back;
    block := greatest(0, least(allowed - taken, greatest(needed, least(wanted, (allowed - taken) / (2 * nodes)))));
    is_wanted := held.short_at > at - interval '3 seconds';

    update allowances a set
            taken = a.taken - back + block,
            short_at = case when block < needed then at else a.short_at end
        where a.partner_id = of_partner and a.kind = of_kind and a.period_start = starts_at
            and (block = 0 or a.taken - back + block <= allowed)
        returning a.taken into strict taken;
    update allowance_leases l set granted = l.granted - back + block, turn = l.turn + 1
        where l.partner_id = of_partner and l.kind = of_kind and l.period_start = starts_at and l.node = of_node
        returning l.granted, l.turn into strict granted, turn;
end $$;

-- What the node was granted and did not spend goes back.
create function release_leases(of_node text) returns bigint language plpgsql as $$
declare
    released bigint;
begin
    perform from allowance_leases l where l.node = of_node
        order by l.partner_id, l.kind, l.period_start for update;
    perform from allowances a join allowance_leases l using (partner_id, kind, period_start)
        where l.node = of_node and l.granted > l.spent order by a.partner_id, a.kind, a.period_start for update of a;
    update allowances a set taken = a.taken - (l.granted - l.spent)
        from allowance_leases l
        where l.node = of_node and l.granted > l.spent
            and a.partner_id = l.partner_id and a.kind = l.kind and a.period_start = l.period_start;
    with done as (
        update allowance_leases l set granted = l.spent, turn = l.turn + 1
            from allowance_leases before
            where l.node = of_node and l.granted > l.spent
                and before.partner_id = l.partner_id and before.kind = l.kind and before.period_start = l.period_start
                and before.node = l.node
            returning before.granted - before.spent as units
    )
    select coalesce(sum(units), 0)::bigint into released from done;
    return released;
end $$;
