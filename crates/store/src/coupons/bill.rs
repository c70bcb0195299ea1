//! Coupons on bills: which count for one, and what it took of them.

use super::stretches;
use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    money::Money,
    rating::coupon::{Coupon, Off, Redeemed},
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use std::collections::HashMap;

/// What the bills of a billing period may have off.
#[derive(Debug, Clone, Default)]
pub struct CouponsOfBill {
    /// Codes of all that the partner has, whatever plan they are for.
    pub known: Vec<String>,
    /// Those for the plan, in the order in which they are taken off.
    pub redeemed: Vec<Redeemed>,
}

/// What a bill takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponsTaken {
    /// Where the whole billing period begins, and where the bill's part of it.
    pub period_start: Timestamp,
    pub part_start: Timestamp,
    /// [`CouponsOfBill::known`] as it was read: what is redeemed or taken back meanwhile makes the bill anew.
    pub known: Vec<String>,
    /// By code, those that count for it.
    pub taken: Vec<(String, Money)>,
    /// By code, what went back to them with fees of the same period that are given back: they have it again.
    pub returned: Vec<(String, Money)>,
    /// Of late usage that is on the bill.
    pub late: Vec<LateTaken>,
}

/// What coupons take off late usage of a stretch that was closed without an invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateTaken {
    pub subscription: SubscriptionId,
    /// Where the whole billing period begins, and where the stretch.
    pub period_start: Timestamp,
    pub part_start: Timestamp,
    /// By code; below zero where usage was taken back.
    pub taken: Vec<(String, Money)>,
    /// By code, what goes back to them with fees of that period that are given back: they have it again.
    pub returned: Vec<(String, Money)>,
}

