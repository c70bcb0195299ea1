//! Automatic top-up: what a partner wants to be bought by itself.

mod buy;

pub use buy::ToppedUp;

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    invoices::InvoiceStatus,
    row::ReadRow as _,
};
use domain::{
    credit::{
        package::{CreditPackage, MOST_PACKAGES},
        top_up::{TopUp, month_of},
    },
    id::{InvoiceId, PartnerId},
    money::Money,
    period::Period,
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// A standing order, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopUpStanding {
    pub top_up: TopUp,
    /// What one purchase cost when it was ordered: for more nothing is bought. `None` for orders of before this was kept.
    pub agreed: Option<Money>,
    /// What it has bought in the running month, less what was made void.
    pub spent: Money,
    /// Why the last try bought nothing.
    pub problem: Option<String>,
}

impl Store {
    /// The partner's standing order.
    pub async fn credit_top_up(&self, partner: PartnerId, now: Timestamp) -> Result<Option<TopUpStanding>, StoreError> {
        let mut tx = self.begin().await?;
        let Some(held) = Held::of(&mut tx, partner).await? else { return Ok(None) };
        let spent = held.spent(&mut tx, partner, now).await?;
        tx.commit().await?;
        let agreed = held.agreed.and_then(|package| package.cost(held.top_up.quantity).ok());
        Ok(Some(TopUpStanding { top_up: held.top_up, agreed, spent, problem: held.problem }))
    }

