-- What was paid on a page and goes back may fail at Stripe days after it took that in, as where a card was cancelled: the money is the
-- provider's again, and somebody has to decide. It is in the list of what Stripe holds otherwise, from where it is sent again.
-- Stripe's name of the refund; null for those from before.
alter table checkouts add column refund_id text;
-- Why it failed, for people; null as long as it did not.
alter table checkouts add column refund_failed text;
-- Refunds that were asked for: each has an idempotency key of its own.
alter table checkouts add column refunds_asked integer not null default 1 check (refunds_asked > 0);
create index checkouts_refund_failed on checkouts (opened_at) where refund_failed is not null;
