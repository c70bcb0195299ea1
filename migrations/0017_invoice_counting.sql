-- What counted, in words, for each product on the invoice: as the rule was when the period was closed.
-- [{"product": "Payments", "rule": "Calls that the API answers with 2xx count. …"}]
alter table invoices add column counting jsonb not null default '[]';
