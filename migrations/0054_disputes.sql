-- Disputes about a line of an invoice: a partner says what is wrong and how much it is about; the provider accepts it, which is a credit
-- note, or refuses it with an answer. While one is open, so much of the invoice has no consequence if it is not paid.

create table disputes (
    partner_id         uuid not null references partners (id),
    id                 uuid not null unique,
    invoice_id         uuid not null,
    invoice_position   int not null,
    currency           text not null,
    amount_micros      bigint not null check (amount_micros > 0),
    reason             text not null check (length(reason) between 1 and 2000),
    state              text not null default 'open' check (state in ('open', 'accepted', 'refused', 'withdrawn')),
    opened_by_kind     text not null,
    opened_by          uuid,
    opened_at          timestamptz not null,
    -- The partner reads this.
    answer             text check (length(answer) between 1 and 2000),
    ended_by_kind      text,
    ended_by           uuid,
    ended_at           timestamptz,
    -- What it was accepted by; where it takes two operators, a draft until then.
    credit_note_id     uuid,
    primary key (partner_id, id),
    foreign key (partner_id, invoice_id, invoice_position) references invoice_lines (partner_id, invoice_id, position),
    foreign key (partner_id, credit_note_id) references credit_notes (partner_id, id),
    check ((ended_at is null) = (state = 'open')),
    check (state <> 'refused' or answer is not null),
    check (state <> 'accepted' or credit_note_id is not null)
);
create unique index disputes_one_open_for_a_line on disputes (partner_id, invoice_id, invoice_position) where state = 'open';
create index disputes_by_time on disputes (opened_at desc, id desc);
-- A credit note answers one dispute.
create unique index disputes_of_credit_note on disputes (partner_id, credit_note_id) where credit_note_id is not null;

-- What was said stays, and what ended has ended.
create function keep_disputes() returns trigger language plpgsql as $$
begin
    if tg_op <> 'UPDATE' then
        raise exception 'disputes are never removed' using errcode = 'integrity_constraint_violation';
    end if;
    if old.state <> 'open' or (new.partner_id, new.id, new.invoice_id, new.invoice_position, new.currency, new.amount_micros, new.reason,
            new.opened_by_kind, new.opened_by, new.opened_at)
        is distinct from (old.partner_id, old.id, old.invoice_id, old.invoice_position, old.currency, old.amount_micros, old.reason,
            old.opened_by_kind, old.opened_by, old.opened_at)
    then
        raise exception 'a dispute cannot be changed' using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger disputes_stay before update or delete on disputes for each row execute function keep_disputes();
