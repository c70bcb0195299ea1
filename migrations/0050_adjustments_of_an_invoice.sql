-- An adjustment line opens to the late and corrected units behind it, page by page; a partner may have millions of them.
create index usage_adjustments_of_invoice on usage_adjustments (partner_id, invoice_id, sequence) where invoice_id is not null;
