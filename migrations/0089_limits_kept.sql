-- Limits and features that a partner keeps for some days of a plan that it left for a smaller one. A gateway from before has the new plan's
-- at once.

alter table subscriptions
    -- The version whose limits and features are kept, and until when.
    add column kept_version_id uuid references plan_versions (id),
    add column kept_until timestamptz,
    add constraint subscriptions_kept check ((kept_version_id is null) = (kept_until is null));

-- As it was shown; null where nothing is kept.
alter table plan_changes add column kept_until timestamptz;
