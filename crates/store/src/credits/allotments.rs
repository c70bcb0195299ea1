//! Allotments: units at the beginning of each period of a plan, once, and what is carried over of them.

mod back;
mod roll_over;

use super::{cover::cover, grant, post, settle::signed};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::{ReadRow as _, unreadable},
};
use domain::{
    credit::{
        GrantKind, USUAL_PRIORITY,
        allotment::{Allotment, earned},
        full_hour,
    },
    id::{CreditGrantId, PartnerId, SubscriptionId},
    period::{Cycle, Period},
    plan::PlanTerms,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// Periods that are made up for in one run, where nothing ran for long.
const MOST_PERIODS: usize = 400;

/// A subscription as allotments see it.
struct OnPlan {
    subscription: SubscriptionId,
    plan: String,
    allotment: Option<Allotment>,
    cycle: Cycle,
    started_at: Timestamp,
    ended_at: Option<Timestamp>,
    is_active: bool,
}

impl Store {
    /// Partners with a period that is not allotted yet, or units to carry over.
    pub async fn all_partners_to_allot(&self, now: Timestamp) -> Result<Vec<PartnerId>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.status = 'active' and s.started_at <= $1
                 and (v.terms #> '{admission,credit,allotment}' is not null
                     or exists (select from credit_allotments a
                         where a.partner_id = s.partner_id and a.period_start < s.started_at and a.period_end > $1))
                 and not exists (select from credit_allotments a
                     where a.partner_id = s.partner_id and a.subscription_id = s.id and a.period_end > $1)
                 and not exists (select from plan_changes c
                     where c.partner_id = s.partner_id and c.status = 'scheduled' and c.effective_at <= $1)
             union
             select partner_id from credit_allotments where rolled_at is null and expires_at <= $1
             order by partner_id",
        )
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok(PartnerId(row.try_get("partner_id")?))).collect()
    }

    /// Gives what is due of the partner's plan, for each period once; and where a smaller plan began within one, takes back what is unused of
    /// what was given for its part. How many units were given.
    pub async fn allot_credit(&self, partner: PartnerId, now: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.begin().await?;
        // Of two runs at once the later one finds the periods allotted.
        sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut *tx).await?;
        let all = subscriptions(&mut tx, partner, now).await?;
        // A plan that is over and only waits for its end gives nothing more.
        let is_over: bool = sqlx::query_scalar(
            "select exists (select from plan_changes where partner_id = $1 and status = 'scheduled' and effective_at <= $2)",
        )
        .bind(partner.0)
        .bind(Ts(now))
        .fetch_one(&mut *tx)
        .await?;
        let active = all.iter().find(|one| one.is_active && !is_over);
        let mut given = 0;
        if let Some(one) = active {
            for period in missing(&mut tx, partner, one, now).await? {
                // Where the plan gives nothing, what was given for its part of its first period is taken back.
                let begins_within = period.start < one.started_at && period.end > now;
                if one.allotment.is_some() || begins_within && allotted(&mut tx, partner, period).await? > 0 {
                    given += allot(&mut tx, partner, one, (period, &all), now).await?;
                }
            }
        }
        if given > 0 {
            cover(&mut tx, partner, now).await?;
        }
        tx.commit().await?;
        Ok(given)
    }
}

/// Periods of the subscription that have begun and are not allotted, the oldest first.
async fn missing(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    one: &OnPlan,
    now: Timestamp,
) -> Result<Vec<Period>, StoreError> {
    let until: Option<Ts> = sqlx::query_scalar(
        "select max(period_end) from credit_allotments where partner_id = $1 and subscription_id = $2",
    )
    .bind(partner.0)
    .bind(one.subscription.0)
    .fetch_one(&mut **tx)
    .await?;
    let mut from = until.map_or(one.started_at, |Ts(until)| until);
    let mut periods = Vec::new();
    while from <= now && periods.len() < MOST_PERIODS {
        let period = one.cycle.period_at(from).map_err(|error| unreadable("anchor", error))?;
        from = period.end;
        periods.push(period);
    }
    Ok(periods)
}

