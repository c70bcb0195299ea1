//! What a standing order buys. The balance's falling below the threshold is answered by one purchase: the next one is made when the balance
//! was no longer low in between, or when it is low again, and what was bought is paid. An invoice that is void or given up is not followed
//! by another while the balance stays low. It is bought as it was agreed on, or for less: never for more, and never fewer units. For units
//! that an invoice will bill nothing is bought: they would be paid for twice. What apps and teams have for themselves is left of the partner's
//! credit, too: money is for what is used, and units that lie there can be given back.

use super::{Held, sold};
use crate::{
    NewMail, Store, StoreError, Ts,
    audit::Actor,
    credits::{
        overdraft, post,
        purchases::{CreditPurchase, NewCreditPurchase, sell},
        settle::signed,
    },
    invoices::InvoiceStatus,
    mails, partners,
};
use domain::{
    credit::{hour_of, top_up::TopUp},
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use sqlx::{Executor as _, Postgres, Row as _, Transaction, types::Json};
use uuid::Uuid;

/// Units that are left of a partner's credit, those of allocations among them: moving them uses nothing, and so it buys nothing. What only
/// calls of some products may spend is not: the others are refused however much of it is left.
macro_rules! left {
    ($partner:literal) => {
        concat!(
            "coalesce((select sum(greatest(0, b.units - a.taken + (select coalesce(sum(l.granted - l.spent), 0)
                     from allowance_leases l where l.partner_id = b.allocation_id and l.kind = 'credit')))
                 from credit_allocation_balances b join credit_allocations o on o.partner_id = b.partner_id and o.id = b.allocation_id
                 join allowances a on a.partner_id = b.allocation_id and a.kind = 'credit'
                 where b.partner_id = ",
            $partner,
            "), 0)::bigint + coalesce((select units from credit_balances where partner_id = ",
            $partner,
            "), 0) - coalesce((select a.taken - (select coalesce(sum(l.granted - l.spent), 0)::bigint from allowance_leases l
                 where l.partner_id = a.partner_id and l.kind = 'credit')
             from allowances a where a.partner_id = ",
            $partner,
            " and a.kind = 'credit'), 0)"
        )
    };
}

/// What a run did about a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToppedUp {
    /// Nothing was to be done.
    Nothing,
    Bought(CreditPurchase),
    /// Another purchase would cost more than is left of the month's cap.
    Capped {
        top_up: TopUp,
        spent: Money,
    },
    /// It cannot be bought, for a person to look at.
    Failed(String),
}

impl Store {
    /// Partners with a standing order that may have something to do: the balance is low, or was when it last bought. Some have not, whose
    /// units below zero are billed.
    pub async fn all_partners_to_top_up(&self) -> Result<Vec<PartnerId>, StoreError> {
        let rows = sqlx::query(concat!(
            "select t.partner_id from credit_top_ups t where t.answered_by is not null or ",
            left!("t.partner_id"),
            " < t.below_units order by t.partner_id"
        ))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok(PartnerId(row.try_get("partner_id")?))).collect()
    }

    /// Buys what the partner's standing order says, if the balance is low and nothing was bought for that yet. `letters` are the mails about
    /// it, each to one of those who may see money.
    pub async fn top_up_credit(
        &self,
        partner: PartnerId,
        letters: impl Fn(&ToppedUp, &str) -> Option<NewMail>,
        now: Timestamp,
    ) -> Result<ToppedUp, StoreError> {
        let mut tx = self.begin().await?;
        // Whoever buys for the partner at once waits here, and then sees what was bought.
        if partners::lock(&mut tx, partner).await?.suspended_at.is_some() {
            return Ok(ToppedUp::Nothing);
        }
        let Some(held) = Held::of(&mut tx, partner).await? else { return Ok(ToppedUp::Nothing) };
        let (left, lent) = left(&mut tx, partner, now).await?;
        if left >= signed(held.top_up.below) {
            note(&mut tx, partner, (None, None), now).await?;
            tx.commit().await?;
            return Ok(ToppedUp::Nothing);
        }
        let waits = held.answered_by.is_some_and(|(_, status)| status != InvoiceStatus::Paid);
        if waits || is_unpaid(&mut tx, partner).await? {
            return Ok(ToppedUp::Nothing);
        }
        let (done, is_news) = held.buy(&mut tx, partner, lent, now).await?;
        if is_news {
            for recipient in recipients(&mut tx, partner).await? {
                if let Some(mail) = letters(&done, &recipient) {
                    mails::queue(&mut tx, &mail, now).await?;
                }
            }
        }
        tx.commit().await?;
        Ok(done)
    }
}

