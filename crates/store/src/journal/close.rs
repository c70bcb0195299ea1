//! Writing a day: everything that is booked by its end and is not in the journal yet, then what was earned by then.

use super::{
    credit,
    due::{self, Day},
    fees, read_day, write,
};
use crate::{Store, StoreError, Ts};
use jiff::{Timestamp, civil::Date};
use sqlx::{PgConnection, error::DatabaseError};

impl Store {
    /// Writes the next day of the journal, six hours after it is over; `None` where there is none to write. A day is written once.
    pub async fn close_journal_day(&self, now: Timestamp) -> Result<Option<Date>, StoreError> {
        let mut tx = self.begin().await?;
        // What is booked meanwhile is the next day's, all of it.
        sqlx::query("set transaction isolation level repeatable read").execute(&mut *tx).await?;
        let Some(day) = next_day(&mut tx).await? else { return Ok(None) };
        let day = Day::of(day)?;
        if now < day.settled {
            return Ok(None);
        }
        if !begin(&mut tx, day, now).await? {
            return Ok(None);
        }
        let due = due::all(&mut tx, day).await?;
        let mut postings = due.postings();
        postings.extend(credit::postings(&mut tx, &due, day).await?);
        write::postings(&mut tx, day, &postings).await?;
        due.take_off(&mut tx).await?;
        // These look at what was just written.
        let earned = fees::postings(&mut tx, &due, day).await?;
        write::postings(&mut tx, day, &earned).await?;
        tx.commit().await?;
        Ok(Some(day.date))
    }
}

/// The day after the last one; at first, that of the first thing that was earned or booked.
async fn next_day(tx: &mut PgConnection) -> Result<Option<Date>, StoreError> {
    let day: Option<String> = sqlx::query_scalar(
        "select coalesce((select max(day) + 1 from journal_days),
             (select (min(least(t.at, i.period_end - interval '1 microsecond')) at time zone 'UTC')::date
              from journal_due d
              join ledger_transactions t on t.partner_id = d.partner_id and t.id = d.transaction_id
              left join invoices i on i.partner_id = t.partner_id and t.idempotency_key = 'invoice_' || replace(i.id::text, '-', '')))::text",
    )
    .fetch_one(tx)
    .await?;
    Ok(day.as_deref().map(|day| read_day("day", day)).transpose()?)
}

/// False where somebody else writes the day, or did.
async fn begin(tx: &mut PgConnection, day: Day, now: Timestamp) -> Result<bool, StoreError> {
    let begun =
        sqlx::query("insert into journal_days (day, closed_at) values ($1::text::date, $2) on conflict do nothing")
            .bind(day.date.to_string())
            .bind(Ts(now))
            .execute(tx)
            .await;
    match begun {
        Ok(done) => Ok(done.rows_affected() == 1),
        // Who came first has committed since this transaction began to read.
        Err(error) if error.as_database_error().and_then(DatabaseError::code).as_deref() == Some("40001") => Ok(false),
        Err(error) => Err(error.into()),
    }
}
