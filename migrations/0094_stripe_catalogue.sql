-- What was made at Stripe of the catalogue of plans that Stripe rates: products, prices and meters by their names there. Something
-- that was there once and is gone was taken away by somebody: an operator is told, and it is not made again by itself.
create table stripe_catalogue (
    -- A product's identifier, a price's lookup key or a meter's event name; the three are never the same.
    object             text primary key,
    made_at            timestamptz not null
);
-- Subscriptions at Stripe are compared, too.
alter table stripe_drift drop constraint stripe_drift_kind_check;
alter table stripe_drift add constraint stripe_drift_kind_check
    check (kind in ('customer', 'product', 'price', 'meter', 'invoice', 'subscription'));
