-- Money that went back at Stripe and not by a credit note of ours: refunds and credit notes that somebody made in Stripe's own dashboard, and
-- disputes that holders of cards have won. Each is taken over once, by Stripe's name of it, as a credit note of ours; what cannot be taken over
-- waits for a person, and is in the list of what Stripe holds otherwise.
create table stripe_returns (
    partner_id         uuid not null,
    -- As re_…, cn_… or du_….
    stripe_id          text not null,
    invoice_id         uuid not null,
    kind               text not null check (kind in ('refund', 'credit_note', 'dispute')),
    currency           text not null,
    amount_micros      bigint not null check (amount_micros > 0),
    -- open: a dispute that is not decided. taken: a credit note of ours has it. undecided: a person has to decide. over: nothing went back
    -- in the end.
    state              text not null check (state in ('open', 'taken', 'undecided', 'over')),
    -- What a person has to know; empty where nothing is to be done.
    problem            text not null default '',
    credit_note_id     uuid,
    first_seen_at      timestamptz not null,
    updated_at         timestamptz not null,
    primary key (partner_id, stripe_id),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id)
);
create index stripe_returns_of_invoice on stripe_returns (partner_id, invoice_id);
create index stripe_returns_to_look_at on stripe_returns (updated_at) where state in ('open', 'undecided') or problem <> '';

alter table stripe_drift drop constraint stripe_drift_kind_check;
alter table stripe_drift add constraint stripe_drift_kind_check check (kind in ('customer', 'product', 'price', 'meter', 'invoice'));

-- What Stripe has taken and refuses for good may be paid elsewhere. Stripe is told then, so that nobody pays it there as well: `to_tell`, then
-- `told`.
alter table invoices add column paid_elsewhere text check (paid_elsewhere in ('to_tell', 'told'));
create index invoices_paid_elsewhere on invoices (updated_at) where paid_elsewhere = 'to_tell';
