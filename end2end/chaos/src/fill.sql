-- Copies what one partner has until there is a crowd. `jsonb_populate_record` keeps every column that is not named, those of
-- later migrations too.
begin;

create temp table hashes (n bigint, last_four text, hash bytea) on commit drop;
copy hashes from stdin;
{rows}
\.

create temp table model on commit drop as
select p.id as partner, s.id as subscription, v.id as version, v.plan_id as plan, k.app_id as app, k.id as key
from partners p
join subscriptions s on s.partner_id = p.id and s.status = 'active'
join plan_versions v on v.id = s.plan_version_id
join keys k on k.partner_id = p.id and k.kind = 'key' and k.environment = 'live' and k.revoked_at is null
where p.code = :'partner' and exists (select from products where code = :'product' and archived_at is null)
limit 1;
do $$
begin
    if not exists (select from model) then
        raise exception 'apply a set-up with the product and the partner, on a plan and with a live key, first';
    end if;
end $$;

insert into products
select new.* from products there
cross join generate_series(1, :routes) n
cross join lateral jsonb_populate_record(there, jsonb_build_object(
    'id', gen_random_uuid(), 'code', 'crowd-' || n, 'route', '/crowd-' || n, 'name', 'Crowd ' || n)) new
where there.code = :'product';

insert into operations
select new.* from products product
join operations there on there.product_id = product.id and there.removed_at is null
join products crowd on crowd.code like 'crowd-%'
cross join lateral jsonb_populate_record(there, jsonb_build_object('id', gen_random_uuid(), 'product_id', crowd.id)) new
where product.code = :'product';

insert into plan_versions (plan_id, id, version, terms, created_at)
select m.plan, gen_random_uuid(), (select max(version) + 1 from plan_versions where plan_id = m.plan),
       jsonb_set(v.terms, '{products}', (v.terms -> 'products') || (
           select jsonb_agg(jsonb_build_object('product', code)) from products where code like 'crowd-%')),
       now()
from model m join plan_versions v on v.id = m.version
returning id as version \gset

create temp table crowd on commit drop as
select n, gen_random_uuid() as partner, gen_random_uuid() as app from generate_series(1, :partners) n;

insert into partners
select new.* from model m join partners there on there.id = m.partner
cross join crowd c
cross join lateral jsonb_populate_record(there, jsonb_build_object(
    'id', c.partner, 'code', 'crowd-' || c.n, 'name', 'Crowd ' || c.n)) new;

insert into subscriptions
select new.* from model m join subscriptions there on there.id = m.subscription
cross join crowd c
cross join lateral jsonb_populate_record(there, jsonb_build_object(
    'partner_id', c.partner, 'id', gen_random_uuid(), 'plan_version_id', :'version')) new;

insert into apps
select new.* from model m join apps there on there.id = m.app
cross join crowd c
cross join lateral jsonb_populate_record(there, jsonb_build_object('partner_id', c.partner, 'id', c.app, 'team_id', null)) new;

insert into keys
select new.* from model m join keys there on there.id = m.key
cross join hashes h
join crowd c on c.n = 1 + h.n % :partners
cross join lateral jsonb_populate_record(there, jsonb_build_object(
    'partner_id', c.partner, 'app_id', c.app, 'id', gen_random_uuid(), 'code', 'crowd-' || h.n, 'name', 'Crowd ' || h.n,
    'hash', h.hash, 'last_four', h.last_four)) new;

commit;
analyze products, operations, partners, subscriptions, apps, keys;
select version from directory_version;
