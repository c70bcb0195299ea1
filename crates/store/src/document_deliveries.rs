//! Invoices, credit notes and voids on their way to the provider's own receiver: what is to go, what went, what could not.
//!
//! The row of a document holds what is sent, to the letter. Who sends, signs and tries again is `server`.

mod listed;

pub use listed::{DeliveriesStanding, DeliveryState, ListedDelivery};

use crate::{Store, StoreError, Ts, row::unreadable};
use domain::id::{CreditNoteId, InvoiceId, PartnerId};
use jiff::{SignedDuration, Timestamp};
use sqlx::{Row as _, postgres::PgRow};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// After that time without a delivery that worked it is given up.
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24 * 5);
/// What is kept of what went wrong.
const MAX_MESSAGE: usize = 300;

/// What kind of message it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentKind {
    Invoice,
    CreditNote,
    Void,
}

/// Which document; its text is the message's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    Invoice(InvoiceId),
    /// A credit note, or what makes an invoice void.
    CreditNote(CreditNoteId),
}

/// A document that has no row yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unlisted {
    pub partner: PartnerId,
    pub document: Document,
    pub kind: DocumentKind,
    /// The invoice itself, or the one that it is of.
    pub invoice: InvoiceId,
}

/// A document to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub document: Document,
    pub kind: DocumentKind,
    pub body: String,
    pub failures: u32,
}

impl DocumentKind {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit_note",
            Self::Void => "void",
        }
    }
}

impl FromStr for DocumentKind {
    type Err = sqlx::Error;
    fn from_str(text: &str) -> Result<Self, sqlx::Error> {
        let known = [Self::Invoice, Self::CreditNote, Self::Void].into_iter().find(|kind| kind.code() == text);
        known.ok_or_else(|| unreadable("kind", format!("{text} is not known")))
    }
}

impl Document {
    const fn uuid(self) -> Uuid {
        match self {
            Self::Invoice(InvoiceId(id)) | Self::CreditNote(CreditNoteId(id)) => id,
        }
    }

    const fn of(kind: DocumentKind, id: Uuid) -> Self {
        match kind {
            DocumentKind::Invoice => Self::Invoice(InvoiceId(id)),
            DocumentKind::CreditNote | DocumentKind::Void => Self::CreditNote(CreditNoteId(id)),
        }
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invoice(id) => id.fmt(f),
            Self::CreditNote(id) => id.fmt(f),
        }
    }
}

impl FromStr for Document {
    type Err = domain::id::BadId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::Invoice).or_else(|_| text.parse().map(Self::CreditNote))
    }
}

