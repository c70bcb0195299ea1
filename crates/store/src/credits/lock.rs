//! In which order one locks what gateways take from: sums by the hour, then allowances, then the balance ([`super::post::lock`]).
//!
//! Of allowances whoever needs several locks them at once, in the order of their keys: as gateways do that exchange units or store what they
//! spent (migration 0008), whatever their version. Two who lock them one by one in other orders can wait for each other.

use crate::{StoreError, Ts};
use domain::{allowance::Allowance, id::PartnerId};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Makes the allowance of what is common, where there are allocations or purses of products: so that it is there to be locked with theirs. Before the sums, as whoever
/// stores usage makes it.
pub(super) async fn open_common(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
    let period = Allowance::credit(partner).period;
    sqlx::query(
        "select open_allowances(array[$1::uuid], array['credit'], array[$2::timestamptz], array[$3::timestamptz])
         where exists (select from credit_purses where partner_id = $1)",
    )
    .bind(partner.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Locks the allowances of the partner's credit, common, allocated and for some products, and of its quotas that begin then. How many units are taken of credit: by
/// the allocation, and of what is common by the partner.
pub(crate) async fn allowances(
    tx: &mut Transaction<'_, Postgres>,
    partner: PartnerId,
    quotas: &[Timestamp],
) -> Result<BTreeMap<Uuid, i64>, StoreError> {
    let rows = sqlx::query(
        "select partner_id, kind = 'credit' as is_credit, taken from allowances
         where partner_id = any (array(select $1::uuid union all select id from credit_purses where partner_id = $1))
             and (kind = 'credit' or period_start = any ($2))
         order by partner_id, kind, period_start for update",
    )
    .bind(partner.0)
    .bind(quotas.iter().copied().map(Ts).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let mut taken = BTreeMap::new();
    for row in rows {
        if row.try_get("is_credit")? {
            taken.insert(row.try_get("partner_id")?, row.try_get("taken")?);
        }
    }
    Ok(taken)
}
