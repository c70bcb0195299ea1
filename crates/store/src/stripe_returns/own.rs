//! What became at Stripe of credit notes of ours that it had: a refund of one failed there, or somebody made one void. Nothing is changed here;
//! it is kept beside what went back, with what a person has to do.

use super::{Outcome, ReturnKind, ReturnState, Returned, StripeReturn, held, note};
use crate::{Store, StoreError, Ts, partners};
use domain::id::{CreditNoteId, InvoiceId, PartnerId};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

impl Store {
    /// Notes that a refund or a credit note at Stripe, which carries out that credit note of ours, is not to be had there any more (`Kept`), or
    /// that another stands in its place. Whether a person has to know what was not known; nothing is noted of what is none of the invoice's.
    pub async fn note_own_return(
        &self,
        (partner, invoice): (PartnerId, InvoiceId),
        credit_note: CreditNoteId,
        back: &StripeReturn,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let Some(code) = code(&mut tx, (partner, invoice), credit_note).await? else { return Ok(false) };
        let problem = match (back.returned, back.kind) {
            (Returned::Kept, ReturnKind::CreditNote) => collected_again(back, &code, credit_note),
            (Returned::Kept, _) => format!(
                "Stripe could not pay back {} of {code} ({}: {}), and here it is paid back. Refund it there anew, {}, or pay it back in \
                 another way and accept this",
                back.amount,
                back.stripe_id,
                back.reason,
                under(credit_note)
            ),
            _ => String::new(),
        };
        let before = held(&mut tx, partner, &back.stripe_id).await?;
        let is_new = before.as_ref().map_or("", |held| held.problem.as_str()) != problem;
        if before.is_some() || is_new {
            let state = if problem.is_empty() { ReturnState::Over } else { ReturnState::Taken };
            let outcome = Outcome { credit_note: Some(credit_note), ..Outcome::new(state, problem.clone()) };
            note(&mut tx, (partner, invoice), back, outcome, now).await?;
            tx.commit().await?;
        }
        Ok(is_new && !problem.is_empty())
    }

    /// Ends one of which a person was told: at Stripe something stands in its place.
    pub async fn end_stripe_return(
        &self,
        partner: PartnerId,
        stripe_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update stripe_returns set state = 'over', problem = '', updated_at = $3
             where partner_id = $1 and stripe_id = $2 and state = 'taken' and problem <> ''",
        )
        .bind(partner.0)
        .bind(stripe_id)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whether Stripe has, or had, a credit note of the invoice from before it was paid. Where such a one was made void, Stripe's invoice says
    /// nothing of it.
    pub async fn was_credited_unpaid(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, StoreError> {
        let known = sqlx::query_scalar(
            "select exists (select from credit_notes where partner_id = $1 and invoice_id = $2 and kind = 'credit' and not was_paid
                     and pushed_at is not null)
                 or exists (select from stripe_returns where partner_id = $1 and invoice_id = $2 and kind = 'credit_note'
                     and state in ('taken', 'undecided'))",
        );
        Ok(known.bind(partner.0).bind(invoice.0).fetch_one(self.pool()).await?)
    }
}

/// What a person has to know of a credit note that was made void at Stripe, if the one here that has it was issued before its invoice was paid.
pub(super) async fn of_unpaid(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    credit_note: Option<CreditNoteId>,
    back: &StripeReturn,
) -> Result<Option<String>, StoreError> {
    let Some(id) = credit_note.filter(|_| back.kind == ReturnKind::CreditNote) else { return Ok(None) };
    let was_paid: Option<bool> =
        sqlx::query_scalar("select was_paid from credit_notes where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .fetch_one(&mut **tx)
            .await?;
    if was_paid != Some(false) {
        return Ok(None);
    }
    let code = code(tx, (partner, invoice), id).await?;
    Ok(code.map(|code| collected_again(back, &code, id)))
}

/// The number of an issued one, as people write it.
async fn code(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    id: CreditNoteId,
) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(
        "select number from credit_notes where partner_id = $1 and id = $2 and invoice_id = $3 and number is not null",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(invoice.0)
    .fetch_optional(&mut **tx)
    .await?;
    let read = |row: &PgRow| Ok::<_, sqlx::Error>(format!("CN-{:06}", row.try_get::<i64, _>("number")?));
    Ok(row.as_ref().map(read).transpose()?)
}

fn collected_again(back: &StripeReturn, code: &str, id: CreditNoteId) -> String {
    format!(
        "Stripe's credit note {} of {} was made void there before the invoice was paid, and {code} has it here: Stripe collects it again. \
         Credit it there anew, or refund it there once it is paid, {}. If the partner is to pay it, accept this: the books here are without it",
        back.stripe_id,
        back.amount,
        under(id)
    )
}

/// Whoever makes it there names ours on it, or it would be taken for another one.
fn under(id: CreditNoteId) -> String {
    format!("over Stripe's API with the metadata turnpike_credit_note={id}")
}
