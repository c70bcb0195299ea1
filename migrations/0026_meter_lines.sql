-- A meter with a price in the plan is a line of its own on the invoice.

alter table invoice_lines drop constraint invoice_lines_kind_check;
alter table invoice_lines add constraint invoice_lines_kind_check
    check (kind in ('base_fee', 'usage', 'included_credit', 'adjustment', 'meter'));
