-- An identity that was revoked may be registered again, so that hashes are unique among keys' texts and among identities in
-- force; and an identity has no text of which to keep the last four digits.
alter table keys
    drop constraint keys_hash_key,
    drop constraint keys_last_four_check,
    add constraint keys_last_four_check check (length(last_four) = case kind when 'key' then 4 else 0 end);
create unique index keys_by_hash on keys (hash) where kind = 'key';
create unique index keys_by_identity on keys (hash) where kind <> 'key' and revoked_at is null;
