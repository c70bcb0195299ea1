-- What coupons took off late usage of periods without an invoice before that was noted (0060): it is taken from the lines of it, so that
-- usage that comes later still has no more than the rest. Only whole periods had amounts off then. A line that can be read in two ways, as
-- where two coupons are called the same, is left alone.

insert into late_coupon_applications (partner_id, code, subscription_id, period_start, part_start, invoice_id, taken_micros)
with lines as materialized (
    select partner_id, invoice_id, position, amount_micros,
        regexp_replace(description, '^(Late|Corrected|Late and corrected) usage of ', '') as words
    from invoice_lines
    where kind = 'adjustment' and description ~ ' usage of .*: Coupon .* off the period$'
), readings as (
    select l.partner_id, l.invoice_id, l.amount_micros, r.code, p.subscription_id, p.period_start,
        count(*) over (partition by l.partner_id, l.invoice_id, l.position) as of_line
    from lines l
    join coupon_redemptions r on r.partner_id = l.partner_id and r.terms ->> 'amount' is not null
    join billing_periods p on p.partner_id = l.partner_id and p.invoice_id is null
    join subscriptions s on s.partner_id = p.partner_id and s.id = p.subscription_id
    where starts_with(l.words, to_char(p.period_start at time zone s.time_zone, 'YYYY-MM-DD') || ' to '
        || to_char(p.period_end at time zone s.time_zone, 'YYYY-MM-DD') || ': Coupon ' || btrim(r.terms ->> 'name') || ', ')
)
select partner_id, code, subscription_id, period_start, period_start, invoice_id, -sum(amount_micros)::bigint
from readings
where of_line = 1 and not exists (
    select from late_coupon_applications a where a.partner_id = readings.partner_id and a.invoice_id = readings.invoice_id)
group by partner_id, code, subscription_id, period_start, invoice_id
having sum(amount_micros) <> 0;
