//! Whether every balance of credit is what the entries come to. Nothing here is shared with what writes them: each comparison is a
//! statement of its own over the entries, the grants, the sums and the events.

use crate::{Store, StoreError};
use domain::id::PartnerId;
use serde::{Deserialize, Serialize};
use sqlx::{Row as _, postgres::PgRow};

/// Two numbers that should be one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditDifference {
    pub partner: PartnerId,
    /// What it is, for people, with the grant or the hour.
    pub what: String,
    /// By the entries.
    pub expected: String,
    /// As it is kept.
    pub actual: String,
}

/// What is left, used, expired, void and allocated of each grant, and what it was issued for.
const GRANTS: &str = "
    with sums as (
        select g.partner_id, g.id, g.units, g.usable_since is not null as is_usable,
            array[g.left_units, g.used_units, g.expired_units, g.voided_units, g.allocated_units] as kept,
            array[coalesce(sum(e.units) filter (where e.account = 'available'), 0),
                coalesce(sum(e.units) filter (where e.account = 'used'), 0),
                coalesce(sum(e.units) filter (where e.account = 'expired'), 0),
                coalesce(sum(e.units) filter (where e.account = 'voided'), 0),
                coalesce(sum(e.units) filter (where e.account = 'allocated'), 0)]::bigint[] as entered,
            -coalesce(sum(e.units) filter (where e.account = 'issued'), 0) as issued
        from credit_grants g left join ledger_unit_entries e on e.partner_id = g.partner_id and e.grant_id = g.id
        where g.units > 0 group by g.partner_id, g.id
    )
    select partner_id, format('grant %s: left, used, expired, void, allocated', id) as what, entered::text as expected,
        kept::text as actual
    from sums where entered <> kept
    union all
    select partner_id, format('grant %s: issued', id), issued::text, (case when is_usable then units else 0 end)::text
    from sums where issued <> case when is_usable then units else 0 end
    union all
    select partner_id, format('grant %s: below zero', id), '0', entered::text from sums where 0 > any (entered)";

/// What each allocation has of each grant.
const PARTS: &str = "
    with entered as (
        select partner_id, allocation_id, grant_id, array[coalesce(sum(units) filter (where account = 'allocated'), 0),
            coalesce(sum(units) filter (where account = 'used'), 0),
            coalesce(sum(units) filter (where account = 'expired'), 0)]::bigint[] as units
        from ledger_unit_entries where allocation_id is not null group by 1, 2, 3
    ), kept as (
        select partner_id, allocation_id, grant_id, array[left_units, used_units, expired_units] as units
        from credit_allocation_parts
    )
    select partner_id, format('allocation %s, of grant %s: left, used, expired', allocation_id, grant_id) as what,
        coalesce(e.units::text, 'none') as expected, coalesce(k.units::text, 'none') as actual
    from entered e full join kept k using (partner_id, allocation_id, grant_id)
    where e.units is distinct from k.units
    union all
    select partner_id, format('allocation %s, of grant %s: below zero', allocation_id, grant_id), '0', units::text
    from entered where 0 > any (units)";

