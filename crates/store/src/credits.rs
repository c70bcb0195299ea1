//! Prepaid units: grants, the balance that gateways spend, and the ledger that says where each unit went.

mod allocations;
mod allotments;
mod check;
mod checkouts;
mod cover;
mod expiry;
pub(crate) mod fee_bonus;
mod grant;
pub(crate) mod lock;
mod order;
mod outlook;
pub(crate) mod overdraft;
mod packages;
mod post;
mod purchases;
mod purses;
mod settle;
pub(crate) mod sold;
mod top_ups;

pub use allocations::{AllocatedCredit, CreditAllocation, GiveBackCredit, NewCreditAllocation};
pub(crate) use allocations::{end_of_app as end_allocation_of_app, holder};
pub use check::CreditDifference;
pub use expiry::ExpiringCredit;
pub use grant::Void;
pub use overdraft::Overdrawn;
pub use purchases::{CreditPurchase, NewCreditPurchase};
pub use purses::{BoundCredit, BoundProduct};
pub use top_ups::{TopUpStanding, ToppedUp};

use crate::{Store, StoreError, row::ReadRow as _};
use domain::{
    credit::{GrantKind, USUAL_PRIORITY, full_hour},
    id::{CreditGrantId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;

/// Units to add, or to take back where they are below zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCreditGrant {
    pub units: i64,
    /// For people, 1 to 200 characters.
    pub reason: String,
    /// A second grant of the partner with the same reference is the first one.
    pub reference: Option<String>,
    pub kind: GrantKind,
    /// The lower, the sooner it is used.
    pub priority: u8,
    /// From when on it is in the balance; `None` is at once.
    pub effective_at: Option<Timestamp>,
    /// When what is left of it expires: at that full hour (UTC), or the next.
    pub expires_at: Option<Timestamp>,
    /// What it was sold for, paid elsewhere, in whole coins.
    pub cost: Option<Money>,
    /// Codes of the products whose calls alone may spend it; empty is every product.
    pub products: Vec<String>,
}

impl NewCreditGrant {
    /// Units that are given away from now on, for ever.
    pub fn new(units: i64, reason: &str) -> Self {
        Self {
            units,
            reason: reason.to_owned(),
            reference: None,
            kind: GrantKind::Promotional,
            priority: USUAL_PRIORITY,
            effective_at: None,
            expires_at: None,
            cost: None,
            products: Vec::new(),
        }
    }
}

/// What became of a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    /// Its time has not come.
    Waiting,
    Usable,
    Expired,
    /// It was taken back, or is what takes others back.
    Voided,
}

/// One grant, as it is booked: calls of the hour that runs may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditGrant {
    pub id: CreditGrantId,
    /// Below zero where it takes units back.
    pub units: i64,
    pub reason: String,
    pub reference: Option<String>,
    pub granted_at: Timestamp,
    pub kind: GrantKind,
    pub priority: u8,
    pub effective_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub cost: Option<Money>,
    pub state: GrantState,
    pub left: u64,
    /// Of what is left, what apps and teams have for themselves.
    pub allocated: u64,
    pub used: u64,
    pub expired: u64,
    pub voided: u64,
    /// Whose calls alone may spend it, by their codes; empty is every product.
    pub products: Vec<BoundProduct>,
}

impl CreditGrant {
    /// The names of the products whose calls alone may spend it; nothing where all may.
    pub fn bound_words(&self) -> Option<String> {
        let names = self.products.iter().map(|product| product.name.as_str());
        (!self.products.is_empty()).then(|| purses::listed(names))
    }

    /// Not in the order of the database, which sorts by its own rules.
    fn codes(&self) -> Vec<String> {
        purses::in_order(&self.products.iter().map(|product| product.code.clone()).collect::<Vec<_>>())
    }

    fn is_like(&self, new: &NewCreditGrant) -> bool {
        let effective = new.effective_at.is_none_or(|at| at.as_microsecond() == self.effective_at.as_microsecond());
        (self.units, &self.reason, self.kind, self.priority, self.cost)
            == (new.units, &new.reason, new.kind, new.priority, new.cost)
            && effective
            && self.expires_at == new.expires_at.map(full_hour)
            && self.codes() == purses::in_order(&new.products)
    }
}

/// How the credit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CreditStanding {
    /// Units that were ever granted and not allocated, less what was taken back or expired.
    pub granted: u64,
    /// Of those, units that stored calls have used.
    pub used: u64,
    /// What is left and common; below zero after overdraft. Calls of the last second may be missing in it.
    pub balance: i64,
    /// Units below zero that calls may take the balance to: by the plan, and never less than what is to be billed.
    pub overdraft: u64,
    /// Units that an invoice will bill, of hours that are over: they are held against nothing that is left or comes.
    pub to_be_billed: u64,
    /// What is left in [allocations](CreditAllocation), which apps and teams have for themselves.
    pub allocated: u64,
    /// What is left [for calls of some products](BoundCredit) alone.
    pub bound: u64,
}

/// How many grants a list has.
const MOST_GRANTS: i64 = 200;

