//! Giving allocated units back: to what is common, of the grants that would be used last first.

use super::{
    CreditAllocation, GiveBackCredit, Row, Standing, check_reference, lock_partner, moved_before, note_move, read,
    recall,
};
use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    credits::{
        cover::cover,
        grant::settle_all,
        post::{Held, Movement, UnitAccount},
    },
    reconcile::Unbooked,
    row::ReadRow as _,
};
use domain::id::{AllocationId, AppId, PartnerId};
use jiff::Timestamp;
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction};
use uuid::Uuid;

/// What is asked back of an allocation that has ended: whatever comes.
const EVERYTHING: i64 = 1_000_000_000_000_000_000;

impl Store {
    /// Gives units back to what is common, where all may use them at once; what gateways hold of them follows within seconds, and until
    /// then nothing more of it is granted to them. Of an allocation that has ended nothing is left to give: the answer tells how it stands.
    ///
    /// # Errors
    /// Fewer units are left.
    pub async fn give_back_credit(
        &self,
        partner: PartnerId,
        id: AllocationId,
        asked: &GiveBackCredit,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditAllocation, StoreError> {
        check_reference(asked.reference.as_deref())?;
        if asked.units == Some(0) {
            return Err(StoreError::invalid("units", "Give back one unit or more"));
        }
        let mut tx = self.begin().await?;
        lock_partner(&mut tx, partner).await?;
        let row = lock(&mut tx, partner, id).await?;
        if let Some(before) = moved_before(&mut tx, partner, asked.reference.as_deref()).await? {
            let is_same = match asked.units {
                None => before.is_end,
                Some(units) => !before.is_end && i64::try_from(units).is_ok_and(|units| before.units == -units),
            };
            return match before.id == id && is_same {
                true => read::one(&mut tx, partner, id).await,
                false => Err(StoreError::conflict("reference", "Something else already has this reference")),
            };
        }
        if row.is_ended {
            return read::one(&mut tx, partner, id).await;
        }
        let move_id = Uuid::now_v7();
        let units = take_out(&mut tx, partner, (id, move_id), asked.units, now).await?;
        note_move(&mut tx, partner, (move_id, id, -units), asked.reference.as_deref(), now).await?;
        let subject = id.to_string();
        let entry = Entry::new(actor, partner, "credit.give_back", &subject);
        let after = json!({"units": units, "ended": asked.units.is_none(), "reference": asked.reference});
        audit::append(&mut tx, entry.after(after), now).await?;
        let allocation = read::one(&mut tx, partner, id).await?;
        tx.commit().await?;
        Ok(allocation)
    }
}

/// Ends the allocation of an app that is archived. The partner's row is locked.
pub(crate) async fn end_of_app(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    app: AppId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    let open: Option<Uuid> = sqlx::query_scalar(
        "select id from credit_allocations where partner_id = $1 and app_id = $2 and ended_at is null for no key update",
    )
    .bind(partner.0)
    .bind(app.0)
    .fetch_optional(&mut **tx)
    .await?;
    let Some(id) = open.map(AllocationId) else { return Ok(()) };
    let move_id = Uuid::now_v7();
    let units = take_out(tx, partner, (id, move_id), None, now).await?;
    note_move(tx, partner, (move_id, id, -units), None, now).await?;
    let subject = id.to_string();
    let entry = Entry::new(actor, partner, "credit.give_back", &subject);
    audit::append(tx, entry.after(json!({"units": units, "ended": true, "archived": app})), now).await?;
    Ok(())
}

/// Gives back what is free of so many units, or of all of them, and asks gateways for the rest; how many will have come back if no
/// call takes them.
async fn take_out(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, move_id): (AllocationId, Uuid),
    units: Option<u64>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let mut grants = settle_all(tx, partner, now).await?;
    let standing = Standing::of(tx, partner, id).await?;
    let unasked = standing.left() - standing.awaited();
    let wanted = units.map_or(unasked, |units| i64::try_from(units).unwrap_or(i64::MAX));
    if wanted > unasked {
        let message = format!("{unasked} units are left that were not given back before");
        return Err(StoreError::conflict("units", message));
    }
    let all = standing.awaited() + wanted;
    let at_once = all.min(standing.free());
    let why = if units.is_none() { Back::Ended } else { Back::Asked };
    give_back(tx, partner, (id, at_once), (why, move_id), &mut grants, now).await?;
    match units {
        None => ask_all_back(tx, partner, id).await?,
        Some(_) => ask_back(tx, partner, id, all - at_once).await?,
    }
    if all > at_once {
        recall(tx, id.0).await?;
    }
    // What came back pays first what is owed.
    cover(tx, partner, now).await?;
    if units.is_none() {
        // Last: all that changes anything gateways decide by waits for this transaction from here on.
        sqlx::query("update credit_allocations set ended_at = $3 where partner_id = $1 and id = $2")
            .bind(partner.0)
            .bind(id.0)
            .bind(Ts(now))
            .execute(&mut **tx)
            .await?;
    }
    Ok(wanted)
}

