//! Bulk moves with notice: who is on a plan has another version or plan from the end of a billing period on.
//!
//! A move is a wish that the task follows: whoever it was shown for, had the plan when it was made and has no change that waits is told,
//! and gets one. So a partner who planned to leave and stays after all is moved too, and nobody who comes to the plan later is. A partner
//! may choose another plan or leave until then; it cannot stay where it is.

mod cancel;
mod check;
mod follow;

pub use cancel::Cancelled;
pub(crate) use check::check_nobody_comes;
pub use follow::MoveTarget;
pub(crate) use follow::{PartEnd, end_part};

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, PlanId, PlanMoveId, PlanVersionId},
    plan_move::MOST_NOTICE_DAYS,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Row as _, postgres::PgRow};
use std::collections::HashSet;
use uuid::Uuid;

const LONGEST_REASON: usize = 500;

/// A move as an operator orders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPlanMove {
    pub from: PlanId,
    /// Of that plan; `None` for all but the one that they come to.
    pub from_version: Option<PlanVersionId>,
    pub to: PlanVersionId,
    /// Full days between the mail and the first instant at which it may be in force.
    pub notice_days: u32,
    /// For the partners, in the mail and the portal.
    pub reason: String,
}

/// What was shown of a move that is ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMove {
    /// Nobody else is moved.
    pub partners: Vec<PartnerId>,
    /// Whoever is told by then has its notice from then, so that it has the date that was shown.
    pub notice_from: Timestamp,
}

/// A move and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanMove {
    pub id: PlanMoveId,
    pub from: PlanId,
    pub from_name: String,
    /// `None` for all versions but the one that they come to.
    pub from_version: Option<i32>,
    pub to: PlanId,
    pub to_name: String,
    pub to_version: i32,
    pub notice_days: u32,
    pub reason: String,
    pub made_at: Timestamp,
    /// When it was cancelled, or another move took its place; nobody else is moved.
    pub ended_at: Option<Timestamp>,
    /// Partners who were told; whose change waits; who were moved; whom an operator took out.
    pub told: u64,
    pub waiting: u64,
    pub moved: u64,
    pub exempted: u64,
    /// When the last change that waits is in force.
    pub last_at: Option<Timestamp>,
}

macro_rules! moves {
    ($rest:literal) => {
        concat!(
            "select m.*, fp.name as from_name, fv.version as from_version, tv.plan_id as to_plan_id, tp.name as to_name,
                 tv.version as to_version, told.*,
                 (select count(*) from plan_changes c where c.move_id = m.id and c.status = 'scheduled') as waiting,
                 (select max(c.effective_at) from plan_changes c where c.move_id = m.id and c.status = 'scheduled') as last_at
             from plan_moves m
             join plans fp on fp.id = m.from_plan_id
             left join plan_versions fv on fv.id = m.from_version_id
             join plan_versions tv on tv.id = m.to_version_id join plans tp on tp.id = tv.plan_id
             cross join lateral (
                 select count(*) as told, count(*) filter (where moved_at is not null) as moved,
                     count(*) filter (where exempted_at is not null) as exempted
                 from plan_move_partners p where p.move_id = m.id
             ) as told ",
            $rest
        )
    };
}

impl Store {
    /// All moves, the newest first.
    pub async fn plan_moves(&self) -> Result<Vec<PlanMove>, StoreError> {
        let rows = sqlx::query(moves!("order by m.made_at desc, m.id desc limit 200")).fetch_all(self.pool()).await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One move.
    pub async fn plan_move(&self, id: PlanMoveId) -> Result<PlanMove, StoreError> {
        let row = sqlx::query(moves!("where m.id = $1")).bind(id.0).fetch_one(self.pool()).await?;
        Ok(read(&row)?)
    }

    /// Refuses what [`Store::order_plan_move`] would refuse. Nothing is changed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub async fn check_plan_move(&self, new: &NewPlanMove) -> Result<(), StoreError> {
        check_words(new)?;
        let mut tx = self.begin().await?;
        check::is_possible(&mut tx, new).await?;
        tx.rollback().await?;
        Ok(())
    }

