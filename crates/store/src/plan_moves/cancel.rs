//! Cancelling a move: whoever was not moved by then stays, and is told.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
};
use domain::id::{PartnerId, PlanMoveId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row as _;
use std::collections::HashMap;
use uuid::Uuid;

/// What became of a cancellation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancelled {
    /// So many partners stay, and are told.
    Done { kept: u64 },
    /// It was cancelled before, or another move took its place.
    Before,
    /// Somebody was told of the move meanwhile for whom there is no mail; nothing was changed.
    OthersWait,
}

impl Store {
    /// Partners whose change of this move waits.
    pub async fn all_partners_of_move(&self, id: PlanMoveId) -> Result<Vec<PartnerId>, StoreError> {
        let partners: Vec<Uuid> = sqlx::query_scalar(
            "select partner_id from plan_changes where move_id = $1 and status = 'scheduled' order by partner_id",
        )
        .bind(id.0)
        .fetch_all(self.pool())
        .await?;
        Ok(partners.into_iter().map(PartnerId).collect())
    }

    /// Cancels a move: whoever was not moved by now stays, and gets its mails. All who wait have to be among `mails`, if with none.
    pub async fn cancel_plan_move(
        &self,
        id: PlanMoveId,
        mails: &HashMap<PartnerId, Vec<NewMail>>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Cancelled, StoreError> {
        let mut tx = self.begin().await?;
        let known: Vec<Uuid> = mails.keys().map(|partner| partner.0).collect();
        // Partners first, as everybody does; then nobody is told of the move any more.
        sqlx::query("select from partners where id = any($1) order by id for no key update")
            .bind(&known)
            .fetch_all(&mut *tx)
            .await?;
        let row = sqlx::query("select ended_at is not null as is_over from plan_moves where id = $1 for no key update")
            .bind(id.0)
            .fetch_one(&mut *tx)
            .await?;
        if row.try_get("is_over")? {
            return Ok(Cancelled::Before);
        }
        let others_wait: bool = sqlx::query_scalar(
            "select exists (select from plan_changes where move_id = $1 and status = 'scheduled' and partner_id <> all($2))",
        )
        .bind(id.0)
        .bind(&known)
        .fetch_one(&mut *tx)
        .await?;
        if others_wait {
            return Ok(Cancelled::OthersWait);
        }
        sqlx::query("update plan_moves set ended_at = $2 where id = $1")
            .bind(id.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        // Whose time has come is moved, unless that could not be done.
        let kept: Vec<Uuid> = sqlx::query_scalar(
            "update plan_changes set status = 'withdrawn', closed_at = $2
             where move_id = $1 and status = 'scheduled' and (effective_at > $2 or retry_at is not null) returning partner_id",
        )
        .bind(id.0)
        .bind(Ts(now))
        .fetch_all(&mut *tx)
        .await?;
        let subject = id.to_string();
        for partner in kept.iter().copied().map(PartnerId) {
            audit::append(&mut tx, Entry::new(actor, partner, "subscription.keep", &subject), now).await?;
            for mail in mails.get(&partner).into_iter().flatten() {
                mails::queue(&mut tx, mail, now).await?;
            }
        }
        let entry = Entry::new(actor, None, "plan_move.cancel", &subject).after(json!({"kept": kept.len()}));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(Cancelled::Done { kept: kept.len() as u64 })
    }
}
