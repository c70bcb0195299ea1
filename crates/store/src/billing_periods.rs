//! Which stretches of a subscription are closed. Closing one writes the invoice, its lines and the ledger in the same
//! transaction, and a stretch is closed once.

mod ground;

pub use ground::{Beside, BillGround};

use crate::{
    Store, StoreError, Ts,
    credits::overdraft::{self, BilledBy, has_overdraft},
    invoices::{self, NewInvoice},
    outside::{self, ToldMark},
    pool::{plan_as_usual, plan_for_values},
    reconcile::doubtful,
    row::{ReadRow as _, unreadable},
    subscriptions, thresholds,
    usage::{metered_calls, units_stored},
};
use domain::{
    id::{InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    key_text::Environment,
    period::{Cycle, Period},
    plan::PlanTerms,
    rating::LineKind,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};
use std::{collections::HashMap, sync::Arc};
use uuid::Uuid;

/// A subscription that is not billed to its end yet.
#[derive(Debug, Clone)]
pub struct OpenSubscription {
    pub partner: PartnerId,
    pub id: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub terms: Arc<PlanTerms>,
    pub cycle: Cycle,
    /// Since when the partner first had this plan, in any of its versions: discounts count their periods from there.
    pub plan_since: Timestamp,
    /// Until when it is tried: its periods begin then.
    pub trial_until: Option<Timestamp>,
    /// Until when it is billed: the next stretch begins here.
    pub billed_until: Timestamp,
    /// When it was replaced or ended, or will be by a change that waits.
    pub ended_at: Option<Timestamp>,
}

/// What became of a stretch that was to be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    Invoiced(InvoiceId),
    /// Nothing to bill; it is closed without an invoice.
    Empty,
    /// Somebody else had closed it.
    Already,
    /// Usage was told from outside, handed over late or corrected, other units went beyond all credit, or a threshold invoice was made or
    /// became void, since the invoice was made: make it anew.
    Changed,
    /// Two places that count its usage do not say the same ([`Store::doubt`]).
    Doubtful,
}

/// What stands in the way of closing a stretch, and whether it may bill an overdraft.
const STANDING: &str = concat!(
    "select exists (select from billing_periods
             where partner_id = $1 and subscription_id = $4 and period_start < $3 and period_end > $2) as overlaps,
         exists (select ",
    doubtful!("$1", "$2", "$3"),
    ") as is_doubtful, ",
    has_overdraft!("$1"),
    " as may_overdraw"
);

macro_rules! open_subscriptions {
    ($rest:literal) => {
        concat!(
            "select s.partner_id, s.id, s.plan_version_id, s.anchor, s.time_zone, s.trial_until,
                 coalesce(s.ended_at, (select c.effective_at from plan_changes c
                     where c.partner_id = s.partner_id and c.subscription_id = s.id and c.status = 'scheduled')) as ended_at,
                 billed_until, plan_since(s.partner_id, s.plan_version_id) as plan_since
             from subscriptions s
             cross join lateral (
                 select coalesce(max(period_end), s.started_at) as billed_until from billing_periods b
                 where b.partner_id = s.partner_id and b.subscription_id = s.id
             ) as billed
             where s.status in ('active', 'ended') and s.started_at is not null
                 and (s.ended_at is null or billed_until < s.ended_at) ",
            $rest
        )
    };
}

