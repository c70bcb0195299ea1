-- Prepaid units that one app or team of a partner has for itself, until they are given back, used, or expire with the grants they came
-- from. In all that counts units as gateways spend them (`allowances`, `allowance_leases`), rows of kind credit whose `partner_id` is an
-- allocation's id are the allocation's: so a gateway of the version before, which knows none, neither reads them wrong nor writes them.

create table credit_allocations (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    -- One of the two.
    app_id             uuid,
    team_id            uuid,
    spend              text not null check (spend in ('only', 'first')),
    made_at            timestamptz not null,
    -- From when on its calls spend what is common.
    ended_at           timestamptz,
    primary key (partner_id, id),
    foreign key (partner_id, app_id) references apps (partner_id, id),
    foreign key (partner_id, team_id) references teams (partner_id, id),
    check ((app_id is null) <> (team_id is null))
);
create unique index credit_allocations_of_app on credit_allocations (partner_id, app_id) where ended_at is null;
create unique index credit_allocations_of_team on credit_allocations (partner_id, team_id) where ended_at is null;
create trigger directory_follows_insert after insert on credit_allocations referencing new table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_update after update on credit_allocations
    referencing old table as before new table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_delete after delete on credit_allocations referencing old table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_truncate after truncate on credit_allocations
    for each statement execute function directory_changed('partner', 'partner_id');

-- As credit_balances is of what is common: what was ever allocated, less what was given back or expired.
create table credit_allocation_balances (
    partner_id         uuid not null,
    allocation_id      uuid not null unique,
    units              bigint not null default 0 check (units >= 0),
    -- Units that are to go back as soon as gateways let go of them; nothing more is granted of them.
    back_units         bigint not null default 0 check (back_units >= 0),
    primary key (partner_id, allocation_id),
    foreign key (partner_id, allocation_id) references credit_allocations (partner_id, id)
);

create index credit_allocations_to_give_back on credit_allocation_balances (partner_id) where back_units > 0;

-- What somebody asked for, once for each reference.
create table credit_allocation_moves (
    partner_id         uuid not null,
    id                 uuid not null,
    allocation_id      uuid not null,
    -- Below zero where they were given back; zero where only the choice changed.
    units              bigint not null,
    reference          text check (length(reference) between 1 and 200),
    moved_at           timestamptz not null,
    primary key (partner_id, id),
    foreign key (partner_id, allocation_id) references credit_allocations (partner_id, id)
);
create unique index credit_allocation_moves_by_reference on credit_allocation_moves (partner_id, reference) where reference is not null;

-- Of which grants an allocation's units are: what the entries come to.
create table credit_allocation_parts (
    partner_id         uuid not null,
    allocation_id      uuid not null,
    grant_id           uuid not null,
    left_units         bigint not null default 0 check (left_units >= 0),
    used_units         bigint not null default 0 check (used_units >= 0),
    expired_units      bigint not null default 0 check (expired_units >= 0),
    primary key (partner_id, allocation_id, grant_id),
    foreign key (partner_id, allocation_id) references credit_allocations (partner_id, id),
    foreign key (partner_id, grant_id) references credit_grants (partner_id, id)
);

-- Of what is left of a grant, what is common is `left_units`; the rest is allocated.
alter table credit_grants add column allocated_units bigint not null default 0 check (allocated_units >= 0);
do $$
declare
    summed constant text := (select conname from pg_constraint where conrelid = 'credit_grants'::regclass and contype = 'c'
        and pg_get_constraintdef(oid) like '%left_units + used_units%');
begin
    execute format('alter table credit_grants drop constraint %I', summed);
end $$;
alter table credit_grants add constraint credit_grants_sum_check check (
    usable_since is null or units < 0 or left_units + allocated_units + used_units + expired_units + voided_units = units
);

-- allocated: as available, for one allocation alone. `allocation_id` says of which allocation units are that are allocated, used or expired.
alter table ledger_unit_entries add column allocation_id uuid;
alter table ledger_unit_entries drop constraint ledger_unit_entries_account_check;
alter table ledger_unit_entries add constraint ledger_unit_entries_account_check
    check (account in ('issued', 'available', 'allocated', 'used', 'expired', 'voided', 'owed'));
alter table ledger_unit_entries add constraint ledger_unit_entries_allocation_check
    check (case account when 'allocated' then allocation_id is not null when 'used' then true when 'expired' then true
        else allocation_id is null end);
alter table ledger_unit_entries add constraint ledger_unit_entries_allocation_fkey
    foreign key (partner_id, allocation_id) references credit_allocations (partner_id, id);
create index ledger_unit_entries_of_allocation on ledger_unit_entries (partner_id, allocation_id) where allocation_id is not null;

-- Of the event's credits, those of an allocation, and which.
alter table usage_events add column allocation_id uuid, add column allocated bigint not null default 0;
alter table usage_correction_events add column allocation_id uuid, add column allocated bigint not null default 0;

-- Of usage_credit_hourly, what allocations paid; closed periods and open ones in one sum.
create table usage_allocated_hourly (
    partner_id         uuid not null,
    hour               timestamptz not null,
    product_id         uuid not null,
    operation_id       uuid not null,
    allocation_id      uuid not null,
    units              bigint not null,
    -- How much of it is booked.
    settled            bigint not null default 0,
    primary key (partner_id, hour, product_id, operation_id, allocation_id)
);
create index usage_allocated_to_settle on usage_allocated_hourly (partner_id, hour) where units <> settled;

-- Units that whoever it is may have taken at most: an allocation, or a partner of what is common to it, with the plan's overdraft.
create function credit_spendable(of_holder uuid) returns bigint language sql stable as $$
    select coalesce(
        (select greatest(0, a.units - a.back_units) from credit_allocation_balances a where a.allocation_id = of_holder),
        coalesce((select b.units from credit_balances b where b.partner_id = of_holder), 0) + credit_overdraft_of(of_holder)
    )
$$;

-- As before, of a partner or of an allocation.
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
        allowed := credit_spendable(of_partner);
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
