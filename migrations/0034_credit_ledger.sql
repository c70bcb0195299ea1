-- Prepaid credit in the ledger: grants with a kind, a time and a price, and double entry in units, grant by grant. Gateways still
-- spend one balance (migration 0008); which grant their units came from is booked afterwards, from the sums by hour.

alter table credit_grants
    add column kind text not null default 'promotional' check (kind in ('promotional', 'compensation', 'paid')),
    -- The lower, the sooner it is used.
    add column priority smallint not null default 100 check (priority between 0 and 255),
    -- Null: from when it was granted.
    add column effective_at timestamptz,
    -- A full hour.
    add column expires_at timestamptz check (date_trunc('hour', expires_at, 'UTC') = expires_at),
    -- What it was sold for.
    add column cost_micros bigint check (cost_micros >= 0),
    add column currency text check ((currency is null) = (cost_micros is null)),
    -- Since when it is in the balance that gateways spend; null before.
    add column usable_since timestamptz,
    add column ended_at timestamptz,
    add column ended_by text check (ended_by in ('expired', 'voided')),
    -- When the partner was told that it will expire.
    add column expiry_told_at timestamptz,
    -- What the entries come to.
    add column left_units bigint not null default 0 check (left_units >= 0),
    add column used_units bigint not null default 0 check (used_units >= 0),
    add column expired_units bigint not null default 0 check (expired_units >= 0),
    add column voided_units bigint not null default 0 check (voided_units >= 0),
    add check (kind = 'paid' or cost_micros is null),
    add check (usable_since is null or units < 0 or left_units + used_units + expired_units + voided_units = units);
create index credit_grants_to_begin on credit_grants (effective_at) where usable_since is null and ended_at is null;
create index credit_grants_to_end on credit_grants (expires_at) where expires_at is not null and ended_at is null;

-- How much of the sum is booked.
alter table usage_credit_hourly add column settled bigint not null default 0;
create index usage_credit_to_settle on usage_credit_hourly (hour, partner_id) where units + closed_units <> settled;

-- What was used before its hour was kept: without an hour of its own, it is owed to the grants there are.
insert into usage_credit_hourly (partner_id, hour, product_id, operation_id, units)
select partner_id, '1970-01-01 00:00:00+00', '00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000', missing
from (
    select a.partner_id, a.taken
        - coalesce((select sum(l.granted - l.spent) from allowance_leases l
            where l.partner_id = a.partner_id and l.kind = 'credit'), 0)
        - coalesce((select sum(u.units) from usage_credit_hourly u where u.partner_id = a.partner_id), 0) as missing
    from allowances a where a.kind = 'credit'
) as before where missing > 0;

alter table ledger_entries drop constraint ledger_entries_account_check;
alter table ledger_entries add constraint ledger_entries_account_check
    check (account in ('receivable', 'revenue', 'credits', 'cash', 'breakage'));
-- The grant whose money it is.
alter table ledger_transactions add column credit_grant_id uuid;
create index ledger_transactions_of_grant on ledger_transactions (partner_id, credit_grant_id) where credit_grant_id is not null;

-- Units: those of each grant sum to zero in each transaction, and so do those of none.
create table ledger_unit_entries (
    partner_id         uuid not null,
    transaction_id     uuid not null,
    position           int not null,
    -- issued: where grants come from, below zero; owed: used before there was a grant for it, below zero.
    account            text not null check (account in ('issued', 'available', 'used', 'expired', 'voided', 'owed')),
    grant_id           uuid,
    -- Of the calls, where it is about calls.
    hour               timestamptz,
    units              bigint not null check (units <> 0),
    primary key (partner_id, transaction_id, position),
    foreign key (partner_id, transaction_id) references ledger_transactions (partner_id, id),
    foreign key (partner_id, grant_id) references credit_grants (partner_id, id),
    check ((account = 'owed') <= (grant_id is null)),
    check ((grant_id is null) <= (account in ('owed', 'used')))
);
create index ledger_unit_entries_of_grant on ledger_unit_entries (partner_id, grant_id);
create index ledger_unit_entries_of_hour on ledger_unit_entries (partner_id, hour) where hour is not null;
create trigger ledger_unit_entries_are_append_only before update or delete or truncate on ledger_unit_entries
    for each statement execute function refuse_change();

create function ledger_units_sum_to_zero() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from ledger_unit_entries where partner_id = new.partner_id and transaction_id = new.transaction_id
        group by grant_id having sum(units) <> 0
    ) then
        raise exception 'units of ledger transaction % do not sum to zero', new.transaction_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger ledger_unit_entries_sum_to_zero after insert on ledger_unit_entries
    deferrable initially deferred for each row execute function ledger_units_sum_to_zero();

-- Grants of before: each is issued, and what was taken back is void, the youngest first.
create temporary table opening on commit drop as
select g.partner_id, g.id, g.units, g.granted_at, gen_random_uuid() as transaction_id,
    least(g.units, greatest(0, coalesce(taken_back, 0) - coalesce(sum(g.units) over younger, 0)))::bigint as voided
from credit_grants g
left join (select partner_id, -sum(units) as taken_back from credit_grants where units < 0 group by 1) back using (partner_id)
where g.units > 0
window younger as (partition by g.partner_id order by g.granted_at desc, g.id desc rows between unbounded preceding and 1 preceding);

insert into ledger_transactions (partner_id, id, idempotency_key, description, at, credit_grant_id)
select partner_id, transaction_id, 'credit-grant:' || id, 'Grant of prepaid credit', granted_at, id from opening;
insert into ledger_unit_entries (partner_id, transaction_id, position, account, grant_id, units)
select partner_id, transaction_id, 0, 'issued', id, -units from opening
union all
select partner_id, transaction_id, 1, 'available', id, units - voided from opening where units > voided
union all
select partner_id, transaction_id, 2, 'voided', id, voided from opening where voided > 0;
update credit_grants g set usable_since = g.granted_at, left_units = o.units - o.voided, voided_units = o.voided,
    ended_at = case when o.units = o.voided then now() end, ended_by = case when o.units = o.voided then 'voided' end
from opening o where o.partner_id = g.partner_id and o.id = g.id;
update credit_grants set usable_since = granted_at, ended_at = granted_at, ended_by = 'voided' where units < 0;
