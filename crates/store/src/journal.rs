//! The revenue journal: what was billed, paid, earned and given back, day by day, in the words of ASC 606.
//!
//! Owns: which entry follows from which row, and that a day, once written, never changes. Does not own: what is billed or booked; the
//! ledger, the invoices and the fees in advance are only read.
//! Always true: each transaction sums to zero, each is on a day that is over, all amounts are whole coins, and each movement of the
//! ledger is taken in once.
//!
//! Where balances and not movements are what is known (a fee that is earned over time, parts of a coin of prepaid credit), a day's
//! entry is what the balance should be less what the journal has: so it is right again the next day whatever came in between.

mod close;
mod credit;
mod due;
mod fees;
mod write;

use crate::{
    Store, StoreError,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{CreditGrantId, CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
    period::Period,
    revenue::Account,
};
use jiff::{Timestamp, civil::Date};
use sqlx::{Row as _, postgres::PgRow};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// Why a transaction is in the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JournalKind {
    /// Something was invoiced.
    Invoice,
    /// What an invoice bills in arrears was earned, at the end of its period.
    Usage,
    /// Part of a fee in advance was earned, or was not after all.
    Fee,
    /// Prepaid credit was used, expired or was taken back.
    Credit,
    /// Something was paid.
    Payment,
    CreditNote,
    Void,
    /// Prepaid credit that no invoice sold was paid back.
    Refund,
}

impl JournalKind {
    pub const ALL: [Self; 8] = [
        Self::Invoice,
        Self::Usage,
        Self::Fee,
        Self::Credit,
        Self::Payment,
        Self::CreditNote,
        Self::Void,
        Self::Refund,
    ];

    /// As files and the database have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Usage => "usage",
            Self::Fee => "fee",
            Self::Credit => "credit",
            Self::Payment => "payment",
            Self::CreditNote => "credit_note",
            Self::Void => "void",
            Self::Refund => "refund",
        }
    }
}

impl fmt::Display for JournalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl FromStr for JournalKind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|kind| kind.code() == text);
        known.ok_or_else(|| format!("{text:?} is not a kind of the journal"))
    }
}

/// One entry, and the transaction that it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalEntry {
    /// The transaction's.
    pub transaction: Uuid,
    /// Counts transactions up over all partners, without a hole.
    pub number: i64,
    /// In the transaction, from zero.
    pub position: i32,
    /// UTC.
    pub day: Date,
    pub kind: JournalKind,
    pub description: String,
    pub partner: PartnerId,
    pub account: Account,
    /// A debit is above zero. Whole coins.
    pub amount: Money,
    /// When it happened; `None` where it sums up a day.
    pub occurred_at: Option<Timestamp>,
    /// What the money is for, where it is for a period.
    pub service: Option<Period>,
    pub invoice: Option<InvoiceId>,
    /// The invoice's number.
    pub invoice_number: Option<i64>,
    pub credit_note: Option<CreditNoteId>,
    pub grant: Option<CreditGrantId>,
}

impl JournalEntry {
    /// The same for ever, and again where the journal is written again from the same rows.
    pub fn id(&self) -> String {
        format!("je_{}_{}", self.transaction.simple(), self.position)
    }
}

/// What an account moved by in some days. A debit is above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalTotal {
    pub account: Account,
    /// Before the first day.
    pub opening: Money,
    pub debits: Money,
    /// Zero or below.
    pub credits: Money,
    /// After the last day.
    pub closing: Money,
}

/// Which days, both included, and whose; all partners' where it is `None`.
#[derive(Debug, Clone, Copy)]
pub struct JournalDays {
    pub first: Date,
    pub last: Date,
    pub partner: Option<PartnerId>,
}

impl Store {
    /// The last day that is written: days after it have no entries yet.
    pub async fn all_partners_journal_through(&self) -> Result<Option<Date>, StoreError> {
        let day: Option<String> =
            sqlx::query_scalar("select max(day)::text from journal_days").fetch_one(self.pool()).await?;
        Ok(day.as_deref().map(|day| read_day("max", day)).transpose()?)
    }