/// What gateways spend from, and what they and their calls have taken of it: what is common to a partner, and each allocation.
const BALANCES: &str = "
    with entered as (
        select partner_id, coalesce(allocation_id, partner_id) as holder,
            sum(units) filter (where account in ('available', 'allocated', 'used', 'owed')) as balance,
            coalesce(sum(units) filter (where account = 'used'), 0) as used
        from ledger_unit_entries group by 1, 2
    ), taken as (
        select coalesce(o.partner_id, a.partner_id) as partner_id, a.partner_id as holder,
            a.taken - coalesce((select sum(l.granted - l.spent) from allowance_leases l
                where l.partner_id = a.partner_id and l.kind = 'credit'), 0) as used
        from allowances a left join credit_purses o on o.id = a.partner_id where a.kind = 'credit'
    ), waiting as (
        select partner_id, holder, sum(units) as units from (
            select partner_id, partner_id as holder, units + closed_units - settled as units from usage_credit_hourly
            union all
            select partner_id, partner_id, settled - units from usage_allocated_hourly
            union all
            select partner_id, allocation_id, units - settled from usage_allocated_hourly
        ) as all_of_them group by 1, 2
    ), kept as (
        select partner_id, partner_id as holder, units from credit_balances
        union all
        select partner_id, allocation_id, units from credit_allocation_balances
    ), words as (
        select id as holder, format('allocation %s: ', id) as words from credit_purses
    )
    select partner_id, coalesce(words, '') || 'balance' as what, coalesce(e.balance, 0)::text as expected,
        coalesce(b.units, 0)::text as actual
    from entered e full join kept b using (partner_id, holder) left join words using (holder)
    where coalesce(e.balance, 0) <> coalesce(b.units, 0)
    union all
    select partner_id, coalesce(words, '') || 'used, by gateways', (coalesce(e.used, 0) + coalesce(w.units, 0))::text,
        coalesce(t.used, 0)::text
    from entered e full join taken t using (partner_id, holder) full join waiting w using (partner_id, holder)
        left join words using (holder)
    where coalesce(e.used, 0) + coalesce(w.units, 0) <> coalesce(t.used, 0)";

/// What only calls of some products may spend, and others did.
const PRODUCTS: &str = "
    select u.partner_id, format('allocation %s: used by calls of product %s, in the hour from %s', o.id, u.product_id, u.hour) as what,
        '0' as expected, sum(u.units)::text as actual
    from credit_purses o join usage_allocated_hourly u on u.partner_id = o.partner_id and u.allocation_id = o.id
    where o.product_ids is not null and u.product_id <> all (o.product_ids)
    group by u.partner_id, o.id, u.product_id, u.hour having sum(u.units) <> 0
    union all
    select g.partner_id, format('grant %s, for some products: units in another balance', g.id), '0', sum(abs(e.units))::text
    from credit_grants g join ledger_unit_entries e on e.partner_id = g.partner_id and e.grant_id = g.id
    where g.purse_id is not null and e.account in ('available', 'allocated', 'used', 'expired')
        and e.allocation_id is distinct from g.purse_id
    group by g.partner_id, g.id";

/// Used by the hour: entries beside the sums, and what is booked of these.
const HOURS: &str = "
    with entered as (
        select partner_id, hour, sum(units) as used from ledger_unit_entries
        where account = 'used' and hour is not null group by partner_id, hour
    ), summed as (
        select partner_id, hour, sum(settled) as settled from usage_credit_hourly group by partner_id, hour
    )
    select partner_id, format('used in the hour from %s', hour) as what, coalesce(e.used, 0)::text as expected,
        coalesce(s.settled, 0)::text as actual
    from entered e full join summed s using (partner_id, hour) where coalesce(e.used, 0) <> coalesce(s.settled, 0)";

/// Money: of each paid grant what is owed still is its cost less what of it is gone, rounded down.
const MONEY: &str = "
    with owed as (
        select t.partner_id, t.credit_grant_id as id, -sum(e.amount_micros) as micros
        from ledger_transactions t join ledger_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
        where t.credit_grant_id is not null and e.account = 'credits' group by 1, 2
    ), wanted as (
        select partner_id, id, case when usable_since is null then 0
            else cost_micros - div(cost_micros::numeric * (units - left_units - allocated_units), units) end as micros
        from credit_grants where cost_micros is not null and units > 0
        union all
        select p.partner_id, p.grant_id, case when i.status = 'void' then 0 else p.cost_micros end
        from credit_purchases p join invoices i on i.partner_id = p.partner_id and i.id = p.invoice_id
        where not exists (select from credit_grants g where g.partner_id = p.partner_id and g.id = p.grant_id)
    )
    select partner_id, format('grant %s: money owed, in micro-units', id) as what, w.micros::text as expected,
        coalesce(o.micros, 0)::text as actual
    from wanted w left join owed o using (partner_id, id) where w.micros <> coalesce(o.micros, 0)";

