//! What a smaller plan takes back that begins within a period: of the units that were given for its part of it, those that are unused. Else
//! whoever goes up and at once down again would keep a period's units for the price of a minute.

use crate::{
    StoreError, Ts,
    credits::{
        Void, allocations,
        grant::{left_of, settle_all, void},
    },
};
use domain::{
    id::{CreditGrantId, PartnerId, SubscriptionId},
    period::Period,
};
use jiff::Timestamp;
use sqlx::{Postgres, Transaction};
use uuid::Uuid;

/// Takes back so many of the period's units, those that were given last first, as far as no call has used and no gateway holds them. How many.
pub(super) async fn take_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (subscription, period): (SubscriptionId, Period),
    units: i64,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let given: Vec<Uuid> = sqlx::query_scalar(
        "select a.grant_id from credit_allotments a join credit_grants g on g.partner_id = a.partner_id and g.id = a.grant_id
         where a.partner_id = $1 and a.period_start = $2 and a.period_end = $3 and g.ended_at is null
         order by a.allotted_at desc, a.grant_id desc",
    )
    .bind(partner.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .fetch_all(&mut **tx)
    .await?;
    let mut grants = settle_all(tx, partner, now).await?;
    let mut rest = units;
    for id in given.into_iter().map(CreditGrantId) {
        let Some(place) = grants.iter().position(|grant| grant.id == id) else { continue };
        // Where what is common does not do, what was allocated meanwhile does not stay either.
        let allocated = rest - left_of(tx, partner, (&grants, place), now).await?.min(rest);
        if let Some(grant) = grants.get_mut(place).filter(|_| allocated > 0) {
            allocations::pull_back(tx, partner, grant, allocated, now).await?;
        }
        let part = left_of(tx, partner, (&grants, place), now).await?.min(rest);
        let Some(grant) = grants.get_mut(place).filter(|_| part > 0) else { continue };
        let key = format!("credit-allotment-back:{subscription}:{}:{id}", period.start);
        void(tx, partner, grant, part, Void::Kept, &key, now).await?;
        rest -= part;
    }
    Ok(units - rest)
}
