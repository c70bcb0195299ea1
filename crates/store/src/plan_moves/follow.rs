//! Each partner's part of a move: told once, with a change that waits for the end of a billing period.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
    partners,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{PartnerId, PlanChangeId, PlanMoveId, PlanVersionId},
    period::Cycle,
    plan::PlanTerms,
    plan_move,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// Partners that are read at a time.
const AT_ONCE: i64 = 200;

/// A partner whose change is to be planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveTarget {
    pub id: PlanMoveId,
    pub partner: PartnerId,
    pub from_name: String,
    pub to_name: String,
    pub reason: String,
}

/// Shown with the move, on a version that is moved since before it was made, without a break in the plan, with nothing planned, and neither moved, by
/// this or by themselves, nor taken out.
macro_rules! targets {
    ($rest:literal) => {
        concat!(
            "select m.id as move_id, m.notice_days, m.notice_from, m.reason, s.partner_id, s.id as subscription_id, s.anchor, s.time_zone, s.trial_until,
                 v.terms as from_terms, tv.terms as to_terms, m.to_version_id,
                 fp.name as from_name, tp.name as to_name, told.effective_at, own.time_zone as own_zone
             from plan_moves m
             join plans fp on fp.id = m.from_plan_id
             join plan_versions tv on tv.id = m.to_version_id join plans tp on tp.id = tv.plan_id
             join plan_versions v on v.plan_id = m.from_plan_id
             join subscriptions s on s.plan_version_id = v.id and s.status = 'active'
             join partners own on own.id = s.partner_id
             left join plan_move_partners told on told.move_id = m.id and told.partner_id = s.partner_id
             where m.ended_at is null and v.id <> m.to_version_id
                 and (m.from_version_id is null or v.id = m.from_version_id)
                 and (m.notice_from is null or exists (select from plan_move_holders shown
                     where shown.move_id = m.id and shown.partner_id = s.partner_id))
                 and told.exempted_at is null and told.moved_at is null
                 and not exists (select from plan_changes c where c.partner_id = s.partner_id and c.status = 'scheduled')
                 and exists (select from subscriptions had join plan_versions hv on hv.id = had.plan_version_id
                     where had.partner_id = s.partner_id and hv.plan_id = m.from_plan_id and hv.id <> m.to_version_id
                         and (m.from_version_id is null or hv.id = m.from_version_id)
                         and had.started_at <= m.made_at and (had.ended_at is null or had.ended_at > m.made_at))
                 and not exists (select from subscriptions came where came.partner_id = s.partner_id
                     and came.plan_version_id = m.to_version_id and came.started_at is not null
                     and (came.ended_at is null or came.ended_at > m.made_at))
                 -- Whoever left the plan and came back comes later.
                 and not exists (select from subscriptions had join plan_versions hv on hv.id = had.plan_version_id
                     where had.partner_id = s.partner_id and hv.plan_id = m.from_plan_id and had.ended_at > m.made_at
                         and not exists (select from subscriptions next join plan_versions nv on nv.id = next.plan_version_id
                             where next.partner_id = had.partner_id and nv.plan_id = m.from_plan_id
                                 and next.started_at = had.ended_at)) ",
            $rest
        )
    };
}

impl Store {
    /// Partners of moves whose change is not planned yet, in the order of their ids: some of those after that one.
    pub async fn all_partners_to_move(&self, after: Option<PartnerId>) -> Result<Vec<MoveTarget>, StoreError> {
        let rows = sqlx::query(targets!(
            "and ($1::uuid is null or s.partner_id > $1) order by s.partner_id, m.made_at limit $2"
        ))
        .bind(after.map(|after| after.0))
        .bind(AT_ONCE)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(target).collect::<Result<_, _>>()?)
    }

    /// The move whose change is not planned yet for this partner.
    pub async fn partner_to_move(&self, partner: PartnerId) -> Result<Option<MoveTarget>, StoreError> {
        let row = sqlx::query(targets!("and s.partner_id = $1 order by m.made_at limit 1"))
            .bind(partner.0)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.as_ref().map(target).transpose()?)
    }

    /// Plans one partner's change for the end of the first billing period that ends after the notice, and tells it by the mails that
    /// `letters` writes for that instant. Who was told before and stays after all has the same instant again, and the whole notice anew
    /// where that is over. `None` where there is nothing to plan any more.
    pub async fn plan_move_of(
        &self,
        target: &MoveTarget,
        letters: &(dyn Fn(Timestamp) -> Vec<NewMail> + Sync),
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (id, partner) = (target.id, target.partner);
        let mut tx = self.begin().await?;
        // The partner first, as everybody does; nobody cancels the move meanwhile.
        partners::lock(&mut tx, partner).await?;
        sqlx::query("select from plan_moves where id = $1 for share").bind(id.0).fetch_one(&mut *tx).await?;
        let row = sqlx::query(targets!("and m.id = $1 and s.partner_id = $2"))
            .bind(id.0)
            .bind(partner.0)
            .fetch_optional(&mut *tx)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let told: Option<Timestamp> = row.at_if_any("effective_at")?;
        let (at, cycle) = when(&row, told, now)?;
        let change = insert(&mut tx, partner, &row, (at, &cycle), now).await?;
        sqlx::query(
            "insert into plan_move_partners (move_id, partner_id, told_at, effective_at) values ($1, $2, $3, $4)
             on conflict (move_id, partner_id) do update set effective_at = excluded.effective_at",
        )
        .bind(id.0)
        .bind(partner.0)
        .bind(Ts(now))
        .bind(Ts(at))
        .execute(&mut *tx)
        .await?;
        let to = PlanVersionId(row.try_get("to_version_id")?);
        let subject = change.to_string();
        let after = json!({"plan_version": to, "effective_at": at, "move": id});
        let entry = Entry::new(Actor::System, partner, "subscription.schedule", &subject).after(after);
        audit::append(&mut tx, entry, now).await?;
        for mail in letters(at) {
            mails::queue(&mut tx, &mail, now).await?;
        }
        tx.commit().await?;
        Ok(Some(at))
    }
}

