//! Prepaid units that one app or team has for itself: allocated from what is common to the partner, spent by its calls alone, and given
//! back. They stay of the grants that they came from, and expire with these.
//!
//! Units are moved where no gateway holds them. What gateways hold of those that somebody gives back follows as they let go of it, and
//! nothing more is granted to them meanwhile.

mod back;
mod give;
mod read;

pub(crate) use back::end_of_app;
pub(super) use back::{charge_common, give_back_what_came, pull_back};
pub use read::AllocatedCredit;

use crate::{Store, StoreError};
use domain::{
    credit::allocation::{Holder, Spend},
    id::{AllocationId, AppId, CreditGrantId, PartnerId, TeamId},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// Units to allocate, and what the calls of their holder may spend beyond them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCreditAllocation {
    pub of: Holder,
    /// None changes the choice only.
    pub units: u64,
    pub spend: Spend,
    /// A second one of the partner with the same reference is the first one.
    pub reference: Option<String>,
}

/// What is asked back of an allocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GiveBackCredit {
    /// `None` is all of it, and the end of the allocation: its calls spend what is common from then on.
    pub units: Option<u64>,
    /// As in [`NewCreditAllocation::reference`].
    pub reference: Option<String>,
}

/// How the units of one app or team stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditAllocation {
    pub id: AllocationId,
    pub of: Holder,
    /// The app's or the team's.
    pub name: String,
    pub spend: Spend,
    pub made_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    /// Units that were ever allocated, less what was given back or expired.
    pub units: u64,
    /// Of those, units that stored calls have used.
    pub used: u64,
    pub left: u64,
    /// Of what is left, units that go back as soon as gateways let go of them.
    pub returning: u64,
}

/// An allocation whose row is locked.
struct Row {
    id: AllocationId,
    spend: Spend,
    is_ended: bool,
}

/// How an allocation stands as gateways see it. Its allowance is locked.
struct Standing {
    /// Ever in it.
    units: i64,
    /// Used, or held by gateways.
    taken: i64,
    /// Held by gateways and not used, as far as it is stored.
    held: i64,
    /// Asked back before.
    back: i64,
}

impl Standing {
    async fn of(
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        allocation: AllocationId,
    ) -> Result<Self, StoreError> {
        let row = sqlx::query(
            "select b.units, b.back_units, coalesce((select a.taken from allowances a
                     where a.partner_id = $2 and a.kind = 'credit'), 0) as taken,
                 coalesce((select sum(l.granted - l.spent) from allowance_leases l
                     where l.partner_id = $2 and l.kind = 'credit'), 0)::bigint as held
             from credit_allocation_balances b where b.partner_id = $1 and b.allocation_id = $2",
        )
        .bind(partner.0)
        .bind(allocation.0)
        .fetch_one(&mut **tx)
        .await?;
        Ok(Self {
            units: row.try_get("units")?,
            taken: row.try_get("taken")?,
            held: row.try_get("held")?,
            back: row.try_get("back_units")?,
        })
    }

    /// Units that no call has used and no gateway holds.
    fn free(&self) -> i64 {
        self.units.saturating_sub(self.taken).max(0)
    }

    /// Units that no call has used.
    fn left(&self) -> i64 {
        self.free().saturating_add(self.held)
    }

    /// Whether nothing can come of it any more, unless a call is corrected.
    fn is_over(&self) -> bool {
        self.free() == 0 && self.held <= 0
    }

    /// Of what was asked back, what may still come.
    fn awaited(&self) -> i64 {
        self.back.min(self.left())
    }
}

pub(crate) fn holder(app: Option<Uuid>, team: Option<Uuid>) -> Holder {
    match (app, team) {
        (Some(app), _) => Holder::App(AppId(app)),
        (None, team) => Holder::Team(TeamId(team.unwrap_or_default())),
    }
}

fn check_reference(reference: Option<&str>) -> Result<(), StoreError> {
    if reference.is_some_and(|text| !(1..=200).contains(&text.chars().count())) {
        return Err(StoreError::invalid("reference", "A reference is 1 to 200 characters"));
    }
    Ok(())
}

/// What a reference was used for before.
struct MovedBefore {
    id: AllocationId,
    /// Below zero where they were given back.
    units: i64,
    /// Whether it ended the allocation: nothing of one moves after that.
    is_end: bool,
}

async fn moved_before(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    reference: Option<&str>,
) -> Result<Option<MovedBefore>, StoreError> {
    let row = sqlx::query(
        "select m.allocation_id, m.units, o.ended_at is not null and not exists (
                 select from credit_allocation_moves later
                 where later.partner_id = m.partner_id and later.allocation_id = m.allocation_id
                     and later.number > m.number) as is_end
         from credit_allocation_moves m join credit_allocations o on o.partner_id = m.partner_id and o.id = m.allocation_id
         where m.partner_id = $1 and m.reference = $2",
    )
    .bind(partner.0)
    .bind(reference)
    .fetch_optional(&mut **tx)
    .await?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok::<_, sqlx::Error>(MovedBefore {
            id: AllocationId(row.try_get("allocation_id")?),
            units: row.try_get("units")?,
            is_end: row.try_get("is_end")?,
        })
    };
    Ok(row.as_ref().map(read).transpose()?)
}

/// Writes down what was asked for.
async fn note_move(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, allocation, units): (Uuid, AllocationId, i64),
    reference: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "insert into credit_allocation_moves (partner_id, id, allocation_id, units, reference, moved_at)
         values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(partner.0)
    .bind(id)
    .bind(allocation.0)
    .bind(units)
    .bind(reference)
    .bind(crate::Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The partner's row, before all else: two who allocate wait here for each other.
async fn lock_partner(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
    sqlx::query("select from partners where id = $1 for no key update").bind(partner.0).fetch_one(&mut **tx).await?;
    Ok(())
}

/// Gateways look at this once a second, and then give back what no call of theirs has taken.
async fn recall(tx: &mut Transaction<'static, Postgres>, holder: Uuid) -> Result<(), StoreError> {
    sqlx::query("update allowances set short_at = now() where partner_id = $1 and kind = 'credit'")
        .bind(holder)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

impl Store {
    /// Has gateways give back what they hold of the partner's common credit and do not use.
    async fn recall_common_credit(&self, partner: PartnerId) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        recall(&mut tx, partner.0).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The same of the purse that the grant's units are in, where it names products.
    pub(super) async fn recall_purse_of(&self, partner: PartnerId, grant: CreditGrantId) -> Result<(), StoreError> {
        let purse: Option<Uuid> = sqlx::query_scalar(
            "select purse_id from credit_grants where partner_id = $1 and id = $2 and purse_id is not null",
        )
        .bind(partner.0)
        .bind(grant.0)
        .fetch_optional(self.pool())
        .await?;
        if let Some(purse) = purse {
            let mut tx = self.begin().await?;
            recall(&mut tx, purse).await?;
            tx.commit().await?;
        }
        Ok(())
    }
}
