//! Subscriptions at Stripe, of partners whose usage Stripe rates, and what is sold there: what is still to be made or ended.
//!
//! What Stripe calls one is with the other objects, as `subscription:<id>`. What was made of the catalogue is noted besides, so that
//! nothing that somebody took away over there is made again by itself.

use crate::{Parameters, Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    period::Cycle,
    plan::PlanTerms,
};
use jiff::Timestamp;
use sqlx::{Row as _, postgres::PgRow, types::Json};

/// A subscription of ours that Stripe is to have one of, or no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatedSubscription {
    pub partner: PartnerId,
    pub id: SubscriptionId,
    /// Whether Stripe charges its invoices by itself.
    pub is_charged: bool,
}

/// One that runs at Stripe, and what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldSubscription {
    pub partner: PartnerId,
    pub id: SubscriptionId,
    pub stripe_id: String,
    /// Of the plan.
    pub plan: String,
    pub version: i32,
    /// The codes of what the version opens.
    pub products: Vec<String>,
    pub cycle: Cycle,
    /// From where Stripe counts its periods.
    pub anchor: Option<Timestamp>,
}

/// What the object stands for.
pub fn stripe_subscription(id: SubscriptionId) -> String {
    format!("subscription:{id}")
}

impl Store {
    /// Whether anything of the invoice was sent to Stripe, or was about to be: units, items, or an invoice.
    pub async fn is_begun_at_stripe(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, StoreError> {
        let is = sqlx::query_scalar(
            "select exists (select from stripe_objects where partner_id = $1 and split_part(subject, ':', 2) = $2
                 and split_part(subject, ':', 1) in ('invoice', 'rest', 'item', 'meter_event'))",
        )
        .bind(partner.0)
        .bind(invoice.to_string());
        Ok(is.fetch_one(self.pool()).await?)
    }

