-- What is needed to say "data missing" instead of showing a zero, and that somebody has looked at a contradiction.

-- When a lane was first heard of: until it has caught up once, nobody knows what it holds.
alter table spool_positions add column heard_at timestamptz not null default now();
-- The node has ended, and handed everything over before: its silence means that there were no calls. Null while it runs, and
-- where it was killed.
alter table spool_positions add column ended_at timestamptz;

-- Until when the lane had handed everything over before it was damaged: what is lost was recorded after that.
alter table usage_gaps add column from_at timestamptz;

-- Somebody has looked at what contradicts the first event of an id. The first goes on to count.
create table outside_conflicts_resolved (
    partner_id         uuid not null,
    by_partner         boolean not null,
    source             text not null,
    id                 text not null,
    payload_hash       bytea not null,
    resolved_at        timestamptz not null,
    note               text not null,
    primary key (partner_id, by_partner, source, id, payload_hash),
    foreign key (partner_id, by_partner, source, id, payload_hash) references outside_conflicts
);
create trigger outside_conflicts_resolved_is_append_only before update or delete or truncate on outside_conflicts_resolved
    for each statement execute function refuse_change();

-- For lists of findings, resolved ones included, and of late events of all partners.
create index reconciliation_findings_by_hour on reconciliation_findings (hour desc);
create index usage_adjustments_by_time on usage_adjustments (received_at desc);
