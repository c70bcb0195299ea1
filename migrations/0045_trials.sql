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

-- The plan itself, or for terms of one partner's own the plan that they come from: a trial of the one is a trial of the other.
create function base_plan(of_plan uuid) returns uuid language sql stable as $$
    with recursive up (id) as (
        select of_plan
        union
        select v.plan_id from up join plans p on p.id = up.id join plan_versions v on v.id = p.derived_from
    )
    select coalesce((select up.id from up join plans p on p.id = up.id where p.derived_from is null limit 1), of_plan)
$$;
