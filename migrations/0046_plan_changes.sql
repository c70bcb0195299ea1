-- Changes of plan that wait for the end of a period, and what became of them; and the quota of a period within which the plan changed.

create table plan_changes (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    -- The subscription that ends with it.
    subscription_id    uuid not null references subscriptions (id),
    -- What begins; null where no plan follows.
    plan_version_id    uuid references plan_versions (id),
    effective_at       timestamptz not null,
    -- Where periods begin from then on; null where no plan follows.
    anchor             timestamptz,
    time_zone          text,
    -- scheduled: it waits. replaced: another change took its place. failed: it could not be made, and the old plan goes on.
    status             text not null check (status in ('scheduled', 'done', 'withdrawn', 'replaced', 'failed')),
    problem            text,
    requested_at       timestamptz not null,
    closed_at          timestamptz,
    primary key (partner_id, id),
    check ((plan_version_id is null) = (anchor is null) and (anchor is null) = (time_zone is null)),
    check ((status = 'scheduled') = (closed_at is null))
);
create unique index one_scheduled_change on plan_changes (partner_id) where status = 'scheduled';
create index plan_changes_due on plan_changes (effective_at) where status = 'scheduled';

-- Units of the billing period that ends at period_quota_until, in place of the plan's quota; null where the plan's holds.
alter table subscriptions
    add column period_quota_units bigint check (period_quota_units >= 0),
    add column period_quota_until timestamptz,
    add constraint subscriptions_period_quota check ((period_quota_units is null) = (period_quota_until is null));