/// Units that were bought: there is a grant of them if, and only if, their invoice is paid.
const PURCHASES: &str = "
    select p.partner_id, format('grant %s, of an invoice that is %s: units', p.grant_id, i.status) as what,
        (case when i.status = 'paid' then p.units else 0 end)::text as expected, coalesce(g.units, 0)::text as actual
    from credit_purchases p join invoices i on i.partner_id = p.partner_id and i.id = p.invoice_id
    left join credit_grants g on g.partner_id = p.partner_id and g.id = p.grant_id
    where case when i.status = 'paid' then p.units else 0 end <> coalesce(g.units, 0)";

/// What is owed of each hour.
const OWED: &str = "
    with entered as (
        select partner_id, hour, -sum(units) as units from ledger_unit_entries
        where account = 'owed' and hour is not null group by partner_id, hour having sum(units) <> 0
    )
    select partner_id, format('owed of the hour from %s', hour) as what, coalesce(e.units, 0)::text as expected,
        coalesce(o.units, 0)::text as actual
    from entered e full join credit_owed o using (partner_id, hour)
    where coalesce(e.units, 0) <> coalesce(o.units, 0) or coalesce(o.units, 0) < 0";

/// Units that were billed after they were used: their grants, and the lines of their invoices.
const OVERDRAFT: &str = "
    with billed as (
        select partner_id, invoice_id, sum(units) as units from credit_overdraft_bills group by 1, 2
    ), lined as (
        select partner_id, invoice_id, sum(quantity) as units from invoice_lines where kind = 'credit_overdraft' group by 1, 2
    )
    select partner_id, format('invoice %s: units beyond all credit', invoice_id) as what, coalesce(b.units, 0)::text as expected,
        coalesce(l.units, 0)::text as actual
    from billed b full join lined l using (partner_id, invoice_id) where coalesce(b.units, 0) <> coalesce(l.units, 0)
    union all
    select b.partner_id, format('grant %s, of an overdraft: units', b.grant_id), b.units::text, g.units::text
    from credit_overdraft_bills b join credit_grants g on g.partner_id = b.partner_id and g.id = b.grant_id where b.units <> g.units";

/// Transactions that do not sum to zero: the database refuses them, so somebody went around it.
const ZERO: &str = "
    select partner_id, format('ledger transaction %s', transaction_id) as what, '0' as expected, sum(units)::text as actual
    from ledger_unit_entries group by partner_id, transaction_id, grant_id having sum(units) <> 0
    union all
    select partner_id, format('ledger transaction %s', transaction_id), '0', sum(amount_micros)::text
    from ledger_entries group by partner_id, transaction_id, currency having sum(amount_micros) <> 0";

