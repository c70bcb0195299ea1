-- Units that a plan gives for a fee in advance: noted with the fee's invoice, given once that is paid, taken back where it is paid back. A
-- server of the version before neither gives nor takes any; the next one makes it good.

create table fee_bonuses (
    partner_id       uuid not null references partners (id),
    -- The fee's: each gives once.
    invoice_id       uuid not null references invoices (id),
    subscription_id  uuid not null references subscriptions (id),
    -- What the fee is for; shorter where the plan had ended before the fee was paid.
    period_start     timestamptz not null,
    period_end       timestamptz not null,
    units            bigint not null check (units > 0),
    -- For how many days from the payment on they can be used; null: to the end of what the fee was for.
    valid_days       integer check (valid_days between 1 and 36500),
    -- When the fee was paid; and what was given then, null where nobody could use it any more.
    decided_at       timestamptz,
    grant_id         uuid,
    -- How many units have to go back as far as they are unused, and how many have. Null: there may be more to go back.
    due_back         bigint not null default 0 check (due_back >= 0),
    back_units       bigint not null default 0 check (back_units >= 0),
    settled_at       timestamptz,
    primary key (partner_id, invoice_id),
    foreign key (partner_id, grant_id) references credit_grants (partner_id, id),
    check (period_start < period_end),
    check (grant_id is null or decided_at is not null)
);
create unique index fee_bonuses_by_grant on fee_bonuses (partner_id, grant_id) where grant_id is not null;
create index fee_bonuses_to_decide on fee_bonuses (partner_id, invoice_id) where decided_at is null;
create index fee_bonuses_to_settle on fee_bonuses (partner_id, subscription_id) where grant_id is not null and settled_at is null;
