-- Revenue, day by day, in the words of ASC 606: what was billed or paid ahead is a contract liability until it is earned.
--
-- The ledger books money as it moves. A fee in advance is revenue there at once, and usage when it is billed; accountants want the fee
-- spread over its period, and the usage in the period in which it was used. The journal says that, and is written once a day (UTC) is
-- over, from the ledger, the fees in advance and the invoices. What it says is never changed: what is booked late, and what takes back
-- something of an earlier day, is an entry of a later one.

create table journal_days (
    day                date primary key,
    closed_at          timestamptz not null
);
create trigger journal_days_are_append_only before update or delete or truncate on journal_days
    for each statement execute function refuse_change();

create table journal_transactions (
    partner_id         uuid not null references partners (id),
    -- Made from `source`, so that a journal that is written again from the same rows has the same identifiers.
    id                 uuid not null unique,
    -- Counts up over all partners, without a hole.
    number             bigint not null unique,
    day                date not null references journal_days (day),
    kind               text not null check (kind in ('invoice', 'usage', 'fee', 'credit', 'payment', 'credit_note', 'void', 'refund')),
    -- What it is made from: a transaction of the ledger, or a fee or a grant and the day.
    source             text not null unique,
    description        text not null,
    -- When it happened; null where it sums up a day.
    occurred_at        timestamptz,
    -- What the money is for, where it is for a period.
    service_start      timestamptz,
    service_end        timestamptz,
    invoice_id         uuid,
    credit_note_id     uuid,
    credit_grant_id    uuid,
    primary key (partner_id, id),
    check ((service_start is null) = (service_end is null))
);
create index journal_transactions_by_day on journal_transactions (day, number);
create index journal_transactions_of_invoice on journal_transactions (partner_id, invoice_id) where invoice_id is not null;
create index journal_transactions_of_grant on journal_transactions (partner_id, credit_grant_id) where credit_grant_id is not null;
create trigger journal_transactions_are_append_only before update or delete or truncate on journal_transactions
    for each statement execute function refuse_change();

create table journal_entries (
    partner_id         uuid not null,
    transaction_id     uuid not null,
    position           int not null,
    account            text not null check (account in ('accounts_receivable', 'contract_asset', 'contract_liability', 'revenue',
                           'breakage_revenue', 'cash', 'refunds')),
    currency           text not null,
    -- A debit is above zero. Whole coins.
    amount_micros      bigint not null check (amount_micros <> 0),
    primary key (partner_id, transaction_id, position),
    foreign key (partner_id, transaction_id) references journal_transactions (partner_id, id)
);
create trigger journal_entries_are_append_only before update or delete or truncate on journal_entries
    for each statement execute function refuse_change();

create function journal_sums_to_zero() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from journal_entries where partner_id = new.partner_id and transaction_id = new.transaction_id
        group by currency having sum(amount_micros) <> 0
    ) then
        raise exception 'journal transaction % does not sum to zero', new.transaction_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger journal_entries_sum_to_zero after insert on journal_entries
    deferrable initially deferred for each row execute function journal_sums_to_zero();

-- Transactions of the ledger that the journal has not taken in, kept by the database so that none can be missed, whoever posts it.
create table journal_due (
    partner_id         uuid not null,
    transaction_id     uuid not null,
    -- As the ledger has it.
    at                 timestamptz not null,
    -- What an invoice bills in arrears is earned at the end of its period, and billed later.
    is_earned          boolean not null default false,
    primary key (partner_id, transaction_id),
    foreign key (partner_id, transaction_id) references ledger_transactions (partner_id, id)
);
create index journal_due_by_time on journal_due (at);
insert into journal_due (partner_id, transaction_id, at)
select t.partner_id, t.id, t.at from ledger_transactions t
where exists (select from ledger_entries e where e.partner_id = t.partner_id and e.transaction_id = t.id);

create function journal_follows_ledger() returns trigger language plpgsql as $$
begin
    insert into journal_due (partner_id, transaction_id, at)
    select distinct t.partner_id, t.id, t.at
    from added a join ledger_transactions t on t.partner_id = a.partner_id and t.id = a.transaction_id
    on conflict do nothing;
    return null;
end $$;
create trigger journal_follows after insert on ledger_entries referencing new table as added
    for each statement execute function journal_follows_ledger();

do $$
begin
    if exists (select from pg_roles where rolname = 'turnpike_runtime') then
        revoke update, delete, truncate on journal_days, journal_transactions, journal_entries from turnpike_runtime;
    end if;
exception
    when insufficient_privilege then raise notice 'rights on the journal cannot be taken from turnpike_runtime: %', sqlerrm;
end $$;
