//! A change of plan as it was shown before: made as it was shown, or refused because something moved meanwhile.

use super::{Chosen, Subscription, SubscriptionStatus, change, requests, scheduled, trials};
use crate::{
    Store, StoreError, Ts,
    audit::Actor,
    checkouts,
    credits::fee_bonus,
    mails::{self, NewMail},
    partners,
    plans::{named::may_choose, terms},
    row::ReadRow as _,
};
use domain::{
    id::{PartnerId, PlanChangeId, PlanId, PlanVersionId, SubscriptionId},
    money::Money,
    period::Cycle,
    period::Period,
    plan::{Approval, PlanTerms},
    plan_change::{self, ChangeError, Held, Preview, Wanted, When},
    quota::PeriodQuota,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, Row as _, types::Json};

/// Told wherever something of a preview is not as it was.
const MOVED: &str = "The plan, its terms or a change that was planned are not as they were when this was shown, so nothing was \
                     changed. Look at what it means now, and confirm again";

const SUSPENDED: &str = "The account is suspended; the plan cannot be changed";

/// All that a preview is made of, read at one moment.
#[derive(Debug, Clone)]
pub struct ChangeGround {
    /// The partner's time zone now.
    pub time_zone: String,
    /// Why nothing can be changed.
    pub suspended: bool,
    pub current: Option<Subscription>,
    /// Since when the partner has the current plan, in any version, and until when it is billed.
    pub current_since: Option<Timestamp>,
    pub billed_until: Option<Timestamp>,
    /// The last fee that was billed in advance, before coupons, and what they took off.
    pub billed_ahead: Option<(Money, Money)>,
    /// The units that this fee gave as a bonus when it was paid, and for what.
    pub bonus: Option<(u64, Period)>,
    pub scheduled: Option<scheduled::ScheduledChange>,
    pub target: Option<ChangeTarget>,
}

/// The plan that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeTarget {
    pub plan: PlanId,
    pub code: String,
    pub name: String,
    pub version_id: PlanVersionId,
    pub version: i32,
    pub terms: PlanTerms,
    pub approval: Approval,
    /// Since when the partner has had it before, in any version.
    pub since: Option<Timestamp>,
    /// Whether the partner never had it, nor a trial, and so may try it.
    pub may_try: bool,
    /// Whether it is the plan that the partner has, in another version or on terms of its own.
    pub goes_on: bool,
}

/// Who orders: partners have what is offered, in its newest version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderedBy {
    Partner,
    Operator,
}

impl OrderedBy {
    /// As the table has it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Partner => "partner",
            Self::Operator => "operator",
        }
    }
}

impl std::str::FromStr for OrderedBy {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Partner, Self::Operator].into_iter().find(|by| by.code() == text);
        known.ok_or_else(|| format!("{text:?} is not known: partner or operator"))
    }
}

impl ChangeGround {
    /// What the change at `at` means.
    ///
    /// # Errors
    /// There is no plan and none is wanted, or an amount or a period is beyond what can be held.
    pub fn preview(&self, when: When, at: Timestamp) -> Result<Preview, ChangeError> {
        let cycle = self.current.as_ref().map(Subscription::cycle);
        let started_at = self.current.as_ref().and_then(|own| own.started_at).unwrap_or(at);
        let held = self.current.as_ref().zip(cycle.as_ref()).map(|(own, cycle)| Held {
            terms: &own.terms,
            cycle,
            started_at,
            since: self.current_since.unwrap_or(started_at),
            quota: own.period_quota,
            trial_until: own.trial_until,
            billed: self.billed_ahead,
            bonus: self.bonus,
            counts_from: own.counts_from,
        });
        let wanted = self.target.as_ref().map(|target| Wanted {
            terms: &target.terms,
            since: target.since,
            may_try: target.may_try,
            goes_on: target.goes_on,
        });
        let billed_until = self.billed_until.unwrap_or(started_at);
        plan_change::preview(held, wanted, when, billed_until, at, &self.time_zone)
    }

    /// Refuses a partner what is not its to decide: a plan while the account is suspended, and what takes the place of a change that an
    /// operator planned. Ending the plan is always its own to decide, otherwise.
    ///
    /// # Errors
    /// A conflict that says so.
    pub fn check_partner(&self) -> Result<(), StoreError> {
        if self.suspended && self.target.is_some() {
            return Err(StoreError::conflict("plan", SUSPENDED));
        }
        scheduled::check_is_partners(self.scheduled.as_ref())
    }
}

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The plan's newest version.
    Plan(PlanId),
    Version(PlanVersionId),
    /// No plan any more.
    Nothing,
}

