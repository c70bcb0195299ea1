//! Redeeming a coupon, by the partner itself or by an operator for it, and taking it back.

use super::stretches::{self, starts_at};
use crate::{
    OrderedBy, Store, StoreError, SubscriptionStatus, Ts,
    audit::{self, Actor, Entry},
    partners,
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{PartnerId, SubscriptionId},
    period::{Cycle, Period},
    rating::coupon::{Coupon, MOST_AT_ONCE, periods_before, typed_code},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, types::Json};
use uuid::Uuid;

/// A coupon that a partner has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedeemedCoupon {
    pub code: String,
    /// As it was when it was redeemed.
    pub coupon: Coupon,
    /// From when on it counts, if the partner has a plan that it is for.
    pub starts_at: Timestamp,
    pub redeemed_at: Timestamp,
    pub redeemed_by: OrderedBy,
    /// When an operator took it back.
    pub ended_at: Option<Timestamp>,
    /// Billing periods whose bills had it.
    pub periods_used: u64,
    pub standing: CouponStanding,
}

/// How a coupon stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CouponStanding {
    Counts,
    /// The partner has no plan whose bills it lowers: of another currency, rated by Stripe, not among its plans, or none. No period of it
    /// is lost meanwhile.
    Waits,
    /// It counted for as many billing periods as it is for.
    UsedUp,
    /// An operator took it back.
    TakenBack,
}

impl CouponStanding {
    /// Whether bills to come may have it.
    pub const fn may_count(self) -> bool {
        matches!(self, Self::Counts | Self::Waits)
    }

    /// As the REST API has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Counts => "counts",
            Self::Waits => "waits",
            Self::UsedUp => "used_up",
            Self::TakenBack => "taken_back",
        }
    }
}

