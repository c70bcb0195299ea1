//! What a day takes in of the ledger, and what each of its transactions is in the journal.

use super::{
    JournalKind,
    write::{Posting, Subject},
};
use crate::{StoreError, Ts, ledger::LedgerAccount, row::ReadRow as _};
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    period::Period,
    revenue::Account,
};
use jiff::{SignedDuration, Timestamp, ToSpan as _, civil::Date, tz::TimeZone};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// A day in UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub date: Date,
    pub start: Timestamp,
    pub end: Timestamp,
    /// When it is written: what is booked from then on can be no part of it, however late somebody writes it.
    pub settled: Timestamp,
}

/// How long after its end a day is written: the invoices of periods that end with it are made by then, and the credit that its last
/// hour used is booked. What comes later is on a later day.
const SETTLES_AFTER: SignedDuration = SignedDuration::from_hours(6);

impl Day {
    pub(super) fn of(date: Date) -> Result<Self, StoreError> {
        let begin = |date: Date| date.to_zoned(TimeZone::UTC).map(|at| at.timestamp());
        let out = |_| StoreError::invalid("day", "The day is out of the calendar");
        let next = date.checked_add(1.day()).map_err(out)?;
        let end = begin(next).map_err(out)?;
        let settled = end.checked_add(SETTLES_AFTER).map_err(out)?;
        Ok(Self { date, start: begin(date).map_err(out)?, end, settled })
    }
}

/// The invoice that a transaction of the ledger is about.
#[derive(Debug, Clone, Copy)]
struct OfInvoice {
    id: Uuid,
    period: Period,
    in_advance: bool,
    stands_alone: bool,
}

/// A transaction of the ledger that the day takes in, or the part of it that is earned.
struct Due {
    partner: PartnerId,
    id: Uuid,
    key: String,
    description: String,
    at: Timestamp,
    grant: Option<Uuid>,
    credit_note: Option<Uuid>,
    invoice: Option<OfInvoice>,
    /// Earned on an earlier day.
    is_earned: bool,
    /// Booked by the end of the day, or about credit that was used in it.
    is_booked: bool,
    entries: Vec<(LedgerAccount, Money)>,
}

/// All of them.
pub(super) struct DueOfDay(Vec<Due>);

/// What the day takes in, the oldest first. Credit that the day's last hours used is booked when they are over, and is the day's all the
/// same, unless its grant is younger, or expired on a later day and before it was booked: then it goes behind that.
pub(super) async fn all(tx: &mut PgConnection, day: Day) -> Result<DueOfDay, StoreError> {
    let rows = sqlx::query(
        "select * from (
             select d.partner_id, t.id, t.idempotency_key, t.description, t.at, t.credit_grant_id, d.is_earned,
                 n.id as credit_note_id, i.id as invoice_id, i.period_start, i.period_end, i.in_advance, i.stands_alone,
                 t.at < $2 or exists (
                     select from ledger_unit_entries u
                     join credit_grants g on g.partner_id = u.partner_id and g.id = u.grant_id
                     where u.partner_id = t.partner_id and u.transaction_id = t.id and u.hour >= $1 and u.hour < $2
                         and g.usable_since < $2 and (g.ended_at is null or g.ended_at < $2 or not exists (
                             select from ledger_entries e
                             where e.partner_id = t.partner_id and e.transaction_id = t.id and e.account = 'breakage'))
                 ) as is_booked
             from journal_due d
             join ledger_transactions t on t.partner_id = d.partner_id and t.id = d.transaction_id
             left join credit_notes n on n.partner_id = t.partner_id
                 and n.id = substring(t.idempotency_key from '^credit_note:credit_note_([0-9a-f]{32})')::uuid
             left join invoices i on i.partner_id = t.partner_id
                 and i.id = coalesce(n.invoice_id, substring(t.idempotency_key from '^(?:paid:|void:)?invoice_([0-9a-f]{32})$')::uuid)
             where d.at < $3
         ) as due
         where is_booked or (not is_earned and period_end <= $2 and not in_advance and not stands_alone
             and idempotency_key like 'invoice\\_%')
         order by at, id",
    )
    .bind(Ts(day.start))
    .bind(Ts(day.end))
    .bind(Ts(day.settled))
    .fetch_all(&mut *tx)
    .await?;
    let mut due = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let mut entries = entries(tx, &due).await?;
    for one in &mut due {
        one.entries = entries.remove(&one.id).unwrap_or_default();
    }
    Ok(DueOfDay(due))
}

