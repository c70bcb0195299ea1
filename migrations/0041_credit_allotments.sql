-- Units that a plan gives at the beginning of each period: once for each period of a subscription.

create table credit_allotments (
    partner_id         uuid not null references partners (id),
    subscription_id    uuid not null references subscriptions (id),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    -- When what is left of them expires: the full hour at the end of the period, or the next.
    expires_at         timestamptz not null,
    -- Zero where another plan gave enough in that period before.
    units              bigint not null check (units >= 0),
    grant_id           uuid,
    -- When it was seen what of them is carried over; null before they expired.
    rolled_at          timestamptz,
    carried_units      bigint not null default 0 check (carried_units >= 0),
    carried_grant_id   uuid,
    allotted_at        timestamptz not null,
    primary key (partner_id, subscription_id, period_start),
    foreign key (partner_id, grant_id) references credit_grants (partner_id, id),
    foreign key (partner_id, carried_grant_id) references credit_grants (partner_id, id),
    check (period_start < period_end),
    check ((grant_id is null) = (units = 0)),
    check ((carried_grant_id is null) = (carried_units = 0))
);
create index credit_allotments_to_roll on credit_allotments (expires_at) where rolled_at is null;
