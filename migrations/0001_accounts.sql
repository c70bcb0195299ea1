-- People and companies. A partner is a customer company with members; an operator is a person of the provider.
-- Every table of a partner starts its primary key with the partner's id, so that no query can forget whose row it is
-- and the tables can be distributed by partner later.

create table partners (
    id                 uuid primary key,
    code               text unique check (code ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'), -- set by `apply`, never by sign-up
    name               text not null check (length(name) between 1 and 200),
    time_zone          text not null default 'UTC',
    suspended_at       timestamptz,
    suspended_reason   text,
    created_at         timestamptz not null
);
create index partners_by_name on partners (lower(name));

create table members (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    email              text not null check (length(email) between 3 and 254),
    name               text not null default '',
    -- Argon2id in PHC form; null until an invitation is accepted.
    password_hash      text,
    role               text not null check (role in ('owner', 'admin', 'developer', 'billing', 'viewer')),
    email_verified_at  timestamptz,
    disabled_at        timestamptz,
    created_at         timestamptz not null,
    primary key (partner_id, id)
);
-- One address is one account, whatever its capitals.
create unique index members_by_email on members (lower(email));

create table operators (
    id                 uuid primary key,
    email              text not null,
    name               text not null default '',
    password_hash      text,
    role               text not null check (role in ('admin', 'viewer')),
    disabled_at        timestamptz,
    created_at         timestamptz not null
);
create unique index operators_by_email on operators (lower(email));

-- Single-use links: verification, reset, invitation, the operator's first sign-in. Only a hash of the token is kept.
create table one_time_tokens (
    token_hash         bytea primary key,
    purpose            text not null check (purpose in ('verify_email', 'reset_password', 'invite_member', 'operator_sign_in')),
    member_id          uuid references members (id) on delete cascade,
    operator_id        uuid references operators (id) on delete cascade,
    expires_at         timestamptz not null,
    used_at            timestamptz,
    created_at         timestamptz not null,
    check ((member_id is null) <> (operator_id is null))
);

-- Browser sessions. Only a hash of the id is kept, so that a copy of the table signs nobody in.
create table sessions (
    id_hash            bytea primary key,
    data               jsonb not null,
    member_id          uuid references members (id) on delete cascade,
    operator_id        uuid references operators (id) on delete cascade,
    created_at         timestamptz not null default now(),
    expires_at         timestamptz not null
);
create index sessions_by_expiry on sessions (expires_at);
create index sessions_by_member on sessions (member_id) where member_id is not null;
create index sessions_by_operator on sessions (operator_id) where operator_id is not null;

-- Failed sign-ins by account and by address, counted in windows; never a permanent lock.
create table sign_in_attempts (
    subject            text not null,      -- 'account:<hash>' or 'address:<ip>'
    at                 timestamptz not null
);
create index sign_in_attempts_by_subject on sign_in_attempts (subject, at);

-- Mail waits here until it is sent; without an SMTP server it stays, and the dev inbox shows it.
create table mails (
    id                 bigint generated always as identity primary key,
    recipient          text not null,
    subject            text not null,
    body_text          text not null,
    body_html          text not null,
    created_at         timestamptz not null,
    sent_at            timestamptz,
    attempts           int not null default 0,
    next_attempt_at    timestamptz not null,
    last_error         text
);
create index mails_to_send on mails (next_attempt_at) where sent_at is null;

-- Who did what, append-only. before/after hold no secrets.
create table audit_log (
    id                 bigint generated always as identity primary key,
    at                 timestamptz not null,
    actor_kind         text not null check (actor_kind in ('member', 'operator', 'token', 'system')),
    actor_id           uuid,
    partner_id         uuid,
    action             text not null,      -- noun.verb, as key.revoke
    subject            text not null default '',
    before             jsonb,
    after              jsonb
);
create index audit_by_partner on audit_log (partner_id, id desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;

create trigger audit_log_is_append_only before update or delete or truncate on audit_log
    for each statement execute function refuse_change();

-- The development clock: how far an operator has moved time forward. Zero rows or zero seconds in production.
create table clock (
    only_row           boolean primary key default true check (only_row),
    ahead_seconds      bigint not null default 0 check (ahead_seconds >= 0)
);
insert into clock default values;
