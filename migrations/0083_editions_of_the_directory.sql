-- What a version of the directory is, is told by more than its number: a database that was put back to an earlier instant comes to the
-- same numbers again with other content. And gateways hear of a planned end before it comes, so that none serves beyond it what no
-- subscription will be billed for.

-- In the order in which whoever puts a change in force takes them.
lock table plan_changes in share row exclusive mode;

-- Made anew with each version. A copy of the database has it as long as it has the same content.
alter table directory_version add column edition uuid not null default gen_random_uuid();
create function new_directory_edition() returns trigger language plpgsql as $$
begin
    new.edition := gen_random_uuid();
    return new;
end $$;
create trigger directory_version_has_its_edition before update on directory_version
    for each row execute function new_directory_edition();

-- At the end of the transaction: whoever plans an end locks other rows after it, and the version's row comes last.
create function planned_end_changed() returns trigger language plpgsql as $$
declare
    raised bigint;
begin
    update directory_version set version = version + 1 returning version into raised;
    insert into directory_changes values (raised, 'partner', new.partner_id);
    perform pg_notify('directory', '');
    return null;
end $$;
create constraint trigger plan_changes_with_an_end after insert or update on plan_changes
    deferrable initially deferred for each row when (new.plan_version_id is null) execute function planned_end_changed();