impl Store {
    /// Documents that have no row yet, oldest first: invoices that nobody has taken and that are open, or were made since invoices go to the
    /// receiver; and what was credited or made void of those that it was or will be told of.
    pub async fn all_partners_unlisted_documents(&self, at_most: u32) -> Result<Vec<Unlisted>, StoreError> {
        let rows = sqlx::query(
            "with going as (
                 select i.partner_id, i.id, i.created_at from invoices i
                 where i.collected_by is null and (
                     i.status = 'open' or i.created_at >= (select since from invoice_sink where sink = 'webhook'))
             )
             select partner_id, id, kind, invoice_id from (
                 select partner_id, id, 'invoice' as kind, id as invoice_id, created_at as at from going
                 union all
                 select c.partner_id, c.id, case c.kind when 'void' then 'void' else 'credit_note' end, c.invoice_id, c.updated_at
                 from credit_notes c join invoices i on i.partner_id = c.partner_id and i.id = c.invoice_id
                 where c.state = 'issued' and c.pushed_at is null
                     and (i.collected_by = 'webhook' or exists (select from going where going.id = i.id))
             ) as found
             where not exists (select from document_deliveries d where d.id = found.id)
             order by at, id limit $1",
        )
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            let kind: DocumentKind = row.try_get::<&str, _>("kind")?.parse()?;
            Ok(Unlisted {
                partner: PartnerId(row.try_get("partner_id")?),
                document: Document::of(kind, row.try_get("id")?),
                kind,
                invoice: InvoiceId(row.try_get("invoice_id")?),
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Makes the row with what is sent, and has the receiver collect the invoice. Where there is a row it stays as it is; where Stripe has
    /// taken the invoice there will be none.
    pub async fn enlist_document(&self, of: &Unlisted, body: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let taken = sqlx::query(
            "update invoices set collected_by = 'webhook'
             where partner_id = $1 and id = $2 and (collected_by = 'webhook' or $3 and collected_by is null)",
        )
        .bind(of.partner.0)
        .bind(of.invoice.0)
        .bind(of.kind == DocumentKind::Invoice)
        .execute(&mut *tx)
        .await?;
        if taken.rows_affected() == 0 {
            return Ok(());
        }
        sqlx::query(
            "insert into document_deliveries (id, kind, partner_id, invoice_id, body, state, enlisted_at, next_try_at)
             values ($1, $2, $3, $4, $5, 'waiting', $6, $6) on conflict (id) do nothing",
        )
        .bind(of.document.uuid())
        .bind(of.kind.code())
        .bind(of.partner.0)
        .bind(of.invoice.0)
        .bind(body)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// What is due and nobody else sends; it is the caller's until `until`. What is of an invoice comes after it.
    pub async fn claim_deliveries(
        &self,
        now: Timestamp,
        until: Timestamp,
        at_most: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let rows = sqlx::query(
            "update document_deliveries set claimed_until = $2 where id in (
                 select d.id from document_deliveries d
                 where d.state = 'waiting' and d.next_try_at <= $1 and (d.claimed_until is null or d.claimed_until <= $1)
                     and (d.kind = 'invoice' or not exists (
                         select from document_deliveries i
                         where i.invoice_id = d.invoice_id and i.kind = 'invoice' and i.state <> 'delivered'))
                 order by d.next_try_at, d.id limit $3 for update skip locked)
             returning id, kind, body, failures",
        )
        .bind(Ts(now))
        .bind(Ts(until))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            let kind: DocumentKind = row.try_get::<&str, _>("kind")?.parse()?;
            Ok(Delivery {
                document: Document::of(kind, row.try_get("id")?),
                kind,
                body: row.try_get("body")?,
                failures: u32::try_from(row.try_get::<i32, _>("failures")?).unwrap_or(0),
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// The receiver took it: the invoice is sent, or the credit note told.
    pub async fn note_document_delivered(&self, document: Document, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        // The invoice before its documents, as everywhere: whoever enlists holds it while looking for them.
        sqlx::query(
            "select from invoices where id = (select invoice_id from document_deliveries where id = $1) for update",
        )
        .bind(document.uuid())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "update document_deliveries set state = 'delivered', delivered_at = $2, claimed_until = null, failures = 0,
                 failing_since = null, message = '' where id = $1",
        )
        .bind(document.uuid())
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        let told = match document {
            Document::Invoice(_) => {
                "update invoices set status = 'sent', updated_at = $2 where id = $1 and status = 'open'"
            }
            Document::CreditNote(_) => {
                "update credit_notes set pushed_at = $2, push_problem = null, updated_at = $2
                 where id = $1 and state = 'issued' and pushed_at is null"
            }
        };
        sqlx::query(told).bind(document.uuid()).bind(Ts(now)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// It failed and is tried again at that time. After five days, and where the receiver says that it is `gone`, it is given up until
    /// somebody has it sent again. Says whether it was given up.
    pub async fn note_document_failure(
        &self,
        document: Document,
        message: &str,
        gone: bool,
        next_try_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let state: String = sqlx::query_scalar(
            "update document_deliveries set failures = failures + 1, failing_since = coalesce(failing_since, $3), next_try_at = $4,
                 claimed_until = null, message = $2,
                 state = case when $5 or coalesce(failing_since, $3) <= $6 then 'dead' else 'waiting' end
             where id = $1 returning state",
        )
        .bind(document.uuid())
        .bind(message.chars().take(MAX_MESSAGE).collect::<String>())
        .bind(Ts(now))
        .bind(Ts(next_try_at))
        .bind(gone)
        .bind(Ts(now - GIVE_UP))
        .fetch_one(self.pool())
        .await?;
        Ok(state == "dead")
    }
}