/// Units that plans gave in the period, less what was taken back of them.
async fn allotted(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    period: Period,
) -> Result<i64, StoreError> {
    let units = sqlx::query_scalar(
        "select coalesce(sum(units - taken_back_units), 0)::bigint from credit_allotments
         where partner_id = $1 and period_start = $2 and period_end = $3",
    );
    Ok(units.bind(partner.0).bind(Ts(period.start)).bind(Ts(period.end)).fetch_one(&mut **tx).await?)
}

/// Gives one period's units, or takes some back; what plans before it gave in the same period counts.
async fn allot(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    one: &OnPlan,
    (period, all): (Period, &[OnPlan]),
    now: Timestamp,
) -> Result<u64, StoreError> {
    let begins = period.start.max(one.started_at);
    let own = one.allotment.map_or(0, |allotment| allotment.units);
    let mut parts = vec![(own, Period { start: begins, end: period.end })];
    for before in all.iter().filter(|other| other.subscription != one.subscription) {
        let ended_at = before.ended_at.unwrap_or(begins).min(begins);
        let is_same = before.cycle.period_at(period.start).is_ok_and(|other| other == period);
        if let Some(own) =
            before.allotment.filter(|_| is_same && ended_at > period.start && before.started_at < ended_at)
        {
            parts.push((own.units, Period { start: before.started_at.max(period.start), end: ended_at }));
        }
    }
    let difference = signed(earned(&parts, period)).saturating_sub(allotted(tx, partner, period).await?);
    let units = difference.max(0);
    let taken_back = match difference {
        0.. => 0,
        less => back::take_back(tx, partner, (one.subscription, period), less.saturating_neg(), now).await?,
    };
    let expires_at = full_hour(period.end);
    let words = format!("Allotment of {}", one.plan);
    let grant = match units {
        0 => None,
        _ => Some(give(tx, partner, (units, &words), (begins, expires_at), now).await?),
    };
    sqlx::query(
        "insert into credit_allotments (partner_id, subscription_id, period_start, period_end, expires_at, units, grant_id, allotted_at,
             taken_back_units)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(partner.0)
    .bind(one.subscription.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .bind(Ts(expires_at))
    .bind(units)
    .bind(grant.map(|id| id.0))
    .bind(Ts(now))
    .bind(taken_back)
    .execute(&mut **tx)
    .await?;
    let subject = one.subscription.to_string();
    let after =
        json!({"units": units, "taken_back": taken_back, "period_start": period.start, "period_end": period.end});
    audit::append(tx, Entry::new(Actor::System, partner, "credit.allot", &subject).after(after), now).await?;
    Ok(units.unsigned_abs())
}

/// A grant that nobody pays for, in the balance at once.
pub(super) async fn give(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (units, reason): (i64, &str),
    (from, until): (Timestamp, Timestamp),
    now: Timestamp,
) -> Result<CreditGrantId, StoreError> {
    let id = CreditGrantId(Uuid::now_v7());
    sqlx::query(
        "insert into credit_grants (partner_id, id, units, reason, granted_at, kind, priority, effective_at, expires_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(units)
    .bind(reason.chars().take(200).collect::<String>())
    .bind(Ts(now))
    .bind(GrantKind::Promotional.code())
    .bind(i16::from(USUAL_PRIORITY))
    .bind(Ts(from))
    .bind(Ts(until))
    .execute(&mut **tx)
    .await?;
    post::lock(tx, partner).await?;
    grant::begin(tx, partner, id, now).await?;
    Ok(id)
}

/// All that ever began, the oldest first.
async fn subscriptions(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Vec<OnPlan>, StoreError> {
    let rows = sqlx::query(
        "select s.id, plans.name, v.terms, s.anchor, s.time_zone, s.started_at, s.ended_at, s.status = 'active' as is_active
         from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans on plans.id = v.plan_id
         where s.partner_id = $1 and s.started_at <= $2 order by s.started_at, s.id",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
}

fn read(row: &PgRow) -> Result<OnPlan, sqlx::Error> {
    let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
    Ok(OnPlan {
        subscription: SubscriptionId(row.try_get("id")?),
        plan: row.try_get("name")?,
        allotment: terms.admission.credit.allotment,
        cycle: Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? },
        started_at: row.at("started_at")?,
        ended_at: row.at_if_any("ended_at")?,
        is_active: row.try_get("is_active")?,
    })
}
