-- Seals go with the events that they seal: nobody can compare them with anything any more. The last of each lane that could go stays,
-- so that the ones behind it can still be seen to follow. Younger ones may not be deleted, and none may be changed.

drop trigger spool_seals_is_append_only on spool_seals;
create trigger spool_seals_is_append_only before update or truncate on spool_seals
    for each statement execute function refuse_change();

create function refuse_to_forget_seals() returns trigger language plpgsql as $$
begin
    if old.sealed_at >= (select least(live_from, test_from) - interval '48 hours' from usage_upkeep) then
        raise exception 'a seal of events that are kept cannot be deleted' using errcode = 'restrict_violation';
    end if;
    return old;
end $$;

create trigger spool_seals_are_kept before delete on spool_seals
    for each row execute function refuse_to_forget_seals();
