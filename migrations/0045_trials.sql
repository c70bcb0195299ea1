-- Trials: until when a subscription is tried, and whether its end was told.

alter table subscriptions
    -- Its periods begin then; what lies before is the trial.
    add column trial_until timestamptz,
    add column trial_told_at timestamptz;
create index trials_to_tell on subscriptions (trial_until) where trial_until is not null and trial_told_at is null;

-- A discount for the first periods counts them from the end of the trial on.
create or replace function plan_since(of_partner uuid, of_version uuid) returns timestamptz language sql stable as $$
    select greatest(min(s.started_at), max(s.trial_until))
    from plan_versions own
        join plan_versions v on v.plan_id = own.plan_id
        join subscriptions s on s.plan_version_id = v.id
    where own.id = of_version and s.partner_id = of_partner
$$;
