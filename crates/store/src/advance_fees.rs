//! Base fees that are billed in advance: which are due, and which have to be given back in part.

use crate::{
    Store, StoreError, Ts,
    credits::fee_bonus,
    invoices::{self, NewInvoice},
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::Money,
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};

/// A subscription whose fee is billed in advance.
#[derive(Debug, Clone)]
pub struct FeeInAdvance {
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub terms: PlanTerms,
    pub cycle: Cycle,
    /// Since when the partner has the plan, in any version.
    pub plan_since: Timestamp,
    /// Until when it is tried.
    pub trial_until: Option<Timestamp>,
    /// Until when the fee is billed, or where the plan began.
    pub from: Timestamp,
    /// When it ended, or will by a change that waits.
    pub ended_at: Option<Timestamp>,
}

/// A fee that was billed for longer than the plan ran.
#[derive(Debug, Clone)]
pub struct UnusedFee {
    pub of: FeeInAdvance,
    /// What it was billed for, until after `of.ended_at`.
    pub period: Period,
    /// Before coupons.
    pub paid: Money,
    /// Of that, what coupons took off.
    pub coupons: Money,
    /// What credit notes have left of it; nothing where its invoice is void.
    pub left: Money,
}

/// What an invoice gives back of a fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GivenBack {
    pub subscription: SubscriptionId,
    /// Where the fee's period begins.
    pub period_start: Timestamp,
    /// Above zero.
    pub amount: Money,
}

/// What is left of the fee `a` in its invoice.
macro_rules! left {
    () => {
        "greatest(0, a.fee_micros - a.coupon_micros - coalesce((
             select case when i.status = 'void' then a.fee_micros else sum(c.total_micros) end
             from invoices i
             left join credit_notes c on c.partner_id = i.partner_id and c.invoice_id = i.id and c.state = 'issued'
                 and c.kind = 'credit'
             where i.partner_id = a.partner_id and i.id = a.invoice_id group by i.status), 0))"
    };
}

/// Fees `a` of partner `$1` with their subscriptions `s`, and more columns, a join and conditions.
macro_rules! unused {
    ($columns:literal, $join:literal, $rest:literal) => {
        concat!(
            "select s.partner_id, s.id, s.plan_version_id, s.anchor, s.time_zone, s.trial_until, v.terms, s.ended_at, ",
            $columns,
            "plan_since(s.partner_id, s.plan_version_id) as plan_since, a.period_start as fee_from,
                 a.period_start, a.period_end, a.currency, a.fee_micros, a.coupon_micros, ",
            left!(),
            "::bigint as left_micros
             from advance_fees a
             join subscriptions s on s.partner_id = a.partner_id and s.id = a.subscription_id
             join plan_versions v on v.id = s.plan_version_id ",
            $join,
            " where a.partner_id = $1 ",
            $rest
        )
    };
}

impl Store {
    /// Every partner's subscriptions with a fee that is due in advance.
    pub async fn all_partners_fees_due(&self, now: Timestamp) -> Result<Vec<FeeInAdvance>, StoreError> {
        let rows = sqlx::query(
            "select * from (
                 select s.partner_id, s.id, s.plan_version_id, s.anchor, s.time_zone, s.trial_until, v.terms,
                     plan_since(s.partner_id, s.plan_version_id) as plan_since,
                     coalesce((select max(a.period_end) from advance_fees a
                         where a.partner_id = s.partner_id and a.subscription_id = s.id), s.started_at) as fee_from,
                     coalesce(s.ended_at, (select c.effective_at from plan_changes c
                         where c.partner_id = s.partner_id and c.subscription_id = s.id and c.status = 'scheduled')) as ended_at
                 from subscriptions s join plan_versions v on v.id = s.plan_version_id
                 where s.status in ('active', 'ended') and s.started_at is not null and v.terms ->> 'fee_due' = 'advance'
             ) as fees
             where fee_from <= $1 and (ended_at is null or fee_from < ended_at) order by partner_id, fee_from",
        )
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The partner's fees that have to be given back in part.
    pub async fn unused_fees(&self, partner: PartnerId) -> Result<Vec<UnusedFee>, StoreError> {
        let rows = sqlx::query(unused!(
            "",
            "",
            "and a.given_back_by is null and s.ended_at < a.period_end and a.fee_micros > 0 order by a.period_start"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_unused).collect::<Result<_, _>>()?)
    }

