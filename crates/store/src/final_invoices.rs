//! Invoices for partners that have no next one: usage of closed periods that came or was corrected after their last, and units beyond all
//! credit that it did not bill.

use crate::{
    Store, StoreError, Ts,
    credits::overdraft::{self, BilledBy},
    invoices::{self, NewInvoice},
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::Currency,
    period::Period,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, postgres::PgRow};

/// What waits for an invoice that will not come by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranded {
    pub partner: PartnerId,
    pub currency: Currency,
    /// The last subscription that any of it is of.
    pub subscription: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub time_zone: String,
    /// Where that one's last invoice ends.
    pub since: Timestamp,
}

impl Store {
    /// Adjustments and units beyond all credit that wait, the first of each since `before` or longer, of partners without a subscription in
    /// their currency that is not billed to its end.
    pub async fn all_partners_stranded(&self, before: Timestamp) -> Result<Vec<Stranded>, StoreError> {
        let rows = sqlx::query(
            "with lending as materialized (
                 select s.partner_id, s.id, s.started_at, s.ended_at, v.terms ->> 'currency' as currency
                 from subscriptions s join plan_versions v on v.id = s.plan_version_id
                 where s.status = 'ended' and s.ended_at > s.started_at
                     and v.terms #>> '{admission,credit,overdraft,unit_price}' is not null
                     and exists (select from credit_owed o where o.partner_id = s.partner_id)
                     and not next_invoice_comes(s.partner_id, v.terms ->> 'currency')
             ), late as (
                 select a.partner_id, v.terms ->> 'currency' as currency, a.received_at, a.period_end, a.subscription_id
                 from usage_adjustments a
                 join subscriptions s on s.partner_id = a.partner_id and s.id = a.subscription_id
                 join plan_versions v on v.id = s.plan_version_id
                 where a.invoice_id is null
                 union all
                 select l.partner_id, l.currency, t.at, l.ended_at, l.id
                 from lending l
                 join credit_owed o on o.partner_id = l.partner_id and o.units > 0
                     and o.hour > l.started_at - interval '1 hour' and o.hour < l.ended_at
                 cross join lateral credit_overdraft_in(o.partner_id, o.hour) as p
                 join ledger_unit_entries e on e.partner_id = o.partner_id and e.hour = o.hour and e.account = 'owed'
                 join ledger_transactions t on t.partner_id = e.partner_id and t.id = e.transaction_id
                 where p.subscription_id = l.id
             ), waiting as (
                 select partner_id, currency, min(received_at) as first,
                     (array_agg(subscription_id order by period_end desc, subscription_id))[1] as subscription_id
                 from late group by 1, 2
             )
             select w.partner_id, w.currency, w.subscription_id, s.plan_version_id, s.time_zone, ends.since
             from waiting w
             join subscriptions s on s.partner_id = w.partner_id and s.id = w.subscription_id
             cross join lateral (
                 select greatest(
                     (select max(b.period_end) from billing_periods b
                      where b.partner_id = w.partner_id and b.subscription_id = w.subscription_id),
                     (select max(i.period_end) from invoices i
                      where i.partner_id = w.partner_id and i.subscription_id = w.subscription_id
                          and not i.in_advance and not i.stands_alone)) as since
             ) as ends
             where w.first <= $1 and not next_invoice_comes(w.partner_id, w.currency)
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
                plan_version: PlanVersionId(row.try_get("plan_version_id")?),
                time_zone: row.try_get("time_zone")?,
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
        stranded: &Stranded,
        invoice: NewInvoice,
        now: Timestamp,
    ) -> Result<Option<InvoiceId>, StoreError> {
        let Stranded { partner, subscription, since, currency, .. } = *stranded;
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
        // The next run reads again what is owed by then.
        let overdrawn = overdraft::due(&mut tx, partner, BilledBy::Final(currency), now).await?;
        if is_made || !invoice.overdrawn.is_empty() && overdrawn != invoice.overdrawn {
            tx.rollback().await?;
            return Ok(None);
        }
        let overdrawn = invoice.overdrawn.clone();
        // The next one begins where this one ends, and two never begin together.
        let period = Period { start: since, end: now.max(since + SignedDuration::from_secs(1)) };
        let id = invoices::bill(&mut tx, partner, subscription, (period, "Final invoice"), invoice, now).await?;
        overdraft::bill(&mut tx, partner, (id, &overdrawn), now).await?;
        sqlx::query("update invoices set is_final = true where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(id))
    }
}
