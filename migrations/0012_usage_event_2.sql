-- All that the usage log says of a call, so that a stored event can be turned back into the very bytes that the log has under
-- its checksums and seals. The defaults are constants: no row is written again.

alter table usage_events
    -- Which start of its node recorded it. 0 for those that were recorded before starts were counted: their instants had
    -- nanoseconds, which are not here, so their bytes cannot be made again.
    add column epoch        bigint not null default 0,
    add column region       text not null default '',
    add column trace_id     bytea,
    -- How the units came about, as weight:5; empty where the call costs nothing.
    add column price_rule   text not null default '',
    -- The billing period that the units count in.
    add column period_start timestamptz,
    add column period_end   timestamptz,
    -- What it counts for on other meters, in the meters' order: [["tokens", 812]].
    add column meters       jsonb,
    -- Who told it: empty for a gateway of ours, else the producer's CloudEvents source.
    add column source       text not null default '',
    -- 0 a call, 1 told from outside, 2 a correction.
    add column kind         smallint not null default 0;
