-- What Stripe Tax computed on Stripe's invoice of ours, beside our own total and never a part of it. Null where Stripe computes none, or has not
-- said yet; zero where it computed that there is none to pay.
alter table invoices add column tax_micros bigint check (tax_micros >= 0);