async fn ask_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: AllocationId,
    units: i64,
) -> Result<(), StoreError> {
    sqlx::query("update credit_allocation_balances set back_units = $3 where partner_id = $1 and allocation_id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(units)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Of an allocation that has ended, whatever comes; it is left alone where nothing can.
async fn ask_all_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: AllocationId,
) -> Result<(), StoreError> {
    ask_back(tx, partner, id, EVERYTHING).await?;
    let at_rest = Standing::of(tx, partner, id).await?.is_over();
    sqlx::query("update credit_allocation_balances set at_rest = $3 where partner_id = $1 and allocation_id = $2")
        .bind(partner.0)
        .bind(id.0)
        .bind(at_rest)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

/// Gives back what gateways have let go of since it was asked for, and what corrections brought. All is booked, and locked.
pub(in crate::credits) async fn give_back_what_came(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grants: &mut [Held],
    now: Timestamp,
) -> Result<(), StoreError> {
    let asked: Vec<Uuid> = sqlx::query_scalar(
        "select b.allocation_id from credit_allocation_balances b
         left join allowances a on a.partner_id = b.allocation_id and a.kind = 'credit'
         where b.partner_id = $1 and b.back_units > 0 and (not b.at_rest or b.units > coalesce(a.taken, 0))
         order by b.allocation_id",
    )
    .bind(partner.0)
    .fetch_all(&mut **tx)
    .await?;
    for id in asked.into_iter().map(AllocationId) {
        let standing = Standing::of(tx, partner, id).await?;
        let came = standing.free().min(standing.back);
        give_back(tx, partner, (id, came), (Back::LetGo, Uuid::now_v7()), grants, now).await?;
        match standing.back {
            EVERYTHING => ask_all_back(tx, partner, id).await?,
            _ => ask_back(tx, partner, id, standing.awaited() - came).await?,
        }
    }
    Ok(())
}

/// Takes units of a grant out of all allocations, as far as they are free: whoever gave the grant takes it back.
pub(in crate::credits) async fn pull_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grant: &mut Held,
    mut units: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let parts: Vec<_> = grant.parts.iter().map(|part| (part.allocation, part.left)).collect();
    let why = (Back::SmallerPlan, Uuid::now_v7());
    for (id, left) in parts {
        let part = Standing::of(tx, partner, id).await?.free().min(left).min(units);
        units -= part;
        move_back(tx, partner, grant, (id, part), why, now).await?;
    }
    Ok(())
}

/// Why units come back. The ledger's reference begins with it.
#[derive(Clone, Copy)]
enum Back {
    Asked,
    /// Its allocation has ended.
    Ended,
    /// Gateways held it when it was asked for.
    LetGo,
    /// A plan within a period gives fewer units for the rest of it, or a bonus goes back with its fee.
    SmallerPlan,
}

impl Back {
    const fn code(self) -> &'static str {
        match self {
            Self::Asked => "credit-give-back",
            Self::Ended => "credit-allocation-end",
            Self::LetGo => "credit-let-go",
            Self::SmallerPlan => "credit-pull-back",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::Asked => "Allocated prepaid credit given back",
            Self::Ended => "Prepaid credit of an allocation that has ended",
            Self::LetGo => "Allocated prepaid credit given back, which gateways held until now",
            Self::SmallerPlan => "Allocated prepaid credit that its giver takes back",
        }
    }
}

/// No more than is free.
async fn give_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, mut units): (AllocationId, i64),
    why: (Back, Uuid),
    grants: &mut [Held],
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut places: Vec<usize> = (0..grants.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse(grants.get(*place).map(|grant| grant.burnable().place())));
    for place in places {
        let Some(grant) = grants.get_mut(place) else { continue };
        let part = grant.part(id).map_or(0, |part| part.left).min(units);
        units -= part;
        move_back(tx, partner, grant, (id, part), why, now).await?;
    }
    Ok(())
}

async fn move_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grant: &mut Held,
    (id, units): (AllocationId, i64),
    (why, move_id): (Back, Uuid),
    now: Timestamp,
) -> Result<(), StoreError> {
    if units <= 0 {
        return Ok(());
    }
    let movement = Movement {
        key: &format!("{}:{}:{id}:{}", why.code(), move_id.simple(), grant.id),
        description: why.description(),
        hour: None,
        from: UnitAccount::Allocated(id),
        to: UnitAccount::Available,
        units,
        covers: false,
        money: None,
    };
    grant.book(tx, partner, &movement, now).await
}

/// Has units that calls took of an allocation count as taken of what is common; below zero the other way. Both allowances are locked. What
/// could not be moved so far is noted: nothing is taken below zero.
pub(in crate::credits) async fn charge_common(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (id, hour, units): (AllocationId, Timestamp, i64),
    unbooked: &mut Unbooked,
) -> Result<(), StoreError> {
    if units == 0 {
        return Ok(());
    }
    let rows = sqlx::query(
        "update allowances a set taken = greatest(0, before.taken + before.wanted)
         from (
             select partner_id, period_start, taken, case partner_id when $1 then $3 else -$3 end as wanted from allowances
             where kind = 'credit' and partner_id in ($1, $2)
         ) as before
         where a.kind = 'credit' and a.partner_id = before.partner_id and a.period_start = before.period_start
         returning a.partner_id, a.taken - before.taken as moved",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(units)
    .fetch_all(&mut **tx)
    .await?;
    for (holder, of, wanted) in [(id.0, Some(id), -units), (partner.0, None, units)] {
        let mut moved = 0;
        for row in &rows {
            if row.try_get::<Uuid, _>("partner_id")? == holder {
                moved = row.try_get("moved")?;
            }
        }
        unbooked.taken(hour, of, (wanted, moved));
    }
    Ok(())
}

async fn lock(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    id: AllocationId,
) -> Result<Row, StoreError> {
    let row = sqlx::query(
        "select spend, ended_at is not null as is_ended from credit_allocations where partner_id = $1 and id = $2 for no key update",
    )
    .bind(partner.0)
    .bind(id.0)
    .fetch_one(&mut **tx)
    .await?;
    Ok(Row { id, spend: row.parsed("spend")?, is_ended: row.try_get("is_ended")? })
}
