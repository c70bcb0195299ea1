-- Minimum, discounts and commitment are lines of their own on an invoice.

alter table invoice_lines drop constraint invoice_lines_kind_check;
alter table invoice_lines add constraint invoice_lines_kind_check
    check (kind in ('base_fee', 'usage', 'meter', 'minimum', 'discount', 'committed_use', 'commitment', 'included_credit',
        'adjustment'));

-- Since when a partner has the plan of that version, in any version: a discount for the first periods counts them from there, so
-- that neither a new version nor changing to and fro begins it again.
create function plan_since(of_partner uuid, of_version uuid) returns timestamptz language sql stable as $$
    select min(s.started_at)
    from plan_versions own
        join plan_versions v on v.plan_id = own.plan_id
        join subscriptions s on s.plan_version_id = v.id
    where own.id = of_version and s.partner_id = of_partner
$$;