    /// Partners on the plan who have a change of plan that waits.
    pub async fn all_partners_with_a_change_of(&self, plan: PlanId) -> Result<HashSet<PartnerId>, StoreError> {
        let partners: Vec<Uuid> = sqlx::query_scalar(
            "select c.partner_id from plan_changes c
             join subscriptions s on s.partner_id = c.partner_id and s.status = 'active'
             join plan_versions v on v.id = s.plan_version_id
             where c.status = 'scheduled' and v.plan_id = $1",
        )
        .bind(plan.0)
        .fetch_all(self.pool())
        .await?;
        Ok(partners.into_iter().map(PartnerId).collect())
    }

    /// Orders a move as it was shown. Partners are told and their changes planned by [`Store::plan_move_of`], one after the other.
    ///
    /// # Errors
    /// What is wrong with it: a version that they have, a plan that is one partner's own, or another move of the same plan under way.
    pub async fn order_plan_move(
        &self,
        new: &NewPlanMove,
        shown: &ShownMove,
        actor: Actor,
        now: Timestamp,
    ) -> Result<PlanMoveId, StoreError> {
        check_words(new)?;
        let mut tx = self.begin().await?;
        // Of two who order moves of the plan at once the later one sees the earlier one's; and nobody archives the one that they come to.
        sqlx::query(
            "select from plans where id = $1 or id = (select plan_id from plan_versions where id = $2)
             order by id for no key update",
        )
        .bind(new.from.0)
        .bind(new.to.0)
        .fetch_all(&mut *tx)
        .await?;
        check::is_possible(&mut tx, new).await?;
        check::end_done(&mut tx, new, now).await?;
        let id = PlanMoveId(Uuid::now_v7());
        sqlx::query(
            "insert into plan_moves (id, from_plan_id, from_version_id, to_version_id, notice_days, reason, made_at, notice_from)
             values ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(id.0)
        .bind(new.from.0)
        .bind(new.from_version.map(|version| version.0))
        .bind(new.to.0)
        .bind(i32::try_from(new.notice_days).unwrap_or(i32::MAX))
        .bind(new.reason.trim())
        .bind(Ts(now))
        .bind(Ts(shown.notice_from))
        .execute(&mut *tx)
        .await?;
        let partners: Vec<Uuid> = shown.partners.iter().map(|partner| partner.0).collect();
        sqlx::query("insert into plan_move_holders (move_id, partner_id) select $1, unnest($2::uuid[])")
            .bind(id.0)
            .bind(&partners)
            .execute(&mut *tx)
            .await?;
        let after = json!({
            "from": new.from, "from_version": new.from_version, "to": new.to, "notice_days": new.notice_days,
            "partners": partners.len(),
        });
        let subject = id.to_string();
        audit::append(&mut tx, Entry::new(actor, None, "plan_move.order", &subject).after(after), now).await?;
        tx.commit().await?;
        Ok(id)
    }
}

fn check_words(new: &NewPlanMove) -> Result<(), StoreError> {
    if !(1..=MOST_NOTICE_DAYS).contains(&new.notice_days) {
        return Err(StoreError::invalid("notice_days", "A notice is 1 to 366 days long"));
    }
    if new.reason.chars().count() > LONGEST_REASON {
        return Err(StoreError::invalid("reason", "Say why in at most 500 characters"));
    }
    Ok(())
}

fn read(row: &PgRow) -> Result<PlanMove, sqlx::Error> {
    Ok(PlanMove {
        id: PlanMoveId(row.try_get("id")?),
        from: PlanId(row.try_get("from_plan_id")?),
        from_name: row.try_get("from_name")?,
        from_version: row.try_get("from_version")?,
        to: PlanId(row.try_get("to_plan_id")?),
        to_name: row.try_get("to_name")?,
        to_version: row.try_get("to_version")?,
        notice_days: u32::try_from(row.try_get::<i32, _>("notice_days")?).unwrap_or(0),
        reason: row.try_get("reason")?,
        made_at: row.at("made_at")?,
        ended_at: row.at_if_any("ended_at")?,
        told: row.count("told")?,
        waiting: row.count("waiting")?,
        moved: row.count("moved")?,
        exempted: row.count("exempted")?,
        last_at: row.at_if_any("last_at")?,
    })
}