impl Store {
    /// Every subscription with a stretch that is not billed, the current ones included.
    pub async fn all_partners_open_subscriptions(&self) -> Result<Vec<OpenSubscription>, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("set transaction isolation level repeatable read, read only").execute(&mut *tx).await?;
        let rows = sqlx::query(open_subscriptions!("order by s.partner_id, s.started_at")).fetch_all(&mut *tx).await?;
        let terms =
            sqlx::query("select id, terms from plan_versions where id in (select plan_version_id from subscriptions)")
                .fetch_all(&mut *tx)
                .await?;
        tx.commit().await?;
        let mut of_version = HashMap::new();
        for row in terms {
            of_version.insert(row.try_get::<Uuid, _>("id")?, Arc::new(row.try_get::<Json<PlanTerms>, _>("terms")?.0));
        }
        rows.iter().map(|row| Ok(read(row, &of_version)?)).collect()
    }

    /// Those of them that are on one of these versions of plans, or of one of these partners.
    pub(crate) async fn open_subscriptions_on(
        &self,
        versions: &[Uuid],
        partners: &[Uuid],
    ) -> Result<Vec<OpenSubscription>, StoreError> {
        let rows = sqlx::query(open_subscriptions!(
            "and (s.plan_version_id = any($1) or s.partner_id = any($2)) order by s.partner_id, s.started_at"
        ))
        .bind(versions)
        .bind(partners)
        .fetch_all(self.pool())
        .await?;
        let mut of: Vec<Uuid> = rows.iter().map(|row| row.try_get("plan_version_id")).collect::<Result<_, _>>()?;
        of.sort_unstable();
        of.dedup();
        let terms = sqlx::query("select id, terms from plan_versions where id = any($1)")
            .bind(of)
            .fetch_all(self.pool())
            .await?;
        let mut of_version = HashMap::new();
        for row in terms {
            of_version.insert(row.try_get::<Uuid, _>("id")?, Arc::new(row.try_get::<Json<PlanTerms>, _>("terms")?.0));
        }
        rows.iter().map(|row| Ok(read(row, &of_version)?)).collect()
    }

    /// The partner's subscriptions with a stretch that is not billed, the oldest first.
    pub async fn open_subscriptions(&self, partner: PartnerId) -> Result<Vec<OpenSubscription>, StoreError> {
        let rows = sqlx::query(open_subscriptions!("and s.partner_id = $1 order by s.started_at"))
            .bind(partner.0)
            .fetch_all(self.pool())
            .await?;
        let mut of_version = HashMap::new();
        for row in &rows {
            let version: Uuid = row.try_get("plan_version_id")?;
            let terms: Json<PlanTerms> = sqlx::query_scalar("select terms from plan_versions where id = $1")
                .bind(version)
                .fetch_one(self.pool())
                .await?;
            of_version.insert(version, Arc::new(terms.0));
        }
        Ok(rows.iter().map(|row| read(row, &of_version)).collect::<Result<_, _>>()?)
    }

    /// The partner's active subscription, or `None`.
    pub async fn open_subscription(&self, partner: PartnerId) -> Result<Option<OpenSubscription>, StoreError> {
        let row = sqlx::query(open_subscriptions!("and s.partner_id = $1 and s.status = 'active'"))
            .bind(partner.0)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let version: Uuid = row.try_get("plan_version_id")?;
        let terms: Json<PlanTerms> = sqlx::query_scalar("select terms from plan_versions where id = $1")
            .bind(version)
            .fetch_one(self.pool())
            .await?;
        Ok(Some(read(&row, &HashMap::from([(version, Arc::new(terms.0))]))?))
    }

    /// The partner's subscriptions that ended after one instant and not after the other; `billed_until` is when each began.
    pub async fn subscriptions_until(
        &self,
        partner: PartnerId,
        until: Timestamp,
        after: Timestamp,
    ) -> Result<Vec<OpenSubscription>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id, s.id, s.plan_version_id, s.anchor, s.time_zone, s.ended_at, s.trial_until,
                 s.started_at as billed_until, v.terms,
                 plan_since(s.partner_id, s.plan_version_id) as plan_since
             from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.partner_id = $1 and s.started_at is not null and s.ended_at > $2 and s.ended_at <= $3
             order by s.ended_at desc",
        )
        .bind(partner.0)
        .bind(Ts(after))
        .bind(Ts(until))
        .fetch_all(self.pool())
        .await?;
        let one = |row: &PgRow| {
            let terms = Arc::new(row.try_get::<Json<PlanTerms>, _>("terms")?.0);
            read(row, &HashMap::from([(row.try_get::<Uuid, _>("plan_version_id")?, terms)]))
        };
        Ok(rows.iter().map(one).collect::<Result<_, _>>()?)
    }

    /// Closes a stretch of a subscription: with an invoice where there is one, and in the ledger. `outside` is
    /// [`Store::outside_mark`] as it was before the invoice's usage was read, or the [`BillGround`]'s that it was read with.
    pub async fn close_billing_period(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period: Period,
        (invoice, outside): (Option<NewInvoice>, ToldMark),
        now: Timestamp,
    ) -> Result<Closed, StoreError> {
        let mut tx = self.begin().await?;
        // Of two runs at once the later one finds the stretch closed.
        subscriptions::hold(&mut tx, partner, subscription).await?;
        let standing = sqlx::query(STANDING)
            .bind(partner.0)
            .bind(Ts(period.start))
            .bind(Ts(period.end))
            .bind(subscription.0)
            .fetch_one(&mut *tx)
            .await?;
        if standing.try_get("overlaps")? {
            tx.rollback().await?;
            return Ok(Closed::Already);
        }
        // Whoever compares all the time may have found something since this stretch was compared.
        if standing.try_get("is_doubtful")? {
            tx.rollback().await?;
            return Ok(Closed::Doubtful);
        }
        let before = thresholds::hold_before(&mut tx, partner, subscription, period.start).await?;
        let of = (partner, subscription, period.start);
        if !thresholds::is_made_of(&mut tx, of, &before, invoice.as_ref()).await? {
            tx.rollback().await?;
            return Ok(Closed::Changed);
        }
        // From here on an event of this stretch is late.
        let mark = outside::lock(&mut tx, partner).await?;
        if mark.corrected != outside.corrected
            || mark.accepted != outside.accepted
                && outside::is_billed_since(&mut tx, partner, period, outside.accepted).await?
        {
            tx.rollback().await?;
            return Ok(Closed::Changed);
        }
        // A gateway that was forgotten may have handed calls over since the invoice's usage was read; what it hands over from here on is
        // late.
        let stored = units_stored(&mut tx, partner, period, Environment::Live).await?;
        let measured = match outside.metered {
            Some(before) => before == measured(&mut tx, partner, period).await?,
            None => true,
        };
        if stored != billed_units(invoice.as_ref()) || !measured {
            tx.rollback().await?;
            return Ok(Closed::Changed);
        }
        let overdrawn = match standing.try_get("may_overdraw")? {
            true => overdraft::due(&mut tx, partner, BilledBy::Period(subscription, period.end), now).await?,
            false => Vec::new(),
        };
        if overdrawn != invoice.as_ref().map_or(&[][..], |invoice| &invoice.overdrawn) {
            tx.rollback().await?;
            return Ok(Closed::Changed);
        }
        let closed = match invoice {
            None => Closed::Empty,
            Some(invoice) => {
                let id = invoices::bill(&mut tx, partner, subscription, (period, "Invoice"), invoice, now).await?;
                overdraft::bill(&mut tx, partner, (id, &overdrawn), now).await?;
                Closed::Invoiced(id)
            }
        };
        let id = if let Closed::Invoiced(id) = closed { Some(id.0) } else { None };
        sqlx::query(
            "insert into billing_periods (partner_id, subscription_id, period_start, period_end, invoice_id, closed_at)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period.start))
        .bind(Ts(period.end))
        .bind(id)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(closed)
    }
}

