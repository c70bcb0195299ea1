-- What is sold: products (operations of an upstream API) and plans (tiers) with immutable versions.

create table products (
    id                 uuid primary key,
    code               text not null unique check (code ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    name               text not null check (length(name) between 1 and 200),
    summary            text not null default '',
    route              text not null unique,
    upstream_url       text not null,
    timeout_ms         int not null default 30000 check (timeout_ms between 1 and 600000),
    visibility         text not null check (visibility in ('public', 'plan', 'invitation')),
    -- The document as canonical JSON (comments and YAML anchors resolved), key order kept.
    document           json not null,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    archived_at        timestamptz
);

create table operations (
    product_id         uuid not null references products (id),
    id                 uuid not null unique,
    code               text not null,
    method             text not null,
    path               text not null,
    summary            text not null default '',
    weight             int not null default 1 check (weight between 0 and 1000000),
    deprecated         boolean not null default false,
    position           int not null,
    -- Kept when the document drops the operation: events and invoices point at it.
    removed_at         timestamptz,
    primary key (product_id, id),
    unique (product_id, code)
);

-- Headers that the gateway adds before it forwards; the value is sealed under the installation's key.
create table product_headers (
    product_id         uuid not null references products (id),
    name               text not null,
    sealed_value       bytea not null,
    primary key (product_id, name)
);

create table product_invitations (
    product_id         uuid not null references products (id),
    partner_id         uuid not null references partners (id),
    created_at         timestamptz not null,
    primary key (product_id, partner_id)
);

create table plans (
    id                 uuid primary key,
    code               text not null unique check (code ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    name               text not null check (length(name) between 1 and 100),
    summary            text not null default '',
    -- Order on the pricing page.
    position           int not null default 0,
    -- A private plan is assigned by an operator and shown to nobody else.
    private            boolean not null default false,
    approval           text not null default 'automatic' check (approval in ('automatic', 'queue')),
    created_at         timestamptz not null,
    archived_at        timestamptz
);

create table plan_versions (
    plan_id            uuid not null references plans (id),
    id                 uuid not null unique,
    version            int not null check (version > 0),
    -- domain::plan::PlanTerms as JSON.
    terms              jsonb not null,
    created_at         timestamptz not null,
    created_by         text not null default '',
    primary key (plan_id, version)
);
create trigger plan_versions_are_immutable before update or delete or truncate on plan_versions
    for each statement execute function refuse_change();
