//! Coupons: which there are, who redeemed which, and which bills had them. A coupon is redeemed once by a partner, and by no more partners
//! than it says; a bill notes what it took in the transaction that writes it.

mod bill;
mod redeem;
mod stretches;

pub use bill::{CouponsOfBill, CouponsTaken, LateTaken};
pub(crate) use bill::{hold, note};
pub use redeem::{CouponStanding, RedeemedCoupon};

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::{product::is_code, rating::coupon::Coupon};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// A coupon as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponLine {
    pub code: String,
    pub coupon: Coupon,
    /// Partners who redeemed it, those from whom it was taken back included.
    pub redemptions: u64,
}

impl Store {
    /// All coupons, those that are withdrawn too, by code.
    pub async fn coupons(&self) -> Result<Vec<CouponLine>, StoreError> {
        let rows = sqlx::query("select code, terms, redemptions::bigint as redemptions from coupons order by code")
            .fetch_all(self.pool())
            .await?;
        let line = |row: &PgRow| {
            Ok(CouponLine {
                code: row.try_get("code")?,
                coupon: row.try_get::<Json<Coupon>, _>("terms")?.0,
                redemptions: row.count("redemptions")?,
            })
        };
        Ok(rows.iter().map(line).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Adds a coupon, or changes what it is for redemptions to come.
    ///
    /// # Errors
    /// What is wrong with it, a plan that there is not, or fewer redemptions than there were.
    pub async fn put_coupon(
        &self,
        code: &str,
        coupon: &Coupon,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if !is_code(code) {
            return Err(StoreError::invalid("code", "A code is 1 to 64 lower-case letters, digits and inner hyphens"));
        }
        if let Some(problem) = coupon.problems().into_iter().next() {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let mut tx = self.begin().await?;
        let unknown: Option<String> = sqlx::query_scalar(
            "select code from unnest($1::text[]) as named (code) where code not in (select plans.code from plans) limit 1",
        )
        .bind(&coupon.plans)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(unknown) = unknown {
            return Err(StoreError::invalid("plans", format!("There is no plan {unknown:?}")));
        }
        // Of two who put the same new one at once the later one waits here, and sees the earlier one's.
        let is_new = sqlx::query(
            "insert into coupons (code, terms, updated_at) values ($1, $2, $3) on conflict (code) do nothing",
        )
        .bind(code)
        .bind(Json(coupon))
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?
        .rows_affected()
            > 0;
        // Nobody redeems it until it is changed.
        let held = "select terms, redemptions::bigint as redemptions from coupons where code = $1 for update";
        let before = sqlx::query(held).bind(code).fetch_optional(&mut *tx).await?.filter(|_| !is_new);
        let redeemed = before.as_ref().map(|row| row.count("redemptions")).transpose()?.unwrap_or(0);
        if coupon.max_redemptions.is_some_and(|most| u64::from(most) < redeemed) {
            let message = format!("{redeemed} partners have redeemed it: allow as many, or withdraw it");
            return Err(StoreError::invalid("max_redemptions", message));
        }
        sqlx::query("update coupons set terms = $2, updated_at = $3 where code = $1")
            .bind(code)
            .bind(Json(coupon))
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        let before = before.map(|row| row.try_get::<Json<Coupon>, _>("terms")).transpose()?;
        let entry =
            Entry { before: before.map(|Json(before)| json!(before)), ..Entry::new(actor, None, "coupon.save", code) };
        audit::append(&mut tx, entry.after(json!(coupon)), now).await?;
        tx.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
