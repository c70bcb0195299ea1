-- Calls that a gateway hands over when their period is closed: it was forgotten, and came back. They are in the sums, as all that a
-- gateway recorded, and no bill has them: so they are an adjustment of the closed period, billed with the next invoice.

-- Where the calls of such an adjustment stand in usage_events; null for what is in no sum of its period.
alter table usage_adjustments
    add column node text,
    add column lane int,
    add column first_sequence bigint,
    add column last_sequence bigint;
create index usage_adjustments_of_calls on usage_adjustments (partner_id, period_start) where node is not null;

-- Several lanes hand over at once: their numbers come from here, far below those of corrections.
create sequence late_call_numbers increment by -1 minvalue -9223372036854775807 maxvalue -4611686018427387904
    start with -4611686018427387904;

-- Whoever takes usage in asks whether any of it can be late at all.
create index billing_periods_by_end on billing_periods (period_end);

-- What was made after the last period of a subscription, for usage of closed periods that came or was corrected later.
alter table invoices add column is_final boolean not null default false;
