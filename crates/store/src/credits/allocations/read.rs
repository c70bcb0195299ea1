//! How allocations stand.

use super::{CreditAllocation, holder};
use crate::{Store, StoreError, row::ReadRow as _};
use domain::id::{AllocationId, PartnerId};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

macro_rules! allocations {
    ($rest:literal) => {
        concat!(
            "select o.id, o.app_id, o.team_id, coalesce(apps.name, teams.name) as name, o.spend, o.made_at, o.ended_at, b.units,
                 b.back_units, coalesce(a.taken, 0) - held.units as used, held.units as held
             from credit_allocations o
             join credit_allocation_balances b on b.partner_id = o.partner_id and b.allocation_id = o.id
             left join apps on apps.partner_id = o.partner_id and apps.id = o.app_id
             left join teams on teams.partner_id = o.partner_id and teams.id = o.team_id
             left join allowances a on a.partner_id = o.id and a.kind = 'credit'
             cross join lateral (
                 select coalesce(sum(l.granted - l.spent), 0)::bigint as units from allowance_leases l
                 where l.partner_id = o.id and l.kind = 'credit'
             ) as held
             where o.partner_id = $1 ",
            $rest
        )
    };
}

/// What all apps and teams of all partners have for themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AllocatedCredit {
    /// Units that are left.
    pub left: u64,
    /// Allocations of which nothing is left, and whose calls spend nothing else: they are refused.
    pub used_up: u64,
}

impl Store {
    /// How they stand together.
    pub async fn all_partners_allocated_credit(&self) -> Result<AllocatedCredit, StoreError> {
        let row = sqlx::query(
            "select coalesce(sum(units), 0)::bigint as units, count(*) filter (where is_open and spend = 'only' and units = 0) as used_up
             from (
                 select o.ended_at is null as is_open, o.spend, greatest(0, b.units - coalesce(a.taken, 0) + (
                     select coalesce(sum(l.granted - l.spent), 0) from allowance_leases l
                     where l.partner_id = o.id and l.kind = 'credit')) as units
                 from credit_allocations o
                 join credit_allocation_balances b on b.partner_id = o.partner_id and b.allocation_id = o.id
                 left join allowances a on a.partner_id = o.id and a.kind = 'credit'
                 where o.id in (
                     select id from credit_allocations where ended_at is null
                     union all
                     select allocation_id from credit_allocation_balances where back_units > 0 and not at_rest)
             ) as own",
        )
        .fetch_one(self.pool())
        .await?;
        Ok(AllocatedCredit { left: row.count("units")?, used_up: row.count("used_up")? })
    }

    /// The partner's allocations by name; of those that have ended, the ones of which gateways still hold something.
    pub async fn credit_allocations(&self, partner: PartnerId) -> Result<Vec<CreditAllocation>, StoreError> {
        let rows = sqlx::query(allocations!(
            "and (o.ended_at is null or b.units > coalesce(a.taken, 0) - held.units) order by lower(coalesce(apps.name, teams.name)), o.id"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// One of them, also where it has ended.
    pub async fn credit_allocation(
        &self,
        partner: PartnerId,
        id: AllocationId,
    ) -> Result<CreditAllocation, StoreError> {
        let row = sqlx::query(allocations!("and o.id = $2")).bind(partner.0).bind(id.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }
}

pub(super) async fn one(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: AllocationId,
) -> Result<CreditAllocation, StoreError> {
    let row = sqlx::query(allocations!("and o.id = $2")).bind(partner.0).bind(id.0).fetch_one(&mut **tx).await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<CreditAllocation, sqlx::Error> {
    let (units, used) = (row.count("units")?, row.try_get::<i64, _>("used")?.max(0).unsigned_abs());
    let left = units.saturating_sub(used);
    Ok(CreditAllocation {
        id: AllocationId(row.try_get("id")?),
        of: holder(row.try_get("app_id")?, row.try_get("team_id")?),
        name: row.try_get("name")?,
        spend: row.parsed("spend")?,
        made_at: row.at("made_at")?,
        ended_at: row.at_if_any("ended_at")?,
        units,
        used,
        left,
        returning: row.count("back_units")?.min(left),
    })
}
