-- Invoices that stay unpaid: what has become of a partner for it, and when who was told of it.

-- When an invoice is due: null until somebody collects it. Stripe says so when it is final there; without Stripe the server sets it.
alter table invoices add column due_at timestamptz;
-- Stripe's page on which it is paid.
alter table invoices add column pay_url text;
-- How often Stripe tried to collect it in vain, and when it tries again.
alter table invoices add column failed_payments int not null default 0 check (failed_payments >= 0);
alter table invoices add column next_payment_at timestamptz;
-- Since when it is disputed: it has no consequence meanwhile.
alter table invoices add column disputed_at timestamptz;
alter table invoices add column dispute_reason text check (length(dispute_reason) between 1 and 500);
alter table invoices add constraint invoices_disputed_for_a_reason check ((disputed_at is null) = (dispute_reason is null));

create index invoices_unpaid on invoices (partner_id, due_at) where status in ('open', 'sent', 'uncollectible');

create table dunning (
    partner_id         uuid primary key references partners (id),
    stage              text not null default 'good' check (stage in ('good', 'grace', 'limited', 'suspended')),
    since              timestamptz not null,
    -- The unpaid invoice that was due first; null where all is well.
    invoice_id         uuid,
    -- When the next stage begins at the earliest, if nobody pays.
    worsens_at         timestamptz,
    -- Of which stage the partner was told, for which invoice and when.
    told_stage         text check (told_stage in ('grace', 'limited', 'suspended')),
    told_invoice_id    uuid,
    told_at            timestamptz,
    -- In place of the plan's days.
    grace_days         int check (grace_days between 0 and 365),
    limited_days       int check (limited_days between 0 and 365),
    -- Until then nothing follows; days count from there again.
    paused_until       timestamptz,
    pause_reason       text check (length(pause_reason) between 1 and 500),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id),
    check ((stage = 'good') or (invoice_id is not null)),
    check ((told_stage is null) = (told_at is null) and (told_stage is null) = (told_invoice_id is null)),
    check ((paused_until is null) = (pause_reason is null))
);
create index dunning_not_good on dunning (stage, partner_id) where stage <> 'good';

-- Gateways follow it as they follow the partner.
create trigger directory_follows_insert after insert on dunning referencing new table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_update after update on dunning referencing old table as before new table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_delete after delete on dunning referencing old table as changed
    for each statement execute function directory_changed('partner', 'partner_id');
create trigger directory_follows_truncate after truncate on dunning
    for each statement execute function directory_changed('partner', 'partner_id');
