-- When a request was last sent under the attempt's key: an event that is sent again just before a period's end at Stripe may have
-- arrived although its first try did not, and Stripe's summary tells so a while after the last try, not the first.
alter table stripe_objects add column sent_at timestamptz;
