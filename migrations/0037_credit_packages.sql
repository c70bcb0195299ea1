-- Packages of prepaid units, and who bought how many. A purchase is an invoice of its own; its units become a grant when that is paid.

create table credit_packages (
    code               text primary key check (length(code) between 1 and 64),
    -- domain::credit::package
    terms              jsonb not null,
    -- In the offer.
    position           int not null,
    updated_at         timestamptz not null
);

create table credit_purchases (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    code               text not null,
    -- As it was sold.
    terms              jsonb not null,
    quantity           int not null check (quantity > 0),
    units              bigint not null check (units > 0),
    cost_micros        bigint not null check (cost_micros > 0),
    currency           text not null,
    -- The buyer's own: bought again with the same one is bought once.
    reference          text not null check (length(reference) between 1 and 200),
    invoice_id         uuid not null unique references invoices (id),
    -- Of the units, from when they are paid.
    grant_id           uuid not null unique,
    bought_at          timestamptz not null,
    primary key (partner_id, id),
    unique (partner_id, reference)
);
create trigger credit_purchases_are_append_only before update or delete or truncate on credit_purchases
    for each statement execute function refuse_change();

-- The grant's money came with an invoice, and not with the grant.
alter table credit_grants add column is_invoiced boolean not null default false;

-- An invoice for no period of its subscription.
alter table invoices add column stands_alone boolean not null default false;

-- A line of its own kind, whatever kinds there are by now.
do $$
declare
    kinds constant text := (select pg_get_constraintdef(oid) from pg_constraint
        where conrelid = 'invoice_lines'::regclass and conname = 'invoice_lines_kind_check');
begin
    alter table invoice_lines drop constraint invoice_lines_kind_check;
    execute 'alter table invoice_lines add constraint invoice_lines_kind_check '
        || replace(kinds, '''base_fee''::text', '''base_fee''::text, ''credit_package''::text');
end $$;
