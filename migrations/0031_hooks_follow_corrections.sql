-- Hooks get corrections and late usage, too. Each is a lane of its own of the partner's, whose numbers rise under the lock that
-- whoever corrects or tells holds.

-- Events that corrections and reverts of the partner ever changed: the next one's number is this one.
alter table outside_usage add column correction_events bigint not null default 0;

-- Its number; null for what was corrected before hooks were told.
alter table usage_correction_events add column number bigint;
create unique index usage_correction_events_by_number on usage_correction_events (partner_id, number) where number is not null;
