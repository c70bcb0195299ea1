-- Allocated credit, mended. In which order units of an allocation were moved is said by the database, and not by identifiers that servers
-- make by their own clocks. And an allocation that has ended leaves what is looked at every few seconds once nothing can come of it.

-- Rows that are here get theirs in the order in which they were written: none was ever changed or taken out.
alter table credit_allocation_moves add column number bigint generated always as identity;
create index credit_allocation_moves_in_order on credit_allocation_moves (partner_id, allocation_id, number);

-- Ended, nothing left, and nothing in gateways' hands: what a correction brings is given back as that is booked. A server of the version
-- before looks at these as at all others.
alter table credit_allocation_balances add column at_rest boolean not null default false;

update credit_allocation_balances b set at_rest = true from credit_allocations o
where o.partner_id = b.partner_id and o.id = b.allocation_id and o.ended_at is not null
    and b.units <= coalesce((select a.taken from allowances a where a.partner_id = b.allocation_id and a.kind = 'credit'), 0)
    and not exists (select from allowance_leases l
        where l.partner_id = b.allocation_id and l.kind = 'credit' and l.granted > l.spent);

create index credit_allocations_awaited on credit_allocation_balances (partner_id) where back_units > 0 and not at_rest;
drop index credit_allocations_to_give_back;
create index credit_allocations_open on credit_allocations (partner_id) where ended_at is null;
