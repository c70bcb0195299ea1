//! What a comparison with Stripe needs of ours, and how what it found is kept.

use super::{Drift, read};
use crate::{Parameters, Store, StoreError, Ts, row::ReadRow as _, stripe_objects::contact_email};
use domain::id::PartnerId;
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow, types::Json};

/// A partner that is a customer at Stripe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldCustomer {
    pub partner: PartnerId,
    pub stripe_id: String,
    pub name: String,
    pub email: Option<String>,
    /// As they were sent last.
    pub told: Parameters,
}

/// How comparing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StripeComparison {
    /// Somebody wants another one.
    pub asked_at: Option<Timestamp>,
    /// `None` where there was none.
    pub compared_at: Option<Timestamp>,
    /// Fields that were compared.
    pub compared: u64,
    pub open: u64,
    /// To be written.
    pub asked: u64,
    pub accepted: u64,
}

impl Store {
    /// How comparing with Stripe stands.
    pub async fn stripe_comparison(&self) -> Result<StripeComparison, StoreError> {
        let row = sqlx::query(
            "select c.asked_at, c.compared_at, c.compared, d.* from stripe_comparison c, (
                 select count(*) filter (where asked_at is null and accepted_at is null) as open,
                     count(*) filter (where asked_at is not null) as asked, count(*) filter (where accepted_at is not null) as accepted
                 from stripe_drift) d",
        )
        .fetch_one(self.pool())
        .await?;
        let read = |row: &PgRow| {
            Ok::<_, sqlx::Error>(StripeComparison {
                asked_at: row.at_if_any("asked_at")?,
                compared_at: row.at_if_any("compared_at")?,
                compared: row.count("compared")?,
                open: row.count("open")?,
                asked: row.count("asked")?,
                accepted: row.count("accepted")?,
            })
        };
        Ok(read(&row)?)
    }

    /// Has the next run compare, whenever the last one was.
    pub async fn ask_to_compare_with_stripe(&self, now: Timestamp) -> Result<(), StoreError> {
        sqlx::query("update stripe_comparison set asked_at = $1").bind(Ts(now)).execute(self.pool()).await?;
        Ok(())
    }

    /// Partners that are customers at Stripe, with what these should say.
    pub async fn all_partners_stripe_customers(&self) -> Result<Vec<HeldCustomer>, StoreError> {
        let rows = sqlx::query(concat!(
            "select p.id, p.name, ",
            contact_email!(),
            " as email, o.stripe_id, o.parameters
             from stripe_objects o join partners p on p.id = o.partner_id
             where o.subject = 'customer' and o.stripe_id is not null order by p.id"
        ))
        .fetch_all(self.pool())
        .await?;
        let read = |row: &PgRow| {
            Ok(HeldCustomer {
                partner: PartnerId(row.try_get("id")?),
                stripe_id: row.try_get("stripe_id")?,
                name: row.try_get("name")?,
                email: row.try_get("email")?,
                told: row.try_get::<Json<Parameters>, _>("parameters")?.0,
            })
        };
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Keeps what a comparison found that began at `begun`: what differs no more goes, and what was decided holds for values that are the
    /// same. `false` where a later one was kept before.
    pub async fn keep_stripe_drift(
        &self,
        found: &[Drift],
        compared: u64,
        begun: Timestamp,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        let kept = sqlx::query(
            "update stripe_comparison set compared_at = $1, compared = $2,
                 asked_at = case when asked_at > $1 then asked_at end
             where compared_at is null or compared_at <= $1",
        )
        .bind(Ts(begun))
        .bind(i64::try_from(compared).unwrap_or(i64::MAX))
        .execute(&mut *tx)
        .await?;
        if kept.rows_affected() == 0 {
            return Ok(false);
        }
        let column = |name: fn(&Drift) -> &str| found.iter().map(|one| name(one).to_owned()).collect::<Vec<_>>();
        sqlx::query(
            "delete from stripe_drift d where not exists (
                 select from unnest($1::text[], $2::text[], $3::text[]) f(kind, object, field)
                 where (f.kind, f.object, f.field) = (d.kind, d.object, d.field))",
        )
        .bind(column(|one| one.kind.code()))
        .bind(column(|one| &one.object))
        .bind(column(|one| &one.field))
        .execute(&mut *tx)
        .await?;
        for drift in found {
            keep(&mut tx, drift, now).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    /// Keeps what is found of one object now in place of what was; what says `except` of it stays.
    pub async fn keep_stripe_drift_of(
        &self,
        one: &Drift,
        found: &[Drift],
        except: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let fields: Vec<&str> = found.iter().map(|one| one.field.as_str()).collect();
        sqlx::query("delete from stripe_drift where kind = $1 and object = $2 and field <> all($3) and field <> $4")
            .bind(one.kind.code())
            .bind(&one.object)
            .bind(fields)
            .bind(except)
            .execute(&mut *tx)
            .await?;
        for drift in found {
            keep(&mut tx, drift, now).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// What is to be written and since when, in the order in which it was asked for.
    pub async fn asked_stripe_drift(&self) -> Result<Vec<(Drift, Timestamp)>, StoreError> {
        let rows =
            sqlx::query("select * from stripe_drift where asked_at is not null order by asked_at, kind, object, field")
                .fetch_all(self.pool())
                .await?;
        let asked = |row: &PgRow| Ok((read(row)?, row.at("asked_at")?));
        Ok(rows.iter().map(asked).collect::<Result<_, sqlx::Error>>()?)
    }

    /// It was not written and will not be before somebody asks again.
    pub async fn refuse_stripe_drift(&self, drift: &Drift, problem: &str) -> Result<(), StoreError> {
        sqlx::query(
            "update stripe_drift set asked_at = null, problem = $4 where kind = $1 and object = $2 and field = $3",
        )
        .bind(drift.kind.code())
        .bind(&drift.object)
        .bind(&drift.field)
        .bind(problem)
        .execute(self.pool())
        .await?;
        Ok(())
    }
}

async fn keep(tx: &mut PgConnection, drift: &Drift, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query(
        "insert into stripe_drift as held (kind, object, field, partner_id, stripe_id, ours, theirs, first_seen_at, last_seen_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8)
         on conflict (kind, object, field) do update set
             stripe_id = excluded.stripe_id, ours = excluded.ours, theirs = excluded.theirs, last_seen_at = excluded.last_seen_at,
             asked_at = case when (held.ours, held.theirs) = (excluded.ours, excluded.theirs) then held.asked_at end,
             accepted_at = case when (held.ours, held.theirs) = (excluded.ours, excluded.theirs) then held.accepted_at end,
             note = case when (held.ours, held.theirs) = (excluded.ours, excluded.theirs) then held.note else '' end,
             problem = case when (held.ours, held.theirs) = (excluded.ours, excluded.theirs) then held.problem else '' end",
    )
    .bind(drift.kind.code())
    .bind(&drift.object)
    .bind(&drift.field)
    .bind(drift.partner.map(|partner| partner.0))
    .bind(&drift.stripe_id)
    .bind(&drift.ours)
    .bind(&drift.theirs)
    .bind(Ts(now))
    .execute(tx)
    .await?;
    Ok(())
}
