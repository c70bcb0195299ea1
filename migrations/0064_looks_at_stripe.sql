-- When Stripe was last asked about a page or a payment method, whatever it answered: who was asked about longest ago comes first, so that
-- one that cannot be settled holds up no other.
alter table checkouts add column looked_at timestamptz;
alter table payment_methods add column looked_at timestamptz;
