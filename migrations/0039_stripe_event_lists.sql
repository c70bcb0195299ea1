-- Operators look at Stripe's events, newest first and above all at those of which nothing came, and have one applied again.
alter table stripe_events add column replays integer not null default 0 check (replays >= 0);
create index stripe_events_newest on stripe_events (received_at desc, id desc);
create index stripe_events_failed on stripe_events (received_at desc, id desc) where error is not null;
