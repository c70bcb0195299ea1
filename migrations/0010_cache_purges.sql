-- Kept answers that operators let go before their time. Each node looks for rows beyond the last one that it carried out,
-- so they are numbered in the order in which they are committed, and stay as a history.

create table cache_purges (
    id                 bigint generated always as identity primary key,
    product_id         uuid not null references products (id),
    -- Only that partner's own answers; null is everybody's.
    partner_id         uuid references partners (id),
    -- Only paths below the product's route that begin with this; null is all.
    path_prefix        text,
    at                 timestamptz not null
);