/// What is kept beside the entries, made from them again.
const REBUILD: [&str; 8] = [
    "update credit_grants g set left_units = e.available, allocated_units = e.allocated, used_units = e.used,
         expired_units = e.expired, voided_units = e.voided
     from (
         select partner_id, grant_id, coalesce(sum(units) filter (where account = 'available'), 0) as available,
             coalesce(sum(units) filter (where account = 'allocated'), 0) as allocated,
             coalesce(sum(units) filter (where account = 'used'), 0) as used,
             coalesce(sum(units) filter (where account = 'expired'), 0) as expired,
             coalesce(sum(units) filter (where account = 'voided'), 0) as voided
         from ledger_unit_entries where grant_id is not null group by partner_id, grant_id
     ) e
     where e.partner_id = g.partner_id and e.grant_id = g.id
         and (g.left_units, g.allocated_units, g.used_units, g.expired_units, g.voided_units) is distinct from
             (e.available, e.allocated, e.used, e.expired, e.voided)",
    "update credit_balances b set units = e.balance
     from (
         select partner_id, sum(units) filter (where account in ('available', 'used', 'owed')) as balance
         from ledger_unit_entries where allocation_id is null group by partner_id
     ) e
     where e.partner_id = b.partner_id and b.units <> e.balance",
    "delete from credit_owed o where not exists (
         select from ledger_unit_entries e where e.partner_id = o.partner_id and e.hour = o.hour and e.account = 'owed'
         having sum(e.units) <> 0)",
    "insert into credit_owed as o (partner_id, hour, units)
     select partner_id, hour, -sum(units) from ledger_unit_entries where account = 'owed' and hour is not null
     group by partner_id, hour having sum(units) <> 0
     on conflict (partner_id, hour) do update set units = excluded.units where o.units <> excluded.units",
    "delete from credit_allocation_parts p where not exists (select from ledger_unit_entries e
         where e.partner_id = p.partner_id and e.allocation_id = p.allocation_id and e.grant_id = p.grant_id)",
    "insert into credit_allocation_parts as p (partner_id, allocation_id, grant_id, left_units, used_units, expired_units)
     select partner_id, allocation_id, grant_id, coalesce(sum(units) filter (where account = 'allocated'), 0),
         coalesce(sum(units) filter (where account = 'used'), 0), coalesce(sum(units) filter (where account = 'expired'), 0)
     from ledger_unit_entries where allocation_id is not null group by 1, 2, 3
     on conflict (partner_id, allocation_id, grant_id) do update set left_units = excluded.left_units,
         used_units = excluded.used_units, expired_units = excluded.expired_units
     where (p.left_units, p.used_units, p.expired_units) is distinct from
         (excluded.left_units, excluded.used_units, excluded.expired_units)",
    "update credit_allocation_balances b set units = e.balance
     from (
         select partner_id, allocation_id, coalesce(sum(units) filter (where account in ('allocated', 'used')), 0) as balance
         from ledger_unit_entries where allocation_id is not null group by 1, 2
     ) e
     where e.partner_id = b.partner_id and e.allocation_id = b.allocation_id and b.units <> e.balance",
    "update credit_allocation_balances b set units = 0 where b.units <> 0 and not exists (
         select from ledger_unit_entries e where e.partner_id = b.partner_id and e.allocation_id = b.allocation_id)",
];

impl Store {
    /// All that differs between the entries and what is kept beside them, at one instant.
    pub async fn check_all_credit(&self) -> Result<Vec<CreditDifference>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let mut all = Vec::new();
        for statement in [GRANTS, PARTS, BALANCES, PRODUCTS, HOURS, OWED, MONEY, PURCHASES, OVERDRAFT, ZERO] {
            let rows = sqlx::query(statement).fetch_all(&mut *tx).await?;
            for row in &rows {
                all.push(read(row)?);
            }
        }
        tx.commit().await?;
        Ok(all)
    }

    /// Makes what is kept beside the entries from them again; how many rows were wrong. Entries are never touched.
    pub async fn rebuild_all_credit(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // Whoever lowers a balance holds what gateways take from it.
        sqlx::query("select from allowances where kind = 'credit' order by partner_id for update")
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "lock table credit_grants, credit_balances, credit_owed, credit_allocation_parts, credit_allocation_balances
             in share row exclusive mode",
        )
        .execute(&mut *tx)
        .await?;
        let mut wrong = 0;
        for statement in REBUILD {
            wrong += sqlx::query(statement).execute(&mut *tx).await?.rows_affected();
        }
        // What has come to light of allocations that have ended is given back.
        sqlx::query(
            "update credit_allocation_balances b set at_rest = false where at_rest and units > coalesce(
                 (select a.taken from allowances a where a.partner_id = b.allocation_id and a.kind = 'credit'), 0)",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(wrong)
    }
}

fn read(row: &PgRow) -> Result<CreditDifference, sqlx::Error> {
    Ok(CreditDifference {
        partner: PartnerId(row.try_get("partner_id")?),
        what: row.try_get("what")?,
        expected: row.try_get("expected")?,
        actual: row.try_get("actual")?,
    })
}
