//! Changes of plan that wait for the end of a period. A partner has one at most; whatever changes its plan before takes its place.

use super::{OrderedBy, change, order::PlanOrder};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails::{self, NewMail},
    partners,
    plan_moves::{self, PartEnd},
    plans::terms,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{PartnerId, PlanChangeId, PlanMoveId, PlanVersionId, SubscriptionId},
    period::Cycle,
    plan::PlanTerms,
    quota::PeriodQuota,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

/// What could not be made at its time is tried again after so long, and given up that long after its time.
const RETRY: SignedDuration = SignedDuration::from_mins(5);
const GIVE_UP: SignedDuration = SignedDuration::from_hours(24);

/// Told to a partner where the change that waits is the provider's.
pub(super) const OF_OPERATOR: &str =
    "The provider planned a change of this plan. Ask the provider to take it back or to change it";

/// Told to a partner who would stay on a plan that the provider moves everybody off.
const OF_MOVE: &str = "The provider moves its partners off this plan. Choose another plan, or cancel";

/// A change that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledChange {
    pub id: PlanChangeId,
    pub partner: PartnerId,
    /// The subscription that ends with it.
    pub subscription: SubscriptionId,
    /// The plan that ends.
    pub from_name: String,
    /// What begins; `None` where no plan follows.
    pub to: Option<ScheduledPlan>,
    pub effective_at: Timestamp,
    /// Until when limits and features of the old plan are kept then.
    pub kept_until: Option<Timestamp>,
    pub requested_at: Timestamp,
    /// What an operator planned is not the partner's to take back.
    pub ordered_by: OrderedBy,
    /// Not before then again, where it could not be made at its time.
    pub retry_at: Option<Timestamp>,
    /// The bulk move that it is a part of: the partner may leave or choose another plan, and not stay.
    pub of_move: Option<ScheduledMove>,
}

/// A bulk move, as a partner sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledMove {
    pub id: PlanMoveId,
    /// Why, for the partner; may be empty.
    pub reason: String,
}

/// The plan that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduledPlan {
    pub version_id: PlanVersionId,
    pub code: String,
    pub name: String,
    pub version: i32,
    /// Where its periods begin.
    pub cycle: Cycle,
    /// Since when units count in the first, where that is not its begin, and its quota, where that is not the plan's.
    pub counts_from: Option<Timestamp>,
    pub quota: Option<PeriodQuota>,
}

/// What became of a change whose time had come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutInForce {
    Done,
    /// It could not be made yet, and is tried again; why, for people.
    Later(String),
    /// It could not be made, and the old plan goes on; why, for people.
    Failed(String),
    /// Somebody else made it or took it back.
    Gone,
}

macro_rules! changes {
    ($rest:literal) => {
        concat!(
            "select c.*, fp.name as from_name, p.code, p.name, v.version, v.terms, m.reason as move_reason
             from plan_changes c
             join subscriptions s on s.partner_id = c.partner_id and s.id = c.subscription_id
             join plan_versions fv on fv.id = s.plan_version_id join plans fp on fp.id = fv.plan_id
             left join plan_versions v on v.id = c.plan_version_id left join plans p on p.id = v.plan_id
             left join plan_moves m on m.id = c.move_id
             where c.status = 'scheduled' ",
            $rest
        )
    };
}

