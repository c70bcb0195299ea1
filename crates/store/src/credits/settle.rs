//! Which grants the used units came from: booked hour by hour, once the hour is over, from the sums that ingest and corrections keep.
//!
//! Each run books what a sum has moved by since the last one, so it may run at any time and again. What comes late burns what is left
//! by then of the grants of its hour, those too that have expired meanwhile: then less of them expired. What a correction takes back
//! goes back to the grants it came from. Units that no grant had are owed ([`super::cover`]). What an allocation paid comes of its own parts of
//! grants; what these do not have, because they expired while gateways held them, is taken from what is common.

use super::{
    allocations,
    cover::cover,
    grant, lock,
    post::{self, Held, Movement, UnitAccount},
    purses,
};
use crate::{Store, StoreError, Ts, ledger::LedgerAccount, reconcile::Unbooked, row::ReadRow as _};
use domain::{
    credit::{burn, hour_of},
    id::{AllocationId, CreditGrantId, PartnerId},
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Sums that are booked in one transaction.
const MOST_AT_ONCE: i64 = 200;

impl Store {
    /// Partners of whose credit there is something to book at that instant: hours that are over, grants that begin or end.
    pub async fn all_partners_credit_due(&self, now: Timestamp) -> Result<Vec<PartnerId>, StoreError> {
        let rows = sqlx::query(
            "select partner_id from usage_credit_hourly where units + closed_units <> settled and hour < $1
             union
             select partner_id from usage_allocated_hourly where units <> settled and hour < $1
             union
             select b.partner_id from credit_allocation_balances b join allowances a on a.partner_id = b.allocation_id and a.kind = 'credit'
             where b.back_units > 0 and not b.at_rest and b.units > a.taken
             union
             -- What began, was used up or expired while something else was booked (`purses::tell`).
             select p.partner_id from credit_purses p
             cross join lateral (
                 select count(*) = 0 as at_rest, min(g.expires_at) as first_end from credit_grants g
                 where g.partner_id = p.partner_id and g.purse_id = p.id and g.usable_since is not null
                     and g.ended_at is null and g.allocated_units > 0
             ) as stands
             where p.product_ids is not null and (p.at_rest, p.first_end) is distinct from (stands.at_rest, stands.first_end)
             union
             select partner_id from credit_grants where usable_since is null and ended_at is null and effective_at <= $2
             union
             select partner_id from credit_grants where expires_at is not null and ended_at is null and expires_at <= $2
             order by partner_id",
        )
        .bind(Ts(hour_of(now)))
        .bind(Ts(now))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| Ok(PartnerId(row.try_get("partner_id")?))).collect()
    }

    /// Books what is due of the partner's credit: grants that begin, what was used in hours that are over, what is owed, then grants that
    /// have expired. So a run that comes late leaves what one in time would have left. Nothing is booked twice.
    pub async fn settle_credit(&self, partner: PartnerId, now: Timestamp) -> Result<(), StoreError> {
        // A long backlog is booked part by part: gateways that take units of the partner wait for each.
        loop {
            let mut tx = self.begin().await?;
            let booked = settle(&mut tx, partner, (hour_of(now), MOST_AT_ONCE), now).await?;
            if booked < MOST_AT_ONCE {
                cover(&mut tx, partner, now).await?;
                let mut grants = Held::all(&mut tx, partner).await?;
                super::expiry::expire(&mut tx, partner, &mut grants, now).await?;
                allocations::give_back_what_came(&mut tx, partner, &mut grants, now).await?;
                cover(&mut tx, partner, now).await?;
                purses::tell(&mut tx, partner).await?;
                tx.commit().await?;
                return Ok(());
            }
            tx.commit().await?;
        }
    }
}

/// Begins the grants whose time has come, and books what was used in hours that began before `until`, so many sums at most: how many had
/// moved. Locks the sums, what gateways take from, and the balance, as everybody does ([`lock`]): so none is lowered under a gateway that
/// takes.
pub(super) async fn settle(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (until, most): (Timestamp, i64),
    now: Timestamp,
) -> Result<i64, StoreError> {
    lock::open_common(tx, partner).await?;
    let (sums, due) = due_by_hour(tx, partner, until, most).await?;
    lock::allowances(tx, partner, &[]).await?;
    post::lock(tx, partner).await?;
    for grant in grant::to_begin(tx, partner, now).await? {
        grant::begin(tx, partner, grant, now).await?;
    }
    let mut grants = Held::all(tx, partner).await?;
    let mut unbooked = Unbooked::default();
    for (hour, (mut common, of_allocations)) in due {
        let mut keys = Keys::of(tx, partner, hour).await?;
        for (allocation, units) in of_allocations {
            let of = Some(allocation);
            let not_there = match units {
                1.. => use_up(tx, partner, &mut grants, (of, hour, units), &mut keys, now).await?,
                _ => -give_back(tx, partner, &mut grants, (of, hour, -units), &mut keys, now).await?,
            };
            // Of its own it has no more, or had none then: so what is common has.
            allocations::charge_common(tx, partner, (allocation, hour, not_there), &mut unbooked).await?;
            common += not_there;
        }
        if common > 0 {
            let short = use_up(tx, partner, &mut grants, (None, hour, common), &mut keys, now).await?;
            if short > 0 {
                post::book_owed(tx, partner, (&keys.next(), hour, short), now).await?;
            }
        } else if common < 0 {
            let never_booked = give_back(tx, partner, &mut grants, (None, hour, -common), &mut keys, now).await?;
            if never_booked > 0 {
                unbooked.used(hour);
            }
        }
    }
    unbooked.note(tx, partner, now).await?;
    Ok(sums)
}

