-- Numbers of invoices without holes: an auditor asks for every one of them. An identity column gives a number away for good even
-- where the transaction is rolled back; a row that is counted up in the transaction takes it back with everything else. Whoever
-- closes at the same time waits for the row until the other one has committed.

create table document_numbers (
    -- What is counted: 'invoice', 'credit_note'.
    series             text primary key,
    last               bigint not null check (last >= 0)
);

create function next_document_number(what text) returns bigint language plpgsql as $$
declare
    number bigint;
begin
    update document_numbers set last = last + 1 where series = what returning last into strict number;
    return number;
end $$;

-- Numbers that were given stay; the next one follows the highest.
alter table invoices alter column number drop identity;
insert into document_numbers (series, last) select 'invoice', coalesce(max(number), 0) from invoices;
insert into document_numbers (series, last) values ('credit_note', 0);
alter table invoices alter column number set default next_document_number('invoice');