/// As [`metered_calls`], planned for the stretch alone.
async fn measured(tx: &mut PgConnection, partner: PartnerId, period: Period) -> Result<u64, StoreError> {
    plan_for_values(tx).await?;
    let calls = metered_calls(tx, partner, period).await?;
    plan_as_usual(tx).await?;
    Ok(calls)
}

/// Units of the stretch itself.
fn billed_units(invoice: Option<&NewInvoice>) -> u64 {
    let lines = invoice.into_iter().flat_map(|invoice| &invoice.lines).filter(|line| line.kind == LineKind::Usage);
    lines.fold(0, |sum, line| sum.saturating_add(line.quantity.unsigned_abs()))
}

fn read(row: &PgRow, of_version: &HashMap<Uuid, Arc<PlanTerms>>) -> Result<OpenSubscription, sqlx::Error> {
    let version: Uuid = row.try_get("plan_version_id")?;
    let terms = of_version.get(&version).cloned().ok_or_else(|| unreadable("plan_version_id", "no such version"))?;
    Ok(OpenSubscription {
        partner: PartnerId(row.try_get("partner_id")?),
        id: SubscriptionId(row.try_get("id")?),
        plan_version: PlanVersionId(version),
        cycle: Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: row.try_get("time_zone")? },
        terms,
        plan_since: row.at("plan_since")?,
        trial_until: row.at_if_any("trial_until")?,
        billed_until: row.at("billed_until")?,
        ended_at: row.at_if_any("ended_at")?,
    })
}

#[cfg(test)]
mod tests;
