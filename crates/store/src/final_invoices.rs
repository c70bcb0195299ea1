//! Invoices for partners that have no next one: usage of closed periods that came or was corrected after their last.

use crate::{
    Store, StoreError, Ts,
    invoices::{self, NewInvoice},
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    money::Currency,
    period::Period,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, postgres::PgRow};

/// What waits for an invoice that will not come by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranded {
    pub partner: PartnerId,
    pub currency: Currency,
    /// The last subscription that any of it is of.
    pub subscription: SubscriptionId,
    /// Where that one's last invoice ends.
    pub since: Timestamp,
}

impl Store {
    /// Adjustments that wait, the first of each since `before` or longer, of partners without a subscription in their currency that is
    /// not billed to its end.
    pub async fn all_partners_stranded(&self, before: Timestamp) -> Result<Vec<Stranded>, StoreError> {
        let rows = sqlx::query(
            "with waiting as (
                 select a.partner_id, v.terms ->> 'currency' as currency, min(a.received_at) as first,
                     (array_agg(a.subscription_id order by a.period_end desc, a.subscription_id))[1] as subscription_id
                 from usage_adjustments a
                 join subscriptions s on s.partner_id = a.partner_id and s.id = a.subscription_id
                 join plan_versions v on v.id = s.plan_version_id
                 where a.invoice_id is null
                 group by 1, 2
             )
             select w.partner_id, w.currency, w.subscription_id, ends.since
             from waiting w
             cross join lateral (
                 select greatest(
                     (select max(b.period_end) from billing_periods b
                      where b.partner_id = w.partner_id and b.subscription_id = w.subscription_id),
                     (select max(i.period_end) from invoices i
                      where i.partner_id = w.partner_id and i.subscription_id = w.subscription_id
                          and not i.in_advance and not i.stands_alone)) as since
             ) as ends
             where w.first <= $1 and not exists (
                 select from subscriptions s join plan_versions v on v.id = s.plan_version_id
                 where s.partner_id = w.partner_id and v.terms ->> 'currency' = w.currency
                     and s.status in ('active', 'ended') and s.started_at is not null
                     and (s.ended_at is null or s.ended_at > coalesce(
                         (select max(b.period_end) from billing_periods b
                          where b.partner_id = s.partner_id and b.subscription_id = s.id), s.started_at)))
             order by w.partner_id, w.currency",
        )
        .bind(Ts(before))
        .fetch_all(self.pool())
        .await?;
        let stranded = |row: &PgRow| {
            Ok(Stranded {
                partner: PartnerId(row.try_get("partner_id")?),
                currency: row.parsed("currency")?,
                subscription: SubscriptionId(row.try_get("subscription_id")?),
                since: row.at("since")?,
            })
        };
        Ok(rows.iter().map(stranded).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Whether the partner's next bill in that currency will be made without anybody doing anything.
    pub async fn has_next_invoice(&self, partner: PartnerId, currency: Currency) -> Result<bool, StoreError> {
        let open = self.open_subscriptions(partner).await?;
        Ok(open.iter().any(|subscription| subscription.terms.currency == currency))
    }

    /// Writes an invoice for what is stranded, and the ledger. `None` where somebody else did.
    pub async fn make_final_invoice(
        &self,
        stranded: Stranded,
        invoice: NewInvoice,
        now: Timestamp,
    ) -> Result<Option<InvoiceId>, StoreError> {
        let Stranded { partner, subscription, since, .. } = stranded;
        let mut tx = self.begin().await?;
        subscriptions::hold(&mut tx, partner, subscription).await?;
        let is_made: bool = sqlx::query_scalar(
            "select exists (select from usage_adjustments
                 where partner_id = $1 and sequence = any($2) and invoice_id is not null)",
        )
        .bind(partner.0)
        .bind(&invoice.late)
        .fetch_one(&mut *tx)
        .await?;
        if is_made {
            tx.rollback().await?;
            return Ok(None);
        }
        // The next one begins where this one ends, and two never begin together.
        let period = Period { start: since, end: now.max(since + SignedDuration::from_secs(1)) };
        let id = invoices::bill(&mut tx, partner, subscription, (period, "Final invoice"), invoice, now).await?;
        sqlx::query("update invoices set is_final = true where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }
}
