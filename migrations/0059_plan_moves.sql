-- Bulk moves with notice: all partners who are on a plan, or on one version of it, have another version or plan from the end of a billing
-- period on. Each is told, and its change waits in plan_changes like any other.

create table plan_moves (
    id                 uuid primary key,
    from_plan_id       uuid not null references plans (id),
    -- Null: of any version but the one that they come to.
    from_version_id    uuid references plan_versions (id),
    to_version_id      uuid not null references plan_versions (id),
    notice_days        int not null check (notice_days between 1 and 366),
    -- For the partners; empty where there is nothing to say.
    reason             text not null check (length(reason) <= 500),
    made_at            timestamptz not null,
    -- It was cancelled, or another move took its place: nobody else is moved.
    ended_at           timestamptz
);
create index plan_moves_open on plan_moves (made_at) where ended_at is null;

-- Who was told of a move, once.
create table plan_move_partners (
    move_id            uuid not null references plan_moves (id),
    partner_id         uuid not null references partners (id),
    told_at            timestamptz not null,
    -- When it is to be in force: the end of the first billing period that ends after the notice.
    effective_at       timestamptz not null,
    -- An operator takes this partner out of it.
    exempted_at        timestamptz,
    moved_at           timestamptz,
    primary key (move_id, partner_id)
);

alter table plan_changes add column move_id uuid references plan_moves (id);
create index plan_changes_of_move on plan_changes (move_id) where move_id is not null and status = 'scheduled';
