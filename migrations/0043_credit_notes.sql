-- What is taken off an invoice after it was made: a credit note over lines or an amount, or the whole invoice made void. The invoice and
-- its lines stay as they were closed; the credit note is a document of its own with its own number. Never more is credited than
-- was billed: whoever issues one holds the invoice's row, counts what was credited and adds to it in one transaction.

create table credit_notes (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    invoice_id         uuid not null,
    -- credit: takes an amount off. void: the invoice counts no more; it has no number, the invoice's own stays.
    kind               text not null check (kind in ('credit', 'void')),
    state              text not null check (state in ('draft', 'issued', 'discarded')),
    -- Given when it is issued, without holes.
    number             bigint unique,
    currency           text not null,
    total_micros       bigint not null check (total_micros > 0),
    -- How money comes back where the invoice was paid: by Stripe to where it came from, or by the provider outside of Stripe.
    payback            text not null check (payback in ('refund', 'outside')),
    -- Whether the invoice was paid when it was issued: then the money goes back, else less is owed. Null before.
    was_paid           boolean,
    reason             text not null check (length(reason) between 1 and 500),
    made_by_kind       text not null,
    made_by            uuid,
    made_at            timestamptz not null,
    ended_by_kind      text,
    ended_by           uuid,
    -- When it was issued or discarded.
    ended_at           timestamptz,
    -- Null until Stripe holds it as well.
    pushed_at          timestamptz,
    push_problem       text,
    updated_at         timestamptz not null,
    primary key (partner_id, id),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id),
    check ((number is not null) = (kind = 'credit' and state = 'issued')),
    check ((was_paid is not null) = (state = 'issued'))
);
create index credit_notes_of_invoice on credit_notes (partner_id, invoice_id);
create index credit_notes_to_push on credit_notes (updated_at) where state = 'issued' and pushed_at is null;

-- A draft becomes one thing once; what it says never changes.
create function keep_credit_notes() returns trigger language plpgsql as $$
begin
    if tg_op <> 'UPDATE' then
        raise exception 'credit notes are never removed' using errcode = 'integrity_constraint_violation';
    end if;
    if (new.partner_id, new.id, new.invoice_id, new.kind, new.currency, new.total_micros, new.payback, new.reason, new.made_by_kind,
            new.made_by, new.made_at)
        is distinct from (old.partner_id, old.id, old.invoice_id, old.kind, old.currency, old.total_micros, old.payback, old.reason,
            old.made_by_kind, old.made_by, old.made_at)
        or old.state <> 'draft' and (new.state, new.number, new.was_paid, new.ended_by_kind, new.ended_by, new.ended_at)
            is distinct from (old.state, old.number, old.was_paid, old.ended_by_kind, old.ended_by, old.ended_at)
    then
        raise exception 'a credit note cannot be changed' using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger credit_notes_stay before update or delete on credit_notes for each row execute function keep_credit_notes();

create table credit_note_lines (
    partner_id         uuid not null,
    credit_note_id     uuid not null,
    position           int not null,
    -- The line of the invoice that it takes from; null for an amount of the whole invoice.
    invoice_position   int,
    description        text not null,
    amount_micros      bigint not null check (amount_micros > 0),
    primary key (partner_id, credit_note_id, position),
    foreign key (partner_id, credit_note_id) references credit_notes (partner_id, id)
);
create trigger credit_note_lines_are_append_only before update or delete or truncate on credit_note_lines
    for each statement execute function refuse_change();
