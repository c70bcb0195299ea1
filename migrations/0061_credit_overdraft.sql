-- Overdraft: how far below zero a plan lets a balance of prepaid credit go, and which invoice billed the units beyond it. Besides, at which
-- price a standing order buys, and what a smaller plan takes back of a period's units.

-- Units below zero that calls may take by the plan in force: none of whoever did not pay an invoice for long.
create function credit_overdraft_of(of_partner uuid) returns bigint language sql stable as $$
    select coalesce((
        select (v.terms #>> '{admission,credit,overdraft,units}')::bigint
        from subscriptions s join plan_versions v on v.id = s.plan_version_id
        where s.partner_id = of_partner and s.status = 'active'
            and not exists (select from dunning d where d.partner_id = of_partner and d.stage in ('limited', 'suspended'))
    ), 0)
$$;

-- What the last plan of an hour said of units beyond all credit; no row where there was no plan. `unit_price` is null where it said
-- nothing: those units are owed to the next grant.
create function credit_overdraft_in(
    of_partner uuid, of_hour timestamptz, out began_at timestamptz, out currency text, out unit_price numeric
) returns setof record language sql stable as $$
    select s.started_at, v.terms ->> 'currency', (v.terms #>> '{admission,credit,overdraft,unit_price}')::numeric
    from subscriptions s join plan_versions v on v.id = s.plan_version_id
    where s.partner_id = of_partner and s.status in ('active', 'ended') and s.started_at < of_hour + interval '1 hour'
        and (s.ended_at is null or s.ended_at > of_hour)
    order by s.started_at desc, s.id desc limit 1
$$;

-- Units that an invoice billed. They are a grant, which paid for calls that were served before: so they are used when they are issued.
create table credit_overdraft_bills (
    partner_id         uuid not null references partners (id),
    grant_id           uuid not null,
    invoice_id         uuid not null,
    units              bigint not null check (units > 0),
    unit_price         numeric not null check (unit_price >= 0),
    primary key (partner_id, grant_id),
    foreign key (partner_id, grant_id) references credit_grants (partner_id, id),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id)
);
create index credit_overdraft_bills_of_invoice on credit_overdraft_bills (partner_id, invoice_id);
create trigger credit_overdraft_bills_are_append_only before update or delete or truncate on credit_overdraft_bills
    for each statement execute function refuse_change();

-- A line of its own kind, whatever kinds there are by now.
do $$
declare
    kinds constant text := (select pg_get_constraintdef(oid) from pg_constraint
        where conrelid = 'invoice_lines'::regclass and conname = 'invoice_lines_kind_check');
begin
    alter table invoice_lines drop constraint invoice_lines_kind_check;
    execute 'alter table invoice_lines add constraint invoice_lines_kind_check '
        || replace(kinds, '''base_fee''::text', '''base_fee''::text, ''credit_overdraft''::text');
end $$;

-- As before, and of credit there is as much more as the plan lets the balance go below zero.
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
    allowed := coalesce(of_limit, 0);
    if of_limit is null and of_kind = 'credit' then
        allowed := coalesce((select b.units from credit_balances b where b.partner_id = of_partner), 0)
            + credit_overdraft_of(of_partner);
    end if;
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

-- The package as it was sold when the standing order was made: for more nothing is bought. Null where it was ordered before this was kept;
-- then the next purchase is what is agreed.
alter table credit_top_ups add column agreed jsonb;

-- Units of the period that were given before for the part that this plan is in force, and were unused.
alter table credit_allotments add column taken_back_units bigint not null default 0 check (taken_back_units >= 0);