impl Held {
    /// Buys, or says why not; and whether that is news. An invoice will bill `lent` units.
    async fn buy(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        lent: i64,
        now: Timestamp,
    ) -> Result<(ToppedUp, bool), StoreError> {
        let top_up = &self.top_up;
        let failed = |message: String| {
            let is_news = self.problem.as_ref() != Some(&message);
            (ToppedUp::Failed(message), is_news)
        };
        let package = match sold(tx, partner, &top_up.package).await {
            Ok(package) => package,
            Err(StoreError::Conflict { message, .. } | StoreError::Invalid { message, .. }) => {
                note(tx, partner, (None, Some(&message)), now).await?;
                return Ok(failed(message));
            }
            Err(error) => return Err(error),
        };
        let worse = self.agreed.as_ref().and_then(|agreed| package.worse_than(agreed, top_up.quantity));
        if let Some(worse) = worse {
            let message = format!("{worse}: order it again to go on");
            note(tx, partner, (None, Some(&message)), now).await?;
            return Ok(failed(message));
        }
        let cost = package.cost(top_up.quantity);
        let spent = self.spent(tx, partner, now).await?;
        let would = cost.as_ref().ok().and_then(|cost| spent.checked_add(*cost).ok());
        if would.is_none_or(|would| would.micros > top_up.monthly_cap.micros) {
            let month = self.month(now)?.start;
            note(tx, partner, (None, Some("The month's cap is reached")), now).await?;
            let is_news = self.told_capped != Some(month);
            if is_news {
                sqlx::query("update credit_top_ups set told_capped = $2 where partner_id = $1")
                    .bind(partner.0)
                    .bind(Ts(month))
                    .execute(&mut **tx)
                    .await?;
            }
            return Ok((ToppedUp::Capped { top_up: top_up.clone(), spent }, is_news));
        }
        let new = NewCreditPurchase {
            code: top_up.package.clone(),
            quantity: top_up.quantity,
            reference: format!("top-up-{}", Uuid::now_v7()),
            cost: cost.ok(),
        };
        if self.agreed.is_none() {
            sqlx::query("update credit_top_ups set agreed = $2 where partner_id = $1 and agreed is null")
                .bind(partner.0)
                .bind(Json(&package))
                .execute(&mut **tx)
                .await?;
        }
        let purchase = sell(tx, partner, &new, Actor::System, now).await?;
        sqlx::query("insert into credit_top_up_purchases (partner_id, invoice_id, bought_at) values ($1, $2, $3)")
            .bind(partner.0)
            .bind(purchase.invoice.0)
            .bind(Ts(now))
            .execute(&mut **tx)
            .await?;
        let lent_then = sqlx::query("update credit_top_ups set lent_units = $2 where partner_id = $1");
        lent_then.bind(partner.0).bind(lent).execute(&mut **tx).await?;
        note(tx, partner, (Some(purchase.invoice), None), now).await?;
        Ok((ToppedUp::Bought(purchase), true))
    }
}

/// Units that are left, where those that an invoice will bill are not held against them; and how many those are.
///
/// What is bought for a low balance would pay for what made it low, if both are of one hour, and be bought again: so in that hour the
/// balance is held against no more than it was when it was bought for, and not against less.
async fn left(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<(i64, i64), StoreError> {
    // Of one instant: whoever books credit waits, but not for the invoice that is made next.
    tx.execute("savepoint look").await?;
    post::lock(tx, partner).await?;
    let left: i64 = sqlx::query_scalar(concat!("select ", left!("$1"))).bind(partner.0).fetch_one(&mut **tx).await?;
    let hour = hour_of(now);
    let lent = match lent_in(tx, partner, hour).await? {
        None => overdraft::lent(tx, partner, None, now).await?,
        Some(before) => overdraft::lent(tx, partner, Some(hour), now).await?.min(before),
    };
    tx.execute("rollback to savepoint look").await?;
    Ok((left.saturating_add(lent), lent))
}

/// Units that an invoice would bill when something was last bought, if that was since `hour`.
async fn lent_in(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    hour: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let lent = sqlx::query_scalar(
        "select t.lent_units from credit_top_ups t where t.partner_id = $1 and exists (
             select from credit_top_up_purchases p where p.partner_id = $1 and p.bought_at >= $2)",
    );
    Ok(lent.bind(partner.0).bind(Ts(hour)).fetch_optional(&mut **tx).await?)
}

/// Whether something that was bought by an order of the partner, this one or one before it, waits to be paid.
async fn is_unpaid(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<bool, StoreError> {
    let unpaid = sqlx::query_scalar(
        "select exists (select from credit_top_up_purchases t
             join invoices i on i.partner_id = t.partner_id and i.id = t.invoice_id
             where t.partner_id = $1 and i.status in ('open', 'sent'))",
    );
    Ok(unpaid.bind(partner.0).fetch_one(&mut **tx).await?)
}

/// Notes what answers the low balance, and why nothing was bought.
async fn note(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (answered_by, problem): (Option<InvoiceId>, Option<&str>),
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update credit_top_ups set answered_by = $2, problem = $3, updated_at = $4
         where partner_id = $1 and (answered_by, problem) is distinct from ($2, $3)",
    )
    .bind(partner.0)
    .bind(answered_by.map(|id| id.0))
    .bind(problem)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Members who may see money, verified.
async fn recipients(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<Vec<String>, StoreError> {
    let emails = sqlx::query_scalar(
        "select email from members where partner_id = $1 and role in ('owner', 'admin', 'billing')
             and email_verified_at is not null and disabled_at is null order by email",
    )
    .bind(partner.0)
    .fetch_all(&mut **tx)
    .await?;
    Ok(emails)
}