fn target(row: &PgRow) -> Result<MoveTarget, sqlx::Error> {
    Ok(MoveTarget {
        id: PlanMoveId(row.try_get("move_id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        from_name: row.try_get("from_name")?,
        to_name: row.try_get("to_name")?,
        reason: row.try_get("reason")?,
    })
}

/// When the change is in force, and where periods begin then: as they do where the plan keeps them.
fn when(row: &PgRow, told: Option<Timestamp>, now: Timestamp) -> Result<(Timestamp, Cycle), StoreError> {
    let Json(from): Json<PlanTerms> = row.try_get("from_terms")?;
    let Json(to): Json<PlanTerms> = row.try_get("to_terms")?;
    let held = Cycle { anchor: row.at("anchor")?, interval: from.interval, time_zone: row.try_get("time_zone")? };
    let notice_days = u32::try_from(row.try_get::<i32, _>("notice_days")?).unwrap_or(plan_move::MOST_NOTICE_DAYS);
    let notice_from = row.at_if_any("notice_from")?.map_or(now, |from| from.max(now));
    let at = match told.filter(|at| plan_move::is_possible_at(&held, *at, now)) {
        Some(at) => at,
        None => plan_move::in_force_at(&held, row.at_if_any("trial_until")?, notice_days, notice_from)
            .map_err(|error| unreadable("anchor", error))?,
    };
    let cycle = match to.keeps_periods_of(&from) {
        true => held,
        false => {
            let time_zone: String = row.try_get("own_zone")?;
            to.cycle_from(at, &time_zone).map_err(|error| unreadable("time_zone", error))?
        }
    };
    Ok((at, cycle))
}

async fn insert(
    tx: &mut PgConnection,
    partner: PartnerId,
    row: &PgRow,
    (at, cycle): (Timestamp, &Cycle),
    now: Timestamp,
) -> Result<PlanChangeId, StoreError> {
    let id = PlanChangeId(Uuid::now_v7());
    sqlx::query(
        "insert into plan_changes (partner_id, id, subscription_id, plan_version_id, effective_at, anchor, time_zone, status,
             requested_at, ordered_by, move_id)
         values ($1, $2, $3, $4, $5, $6, $7, 'scheduled', $8, 'operator', $9)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(row.try_get::<Uuid, _>("subscription_id")?)
    .bind(row.try_get::<Uuid, _>("to_version_id")?)
    .bind(Ts(at))
    .bind(Ts(cycle.anchor))
    .bind(&cycle.time_zone)
    .bind(Ts(now))
    .bind(row.try_get::<Uuid, _>("move_id")?)
    .execute(tx)
    .await?;
    Ok(id)
}

/// How a partner's part of a move ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PartEnd {
    /// An operator took its change back: this partner stays.
    Exempted,
    /// Its change is in force.
    Moved,
}

/// Notes how the partner's part of the move ended that the change is of, if it is of one.
pub(crate) async fn end_part(
    tx: &mut PgConnection,
    partner: PartnerId,
    change: PlanChangeId,
    end: PartEnd,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update plan_move_partners p set exempted_at = case when $4 then p.exempted_at else $3 end,
             moved_at = case when $4 then $3 else p.moved_at end
         from plan_changes c where c.partner_id = $1 and c.id = $2 and p.move_id = c.move_id and p.partner_id = c.partner_id",
    )
    .bind(partner.0)
    .bind(change.0)
    .bind(Ts(now))
    .bind(matches!(end, PartEnd::Moved))
    .execute(tx)
    .await?;
    Ok(())
}