macro_rules! grants {
    ($rest:literal) => {
        concat!(
            "select id, units, reason, reference, granted_at, kind, priority, coalesce(effective_at, granted_at) as effective_at,
                 expires_at, cost_micros, currency, usable_since, ended_at, ended_by, left_units, used_units, expired_units,
                 voided_units, allocated_units, purse_id is not null as is_bound,
                 array(select p.code from products p join credit_purses o on p.id = any (o.product_ids)
                     where o.partner_id = credit_grants.partner_id and o.id = credit_grants.purse_id order by p.code collate \"C\") as product_codes,
                 array(select p.name from products p join credit_purses o on p.id = any (o.product_ids)
                     where o.partner_id = credit_grants.partner_id and o.id = credit_grants.purse_id order by p.code collate \"C\") as product_names
             from credit_grants ",
            $rest
        )
    };
}
use grants;

impl Store {
    /// How the partner's credit stands.
    pub async fn credit(&self, partner: PartnerId) -> Result<CreditStanding, StoreError> {
        let row = sqlx::query(
            "select coalesce((select units from credit_balances where partner_id = $1), 0) as granted,
                 coalesce((select a.taken - (select coalesce(sum(l.granted - l.spent), 0)::bigint from allowance_leases l
                     where l.partner_id = $1 and l.kind = 'credit')
                     from allowances a where a.partner_id = $1 and a.kind = 'credit'), 0) as used,
                 credit_overdraft_of($1) as overdraft, credit_to_be_billed($1) as to_be_billed,
                 own.allocated, own.bound
             from (
                 select coalesce(sum(units) filter (where not is_bound), 0)::bigint as allocated,
                     coalesce(sum(units) filter (where is_bound), 0)::bigint as bound
                 from (
                     select o.product_ids is not null as is_bound, greatest(0, b.units - a.taken + (
                         select coalesce(sum(l.granted - l.spent), 0) from allowance_leases l
                         where l.partner_id = b.allocation_id and l.kind = 'credit')) as units
                     from credit_allocation_balances b
                     join credit_purses o on o.partner_id = b.partner_id and o.id = b.allocation_id
                     join allowances a on a.partner_id = b.allocation_id and a.kind = 'credit'
                     where b.partner_id = $1
                 ) as each
             ) as own",
        )
        .bind(partner.0)
        .fetch_one(self.pool())
        .await?;
        let (granted, used) = (row.count("granted")?, row.count("used")?);
        let signed = |units: u64| i64::try_from(units).unwrap_or(i64::MAX);
        let balance = signed(granted).saturating_sub(signed(used));
        let (overdraft, to_be_billed) = (row.count("overdraft")?, row.count("to_be_billed")?);
        let (allocated, bound) = (row.count("allocated")?, row.count("bound")?);
        Ok(CreditStanding { granted, used, balance, overdraft, to_be_billed, allocated, bound })
    }

    /// The partner's grants, the newest first.
    pub async fn credit_grants(&self, partner: PartnerId) -> Result<Vec<CreditGrant>, StoreError> {
        let rows = sqlx::query(grants!("where partner_id = $1 order by granted_at desc, id desc limit $2"))
            .bind(partner.0)
            .bind(MOST_GRANTS)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<CreditGrant, sqlx::Error> {
    let cost: Option<i64> = row.try_get("cost_micros")?;
    let cost = match cost {
        Some(micros) => Some(Money::new(row.parsed("currency")?, micros)),
        None => None,
    };
    let ended: Option<&str> = row.try_get("ended_by")?;
    let is_usable = row.at_if_any("usable_since")?.is_some();
    let apart = row.count("allocated_units")?;
    let (codes, names): (Vec<String>, Vec<String>) = (row.try_get("product_codes")?, row.try_get("product_names")?);
    Ok(CreditGrant {
        id: CreditGrantId(row.try_get("id")?),
        units: row.try_get("units")?,
        reason: row.try_get("reason")?,
        reference: row.try_get("reference")?,
        granted_at: row.at("granted_at")?,
        kind: row.parsed("kind")?,
        priority: u8::try_from(row.try_get::<i16, _>("priority")?).unwrap_or(u8::MAX),
        effective_at: row.at("effective_at")?,
        expires_at: row.at_if_any("expires_at")?,
        cost,
        state: match ended {
            Some("expired") => GrantState::Expired,
            Some(_) => GrantState::Voided,
            None if is_usable => GrantState::Usable,
            None => GrantState::Waiting,
        },
        left: row.count("left_units")? + apart,
        allocated: if row.try_get("is_bound")? { 0 } else { apart },
        used: row.count("used_units")?,
        expired: row.count("expired_units")?,
        voided: row.count("voided_units")?,
        products: codes.into_iter().zip(names).map(|(code, name)| BoundProduct { code, name }).collect(),
    })
}

#[cfg(test)]
mod allocation_tests;
#[cfg(test)]
mod allotment_tests;
#[cfg(test)]
mod corrected_tests;
#[cfg(test)]
mod ended_tests;
#[cfg(test)]
mod fee_bonus_tests;
#[cfg(test)]
mod lock_tests;
#[cfg(test)]
mod overdraft_tests;
#[cfg(test)]
mod owed_tests;
#[cfg(test)]
mod purchase_tests;
#[cfg(test)]
mod purse_tests;
#[cfg(test)]
mod reference_tests;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod top_up_tests;
#[cfg(test)]
mod unbooked_tests;