    /// Buys by itself from now on, or as that says from now on; the package as it is sold now is what is agreed. `seen` is the offer that
    /// whoever orders saw, where it says so.
    ///
    /// # Errors
    /// There is no such package for the partner's plan, the offer is another one by now, or a month's cap is less than one purchase.
    pub async fn put_credit_top_up(
        &self,
        partner: PartnerId,
        (top_up, seen): (&TopUp, Option<&CreditPackage>),
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut *tx).await?;
        let package = sold(&mut tx, partner, &top_up.package).await?;
        if seen.is_some_and(|seen| !package.is_as_seen(seen, top_up.quantity)) {
            let message = "The offer is another one by now: look at it, then order";
            return Err(StoreError::conflict("package", message));
        }
        let cost = package.cost(top_up.quantity).ok().filter(|cost| cost.micros > 0);
        let cost = cost.filter(|_| (1..=MOST_PACKAGES).contains(&top_up.quantity));
        let cost = cost.ok_or_else(|| StoreError::invalid("quantity", "Buy 1 to 10,000 packages"))?;
        if let Some(problem) = top_up.problems(cost).into_iter().next() {
            return Err(StoreError::invalid(problem.field, problem.message));
        }
        let before = Held::of(&mut tx, partner).await?;
        sqlx::query(
            "insert into credit_top_ups (partner_id, below_units, package, quantity, cap_micros, currency, updated_at, agreed)
             values ($1, $2, $3, $4, $5, $6, $7, $8)
             on conflict (partner_id) do update set below_units = excluded.below_units, package = excluded.package,
                 quantity = excluded.quantity, cap_micros = excluded.cap_micros, currency = excluded.currency,
                 answered_by = (select id from invoices i where i.partner_id = credit_top_ups.partner_id
                     and i.id = credit_top_ups.answered_by and i.status in ('open', 'sent')),
                 told_capped = null, problem = null, agreed = excluded.agreed, updated_at = excluded.updated_at",
        )
        .bind(partner.0)
        .bind(super::settle::signed(top_up.below))
        .bind(&top_up.package)
        .bind(i32::try_from(top_up.quantity).unwrap_or(i32::MAX))
        .bind(top_up.monthly_cap.micros)
        .bind(top_up.monthly_cap.currency.code())
        .bind(Ts(now))
        .bind(Json(&package))
        .execute(&mut *tx)
        .await?;
        let subject = partner.to_string();
        let before = before.map(|before| json!(before.top_up));
        let entry = Entry { before, ..Entry::new(actor, partner, "credit.top_up", &subject) };
        audit::append(&mut tx, entry.after(json!(top_up)), now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Buys nothing by itself any more; false where it did not.
    pub async fn stop_credit_top_up(
        &self,
        partner: PartnerId,
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut *tx).await?;
        let Some(before) = Held::of(&mut tx, partner).await? else { return Ok(false) };
        sqlx::query("delete from credit_top_ups where partner_id = $1").bind(partner.0).execute(&mut *tx).await?;
        let subject = partner.to_string();
        let entry = Entry::new(actor, partner, "credit.top_up_stop", &subject).before(json!(before.top_up));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// A standing order as it is kept.
struct Held {
    top_up: TopUp,
    agreed: Option<CreditPackage>,
    answered_by: Option<(InvoiceId, InvoiceStatus)>,
    told_capped: Option<Timestamp>,
    problem: Option<String>,
    time_zone: String,
}

impl Held {
    async fn of(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<Option<Self>, StoreError> {
        let row = sqlx::query(
            "select t.below_units, t.package, t.quantity, t.cap_micros, t.currency, t.told_capped, t.problem, t.agreed, p.time_zone,
                 i.id as invoice_id, i.status
             from credit_top_ups t join partners p on p.id = t.partner_id
             left join invoices i on i.partner_id = t.partner_id and i.id = t.answered_by
             where t.partner_id = $1",
        )
        .bind(partner.0)
        .fetch_optional(&mut **tx)
        .await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// What top-ups of the running month cost.
    async fn spent(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        now: Timestamp,
    ) -> Result<Money, StoreError> {
        let month = self.month(now)?;
        let currency = self.top_up.monthly_cap.currency;
        let micros: i64 = sqlx::query_scalar(
            "select coalesce(sum(i.total_micros), 0)::bigint from credit_top_up_purchases t
             join invoices i on i.partner_id = t.partner_id and i.id = t.invoice_id
             where t.partner_id = $1 and t.bought_at >= $2 and t.bought_at < $3 and i.currency = $4 and i.status <> 'void'",
        )
        .bind(partner.0)
        .bind(Ts(month.start))
        .bind(Ts(month.end))
        .bind(currency.code())
        .fetch_one(&mut **tx)
        .await?;
        Ok(Money::new(currency, micros))
    }

    fn month(&self, now: Timestamp) -> Result<Period, StoreError> {
        month_of(now, &self.time_zone).map_err(|error| StoreError::invalid("now", error.to_string()))
    }
}

/// One answer: what is sold with other plans is nobody's business.
const NOT_SOLD: &str = "No such package is sold with this plan";

/// The package, where it is sold to the partner now.
async fn sold(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    code: &str,
) -> Result<CreditPackage, StoreError> {
    let row = sqlx::query(
        "select c.terms, plans.code, v.terms ->> 'currency' as currency,
             coalesce((v.terms #>> '{admission,credit,required}')::boolean, false) as spends
         from credit_packages c
         left join subscriptions s on s.partner_id = $1 and s.status = 'active'
         left join plan_versions v on v.id = s.plan_version_id
         left join plans on plans.id = v.plan_id
         where c.code = $2",
    )
    .bind(partner.0)
    .bind(code)
    .fetch_optional(&mut **tx)
    .await?;
    let row = row.ok_or_else(|| StoreError::invalid("package", NOT_SOLD))?;
    let Json(package): Json<CreditPackage> = row.try_get("terms")?;
    let plan: Option<&str> = row.try_get("code")?;
    let plan = plan.ok_or_else(|| StoreError::conflict("package", "Choose a plan first"))?;
    if !row.try_get::<bool, _>("spends")? {
        return Err(StoreError::conflict("package", "The plan takes no prepaid units"));
    }
    match package.is_sold_to(plan, row.parsed("currency")?) {
        true => Ok(package),
        false => Err(StoreError::invalid("package", NOT_SOLD)),
    }
}

fn read(row: &PgRow) -> Result<Held, sqlx::Error> {
    let invoice: Option<Uuid> = row.try_get("invoice_id")?;
    let answered_by = match invoice {
        Some(id) => Some((InvoiceId(id), row.parsed("status")?)),
        None => None,
    };
    Ok(Held {
        agreed: row.try_get::<Option<Json<CreditPackage>>, _>("agreed")?.map(|Json(agreed)| agreed),
        top_up: TopUp {
            below: row.count("below_units")?,
            package: row.try_get("package")?,
            quantity: u32::try_from(row.try_get::<i32, _>("quantity")?).unwrap_or(u32::MAX),
            monthly_cap: Money::new(row.parsed("currency")?, row.try_get("cap_micros")?),
        },
        answered_by,
        told_capped: row.at_if_any("told_capped")?,
        problem: row.try_get("problem")?,
        time_zone: row.try_get("time_zone")?,
    })
}
