-- What became of requests with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): one row for each key, there
-- before the upstream hears of the request, so that no two nodes carry the same request out.

create table idempotency_keys (
    partner_id         uuid not null,
    environment        text not null check (environment in ('live', 'test')),
    product_id         uuid not null,
    operation_id       uuid not null,
    key                text collate "C" not null check (length(key) between 1 and 255),
    -- The one request that may be carried out under the key; whoever tells us its end names it.
    attempt            uuid not null unique,
    -- HMAC-SHA-256 of method, path, query, partner, environment and body.
    fingerprint        bytea not null check (length(fingerprint) = 32),
    request_id         text not null,
    -- Who carries it out, and which life of that node: what an earlier life left in flight nobody ends any more.
    node               text not null,
    life               uuid not null,
    -- unknown: sent on, and nobody can tell (or give again) what came of it. Never carried out again.
    state              text not null check (state in ('in_flight', 'answered', 'unknown')),
    -- Why it is unknown.
    reason             text check ((reason is not null) = (state = 'unknown')),
    -- Status, headers and body, sealed under the installation's key.
    sealed_answer      bytea check ((sealed_answer is not null) = (state = 'answered')),
    began_at           timestamptz not null,
    -- In flight: when it counts as lost. Otherwise: when the key is forgotten.
    until              timestamptz not null,
    primary key (partner_id, environment, product_id, operation_id, key)
);
create index idempotency_keys_by_until on idempotency_keys (until);
create index idempotency_keys_unknown on idempotency_keys (partner_id, began_at) where state = 'unknown';
create index idempotency_keys_in_flight on idempotency_keys (node) where state = 'in_flight';
-- Answers are random bytes to a compressor.
alter table idempotency_keys alter column sealed_answer set storage external;