/// What moved in an hour: what was common, and what was of allocations.
type Due = (i64, BTreeMap<AllocationId, i64>);

/// How many sums moved since they were booked, and by how much in each hour; they count as booked from here on.
async fn due_by_hour(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    until: Timestamp,
    most: i64,
) -> Result<(i64, BTreeMap<Timestamp, Due>), StoreError> {
    let rows = sqlx::query(
        "select hour, product_id, operation_id, units + closed_units - settled as due from usage_credit_hourly
         where partner_id = $1 and hour < $2 and (hour, product_id, operation_id) in (
             select hour, product_id, operation_id from usage_credit_hourly
             where partner_id = $1 and hour < $2 and units + closed_units <> settled
             union all
             select hour, product_id, operation_id from usage_allocated_hourly
             where partner_id = $1 and hour < $2 and units <> settled)
         order by hour, product_id, operation_id limit $3 for update",
    )
    .bind(partner.0)
    .bind(Ts(until))
    .bind(most)
    .fetch_all(&mut **tx)
    .await?;
    let mut due: BTreeMap<Timestamp, Due> = BTreeMap::new();
    let (mut hours, mut products, mut operations) = (Vec::new(), Vec::new(), Vec::new());
    for row in &rows {
        let hour = row.at("hour")?;
        due.entry(hour).or_default().0 += row.try_get::<i64, _>("due")?;
        hours.push(Ts(hour));
        products.push(row.try_get::<Uuid, _>("product_id")?);
        operations.push(row.try_get::<Uuid, _>("operation_id")?);
    }
    sqlx::query(
        "update usage_credit_hourly u set settled = u.units + u.closed_units
         from unnest($2::timestamptz[], $3::uuid[], $4::uuid[]) as booked (hour, product_id, operation_id)
         where u.partner_id = $1 and u.hour = booked.hour and u.product_id = booked.product_id
             and u.operation_id = booked.operation_id",
    )
    .bind(partner.0)
    .bind(&hours)
    .bind(&products)
    .bind(&operations)
    .execute(&mut **tx)
    .await?;
    // Whoever moves a sum of allocations has moved the whole one, which is locked, in the same transaction.
    let of_allocations = sqlx::query(
        "update usage_allocated_hourly u set settled = u.units
         from (
             select hour, product_id, operation_id, allocation_id, units - settled as due from usage_allocated_hourly
             where partner_id = $1 and units <> settled and (hour, product_id, operation_id) in (
                 select * from unnest($2::timestamptz[], $3::uuid[], $4::uuid[]))
         ) as before
         where u.partner_id = $1 and u.hour = before.hour and u.product_id = before.product_id
             and u.operation_id = before.operation_id and u.allocation_id = before.allocation_id
         returning u.hour, u.allocation_id, before.due",
    )
    .bind(partner.0)
    .bind(&hours)
    .bind(&products)
    .bind(&operations)
    .fetch_all(&mut **tx)
    .await?;
    for row in &of_allocations {
        let units: i64 = row.try_get("due")?;
        let (common, own) = due.entry(row.at("hour")?).or_default();
        *own.entry(AllocationId(row.try_get("allocation_id")?)).or_default() += units;
        *common -= units;
    }
    for (_, own) in due.values_mut() {
        own.retain(|_, units| *units != 0);
    }
    due.retain(|_, (common, own)| *common != 0 || !own.is_empty());
    Ok((i64::try_from(rows.len()).unwrap_or(i64::MAX), due))
}

/// Takes units from what is common, or from what an allocation has; how many neither had.
async fn use_up(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grants: &mut [Held],
    (of, hour, units): (Option<AllocationId>, Timestamp, i64),
    keys: &mut Keys,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let left: Vec<_> = match of {
        None => grants.iter().map(Held::burnable).collect(),
        Some(of) => grants.iter().filter_map(|grant| grant.burnable_of(of)).collect(),
    };
    let burnt = burn(&left, u64::try_from(units).unwrap_or(0), hour);
    use_parts(tx, partner, grants, (of, hour, &burnt.parts, false), keys, now).await?;
    Ok(signed(burnt.short))
}