/// A change, with all that was shown of it.
#[derive(Debug, Clone)]
pub struct PlanOrder {
    pub by: OrderedBy,
    /// The subscription and the planned change that it was shown for.
    pub from: Option<SubscriptionId>,
    pub replaces: Option<PlanChangeId>,
    /// `None` ends without a plan.
    pub to: Option<PlanVersionId>,
    pub at_once: bool,
    pub effective_at: Timestamp,
    /// Where periods begin then; `None` without a plan.
    pub cycle: Option<Cycle>,
    /// Since when units count in the first period, where that is not its begin, and its quota, where that is not the plan's.
    pub counts_from: Option<Timestamp>,
    pub quota: Option<PeriodQuota>,
    /// Until when limits and features of the old plan are kept.
    pub kept_until: Option<Timestamp>,
    /// Sent if it is made.
    pub mails: Vec<NewMail>,
}

/// What became of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ordered {
    /// It is in force; `None` where no plan follows.
    Done(Option<SubscriptionId>),
    /// An operator has to say yes first.
    Requested(SubscriptionId),
    /// It waits for the period's end.
    Scheduled(PlanChangeId),
}

impl Store {
    /// What a change of the partner's plan starts from. A plan that is not offered to the partner is not found.
    pub async fn change_ground(
        &self,
        partner: PartnerId,
        wish: Wish,
        by: OrderedBy,
    ) -> Result<ChangeGround, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let ground = ground(&mut tx, partner, wish, by).await?;
        tx.commit().await?;
        Ok(ground)
    }

    /// Makes the change as it was shown, with its mails, in one transaction; refuses it where something moved meanwhile. A plan that
    /// takes approval waits for an operator where the partner itself orders.
    pub async fn order_plan(
        &self,
        partner: PartnerId,
        order: PlanOrder,
        actor: Actor,
        now: Timestamp,
    ) -> Result<Ordered, StoreError> {
        let mut tx = self.begin().await?;
        let held = partners::lock(&mut tx, partner).await?;
        if order.by == OrderedBy::Partner {
            if held.suspended_at.is_some() && order.to.is_some() {
                return Err(StoreError::conflict("plan", SUSPENDED));
            }
            scheduled::check_is_partners(scheduled::find(&mut tx, partner).await?.as_ref())?;
        }
        check_ground(&mut tx, partner, &order).await?;
        if order.by == OrderedBy::Partner && order.from.is_none() && order.to.is_some() {
            checkouts::check_none_pays(&mut tx, partner, now).await?;
        }
        let mut approval = Approval::Automatic;
        if let Some(version) = order.to {
            // Nobody adds a version to the plan, hides or archives it meanwhile.
            let plan: uuid::Uuid = sqlx::query_scalar("select plan_id from plan_versions where id = $1")
                .bind(version.0)
                .fetch_one(&mut *tx)
                .await?;
            sqlx::query("select from plans where id = $1 for share").bind(plan).execute(&mut *tx).await?;
            if order.by == OrderedBy::Partner {
                let offered = target(&mut tx, partner, Wish::Plan(PlanId(plan)), order.by).await;
                match offered {
                    Ok(Some(offered)) if offered.version_id == version => approval = offered.approval,
                    Ok(_) | Err(StoreError::NotFound) => return Err(StoreError::conflict("preview", MOVED)),
                    Err(error) => return Err(error),
                }
            }
            change::check_is_a_change(&mut tx, partner, version).await?;
            terms::check_meters(&mut tx, version).await?;
        }
        let ordered = match (order.to, &order.cycle) {
            (Some(version), Some(_)) if approval == Approval::Queue => {
                requests::withdraw(&mut tx, partner, now).await?;
                Ordered::Requested(requests::insert(&mut tx, &held, version, actor, now).await?)
            }
            _ if !order.at_once => {
                requests::withdraw(&mut tx, partner, now).await?;
                scheduled::replace(&mut tx, partner, actor, now).await?;
                Ordered::Scheduled(scheduled::insert(&mut tx, partner, &order, actor, now).await?)
            }
            (Some(version), Some(cycle)) => {
                requests::withdraw(&mut tx, partner, now).await?;
                let PlanOrder { effective_at: at, counts_from, quota, kept_until, .. } = order;
                let start = change::Start { at, cycle, counts_from, quota, kept_until, change: None };
                Ordered::Done(Some(change::start_at(&mut tx, partner, version, start, actor, now).await?))
            }
            _ => {
                requests::withdraw(&mut tx, partner, now).await?;
                change::end(&mut tx, partner, order.effective_at, None, actor, now).await?;
                Ordered::Done(None)
            }
        };
        for mail in &order.mails {
            mails::queue(&mut tx, mail, now).await?;
        }
        tx.commit().await?;
        Ok(ordered)
    }
}

