-- Who may call: subscriptions tie a partner to a plan version; apps hold keys; API tokens open our own REST API.

create table subscriptions (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    plan_version_id    uuid not null references plan_versions (id),
    status             text not null check (status in ('requested', 'active', 'ended', 'declined')),
    -- Where its billing periods begin, and the partner's time zone at that moment.
    anchor             timestamptz not null,
    time_zone          text not null,
    requested_at       timestamptz not null,
    started_at         timestamptz,
    ended_at           timestamptz,
    primary key (partner_id, id)
);
create unique index one_active_subscription on subscriptions (partner_id) where status = 'active';
create unique index one_requested_subscription on subscriptions (partner_id) where status = 'requested';

create table teams (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    name               text not null check (length(name) between 1 and 100),
    created_at         timestamptz not null,
    primary key (partner_id, id)
);

create table apps (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    code               text, -- set by `apply`
    name               text not null check (length(name) between 1 and 100),
    team_id            uuid references teams (id),
    created_at         timestamptz not null,
    archived_at        timestamptz,
    primary key (partner_id, id)
);
create unique index apps_by_code on apps (partner_id, code) where code is not null;

create table keys (
    partner_id         uuid not null,
    id                 uuid not null unique,
    app_id             uuid not null,
    code               text, -- set by `apply`
    name               text not null check (length(name) between 1 and 100),
    environment        text not null check (environment in ('live', 'test')),
    -- HMAC-SHA-256 of the text under the installation's pepper; the text itself is shown once and never kept.
    hash               bytea not null unique check (length(hash) = 32),
    last_four          text not null check (length(last_four) = 4),
    created_at         timestamptz not null,
    -- Set when it is rotated: the end of the overlap.
    expires_at         timestamptz,
    revoked_at         timestamptz,
    replaced_by        uuid,
    primary key (partner_id, id),
    foreign key (partner_id, app_id) references apps (partner_id, id)
);
create unique index keys_by_code on keys (partner_id, code) where code is not null and replaced_by is null and revoked_at is null;
create index keys_by_app on keys (partner_id, app_id);

-- Tokens of the REST API, of a partner or of the provider (partner_id null).
create table api_tokens (
    id                 uuid primary key,
    partner_id         uuid references partners (id),
    name               text not null check (length(name) between 1 and 100),
    hash               bytea not null unique check (length(hash) = 32),
    last_four          text not null,
    -- As keys:read, keys:write, usage:read, invoices:read, plans:read, plans:write, partners:read, partners:write.
    scopes             text[] not null,
    created_at         timestamptz not null,
    expires_at         timestamptz,
    revoked_at         timestamptz,
    last_used_at       timestamptz
);
create index api_tokens_by_partner on api_tokens (partner_id);

-- The directory's version rises in every transaction that changes what the gateway decides by, and tells it so.
create table directory_version (
    only_row           boolean primary key default true check (only_row),
    version            bigint not null default 1
);
insert into directory_version default values;

create function directory_changed() returns trigger language plpgsql as $$
begin
    update directory_version set version = version + 1;
    perform pg_notify('directory', '');
    return null;
end $$;

create trigger directory_follows_partners after insert or update or delete on partners
    for each statement execute function directory_changed();
create trigger directory_follows_products after insert or update or delete on products
    for each statement execute function directory_changed();
create trigger directory_follows_operations after insert or update or delete on operations
    for each statement execute function directory_changed();
create trigger directory_follows_product_headers after insert or update or delete on product_headers
    for each statement execute function directory_changed();
create trigger directory_follows_product_invitations after insert or update or delete on product_invitations
    for each statement execute function directory_changed();
create trigger directory_follows_subscriptions after insert or update or delete on subscriptions
    for each statement execute function directory_changed();
create trigger directory_follows_apps after insert or update or delete on apps
    for each statement execute function directory_changed();
create trigger directory_follows_keys after insert or update or delete on keys
    for each statement execute function directory_changed();
