-- Private plans that named partners may choose, and plans that are one partner's own, derived from a version of another.

create table plan_partners (
    partner_id         uuid not null references partners (id),
    plan_id            uuid not null references plans (id),
    created_at         timestamptz not null,
    primary key (partner_id, plan_id)
);
create index plan_partners_of_plan on plan_partners (plan_id);

alter table plans
    -- Whose own the plan is: nobody else can be named for it, and it stays private.
    add column own_of uuid references partners (id),
    -- What it was derived from, for operators to compare.
    add column derived_from uuid references plan_versions (id),
    add constraint plans_own check ((own_of is null) = (derived_from is null) and (own_of is null or private));
