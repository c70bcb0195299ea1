//! Disputes as they are.

use super::{Dispute, DisputeState};
use crate::{
    Store, StoreError, Ts,
    credit_notes::CreditState,
    page::{Page, Place},
    row::ReadRow as _,
};
use domain::{
    id::{CreditNoteId, DisputeId, InvoiceId, PartnerId},
    money::{Currency, Money},
    period::Period,
};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

macro_rules! disputes {
    ($rest:literal) => {
        concat!(
            "select d.id, d.partner_id, p.name as partner_name, d.invoice_id, i.number as invoice_number, i.time_zone,
                 d.invoice_position, l.description, l.amount_micros as billed_micros, d.currency, d.amount_micros, d.reason, d.state,
                 d.opened_at, d.answer, d.ended_at, d.credit_note_id, c.state as note_state, c.total_micros as note_micros, c.made_by_kind,
                 c.made_by, not exists (
                     select from disputes before
                     where before.partner_id = d.partner_id and before.invoice_id = d.invoice_id
                         and before.invoice_position = d.invoice_position and before.state in ('refused', 'withdrawn')
                 ) as holds_back
             from disputes d
             join partners p on p.id = d.partner_id
             join invoices i on i.partner_id = d.partner_id and i.id = d.invoice_id
             join invoice_lines l on l.partner_id = d.partner_id and l.invoice_id = d.invoice_id and l.position = d.invoice_position
             left join credit_notes c on c.partner_id = d.partner_id and c.id = d.credit_note_id ",
            $rest
        )
    };
}

impl Store {
    /// One of the partner's.
    pub async fn dispute(&self, partner: PartnerId, id: DisputeId) -> Result<Dispute, StoreError> {
        let mut connection = self.pool().acquire().await?;
        one(&mut connection, partner, id).await
    }

    /// Whose it is, for the operator.
    pub async fn dispute_of_any_partner(&self, id: DisputeId) -> Result<Dispute, StoreError> {
        let partner = sqlx::query_scalar("select partner_id from disputes where id = $1")
            .bind(id.0)
            .fetch_one(self.pool())
            .await?;
        self.dispute(PartnerId(partner), id).await
    }

    /// The partner's, newest first; `after` is the `next` of the page before.
    pub async fn disputes(
        &self,
        partner: PartnerId,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Dispute>, StoreError> {
        self.listed(Some(partner), None, after, size).await
    }

    /// All partners', newest first, in one state or in all.
    pub async fn all_partners_disputes(
        &self,
        state: Option<DisputeState>,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Dispute>, StoreError> {
        self.listed(None, state, after, size).await
    }

    /// Those about a line, newest first.
    pub async fn disputes_of_line(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        position: i32,
    ) -> Result<Vec<Dispute>, StoreError> {
        let rows = sqlx::query(disputes!(
            "where d.partner_id = $1 and d.invoice_id = $2 and d.invoice_position = $3 order by d.opened_at desc, d.id desc"
        ))
        .bind(partner.0)
        .bind(invoice.0)
        .bind(position)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// How many seals of the gateways' logs were made in a range, and of how many logs, over all partners.
    pub async fn all_partners_seals(&self, range: Period) -> Result<(u64, u64), StoreError> {
        let row = sqlx::query(
            "select count(*) as seals, count(distinct (node, lane)) as lanes from spool_seals
             where sealed_at >= $1 and sealed_at < $2 + interval '1 minute'",
        )
        .bind(Ts(range.start))
        .bind(Ts(range.end))
        .fetch_one(self.pool())
        .await?;
        Ok((row.count("seals")?, row.count("lanes")?))
    }

    async fn listed(
        &self,
        partner: Option<PartnerId>,
        state: Option<DisputeState>,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<Dispute>, StoreError> {
        let place = after.map(Place::read).transpose()?;
        let rows = sqlx::query(disputes!(
            "where ($1::uuid is null or d.partner_id = $1) and ($2::text is null or d.state = $2)
                 and ($3::timestamptz is null or (d.opened_at, d.id) < ($3, $4))
             order by d.opened_at desc, d.id desc limit $5"
        ))
        .bind(partner.map(|id| id.0))
        .bind(state.map(DisputeState::code))
        .bind(place.map(|place| Ts(place.at)))
        .bind(place.map(|place| place.id))
        .bind(Page::<Dispute>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, sqlx::Error>>()?;
        Ok(Page::cut(items, size, |dispute| Place { at: dispute.opened_at, id: dispute.id.0 }.text()))
    }
}

/// The same as a transaction sees it.
pub(super) async fn one(
    connection: &mut PgConnection,
    partner: PartnerId,
    id: DisputeId,
) -> Result<Dispute, StoreError> {
    let row = sqlx::query(disputes!("where d.partner_id = $1 and d.id = $2"))
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(connection)
        .await?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<Dispute, sqlx::Error> {
    let currency: Currency = row.parsed("currency")?;
    let state: DisputeState = row.parsed("state")?;
    let note: Option<String> = row.try_get("note_state")?;
    let is_note = |state: CreditState| note.as_deref() == Some(state.code());
    let drafted = row.try_get::<Option<String>, _>("made_by_kind")?.filter(|_| is_note(CreditState::Draft));
    let credited = row.try_get::<Option<i64>, _>("note_micros")?.filter(|_| is_note(CreditState::Issued));
    // Nobody has said it to the partner before the second operator agrees.
    let answer: Option<String> = row.try_get("answer")?;
    let (answer, drafted_answer) = if state == DisputeState::Open { (None, answer) } else { (answer, None) };
    let drafter: Option<Uuid> = row.try_get("made_by")?;
    Ok(Dispute {
        id: DisputeId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        invoice: InvoiceId(row.try_get("invoice_id")?),
        invoice_number: row.try_get("invoice_number")?,
        time_zone: row.try_get("time_zone")?,
        position: row.try_get("invoice_position")?,
        description: row.try_get("description")?,
        billed: Money::new(currency, row.try_get("billed_micros")?),
        amount: Money::new(currency, row.try_get("amount_micros")?),
        reason: row.try_get("reason")?,
        state,
        opened_at: row.at("opened_at")?,
        answer,
        ended_at: row.at_if_any("ended_at")?,
        credit_note: row.try_get::<Option<Uuid>, _>("credit_note_id")?.map(CreditNoteId),
        credited: credited.map(|micros| Money::new(currency, micros)),
        drafted_by: drafted.map(|kind| (kind, drafter)),
        drafted_answer,
        holds_back: state == DisputeState::Open && row.try_get("holds_back")?,
    })
}
