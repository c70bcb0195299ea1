//! Allocating units that are common to the partner, and no gateway holds.

use super::{
    CreditAllocation, NewCreditAllocation, Row, Standing, check_reference, lock_partner, moved_before, note_move, read,
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credits::{
        grant::{free_units, settle_all},
        post::{Held, Movement, UnitAccount},
    },
    row::ReadRow as _,
};
use domain::{
    allowance::Allowance,
    credit::allocation::{Holder, Spend},
    id::{AllocationId, PartnerId},
};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

/// Units of one allocation at once, so that sums of many fit.
const MOST_UNITS: u64 = 1_000_000_000_000_000;

impl Store {
    /// Allocates units to an app or a team, those that would be used next first; and says what its calls may spend beyond them. A second
    /// time it adds to what is there.
    ///
    /// # Errors
    /// Fewer units are left and common, or gateways hold some of them: a moment later they have given back what they do not use.
    pub async fn allocate_credit(
        &self,
        partner: PartnerId,
        new: &NewCreditAllocation,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditAllocation, StoreError> {
        let done = self.allocate(partner, new, actor, now).await;
        if let Err(StoreError::Conflict { field, .. }) = &done
            && field == "units"
        {
            self.recall_common_credit(partner).await?;
        }
        done
    }

    async fn allocate(
        &self,
        partner: PartnerId,
        new: &NewCreditAllocation,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditAllocation, StoreError> {
        check_reference(new.reference.as_deref())?;
        let units = i64::try_from(new.units.min(MOST_UNITS + 1)).unwrap_or(i64::MAX);
        if new.units > MOST_UNITS {
            return Err(StoreError::invalid("units", "Allocate at most 10^15 units"));
        }
        let mut tx = self.begin().await?;
        lock_partner(&mut tx, partner).await?;
        if let Some(before) = moved_before(&mut tx, partner, new.reference.as_deref()).await? {
            let first = read::one(&mut tx, partner, before.id).await?;
            return match first.of == new.of && before.units == units && !before.is_end {
                true => Ok(first),
                false => Err(StoreError::conflict("reference", "Something else already has this reference")),
            };
        }
        let known = open_of(&mut tx, partner, new).await?;
        let move_id = Uuid::now_v7();
        let mut grants = settle_all(&mut tx, partner, now).await?;
        // All that changes anything gateways decide by waits for whoever writes an allocation: so that comes after what may be long.
        let row = match known {
            Some(row) => row,
            None => make(&mut tx, partner, new, now).await?,
        };
        // What was asked back before and was used instead does not come, nor is it taken of these.
        let standing = Standing::of(&mut tx, partner, row.id).await?;
        sqlx::query(
            "update credit_allocation_balances set back_units = $3 where partner_id = $1 and allocation_id = $2",
        )
        .bind(partner.0)
        .bind(row.id.0)
        .bind(standing.awaited())
        .execute(&mut *tx)
        .await?;
        give(&mut tx, partner, (row.id, move_id, units), &mut grants, now).await?;
        note_move(&mut tx, partner, (move_id, row.id, units), new.reference.as_deref(), now).await?;
        if row.spend != new.spend {
            choose(&mut tx, partner, (row.id, new.spend)).await?;
        }
        let subject = row.id.to_string();
        let entry = Entry::new(actor, partner, "credit.allocate", &subject);
        let entry = entry.before(json!({"spend": row.spend.code()}));
        let after = json!({"of": new.of, "units": units, "spend": new.spend.code(), "reference": new.reference});
        audit::append(&mut tx, entry.after(after), now).await?;
        let allocation = read::one(&mut tx, partner, row.id).await?;
        tx.commit().await?;
        Ok(allocation)
    }
}

/// The columns that say whose it is.
const fn app_or_team(of: Holder) -> (Option<Uuid>, Option<Uuid>) {
    match of {
        Holder::App(app) => (Some(app.0), None),
        Holder::Team(team) => (None, Some(team.0)),
    }
}

/// The allocation that the app or team has.
async fn open_of(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    new: &NewCreditAllocation,
) -> Result<Option<Row>, StoreError> {
    let (app, team) = app_or_team(new.of);
    // Another partner's does not exist.
    let is_archived: bool = sqlx::query_scalar(
        "select archived_at is not null from apps where partner_id = $1 and id = $2
         union all select false from teams where partner_id = $1 and id = $3",
    )
    .bind(partner.0)
    .bind(app)
    .bind(team)
    .fetch_one(&mut **tx)
    .await?;
    if is_archived {
        return Err(StoreError::conflict("of", "This app is archived"));
    }
    let known = sqlx::query(
        "select id, spend from credit_allocations
         where partner_id = $1 and app_id is not distinct from $2 and team_id is not distinct from $3 and ended_at is null
         for no key update",
    )
    .bind(partner.0)
    .bind(app)
    .bind(team)
    .fetch_optional(&mut **tx)
    .await?;
    if known.is_none() && new.units == 0 {
        return Err(StoreError::invalid("units", "Allocate one unit or more"));
    }
    let read = |row: &PgRow| {
        Ok::<_, sqlx::Error>(Row { id: AllocationId(row.try_get("id")?), spend: row.parsed("spend")?, is_ended: false })
    };
    Ok(known.as_ref().map(read).transpose()?)
}

/// An allocation without units.
async fn make(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    new: &NewCreditAllocation,
    now: Timestamp,
) -> Result<Row, StoreError> {
    let (app, team) = app_or_team(new.of);
    let id = AllocationId(Uuid::now_v7());
    sqlx::query(
        "insert into credit_allocations (partner_id, id, app_id, team_id, spend, made_at) values ($1, $2, $3, $4, $5, $6)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(app)
    .bind(team)
    .bind(new.spend.code())
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    sqlx::query("insert into credit_allocation_balances (partner_id, allocation_id) values ($1, $2)")
        .bind(partner.0)
        .bind(id.0)
        .execute(&mut **tx)
        .await?;
    // There to be locked, before anybody takes of it.
    let period = Allowance::allocation(partner, id).period;
    sqlx::query(
        "select open_allowances(array[$1::uuid], array['credit'], array[$2::timestamptz], array[$3::timestamptz])",
    )
    .bind(id.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .execute(&mut **tx)
    .await?;
    Ok(Row { id, spend: new.spend, is_ended: false })
}

/// What calls may spend beyond the allocation's units.
async fn choose(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, spend): (AllocationId, Spend),
) -> Result<(), StoreError> {
    sqlx::query("update credit_allocations set spend = $3 where partner_id = $1 and id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(spend.code())
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Moves units from what is common. All is booked, and locked.
async fn give(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (allocation, move_id, units): (AllocationId, Uuid, i64),
    grants: &mut [Held],
    now: Timestamp,
) -> Result<(), StoreError> {
    if units == 0 {
        return Ok(());
    }
    let free = free_units(tx, partner).await?.max(0);
    let short = |free: i64| {
        let message = format!(
            "{free} units can be allocated now: fewer than that are left, or gateways hold some, which they give back within seconds"
        );
        StoreError::conflict("units", message)
    };
    if free < units {
        return Err(short(free));
    }
    grants.sort_by_key(|grant| grant.burnable().place());
    let is_usable = |grant: &&mut Held| {
        !grant.has_ended && grant.effective_at <= now && grant.expires_at.is_none_or(|end| end > now) && grant.left > 0
    };
    let mut missing = units;
    for grant in grants.iter_mut().filter(is_usable) {
        let part = missing.min(grant.left);
        if part == 0 {
            break;
        }
        missing -= part;
        let movement = Movement {
            key: &format!("credit-allocate:{}:{}", move_id.simple(), grant.id),
            description: "Prepaid credit allocated",
            hour: None,
            from: UnitAccount::Available,
            to: UnitAccount::Allocated(allocation),
            units: part,
            covers: false,
            money: None,
        };
        grant.book(tx, partner, &movement, now).await?;
    }
    if missing > 0 {
        return Err(short(units - missing));
    }
    Ok(())
}
