//! Issued credit notes on their way to Stripe.

use super::{
    CreditNote,
    read::{credit_notes, read},
};
use crate::{Store, StoreError, Ts};
use domain::id::{CreditNoteId, PartnerId};
use jiff::Timestamp;

impl Store {
    /// Issued ones that Stripe has to get, longest unseen first: those of invoices that it has taken. Those of plans that Stripe rates it
    /// cannot get; they are told of once.
    pub async fn all_partners_credit_notes_to_push(&self, at_most: u32) -> Result<Vec<CreditNote>, StoreError> {
        let rows = sqlx::query(credit_notes!(
            "where c.state = 'issued' and c.pushed_at is null and i.collected_by = 'stripe'
                 and (i.collect <> 'meter_events' or c.push_problem is null)
             order by c.updated_at, c.id limit $1"
        ))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Notes that Stripe holds it.
    pub async fn set_credit_note_pushed(
        &self,
        partner: PartnerId,
        id: CreditNoteId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update credit_notes set pushed_at = $3, push_problem = null, updated_at = $3
             where partner_id = $1 and id = $2 and state = 'issued' and pushed_at is null",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes why Stripe does not hold it, or that it waits (`None`): others come first the next time.
    pub async fn set_credit_note_problem(
        &self,
        partner: PartnerId,
        id: CreditNoteId,
        problem: Option<&str>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update credit_notes set push_problem = $3, updated_at = $4 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(problem)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}