impl Store {
    /// The coupons that bills of the subscription may have in the billing period that begins then.
    pub async fn coupons_of_bill(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period_start: Timestamp,
    ) -> Result<CouponsOfBill, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let rows = sqlx::query(
            "select r.code, r.terms, coupon_is_for(r.terms, (select v.plan_id from subscriptions s
                     join plan_versions v on v.id = s.plan_version_id where s.partner_id = $1 and s.id = $2)) as is_for,
                 coalesce(sum(a.taken_micros) filter (where a.period_start = $3), 0)::bigint as taken,
                 count(distinct a.period_start) filter (where a.period_start <> $3) as others
             from coupon_redemptions r
             left join coupon_takings a on a.partner_id = r.partner_id and a.code = r.code
             where r.partner_id = $1 and r.ended_at is null
             group by r.partner_id, r.code order by r.redeemed_at, r.code",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period_start))
        .fetch_all(&mut *connection)
        .await?;
        let mut of_bill = CouponsOfBill::default();
        if rows.is_empty() {
            return Ok(of_bill);
        }
        let mut stretches = stretches::of_partner(&mut connection, partner).await?;
        for row in &rows {
            let code: String = row.try_get("code")?;
            of_bill.known.push(code.clone());
            if row.try_get("is_for")? {
                let others = row.count("others")?;
                of_bill.redeemed.push(Redeemed {
                    stretches: stretches.remove(&code).unwrap_or_default(),
                    code,
                    coupon: row.try_get::<Json<Coupon>, _>("terms")?.0,
                    taken_micros: row.try_get("taken")?,
                    other_periods: u32::try_from(others).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(of_bill)
    }

    /// Whether the stretch that begins then was closed without an invoice, as nothing was used in it.
    pub async fn was_closed_empty(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        part_start: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(
            "select exists (select from billing_periods
                 where partner_id = $1 and subscription_id = $2 and period_start = $3 and invoice_id is null)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(part_start))
        .fetch_one(self.pool())
        .await?)
    }

    /// What coupons took off late usage of a stretch that was closed without an invoice, by code, in micro-units.
    pub async fn coupons_of_late_usage(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        part_start: Timestamp,
    ) -> Result<HashMap<String, i64>, StoreError> {
        let taken: Vec<(String, i64)> = sqlx::query_as(
            "select code, sum(taken_micros)::bigint from late_coupon_applications
             where partner_id = $1 and subscription_id = $2 and part_start = $3 group by code",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(part_start))
        .fetch_all(self.pool())
        .await?;
        Ok(taken.into_iter().collect())
    }

    /// What coupons took off the bill of a stretch that is closed, for rating it again: a percentage as it was, and of an amount what was
    /// taken.
    pub async fn coupons_of_closed_bill(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        part_start: Timestamp,
    ) -> Result<Vec<Off>, StoreError> {
        let rows = sqlx::query(
            "select a.code, a.taken_micros, r.terms from coupon_applications a
             join coupon_redemptions r on r.partner_id = a.partner_id and r.code = a.code
             where a.partner_id = $1 and a.subscription_id = $2 and a.part_start = $3 and not a.in_advance
             order by r.redeemed_at, r.code",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(part_start))
        .fetch_all(self.pool())
        .await?;
        let mut all = Vec::with_capacity(rows.len());
        for row in &rows {
            let Json(coupon): Json<Coupon> = row.try_get("terms")?;
            all.extend(coupon.as_taken(row.try_get("code")?, row.try_get("taken_micros")?));
        }
        Ok(all)
    }
}

/// Holds the coupons that a bill is made with until the transaction ends. Where they are not as they were read nothing is written, and the
/// next run makes the bill anew.
pub(crate) async fn hold(tx: &mut PgConnection, partner: PartnerId, coupons: &CouponsTaken) -> Result<(), StoreError> {
    let held = sqlx::query(
        "select code, terms from coupon_redemptions where partner_id = $1 and ended_at is null
         order by redeemed_at, code for update",
    )
    .bind(partner.0)
    .fetch_all(&mut *tx)
    .await?;
    let code = |row: &PgRow| row.try_get::<String, _>("code");
    if held.iter().map(code).collect::<Result<Vec<_>, _>>()? != coupons.known {
        return Err(moved());
    }
    Ok(())
}

/// Notes what a bill takes of coupons that it [holds](hold). Where another bill took meanwhile what is not there twice, nothing is
/// written, and the next run makes the bill anew.
pub(crate) async fn note(
    tx: &mut PgConnection,
    partner: PartnerId,
    (subscription, invoice, in_advance): (SubscriptionId, InvoiceId, bool),
    coupons: &CouponsTaken,
) -> Result<(), StoreError> {
    for (code, taken) in &coupons.taken {
        sqlx::query(
            "insert into coupon_applications (partner_id, code, subscription_id, period_start, part_start, in_advance, invoice_id,
                 taken_micros)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(partner.0)
        .bind(code)
        .bind(subscription.0)
        .bind(Ts(coupons.period_start))
        .bind(Ts(coupons.part_start))
        .bind(in_advance)
        .bind(invoice.0)
        .bind(taken.micros)
        .execute(&mut *tx)
        .await?;
    }
    for late in &coupons.late {
        for (code, taken) in late.taken.iter().filter(|(_, taken)| taken.micros != 0) {
            sqlx::query(
                "insert into late_coupon_applications (partner_id, code, subscription_id, period_start, part_start, invoice_id,
                     taken_micros)
                 values ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(partner.0)
            .bind(code)
            .bind(late.subscription.0)
            .bind(Ts(late.period_start))
            .bind(Ts(late.part_start))
            .bind(invoice.0)
            .bind(taken.micros)
            .execute(&mut *tx)
            .await?;
        }
    }
    for (code, _) in &coupons.taken {
        check(tx, partner, code, coupons.period_start, &coupons.returned).await?;
    }
    for late in &coupons.late {
        // What takes nothing more is not held against what others took.
        for (code, _) in late.taken.iter().filter(|(_, taken)| taken.micros > 0) {
            check(tx, partner, code, late.period_start, &late.returned).await?;
        }
    }
    Ok(())
}

/// Refuses what takes more of a coupon than there is, now that it is noted.
async fn check(
    tx: &mut PgConnection,
    partner: PartnerId,
    code: &str,
    period_start: Timestamp,
    returned: &[(String, Money)],
) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select r.terms, count(distinct a.period_start) as periods,
             coalesce(sum(a.taken_micros) filter (where a.period_start = $3), 0)::bigint as taken
         from coupon_redemptions r join coupon_takings a on a.partner_id = r.partner_id and a.code = r.code
         where r.partner_id = $1 and r.code = $2 group by r.partner_id, r.code",
    )
    .bind(partner.0)
    .bind(code)
    .bind(Ts(period_start))
    .fetch_optional(&mut *tx)
    .await?;
    // Nothing was taken.
    let Some(row) = row else { return Ok(()) };
    let Json(coupon): Json<Coupon> = row.try_get("terms")?;
    let too_often = coupon.periods.is_some_and(|most| row.count("periods").is_ok_and(|periods| periods > most.into()));
    let micros: i64 = row.try_get("taken")?;
    let returned = returned.iter().filter(|(own, _)| own == code).map(|(_, money)| money.micros);
    let micros = micros.saturating_sub(returned.fold(0, i64::saturating_add));
    if too_often || coupon.amount().is_some_and(|amount| micros > amount.micros) {
        return Err(moved());
    }
    Ok(())
}

fn moved() -> StoreError {
    StoreError::conflict(
        "",
        "Coupons changed, or another bill took of them meanwhile; the next run makes this one anew",
    )
}
