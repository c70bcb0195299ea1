//! Pages that Stripe did not know of when they ended. They may be of another account, whose key is put back: then they are asked after again,
//! and what was paid on them counts.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    payment_methods::{Checkout, CheckoutState, checkouts, read_checkout},
};
use domain::id::{CheckoutId, PartnerId};
use jiff::Timestamp;
use serde_json::json;

impl Store {
    /// Ends a page that Stripe does not know of, as [`Store::end_checkout`] does.
    pub async fn end_missing_checkout(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        state: CheckoutState,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update checkouts set state = $3, ended_at = $4, missing_at = $4
             where partner_id = $1 and id = $2 and state in ('open', 'processing')",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(state.code())
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Such pages that ended after `since` and were not asked about after `before`, longest unseen first.
    pub async fn all_partners_missing_checkouts(
        &self,
        (since, before): (Timestamp, Timestamp),
        at_most: u32,
    ) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.missing_at > $1 and c.state in ('expired', 'failed') and c.pay_back is null and c.session_id is not null
                 and greatest(c.looked_at, c.missing_at) < $2
             order by greatest(c.looked_at, c.missing_at), c.id limit $3"
        ))
        .bind(Ts(since))
        .bind(Ts(before))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Stripe knows of it after all: it is open here until what became of it is taken over. Whether it was missing.
    pub async fn note_checkout_found(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let found = sqlx::query(
            "update checkouts set missing_at = null, state = 'open', ended_at = null
             where partner_id = $1 and id = $2 and missing_at is not null and state in ('expired', 'failed') and pay_back is null",
        )
        .bind(partner.0)
        .bind(id.0)
        .execute(&mut *tx)
        .await?;
        let is_found = found.rows_affected() == 1;
        if is_found {
            let subject = id.to_string();
            let entry = Entry::new(Actor::System, partner, "checkout.found", &subject);
            audit::append(&mut tx, entry.after(json!({ "state": "open" })), now).await?;
        }
        tx.commit().await?;
        Ok(is_found)
    }
}