impl Store {
    /// Redeems a coupon for the partner by the code as somebody typed it: once for each partner, and for no more of them than it says.
    ///
    /// # Errors
    /// Why it cannot be redeemed, for people.
    pub async fn redeem_coupon(
        &self,
        partner: PartnerId,
        typed: &str,
        by: OrderedBy,
        actor: Actor,
        now: Timestamp,
    ) -> Result<RedeemedCoupon, StoreError> {
        let code = typed_code(typed);
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        if by == OrderedBy::Partner && held.suspended_at.is_some() {
            return Err(StoreError::conflict("code", "The account is suspended; no coupon can be redeemed"));
        }
        // Whoever redeems it holds it: of two who want the last one the later one finds none.
        let found =
            sqlx::query("select terms, redemptions::bigint as redemptions from coupons where code = $1 for update")
                .bind(&code)
                .fetch_optional(&mut *tx)
                .await?;
        let Some(found) = found else { return Err(StoreError::invalid("code", "There is no coupon of this code")) };
        let Json(coupon): Json<Coupon> = found.try_get("terms")?;
        if coupon.withdrawn || coupon.redeem_until.is_some_and(|until| until <= now) {
            return Err(StoreError::conflict("code", "This coupon can no longer be redeemed"));
        }
        if coupon.max_redemptions.is_some_and(|most| found.count("redemptions").is_ok_and(|count| count >= most.into()))
        {
            return Err(StoreError::conflict("code", "This coupon was redeemed as often as it may be"));
        }
        let own = own(&mut tx, partner, now).await?;
        if own.iter().any(|one| one.code == code) {
            return Err(StoreError::conflict(
                "code",
                "This coupon was redeemed before, which is once for each partner",
            ));
        }
        if own.iter().filter(|one| one.standing.may_count()).count() >= MOST_AT_ONCE {
            return Err(StoreError::conflict("code", "There are ten coupons already that count; more do not"));
        }
        let starts_at = starts_at(&mut tx, partner, &coupon, by, now).await?;
        sqlx::query("update coupons set redemptions = redemptions + 1 where code = $1")
            .bind(&code)
            .execute(&mut *tx)
            .await?;
        sqlx::query(
            "insert into coupon_redemptions (partner_id, code, terms, starts_at, redeemed_at, redeemed_by)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partner.0)
        .bind(&code)
        .bind(Json(&coupon))
        .bind(Ts(starts_at))
        .bind(Ts(now))
        .bind(by.code())
        .execute(&mut *tx)
        .await?;
        let entry = Entry::new(actor, partner, "coupon.redeem", &code);
        audit::append(&mut tx, entry.after(json!({"coupon": coupon, "starts_at": starts_at})), now).await?;
        let redeemed = self::own(&mut tx, partner, now).await?.into_iter().find(|one| one.code == code);
        tx.commit().await?;
        redeemed.ok_or(StoreError::NotFound)
    }

    /// Takes a coupon back: bills that are not made yet do not have it. It cannot be redeemed again by this partner.
    ///
    /// # Errors
    /// The partner does not have it.
    pub async fn take_coupon_back(
        &self,
        partner: PartnerId,
        code: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let ended = sqlx::query(
            "update coupon_redemptions set ended_at = $3 where partner_id = $1 and code = $2 and ended_at is null",
        )
        .bind(partner.0)
        .bind(code)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if ended.rows_affected() == 0 {
            return Err(StoreError::NotFound);
        }
        audit::append(&mut tx, Entry::new(actor, partner, "coupon.take_back", code), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The partner's coupons as they stand at `now`, in the order in which they are taken off; those that count no more are among them.
    pub async fn redeemed_coupons(
        &self,
        partner: PartnerId,
        now: Timestamp,
    ) -> Result<Vec<RedeemedCoupon>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        own(&mut connection, partner, now).await
    }
}

async fn own(tx: &mut PgConnection, partner: PartnerId, now: Timestamp) -> Result<Vec<RedeemedCoupon>, StoreError> {
    let rows = sqlx::query(concat!(
        "select r.*, ",
        starts_at!(),
        " as counts_from, used.*
         from coupon_redemptions r
         cross join lateral (
             select count(distinct a.period_start) as periods_used, max(a.period_start) as last_used from coupon_takings a
             where a.partner_id = r.partner_id and a.code = r.code
         ) as used
         where r.partner_id = $1 order by r.redeemed_at, r.code",
    ))
    .bind(partner.0)
    .fetch_all(&mut *tx)
    .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let current = subscriptions::select(&mut *tx, partner, Some(SubscriptionStatus::Active)).await?.pop();
    let running = current.and_then(|current| {
        let cycle = current.cycle();
        let start = cycle.period_at(now).ok()?.start;
        Some((cycle, start))
    });
    let mut stretches = stretches::of_partner(tx, partner).await?;
    let mut all = Vec::with_capacity(rows.len());
    for row in &rows {
        let code: String = row.try_get("code")?;
        let mut own = RedeemedCoupon {
            coupon: row.try_get::<Json<Coupon>, _>("terms")?.0,
            starts_at: row.at("counts_from")?,
            redeemed_at: row.at("redeemed_at")?,
            redeemed_by: row.parsed("redeemed_by")?,
            ended_at: row.at_if_any("ended_at")?,
            periods_used: row.count("periods_used")?,
            standing: CouponStanding::Counts,
            code,
        };
        let stretches = stretches.remove(&own.code).unwrap_or_default();
        let last_used = row.at_if_any("last_used")?;
        own.standing = standing(&own, (&stretches, last_used), running.as_ref(), now);
        all.push(own);
    }
    Ok(all)
}

/// By the stretches in which it counts, where the last period begins whose bills had it, and the running period of the plan.
fn standing(
    own: &RedeemedCoupon,
    (stretches, last_used): (&[Period], Option<Timestamp>),
    running: Option<&(Cycle, Timestamp)>,
    now: Timestamp,
) -> CouponStanding {
    let is_used_up = own.coupon.periods.is_some_and(|most| own.periods_used >= most.into());
    let is_over = match (running, own.coupon.periods) {
        // Of a period without a bill nothing is noted; it is one all the same.
        (Some((cycle, start)), Some(most)) => {
            let before = periods_before(stretches, cycle, *start);
            before.is_ok_and(|before| before >= most.into()) || (is_used_up && last_used < Some(*start))
        }
        _ => is_used_up,
    };
    let runs = stretches.last().is_some_and(|last| last.end > now);
    match own.ended_at {
        Some(_) => CouponStanding::TakenBack,
        None if is_over || (is_used_up && !runs) => CouponStanding::UsedUp,
        None if runs => CouponStanding::Counts,
        None => CouponStanding::Waits,
    }
}

/// From now on, or from where the fee is billed to: else its first period would have it for usage alone. Holds the subscription, so
/// that no fee is billed meanwhile.
async fn starts_at(
    tx: &mut PgConnection,
    partner: PartnerId,
    coupon: &Coupon,
    by: OrderedBy,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let current: Option<Uuid> =
        sqlx::query_scalar("select id from subscriptions where partner_id = $1 and status = 'active'")
            .bind(partner.0)
            .fetch_optional(&mut *tx)
            .await?;
    let Some(current) = current else { return Ok(now) };
    subscriptions::hold(tx, partner, SubscriptionId(current)).await?;
    let row = sqlx::query(
        "select coupon_is_for($3, v.plan_id) as is_for, v.terms ->> 'currency' as currency,
             coalesce(v.terms ->> 'collect', 'invoice_items') = 'invoice_items' as is_ours,
             (select max(a.period_end) from advance_fees a
                 where a.partner_id = s.partner_id and a.subscription_id = s.id and a.fee_micros > 0) as billed_until
         from subscriptions s join plan_versions v on v.id = s.plan_version_id where s.partner_id = $1 and s.id = $2",
    )
    .bind(partner.0)
    .bind(current)
    .bind(Json(coupon))
    .fetch_one(tx)
    .await?;
    if by == OrderedBy::Partner {
        let (is_for, is_ours): (bool, bool) = (row.try_get("is_for")?, row.try_get("is_ours")?);
        let currency: String = row.try_get("currency")?;
        if !is_for || !is_ours || coupon.currency.is_some_and(|own| own.code() != currency) {
            return Err(StoreError::conflict("code", "This coupon is not for your plan"));
        }
    }
    Ok(row.at_if_any("billed_until")?.map_or(now, |until: Timestamp| until.max(now)))
}
