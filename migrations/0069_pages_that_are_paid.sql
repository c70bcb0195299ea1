-- Pages of Stripe's on which something is paid. A plan whose first fee is due before it begins is paid there: what was chosen, at the price
-- that was shown; once Stripe says that it is paid, plan, invoice and payment are made in one transaction. Of several pages for the same
-- thing one is paid: the others are ended, and what is paid on one of them all the same goes back.
create table plan_checkouts (
    partner_id         uuid not null,
    checkout_id        uuid not null,
    plan_version_id    uuid not null references plan_versions (id),
    -- As it stands on Stripe's page, and the lines of the invoice.
    description        text not null,
    lines              jsonb not null,
    cost_micros        bigint not null check (cost_micros > 0),
    currency           text not null,
    -- Once it is paid.
    invoice_id         uuid,
    primary key (partner_id, checkout_id),
    foreign key (partner_id, checkout_id) references checkouts (partner_id, id),
    foreign key (partner_id, invoice_id) references invoices (partner_id, id)
);

-- Pages for the same thing have the same `rivals`; null where there are no others, as for pages from before.
alter table checkouts add column rivals uuid;
-- Another page has taken its place, and it is to be ended.
alter table checkouts add column superseded_at timestamptz;
-- Stripe's name of the payment.
alter table checkouts add column payment_id text;
-- Why what was paid there goes back, and when Stripe had taken that in.
alter table checkouts add column pay_back text;
alter table checkouts add column paid_back_at timestamptz;
create index checkouts_superseded on checkouts (partner_id) where superseded_at is not null and state = 'open';
create index checkouts_to_pay_back on checkouts (opened_at) where pay_back is not null and paid_back_at is null;
create index checkouts_rivals on checkouts (partner_id, rivals) where rivals is not null;

-- A server of the version before knows of nothing that goes back, and gives no units for it either.
create function nothing_for_what_goes_back() returns trigger language plpgsql as $$
begin
    if exists (select from checkouts where partner_id = new.partner_id and id = new.checkout_id and pay_back is not null) then
        raise exception 'what was paid on this page goes back';
    end if;
    return new;
end $$;
create trigger credit_checkouts_that_go_back before update of invoice_id on credit_checkouts for each row
    when (new.invoice_id is not null) execute function nothing_for_what_goes_back();