    /// The partner's fees that have to be given back in part, or were, and that coupons lowered in the billing period that begins then: each
    /// with the code of a coupon and what that took off it.
    pub async fn unused_fees_with_coupons(
        &self,
        partner: PartnerId,
        period_start: Timestamp,
    ) -> Result<Vec<(String, Money, UnusedFee)>, StoreError> {
        let rows = sqlx::query(unused!(
            "c.code, c.taken_micros, ",
            "join coupon_applications c on c.partner_id = a.partner_id and c.subscription_id = a.subscription_id
                 and c.part_start = a.period_start and c.in_advance and c.taken_micros > 0",
            "and c.period_start = $2 and s.ended_at < a.period_end and a.fee_micros > 0 order by a.period_start, c.code"
        ))
        .bind(partner.0)
        .bind(Ts(period_start))
        .fetch_all(self.pool())
        .await?;
        let of_coupon = |row: &PgRow| {
            let taken = Money::new(row.parsed("currency")?, row.try_get("taken_micros")?);
            Ok((row.try_get("code")?, taken, read_unused(row)?))
        };
        Ok(rows.iter().map(of_coupon).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Bills a fee in advance, before coupons `fee`, with the ledger; `None` where somebody else did. A fee that comes to nothing, with nothing to give back,
    /// has no invoice.
    pub async fn bill_fee_in_advance(
        &self,
        due: &FeeInAdvance,
        period: Period,
        (fee, invoice): (Money, Option<NewInvoice>),
        now: Timestamp,
    ) -> Result<Option<InvoiceId>, StoreError> {
        let (partner, subscription) = (due.partner, due.subscription);
        let mut tx = self.begin().await?;
        subscriptions::hold(&mut tx, partner, subscription).await?;
        let is_billed: bool = sqlx::query_scalar(
            "select exists (select from advance_fees where partner_id = $1 and subscription_id = $2 and period_end > $3)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period.start))
        .fetch_one(&mut *tx)
        .await?;
        if is_billed {
            tx.rollback().await?;
            return Ok(None);
        }
        let coupons = invoice.as_ref().and_then(|invoice| invoice.coupons.as_ref());
        let coupons: i64 = coupons.map_or(0, |coupons| coupons.taken.iter().map(|(_, taken)| taken.micros).sum());
        let id = match invoice {
            None => None,
            Some(invoice) => {
                let id =
                    invoices::bill(&mut tx, partner, subscription, (period, "Fee in advance"), invoice, now).await?;
                Some(id)
            }
        };
        note(&mut tx, (partner, subscription), period, (fee, coupons), id).await?;
        tx.commit().await?;
        Ok(id)
    }
}

/// Notes until when a subscription's fee is billed: before coupons, what they took off in micro-units, and where it came to anything its
/// invoice. What the plan gives once that is paid is noted with it.
pub(crate) async fn note(
    tx: &mut PgConnection,
    (partner, subscription): (PartnerId, SubscriptionId),
    period: Period,
    (fee, coupons): (Money, i64),
    invoice: Option<InvoiceId>,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into advance_fees (partner_id, subscription_id, period_start, period_end, currency, fee_micros, invoice_id,
             coupon_micros)
         values ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .bind(fee.currency.code())
    .bind(fee.micros)
    .bind(invoice.map(|id| id.0))
    .bind(coupons)
    .execute(&mut *tx)
    .await?;
    match invoice {
        Some(invoice) if fee.micros > coupons => fee_bonus::promise(tx, (partner, invoice), subscription, period).await,
        _ => Ok(()),
    }
}

/// An invoice is void that gave fees back: the next one does.
pub(crate) async fn keep_unused(
    tx: &mut PgConnection,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<(), StoreError> {
    sqlx::query(
        "update advance_fees set given_back_by = null, given_back_micros = 0 where partner_id = $1 and given_back_by = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .execute(tx)
    .await?;
    Ok(())
}

/// Notes that an invoice gives these back. Where another document did meanwhile, nothing is written.
pub(crate) async fn give_back(
    tx: &mut PgConnection,
    partner: PartnerId,
    fees: &[GivenBack],
    invoice: InvoiceId,
) -> Result<(), StoreError> {
    for GivenBack { subscription, period_start, amount } in fees {
        // Whoever credits the fee's own invoice holds it, too.
        sqlx::query(
            "select from invoices i join advance_fees a on a.partner_id = i.partner_id and a.invoice_id = i.id
             where a.partner_id = $1 and a.subscription_id = $2 and a.period_start = $3 for update of i",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(*period_start))
        .fetch_optional(&mut *tx)
        .await?;
        let done = sqlx::query(concat!(
            "update advance_fees a set given_back_by = $4, given_back_micros = $5
             where a.partner_id = $1 and a.subscription_id = $2 and a.period_start = $3 and a.given_back_by is null and $5 <= ",
            left!()
        ))
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(*period_start))
        .bind(invoice.0)
        .bind(amount.micros)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::conflict(
                "",
                "Another document gives this fee back meanwhile; the next run makes this one anew",
            ));
        }
    }
    Ok(())
}

fn read(row: &PgRow) -> Result<FeeInAdvance, sqlx::Error> {
    let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
    Ok(FeeInAdvance {
        partner: PartnerId(row.try_get("partner_id")?),
        subscription: SubscriptionId(row.try_get("id")?),
        plan_version: PlanVersionId(row.try_get("plan_version_id")?),
        cycle: Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? },
        terms,
        plan_since: row.at("plan_since")?,
        trial_until: row.at_if_any("trial_until")?,
        from: row.at("fee_from")?,
        ended_at: row.at_if_any("ended_at")?,
    })
}

fn read_unused(row: &PgRow) -> Result<UnusedFee, sqlx::Error> {
    let money = |column| Ok::<_, sqlx::Error>(Money::new(row.parsed("currency")?, row.try_get(column)?));
    Ok(UnusedFee {
        of: read(row)?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        paid: money("fee_micros")?,
        coupons: money("coupon_micros")?,
        left: money("left_micros")?,
    })
}
