-- Grants that only calls of some products spend. Their units are in a purse: a row among the allocations whose holder is neither an app nor
-- a team but the calls of those products, so that all that is exact of allocations (migration 0071) is of these. There is one purse of a
-- partner for each set of products.
--
-- A server of the version before goes on to read and write what apps and teams have under the name that it knows, and sees no purse there. The units
-- of a grant that names products are never common (`left_units`): such a server cannot begin one, the database refuses that, and the books
-- of the partner wait for a server that knows how.

alter table credit_allocations rename to credit_purses;

-- Sorted, none twice.
alter table credit_purses add column product_ids uuid[] check (cardinality(product_ids) > 0),
    -- When the first of its units expire, by what is booked: gateways spend in this order.
    add column first_end timestamptz,
    -- Of a purse of products: nothing is left of it, and gateways need not look.
    add column at_rest boolean not null default false;
do $$
declare
    of_one constant text := (select conname from pg_constraint where conrelid = 'credit_purses'::regclass and contype = 'c'
        and pg_get_constraintdef(oid) like '%app_id IS NULL%');
begin
    execute format('alter table credit_purses drop constraint %I', of_one);
end $$;
alter table credit_purses add constraint credit_purses_holder_check check (num_nonnulls(app_id, team_id, product_ids) = 1);
create unique index credit_purses_of_products on credit_purses (partner_id, product_ids) where product_ids is not null;

create view credit_allocations as
    select partner_id, id, app_id, team_id, spend, made_at, ended_at from credit_purses where product_ids is null;

alter table credit_grants add column purse_id uuid,
    add constraint credit_grants_purse_fkey foreign key (partner_id, purse_id) references credit_purses (partner_id, id),
    -- Of a grant with a purse all units are the purse's (`allocated_units`).
    add constraint credit_grants_never_common_check check (purse_id is null or (units > 0 and left_units = 0));
create index credit_grants_of_purse on credit_grants (partner_id, purse_id) where purse_id is not null;
