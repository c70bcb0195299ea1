-- Calls of the REST API that move money and carry an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header-07): one row for each
-- key of a token on a route, there before the call is carried out.
--
-- What a call makes names its row in the transaction that makes it (`made_id`): so a retry after a crash between that commit and the
-- answer finds what was made, and a call that was taken for dead and is not can make nothing any more (its attempt is another by then).

create table api_requests (
    token_id           uuid not null references api_tokens (id),
    -- The path as the API's description has it.
    route              text not null,
    key                text collate "C" not null check (length(key) between 1 and 255),
    -- Who carries it out: another one where the first was not heard of again.
    attempt            uuid not null unique,
    -- SHA-256 of path, query and body.
    fingerprint        bytea not null check (length(fingerprint) = 32),
    -- What it made, where that has no reference of its own.
    made_id            uuid,
    -- The answer: null while it is carried out.
    status             smallint,
    body               bytea check ((body is null) = (status is null)),
    began_at           timestamptz not null,
    -- In flight: when it counts as lost. Answered: when the key is forgotten.
    until              timestamptz not null,
    primary key (token_id, route, key)
);
create index api_requests_by_until on api_requests (until);
