-- Numbers of a lane under which no event is stored, and why: what is missing is never taken for nothing. Where damage hides
-- how many records there were, a gap is as wide as it can have been.

create table usage_gaps (
    node               text not null,
    lane               int not null,
    first_sequence     bigint not null,
    past_sequence      bigint not null check (past_sequence > first_sequence),
    -- damage: an operator gave up what cannot be read. unsynced: the disk failed, and the calls were refused.
    cause              text not null check (cause in ('damage', 'unsynced')),
    found_at           timestamptz not null,
    note               text not null default '',
    primary key (node, lane, first_sequence)
);

create trigger usage_gaps_is_append_only before update or delete or truncate on usage_gaps
    for each statement execute function refuse_change();

-- Nobody waits for the lane any more. The position stays, so that a node which comes back all the same counts nothing twice.
alter table spool_positions add column forgotten boolean not null default false;
