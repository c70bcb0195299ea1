//! What was credited at Stripe of a threshold invoice that is void here: the invoices after it take it off, where nobody paid it and one comes.

use super::{Outcome, ReturnState, StripeReturn, not_taken, status};
use crate::{InvoiceStatus, StoreError};
use domain::id::{InvoiceId, PartnerId};
use sqlx::{Postgres, Transaction};

/// What was credited at Stripe of an invoice that is void here. It counts no more, so that nothing is left to take off; but the invoices
/// after a threshold invoice bill its usage again, and take off what was credited on it before it was paid. What went back of what was paid
/// is settled between Stripe and whoever paid.
pub(super) async fn of_void(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    back: &StripeReturn,
) -> Result<Outcome, StoreError> {
    let closed = match back.unpaid.micros {
        0 => None,
        _ => is_closed(tx, partner, invoice).await?,
    };
    let why = match closed {
        None => return Ok(Outcome::new(ReturnState::Over, String::new())),
        Some(false) if back.unpaid == back.amount => {
            return Ok(Outcome { is_carried: true, ..Outcome::new(ReturnState::Taken, String::new()) });
        }
        Some(false) => {
            format!(
                "the threshold invoice was void here by then, and only {} of it was not paid: credit that on the next invoice of its period",
                back.unpaid
            )
        }
        Some(true) => {
            format!(
                "the threshold invoice was void here by then, and the last invoice of its period bills it again: unless it was done already, credit {} on that one",
                back.unpaid
            )
        }
    };
    Ok(Outcome::new(ReturnState::Undecided, not_taken(back, &why)))
}

/// Whether invoices after a threshold invoice that is void have to take it off.
pub(super) async fn is_to_carry(
    tx: &mut Transaction<'static, Postgres>,
    (partner, invoice): (PartnerId, InvoiceId),
    back: &StripeReturn,
) -> Result<bool, StoreError> {
    Ok(back.unpaid.micros > 0
        && status(tx, partner, invoice).await? == InvoiceStatus::Void
        && is_closed(tx, partner, invoice).await?.is_some())
}

/// Whether the period of a threshold invoice is closed, so that no invoice comes after it; `None` of others.
pub(super) async fn is_closed(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    invoice: InvoiceId,
) -> Result<Option<bool>, StoreError> {
    // Whoever closes the period holds its threshold invoices until that can be seen, by a statement that begins after it.
    status(tx, partner, invoice).await?;
    let closed = sqlx::query_scalar(
        "select exists (select from billing_periods p where p.partner_id = i.partner_id and p.subscription_id = i.subscription_id
             and p.period_start = i.period_start)
         from invoices i where i.partner_id = $1 and i.id = $2 and i.threshold_number > 0",
    );
    Ok(closed.bind(partner.0).bind(invoice.0).fetch_optional(&mut **tx).await?)
}
