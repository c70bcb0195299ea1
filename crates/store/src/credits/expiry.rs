//! Grants whose time is over: what is left of them expires, with an entry in the ledger, and the partner is told before.
//!
//! The balance falls at once. Units that gateways hold at that instant they can still spend, for as long as they hold them; such calls
//! are of an hour in which the grant is over, so they burn others, or are owed.

use super::post::{AllocatedPart, Held, Movement, UnitAccount};
use crate::{Store, StoreError, Ts, ledger::LedgerAccount, row::ReadRow as _};
use domain::id::{CreditGrantId, PartnerId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction};

/// A grant that ends soon, and of whom the partner is to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpiringCredit {
    pub partner: PartnerId,
    pub grant: CreditGrantId,
    /// What is left by what is booked: calls of the last hours may be missing in it.
    pub left: u64,
    pub expires_at: Timestamp,
    /// Names of the products whose calls alone may spend it, as people list them; empty is every product.
    pub products: String,
    /// The partner's own, for the words.
    pub time_zone: String,
    /// Members who may see money, verified.
    pub recipients: Vec<String>,
}

/// Books what expired by `now`, and ends those grants.
pub(super) async fn expire(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grants: &mut [Held],
    now: Timestamp,
) -> Result<(), StoreError> {
    let over = |grant: &&mut Held| !grant.has_ended && grant.expires_at.is_some_and(|expires| expires <= now);
    for grant in grants.iter_mut().filter(over) {
        let key = format!("credit-expiry:{}", grant.id);
        let of_allocation = |part: &AllocatedPart| {
            let of = part.allocation;
            (format!("{key}:{of}"), UnitAccount::Allocated(of), UnitAccount::AllocatedExpired(of), part.left)
        };
        let mut all: Vec<_> = grant.parts.iter().map(of_allocation).collect();
        all.push((key, UnitAccount::Available, UnitAccount::Expired, grant.left));
        for (key, from, to, units) in all.iter().filter(|(.., units)| *units > 0) {
            let movement = Movement {
                key,
                description: "Prepaid credit expired",
                hour: None,
                from: *from,
                to: *to,
                units: *units,
                covers: false,
                money: Some([LedgerAccount::Credits, LedgerAccount::Breakage]),
            };
            grant.book(tx, partner, &movement, now).await?;
            tracing::info!(%partner, grant = %grant.id, units, "prepaid credit expired");
        }
        grant.has_ended = true;
    }
    // Those that never began end as well.
    sqlx::query(
        "update credit_grants set ended_at = $2, ended_by = 'expired'
         where partner_id = $1 and ended_at is null and expires_at <= $2",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

impl Store {
    /// Grants that expire before `until`, of which something is left and nobody was told.
    pub async fn all_partners_expiring_credit(
        &self,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<ExpiringCredit>, StoreError> {
        let rows = sqlx::query(
            "select g.partner_id, g.id, g.left_units + g.allocated_units as left_units, g.expires_at, p.time_zone,
                 array(select d.name from products d join credit_purses o on d.id = any (o.product_ids)
                     where o.partner_id = g.partner_id and o.id = g.purse_id order by d.code) as products,
                 array(select m.email from members m where m.partner_id = g.partner_id and m.role in ('owner', 'admin', 'billing')
                     and m.email_verified_at is not null and m.disabled_at is null order by m.email) as recipients
             from credit_grants g join partners p on p.id = g.partner_id
             where g.expires_at is not null and g.ended_at is null and g.expires_at > $1 and g.expires_at <= $2
                 and g.usable_since is not null and g.left_units + g.allocated_units > 0 and g.expiry_told_at is null
             order by g.expires_at, g.id",
        )
        .bind(Ts(now))
        .bind(Ts(until))
        .fetch_all(self.pool())
        .await?;
        let expiring = |row: &sqlx::postgres::PgRow| {
            Ok(ExpiringCredit {
                partner: PartnerId(row.try_get("partner_id")?),
                grant: CreditGrantId(row.try_get("id")?),
                left: row.count("left_units")?,
                expires_at: row.at("expires_at")?,
                products: super::purses::listed(row.try_get::<Vec<String>, _>("products")?.iter().map(String::as_str)),
                time_zone: row.try_get("time_zone")?,
                recipients: row.try_get("recipients")?,
            })
        };
        Ok(rows.iter().map(expiring).collect::<Result<_, sqlx::Error>>()?)
    }

    /// Queues the mails that tell of it, once.
    pub async fn tell_of_expiring_credit(
        &self,
        partner: PartnerId,
        grant: CreditGrantId,
        mails: &[crate::NewMail],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        // Somebody may have an address until then.
        if mails.is_empty() {
            return Ok(());
        }
        let mut tx = self.begin().await?;
        let told = sqlx::query(
            "update credit_grants set expiry_told_at = $3 where partner_id = $1 and id = $2 and expiry_told_at is null",
        )
        .bind(partner.0)
        .bind(grant.0)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if told.rows_affected() == 1 {
            for mail in mails {
                crate::mails::queue(&mut tx, mail, now).await?;
            }
        }
        tx.commit().await?;
        Ok(())
    }
}