/// All that a preview is made of. The transaction sees one moment, or holds the partner.
pub(super) async fn ground(
    tx: &mut PgConnection,
    partner: PartnerId,
    wish: Wish,
    by: OrderedBy,
) -> Result<ChangeGround, StoreError> {
    let own = sqlx::query("select time_zone, suspended_at is not null as suspended from partners where id = $1")
        .bind(partner.0)
        .fetch_one(&mut *tx)
        .await?;
    let current = super::select(tx, partner, Some(SubscriptionStatus::Active)).await?.pop();
    let (mut current_since, mut billed_until, mut billed_ahead, mut bonus) = (None, None, None, None);
    if let Some(current) = &current {
        let row = sqlx::query(
            "select plan_since($1, $2) as since,
                 (select max(period_end) from billing_periods where partner_id = $1 and subscription_id = $3) as billed_until",
        )
        .bind(partner.0)
        .bind(current.version_id.0)
        .bind(current.id.0)
        .fetch_one(&mut *tx)
        .await?;
        (current_since, billed_until) = (row.at_if_any("since")?, row.at_if_any("billed_until")?);
        let ahead = sqlx::query(
            "select currency, fee_micros, coupon_micros from advance_fees where partner_id = $1 and subscription_id = $2
             order by period_start desc limit 1",
        )
        .bind(partner.0)
        .bind(current.id.0)
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(row) = ahead {
            let currency = row.parsed("currency")?;
            let money = |column| Ok::<_, sqlx::Error>(Money::new(currency, row.try_get(column)?));
            billed_ahead = Some((money("fee_micros")?, money("coupon_micros")?));
        }
        bonus = fee_bonus::running(tx, partner, current.id).await?;
    }
    let target = target(tx, partner, wish, by).await?;
    let scheduled = scheduled::find(tx, partner).await?;
    Ok(ChangeGround {
        time_zone: own.try_get("time_zone")?,
        suspended: own.try_get("suspended")?,
        current,
        current_since,
        billed_until,
        billed_ahead,
        bonus,
        scheduled,
        target,
    })
}

/// Refuses what was shown for another plan, or for a time that is billed by now.
async fn check_ground(tx: &mut PgConnection, partner: PartnerId, order: &PlanOrder) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select (select id from subscriptions where partner_id = $1 and status = 'active') as subscription,
             (select id from plan_changes where partner_id = $1 and status = 'scheduled') as scheduled,
             exists (select from subscriptions where partner_id = $1 and started_at > $2
                 or partner_id = $1 and ended_at > $2 and started_at is not null) as is_behind,
             exists (select from billing_periods where partner_id = $1 and period_end > $2) as is_billed",
    )
    .bind(partner.0)
    .bind(Ts(order.effective_at))
    .fetch_one(tx)
    .await?;
    let subscription = row.try_get::<Option<uuid::Uuid>, _>("subscription")?.map(SubscriptionId);
    let scheduled = row.try_get::<Option<uuid::Uuid>, _>("scheduled")?.map(PlanChangeId);
    let late = row.try_get::<bool, _>("is_behind")? || row.try_get::<bool, _>("is_billed")?;
    if subscription != order.from || scheduled != order.replaces || late {
        return Err(StoreError::conflict("preview", MOVED));
    }
    Ok(())
}

async fn target(
    tx: &mut PgConnection,
    partner: PartnerId,
    wish: Wish,
    by: OrderedBy,
) -> Result<Option<ChangeTarget>, StoreError> {
    let (plan, version) = match wish {
        Wish::Nothing => return Ok(None),
        Wish::Plan(plan) => (Some(plan.0), None),
        Wish::Version(version) => (None, Some(version.0)),
    };
    let row = sqlx::query(concat!(
        "select p.id as plan_id, p.code, p.name, p.approval, v.id, v.version, v.terms, plan_since($1, v.id) as since, ",
        trials::may_try!(),
        " as may_try,
             exists (select from subscriptions own join plan_versions held on held.id = own.plan_version_id
                 where own.partner_id = $1 and own.status = 'active' and base_plan(held.plan_id) = base_plan(p.id)) as goes_on
         from plans p join plan_versions v on v.plan_id = p.id
         where ($2::uuid is null or p.id = $2) and ($3::uuid is null or v.id = $3)
             and ($4 or ",
        may_choose!(),
        ") order by v.version desc limit 1",
    ))
    .bind(partner.0)
    .bind(plan)
    .bind(version)
    .bind(by == OrderedBy::Operator)
    .fetch_one(tx)
    .await?;
    let Json(terms) = row.try_get("terms")?;
    Ok(Some(ChangeTarget {
        plan: PlanId(row.try_get("plan_id")?),
        code: row.try_get("code")?,
        name: row.try_get("name")?,
        version_id: PlanVersionId(row.try_get("id")?),
        version: row.try_get("version")?,
        terms,
        approval: row.parsed("approval")?,
        since: row.at_if_any("since")?,
        may_try: row.try_get("may_try")?,
        goes_on: row.try_get("goes_on")?,
    }))
}

impl Ordered {
    /// As a choice that is made or requested.
    pub fn chosen(self) -> Option<Chosen> {
        match self {
            Self::Done(id) => id.map(Chosen::Active),
            Self::Requested(id) => Some(Chosen::Requested(id)),
            Self::Scheduled(_) => None,
        }
    }
}
