//! Threshold invoices: which subscriptions have them, what they have billed of a period, and writing one.
//!
//! Whoever cuts a period holds the subscription, as whoever closes it does: so of two at once the later one finds what the other billed.

mod before;
mod beyond;
mod own_part;
mod papers;

pub use before::BilledBefore;
pub(crate) use before::hold_before;
pub use beyond::CreditedBeyond;
pub(crate) use beyond::is_made_of;
pub use own_part::OwnPart;
pub(crate) use own_part::own_part;

use crate::{
    Actor, OpenSubscription, Store, StoreError, Ts,
    audit::{self, Entry},
    invoices::{self, NewInvoice},
    partners,
    row::ReadRow as _,
    subscriptions,
};
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
    rating::OwnThreshold,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::collections::HashMap;
use uuid::Uuid;

/// A subscription that has threshold invoices.
#[derive(Debug, Clone)]
pub struct ThresholdOf {
    pub subscription: OpenSubscription,
    pub amount: Money,
    /// Up to when its usage was looked at and was too little.
    pub looked_through: Option<Timestamp>,
}

/// What became of a stretch that was to be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    Invoiced(InvoiceId),
    /// It was closed, cut by somebody else, or a threshold invoice became void: look again.
    Changed,
}

impl Store {
    /// Every subscription that has threshold invoices, by its plan or its partner's own.
    pub async fn all_partners_with_thresholds(&self) -> Result<Vec<ThresholdOf>, StoreError> {
        let plans: Vec<Uuid> =
            sqlx::query_scalar("select id from plan_versions where terms ->> 'invoice_threshold_micros' is not null")
                .fetch_all(self.pool())
                .await?;
        let rows =
            sqlx::query("select partner_id, currency, micros from invoice_thresholds").fetch_all(self.pool()).await?;
        let mut own = HashMap::with_capacity(rows.len());
        for row in &rows {
            own.insert(PartnerId(row.try_get("partner_id")?), read_own(row)?);
        }
        let partners: Vec<Uuid> =
            own.iter().filter(|(_, own)| **own != OwnThreshold::Never).map(|(partner, _)| partner.0).collect();
        if plans.is_empty() && partners.is_empty() {
            return Ok(Vec::new());
        }
        let mut with = Vec::new();
        for subscription in self.open_subscriptions_on(&plans, &partners).await? {
            if let Some(amount) = subscription.terms.invoice_threshold(own.get(&subscription.partner).copied()) {
                with.push(ThresholdOf { subscription, amount, looked_through: None });
            }
        }
        if with.is_empty() {
            return Ok(with);
        }
        let rows = sqlx::query("select subscription_id, through from threshold_looks where subscription_id = any($1)")
            .bind(with.iter().map(|one| one.subscription.id.0).collect::<Vec<_>>())
            .fetch_all(self.pool())
            .await?;
        let mut looks: HashMap<SubscriptionId, Timestamp> = HashMap::with_capacity(rows.len());
        for row in &rows {
            looks.insert(SubscriptionId(row.try_get("subscription_id")?), row.at("through")?);
        }
        for one in &mut with {
            one.looked_through = looks.get(&one.subscription.id).copied();
        }
        Ok(with)
    }

