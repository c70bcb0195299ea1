-- What credit notes took off a threshold invoice stays taken off when that invoice becomes void: those after it in the period bill its
-- usage again, less that. So the last one takes off what stands, and what was credited on void ones.

create or replace function period_closes_less_what_was_billed() returns trigger language plpgsql as $$
declare
    billed constant bigint := (select coalesce(sum(case when i.status <> 'void' then i.total_micros else (
            select coalesce(sum(c.total_micros), 0) from credit_notes c
            where c.partner_id = i.partner_id and c.invoice_id = i.id and c.kind = 'credit' and c.state = 'issued') end), 0)
        from invoices i
        where i.partner_id = new.partner_id and i.subscription_id = new.subscription_id and i.period_start = new.period_start
            and i.threshold_number > 0);
    taken_off constant bigint := (select coalesce(-sum(l.amount_micros), 0) from invoice_lines l
        where l.partner_id = new.partner_id and l.invoice_id = new.invoice_id and l.kind = 'billed_before');
begin
    if billed <> taken_off then
        raise exception 'threshold invoices of the period come to % and its last invoice takes off %', billed, taken_off
            using errcode = 'check_violation';
    end if;
    return new;
end $$;
