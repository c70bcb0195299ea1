-- The signed marks of the gateways' usage logs: each says which records of a lane there are, up to its own, and what hash they
-- have. With them here, whoever changes a log together with its marks is found out, and so is whoever changes usage_events.

create table spool_seals (
    node               text not null,
    lane               int not null,
    -- The records that it seals: from the first to before the past one.
    first_sequence     bigint not null,
    past_sequence      bigint not null check (past_sequence > first_sequence),
    sealed_at          timestamptz not null,
    -- As it stands beside the log, signature and all: what counts. The other columns are for finding it.
    entry              bytea not null,
    primary key (node, lane, past_sequence)
);

create trigger spool_seals_is_append_only before update or delete or truncate on spool_seals
    for each statement execute function refuse_change();

-- For comparing events with seals, lane by lane. They come in this order, so a few words for each stretch of pages will do.
create index usage_events_by_sequence on usage_events using brin (node, lane, sequence) with (pages_per_range = 32);
