-- Corrections of usage that was counted already: amended, voided, filled in. Stored events stay as they are. A correction adds
-- counter-events, which every sum has in it, and its revert adds the opposite. What lies in a closed period is in none of its
-- sums: it becomes an adjustment, billed or given back with the next invoice.

-- How many calls an event stands for: -1 takes one back, 0 changes its units only, a back-fill has many. The default is a
-- constant: no row is written again.
alter table usage_events add column calls bigint not null default 1;

create table usage_corrections (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    kind               text not null check (kind in ('void', 'set_units', 'back_fill')),
    -- What is asked for (domain::correction).
    change             jsonb not null,
    filter             jsonb not null,
    reason             text not null check (length(reason) between 1 and 500),
    state              text not null check (state in ('draft', 'approved', 'applied', 'reverted', 'refused')),
    -- What it would do, or did, and the hash of it that the approval is for.
    dry_run            jsonb not null,
    hash               bytea not null check (length(hash) = 32),
    -- Who, as the audit log has it.
    made_by_kind       text not null,
    made_by            uuid,
    made_at            timestamptz not null,
    approved_by_kind   text,
    approved_by        uuid,
    approved_at        timestamptz,
    applied_by_kind    text,
    applied_by         uuid,
    applied_at         timestamptz,
    -- Which of the partner's it was: they are taken back in the other order where they touch the same event.
    applied_number     bigint,
    -- The one that was reverted or refused.
    ended_by_kind      text,
    ended_by           uuid,
    ended_at           timestamptz,
    ended_reason       text,
    -- The first and the last instant that it touches.
    first_at           timestamptz,
    last_at            timestamptz,
    primary key (partner_id, id)
);
create index usage_corrections_by_time on usage_corrections (made_at desc, id desc);
create index usage_corrections_of_partner on usage_corrections (partner_id, made_at desc, id desc);

-- What each of them changed, event by event. A back-fill has one row of its own node.
create table usage_correction_events (
    partner_id         uuid not null,
    correction_id      uuid not null,
    -- 0 where it was applied, 1 where it was reverted.
    step               smallint not null check (step in (0, 1)),
    of_at              timestamptz not null,
    of_node            text not null,
    of_lane            int not null,
    of_sequence        bigint not null,
    -- As usage_events.kind; 2 for a back-fill.
    of_kind            smallint not null,
    environment        text not null,
    product_id         uuid,
    operation_id       uuid,
    -- Of the quota that it was held against.
    quota_start        timestamptz,
    -- Whether the sums have it; else it is an adjustment of a closed period.
    in_place           boolean not null,
    calls              bigint not null,
    units              bigint not null,
    credits            bigint not null,
    bytes_in           bigint not null,
    bytes_out          bigint not null,
    duration_us        bigint not null,
    primary key (partner_id, of_at, of_node, of_lane, of_sequence, correction_id, step),
    foreign key (partner_id, correction_id) references usage_corrections (partner_id, id)
);
create index usage_correction_events_of_one on usage_correction_events (partner_id, correction_id, step);
create trigger usage_correction_events_are_append_only before update or delete or truncate on usage_correction_events
    for each statement execute function refuse_change();

-- Their numbers are below zero, where no event that came late has one.
alter table usage_adjustments add column correction_id uuid;

-- Corrections and reverts of the partner that were carried out: whoever closes a period sees whether one came in between.
alter table outside_usage add column corrected bigint not null default 0;

-- What a quota counts is what gateways counted, corrected; what was told from outside or filled in has no key.
create or replace function units_stored(partner uuid, first timestamptz, past timestamptz) returns bigint language sql stable as $$
    with hours as (
        select case when date_trunc('hour', first, 'UTC') = first then first
            else date_trunc('hour', first, 'UTC') + interval '1 hour' end as first_hour,
            date_trunc('hour', past, 'UTC') as past_hour
    )
    select (
        coalesce((select sum(u.units) from usage_hourly u, hours
            where u.partner_id = partner and u.environment = 'live' and u.hour >= first_hour and u.hour < past_hour
                and u.key_id <> '00000000-0000-0000-0000-000000000000'), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.key_id <> '00000000-0000-0000-0000-000000000000'
                and e.at >= first and e.at < least(first_hour, past)), 0)
        + coalesce((select sum(e.units) from usage_events e, hours
            where e.partner_id = partner and e.environment = 'live' and e.key_id <> '00000000-0000-0000-0000-000000000000'
                and e.at >= greatest(past_hour, first_hour) and e.at < past), 0)
    )::bigint
$$;
