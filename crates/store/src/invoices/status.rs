//! What becomes of an invoice: sent, paid, given up or void. It only moves forward, and the ledger follows in the same transaction.

use super::Collector;
use crate::{
    Store, StoreError, Ts, advance_fees,
    audit::{self, Actor, Entry},
    credit_notes,
    credits::{fee_bonus, sold},
    dunning,
    ledger::{self, LedgerAccount},
    partners,
    row::ReadRow as _,
};
use domain::{
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction};
use std::{fmt, str::FromStr};

/// What became of an invoice, in the order in which it can: it never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// Closed by us, not at Stripe or still a draft there.
    Open,
    /// Stripe collects it.
    Sent,
    /// Given up, and it may still be paid.
    Uncollectible,
    /// It counts no more.
    Void,
    Paid,
}

impl InvoiceStatus {
    pub const ALL: [Self; 5] = [Self::Open, Self::Sent, Self::Uncollectible, Self::Void, Self::Paid];

    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Sent => "sent",
            Self::Uncollectible => "uncollectible",
            Self::Void => "void",
            Self::Paid => "paid",
        }
    }

    /// Whether news of `next` is news: paid and void are final, and nothing goes back.
    pub fn may_become(self, next: Self) -> bool {
        !matches!(self, Self::Paid | Self::Void) && next > self
    }
}

impl fmt::Display for InvoiceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for InvoiceStatus {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|status| status.code() == text)
            .ok_or_else(|| format!("{text:?} is not the status of an invoice"))
    }
}

impl Store {
    /// Moves the status forward; a status that it has passed changes nothing. Payment and voiding are posted to the ledger
    /// in the same transaction, once, and bring a partner back that did not pay before. Says whether anything changed.
    pub async fn set_invoice_status(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        status: InvoiceStatus,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let forward = move_to(&mut tx, partner, invoice, status, now).await?;
        if forward {
            dunning::settle(&mut tx, partner, Actor::System, now).await?;
        }
        tx.commit().await?;
        Ok(forward)
    }

    /// Says that the invoice was paid elsewhere; false where it was already, or counts no more.
    ///
    /// One that Stripe has taken and refuses for good is told there, so that nobody pays it there as well. Where some of it is on an invoice
    /// of Stripe's that nobody here knows, it cannot be.
    ///
    /// # Errors
    /// Stripe collects it.
    pub async fn mark_invoice_paid(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let row = sqlx::query(
            "select i.collected_by, i.status = 'open' and i.push_problem is not null and (
                 i.collect = 'invoice_items' or exists (select from stripe_objects o where o.partner_id = i.partner_id
                     and o.subject = 'invoice:invoice_' || replace(i.id::text, '-', ''))
                 or not exists (select from stripe_objects o where o.partner_id = i.partner_id
                     and split_part(o.subject, ':', 1) in ('item', 'meter_event')
                     and split_part(o.subject, ':', 2) = 'invoice_' || replace(i.id::text, '-', ''))) as is_refused
             from invoices i where i.partner_id = $1 and i.id = $2 for update",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .fetch_one(&mut *tx)
        .await?;
        let is_stripes = row.try_get::<Option<&str>, _>("collected_by")? == Some(Collector::Stripe.code());
        let forward = move_to(&mut tx, partner, invoice, InvoiceStatus::Paid, now).await?;
        if forward && is_stripes {
            if !row.try_get::<bool, _>("is_refused")? {
                return Err(StoreError::conflict(
                    "invoice",
                    "Stripe collects this invoice: say there that it was paid",
                ));
            }
            sqlx::query("update invoices set paid_elsewhere = 'to_tell' where partner_id = $1 and id = $2")
                .bind(partner.0)
                .bind(invoice.0)
                .execute(&mut *tx)
                .await?;
        }
        if forward {
            let subject = invoice.to_string();
            audit::append(&mut tx, Entry::new(actor, partner, "invoice.paid", &subject), now).await?;
            dunning::settle(&mut tx, partner, actor, now).await?;
        }
        tx.commit().await?;
        Ok(forward)
    }

    /// Notes that Stripe knows that the invoice was paid elsewhere, or has nothing of it.
    pub async fn note_told_paid(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update invoices set paid_elsewhere = 'told', push_problem = null, updated_at = $3
             where partner_id = $1 and id = $2 and paid_elsewhere = 'to_tell'",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes that Stripe was told of the invoice and could not take it now: the others come before it the next time.
    pub async fn note_push_try(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update invoices set updated_at = greatest(updated_at, $3) where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(invoice.0)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Notes why Stripe does not hold the invoice as it should.
    pub async fn set_push_problem(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        problem: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update invoices set push_problem = $3, updated_at = $4 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(invoice.0)
            .bind(problem)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

/// Moves the status forward, in the ledger as well; whether it moved. What prepaid units are paid can be used from here on, and the bonus for a
/// fee.
pub(crate) async fn move_to(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    status: InvoiceStatus,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let row = sqlx::query("select status from invoices where partner_id = $1 and id = $2 for update")
        .bind(partner.0)
        .bind(invoice.0)
        .fetch_one(&mut **tx)
        .await?;
    let held: InvoiceStatus = row.parsed("status")?;
    let forward = held.may_become(status);
    sqlx::query(
        "update invoices set status = case when $4 then $3 else status end, push_problem = null, updated_at = $5
         where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(status.code())
    .bind(forward)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    if !forward {
        return Ok(false);
    }
    // What was credited before is owed no more.
    let owed = credit_notes::standing(tx, partner, invoice).await?;
    match status {
        InvoiceStatus::Void => {
            advance_fees::keep_unused(tx, partner, invoice).await?;
            let left = owed.to_void();
            if left.micros != 0 {
                sold::post_void(tx, partner, invoice, left, now).await?;
            }
        }
        InvoiceStatus::Paid => {
            let paid = Money::new(owed.total.currency, owed.total.micros - owed.credited_unpaid.micros);
            let back = Money { micros: -paid.micros, ..paid };
            if paid.micros != 0 {
                let entries = [(LedgerAccount::Cash, paid), (LedgerAccount::Receivable, back)];
                ledger::post(tx, partner, &format!("paid:{invoice}"), "Payment", &entries, now).await?;
            }
            if let Some(sold) = sold::of_invoice(tx, partner, invoice).await? {
                sold.open(tx, partner, now).await?;
            }
            fee_bonus::open(tx, partner, invoice, now).await?;
        }
        InvoiceStatus::Open | InvoiceStatus::Sent | InvoiceStatus::Uncollectible => {}
    }
    Ok(true)
}

/// Makes an invoice void that is held by the transaction, and takes back what is still owed.
pub(crate) async fn become_void(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let owed = credit_notes::standing(tx, partner, invoice).await?.to_void();
    sqlx::query(
        "update invoices set status = 'void', push_problem = null, updated_at = $3 where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    advance_fees::keep_unused(tx, partner, invoice).await?;
    if owed.micros != 0 {
        sold::post_void(tx, partner, invoice, owed, now).await?;
    }
    Ok(())
}
