//! What Stripe holds of ours, and what we have asked it to hold.
//!
//! A row is written before Stripe is asked for the first time. It keeps the attempt's number and the parameters as sent, so
//! that whoever comes after a crash or a lost answer repeats the same request under the same key.

use crate::{Store, StoreError, Ts, row::ReadRow as _};
use domain::id::{InvoiceId, PartnerId};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// Names and values of a form, in the order in which they are sent.
pub type Parameters = Vec<(String, String)>;

/// One object of Stripe's and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripeObject {
    /// As `customer` or `invoice:<id>`; `rest:<id>` is what Stripe's own invoice of a period has missed.
    pub subject: String,
    /// `None` until Stripe's answer is known.
    pub stripe_id: Option<String>,
    /// Part of the idempotency key.
    pub attempt: i32,
    pub attempted_at: Timestamp,
    /// When the attempt was sent last.
    pub sent_at: Timestamp,
    pub parameters: Parameters,
}

/// Whom Stripe sends the partner's invoices to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingContact {
    pub name: String,
    /// The first member with the billing role, else owner, else admin, one with a verified address before the others; `None`
    /// where the partner has none of them.
    pub email: Option<String>,
}

/// The address of a [`BillingContact`], of the partner `p`.
macro_rules! contact_email {
    () => {
        "(select m.email from members m
          where m.partner_id = p.id and m.disabled_at is null and m.role in ('billing', 'owner', 'admin')
          order by m.email_verified_at is null, array_position(array['billing', 'owner', 'admin'], m.role), m.created_at, m.id
          limit 1)"
    };
}
pub(crate) use contact_email;

impl Store {
    /// What is known of one subject.
    pub async fn stripe_object(&self, partner: PartnerId, subject: &str) -> Result<Option<StripeObject>, StoreError> {
        let row = sqlx::query(
            "select subject, stripe_id, attempt, attempted_at, coalesce(sent_at, attempted_at) as sent_at, parameters from stripe_objects
             where partner_id = $1 and subject = $2",
        )
        .bind(partner.0)
        .bind(subject)
        .fetch_optional(self.pool())
        .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// What Stripe calls the partner's invoice; `None` where it is not there, or where Stripe makes its own of meter events.
    pub async fn stripe_invoice(&self, partner: PartnerId, invoice: InvoiceId) -> Result<Option<String>, StoreError> {
        let held = self.stripe_object(partner, &format!("invoice:{invoice}")).await?;
        Ok(held.and_then(|held| held.stripe_id))
    }

    /// Notes that Stripe is about to be asked, and returns what to ask: where another attempt was noted meanwhile, that one.
    /// `attempt` 1 is the first; a later one replaces the one before it as long as Stripe has not answered.
    pub async fn begin_stripe_object(
        &self,
        partner: PartnerId,
        subject: &str,
        attempt: i32,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<StripeObject, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "insert into stripe_objects as held (partner_id, subject, attempt, attempted_at, parameters)
             values ($1, $2, $3, $4, $5)
             on conflict (partner_id, subject) do update
                 set attempt = excluded.attempt, attempted_at = excluded.attempted_at, parameters = excluded.parameters
                 where held.stripe_id is null and held.attempt < excluded.attempt",
        )
        .bind(partner.0)
        .bind(subject)
        .bind(attempt)
        .bind(Ts(now))
        .bind(Json(parameters))
        .execute(&mut *tx)
        .await?;
        let row = sqlx::query(
            "select subject, stripe_id, attempt, attempted_at, coalesce(sent_at, attempted_at) as sent_at, parameters from stripe_objects
             where partner_id = $1 and subject = $2",
        )
        .bind(partner.0)
        .bind(subject)
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(read(&row)?)
    }

