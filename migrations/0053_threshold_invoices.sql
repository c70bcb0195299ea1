-- Threshold invoices: what was used is billed within the period as soon as so much of it has come together. A period has several of them, and
-- the invoice at its end takes off what they have billed.

-- Which threshold invoice of its period it is, from 1 on; 0 for all others.
alter table invoices add column threshold_number int not null default 0 check (threshold_number >= 0);
alter table invoices drop constraint invoices_bill_a_period_once;
alter table invoices add constraint invoices_bill_a_period_once unique (subscription_id, period_start, in_advance, threshold_number);

-- What partners have in the place of their plan's threshold; no amount is no threshold invoices.
create table invoice_thresholds (
    partner_id         uuid primary key references partners (id),
    currency           text,
    micros             bigint check (micros > 0),
    set_at             timestamptz not null,
    check ((currency is null) = (micros is null))
);

-- Up to which hour the usage of a subscription was looked at and was below the threshold.
create table threshold_looks (
    partner_id         uuid not null references partners (id),
    subscription_id    uuid not null references subscriptions (id),
    through            timestamptz not null,
    primary key (partner_id, subscription_id)
);

-- A line of its own kind, whatever kinds there are by now.
do $$
declare
    kinds constant text := (select pg_get_constraintdef(oid) from pg_constraint
        where conrelid = 'invoice_lines'::regclass and conname = 'invoice_lines_kind_check');
begin
    alter table invoice_lines drop constraint invoice_lines_kind_check;
    execute 'alter table invoice_lines add constraint invoice_lines_kind_check '
        || replace(kinds, '''base_fee''::text', '''base_fee''::text, ''billed_before''::text');
end $$;

-- A server of the version before knows nothing of threshold invoices, and would bill what they have billed once more. Nobody closes a
-- period but with an invoice that takes off what they come to.
create function period_closes_less_what_was_billed() returns trigger language plpgsql as $$
declare
    billed constant bigint := (select coalesce(sum(i.total_micros), 0) from invoices i
        where i.partner_id = new.partner_id and i.subscription_id = new.subscription_id and i.period_start = new.period_start
            and i.threshold_number > 0 and i.status <> 'void');
    taken_off constant bigint := (select coalesce(-sum(l.amount_micros), 0) from invoice_lines l
        where l.partner_id = new.partner_id and l.invoice_id = new.invoice_id and l.kind = 'billed_before');
begin
    if billed <> taken_off then
        raise exception 'threshold invoices of the period come to % and its last invoice takes off %', billed, taken_off
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
create trigger billing_periods_close_less_what_was_billed before insert on billing_periods
    for each row execute function period_closes_less_what_was_billed();
