//! Credit notes as they are.

use super::{CreditLine, CreditNote, CreditStanding, CreditState};
use crate::{Store, StoreError, page::Page, row::ReadRow as _};
use domain::{
    id::{CreditNoteId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};

macro_rules! credit_notes {
    ($rest:literal) => {
        concat!(
            "select c.id, c.partner_id, p.name as partner_name, c.invoice_id, i.number as invoice_number, i.time_zone, c.kind, c.state,
                 c.number, c.currency, c.total_micros, c.payback, c.was_paid, c.reason, c.made_at, c.made_by_kind, c.made_by, c.ended_at,
                 c.pushed_at, coalesce(c.push_problem, (select string_agg(r.problem, '. ' order by r.first_seen_at, r.stripe_id)
                     from stripe_returns r where r.partner_id = c.partner_id and r.invoice_id = c.invoice_id and r.credit_note_id = c.id
                         and r.problem <> '')) as push_problem
             from credit_notes c
             join partners p on p.id = c.partner_id
             join invoices i on i.partner_id = c.partner_id and i.id = c.invoice_id ",
            $rest
        )
    };
}

pub(super) use credit_notes;

impl Store {
    /// One with its lines.
    pub async fn credit_note(
        &self,
        partner: PartnerId,
        id: CreditNoteId,
    ) -> Result<(CreditNote, Vec<CreditLine>), StoreError> {
        let row = sqlx::query(credit_notes!("where c.partner_id = $1 and c.id = $2"))
            .bind(partner.0)
            .bind(id.0)
            .fetch_one(self.pool())
            .await?;
        let note = read(&row)?;
        let rows = sqlx::query(
            "select position, invoice_position, description, amount_micros from credit_note_lines
             where partner_id = $1 and credit_note_id = $2 order by position",
        )
        .bind(partner.0)
        .bind(id.0)
        .fetch_all(self.pool())
        .await?;
        let lines = rows.iter().map(|row| line(row, note.total.currency)).collect::<Result<_, _>>()?;
        Ok((note, lines))
    }

    /// Whose it is, for the operator.
    pub async fn credit_note_of_any_partner(
        &self,
        id: CreditNoteId,
    ) -> Result<(CreditNote, Vec<CreditLine>), StoreError> {
        let partner = sqlx::query_scalar("select partner_id from credit_notes where id = $1")
            .bind(id.0)
            .fetch_one(self.pool())
            .await?;
        self.credit_note(PartnerId(partner), id).await
    }

    /// Those of the invoice, in the order in which they were made.
    pub async fn credit_notes_of(&self, partner: PartnerId, invoice: InvoiceId) -> Result<Vec<CreditNote>, StoreError> {
        let rows = sqlx::query(credit_notes!("where c.partner_id = $1 and c.invoice_id = $2 order by c.made_at, c.id"))
            .bind(partner.0)
            .bind(invoice.0)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// The partner's issued ones, newest first.
    pub async fn credit_notes(&self, partner: PartnerId) -> Result<Vec<CreditNote>, StoreError> {
        let rows = sqlx::query(credit_notes!(
            "where c.partner_id = $1 and c.state = 'issued' and c.kind = 'credit' order by c.number desc"
        ))
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All, newest first, for the operator; `after` is the `next` of the page before.
    pub async fn all_partners_credit_notes(
        &self,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<CreditNote>, StoreError> {
        let before: Option<CreditNoteId> = match after {
            None => None,
            Some(text) => {
                Some(text.parse().map_err(|_| StoreError::invalid("after", "This is not a place in the list"))?)
            }
        };
        let rows = sqlx::query(credit_notes!(
            "where $1::uuid is null or (c.made_at, c.id) < (select b.made_at, b.id from credit_notes b where b.id = $1)
             order by c.made_at desc, c.id desc limit $2"
        ))
        .bind(before.map(|id| id.0))
        .bind(Page::<CreditNote>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |note| note.id.to_string()))
    }

    /// How the invoice stands beside what was credited.
    pub async fn credit_standing(&self, partner: PartnerId, invoice: InvoiceId) -> Result<CreditStanding, StoreError> {
        let mut connection = self.pool().acquire().await?;
        standing(&mut connection, partner, invoice).await
    }
}

/// How far one is.
pub(crate) async fn state_of(
    connection: &mut PgConnection,
    partner: PartnerId,
    id: CreditNoteId,
) -> Result<CreditState, StoreError> {
    let row = sqlx::query("select state from credit_notes where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(connection)
        .await?;
    Ok(row.parsed("state")?)
}

/// The same as a transaction sees it.
pub(crate) async fn standing(
    connection: &mut PgConnection,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<CreditStanding, StoreError> {
    let row = sqlx::query(
        "select i.currency, i.total_micros, coalesce(sum(c.total_micros), 0)::bigint as credited,
             coalesce(sum(c.total_micros) filter (where not c.was_paid), 0)::bigint as unpaid,
             (select coalesce(sum(a.given_back_micros), 0)::bigint from advance_fees a
                 where a.partner_id = $1 and a.invoice_id = $2) as given_back
         from invoices i
         left join credit_notes c on c.partner_id = i.partner_id and c.invoice_id = i.id and c.state = 'issued' and c.kind = 'credit'
         where i.partner_id = $1 and i.id = $2 group by i.currency, i.total_micros",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .fetch_one(&mut *connection)
    .await?;
    let currency: Currency = row.parsed("currency")?;
    let money = |column: &str| Ok::<_, sqlx::Error>(Money::new(currency, row.try_get(column)?));
    let lines = sqlx::query(
        "select l.invoice_position, sum(l.amount_micros)::bigint as micros
         from credit_notes c
         join credit_note_lines l on l.partner_id = c.partner_id and l.credit_note_id = c.id
         where c.partner_id = $1 and c.invoice_id = $2 and c.state = 'issued' and l.invoice_position is not null
         group by l.invoice_position order by l.invoice_position",
    )
    .bind(partner.0)
    .bind(invoice.0)
    .fetch_all(&mut *connection)
    .await?;
    let by_line = |row: &PgRow| {
        Ok::<_, sqlx::Error>((row.try_get("invoice_position")?, Money::new(currency, row.try_get("micros")?)))
    };
    Ok(CreditStanding {
        total: money("total_micros")?,
        credited: money("credited")?,
        credited_unpaid: money("unpaid")?,
        given_back: money("given_back")?,
        by_line: lines.iter().map(by_line).collect::<Result<_, _>>()?,
    })
}

pub(super) fn read(row: &PgRow) -> Result<CreditNote, sqlx::Error> {
    Ok(CreditNote {
        id: CreditNoteId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        invoice: InvoiceId(row.try_get("invoice_id")?),
        invoice_number: row.try_get("invoice_number")?,
        time_zone: row.try_get("time_zone")?,
        kind: row.parsed("kind")?,
        state: row.parsed("state")?,
        number: row.try_get("number")?,
        total: Money::new(row.parsed("currency")?, row.try_get("total_micros")?),
        payback: row.parsed("payback")?,
        was_paid: row.try_get("was_paid")?,
        reason: row.try_get("reason")?,
        made_at: row.at("made_at")?,
        made_by: (row.try_get("made_by_kind")?, row.try_get("made_by")?),
        ended_at: row.at_if_any("ended_at")?,
        pushed_at: row.at_if_any("pushed_at")?,
        push_problem: row.try_get("push_problem")?,
    })
}

fn line(row: &PgRow, currency: Currency) -> Result<CreditLine, sqlx::Error> {
    Ok(CreditLine {
        position: row.try_get("position")?,
        invoice_position: row.try_get("invoice_position")?,
        description: row.try_get("description")?,
        amount: Money::new(currency, row.try_get("amount_micros")?),
    })
}
