//! The way back of what was paid on a page: that Stripe refused the refund or took it in, that it failed there afterwards, and that it was sent
//! again.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    payment_methods::{Checkout, checkouts, read_checkout},
};
use domain::id::{CheckoutId, PartnerId};
use jiff::Timestamp;
use serde_json::json;

impl Store {
    /// Notes that Stripe refused that attempt at a refund, once: the next one is another.
    pub async fn note_refund_refused(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        attempt: u32,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update checkouts set refund_attempt = refund_attempt + 1
             where partner_id = $1 and id = $2 and refund_attempt = $3 and refund_attempt < 2147483647",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(i32::try_from(attempt).unwrap_or(i32::MAX))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes that Stripe pays it back, once. `refund` is Stripe's name of it; empty where it does not say.
    pub async fn note_paid_back(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        refund: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let noted = sqlx::query(
            "update checkouts set paid_back_at = $4, refund_id = nullif($3, '')
             where partner_id = $1 and id = $2 and pay_back is not null and paid_back_at is null",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(refund)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if noted.rows_affected() == 1 {
            let subject = id.to_string();
            let entry = Entry::new(Actor::System, partner, "checkout.paid_back", &subject);
            audit::append(&mut tx, entry.after(json!({ "refund": refund })), now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that Stripe could not pay it back after all, once for each refund. False for another refund than the one that was noted last,
    /// and where that is known already.
    pub async fn note_refund_failed(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        (refund, why): (&str, &str),
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let noted = sqlx::query(
            "update checkouts set refund_id = $3, refund_failed = $4
             where partner_id = $1 and id = $2 and paid_back_at is not null and refund_failed is null and coalesce(refund_id, $3) = $3",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(refund)
        .bind(why)
        .execute(&mut *tx)
        .await?;
        let is_new = noted.rows_affected() == 1;
        if is_new {
            let subject = id.to_string();
            let entry = Entry::new(Actor::System, partner, "checkout.refund_failed", &subject);
            audit::append(&mut tx, entry.after(json!({ "refund": refund, "reason": why })), now).await?;
        }
        tx.commit().await?;
        Ok(is_new)
    }

    /// Notes that Stripe took in another refund in the place of the one that failed, once: `asked` is how many that makes.
    pub async fn note_paid_back_again(
        &self,
        partner: PartnerId,
        id: CheckoutId,
        (refund, asked): (&str, u32),
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let noted = sqlx::query(
            "update checkouts set refund_id = nullif($3, ''), refund_failed = null, refunds_asked = $4, paid_back_at = $5
             where partner_id = $1 and id = $2 and refund_failed is not null and refunds_asked = $4 - 1",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(refund)
        .bind(i32::try_from(asked).unwrap_or(i32::MAX))
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if noted.rows_affected() == 1 {
            let subject = id.to_string();
            let entry = Entry::new(Actor::System, partner, "checkout.paid_back", &subject);
            audit::append(&mut tx, entry.after(json!({ "refund": refund, "asked": asked })), now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Pages whose refund failed, the newest first; `after` is the last one of those that were read before.
    pub async fn all_partners_checkouts_whose_refund_failed(
        &self,
        after: Option<&Checkout>,
        at_most: u32,
    ) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.refund_failed is not null and ($1::timestamptz is null or (c.opened_at, c.id) < ($1, $2::uuid))
             order by c.opened_at desc, c.id desc limit $3"
        ))
        .bind(after.map(|last| Ts(last.opened_at)))
        .bind(after.map(|last| last.id.0))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// Pages whose refund Stripe took in since then and that has not failed as far as we know, longest unseen first.
    pub async fn all_partners_checkouts_paid_back(
        &self,
        since: Timestamp,
        at_most: u32,
    ) -> Result<Vec<Checkout>, StoreError> {
        let rows = sqlx::query(checkouts!(
            "where c.paid_back_at > $1 and c.refund_failed is null
             order by coalesce(c.looked_at, c.paid_back_at), c.id limit $2"
        ))
        .bind(Ts(since))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read_checkout).collect::<Result<_, _>>()?)
    }

    /// The page of which that refund was noted last, by Stripe's name of the refund.
    pub async fn checkout_of_refund_of_any_partner(&self, refund: &str) -> Result<Option<Checkout>, StoreError> {
        let row = sqlx::query(checkouts!("where c.refund_id = $1 order by c.opened_at, c.id limit 1"))
            .bind(refund)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(read_checkout).transpose()?)
    }
}
