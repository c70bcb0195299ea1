//! Prepaid units. A grant moves the balance that gateways spend from; issue of grants, their price and their expiry are the
//! ledger's, which feeds this by the same function.

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    row::ReadRow as _,
};
use domain::id::PartnerId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

/// Units to add, or to take back where they are below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCreditGrant {
    pub units: i64,
    /// For people, 1 to 200 characters.
    pub reason: String,
    /// A second grant of the partner with the same reference is the first one.
    #[serde(default)]
    pub reference: Option<String>,
}

/// One grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditGrant {
    pub id: Uuid,
    pub units: i64,
    pub reason: String,
    pub reference: Option<String>,
    pub granted_at: Timestamp,
}

/// How the credit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreditStanding {
    /// Units that were ever granted, less what was taken back.
    pub granted: u64,
    /// Units that stored calls have used.
    pub used: u64,
    /// What is left; below zero after overdraft. Calls of the last second may be missing in it.
    pub balance: i64,
}

impl Store {
    /// Adds units to the partner's credit, or takes some back that no gateway holds.
    pub async fn grant_credit(
        &self,
        partner: PartnerId,
        new: &NewCreditGrant,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditGrant, StoreError> {
        if new.units == 0 {
            return Err(StoreError::invalid("units", "Enter a number of units that is not zero"));
        }
        if !(1..=200).contains(&new.reason.chars().count()) {
            return Err(StoreError::invalid("reason", "Give a reason of 1 to 200 characters"));
        }
        if new.reference.as_ref().is_some_and(|reference| !(1..=200).contains(&reference.chars().count())) {
            return Err(StoreError::invalid("reference", "A reference is 1 to 200 characters"));
        }
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for share").bind(partner.0).fetch_one(&mut *tx).await?;
        let grant = CreditGrant {
            id: Uuid::now_v7(),
            units: new.units,
            reason: new.reason.clone(),
            reference: new.reference.clone(),
            granted_at: now,
        };
        let inserted = sqlx::query(
            "insert into credit_grants (partner_id, id, units, reason, reference, granted_at) values ($1, $2, $3, $4, $5, $6)
             on conflict (partner_id, reference) where reference is not null do nothing",
        )
        .bind(partner.0)
        .bind(grant.id)
        .bind(grant.units)
        .bind(&grant.reason)
        .bind(&grant.reference)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if inserted.rows_affected() == 0 {
            let row = sqlx::query(
                "select id, units, reason, reference, granted_at from credit_grants
                 where partner_id = $1 and reference = $2",
            )
            .bind(partner.0)
            .bind(&grant.reference)
            .fetch_one(&mut *tx)
            .await?;
            let first = read(&row)?;
            return if (first.units, &first.reason) == (grant.units, &grant.reason) {
                Ok(first)
            } else {
                Err(StoreError::conflict("reference", "Another grant already has this reference"))
            };
        }
        // Gateways take units under this lock, so none are taken back from under one.
        let taken = sqlx::query_scalar::<_, i64>(
            "select taken from allowances where partner_id = $1 and kind = 'credit' for update",
        )
        .bind(partner.0)
        .fetch_optional(&mut *tx)
        .await?;
        let units = sqlx::query_scalar::<_, i64>(
            "insert into credit_balances as held (partner_id, units) values ($1, greatest($2, 0))
             on conflict (partner_id) do update set units = greatest(held.units + $2, 0) returning units",
        )
        .bind(partner.0)
        .bind(grant.units)
        .fetch_one(&mut *tx)
        .await?;
        let sum: i64 = sqlx::query_scalar("select sum(units)::bigint from credit_grants where partner_id = $1")
            .bind(partner.0)
            .fetch_one(&mut *tx)
            .await?;
        if grant.units < 0 && (sum != units || taken.unwrap_or(0) > units) {
            return Err(StoreError::conflict("units", "Fewer units than that are left, or gateways hold them"));
        }
        let subject = grant.id.to_string();
        let after = json!({"units": grant.units, "reason": grant.reason, "reference": grant.reference});
        audit::append(&mut tx, Entry::new(actor, partner, "credit.grant", &subject).after(after), now).await?;
        tx.commit().await?;
        Ok(grant)
    }

    /// How the partner's credit stands.
    pub async fn credit(&self, partner: PartnerId) -> Result<CreditStanding, StoreError> {
        let row = sqlx::query(
            "select coalesce((select units from credit_balances where partner_id = $1), 0) as granted,
                 coalesce((select a.taken - (select coalesce(sum(l.granted - l.spent), 0)::bigint from allowance_leases l
                     where l.partner_id = $1 and l.kind = 'credit')
                     from allowances a where a.partner_id = $1 and a.kind = 'credit'), 0) as used",
        )
        .bind(partner.0)
        .fetch_one(self.pool())
        .await?;
        let (granted, used) = (row.count("granted")?, row.count("used")?);
        let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        Ok(CreditStanding { granted, used, balance: signed(granted).saturating_sub(signed(used)) })
    }

    /// The partner's grants, the newest first.
    pub async fn credit_grants(&self, partner: PartnerId) -> Result<Vec<CreditGrant>, StoreError> {
        let rows = sqlx::query(
            "select id, units, reason, reference, granted_at from credit_grants
             where partner_id = $1 order by granted_at desc, id desc limit 200",
        )
        .bind(partner.0)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<CreditGrant, sqlx::Error> {
    Ok(CreditGrant {
        id: row.try_get("id")?,
        units: row.try_get("units")?,
        reason: row.try_get("reason")?,
        reference: row.try_get("reference")?,
        granted_at: row.at("granted_at")?,
    })
}
