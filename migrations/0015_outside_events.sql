-- Usage that others tell us, by POST /api/events: told twice it counts once, for ever, and what is told otherwise is kept beside
-- the first, which stands.

-- One row for each partner. Whoever takes events in holds it, and so does whoever closes a period: an event is either in the
-- bill or known to be late, never between the two.
create table outside_usage (
    partner_id         uuid primary key references partners (id),
    -- Events that were accepted: the next one's number is this one.
    accepted           bigint not null
);

create table outside_events (
    partner_id         uuid not null references partners (id),
    -- Told by a token of the partner's own. Such a token cannot take the provider's ids away.
    by_partner         boolean not null,
    source             text not null,
    id                 text not null,
    -- SHA-256 of what was told.
    payload_hash       bytea not null,
    -- Its number among the partner's; in usage_events where node is 'outside' and lane 0, unless it was late.
    sequence           bigint not null,
    at                 timestamptz not null,
    late               boolean not null,
    token_id           uuid not null,
    received_at        timestamptz not null,
    primary key (partner_id, by_partner, source, id)
);
create trigger outside_events_are_append_only before update or delete or truncate on outside_events
    for each statement execute function refuse_change();

-- The same source and id with something else in it. Each such other is here once.
create table outside_conflicts (
    partner_id         uuid not null references partners (id),
    by_partner         boolean not null,
    source             text not null,
    id                 text not null,
    payload_hash       bytea not null,
    payload            jsonb not null,
    token_id           uuid not null,
    received_at        timestamptz not null,
    primary key (partner_id, by_partner, source, id, payload_hash)
);
create index outside_conflicts_by_time on outside_conflicts (received_at desc);
create trigger outside_conflicts_are_append_only before update or delete or truncate on outside_conflicts
    for each statement execute function refuse_change();

-- Units that came when the stretch they belong to was closed. They are in no total of that stretch, whose bill stands.
create table usage_adjustments (
    partner_id         uuid not null references partners (id),
    sequence           bigint not null,
    source             text not null,
    id                 text not null,
    -- The closed stretch.
    subscription_id    uuid not null references subscriptions (id),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    at                 timestamptz not null,
    app_id             uuid,
    product_id         uuid,
    operation_id       uuid,
    units              bigint not null,
    received_at        timestamptz not null,
    -- The invoice that bills it; null until there is one.
    invoice_id         uuid references invoices (id),
    primary key (partner_id, sequence)
);
create index usage_adjustments_to_bill on usage_adjustments (partner_id, period_start) where invoice_id is null;

-- Late units are lines of their own.
alter table invoice_lines drop constraint invoice_lines_kind_check;
alter table invoice_lines add constraint invoice_lines_kind_check
    check (kind in ('base_fee', 'usage', 'included_credit', 'adjustment'));
