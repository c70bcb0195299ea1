-- Whether a partner has left a payment method at Stripe, as Stripe says when it is asked; what was opened there for that and has not
-- come back yet; and plans that begin only for who has one.
create table payment_methods (
    partner_id         uuid primary key references partners (id),
    -- Stripe's name of the one that it charges; null where there is none any more.
    stripe_id          text,
    -- What was asked later holds.
    asked_at           timestamptz not null
);

create table checkouts (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    -- Null until Stripe's answer is known.
    session_id         text unique,
    state              text not null check (state in ('open', 'complete', 'expired')),
    opened_at          timestamptz not null,
    ended_at           timestamptz,
    primary key (partner_id, id)
);
create index checkouts_open on checkouts (opened_at) where state = 'open';

alter table plans add column asks_for_payment_method boolean not null default false;
