//! What pays for units that no grant had in their hour: a grant that had them after all (units came back to it, or it was given for then);
//! else the next grant, as soon as it begins; or the invoice, where a plan of the hour has an overdraft ([`super::overdraft`]).

use super::{
    overdraft::prices,
    post::Held,
    settle::{Keys, use_parts},
};
use crate::{StoreError, row::ReadRow as _};
use domain::{
    credit::{GrantLeft, burn_of},
    id::{CreditGrantId, PartnerId},
};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction, postgres::PgRow};
use std::collections::BTreeMap;

/// Lets grants pay what is owed, the oldest hour first.
pub(super) async fn cover(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let owed = owed(tx, partner).await?;
    if owed.is_empty() {
        return Ok(());
    }
    let billed = prices(tx, partner, owed.keys().copied()).await?;
    let mut grants = Held::all(tx, partner).await?;
    for (hour, units) in owed {
        let left: Vec<_> = grants.iter().map(|grant| (grant.burnable(), grant.has_ended)).collect();
        let parts = cover_hour(&left, (hour, units), billed.contains_key(&hour));
        if !parts.is_empty() {
            let mut keys = Keys::of(tx, partner, hour).await?;
            use_parts(tx, partner, &mut grants, (None, hour, &parts, true), &mut keys, now).await?;
        }
    }
    Ok(())
}

/// Which grants pay for units of that hour, each with whether it has ended.
pub(super) fn cover_hour(
    grants: &[(GrantLeft, bool)],
    (hour, units): (Timestamp, u64),
    is_billed: bool,
) -> Vec<(CreditGrantId, u64)> {
    let covers = |(grant, is_over): &&(GrantLeft, bool)| grant.covers(hour, *is_over, is_billed);
    let may: Vec<GrantLeft> = grants.iter().filter(covers).map(|(grant, _)| *grant).collect();
    burn_of(&may, units, |_| true).parts
}

/// What is owed, by the hour.
pub(super) async fn owed(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
) -> Result<BTreeMap<Timestamp, u64>, StoreError> {
    let rows = sqlx::query("select hour, units from credit_owed where partner_id = $1 and units > 0")
        .bind(partner.0)
        .fetch_all(&mut **tx)
        .await?;
    let one = |row: &PgRow| Ok((row.at("hour")?, row.count("units")?));
    Ok(rows.iter().map(one).collect::<Result<_, sqlx::Error>>()?)
}