    /// Running subscriptions that Stripe is to rate and of which it has none, as far as is known. One that somebody set up there by hand is
    /// looked at again once it was seen before `seen_before`. They are in another order each time (`now`), so that none that waits is before
    /// the others for ever.
    pub async fn all_partners_subscriptions_to_begin(
        &self,
        seen_before: Timestamp,
        at_most: u32,
        now: Timestamp,
    ) -> Result<Vec<RatedSubscription>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id, s.id, p.asks_for_payment_method and exists (
                 select from payment_methods m where m.partner_id = s.partner_id and m.stripe_id is not null) as is_charged
             from subscriptions s
             join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
             join stripe_objects c on c.partner_id = s.partner_id and c.subject = 'customer' and c.stripe_id is not null
             left join stripe_objects o on o.partner_id = s.partner_id
                 and o.subject = 'subscription:sub_' || replace(s.id::text, '-', '')
             where s.status = 'active' and s.started_at is not null and s.ended_at is null
                 and v.terms ->> 'collect' = 'meter_events' and o.stripe_id is null
                 and (o.subject is null or not jsonb_path_exists(o.parameters, 'strict $[*] ? (@[0] == \"by_hand\")') or o.attempted_at < $1)
             order by md5(s.id::text || $3) limit $2",
        )
        .bind(Ts(seen_before))
        .bind(i64::from(at_most))
        .bind(now.to_string())
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Subscriptions that ended before `ended_before`, are billed to their end, and run on at Stripe, or may: of one that was asked for the
    /// answer may be lost. They are in another order each time (`now`).
    pub async fn all_partners_subscriptions_to_end(
        &self,
        ended_before: Timestamp,
        at_most: u32,
        now: Timestamp,
    ) -> Result<Vec<RatedSubscription>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id, s.id, false as is_charged
             from stripe_objects o join subscriptions s on s.partner_id = o.partner_id
                 and o.subject = 'subscription:sub_' || replace(s.id::text, '-', '')
             where o.subject like 'subscription:%' and s.ended_at < $1
                 and not jsonb_path_exists(o.parameters, 'strict $[*] ? (@[0] == \"ended\")')
                 and not exists (select from invoices i where i.partner_id = s.partner_id and i.subscription_id = s.id and i.status = 'open')
                 and s.ended_at <= coalesce((select max(b.period_end) from billing_periods b
                     where b.partner_id = s.partner_id and b.subscription_id = s.id), s.started_at)
             order by md5(s.id::text || $3) limit $2",
        )
        .bind(Ts(ended_before))
        .bind(i64::from(at_most))
        .bind(now.to_string())
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Those that Stripe is to have as long as they run, in another order each time.
    pub async fn all_partners_stripe_subscriptions(&self) -> Result<Vec<HeldSubscription>, StoreError> {
        let rows = sqlx::query(
            "select s.partner_id, s.id, s.anchor, s.time_zone, o.stripe_id, o.parameters, p.code, v.version, v.terms
             from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans p on p.id = v.plan_id
             join stripe_objects o on o.partner_id = s.partner_id and o.subject = 'subscription:sub_' || replace(s.id::text, '-', '')
             where s.status = 'active' and s.ended_at is null and o.stripe_id is not null
             order by random()",
        )
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| -> Result<_, sqlx::Error> {
            let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
            let Json(parameters): Json<Parameters> = row.try_get("parameters")?;
            let anchor = parameters.iter().find(|(name, _)| name == "billing_cycle_anchor");
            let anchor = anchor.and_then(|(_, at)| Timestamp::from_second(at.parse().ok()?).ok());
            Ok(HeldSubscription {
                partner: PartnerId(row.try_get("partner_id")?),
                id: SubscriptionId(row.try_get("id")?),
                stripe_id: row.try_get("stripe_id")?,
                plan: row.try_get("code")?,
                version: row.try_get("version")?,
                cycle: Cycle {
                    anchor: row.at("anchor")?,
                    interval: terms.interval,
                    time_zone: row.try_get("time_zone")?,
                },
                anchor,
                products: terms.products.into_iter().map(|grant| grant.product).collect(),
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Whether any usage of the invoice was sent to a meter of Stripe's, or was about to be.
    pub async fn has_meter_events(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, StoreError> {
        let has = sqlx::query_scalar(
            "select exists (select from stripe_objects where partner_id = $1 and starts_with(subject, $2))",
        )
        .bind(partner.0)
        .bind(format!("meter_event:{invoice}:"));
        Ok(has.fetch_one(self.pool()).await?)
    }

    /// Lets go of one that was ended at Stripe so that another takes its place; what is noted says why.
    pub async fn renew_stripe_subscription(
        &self,
        partner: PartnerId,
        (subject, stripe_id): (&str, &str),
        noted: &Parameters,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sqlx::query(
            "update stripe_objects set stripe_id = null, attempt = attempt + 1, attempted_at = $4, parameters = $3
             where partner_id = $1 and subject = $2 and stripe_id = $5",
        )
        .bind(partner.0)
        .bind(subject)
        .bind(Json(noted))
        .bind(Ts(now))
        .bind(stripe_id)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// When a product, price or meter was made at Stripe; `None` where it never was.
    pub async fn stripe_catalogue(&self, object: &str) -> Result<Option<Timestamp>, StoreError> {
        let row = sqlx::query("select made_at from stripe_catalogue where object = $1")
            .bind(object)
            .fetch_optional(self.pool())
            .await?;
        Ok(row.map(|row| row.at("made_at")).transpose()?)
    }

    /// Notes that it is there.
    pub async fn note_stripe_catalogue(&self, object: &str, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("insert into stripe_catalogue (object, made_at) values ($1, $2) on conflict (object) do nothing")
            .bind(object)
            .bind(Ts(now))
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

fn read(row: &PgRow) -> Result<RatedSubscription, sqlx::Error> {
    Ok(RatedSubscription {
        partner: PartnerId(row.try_get("partner_id")?),
        id: SubscriptionId(row.try_get("id")?),
        is_charged: row.try_get("is_charged")?,
    })
}
