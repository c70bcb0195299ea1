//! Which partners may know of a product that is by invitation.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
};
use domain::id::{PartnerId, ProductId};
use jiff::Timestamp;
use sqlx::Row as _;

impl Store {
    /// Lets a partner know of a product; a plan must still open it. Doing so twice changes nothing.
    pub async fn invite_partner_to_product(
        &self,
        partner: PartnerId,
        product: ProductId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let code: String =
            sqlx::query_scalar("select r.code from products r, partners p where r.id = $1 and p.id = $2")
                .bind(product.0)
                .bind(partner.0)
                .fetch_one(&mut *tx)
                .await?;
        let done = sqlx::query(
            "insert into product_invitations (product_id, partner_id, created_at) values ($1, $2, $3) on conflict do nothing",
        )
        .bind(product.0)
        .bind(partner.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() > 0 {
            audit::append(&mut tx, Entry::new(actor, partner, "product.invite", &code), now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Takes an invitation back; the product's calls are refused from then on.
    pub async fn uninvite_partner_from_product(
        &self,
        partner: PartnerId,
        product: ProductId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let code: String = sqlx::query_scalar(
            "delete from product_invitations i using products r
             where i.product_id = $1 and i.partner_id = $2 and r.id = i.product_id returning r.code",
        )
        .bind(product.0)
        .bind(partner.0)
        .fetch_one(&mut *tx)
        .await?;
        audit::append(&mut tx, Entry::new(actor, partner, "product.uninvite", &code), now).await?;
        tx.commit().await?;
        Ok(())
    }

    pub(super) async fn invited(&self, product: ProductId) -> Result<Vec<(PartnerId, String)>, StoreError> {
        let rows = sqlx::query(
            "select p.id, p.name from product_invitations i join partners p on p.id = i.partner_id
             where i.product_id = $1 order by lower(p.name), p.id",
        )
        .bind(product.0)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &sqlx::postgres::PgRow| Ok((PartnerId(row.try_get("id")?), row.try_get("name")?));
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}