/// Books parts of what was used in the hour as used of their grants: of what is left of them, and then of what has expired. `covers` is
/// whether they were owed until now.
pub(super) async fn use_parts(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grants: &mut [Held],
    (of, hour, parts, covers): (Option<AllocationId>, Timestamp, &[(CreditGrantId, u64)], bool),
    keys: &mut Keys,
    now: Timestamp,
) -> Result<(), StoreError> {
    let [left_there, expired, used] = accounts(of);
    for (id, part) in parts {
        let Some(grant) = grants.iter_mut().find(|grant| grant.id == *id) else { continue };
        let part = signed(*part);
        let own_left = of.map(|of| grant.part(of).map_or(0, |part| part.left));
        let of_left = part.min(own_left.unwrap_or(grant.left));
        for (from, units, debit) in
            [(left_there, of_left, LedgerAccount::Credits), (expired, part - of_left, LedgerAccount::Breakage)]
        {
            if units > 0 {
                let movement = Movement {
                    key: &keys.next(),
                    description: if covers { "Prepaid credit for what was owed" } else { "Use of prepaid credit" },
                    hour: Some(hour),
                    from,
                    to: used,
                    units,
                    covers,
                    money: Some([debit, LedgerAccount::Revenue]),
                };
                grant.book(tx, partner, &movement, now).await?;
            }
        }
    }
    Ok(())
}

/// Where units are left, have expired and are used.
fn accounts(of: Option<AllocationId>) -> [UnitAccount; 3] {
    match of {
        None => [UnitAccount::Available, UnitAccount::Expired, UnitAccount::Used],
        Some(of) => [UnitAccount::Allocated(of), UnitAccount::AllocatedExpired(of), UnitAccount::AllocatedUsed(of)],
    }
}

/// Back to where the hour's units came from: first what was owed, then the grants that were burnt last. How many never came from there.
async fn give_back(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    grants: &mut [Held],
    (of, hour, mut units): (Option<AllocationId>, Timestamp, i64),
    keys: &mut Keys,
    now: Timestamp,
) -> Result<i64, StoreError> {
    let [left_there, expired, used] = accounts(of);
    let rows = sqlx::query(
        "select grant_id, sum(units)::bigint as used from ledger_unit_entries
         where partner_id = $1 and hour = $2 and account = 'used' and allocation_id is not distinct from $3
         group by grant_id having sum(units) > 0
         order by grant_id is not null, max(transaction_id::text) desc",
    )
    .bind(partner.0)
    .bind(Ts(hour))
    .bind(of.map(|of| of.0))
    .fetch_all(&mut **tx)
    .await?;
    for row in rows {
        let part = row.try_get::<i64, _>("used")?.min(units);
        if part <= 0 {
            break;
        }
        let id: Option<Uuid> = row.try_get("grant_id")?;
        let Some(id) = id.map(CreditGrantId) else {
            units -= part;
            post::book_owed(tx, partner, (&keys.next(), hour, -part), now).await?;
            continue;
        };
        let Some(grant) = grants.iter_mut().find(|grant| grant.id == id) else { continue };
        units -= part;
        let (to, money) = match grant.has_ended {
            true => (expired, [LedgerAccount::Revenue, LedgerAccount::Breakage]),
            // What is gone falls, and so its worth is below zero.
            false => (left_there, [LedgerAccount::Credits, LedgerAccount::Revenue]),
        };
        let movement = Movement {
            key: &keys.next(),
            description: "Prepaid credit given back",
            hour: Some(hour),
            from: used,
            to,
            units: part,
            covers: false,
            money: Some(money),
        };
        grant.book(tx, partner, &movement, now).await?;
    }
    Ok(units)
}

/// Idempotency keys of an hour's movements, numbered through.
pub(super) struct Keys {
    of: String,
    next: i64,
}

impl Keys {
    pub(super) async fn of(
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        hour: Timestamp,
    ) -> Result<Self, StoreError> {
        let booked: i64 = sqlx::query_scalar(
            "select count(distinct transaction_id) from ledger_unit_entries where partner_id = $1 and hour = $2",
        )
        .bind(partner.0)
        .bind(Ts(hour))
        .fetch_one(&mut **tx)
        .await?;
        Ok(Self { of: format!("credit-use:{partner}:{hour}"), next: booked })
    }

    pub(super) fn next(&mut self) -> String {
        self.next += 1;
        format!("{}:{}", self.of, self.next)
    }
}

pub(super) fn signed(units: u64) -> i64 {
    i64::try_from(units).unwrap_or(i64::MAX)
}
