-- Invoices, credit notes and voids on their way to the provider's own receiver, where that is where they go. A row is made once for each
-- document with what is sent, to the letter, so that whoever takes a message once by its identifier takes each document once.
create table document_deliveries (
    -- The invoice's or the credit note's.
    id                 uuid primary key,
    kind               text not null check (kind in ('invoice', 'credit_note', 'void')),
    partner_id         uuid not null references partners (id),
    -- The invoice itself, or the one that it is of.
    invoice_id         uuid not null,
    body               text not null,
    state              text not null check (state in ('waiting', 'delivered', 'dead')),
    enlisted_at        timestamptz not null,
    -- Since the last delivery or replay.
    failures           int not null default 0,
    failing_since      timestamptz,
    next_try_at        timestamptz not null,
    -- Somebody sends it until then.
    claimed_until      timestamptz,
    -- What went wrong last.
    message            text not null default '',
    delivered_at       timestamptz,
    replays            int not null default 0
);
create index document_deliveries_waiting on document_deliveries (next_try_at) where state = 'waiting';
create index document_deliveries_newest on document_deliveries (enlisted_at desc, id desc);
create index document_deliveries_of_invoice on document_deliveries (invoice_id);
