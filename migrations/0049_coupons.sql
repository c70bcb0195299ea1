-- Coupons: what is off bills for whoever redeems a code, who redeemed which, and which bills had it.

create table coupons (
    code               text primary key check (length(code) between 1 and 64),
    -- domain::rating::coupon, for redemptions to come
    terms              jsonb not null,
    redemptions        int not null default 0,
    updated_at         timestamptz not null,
    -- Whoever redeems it counts first, and holds the row until then.
    constraint coupons_redeemed_as_often_as_they_may check (
        redemptions between 0 and coalesce((terms ->> 'max_redemptions')::int, 2147483647))
);

create table coupon_redemptions (
    partner_id         uuid not null references partners (id),
    code               text not null references coupons (code),
    -- As it was then.
    terms              jsonb not null,
    -- From when on it counts, if the partner has a plan that it is for.
    starts_at          timestamptz not null,
    redeemed_at        timestamptz not null,
    redeemed_by        text not null check (redeemed_by in ('partner', 'operator')),
    -- An operator took it back: bills that are not made yet do not have it.
    ended_at           timestamptz,
    primary key (partner_id, code)
);

-- Bills that it counted for, whether or not they left something to take off.
create table coupon_applications (
    partner_id         uuid not null references partners (id),
    code               text not null,
    subscription_id    uuid not null,
    -- Of the whole billing period, which several bills may be for.
    period_start       timestamptz not null,
    part_start         timestamptz not null,
    in_advance         boolean not null,
    invoice_id         uuid not null references invoices (id),
    taken_micros       bigint not null check (taken_micros >= 0),
    primary key (partner_id, code, subscription_id, part_start, in_advance),
    foreign key (partner_id, code) references coupon_redemptions (partner_id, code)
);
create index coupon_applications_of_period on coupon_applications (partner_id, code, period_start);
create trigger coupon_applications_are_append_only before update or delete or truncate on coupon_applications
    for each statement execute function refuse_change();

-- Of a fee that was billed in advance, what coupons took off.
alter table advance_fees add column coupon_micros bigint not null default 0 check (coupon_micros >= 0);

create function coupon_is_for(terms jsonb, of_plan uuid) returns boolean language sql stable as $$
    select not (terms ? 'plans') or exists (
        select from plans p where p.id in (of_plan, base_plan(of_plan)) and terms -> 'plans' ? p.code)
$$;
