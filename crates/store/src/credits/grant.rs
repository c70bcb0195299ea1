//! Grants: given or sold, put into the balance when their time comes, and taken back.

use super::{
    CreditGrant, NewCreditGrant,
    cover::cover,
    post::{self, Held, Movement, UnitAccount},
    purses, read,
    settle::settle,
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    ledger::LedgerAccount,
};
use domain::{
    credit::{GrantKind, full_hour},
    id::{AllocationId, CreditGrantId, PartnerId},
    money::Money,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// Units of one grant, so that sums of many fit.
const MOST_UNITS: i64 = 1_000_000_000_000_000;
/// Money of one grant: 1,000,000,000 of any currency.
const MOST_MICROS: i64 = 1_000_000_000_000_000;

/// What becomes of what is left of a grant that is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Void {
    /// Nothing is paid back; of a paid grant it is breakage.
    Kept,
    /// The unused share of its cost, down to the coin, is paid back outside of Turnpike.
    Refunded,
}

impl NewCreditGrant {
    fn check(&self, now: Timestamp) -> Result<(), StoreError> {
        let text = |field, text: &str, message| match (1..=200).contains(&text.chars().count()) {
            true => Ok(()),
            false => Err(StoreError::invalid(field, message)),
        };
        text("reason", &self.reason, "Give a reason of 1 to 200 characters")?;
        if let Some(reference) = &self.reference {
            text("reference", reference, "A reference is 1 to 200 characters")?;
        }
        if self.units == 0 || self.units.abs() > MOST_UNITS {
            return Err(StoreError::invalid("units", "Enter a number of units that is not zero, of at most 10^15"));
        }
        let is_plain = self.effective_at.is_none() && self.expires_at.is_none() && self.cost.is_none();
        if self.units < 0 && !is_plain {
            return Err(StoreError::invalid("units", "What is taken back has no beginning, no end and no cost"));
        }
        if self.units < 0 && !self.products.is_empty() {
            let message = "Units are taken back of what is common; take back a grant for some products as a whole";
            return Err(StoreError::invalid("products", message));
        }
        if let Some(cost) = self.cost {
            if self.kind != GrantKind::Paid {
                return Err(StoreError::invalid("cost", "Only a paid grant has a cost"));
            }
            let is_whole = cost.micros % cost.currency.micros_per_minor() == 0;
            if !(0..=MOST_MICROS).contains(&cost.micros) || !is_whole {
                return Err(StoreError::invalid("cost", "A cost is zero or more, in whole coins of the currency"));
            }
        }
        let begins = self.effective_at.unwrap_or(now);
        if let Some(expires) = self.expires_at
            && full_hour(expires) <= begins.max(now)
        {
            return Err(StoreError::invalid("expires_at", "It expires after it begins, and not before now"));
        }
        Ok(())
    }
}

