//! What the task does: finds partners with something to do, and does it where it is still so.

use super::{UnpaidInvoice, case, enter, settle};
use crate::{
    NewMail, Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    mails, partners,
};
use domain::{
    dunning::{DAYS_UNTIL_DUE, NOTICE, Next, Stage},
    id::PartnerId,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::Row as _;

/// Something that is to be done about a partner's unpaid invoice.
#[derive(Debug, Clone)]
pub struct DunningStep {
    pub partner: PartnerId,
    pub next: Next,
    /// `None` where all is well again.
    pub invoice: Option<UnpaidInvoice>,
    /// What is left of the limits where they are lowered, in words.
    pub lowered: String,
    /// Members who may see money, verified.
    pub recipients: Vec<String>,
}

impl Store {
    /// Gives invoices that Stripe does not collect the day on which they are due, two weeks after they were made. For installations
    /// without Stripe.
    pub async fn all_partners_set_due_days(&self) -> Result<u64, StoreError> {
        let set = sqlx::query(
            "update invoices set due_at = created_at + make_interval(hours => 24 * $1)
             where due_at is null and status = 'open' and collect = 'invoice_items' and total_micros > 0
                 and collected_by is distinct from 'stripe'",
        )
        .bind(i32::from(DAYS_UNTIL_DUE))
        .execute(self.pool())
        .await?;
        Ok(set.rows_affected())
    }

    /// Partners about whom something may be to do: they owe an invoice that is due soon, or are in a stage.
    pub async fn all_partners_to_dun(&self, now: Timestamp) -> Result<Vec<PartnerId>, StoreError> {
        let soon = now.saturating_add(NOTICE).unwrap_or(Timestamp::MAX);
        let rows = sqlx::query(
            "select partner_id from invoices
             where status in ('open', 'sent', 'uncollectible') and due_at <= $1 and total_micros > 0 and not stands_alone
             union select partner_id from dunning where stage <> 'good' order by 1",
        )
        .bind(Ts(soon))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok(PartnerId(row.try_get("partner_id")?))).collect()
    }

    /// What is to be done about the partner now; `None` where it is nothing.
    pub async fn dunning_step(&self, partner: PartnerId, now: Timestamp) -> Result<Option<DunningStep>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        let case = case(&mut connection, partner, now).await?;
        let next = match case.days {
            Some(days) => case.standing.next(days, now),
            None if case.standing.stage == Stage::Good => Next::Nothing,
            None => Next::Enter(Stage::Good),
        };
        if next == Next::Nothing {
            return Ok(None);
        }
        let recipients = sqlx::query_scalar(
            "select array(select email from members where partner_id = $1 and role in ('owner', 'admin', 'billing')
                 and email_verified_at is not null and disabled_at is null order by email)",
        )
        .bind(partner.0)
        .fetch_one(&mut *connection)
        .await?;
        let lowered = case.rules.as_ref().zip(case.terms.as_ref()).map(|(rules, terms)| rules.describe(terms));
        Ok(Some(DunningStep { partner, next, invoice: case.invoice, lowered: lowered.unwrap_or_default(), recipients }))
    }

    /// Takes a step that is still the one to take, with its mails and the audit log. False where something came between: somebody
    /// paid, or another took it.
    pub async fn take_dunning_step(
        &self,
        step: &DunningStep,
        letters: &[NewMail],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let partner = step.partner;
        let mut tx = self.begin().await?;
        partners::lock(&mut tx, partner).await?;
        let case = case(&mut tx, partner, now).await?;
        let same_invoice = case.invoice.as_ref().map(|own| own.id) == step.invoice.as_ref().map(|own| own.id);
        let next = case.days.map_or(Next::Enter(Stage::Good), |days| case.standing.next(days, now));
        if next != step.next || !same_invoice {
            // What made it needless may have made the partner better.
            settle(&mut tx, partner, Actor::System, now).await?;
            tx.commit().await?;
            return Ok(false);
        }
        match (next, &case.invoice) {
            (Next::Enter(stage), _) => enter(&mut tx, partner, &case, stage, Actor::System, now).await?,
            (Next::Tell(stage, at), Some(invoice)) => {
                sqlx::query(
                    "insert into dunning (partner_id, since, told_stage, told_invoice_id, told_at, worsens_at)
                     values ($1, $2, $3, $4, $2, $5)
                     on conflict (partner_id) do update set told_stage = $3, told_invoice_id = $4, told_at = $2, worsens_at = $5",
                )
                .bind(partner.0)
                .bind(Ts(now))
                .bind(stage.code())
                .bind(invoice.id.0)
                .bind(Ts(at))
                .execute(&mut *tx)
                .await?;
                for letter in letters {
                    mails::queue(&mut tx, letter, now).await?;
                }
                let code = invoice.code();
                let after = json!({"stage": stage, "begins_at": at, "invoice": invoice.id, "mails": letters.len()});
                let entry = Entry::new(Actor::System, partner, "dunning.tell", &code).after(after);
                audit::append(&mut tx, entry, now).await?;
            }
            _ => return Ok(false),
        }
        tx.commit().await?;
        Ok(true)
    }
}
