-- What credit paid for teams is read from the events: sums of credit (usage_credit_hourly) know no team. Calls without credit or without a
-- team are not in it. It is a migration by itself because it reads all events there are: gateways keep theirs meanwhile, and nothing else
-- waits.
create index usage_events_paid_for_teams on usage_events (partner_id, at) include (product_id, operation_id, team_id, credits)
    where credits <> 0 and team_id is not null and environment = 'live';
