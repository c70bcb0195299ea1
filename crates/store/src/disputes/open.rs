//! Opening a dispute.

use super::{Dispute, Letters, end, read, told};
use crate::{
    InvoiceStatus, Store, StoreError, Ts, api_requests,
    audit::{self, Actor, Entry},
    credit_notes, dunning, partners,
    row::ReadRow as _,
    thresholds,
};
use domain::{
    id::{DisputeId, InvoiceId, PartnerId},
    money::{Currency, Money},
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Disputes of a partner that may be open at once.
const MOST_OPEN: i64 = 100;
/// Disputes that a partner may open in 24 hours: each is a mail to both sides.
const MOST_A_DAY: i64 = 20;
/// Disputes about one line that were refused or withdrawn, after which there is no further one.
pub const MOST_IN_VAIN: usize = 2;

/// What somebody disputes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDispute {
    pub invoice: InvoiceId,
    /// The line's.
    pub position: i32,
    /// Above zero, in whole coins, at most what is left of the line.
    pub amount: Money,
    /// 1 to 2,000 characters.
    pub reason: String,
}

impl Store {
    /// Opens a dispute about a line of the partner's own invoice, and tells both sides.
    ///
    /// # Errors
    /// There is no such line, it has one already, it is about more than is left of the line or than the invoice is the first to bill of it,
    /// the invoice is void, or there were too many: open at once, in a day, or about the line in vain.
    pub async fn open_dispute(
        &self,
        partner: PartnerId,
        new: &NewDispute,
        letters: Letters<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Dispute, StoreError> {
        self.open(partner, (new, None), letters, actor, now).await
    }

    /// As [`Store::open_dispute`], at most once for this attempt of an API call ([`crate::ApiRequest::Fresh`]).
    ///
    /// # Errors
    /// As there; or another attempt has taken the call over.
    pub async fn open_dispute_once(
        &self,
        partner: PartnerId,
        (new, attempt): (&NewDispute, Uuid),
        letters: Letters<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Dispute, StoreError> {
        self.open(partner, (new, Some(attempt)), letters, actor, now).await
    }

    async fn open(
        &self,
        partner: PartnerId,
        (new, attempt): (&NewDispute, Option<Uuid>),
        letters: Letters<'_>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Dispute, StoreError> {
        let reason = told("reason", &new.reason, "Say what is wrong")?;
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        check(&mut tx, partner, new, now).await?;
        let id = DisputeId(Uuid::now_v7());
        sqlx::query(
            "insert into disputes (partner_id, id, invoice_id, invoice_position, currency, amount_micros, reason, opened_by_kind,
                 opened_by, opened_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(new.invoice.0)
        .bind(new.position)
        .bind(new.amount.currency.code())
        .bind(new.amount.micros)
        .bind(reason)
        .bind(actor.kind())
        .bind(actor.id())
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        let subject = id.to_string();
        let after = json!({
            "invoice": new.invoice, "position": new.position, "amount": new.amount.to_string(), "reason": reason,
        });
        audit::append(&mut tx, Entry::new(actor, partner, "dispute.open", &subject).after(after), now).await?;
        dunning::settle(&mut tx, partner, actor, now).await?;
        let dispute = read::one(&mut tx, partner, id).await?;
        end::tell(&mut tx, &dispute, letters, now).await?;
        if let Some(attempt) = attempt {
            api_requests::made(&mut tx, attempt, id.0).await?;
        }
        tx.commit().await?;
        Ok(dispute)
    }
}

async fn check(tx: &mut PgConnection, partner: PartnerId, new: &NewDispute, now: Timestamp) -> Result<(), StoreError> {
    // Whoever credits the invoice waits, or has.
    let row = sqlx::query(
        "select i.status, i.currency, i.stands_alone, l.amount_micros from invoices i
         join invoice_lines l on l.partner_id = i.partner_id and l.invoice_id = i.id
         where i.partner_id = $1 and i.id = $2 and l.position = $3 for update of i",
    )
    .bind(partner.0)
    .bind(new.invoice.0)
    .bind(new.position)
    .fetch_one(&mut *tx)
    .await?;
    let (status, currency): (InvoiceStatus, Currency) = (row.parsed("status")?, row.parsed("currency")?);
    if status == InvoiceStatus::Void {
        return Err(StoreError::conflict("", "The invoice is void: nothing of it is owed"));
    }
    if row.try_get("stands_alone")? && status != InvoiceStatus::Paid {
        return Err(StoreError::conflict(
            "",
            "These units are not paid, and cannot be used: ask for the invoice to be made void",
        ));
    }
    if new.amount.currency != currency {
        return Err(StoreError::invalid("amount", format!("The invoice is in {currency}")));
    }
    if new.amount.micros <= 0 || new.amount.minor_units().is_none() {
        return Err(StoreError::invalid("amount", "Write an amount above zero, in whole coins"));
    }
    let standing = credit_notes::standing(tx, partner, new.invoice).await?;
    let credited = standing.by_line.iter().find(|(line, _)| *line == new.position).map_or(0, |(_, money)| money.micros);
    let own = thresholds::own_part(tx, partner, new.invoice, new.position).await?;
    let billed = own.as_ref().map_or(row.try_get("amount_micros")?, |own| own.amount.micros);
    let left = Money::new(currency, billed.saturating_sub(credited).min(standing.left().micros).max(0));
    if new.amount.micros > left.micros {
        let rest = own.and_then(|own| own.rest).map(|rest| format!(": {rest}")).unwrap_or_default();
        return Err(StoreError::conflict("amount", format!("Of this line {left} is left to dispute{rest}")));
    }
    fits(tx, partner, new, now).await
}

/// Whether one more is taken.
async fn fits(tx: &mut PgConnection, partner: PartnerId, new: &NewDispute, now: Timestamp) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select count(*) filter (where state = 'open') as open,
             count(*) filter (where state = 'open' and invoice_id = $2 and invoice_position = $3) as here,
             count(*) filter (where state in ('refused', 'withdrawn') and invoice_id = $2 and invoice_position = $3) as in_vain,
             count(*) filter (where opened_at > $4) as today
         from disputes where partner_id = $1",
    )
    .bind(partner.0)
    .bind(new.invoice.0)
    .bind(new.position)
    .bind(Ts(now.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(Timestamp::MIN)))
    .fetch_one(tx)
    .await?;
    if row.try_get::<i64, _>("here")? > 0 {
        return Err(StoreError::conflict(
            "",
            "This line has an open dispute already; withdraw it to say something else",
        ));
    }
    if row.count("in_vain")? >= MOST_IN_VAIN as u64 {
        return Err(StoreError::conflict(
            "",
            "Two disputes about this line were refused or withdrawn; write to us about it in place of a third",
        ));
    }
    if row.try_get::<i64, _>("today")? >= MOST_A_DAY {
        return Err(StoreError::conflict(
            "",
            format!("You opened {MOST_A_DAY} disputes in the last 24 hours; open the next one tomorrow"),
        ));
    }
    if row.try_get::<i64, _>("open")? >= MOST_OPEN {
        return Err(StoreError::conflict(
            "",
            format!("{MOST_OPEN} disputes are open; wait for an answer to one of them"),
        ));
    }
    Ok(())
}