impl Store {
    /// Gives the partner units, from now on or later; or takes some back that no gateway holds, those that would be used last first.
    /// A second grant with the same reference is the first one. Of a grant that names products only their calls spend.
    pub async fn grant_credit(
        &self,
        partner: PartnerId,
        new: &NewCreditGrant,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditGrant, StoreError> {
        new.check(now)?;
        let mut tx = self.begin().await?;
        sqlx::query("select from partners where id = $1 for share").bind(partner.0).fetch_one(&mut *tx).await?;
        // Before its products are looked up: one of them may have been archived since.
        if let Some(reference) = &new.reference {
            let rows = sqlx::query(super::grants!("where partner_id = $1 and reference = $2"));
            let row = rows.bind(partner.0).bind(reference).fetch_optional(&mut *tx).await?;
            if let Some(first) = row.as_ref().map(read).transpose()? {
                return same(first, new);
            }
        }
        let id = CreditGrantId(Uuid::now_v7());
        let products = purses::products(&mut tx, &new.products).await?;
        let purse = match products.is_empty() {
            true => None,
            false => {
                // Whoever writes what gateways decide by has locked the balance before.
                post::lock(&mut tx, partner).await?;
                Some(purses::open(&mut tx, partner, &products, now).await?)
            }
        };
        if let Some(first) = insert(&mut tx, partner, (id, purse), new, now).await? {
            return same(first, new);
        }
        if new.units < 0 {
            take_back(&mut tx, partner, id, new.units.saturating_neg(), now).await?;
        } else if new.effective_at.is_none_or(|effective| effective <= now) {
            post::lock(&mut tx, partner).await?;
            begin(&mut tx, partner, id, now).await?;
            cover(&mut tx, partner, now).await?;
        }
        if purse.is_some() {
            purses::tell(&mut tx, partner).await?;
        }
        let subject = id.to_string();
        let after = json!({
            "units": new.units, "reason": new.reason, "reference": new.reference, "kind": new.kind.code(), "priority": new.priority,
            "effective_at": new.effective_at, "expires_at": new.expires_at.map(full_hour),
            "cost": new.cost.map(|cost| cost.to_string()), "products": purses::in_order(&new.products),
        });
        audit::append(&mut tx, Entry::new(actor, partner, "credit.grant", &subject).after(after), now).await?;
        let grant = one(&mut tx, partner, id).await?;
        tx.commit().await?;
        Ok(grant)
    }

    /// Takes back what is left of a grant; the audit log says how much was paid back. False the second time: nothing happens then.
    ///
    /// # Errors
    /// Gateways hold some of it: a moment later they have given back what they do not use.
    pub async fn void_credit_grant(
        &self,
        partner: PartnerId,
        id: CreditGrantId,
        (how, reason): (Void, &str),
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let done = self.void_grant(partner, id, (how, reason), actor, now).await;
        if let Err(StoreError::Conflict { field, .. }) = &done
            && field == "units"
        {
            self.recall_purse_of(partner, id).await?;
        }
        done
    }

    async fn void_grant(
        &self,
        partner: PartnerId,
        id: CreditGrantId,
        (how, reason): (Void, &str),
        actor: Actor,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        if !(1..=200).contains(&reason.chars().count()) {
            return Err(StoreError::invalid("reason", "Give a reason of 1 to 200 characters"));
        }
        let mut tx = self.begin().await?;
        settle_all(&mut tx, partner, now).await?;
        let ended: Option<bool> = sqlx::query_scalar(
            "select ended_at is not null from credit_grants where partner_id = $1 and id = $2 and units > 0 for update",
        )
        .bind(partner.0)
        .bind(id.0)
        .fetch_optional(&mut *tx)
        .await?;
        match ended {
            None => return Err(StoreError::NotFound),
            Some(true) => return Ok(false),
            Some(false) => {}
        }
        // What waits for its time has been paid for all the same.
        begin(&mut tx, partner, id, now).await?;
        let mut grants = Held::all(&mut tx, partner).await?;
        let mut refunded = None;
        if let Some(grant) = grants.iter_mut().find(|grant| grant.id == id) {
            if grant.is_invoiced && how == Void::Refunded {
                let message = "It was sold by an invoice: issue a credit note over that, which takes the units back";
                return Err(StoreError::conflict("refund", message));
            }
            if grant.allocated > 0 && grant.purse.is_none() {
                let message = "Some of it is allocated to apps or teams: have that given back first";
                return Err(StoreError::conflict("units", message));
            }
            let units = grant.unused();
            not_held_of(&mut tx, partner, grant.purse, units).await?;
            refunded = void(&mut tx, partner, grant, units, how, &format!("credit-void:{id}"), now).await?;
        }
        sqlx::query("update credit_grants set ended_at = $3, ended_by = 'voided' where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(Ts(now))
            .execute(&mut *tx)
            .await?;
        purses::tell(&mut tx, partner).await?;
        let subject = id.to_string();
        let after = json!({"reason": reason, "refunded": refunded.map(|money| money.to_string())});
        audit::append(&mut tx, Entry::new(actor, partner, "credit.void", &subject).after(after), now).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The first grant with a reference, where the second asks for the same.
fn same(first: CreditGrant, new: &NewCreditGrant) -> Result<CreditGrant, StoreError> {
    match first.is_like(new) {
        true => Ok(first),
        false => Err(StoreError::conflict("reference", "Another grant already has this reference")),
    }
}

/// Writes the row; the one that has its reference already, where there is one.
async fn insert(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, purse): (CreditGrantId, Option<AllocationId>),
    new: &NewCreditGrant,
    now: Timestamp,
) -> Result<Option<CreditGrant>, StoreError> {
    let inserted = sqlx::query(
        "insert into credit_grants (partner_id, id, units, reason, reference, granted_at, kind, priority, effective_at, expires_at,
             cost_micros, currency, purse_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (partner_id, reference) where reference is not null do nothing",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(new.units)
    .bind(&new.reason)
    .bind(&new.reference)
    .bind(Ts(now))
    .bind(new.kind.code())
    .bind(i16::from(new.priority))
    .bind(Ts(new.effective_at.unwrap_or(now)))
    .bind(new.expires_at.map(full_hour).map(Ts))
    .bind(new.cost.map(|cost| cost.micros))
    .bind(new.cost.map(|cost| cost.currency.code()))
    .bind(purse.map(|purse| purse.0))
    .execute(&mut **tx)
    .await?;
    if inserted.rows_affected() == 1 {
        return Ok(None);
    }
    let row = sqlx::query(super::grants!("where partner_id = $1 and reference = $2"))
        .bind(partner.0)
        .bind(&new.reference)
        .fetch_one(&mut **tx)
        .await?;
    Ok(Some(read(&row)?))
}

async fn one(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditGrantId,
) -> Result<CreditGrant, StoreError> {
    let row = sqlx::query(super::grants!("where partner_id = $1 and id = $2"))
        .bind(partner.0)
        .bind(id.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(read(&row)?)
}

/// Grants whose time has come. The balance's row is locked.
pub(super) async fn to_begin(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Vec<CreditGrantId>, StoreError> {
    let rows = sqlx::query(
        "select id from credit_grants where partner_id = $1 and usable_since is null and ended_at is null and effective_at <= $2
         order by effective_at, id",
    )
    .bind(partner.0)
    .bind(Ts(now))
    .fetch_all(&mut **tx)
    .await?;
    rows.iter().map(|row| Ok(CreditGrantId(row.try_get("id")?))).collect()
}

/// Puts a grant into the balance that gateways spend: the common one, or that of its purse.
pub(super) async fn begin(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditGrantId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let begun = sqlx::query(
        "update credit_grants set usable_since = $3, left_units = case when purse_id is null then units else 0 end,
             allocated_units = case when purse_id is null then 0 else units end
         where partner_id = $1 and id = $2 and units > 0 and usable_since is null and ended_at is null",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    if begun.rows_affected() == 0 {
        return Ok(());
    }
    let all = Held::all(tx, partner).await?;
    let Some(mut grant) = all.into_iter().find(|grant| grant.id == id) else { return Ok(()) };
    (grant.left, grant.allocated) = (0, 0);
    let movement = Movement {
        key: &format!("credit-grant:{id}"),
        description: "Grant of prepaid credit",
        hour: None,
        from: UnitAccount::Issued,
        to: purses::home(grant.purse),
        units: grant.units,
        covers: false,
        money: (!grant.is_invoiced).then_some([LedgerAccount::Cash, LedgerAccount::Credits]),
    };
    grant.book(tx, partner, &movement, now).await
}

/// Books all that was used, the hour that runs included, and lets grants pay what is owed: what is left then is unused.
pub(super) async fn settle_all(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    now: Timestamp,
) -> Result<Vec<Held>, StoreError> {
    let until = now.saturating_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    settle(tx, partner, (until, i64::MAX), now).await?;
    cover(tx, partner, now).await?;
    Held::all(tx, partner).await
}

/// Refuses where gateways hold some of so many units.
pub(super) async fn not_held(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    units: i64,
) -> Result<(), StoreError> {
    if free_units(tx, partner).await? < units {
        return Err(StoreError::conflict("units", "Fewer units than that are left, or gateways hold them"));
    }
    Ok(())
}

/// The same of units that are in a purse.
async fn not_held_of(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    purse: Option<AllocationId>,
    units: i64,
) -> Result<(), StoreError> {
    let Some(purse) = purse else { return not_held(tx, partner, units).await };
    if units > 0 && purses::free_units(tx, partner, purse).await? < units {
        return Err(StoreError::conflict(
            "units",
            "Gateways hold some of it, which they give back within seconds; while calls spend it, try again at a quieter moment",
        ));
    }
    Ok(())
}

/// How many units of the grants `grants[place]` still has when all that gateways have taken, or hold, is booked.
pub(super) async fn left_of(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (grants, place): (&[Held], usize),
    now: Timestamp,
) -> Result<i64, StoreError> {
    let Some(own) = grants.get(place) else { return Ok(0) };
    let has_begun = |grant: &&Held| !grant.has_ended && grant.effective_at <= now;
    let left =
        |grants: &mut dyn Iterator<Item = &Held>| grants.fold(0_i64, |sum, grant| sum.saturating_add(grant.left));
    let all = left(&mut grants.iter().filter(has_begun));
    let not_booked = all.saturating_sub(free_units(tx, partner).await?).max(0);
    let is_sooner = |grant: &&Held| grant.burnable().place() < own.burnable().place();
    let sooner = left(&mut grants.iter().filter(has_begun).filter(is_sooner));
    Ok(own.left.saturating_sub(not_booked.saturating_sub(sooner).max(0)).max(0))
}

/// What of the balance no gateway has taken. What was taken and is owed came from no grant.
pub(super) async fn free_units(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<i64, StoreError> {
    let free = sqlx::query_scalar(
        "select b.units - coalesce((select taken from allowances where partner_id = $1 and kind = 'credit'), 0)
             + coalesce((select sum(units) from credit_owed where partner_id = $1), 0)::bigint
         from credit_balances b where b.partner_id = $1",
    );
    Ok(free.bind(partner.0).fetch_one(&mut **tx).await?)
}

/// Takes units back from the grants that would be used last. The row `id` says so.
async fn take_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: CreditGrantId,
    mut units: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut grants = settle_all(tx, partner, now).await?;
    not_held(tx, partner, units).await?;
    grants.sort_by_key(|grant| std::cmp::Reverse(grant.burnable().place()));
    for grant in grants.iter_mut().filter(|grant| !grant.has_ended && grant.left > 0) {
        let part = units.min(grant.left);
        if part == 0 {
            break;
        }
        units -= part;
        let key = format!("credit-void:{id}:{}", grant.id);
        void(tx, partner, grant, part, Void::Kept, &key, now).await?;
    }
    if units > 0 {
        return Err(StoreError::conflict("units", "Fewer units than that are left, or gateways hold them"));
    }
    sqlx::query(
        "update credit_grants set usable_since = $3, ended_at = $3, ended_by = 'voided' where partner_id = $1 and id = $2",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Takes so many units of a grant back; what is paid back of its cost.
pub(super) async fn void(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grant: &mut Held,
    units: i64,
    how: Void,
    key: &str,
    now: Timestamp,
) -> Result<Option<Money>, StoreError> {
    if units == 0 {
        return Ok(None);
    }
    let refund = match how {
        Void::Kept => None,
        Void::Refunded => grant.worth_of_next(units).map(|worth| {
            let coin = worth.currency.micros_per_minor();
            Money { micros: worth.micros - worth.micros % coin, ..worth }
        }),
    };
    let movement = Movement {
        key,
        description: "Prepaid credit taken back",
        hour: None,
        from: purses::home(grant.purse),
        to: UnitAccount::Voided,
        units,
        covers: false,
        money: Some([LedgerAccount::Credits, LedgerAccount::Breakage]),
    };
    grant.book(tx, partner, &movement, now).await?;
    let refund = refund.filter(|refund| refund.micros > 0);
    if let Some(refund) = refund {
        let back = Money { micros: -refund.micros, ..refund };
        let entries = [(LedgerAccount::Breakage, refund), (LedgerAccount::Cash, back)];
        crate::ledger::post(tx, partner, &format!("{key}:refund"), "Refund of prepaid credit", &entries, now).await?;
    }
    Ok(refund)
}
