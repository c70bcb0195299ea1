-- A refund that Stripe refuses is asked for again once something has changed, as where the balance was too low. Stripe gives the same answer
-- to the same idempotency key for a day, so each attempt has a key of its own; which one is next is kept before it is sent.
alter table checkouts add column refund_attempt integer not null default 1 check (refund_attempt > 0);
-- A page that Stripe did not know of when it ended here: it may be of the account whose key was in the settings before. It is asked after for
-- a month, so that what was paid there is found once the right key is back.
alter table checkouts add column missing_at timestamptz;
create index checkouts_missing on checkouts (missing_at) where missing_at is not null;
-- Those whose refund may fail yet, and the page of a refund that does not name it.
create index checkouts_paid_back on checkouts (paid_back_at) where paid_back_at is not null and refund_failed is null;
create index checkouts_refund on checkouts (refund_id) where refund_id is not null;
