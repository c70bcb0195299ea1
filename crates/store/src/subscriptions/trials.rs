//! Trials: who has one, and who has to be told that one ends. A partner has one trial, of a
//! plan that it never had: neither another plan, nor terms of its own, nor leaving and coming back gives a second.

use crate::{
    Store, StoreError, Ts,
    mails::{self, NewMail},
    partners,
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, PlanVersionId, SubscriptionId},
    period::Cycle,
    plan::PlanTerms,
    rating::Trial,
};
use jiff::{SignedDuration, Timestamp};
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};

/// How long before its end a trial is spoken of.
const TOLD_BEFORE: SignedDuration = SignedDuration::from_hours(72);

/// Whether partner `$1` never had a trial, nor the plan `p`, in any version or on terms of its own.
macro_rules! may_try {
    () => {
        "not exists (select from subscriptions had join plan_versions of_plan on of_plan.id = had.plan_version_id
             where had.partner_id = $1 and had.started_at is not null
                 and (had.trial_until is not null or base_plan(of_plan.plan_id) = base_plan(p.id)))"
    };
}
pub(super) use may_try;

/// A trial that ends soon.
#[derive(Debug, Clone)]
pub struct EndingTrial {
    pub partner: PartnerId,
    pub subscription: SubscriptionId,
    pub plan_name: String,
    pub terms: PlanTerms,
    pub ends_at: Timestamp,
    /// IANA name: where its periods begin.
    pub time_zone: String,
    /// Whether another plan or none follows, by a change that waits.
    pub is_left: bool,
}

impl Store {
    /// The trials whose end is within three days and was not told yet.
    pub async fn all_partners_ending_trials(&self, now: Timestamp) -> Result<Vec<EndingTrial>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id, s.id, p.name, v.terms, s.trial_until, s.time_zone,
                 exists (select from plan_changes c where c.partner_id = s.partner_id and c.subscription_id = s.id
                     and c.status = 'scheduled' and c.effective_at <= s.trial_until) as is_left
             from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
             where s.status = 'active' and s.trial_told_at is null and s.trial_until > $1 and s.trial_until <= $2
             order by s.trial_until, s.partner_id",
        )
        .bind(Ts(now))
        .bind(Ts(now.saturating_add(TOLD_BEFORE).unwrap_or(Timestamp::MAX)))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            let Json(terms) = row.try_get("terms")?;
            Ok(EndingTrial {
                partner: PartnerId(row.try_get("partner_id")?),
                subscription: SubscriptionId(row.try_get("id")?),
                plan_name: row.try_get("name")?,
                terms,
                ends_at: row.at("trial_until")?,
                time_zone: row.try_get("time_zone")?,
                is_left: row.try_get("is_left")?,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Sends the mails about a trial's end, once; false where somebody else did, or it is over.
    pub async fn tell_of_trial(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        mails: &[NewMail],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let told = sqlx::query(
            "update subscriptions set trial_told_at = $3
             where partner_id = $1 and id = $2 and status = 'active' and trial_told_at is null and trial_until > $3",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if told.rows_affected() == 0 {
            return Ok(false);
        }
        for mail in mails {
            mails::queue(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// When a trial ends that begins then; `None` where the version has none or the partner had the plan before.
pub(super) async fn open_to(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
    at: Timestamp,
    time_zone: &str,
) -> Result<Option<Timestamp>, StoreError> {
    let row = sqlx::query(concat!(
        "select v.terms -> 'trial' as trial, ",
        may_try!(),
        " as may_try from plan_versions v join plans p on p.id = v.plan_id where v.id = $2",
    ))
    .bind(partner.0)
    .bind(version.0)
    .fetch_one(tx)
    .await?;
    let trial: Option<Json<Trial>> = row.try_get("trial")?;
    let Some(Json(trial)) = trial.filter(|_| row.try_get("may_try").unwrap_or(false)) else { return Ok(None) };
    let end = trial.end(at, time_zone).map_err(|error| StoreError::invalid("time_zone", error.to_string()))?;
    Ok(Some(Timestamp::from_microsecond(end.as_microsecond()).unwrap_or(end)))
}

/// Until when the version is tried that begins then with these periods: from now on, where its periods begin with the end of a trial that
/// is open to the partner; or as long as before, where it is another version of a plan that is tried, or that plan on terms of the partner's
/// own, has a trial itself and keeps the periods.
pub(super) async fn granted(
    tx: &mut PgConnection,
    partner: PartnerId,
    version: PlanVersionId,
    at: Timestamp,
    cycle: &Cycle,
) -> Result<Option<Timestamp>, StoreError> {
    let open = open_to(tx, partner, version, at, &cycle.time_zone).await?;
    if let Some(until) = open.filter(|until| *until == cycle.anchor) {
        return Ok(Some(until));
    }
    let row = sqlx::query(
        "select s.trial_until from subscriptions s
         join plan_versions v on v.id = s.plan_version_id join plan_versions n on n.id = $2
         where s.partner_id = $1 and s.status = 'active' and base_plan(n.plan_id) = base_plan(v.plan_id)
             and n.terms ? 'trial' and s.trial_until > $3 and s.anchor = $4 and s.trial_until = s.anchor",
    )
    .bind(partner.0)
    .bind(version.0)
    .bind(Ts(at))
    .bind(Ts(cycle.anchor))
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| row.at("trial_until")).transpose()?)
}
