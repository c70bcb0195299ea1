-- What counts of the threshold invoices of a period. Which of them an invoice took off as billed is kept: one of those may become void later,
-- and what it billed is then on the next invoice and not on those in between. Empty for all others, and on invoices from before.
alter table invoices add column takes_off uuid[] not null default '{}';
-- What Stripe credited on a threshold invoice that was void here before anybody heard of it: those after it take it off, as they do what was
-- credited here.
alter table stripe_returns add column is_carried boolean not null default false;

-- The last invoice takes off what stands and what was credited on void ones. What was credited of a line that costs less than that by now it
-- does not give back once more: that is a line above zero, and so is what an invoice below zero gave back. Neither counts here.
create or replace function period_closes_less_what_was_billed() returns trigger language plpgsql as $$
declare
    billed constant bigint := (select coalesce(sum(case when i.status <> 'void' then greatest(i.total_micros, 0) else (
            select coalesce(sum(c.total_micros), 0) from credit_notes c
            where c.partner_id = i.partner_id and c.invoice_id = i.id and c.kind = 'credit' and c.state = 'issued') + (
            select coalesce(sum(r.amount_micros), 0) from stripe_returns r
            where r.partner_id = i.partner_id and r.invoice_id = i.id and r.is_carried) end), 0)
        from invoices i
        where i.partner_id = new.partner_id and i.subscription_id = new.subscription_id and i.period_start = new.period_start
            and i.threshold_number > 0);
    taken_off constant bigint := (select coalesce(-sum(l.amount_micros), 0) from invoice_lines l
        where l.partner_id = new.partner_id and l.invoice_id = new.invoice_id and l.kind = 'billed_before' and l.amount_micros < 0);
begin
    if billed <> taken_off then
        raise exception 'threshold invoices of the period come to % and its last invoice takes off %', billed, taken_off
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