async fn entries(tx: &mut PgConnection, due: &[Due]) -> Result<HashMap<Uuid, Vec<(LedgerAccount, Money)>>, StoreError> {
    let rows = sqlx::query(
        "select e.transaction_id, e.account, e.currency, e.amount_micros
         from unnest($1::uuid[], $2::uuid[]) as due (partner_id, id)
         join ledger_entries e on e.partner_id = due.partner_id and e.transaction_id = due.id
         order by e.transaction_id, e.position",
    )
    .bind(due.iter().map(|one| one.partner.0).collect::<Vec<_>>())
    .bind(due.iter().map(|one| one.id).collect::<Vec<_>>())
    .fetch_all(tx)
    .await?;
    let mut of: HashMap<Uuid, Vec<_>> = HashMap::new();
    for row in &rows {
        let currency: Currency = row.parsed("currency")?;
        let entry = (row.parsed("account")?, Money::new(currency, row.try_get("amount_micros")?));
        of.entry(row.try_get("transaction_id")?).or_default().push(entry);
    }
    Ok(of)
}

impl DueOfDay {
    /// What is in the journal as it is in the ledger, but for the names.
    pub(super) fn postings(&self) -> Vec<Posting> {
        let mut postings = Vec::new();
        for due in self.0.iter().filter(|due| !due.is_of_grant()) {
            if due.bills_arrears() {
                postings.extend(due.earned());
                postings.extend(due.billed());
            } else {
                postings.push(due.as_booked());
            }
        }
        postings
    }

    /// Movements within grants of prepaid units, which may be of parts of a coin: the grants, and the transactions.
    pub(super) fn of_grants(&self) -> (BTreeSet<(PartnerId, Uuid)>, Vec<Uuid>) {
        let within = self.0.iter().filter(|due| due.is_of_grant());
        let grants = within.clone().filter_map(|due| Some((due.partner, due.grant?))).collect();
        (grants, self.0.iter().filter(|due| due.is_booked).map(|due| due.id).collect())
    }

    /// Invoices that something was booked of.
    pub(super) fn invoices(&self) -> Vec<Uuid> {
        let all: BTreeSet<Uuid> = self.0.iter().filter_map(|due| Some(due.invoice?.id)).collect();
        all.into_iter().collect()
    }

    /// Notes that the journal has them.
    pub(super) async fn take_off(&self, tx: &mut PgConnection) -> Result<(), StoreError> {
        let (booked, earned): (Vec<&Due>, Vec<&Due>) = self.0.iter().partition(|due| due.is_booked);
        for (statement, done) in [
            (
                "delete from journal_due d using unnest($1::uuid[], $2::uuid[]) as done (partner_id, id)
                 where d.partner_id = done.partner_id and d.transaction_id = done.id",
                booked,
            ),
            (
                "update journal_due d set is_earned = true from unnest($1::uuid[], $2::uuid[]) as done (partner_id, id)
                 where d.partner_id = done.partner_id and d.transaction_id = done.id",
                earned,
            ),
        ] {
            sqlx::query(statement)
                .bind(done.iter().map(|due| due.partner.0).collect::<Vec<_>>())
                .bind(done.iter().map(|due| due.id).collect::<Vec<_>>())
                .execute(&mut *tx)
                .await?;
        }
        Ok(())
    }
}

impl Due {
    /// Neither sold nor paid: it moves between what is owed and what is earned.
    fn is_of_grant(&self) -> bool {
        let is_settled =
            |(account, _): &(LedgerAccount, Money)| matches!(account, LedgerAccount::Receivable | LedgerAccount::Cash);
        self.grant.is_some() && !self.entries.iter().any(is_settled)
    }

