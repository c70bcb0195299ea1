//! What is carried over of allotments that have expired: seen once, when their units expire.

use super::{give, subscriptions};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credits::{
        cover::cover,
        expiry::expire,
        post::Held,
        settle::{settle, signed},
    },
    row::{ReadRow as _, unreadable},
};
use domain::{
    credit::{full_hour, hour_of},
    id::{CreditGrantId, PartnerId},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

impl Store {
    /// Carries over what is left of the partner's allotments that have expired by `complete`, the oldest period first; nothing where no
    /// plan is in force any more. How many units.
    ///
    /// `complete` is until when all usage of all nodes is taken in: what was used and is not known yet would else be carried over, too.
    pub async fn carry_over_credit(
        &self,
        partner: PartnerId,
        complete: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // Of two runs at once the later one finds it carried over.
        sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut *tx).await?;
        let carried = all(&mut tx, partner, complete.min(now), now).await?;
        tx.commit().await?;
        Ok(carried)
    }
}

async fn all(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    complete: Timestamp,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let rows = sqlx::query(
        "select subscription_id, period_start, period_end, expires_at, grant_id from credit_allotments
         where partner_id = $1 and rolled_at is null and expires_at <= $2 order by period_end, period_start",
    )
    .bind(partner.0)
    .bind(Ts(complete))
    .fetch_all(&mut **tx)
    .await?;
    if rows.is_empty() {
        return Ok(0);
    }
    let plans = subscriptions(tx, partner, now).await?;
    let goes_on = plans.iter().any(|plan| plan.is_active);
    // Calls of the last hours may be booked only now.
    settle(tx, partner, (hour_of(now), i64::MAX), now).await?;
    cover(tx, partner, now).await?;
    let mut grants = Held::all(tx, partner).await?;
    expire(tx, partner, &mut grants, now).await?;
    let mut carried_in_all = 0;
    for row in rows {
        let subscription: Uuid = row.try_get("subscription_id")?;
        let grant = row.try_get::<Option<Uuid>, _>("grant_id")?.map(CreditGrantId);
        let (ended, expires_at) = (row.at("period_end")?, row.at("expires_at")?);
        let rest = grants.iter().find(|held| Some(held.id) == grant).map_or(0, |held| held.expired.unsigned_abs());
        let plan = plans.iter().find(|plan| plan.subscription.0 == subscription).filter(|_| goes_on);
        let rollover = plan.and_then(|plan| Some((plan, plan.allotment?.rollover?)));
        let mut carried = (0, None);
        if let Some((plan, rollover)) = rollover {
            let mut until = ended;
            for _ in 0..rollover.periods {
                until = plan.cycle.period_at(until).map_err(|error| unreadable("anchor", error))?.end;
            }
            let units = signed(rollover.carried(rest, held(tx, partner).await?));
            let until = full_hour(until);
            if units > 0 && until > now {
                let words = format!("Carried over from {}", plan.plan);
                carried = (units, Some(give(tx, partner, (units, &words), (expires_at, until), now).await?));
            }
        }
        sqlx::query(
            "update credit_allotments set rolled_at = $4, carried_units = $5, carried_grant_id = $6
             where partner_id = $1 and subscription_id = $2 and period_start = $3",
        )
        .bind(partner.0)
        .bind(subscription)
        .bind(Ts(row.at("period_start")?))
        .bind(Ts(now))
        .bind(carried.0)
        .bind(carried.1.map(|id: CreditGrantId| id.0))
        .execute(&mut **tx)
        .await?;
        if let (units, Some(grant)) = carried {
            let subject = grant.to_string();
            let after = json!({"units": units, "left": rest, "period_end": ended});
            audit::append(tx, Entry::new(Actor::System, partner, "credit.carry_over", &subject).after(after), now)
                .await?;
        }
        carried_in_all += carried.0.unsigned_abs();
    }
    cover(tx, partner, now).await?;
    Ok(carried_in_all)
}

/// What is left of what was carried over before.
async fn held(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<u64, StoreError> {
    let left: i64 = sqlx::query_scalar(
        "select coalesce(sum(g.left_units + g.allocated_units), 0)::bigint from credit_allotments a
         join credit_grants g on g.partner_id = a.partner_id and g.id = a.carried_grant_id
         where a.partner_id = $1 and g.ended_at is null",
    )
    .bind(partner.0)
    .fetch_one(&mut **tx)
    .await?;
    Ok(left.unsigned_abs())
}