    /// Entries of some days in the order of their transactions, `after` that number (0 for the first page), those of `size`
    /// transactions at most.
    pub async fn all_partners_journal(
        &self,
        days: JournalDays,
        after: i64,
        size: u32,
    ) -> Result<Vec<JournalEntry>, StoreError> {
        let rows = sqlx::query(
            "with wanted as (
                 select * from journal_transactions
                 where day between $1::text::date and $2::text::date and number > $3 and ($4::uuid is null or partner_id = $4)
                 order by number limit $5
             )
             select t.id, t.number, t.day::text, t.kind, t.description, t.partner_id, t.occurred_at, t.service_start, t.service_end,
                 t.invoice_id, t.credit_note_id, t.credit_grant_id, i.number as invoice_number, e.position, e.account, e.currency,
                 e.amount_micros
             from wanted t
             join journal_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
             left join invoices i on i.partner_id = t.partner_id and i.id = t.invoice_id
             order by t.number, e.position",
        )
        .bind(days.first.to_string())
        .bind(days.last.to_string())
        .bind(after)
        .bind(days.partner.map(|id| id.0))
        .bind(i64::from(size))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// What each account moved by, by currency.
    pub async fn all_partners_journal_totals(&self, days: JournalDays) -> Result<Vec<JournalTotal>, StoreError> {
        let rows = sqlx::query(
            "select e.currency, e.account,
                 coalesce(sum(e.amount_micros) filter (where t.day < $1::text::date), 0)::bigint as opening,
                 coalesce(sum(e.amount_micros) filter (where t.day >= $1::text::date and e.amount_micros > 0), 0)::bigint as debits,
                 coalesce(sum(e.amount_micros) filter (where t.day >= $1::text::date and e.amount_micros < 0), 0)::bigint as credits
             from journal_transactions t
             join journal_entries e on e.partner_id = t.partner_id and e.transaction_id = t.id
             where t.day <= $2::text::date and ($3::uuid is null or t.partner_id = $3)
             group by e.currency, e.account",
        )
        .bind(days.first.to_string())
        .bind(days.last.to_string())
        .bind(days.partner.map(|id| id.0))
        .fetch_all(self.pool())
        .await?;
        let total = |row: &PgRow| {
            let currency: Currency = row.parsed("currency")?;
            let money = |column: &str| Ok::<_, sqlx::Error>(Money::new(currency, row.try_get(column)?));
            let (opening, debits, credits) = (money("opening")?, money("debits")?, money("credits")?);
            let closing = Money { micros: opening.micros + debits.micros + credits.micros, ..opening };
            Ok(JournalTotal { account: row.parsed("account")?, opening, debits, credits, closing })
        };
        let mut totals = rows.iter().map(total).collect::<Result<Vec<_>, sqlx::Error>>()?;
        totals.sort_by_key(|total| (total.opening.currency.code(), total.account));
        Ok(totals)
    }
}

fn read(row: &PgRow) -> Result<JournalEntry, sqlx::Error> {
    let service = match (row.at_if_any("service_start")?, row.at_if_any("service_end")?) {
        (Some(start), Some(end)) => Some(Period { start, end }),
        _ => None,
    };
    Ok(JournalEntry {
        transaction: row.try_get("id")?,
        number: row.try_get("number")?,
        position: row.try_get("position")?,
        day: read_day("day", row.try_get("day")?)?,
        kind: row.parsed("kind")?,
        description: row.try_get("description")?,
        partner: PartnerId(row.try_get("partner_id")?),
        account: row.parsed("account")?,
        amount: Money::new(row.parsed("currency")?, row.try_get("amount_micros")?),
        occurred_at: row.at_if_any("occurred_at")?,
        service,
        invoice: row.try_get::<Option<Uuid>, _>("invoice_id")?.map(InvoiceId),
        invoice_number: row.try_get("invoice_number")?,
        credit_note: row.try_get::<Option<Uuid>, _>("credit_note_id")?.map(CreditNoteId),
        grant: row.try_get::<Option<Uuid>, _>("credit_grant_id")?.map(CreditGrantId),
    })
}

fn read_day(column: &str, text: &str) -> Result<Date, sqlx::Error> {
    text.parse().map_err(|error: jiff::Error| unreadable(column, error))
}

#[cfg(test)]
mod tests;
