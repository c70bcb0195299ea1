-- Prepaid units that are paid on a page of Stripe's before there is an invoice: what was ordered, at the price that was shown. A page that
-- nobody pays leaves nothing owed. Once Stripe says that it is paid, invoice, payment and grant are made in one transaction.
alter table checkouts drop constraint checkouts_state_check;
alter table checkouts add constraint checkouts_state_check
    check (state in ('open', 'processing', 'complete', 'expired', 'failed'));
create index checkouts_processing on checkouts (opened_at) where state = 'processing';

create table credit_checkouts (
    partner_id         uuid not null,
    checkout_id        uuid not null,
    subscription_id    uuid not null references subscriptions (id),
    -- The package's, as it was sold.
    code               text not null,
    terms              jsonb not null,
    quantity           int not null check (quantity > 0),
    units              bigint not null check (units > 0),
    cost_micros        bigint not null check (cost_micros > 0),
    currency           text not null,
    -- The buyer's own.
    reference          text not null,
    -- Once it is paid.
    invoice_id         uuid,
    primary key (partner_id, checkout_id),
    foreign key (partner_id, checkout_id) references checkouts (partner_id, id),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id)
);
create index credit_checkouts_reference on credit_checkouts (partner_id, reference);
