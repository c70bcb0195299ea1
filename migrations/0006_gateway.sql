-- What the gateway does with a product's calls beyond passing them on, and credentials besides plain keys.

-- domain::policy::Policy as JSON: how calls are authenticated, cached, kept for retries, balanced and priced.
alter table products add column policy jsonb not null default '{}';

-- What a product's policy needs and nobody may read again: the signing secret of identity headers, a client certificate
-- with its key. Sealed under the installation's key.
create table product_secrets (
    product_id         uuid not null references products (id),
    name               text not null check (name ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    sealed_value       bytea not null,
    primary key (product_id, name)
);
create trigger directory_follows_product_secrets after insert or update or delete on product_secrets
    for each statement execute function directory_changed();

-- An app's identity at a token issuer or in a client certificate is a key too: it expires, is limited and is revoked like
-- one. Its hash is that of the identity's text, which is no secret and is kept.
alter table keys
    add column kind text not null default 'key' check (kind in ('key', 'token', 'certificate')),
    add column identity text not null default '',
    -- Networks as 192.0.2.0/24 from which the key may be used; empty is everywhere.
    add column allowed_addresses text[] not null default '{}',
    -- What the key may do; empty is everything that its plan opens.
    add column scopes text[] not null default '{}',
    add constraint key_identity check ((kind = 'key') = (identity = ''));
