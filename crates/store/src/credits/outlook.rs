//! What will be owed once all that was used is booked, without booking it: for pages, which wait for nobody, and for standing orders.
//! It goes the way of [`super::settle`] and [`super::cover`] over numbers that were read.

use super::{
    cover::{cover_hour, owed},
    overdraft::prices,
    post::Held,
};
use crate::{StoreError, Ts, row::ReadRow as _};
use domain::{
    credit::{GrantLeft, burn},
    id::{CreditGrantId, PartnerId},
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Units by the hour, of hours that begin before `until`; grants that begin at `young` or later have no part in it. What is read should be of
/// one instant.
pub(super) async fn owed_then(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (until, young): (Timestamp, Option<Timestamp>),
    now: Timestamp,
) -> Result<BTreeMap<Timestamp, u64>, StoreError> {
    let mut owed = owed(tx, partner).await?;
    let due = due(tx, partner, until).await?;
    if owed.is_empty() && due.is_empty() {
        return Ok(owed);
    }
    let is_seen = |grant: &&Held| young.is_none_or(|young| grant.effective_at < young);
    let held = Held::begun(tx, partner, now).await?;
    let mut grants: Vec<_> = held.iter().filter(is_seen).map(|grant| (grant.burnable(), grant.has_ended)).collect();
    for (hour, units) in due {
        if units > 0 {
            let left: Vec<GrantLeft> = grants.iter().map(|(grant, _)| *grant).collect();
            let burnt = burn(&left, units.unsigned_abs(), hour);
            take(&mut grants, &burnt.parts);
            *owed.entry(hour).or_default() += burnt.short;
        } else {
            give_back(tx, partner, (hour, units.unsigned_abs()), (&mut owed, &mut grants)).await?;
        }
    }
    owed.retain(|_, units| *units > 0);
    let billed = prices(tx, partner, owed.keys().copied()).await?;
    for (hour, units) in &mut owed {
        let parts = cover_hour(&grants, (*hour, *units), billed.contains_key(hour));
        take(&mut grants, &parts);
        *units -= parts.iter().map(|(_, part)| part).sum::<u64>();
    }
    owed.retain(|hour, units| *units > 0 && *hour < until);
    Ok(owed)
}

/// By how much the sums of each hour moved since they were booked: of what is common, which alone can be owed.
async fn due(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    until: Timestamp,
) -> Result<BTreeMap<Timestamp, i64>, StoreError> {
    let rows = sqlx::query(
        "select hour, sum(units)::bigint as units from (
             select hour, units + closed_units - settled as units from usage_credit_hourly
             where partner_id = $1 and units + closed_units <> settled
             union all
             select hour, settled - units from usage_allocated_hourly where partner_id = $1 and units <> settled
         ) as common group by hour having sum(units) <> 0",
    )
    .bind(partner.0)
    .fetch_all(&mut **tx)
    .await?;
    let one = |row: &PgRow| Ok((row.at("hour")?, row.try_get("units")?));
    let mut due: BTreeMap<_, _> = rows.iter().map(one).collect::<Result<_, sqlx::Error>>()?;
    due.retain(|hour, _| *hour < until);
    Ok(due)
}

fn take(grants: &mut [(GrantLeft, bool)], parts: &[(CreditGrantId, u64)]) {
    for (id, part) in parts {
        if let Some((grant, _)) = grants.iter_mut().find(|(grant, _)| grant.id == *id) {
            grant.left = grant.left.saturating_sub(*part);
        }
    }
}

/// Back to where the hour's units came from: first what was owed, then the grants that were burnt last.
async fn give_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (hour, mut units): (Timestamp, u64),
    (owed, grants): (&mut BTreeMap<Timestamp, u64>, &mut [(GrantLeft, bool)]),
) -> Result<(), StoreError> {
    if let Some(of_hour) = owed.get_mut(&hour) {
        let part = units.min(*of_hour);
        *of_hour -= part;
        units -= part;
    }
    let rows = sqlx::query(
        "select grant_id, sum(units)::bigint as used from ledger_unit_entries
         where partner_id = $1 and hour = $2 and account = 'used' and grant_id is not null
             and allocation_id is null
         group by grant_id having sum(units) > 0 order by max(transaction_id::text) desc",
    )
    .bind(partner.0)
    .bind(Ts(hour))
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        let part = row.count("used")?.min(units);
        units -= part;
        let id = CreditGrantId(row.try_get::<Uuid, _>("grant_id")?);
        if let Some((grant, _)) = grants.iter_mut().find(|(grant, _)| grant.id == id) {
            grant.left = grant.left.saturating_add(part);
        }
    }
    Ok(())
}
