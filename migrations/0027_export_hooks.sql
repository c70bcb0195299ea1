-- Usage events to others as they come: each hook follows the order in which usage is taken in.
--
-- That order is known for each lane: its numbers rise, and whoever takes in of a lane holds its position until the commit, so no
-- smaller number becomes visible after a larger one. Over lanes there is none, and none by time: a gateway may hand over old calls
-- late. So a hook has a cursor for each lane.

-- What was taken in of a lane, in stretches of records: where to look for its events. Small batches that follow each other are one row.
create table usage_batches (
    node               text not null,
    lane               int not null,
    -- Of what is told from outside each partner has numbers of its own; else the nil UUID.
    whose              uuid not null,
    first_sequence     bigint not null,
    past_sequence      bigint not null,
    -- The earliest and the latest event of it.
    from_at            timestamptz not null,
    to_at              timestamptz not null,
    -- When the first of it was taken in.
    began_at           timestamptz not null,
    primary key (node, lane, whose, past_sequence)
);
create index usage_batches_by_time on usage_batches using brin (began_at);

create table export_hooks (
    id                 uuid primary key,
    -- Whose events; null for those of all partners.
    partner_id         uuid references partners (id),
    url                text not null,
    sealed_secret      bytea not null,
    -- After a rotation both sign for a while.
    sealed_previous    bytea,
    previous_until     timestamptz,
    state              text not null check (state in ('active', 'paused', 'disabled')),
    -- What went wrong last.
    message            text not null default '',
    created_at         timestamptz not null,
    failing_since      timestamptz,
    failures           int not null default 0,
    next_try_at        timestamptz,
    -- Somebody sends until then.
    claimed_until      timestamptz,
    delivered          bigint not null default 0,
    delivered_at       timestamptz,
    test_asked_at      timestamptz,
    tested_at          timestamptz,
    test_result        text not null default ''
);

create table export_cursors (
    hook_id            uuid not null references export_hooks (id) on delete cascade,
    node               text not null,
    lane               int not null,
    whose              uuid not null,
    -- The next record that it gets.
    sequence           bigint not null,
    primary key (hook_id, node, lane, whose)
);
