-- What is owed. An invoice is ours first; Stripe gets a copy by reconciling. Money is micro-units of the currency.

create table invoices (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    number             bigint generated always as identity unique,
    subscription_id    uuid not null references subscriptions (id),
    plan_version_id    uuid not null references plan_versions (id),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    time_zone          text not null,
    currency           text not null,
    total_micros       bigint not null,
    -- open: closed by us, not yet collected; then what Stripe says.
    status             text not null check (status in ('open', 'sent', 'paid', 'uncollectible', 'void')),
    collect            text not null check (collect in ('invoice_items', 'meter_events')),
    -- Why Stripe does not hold it as it should, for the operator; null where it does or nothing was tried.
    push_problem       text,
    created_at         timestamptz not null,
    updated_at         timestamptz not null,
    primary key (partner_id, id),
    -- A period is billed once.
    unique (subscription_id, period_start)
);

create index invoices_to_push on invoices (number) where status in ('open', 'sent');

-- Which stretches of a subscription are closed, with or without an invoice: one without fee and usage has none.
-- Stretches of one subscription touch: the next begins where the last one ends.
create table billing_periods (
    partner_id         uuid not null references partners (id),
    subscription_id    uuid not null references subscriptions (id),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    invoice_id         uuid references invoices (id),
    closed_at          timestamptz not null,
    primary key (partner_id, subscription_id, period_start),
    check (period_start < period_end)
);
create trigger billing_periods_are_append_only before update or delete or truncate on billing_periods
    for each statement execute function refuse_change();

create table invoice_lines (
    partner_id         uuid not null,
    invoice_id         uuid not null,
    position           int not null,
    kind               text not null check (kind in ('base_fee', 'usage', 'included_credit')),
    product_id         uuid,
    operation_id       uuid,
    description        text not null,
    quantity           bigint not null,
    free               bigint not null,
    amount_micros      bigint not null,
    primary key (partner_id, invoice_id, position),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id)
);
create trigger invoice_lines_are_append_only before update or delete or truncate on invoice_lines
    for each statement execute function refuse_change();

-- Double entry: each transaction's entries sum to zero, and nothing is ever changed.
create table ledger_transactions (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    -- What it is for; the same key is never posted twice.
    idempotency_key    text not null unique,
    description        text not null,
    at                 timestamptz not null,
    primary key (partner_id, id)
);
create table ledger_entries (
    partner_id         uuid not null,
    transaction_id     uuid not null,
    position           int not null,
    account            text not null check (account in ('receivable', 'revenue', 'credits', 'cash')),
    currency           text not null,
    amount_micros      bigint not null,
    primary key (partner_id, transaction_id, position),
    foreign key (partner_id, transaction_id) references ledger_transactions (partner_id, id)
);
create trigger ledger_transactions_are_append_only before update or delete or truncate on ledger_transactions
    for each statement execute function refuse_change();
create trigger ledger_entries_are_append_only before update or delete or truncate on ledger_entries
    for each statement execute function refuse_change();

create function ledger_sums_to_zero() returns trigger language plpgsql as $$
begin
    if exists (
        select 1 from ledger_entries where transaction_id = new.transaction_id group by currency having sum(amount_micros) <> 0
    ) then
        raise exception 'ledger transaction % does not sum to zero', new.transaction_id using errcode = 'check_violation';
    end if;
    return null;
end $$;
create constraint trigger ledger_entries_sum_to_zero after insert on ledger_entries
    deferrable initially deferred for each row execute function ledger_sums_to_zero();

-- What Stripe holds of ours, by what it stands for: 'customer', 'invoice:<id>', 'item:<invoice>:<position>',
-- 'meter_event:<invoice>:<position>'. The row is committed before Stripe is asked for the first time, so that a crash or a
-- lost answer is followed by the same request under the same key, and, once Stripe may have forgotten the key, by a look.
create table stripe_objects (
    partner_id         uuid not null references partners (id),
    subject            text not null,
    -- Null until Stripe's answer is known.
    stripe_id          text,
    -- Rises when Stripe was looked through and does not hold the object; part of the idempotency key.
    attempt            int not null default 1,
    attempted_at       timestamptz not null,
    -- As sent, [[name, value], …]: a repeat is the same to the letter.
    parameters         jsonb not null,
    pushed_at          timestamptz,
    primary key (partner_id, subject)
);
create unique index stripe_objects_by_id on stripe_objects (stripe_id);

-- Webhook events, stored once by Stripe's id before they are looked at.
create table stripe_events (
    id                 text primary key,
    type               text not null,
    payload            jsonb not null,
    received_at        timestamptz not null,
    applied_at         timestamptz,
    error              text
);
create index stripe_events_to_apply on stripe_events (received_at) where applied_at is null;
