//! Who collects an invoice: where invoices go can be changed, and whoever took one first keeps it.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::id::{InvoiceId, PartnerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row as _;
use std::str::FromStr;

/// Who has taken an invoice to collect it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Collector {
    Stripe,
    /// The provider's own receiver.
    Webhook,
}

/// Invoices that somebody collects to whom invoices go no longer, and that are not paid or void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftBehind {
    /// With Stripe.
    pub stripe: u64,
    /// Offered to the provider's receiver, which has not taken them.
    pub webhook: u64,
}

impl Collector {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Stripe => "stripe",
            Self::Webhook => "webhook",
        }
    }
}

impl FromStr for Collector {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Stripe, Self::Webhook].into_iter().find(|known| known.code() == text);
        known.ok_or_else(|| format!("{text:?} collects no invoices"))
    }
}

impl Store {
    /// Has Stripe collect an open invoice, before Stripe is asked to hold any of it. False where it goes elsewhere, or is not open any more.
    pub async fn take_invoice_for_stripe(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let taken = sqlx::query(
            "update invoices set collected_by = 'stripe', updated_at = greatest(updated_at, $3)
             where partner_id = $1 and id = $2 and status = 'open' and (collected_by is null or collected_by = 'stripe')",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Notes where invoices go, and returns since when they do. The audit log has changes.
    pub async fn note_invoice_sink(
        &self,
        collector: Option<Collector>,
        now: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let sink = collector.map_or("none", Collector::code);
        let mut tx = self.begin().await?;
        sqlx::query("lock table invoice_sink in share row exclusive mode").execute(&mut *tx).await?;
        let before = sqlx::query("select sink, since from invoice_sink").fetch_optional(&mut *tx).await?;
        if let Some(before) = &before
            && before.try_get::<&str, _>("sink")? == sink
        {
            let since = before.at("since")?;
            tx.commit().await?;
            return Ok(since);
        }
        sqlx::query(
            "insert into invoice_sink (sink, since) values ($1, $2)
             on conflict (is_only) do update set sink = excluded.sink, since = excluded.since",
        )
        .bind(sink)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if let Some(before) = before {
            let entry = Entry::new(Actor::System, None, "invoices.sink", sink)
                .before(json!(before.try_get::<&str, _>("sink")?))
                .after(json!(sink));
            audit::append(&mut tx, entry, now).await?;
        }
        tx.commit().await?;
        Ok(now)
    }

    /// Lets go of documents that were to be posted to the provider's receiver and of which nothing was ever sent, so that their invoices can
    /// go to Stripe. Says how many invoices.
    pub async fn release_unsent_documents(&self) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        let waiting: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select id from invoices where id in (
                 select id from document_deliveries
                 where kind = 'invoice' and state = 'waiting' and failures = 0 and claimed_until is null and replays = 0)
             order by id for update",
        )
        .fetch_all(&mut *tx)
        .await?;
        let invoices: Vec<uuid::Uuid> = sqlx::query_scalar(
            "delete from document_deliveries
             where id = any($1) and kind = 'invoice' and state = 'waiting' and failures = 0 and claimed_until is null
                 and replays = 0
             returning id",
        )
        .bind(&waiting)
        .fetch_all(&mut *tx)
        .await?;
        // What is of an invoice waits until that has arrived.
        sqlx::query("delete from document_deliveries where invoice_id = any($1)")
            .bind(&invoices)
            .execute(&mut *tx)
            .await?;
        sqlx::query("update invoices set collected_by = null where id = any($1) and collected_by = 'webhook'")
            .bind(&invoices)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(invoices.len() as u64)
    }

    /// What is left with others than the one to whom invoices go.
    pub async fn all_partners_left_behind(&self, collector: Option<Collector>) -> Result<LeftBehind, StoreError> {
        let row = sqlx::query(
            "select count(*) filter (where i.collected_by = 'stripe') as stripe,
                 count(*) filter (where i.collected_by = 'webhook' and i.status = 'open') as webhook
             from invoices i
             where i.status in ('open', 'sent', 'uncollectible') and i.collected_by is distinct from $1",
        )
        .bind(collector.map(Collector::code))
        .fetch_one(self.pool())
        .await?;
        Ok(LeftBehind { stripe: row.count("stripe")?, webhook: row.count("webhook")? })
    }
}
