-- What was compared with nothing so far, or could not be found quickly: lines of meters on invoices, levels of gauges, calls that only
-- a gateway knew which was forgotten; and summaries of new blocks, without which searches by lane and time read all of a day.

-- The code of the meter that a line bills. Lines from before have none, and are compared with nothing.
alter table invoice_lines add column meter text;

-- Until when a node that was forgotten may have served calls that it alone knew of. Null where it is not forgotten.
alter table spool_positions add column lost_until timestamptz;

-- For whoever compares an hour of all partners: levels come in the order of time.
create index usage_gauge_levels_by_time on usage_gauge_levels using brin (at) with (autosummarize = on);

alter index gateway_tallies_by_hour set (autosummarize = on);
alter index usage_batches_by_time set (autosummarize = on);

-- An index of a partitioned table cannot be told, but those of its partitions can.
create function summarise_by_itself(part regclass) returns void language plpgsql as $$
declare
    of_blocks regclass;
begin
    for of_blocks in
        select i.indexrelid from pg_index i join pg_class c on c.oid = i.indexrelid join pg_am a on a.oid = c.relam
        where i.indrelid = part and a.amname = 'brin' and c.relkind = 'i'
    loop
        execute format('alter index %s set (autosummarize = on)', of_blocks);
    end loop;
end $$;

-- As before, and its indexes are summarised as it grows.
create or replace function make_usage_part(parent text, suffix text, key text, starts text, ends text) returns bigint
language plpgsql as $$
declare
    part constant text := parent || '_' || suffix;
    other constant text := parent || '_other';
    moved bigint;
begin
    if to_regclass(part) is not null then
        return 0;
    end if;
    execute format('lock table %I in share row exclusive mode', other);
    execute format('create table %I (like %I including defaults including constraints)', part, parent);
    execute format('with moved as (delete from %1$I where %2$I >= %3$L and %2$I < %4$L returning *) insert into %5$I select * from moved',
        other, key, starts, ends, part);
    get diagnostics moved = row_count;
    execute format('alter table %I attach partition %I for values from (%L) to (%L)', parent, part, starts, ends);
    perform summarise_by_itself(part::regclass);
    return moved;
end $$;

select summarise_by_itself(inhrelid::regclass) from pg_inherits
where inhparent in ('usage_events'::regclass, 'usage_hourly'::regclass, 'usage_meter_hourly'::regclass);
