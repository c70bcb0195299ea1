-- What each version of the directory changed, so that a gateway reads that and not everything.
--
-- A statement that changes rows of these tables raises the version by one and lists what it changed under the new version, in its
-- own transaction. The version's row stays locked until that ends: versions are committed in their order, without gaps. A gateway
-- that finds a version without a line here reads everything, so old lines may go.

create table directory_changes (
    version            bigint not null,
    -- everything: more than can be listed; its id says nothing.
    kind               text not null check (kind in ('product', 'partner', 'plan', 'app', 'key', 'everything')),
    id                 uuid not null,
    primary key (version, kind, id)
);

-- Its arguments are the kind of what changes and the column that holds its id. Rows are in `changed`; of an update the earlier
-- ones are in `before`.
create or replace function directory_changed() returns trigger language plpgsql as $$
declare
    most constant int := 1000;
    kept constant bigint := 10000;
    kind constant text := tg_argv[0];
    ids uuid[];
    raised bigint;
begin
    if tg_op = 'UPDATE' then
        execute format('select array_agg(id) from (select %1$I as id from changed union select %1$I from before limit $1) few',
            tg_argv[1]) into ids using most + 1;
    elsif tg_op <> 'TRUNCATE' then
        execute format('select array_agg(id) from (select distinct %I as id from changed limit $1) few', tg_argv[1])
            into ids using most + 1;
    end if;
    if ids is null and tg_op <> 'TRUNCATE' then
        return null; -- no row was concerned
    end if;
    update directory_version set version = version + 1 returning version into raised;
    if cardinality(ids) <= most then
        insert into directory_changes select raised, kind, unnest(ids);
    else
        insert into directory_changes values (raised, 'everything', '00000000-0000-0000-0000-000000000000');
    end if;
    if raised % 1000 = 0 then
        delete from directory_changes where version <= raised - kept;
    end if;
    perform pg_notify('directory', '');
    return null;
end $$;

do $$
declare
    followed record;
begin
    for followed in
        select * from (values
            ('products', 'product', 'id'), ('operations', 'product', 'product_id'),
            ('product_headers', 'product', 'product_id'), ('product_secrets', 'product', 'product_id'),
            ('product_invitations', 'product', 'product_id'), ('partners', 'partner', 'id'),
            ('subscriptions', 'partner', 'partner_id'), ('plans', 'plan', 'id'), ('apps', 'app', 'id'),
            ('keys', 'key', 'id')) as t (name, kind, id)
    loop
        execute format('drop trigger if exists directory_follows_%1$s on %1$I', followed.name);
        execute format('create trigger directory_follows_insert after insert on %I referencing new table as changed
            for each statement execute function directory_changed(%L, %L)', followed.name, followed.kind, followed.id);
        execute format('create trigger directory_follows_update after update on %I
            referencing old table as before new table as changed
            for each statement execute function directory_changed(%L, %L)', followed.name, followed.kind, followed.id);
        execute format('create trigger directory_follows_delete after delete on %I referencing old table as changed
            for each statement execute function directory_changed(%L, %L)', followed.name, followed.kind, followed.id);
        execute format('create trigger directory_follows_truncate after truncate on %I
            for each statement execute function directory_changed(%L, %L)', followed.name, followed.kind, followed.id);
    end loop;
end $$;
