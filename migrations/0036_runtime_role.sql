-- What is booked stays booked: triggers refuse to change the ledger, and the role that the server works as has no right to.
--
-- The user that migrates owns the tables; connections of the pool then take on the role turnpike_runtime, which may do everything here but
-- change or delete what is in the ledger. Roles are the whole cluster's: where this user may not make one, the operator's own user
-- stays, which the server says in its log, and the triggers stand alone.

do $$
begin
    if not exists (select from pg_roles where rolname = 'turnpike_runtime') then
        create role turnpike_runtime nologin;
    end if;
exception
    -- Another database of this cluster made it just now.
    when duplicate_object or unique_violation then null;
    when insufficient_privilege then raise notice 'the role turnpike_runtime cannot be made: %', sqlerrm;
end $$;

do $$
begin
    if not exists (select from pg_roles where rolname = 'turnpike_runtime') then
        return;
    end if;
    begin
        -- From version 16 on, whoever makes a role is a member that cannot take it on.
        execute format('grant turnpike_runtime to %I', current_user);
    exception
        when insufficient_privilege then
            if not pg_has_role('turnpike_runtime', 'member') then
                raise notice 'the role turnpike_runtime cannot be taken on: %', sqlerrm;
                return;
            end if;
    end;
    execute format('grant usage on schema %I to turnpike_runtime', current_schema());
    execute format('grant select, insert, update, delete on all tables in schema %I to turnpike_runtime', current_schema());
    execute format('grant usage, select on all sequences in schema %I to turnpike_runtime', current_schema());
    execute format('alter default privileges in schema %I grant select, insert, update, delete on tables to turnpike_runtime',
        current_schema());
    execute format('alter default privileges in schema %I grant usage, select on sequences to turnpike_runtime', current_schema());
    revoke update, delete, truncate on ledger_transactions, ledger_entries, ledger_unit_entries from turnpike_runtime;
exception
    when insufficient_privilege then raise notice 'the role turnpike_runtime cannot be used: %', sqlerrm;
end $$;

-- Partitions belong to whoever owns the table that they are part of.
alter function make_usage_partition(date) security definer set search_path from current;
alter function make_usage_month(text, date) security definer set search_path from current;

-- Nothing else is dropped with the owner's rights.
create or replace function drop_usage_part(part text) returns void language plpgsql security definer set search_path from current as $$
declare
    dropped constant regclass := to_regclass(quote_ident(part));
begin
    if dropped is null then
        return;
    end if;
    if not exists (select from pg_inherits where inhrelid = dropped and inhparent in ('usage_events'::regclass, 'usage_hourly'::regclass,
        'usage_daily'::regclass, 'usage_brief'::regclass, 'usage_operation_daily'::regclass, 'usage_meter_hourly'::regclass))
    then
        raise exception '% is no part of what is kept of usage', part using errcode = 'insufficient_privilege';
    end if;
    execute format('drop table %s', dropped);
end $$;

-- Their names are looked up here and nowhere else: who may make a temporary table could put another one in front.
do $$
declare
    called text;
begin
    foreach called in array array['make_usage_partition(date)', 'make_usage_month(text, date)', 'drop_usage_part(text)'] loop
        execute format('alter function %s set search_path = %I, pg_temp', called, current_schema());
    end loop;
end $$;