    /// Notes that usage up to then is below the threshold: until the next hour nobody looks again.
    pub async fn note_threshold_look(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        through: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "insert into threshold_looks (partner_id, subscription_id, through) values ($1, $2, $3)
             on conflict (partner_id, subscription_id) do update set through = greatest(threshold_looks.through, $3)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(through))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Writes a threshold invoice of an open stretch, and the ledger. `period` begins with the stretch and ends where it is cut, and the
    /// invoice says how many there were before ([`NewInvoice::threshold_number`]) and which of them it takes off.
    pub async fn cut_at_threshold(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        period: Period,
        invoice: NewInvoice,
        now: Timestamp,
    ) -> Result<Cut, StoreError> {
        let mut tx = self.begin().await?;
        subscriptions::hold(&mut tx, partner, subscription).await?;
        let is_over: bool = sqlx::query_scalar(
            "select exists (select from billing_periods
                     where partner_id = $1 and subscription_id = $2 and period_start < $4 and period_end > $3)
                 or exists (select from subscriptions where partner_id = $1 and id = $2 and ended_at < $4)",
        )
        .bind(partner.0)
        .bind(subscription.0)
        .bind(Ts(period.start))
        .bind(Ts(period.end))
        .fetch_one(&mut *tx)
        .await?;
        let earlier = hold_before(&mut tx, partner, subscription, period.start).await?;
        let last = earlier.last().map_or(0, |last| last.threshold_number);
        if is_over
            || last.checked_add(1) != Some(invoice.threshold_number)
            || !is_made_of(&mut tx, (partner, subscription, period.start), &earlier, Some(&invoice)).await?
        {
            tx.rollback().await?;
            return Ok(Cut::Changed);
        }
        let id = invoices::bill(&mut tx, partner, subscription, (period, "Threshold invoice"), invoice, now).await?;
        tx.commit().await?;
        Ok(Cut::Invoiced(id))
    }

    /// What the partner has in the place of its plan's threshold; `None` where it has the plan's.
    pub async fn own_invoice_threshold(&self, partner: PartnerId) -> Result<Option<OwnThreshold>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        own_threshold(&mut connection, partner).await
    }

    /// Gives the partner a threshold of its own, none, or with `None` its plan's.
    ///
    /// # Errors
    /// It is no amount above zero in whole coins, or another currency than the plan's, or Stripe rates the plan.
    pub async fn set_invoice_threshold(
        &self,
        partner: PartnerId,
        own: Option<OwnThreshold>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(problem) = own.and_then(OwnThreshold::problem) {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        if let Some(OwnThreshold::At(amount)) = own {
            fits_plan(&mut tx, partner, amount).await?;
        }
        let before = own_threshold(&mut tx, partner).await?;
        if before == own {
            tx.rollback().await?;
            return Ok(());
        }
        match own {
            None => {
                sqlx::query("delete from invoice_thresholds where partner_id = $1")
                    .bind(partner.0)
                    .execute(&mut *tx)
                    .await?;
            }
            Some(own) => {
                let amount = if let OwnThreshold::At(amount) = own { Some(amount) } else { None };
                sqlx::query(
                    "insert into invoice_thresholds (partner_id, currency, micros, set_at) values ($1, $2, $3, $4)
                     on conflict (partner_id) do update set currency = $2, micros = $3, set_at = $4",
                )
                .bind(partner.0)
                .bind(amount.map(|amount| amount.currency.code()))
                .bind(amount.map(|amount| amount.micros))
                .bind(Ts(now))
                .execute(&mut *tx)
                .await?;
            }
        }
        // What was too little may be enough by now.
        sqlx::query("delete from threshold_looks where partner_id = $1").bind(partner.0).execute(&mut *tx).await?;
        let entry =
            Entry::new(actor, partner, "partner.set_invoice_threshold", "").before(json!(before)).after(json!(own));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

async fn own_threshold(connection: &mut PgConnection, partner: PartnerId) -> Result<Option<OwnThreshold>, StoreError> {
    let row = sqlx::query("select currency, micros from invoice_thresholds where partner_id = $1")
        .bind(partner.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.as_ref().map(read_own).transpose()?)
}

fn read_own(row: &PgRow) -> Result<OwnThreshold, sqlx::Error> {
    Ok(match row.try_get::<Option<i64>, _>("micros")? {
        Some(micros) => OwnThreshold::At(Money::new(row.parsed("currency")?, micros)),
        None => OwnThreshold::Never,
    })
}

/// Whether the partner's plan, where it has one, could have it.
async fn fits_plan(tx: &mut PgConnection, partner: PartnerId, amount: Money) -> Result<(), StoreError> {
    let row = sqlx::query(
        "select v.terms ->> 'currency' as currency, coalesce(v.terms ->> 'collect', '') = 'meter_events' as is_rated_by_stripe
         from subscriptions s join plan_versions v on v.id = s.plan_version_id
         where s.partner_id = $1 and s.status = 'active'",
    )
    .bind(partner.0)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let currency: Currency = row.parsed("currency")?;
    if amount.currency != currency {
        return Err(StoreError::invalid("invoice_threshold", format!("The partner's plan is in {currency}")));
    }
    if row.try_get("is_rated_by_stripe")? {
        let message = "Stripe rates the usage of the partner's plan itself: threshold invoices need a plan that collects by invoice_items";
        return Err(StoreError::conflict("invoice_threshold", message));
    }
    Ok(())
}
