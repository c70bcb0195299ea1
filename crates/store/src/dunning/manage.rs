//! What operators decide, and what Stripe says of an invoice's collection.

use super::settle;
use crate::{
    InvoiceStatus, Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    partners,
    row::ReadRow as _,
};
use domain::{
    dunning::OwnDays,
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{PgConnection, Row as _};

/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Nothing follows until then.
#[derive(Debug, Clone)]
pub struct Pause {
    pub until: Timestamp,
    /// For the audit log and the operators, 1 to 500 characters.
    pub reason: String,
}

/// What Stripe says of how it collects an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Collection {
    pub due_at: Option<Timestamp>,
    /// Where it is paid.
    pub pay_url: Option<String>,
    /// Payments that failed.
    pub failed_payments: u32,
    pub next_payment_at: Option<Timestamp>,
    /// What Stripe Tax computed on it.
    pub tax: Option<Money>,
}

impl Store {
    /// Notes how Stripe collects the invoice. What Stripe does not say stays as it is.
    pub async fn note_collection(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        collection: &Collection,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update invoices set due_at = coalesce($3, due_at), pay_url = coalesce($4, pay_url), failed_payments = $5,
                 next_payment_at = $6, tax_micros = coalesce($7, tax_micros)
             where partner_id = $1 and id = $2
                 and (due_at, pay_url, failed_payments, next_payment_at, tax_micros)
                     is distinct from (coalesce($3, due_at), coalesce($4, pay_url), $5, $6, coalesce($7, tax_micros))",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .bind(collection.due_at.map(Ts))
        .bind(&collection.pay_url)
        .bind(i32::try_from(collection.failed_payments).unwrap_or(i32::MAX))
        .bind(collection.next_payment_at.map(Ts))
        .bind(collection.tax.map(|tax| tax.micros))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Says that an invoice is disputed, or no longer: meanwhile it has no consequence.
    ///
    /// # Errors
    /// It is paid or void, or no reason is given.
    pub async fn dispute_invoice(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
        disputed: Option<&str>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let reason = disputed.map(str::trim);
        if reason.is_some_and(|reason| !(1..=500).contains(&reason.chars().count())) {
            return Err(StoreError::invalid("reason", "Say why, in at most 500 characters"));
        }
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let row =
            sqlx::query("select status, disputed_at, dispute_reason from invoices where partner_id = $1 and id = $2")
                .bind(partner.0)
                .bind(invoice.0)
                .fetch_one(&mut *tx)
                .await?;
        let status: InvoiceStatus = row.parsed("status")?;
        if reason.is_some() && matches!(status, InvoiceStatus::Paid | InvoiceStatus::Void) {
            return Err(StoreError::conflict("", format!("The invoice is {status}: there is nothing to hold back")));
        }
        sqlx::query(
            "update invoices set disputed_at = case when $3::text is null then null else coalesce(disputed_at, $4) end,
                 dispute_reason = $3
             where partner_id = $1 and id = $2",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .bind(reason)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        let before: Option<String> = row.try_get("dispute_reason")?;
        let action = if reason.is_some() { "invoice.dispute" } else { "invoice.end_dispute" };
        let subject = invoice.to_string();
        let entry = Entry::new(actor, partner, action, &subject).before(json!({"reason": before}));
        audit::append(&mut tx, entry.after(json!({"reason": reason})), now).await?;
        settle(&mut tx, partner, actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets nothing follow for the partner's unpaid invoices until a day, from when on the days count anew; `None` ends a pause now.
    ///
    /// # Errors
    /// The day is over or more than a year ahead, no reason is given, or there is no pause to end.
    pub async fn pause_dunning(
        &self,
        partner: PartnerId,
        pause: Option<&Pause>,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(pause) = pause {
            let latest = now.saturating_add(LONGEST_PAUSE).unwrap_or(Timestamp::MAX);
            if pause.until <= now || pause.until > latest {
                return Err(StoreError::invalid("until", "Choose a day that is to come, within a year"));
            }
            if !(1..=500).contains(&pause.reason.trim().chars().count()) {
                return Err(StoreError::invalid("reason", "Say why, in at most 500 characters"));
            }
        }
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let held = sqlx::query("select paused_until, pause_reason from dunning where partner_id = $1")
            .bind(partner.0)
            .fetch_optional(&mut *tx)
            .await?;
        let until = held.as_ref().map(|row| row.at_if_any("paused_until")).transpose()?.flatten();
        let reason: Option<String> = held.as_ref().map(|row| row.try_get("pause_reason")).transpose()?.flatten();
        let before = json!({"until": until, "reason": reason});
        match pause {
            Some(pause) => {
                set_pause(&mut tx, partner, pause.until, pause.reason.trim(), now).await?;
                let after = json!({"until": pause.until, "reason": pause.reason.trim()});
                let entry = Entry::new(actor, partner, "dunning.pause", "").before(before).after(after);
                audit::append(&mut tx, entry, now).await?;
            }
            None => {
                if until.is_none_or(|until| until <= now) {
                    return Err(StoreError::conflict("", "Nothing is paused for this partner"));
                }
                set_pause(&mut tx, partner, now, reason.as_deref().unwrap_or("ended"), now).await?;
                audit::append(&mut tx, Entry::new(actor, partner, "dunning.resume", "").before(before), now).await?;
            }
        }
        settle(&mut tx, partner, actor, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Gives the partner days of its own in place of the plan's.
    ///
    /// # Errors
    /// More than a year.
    pub async fn set_dunning_days(
        &self,
        partner: PartnerId,
        own: OwnDays,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        if let Some(problem) = own.problems().into_iter().next() {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let before = super::case(&mut tx, partner, now).await?.own;
        if before != own {
            sqlx::query(
                "insert into dunning (partner_id, since, grace_days, limited_days) values ($1, $2, $3, $4)
                 on conflict (partner_id) do update set grace_days = $3, limited_days = $4",
            )
            .bind(partner.0)
            .bind(Ts(now))
            .bind(own.grace.map(i32::from))
            .bind(own.limited.map(i32::from))
            .execute(&mut *tx)
            .await?;
            let entry = Entry::new(actor, partner, "dunning.set_days", "").before(json!(before)).after(json!(own));
            audit::append(&mut tx, entry, now).await?;
            settle(&mut tx, partner, actor, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn set_pause(
    tx: &mut PgConnection,
    partner: PartnerId,
    until: Timestamp,
    reason: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into dunning (partner_id, since, paused_until, pause_reason) values ($1, $2, $3, $4)
         on conflict (partner_id) do update set paused_until = $3, pause_reason = $4",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .bind(Ts(until))
    .bind(reason)
    .execute(tx)
    .await?;
    Ok(())
}
