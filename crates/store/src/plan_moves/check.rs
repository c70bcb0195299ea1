//! Whether a move is possible.

use super::NewPlanMove;
use crate::{StoreError, Ts, plans::terms};
use domain::id::PlanId;
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Moves that are not over, of some of the partners of plan `$1`, version `$2` or all.
macro_rules! same_partners {
    () => {
        "m.from_plan_id = $1 and m.ended_at is null
             and (m.from_version_id is null or $2::uuid is null or m.from_version_id = $2)"
    };
}

/// Refuses what is no move.
pub(super) async fn is_possible(tx: &mut PgConnection, new: &NewPlanMove) -> Result<(), StoreError> {
    let to = sqlx::query(
        "select v.plan_id, p.own_of is not null as is_own, p.archived_at is not null as is_archived,
             (select own_of is not null from plans where id = $2) as is_from_own,
             (select plan_id from plan_versions where id = $3) as from_version_of
         from plan_versions v join plans p on p.id = v.plan_id where v.id = $1",
    )
    .bind(new.to.0)
    .bind(new.from.0)
    .bind(new.from_version.map(|version| version.0))
    .fetch_one(&mut *tx)
    .await?;
    let from_version_of: Option<Uuid> = to.try_get("from_version_of")?;
    let is_from_own = to.try_get::<Option<bool>, _>("is_from_own")?.ok_or(StoreError::NotFound)?;
    if new.from_version.is_some() && from_version_of != Some(new.from.0) {
        return Err(StoreError::invalid("from_version", "This is no version of the plan"));
    }
    if new.from_version == Some(new.to) {
        return Err(StoreError::invalid("to", "They are on this version"));
    }
    if to.try_get("is_own")? || is_from_own {
        return Err(StoreError::conflict("to", "One partner's own plan is changed on the partner's page"));
    }
    if to.try_get("is_archived")? {
        return Err(StoreError::conflict("to", "This plan is archived"));
    }
    terms::check_meters(tx, new.to).await?;
    let under_way: bool = sqlx::query_scalar(concat!(
        "select exists (select from plan_moves m where ",
        same_partners!(),
        " and exists (select from plan_changes c where c.move_id = m.id and c.status = 'scheduled'))",
    ))
    .bind(new.from.0)
    .bind(new.from_version.map(|version| version.0))
    .fetch_one(tx)
    .await?;
    match under_way {
        true => Err(StoreError::conflict("", "Another move of these partners is under way: cancel it first")),
        false => Ok(()),
    }
}

/// Ends moves of the same partners for whom nothing waits: the new one takes their place.
pub(super) async fn end_done(tx: &mut PgConnection, new: &NewPlanMove, now: Timestamp) -> Result<(), StoreError> {
    // Nobody is told of one of them any more; who was told while we waited for that is seen.
    sqlx::query(concat!("select from plan_moves m where ", same_partners!(), " order by id for no key update"))
        .bind(new.from.0)
        .bind(new.from_version.map(|version| version.0))
        .fetch_all(&mut *tx)
        .await?;
    is_possible(tx, new).await?;
    sqlx::query(concat!("update plan_moves m set ended_at = $3 where ", same_partners!()))
        .bind(new.from.0)
        .bind(new.from_version.map(|version| version.0))
        .bind(Ts(now))
        .execute(tx)
        .await?;
    Ok(())
}

/// Refuses to archive a plan that partners are being moved to.
pub(crate) async fn check_nobody_comes(tx: &mut PgConnection, plan: PlanId) -> Result<(), StoreError> {
    let comes: bool = sqlx::query_scalar(
        "select exists (
             select from plan_moves m join plan_versions v on v.id = m.to_version_id
             where v.plan_id = $1 and (
                 exists (select from plan_changes c where c.move_id = m.id and c.status = 'scheduled')
                 -- Ordered, and nobody is told yet.
                 or (m.ended_at is null and not exists (select from plan_move_partners p where p.move_id = m.id)
                     and exists (select from subscriptions s join plan_versions f on f.id = s.plan_version_id
                         where f.plan_id = m.from_plan_id and s.status = 'active' and s.started_at <= m.made_at
                             and f.id <> m.to_version_id and (m.from_version_id is null or f.id = m.from_version_id)))))",
    )
    .bind(plan.0)
    .fetch_one(tx)
    .await?;
    match comes {
        true => Err(StoreError::conflict(
            "",
            "Partners are being moved to this plan: cancel the move first, or wait for it",
        )),
        false => Ok(()),
    }
}