    /// Notes that the attempt is sent now, once more.
    pub async fn send_stripe_object(
        &self,
        partner: PartnerId,
        subject: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update stripe_objects set sent_at = $3 where partner_id = $1 and subject = $2")
            .bind(partner.0)
            .bind(subject)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Notes that all of these are sent now, once more.
    pub async fn send_stripe_objects(&self, all: &[(PartnerId, String)], now: Timestamp) -> Result<(), StoreError> {
        let (partners, subjects): (Vec<_>, Vec<_>) =
            all.iter().map(|(partner, subject)| (partner.0, subject.clone())).unzip();
        sqlx::query(
            "update stripe_objects o set sent_at = $3 from unnest($1::uuid[], $2::text[]) as sent (partner_id, subject)
             where o.partner_id = sent.partner_id and o.subject = sent.subject",
        )
        .bind(partners)
        .bind(subjects)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes what Stripe calls each of these, in the same order.
    pub async fn finish_stripe_objects(
        &self,
        all: &[(PartnerId, String)],
        stripe_ids: &[String],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (partners, subjects): (Vec<_>, Vec<_>) =
            all.iter().map(|(partner, subject)| (partner.0, subject.clone())).unzip();
        sqlx::query(
            "update stripe_objects o set stripe_id = done.stripe_id, pushed_at = $4
             from unnest($1::uuid[], $2::text[], $3::text[]) as done (partner_id, subject, stripe_id)
             where o.partner_id = done.partner_id and o.subject = done.subject and (o.stripe_id is null or o.stripe_id = done.stripe_id)",
        )
        .bind(partners)
        .bind(subjects)
        .bind(stripe_ids)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes what Stripe calls it.
    pub async fn finish_stripe_object(
        &self,
        partner: PartnerId,
        subject: &str,
        stripe_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update stripe_objects set stripe_id = $3, pushed_at = $4
             where partner_id = $1 and subject = $2 and (stripe_id is null or stripe_id = $3)",
        )
        .bind(partner.0)
        .bind(subject)
        .bind(stripe_id)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Notes what an object was changed to.
    pub async fn change_stripe_object(
        &self,
        partner: PartnerId,
        subject: &str,
        parameters: &Parameters,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query("update stripe_objects set parameters = $3, pushed_at = $4 where partner_id = $1 and subject = $2")
            .bind(partner.0)
            .bind(subject)
            .bind(Json(parameters))
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }

    /// Lets go of what Stripe calls it, because Stripe has it no more: the next attempt makes another one.
    pub async fn forget_stripe_object(
        &self,
        partner: PartnerId,
        subject: &str,
        stripe_id: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update stripe_objects set stripe_id = null, attempt = attempt + 1, attempted_at = $4
             where partner_id = $1 and subject = $2 and stripe_id = $3",
        )
        .bind(partner.0)
        .bind(subject)
        .bind(stripe_id)
        .bind(Ts(now))
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Whose invoice a Stripe invoice is; before that is known there is no partner to ask by.
    pub async fn all_partners_invoice_by_stripe_id(
        &self,
        stripe_id: &str,
    ) -> Result<Option<(PartnerId, InvoiceId)>, StoreError> {
        let row = sqlx::query(
            "select partner_id, subject from stripe_objects
             where stripe_id = $1 and (subject like 'invoice:%' or subject like 'rest:%')",
        )
        .bind(stripe_id)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let subject: &str = row.try_get("subject")?;
        let invoice = subject.split_once(':').and_then(|(_, id)| id.parse().ok());
        Ok(invoice.map(|invoice| Ok::<_, sqlx::Error>((PartnerId(row.try_get("partner_id")?), invoice))).transpose()?)
    }

    /// Whose meter event an identifier is, and on which invoice and line its units are; also by the idempotency key of its request,
    /// as `turnpike:<partner>:meter_event:<invoice>:<line>:<attempt>`.
    pub async fn all_partners_meter_event(
        &self,
        identifier: &str,
    ) -> Result<Option<(PartnerId, InvoiceId, u32)>, StoreError> {
        let row = sqlx::query(
            "select partner_id, subject from stripe_objects
             where starts_with(subject, 'meter_event:') and (stripe_id = $1 or exists (
                 select from jsonb_array_elements(parameters) pair where pair ->> 0 = 'identifier' and pair ->> 1 = $1)
                 or starts_with($1, 'turnpike:partner_' || replace(partner_id::text, '-', '') || ':' || subject || ':'))",
        )
        .bind(identifier)
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let subject: &str = row.try_get("subject")?;
        let mut parts = subject.split(':').skip(1);
        let (invoice, line) =
            (parts.next().and_then(|id| id.parse().ok()), parts.next().and_then(|at| at.parse().ok()));
        let partner = PartnerId(row.try_get("partner_id")?);
        Ok(invoice.zip(line).map(|(invoice, line)| (partner, invoice, line)))
    }

    /// Partners whose running plan Stripe rates and that are no customers there yet, in another order each time (`now`), so that those whom it
    /// refuses are not before the others for ever.
    pub async fn all_partners_with_meters_and_no_customer(
        &self,
        at_most: u32,
        now: Timestamp,
    ) -> Result<Vec<PartnerId>, StoreError> {
        let partners: Vec<uuid::Uuid> = sqlx::query_scalar(
            "select s.partner_id
             from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.status = 'active' and s.ended_at is null and v.terms ->> 'collect' = 'meter_events' and not exists (
                 select from stripe_objects o
                 where o.partner_id = s.partner_id and o.subject = 'customer' and o.stripe_id is not null)
             group by s.partner_id order by md5(s.partner_id::text || $2) limit $1",
        )
        .bind(i64::from(at_most))
        .bind(now.to_string())
        .fetch_all(self.pool())
        .await?;
        Ok(partners.into_iter().map(PartnerId).collect())
    }

    /// Name and address for Stripe's customer.
    pub async fn billing_contact(&self, partner: PartnerId) -> Result<BillingContact, StoreError> {
        let row =
            sqlx::query(concat!("select p.name, ", contact_email!(), " as email from partners p where p.id = $1"))
                .bind(partner.0)
                .fetch_one(self.pool())
                .await?;
        Ok(BillingContact { name: row.try_get("name")?, email: row.try_get("email")? })
    }
}

fn read(row: &PgRow) -> Result<StripeObject, sqlx::Error> {
    Ok(StripeObject {
        subject: row.try_get("subject")?,
        stripe_id: row.try_get("stripe_id")?,
        attempt: row.try_get("attempt")?,
        attempted_at: row.at("attempted_at")?,
        sent_at: row.at("sent_at")?,
        parameters: row.try_get::<Json<Parameters>, _>("parameters")?.0,
    })
}
