-- What the gateways say that they served, told by another way than the usage log, and what was found where two places that
-- should say the same do not.

-- How far a node's tallies of a lane are told: they count every record from the first to before the through one, and no other.
-- Each life of a node (epoch) begins anew; what it served after it was last heard of is in the log only.
create table gateway_tally_lanes (
    node               text not null,
    epoch              bigint not null,
    lane               int not null,
    first_sequence     bigint not null,
    through_sequence   bigint not null check (through_sequence >= first_sequence),
    told_at            timestamptz not null,
    primary key (node, epoch, lane)
);

-- Absolute numbers: telling them twice changes nothing.
create table gateway_tallies (
    partner_id         uuid not null,
    hour               timestamptz not null,
    environment        text not null,
    node               text not null,
    epoch              bigint not null,
    lane               int not null,
    -- A lane that has forgotten an hour and comes back to it goes on in another part.
    part               int not null,
    calls              bigint not null,
    units              bigint not null,
    primary key (partner_id, hour, environment, node, epoch, lane, part)
);
create index gateway_tallies_by_hour on gateway_tallies using brin (hour) with (pages_per_range = 16);

create table reconciliation_runs (
    id                 uuid primary key,
    from_at            timestamptz not null,
    to_at              timestamptz not null,
    run_at             timestamptz not null,
    -- Pairs of numbers that were compared, and those that differed.
    compared           bigint not null,
    found              bigint not null
);
create index reconciliation_runs_by_time on reconciliation_runs (run_at desc);

-- One for each number that is not what another place says. A later run that finds them the same resolves it.
create table reconciliation_findings (
    kind               text not null,
    -- The nil UUID where it concerns no partner.
    partner_id         uuid not null,
    hour               timestamptz not null,
    -- calls, units, bytes_in, ...: what was counted.
    meter              text not null,
    -- Empty, and -1, where it concerns no lane; else more of where it is.
    node               text not null default '',
    lane               int not null default -1,
    place              text not null default '',
    expected           numeric not null,
    actual             numeric not null,
    first_seen_at      timestamptz not null,
    last_seen_at       timestamptz not null,
    resolved_at        timestamptz,
    -- Somebody has looked and let invoices go on; the audit log has who. Other numbers later are another finding.
    accepted_at        timestamptz,
    note               text not null default '',
    primary key (kind, partner_id, hour, meter, node, lane, place)
);
create index reconciliation_findings_open on reconciliation_findings (hour) where resolved_at is null;
