-- A server of the version before pushes invoices without saying who collects them. While both run, and for what it did since
-- `collected_by` is there, what it has asked Stripe to hold is Stripe's, and what it has listed for the receiver is the receiver's.
create function stripe_takes_invoice() returns trigger language plpgsql as $$
begin
    update invoices set collected_by = 'stripe'
    where partner_id = new.partner_id and id = substr(split_part(new.subject, ':', 2), 9)::uuid and collected_by is null;
    return null;
end $$;
create trigger stripe_objects_take_invoices after insert on stripe_objects for each row
    when (new.subject ~ '^(invoice|item|meter_event):invoice_[0-9a-f]{32}(:|$)') execute function stripe_takes_invoice();

create function receiver_takes_invoice() returns trigger language plpgsql as $$
begin
    update invoices set collected_by = 'webhook' where partner_id = new.partner_id and id = new.id and collected_by is null;
    return null;
end $$;
create trigger document_deliveries_take_invoices after insert on document_deliveries for each row
    when (new.kind = 'invoice') execute function receiver_takes_invoice();

update invoices i set collected_by = 'stripe'
from stripe_objects o
where o.partner_id = i.partner_id and split_part(o.subject, ':', 1) in ('invoice', 'item', 'meter_event')
    and split_part(o.subject, ':', 2) = 'invoice_' || replace(i.id::text, '-', '') and i.collected_by is null;
update invoices i set collected_by = 'webhook'
from document_deliveries d
where d.partner_id = i.partner_id and d.id = i.id and d.kind = 'invoice' and i.collected_by is null;
