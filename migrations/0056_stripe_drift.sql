-- What Stripe holds otherwise than we, field by field, as the last comparison found it. Nothing is written over there before an operator
-- has asked for it, or has let it stand with a reason.
create table stripe_drift (
    kind               text not null check (kind in ('customer', 'product', 'price', 'meter')),
    -- Our name of it: a partner's identifier, Stripe's name of a product, a price's lookup key, a meter's event name.
    object             text not null,
    field              text not null,
    -- Of customers only.
    partner_id         uuid references partners (id),
    -- Empty where Stripe does not have it.
    stripe_id          text not null default '',
    ours               text not null,
    theirs             text not null,
    first_seen_at      timestamptz not null,
    last_seen_at       timestamptz not null,
    -- Ours is to be written there; empty again once it is known that it cannot be.
    asked_at           timestamptz,
    -- Why it was not written.
    problem            text not null default '',
    -- It may stand as long as both sides stay as they are; the audit log has who.
    accepted_at        timestamptz,
    note               text not null default '',
    primary key (kind, object, field),
    check (asked_at is null or accepted_at is null)
);
create index stripe_drift_newest on stripe_drift (first_seen_at desc);
create index stripe_drift_asked on stripe_drift (asked_at) where asked_at is not null;

-- When that was, and whether somebody wants it sooner.
create table stripe_comparison (
    is_only            boolean primary key default true check (is_only),
    asked_at           timestamptz,
    compared_at        timestamptz,
    -- Fields that were compared.
    compared           bigint not null default 0 check (compared >= 0)
);
insert into stripe_comparison default values;