    fn bills(&self) -> bool {
        self.key.starts_with("invoice_")
    }

    fn bills_arrears(&self) -> bool {
        self.bills() && self.invoice.is_some_and(|invoice| !invoice.in_advance && !invoice.stands_alone)
    }

    /// What an invoice in arrears bills is earned when its period ends.
    fn earned(&self) -> Option<Posting> {
        let entry = |(account, money): &(LedgerAccount, Money)| match account {
            LedgerAccount::Receivable => (Account::ContractAsset, *money),
            _ => (Account::Revenue, *money),
        };
        (!self.is_earned).then(|| Posting {
            source: format!("earned:{}", self.key),
            kind: JournalKind::Usage,
            description: "Earned in the period".to_owned(),
            occurred_at: self.invoice.map(|invoice| invoice.period.end),
            entries: self.entries.iter().map(entry).collect(),
            ..self.posting()
        })
    }

    fn billed(&self) -> Option<Posting> {
        let entry = |(account, money): &(LedgerAccount, Money)| match account {
            LedgerAccount::Receivable => (Account::AccountsReceivable, *money),
            _ => (Account::ContractAsset, *money),
        };
        self.is_booked.then(|| Posting { entries: self.entries.iter().map(entry).collect(), ..self.posting() })
    }

    fn as_booked(&self) -> Posting {
        let posting = self.posting();
        let gives_back = matches!(posting.kind, JournalKind::CreditNote | JournalKind::Refund);
        let is_deferred = self.invoice.is_some_and(|invoice| invoice.in_advance);
        let account = |account| match account {
            LedgerAccount::Receivable => Account::AccountsReceivable,
            LedgerAccount::Credits => Account::ContractLiability,
            LedgerAccount::Breakage => Account::BreakageRevenue,
            LedgerAccount::Cash if gives_back => Account::Refunds,
            LedgerAccount::Cash => Account::Cash,
            LedgerAccount::Revenue if is_deferred => Account::ContractLiability,
            LedgerAccount::Revenue => Account::Revenue,
        };
        Posting { entries: self.entries.iter().map(|(own, money)| (account(*own), *money)).collect(), ..posting }
    }

    /// Without entries.
    fn posting(&self) -> Posting {
        let kind = match (self.credit_note, self.key.split_once(':')) {
            (Some(_), _) => JournalKind::CreditNote,
            (None, Some(("void", _))) => JournalKind::Void,
            (None, Some(("credit-void", _))) => JournalKind::Refund,
            (None, Some(_)) => JournalKind::Payment,
            (None, None) => JournalKind::Invoice,
        };
        let stands_alone = self.invoice.is_none_or(|invoice| invoice.stands_alone);
        Posting {
            partner: self.partner,
            source: self.key.clone(),
            kind,
            description: self.description.clone(),
            occurred_at: Some(self.at),
            service: self.invoice.filter(|_| !stands_alone).map(|invoice| invoice.period),
            subject: Subject {
                invoice: self.invoice.map(|invoice| invoice.id),
                credit_note: self.credit_note,
                grant: self.grant,
            },
            entries: Vec::new(),
        }
    }
}

fn read(row: &PgRow) -> Result<Due, sqlx::Error> {
    let invoice: Option<Uuid> = row.try_get("invoice_id")?;
    let invoice = match invoice {
        None => None,
        Some(id) => Some(OfInvoice {
            id,
            period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
            in_advance: row.try_get("in_advance")?,
            stands_alone: row.try_get("stands_alone")?,
        }),
    };
    Ok(Due {
        partner: PartnerId(row.try_get("partner_id")?),
        id: row.try_get("id")?,
        key: row.try_get("idempotency_key")?,
        description: row.try_get("description")?,
        at: row.at("at")?,
        grant: row.try_get("credit_grant_id")?,
        credit_note: row.try_get("credit_note_id")?,
        invoice,
        is_earned: row.try_get("is_earned")?,
        is_booked: row.try_get("is_booked")?,
        entries: Vec::new(),
    })
}
