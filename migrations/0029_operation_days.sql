-- A server of before 0019 that runs beside newer ones makes days, or makes them again, without their sums by operation. Days before this
-- one were looked at: what was made since is held against the whole days, and made again where it falls short.
alter table usage_upkeep add column operations_before timestamptz not null default '1970-01-01 00:00:00+00';

-- Where an installation has run for long, the days since the first newer server can have begun.
update usage_upkeep set operations_before = greatest('1970-01-01 00:00:00+00'::timestamptz, made_before - interval '60 days');
