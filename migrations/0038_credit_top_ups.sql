-- Standing orders: packages of credit are bought by themselves when the balance is low, up to so much money in a calendar month.

create table credit_top_ups (
    partner_id         uuid primary key references partners (id),
    below_units        bigint not null check (below_units > 0),
    package            text not null,
    quantity           int not null check (quantity > 0),
    cap_micros         bigint not null check (cap_micros > 0),
    currency           text not null,
    -- The invoice that answers the balance's being low; null while none does. No second one is made before the balance is no longer low
    -- or this one is paid.
    answered_by        uuid references invoices (id),
    -- The first instant of the month in which they were told that the cap stops it.
    told_capped        timestamptz,
    -- Why the last try bought nothing; null where it did.
    problem            text,
    updated_at         timestamptz not null
);

-- Which purchases nobody made by hand: what the cap counts.
create table credit_top_up_purchases (
    partner_id         uuid not null references partners (id),
    invoice_id         uuid not null unique references invoices (id),
    bought_at          timestamptz not null,
    primary key (partner_id, invoice_id)
);
create index credit_top_up_purchases_by_time on credit_top_up_purchases (partner_id, bought_at);
create trigger credit_top_up_purchases_are_append_only before update or delete or truncate on credit_top_up_purchases
    for each statement execute function refuse_change();
