-- A server of the version before ends a grant without a look at what apps and teams have of it (migration 0071): those units would stay in
-- their balances for ever. So nobody ends one before that has been moved; the books of such a partner wait for a server that knows how.
-- What the column says is known when the function runs: here it may not be there yet.

create function refuse_end_of_allocated_grant() returns trigger language plpgsql as $$
begin
    if new.allocated_units > 0 then
        raise exception 'some of this grant is allocated to apps or teams: only a server that knows allocations can end it'
            using errcode = 'restrict_violation';
    end if;
    return new;
end $$;
create trigger credit_grants_end_unallocated before update of ended_at on credit_grants for each row
    when (old.ended_at is null and new.ended_at is not null) execute function refuse_end_of_allocated_grant();
