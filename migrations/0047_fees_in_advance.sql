-- Base fees that are billed in advance: an invoice at the start of a period, beside the one at its end for what was used.

alter table invoices add column in_advance boolean not null default false;
alter table invoices drop constraint invoices_subscription_id_period_start_key;
alter table invoices add constraint invoices_bill_a_period_once unique (subscription_id, period_start, in_advance);

-- Until when the fee of a subscription is billed, and what for. Where the plan ends within the period, the rest is given back on the
-- next invoice, once.
create table advance_fees (
    partner_id         uuid not null references partners (id),
    subscription_id    uuid not null references subscriptions (id),
    period_start       timestamptz not null,
    period_end         timestamptz not null,
    currency           text not null,
    -- Less discounts.
    fee_micros         bigint not null,
    -- Null where the fee came to nothing.
    invoice_id         uuid references invoices (id),
    given_back_by      uuid references invoices (id),
    primary key (partner_id, subscription_id, period_start),
    check (period_start < period_end)
);
create index advance_fees_to_give_back on advance_fees (partner_id) where given_back_by is null;