impl Store {
    /// The change of the partner's plan that waits, if there is one.
    pub async fn scheduled_change(&self, partner: PartnerId) -> Result<Option<ScheduledChange>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        find(&mut connection, partner).await
    }

    /// Every partner's changes whose time has come, the earliest first. One that cannot be read keeps nobody else's from being made.
    pub async fn all_partners_due_changes(&self, now: Timestamp) -> Result<Vec<ScheduledChange>, StoreError> {
        let rows = sqlx::query(changes!(
            "and c.effective_at <= $1 and coalesce(c.retry_at, c.effective_at) <= $1 order by c.effective_at, c.id"
        ))
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        let readable = |row: &PgRow| {
            read(row).inspect_err(|error| tracing::error!(%error, "a planned change of plan cannot be read")).ok()
        };
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Takes a change back, as long as its time has not come; the plan goes on. Partners take back what is theirs.
    pub async fn withdraw_scheduled_change(
        &self,
        partner: PartnerId,
        change: PlanChangeId,
        by: OrderedBy,
        mails: &[NewMail],
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        if by == OrderedBy::Partner {
            if held.suspended_at.is_some() {
                return Err(StoreError::conflict("", "The account is suspended; the plan cannot be changed"));
            }
            let waits = find(&mut tx, partner).await?;
            check_is_partners(waits.as_ref())?;
            if waits.is_some_and(|waits| waits.of_move.is_some()) {
                return Err(StoreError::conflict("", OF_MOVE));
            }
        }
        let taken = sqlx::query(
            "update plan_changes set status = 'withdrawn', closed_at = $3
             where partner_id = $1 and id = $2 and status = 'scheduled' and effective_at > $3",
        )
        .bind(partner.0)
        .bind(change.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if taken.rows_affected() == 0 {
            return Err(StoreError::conflict("", "This change is in force, was taken back or was replaced by another"));
        }
        plan_moves::end_part(&mut tx, partner, change, PartEnd::Exempted, now).await?;
        let subject = change.to_string();
        audit::append(&mut tx, Entry::new(actor, partner, "subscription.keep", &subject), now).await?;
        for mail in mails {
            mails::queue(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Puts a change in force whose time has come, from the instant on that was planned: the old subscription ends and the new one
    /// starts in one transaction. What cannot be made is tried again for a day, and then closed, and the old plan goes on; at once
    /// where it is not the plan's change any more, or its time is billed.
    pub async fn put_change_in_force(
        &self,
        change: &ScheduledChange,
        mails: &[NewMail],
        mails_if_failed: &(dyn Fn(&str) -> Vec<NewMail> + Sync),
        now: Timestamp,
    ) -> Result<PutInForce, StoreError> {
        let partner = change.partner;
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let waits = find(&mut tx, partner).await?;
        if waits.as_ref() != Some(change) || change.effective_at > now {
            return Ok(PutInForce::Gone);
        }
        let mut problem = overtaken(&mut tx, change).await?;
        if let (None, Some(to)) = (&problem, &change.to) {
            problem = match terms::check_meters(&mut tx, to.version_id).await {
                Ok(()) => None,
                Err(StoreError::Conflict { message, .. }) => {
                    let is_over = change.retry_at.is_some() && now.duration_since(change.effective_at) >= GIVE_UP;
                    if !is_over {
                        try_later(&mut tx, change, &message, now + RETRY).await?;
                        tx.commit().await?;
                        return Ok(PutInForce::Later(message));
                    }
                    Some(message)
                }
                Err(error) => return Err(error),
            };
        }
        close(&mut tx, partner, if problem.is_some() { "failed" } else { "done" }, problem.as_deref(), now).await?;
        let subject = change.id.to_string();
        match (&problem, &change.to) {
            (Some(problem), _) => {
                let entry = Entry::new(Actor::System, partner, "subscription.change_failed", &subject);
                audit::append(&mut tx, entry.after(json!({"problem": problem})), now).await?;
            }
            (None, Some(to)) => {
                plan_moves::end_part(&mut tx, partner, change.id, PartEnd::Moved, now).await?;
                let ScheduledPlan { cycle, counts_from, quota, .. } = to;
                let (at, counts_from, quota) = (change.effective_at, *counts_from, *quota);
                let kept_until = change.kept_until;
                let start = change::Start { at, cycle, counts_from, quota, kept_until, change: Some(change.id) };
                change::start_at(&mut tx, partner, to.version_id, start, Actor::System, now).await?;
            }
            (None, None) => {
                change::end(&mut tx, partner, change.effective_at, Some(change.id), Actor::System, now).await?;
            }
        }
        let sorry = problem.as_deref().map(mails_if_failed);
        for mail in sorry.as_deref().unwrap_or(mails) {
            mails::queue(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(problem.map_or(PutInForce::Done, PutInForce::Failed))
    }
}

pub(super) async fn find(tx: &mut PgConnection, partner: PartnerId) -> Result<Option<ScheduledChange>, StoreError> {
    let row = sqlx::query(changes!("and c.partner_id = $1")).bind(partner.0).fetch_optional(tx).await?;
    Ok(row.as_ref().map(read).transpose()?)
}

/// Why the change can never be made.
async fn overtaken(tx: &mut PgConnection, change: &ScheduledChange) -> Result<Option<String>, StoreError> {
    let row = sqlx::query(
        "select exists (select from subscriptions where partner_id = $1 and id = $2 and status = 'active') as is_on,
             exists (select from billing_periods where partner_id = $1 and period_end > $3) as is_billed",
    )
    .bind(change.partner.0)
    .bind(change.subscription.0)
    .bind(Ts(change.effective_at))
    .fetch_one(tx)
    .await?;
    let (is_on, is_billed): (bool, bool) = (row.try_get("is_on")?, row.try_get("is_billed")?);
    let why = match (is_on, is_billed) {
        (false, _) => Some("The plan that it was planned for is no longer in force"),
        (true, true) => Some("The time from which on it was to hold is billed"),
        (true, false) => None,
    };
    Ok(why.map(str::to_owned))
}

async fn try_later(
    tx: &mut PgConnection,
    change: &ScheduledChange,
    problem: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("update plan_changes set retry_at = $3, problem = $4 where partner_id = $1 and id = $2")
        .bind(change.partner.0)
        .bind(change.id.0)
        .bind(Ts(at))
        .bind(problem)
        .execute(tx)
        .await?;
    Ok(())
}

/// Refuses a partner what an operator planned.
pub(super) fn check_is_partners(waits: Option<&ScheduledChange>) -> Result<(), StoreError> {
    match waits.is_some_and(|waits| waits.ordered_by == OrderedBy::Operator && waits.of_move.is_none()) {
        true => Err(StoreError::conflict("", OF_OPERATOR)),
        false => Ok(()),
    }
}

pub(super) async fn insert(
    tx: &mut PgConnection,
    partner: PartnerId,
    order: &PlanOrder,
    actor: Actor,
    now: Timestamp,
) -> Result<PlanChangeId, StoreError> {
    let id = PlanChangeId(Uuid::now_v7());
    let from = order.from.ok_or_else(|| StoreError::conflict("plan", "There is no plan to end"))?;
    sqlx::query(
        "insert into plan_changes (partner_id, id, subscription_id, plan_version_id, effective_at, anchor, time_zone, status,
             requested_at, ordered_by, kept_until)
         values ($1, $2, $3, $4, $5, $6, $7, 'scheduled', $8, $9, $10)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(from.0)
    .bind(order.to.map(|version| version.0))
    .bind(Ts(order.effective_at))
    .bind(order.cycle.as_ref().map(|cycle| Ts(cycle.anchor)))
    .bind(order.cycle.as_ref().map(|cycle| &cycle.time_zone))
    .bind(Ts(now))
    .bind(order.by.code())
    .bind(order.kept_until.map(Ts))
    .execute(&mut *tx)
    .await?;
    let subject = id.to_string();
    let entry = Entry::new(actor, partner, "subscription.schedule", &subject)
        .after(json!({"plan_version": order.to, "effective_at": order.effective_at}));
    audit::append(tx, entry, now).await?;
    Ok(id)
}

/// Another change takes the place of what waits.
pub(super) async fn replace(
    tx: &mut PgConnection,
    partner: PartnerId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let replaced = sqlx::query(
        "update plan_changes set status = 'replaced', closed_at = $2 where partner_id = $1 and status = 'scheduled'
         returning id, plan_version_id, effective_at",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = replaced else { return Ok(()) };
    let subject = PlanChangeId(row.try_get("id")?).to_string();
    let to: Option<Uuid> = row.try_get("plan_version_id")?;
    let planned = json!({"plan_version": to.map(PlanVersionId), "effective_at": row.at("effective_at")?});
    let entry = Entry::new(actor, partner, "subscription.replace_planned", &subject).before(planned);
    audit::append(tx, entry, now).await
}

/// Whether what waits is of a move of those on another version than this one.
pub(super) async fn is_for_others(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
) -> Result<bool, StoreError> {
    let of_others = sqlx::query_scalar(
        "select exists (select from plan_changes c join plan_moves m on m.id = c.move_id
             where c.partner_id = $1 and c.status = 'scheduled' and m.from_version_id <> $2)",
    );
    Ok(of_others.bind(partner.0).bind(version.0).fetch_one(tx).await?)
}

/// What waits ends this subscription instead: it is the same plan, with the same periods.
pub(super) async fn carry_over(
    tx: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
) -> Result<(), StoreError> {
    sqlx::query("update plan_changes set subscription_id = $2 where partner_id = $1 and status = 'scheduled'")
        .bind(partner.0)
        .bind(subscription.0)
        .execute(tx)
        .await?;
    Ok(())
}

async fn close(
    tx: &mut PgConnection,
    partner: PartnerId,
    status: &str,
    problem: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "update plan_changes set status = $2, problem = $3, closed_at = $4 where partner_id = $1 and status = 'scheduled'",
    )
    .bind(partner.0)
    .bind(status)
    .bind(problem)
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}

fn read(row: &PgRow) -> Result<ScheduledChange, sqlx::Error> {
    let to = match row.try_get::<Option<Uuid>, _>("plan_version_id")? {
        None => None,
        Some(version) => {
            let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
            let cycle =
                Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? };
            let at = row.at("effective_at")?;
            let counts_from = terms.counts_from(&cycle, at).map_err(|error| unreadable("anchor", error))?;
            let quota = terms.quota_of_part(&cycle, counts_from, at).map_err(|error| unreadable("anchor", error))?;
            Some(ScheduledPlan {
                version_id: PlanVersionId(version),
                code: row.try_get("code")?,
                name: row.try_get("name")?,
                version: row.try_get("version")?,
                cycle,
                counts_from,
                quota,
            })
        }
    };
    Ok(ScheduledChange {
        id: PlanChangeId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        subscription: SubscriptionId(row.try_get("subscription_id")?),
        from_name: row.try_get("from_name")?,
        to,
        effective_at: row.at("effective_at")?,
        kept_until: row.at_if_any("kept_until")?,
        requested_at: row.at("requested_at")?,
        ordered_by: row.parsed("ordered_by")?,
        retry_at: row.at_if_any("retry_at")?,
        of_move: row
            .try_get::<Option<Uuid>, _>("move_id")?
            .zip(row.try_get("move_reason")?)
            .map(|(id, reason)| ScheduledMove { id: PlanMoveId(id), reason }),
    })
}
