-- What coupons take off late usage of a stretch that was closed without an invoice: it has no bill that could have had them, so the invoice
-- with the late usage notes it. Less than nothing where a correction took usage back that had some.

create table late_coupon_applications (
    partner_id         uuid not null references partners (id),
    code               text not null,
    subscription_id    uuid not null,
    -- Of the whole billing period of the late usage, and where its stretch begins.
    period_start       timestamptz not null,
    part_start         timestamptz not null,
    invoice_id         uuid not null references invoices (id),
    taken_micros       bigint not null,
    primary key (partner_id, code, subscription_id, part_start, invoice_id),
    foreign key (partner_id, code) references coupon_redemptions (partner_id, code)
);
create trigger late_coupon_applications_are_append_only before update or delete or truncate on late_coupon_applications
    for each statement execute function refuse_change();

-- All that bills took of coupons, by billing period.
create view coupon_takings as
    select partner_id, code, period_start, taken_micros from coupon_applications
    union all
    select partner_id, code, period_start, taken_micros from late_coupon_applications;
