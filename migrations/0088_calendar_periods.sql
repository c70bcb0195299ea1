-- Plans with calendar periods: whoever begins within a period has the rest of it first, with a quota of its own. What the partner used
-- before in the same period, under another plan or none, is not held against that.

-- Since when units count in the billing period that holds this instant; null where they count from its begin. It stays with the
-- period over changes of plan within it. A gateway from before counts all of the period, and so refuses rather too early.
alter table subscriptions add column counts_from timestamptz;
