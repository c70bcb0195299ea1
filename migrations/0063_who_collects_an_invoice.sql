-- Where invoices go can be changed while some are on their way. Whoever takes an invoice first keeps it: two who collect the same
-- invoice are paid twice.
alter table invoices add column collected_by text check (collected_by in ('stripe', 'webhook'));

-- What Stripe was asked to hold may be there although its answer was lost.
update invoices i set collected_by = 'stripe'
from stripe_objects o
where o.partner_id = i.partner_id and split_part(o.subject, ':', 1) in ('invoice', 'item', 'meter_event')
    and split_part(o.subject, ':', 2) = 'invoice_' || replace(i.id::text, '-', '');
update invoices i set collected_by = 'webhook'
from document_deliveries d
where d.partner_id = i.partner_id and d.id = i.id and d.kind = 'invoice' and i.collected_by is null;
create index invoices_not_taken on invoices (created_at) where collected_by is null;

-- Where invoices go, and since when: what was made since then goes there whatever became of it meanwhile, and of what is older that
-- which nobody has taken and is still open.
create table invoice_sink (
    is_only            boolean primary key default true check (is_only),
    sink               text not null check (sink in ('none', 'stripe', 'webhook')),
    since              timestamptz not null
);
