//! Credit notes that somebody makes void at Stripe before their invoice is paid. Nothing is changed here: a person is told what to do.

use super::{ReturnKind, StripeReturn};
use crate::{Store, StoreError};
use domain::id::{CreditNoteId, InvoiceId, PartnerId};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};

impl Store {
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
