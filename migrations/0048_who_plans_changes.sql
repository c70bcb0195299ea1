-- Who ordered a change of plan that waits, and when it is tried again; and allowances whose period turns out to be longer.

alter table plan_changes
    -- What an operator planned is not the partner's to take back or replace.
    add column ordered_by text not null default 'partner' check (ordered_by in ('partner', 'operator')),
    -- Set once it could not be made at its time: not before then again.
    add column retry_at timestamptz;

-- The rows are found by where their period begins. A plan with longer periods that begins where a period of the one before it was
-- taken to begin, goes on with that one's row, which then is not over before the longer period is.

create or replace function open_allowances(partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
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
    on conflict do nothing;

    with shorter as (
        select held.partner_id, held.kind, held.period_start, ends_at
        from unnest(partners, kinds, starts, ends) as asked (partner, kind_of, starts_at, ends_at)
        join allowances held on held.partner_id = partner and held.kind = kind_of and held.period_start = starts_at
        where held.period_end < ends_at
        order by 1, 2, 3 for update of held
    )
    update allowances a set period_end = greatest(a.period_end, shorter.ends_at)
        from shorter
        where a.partner_id = shorter.partner_id and a.kind = shorter.kind and a.period_start = shorter.period_start
$$;

create or replace function lock_leases(of_node text, partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
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

    update allowance_leases l set period_end = ends_at
        from unnest(partners, kinds, starts, ends) as asked (partner, kind_of, starts_at, ends_at)
        where l.partner_id = partner and l.kind = kind_of and l.period_start = starts_at and l.node = of_node
            and l.period_end < ends_at;
end $$;

create or replace function open_spending(of_node text, partners uuid[], kinds text[], starts timestamptz[], ends timestamptz[])
returns void language plpgsql as $$
begin
    if not exists (select from unnest(partners, kinds, starts, ends) as asked (partner, kind_of, starts_at, ends_at)
        where not exists (select from allowances held
            where held.partner_id = partner and held.kind = kind_of and held.period_start = starts_at
                and held.period_end >= ends_at))
    then
        return;
    end if;
    perform lock_leases(of_node, partners, kinds, starts, ends);
    perform open_allowances(partners, kinds, starts, ends);
end $$;

create or replace function exchange_units(
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
    update allowance_leases l set granted = l.granted - back + block, turn = l.turn + 1,
            period_end = greatest(l.period_end, ends_at)
        where l.partner_id = of_partner and l.kind = of_kind and l.period_start = starts_at and l.node = of_node
        returning l.granted, l.turn into strict granted, turn;
end $$;
