//! Redeeming a coupon, by the partner itself or by an operator for it, and taking it back.

use crate::{
    OrderedBy, Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    partners,
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{PartnerId, SubscriptionId},
    rating::coupon::{Coupon, MOST_AT_ONCE, typed_code},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
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
    /// Billing periods that it counted for.
    pub periods_used: u64,
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
        let own = own(&mut tx, partner).await?;
        if own.iter().any(|one| one.code == code) {
            return Err(StoreError::conflict(
                "code",
                "This coupon was redeemed before, which is once for each partner",
            ));
        }
        if own.iter().filter(|one| one.ended_at.is_none() && !one.is_used_up()).count() >= MOST_AT_ONCE {
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
        let redeemed = self::own(&mut tx, partner).await?.into_iter().find(|one| one.code == code);
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

    /// The partner's coupons, in the order in which they are taken off; those that count no more are among them.
    pub async fn redeemed_coupons(&self, partner: PartnerId) -> Result<Vec<RedeemedCoupon>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        own(&mut connection, partner).await
    }
}

impl RedeemedCoupon {
    /// Whether it was on bills of as many billing periods as it is for.
    pub fn is_used_up(&self) -> bool {
        self.coupon.periods.is_some_and(|periods| self.periods_used >= periods.into())
    }
}

async fn own(tx: &mut PgConnection, partner: PartnerId) -> Result<Vec<RedeemedCoupon>, StoreError> {
    let rows = sqlx::query(
        "select r.*, (select count(distinct a.period_start) from coupon_applications a
             where a.partner_id = r.partner_id and a.code = r.code) as periods_used
         from coupon_redemptions r where r.partner_id = $1 order by r.redeemed_at, r.code",
    )
    .bind(partner.0)
    .fetch_all(tx)
    .await?;
    let read = |row: &PgRow| {
        Ok(RedeemedCoupon {
            code: row.try_get("code")?,
            coupon: row.try_get::<Json<Coupon>, _>("terms")?.0,
            starts_at: row.at("starts_at")?,
            redeemed_at: row.at("redeemed_at")?,
            redeemed_by: row.parsed("redeemed_by")?,
            ended_at: row.at_if_any("ended_at")?,
            periods_used: row.count("periods_used")?,
        })
    };
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
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
