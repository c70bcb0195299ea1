//! Movements of prepaid units: each is one transaction of the ledger, in units and, where they were sold, in money.
//!
//! What was sold is owed (`credits`) until it is used (`revenue`), expires or is taken back (`breakage`), or is paid back (`cash`). The
//! money of a movement is what the grant's cost is worth up to here less what it was worth before, so all movements add up to the cost.

use crate::{
    StoreError, Ts,
    ledger::{self, LedgerAccount},
    row::ReadRow as _,
};
use domain::{
    credit::{GrantKind, GrantLeft, earned_micros},
    id::{AllocationId, CreditGrantId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

/// Where units are. Those of each grant sum to zero in each transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnitAccount {
    Issued,
    Available,
    Used,
    Expired,
    Voided,
    /// Used before there was a grant for it.
    Owed,
    /// As available, for one app or team alone; and what became of it there.
    Allocated(AllocationId),
    AllocatedUsed(AllocationId),
    AllocatedExpired(AllocationId),
}

impl UnitAccount {
    const fn code(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Available => "available",
            Self::Used | Self::AllocatedUsed(_) => "used",
            Self::Expired | Self::AllocatedExpired(_) => "expired",
            Self::Voided => "voided",
            Self::Owed => "owed",
            Self::Allocated(_) => "allocated",
        }
    }

    const fn allocation(self) -> Option<AllocationId> {
        match self {
            Self::Allocated(id) | Self::AllocatedUsed(id) | Self::AllocatedExpired(id) => Some(id),
            _ => None,
        }
    }

    /// Whether units there are in the balance that is common.
    const fn is_common(self) -> bool {
        matches!(self, Self::Available | Self::Used | Self::Owed)
    }

    /// Whether units there are in the balance of an allocation.
    const fn is_own(self) -> bool {
        matches!(self, Self::Allocated(_) | Self::AllocatedUsed(_))
    }
}

/// A grant that is in the balance, or was, as the entries have it.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub id: CreditGrantId,
    pub kind: GrantKind,
    pub priority: u8,
    pub effective_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    pub units: i64,
    pub cost: Option<Money>,
    /// Its money came with an invoice.
    pub is_invoiced: bool,
    /// What is left and common.
    pub left: i64,
    /// What is left of it in allocations.
    pub allocated: i64,
    pub used: i64,
    pub expired: i64,
    pub voided: i64,
    pub has_ended: bool,
    /// Where all its units are that are left, if only calls of some products spend it.
    pub purse: Option<AllocationId>,
    pub parts: Vec<AllocatedPart>,
}

/// What of a grant one allocation has, or had: of the grant's own figures.
#[derive(Debug, Clone, Copy)]
pub(super) struct AllocatedPart {
    pub allocation: AllocationId,
    pub left: i64,
    used: i64,
    expired: i64,
}

/// One movement: what it is of, and from where to where.
pub(super) struct Movement<'a> {
    pub key: &'a str,
    pub description: &'a str,
    pub hour: Option<Timestamp>,
    pub from: UnitAccount,
    pub to: UnitAccount,
    pub units: i64,
    /// Whether the units were owed until now.
    pub covers: bool,
    /// Where the money goes that its units stand for.
    pub money: Option<[LedgerAccount; 2]>,
}

macro_rules! held {
    ($which:literal) => {
        concat!(
            "select id, kind, priority, coalesce(effective_at, granted_at) as effective_at, expires_at, units, cost_micros, currency,
                 case when usable_since is null and purse_id is null then units else left_units end as left_units, allocated_units, used_units, expired_units,
                 voided_units, ended_at is not null as has_ended, is_invoiced, purse_id
             from credit_grants where partner_id = $1 and units > 0 and ",
            $which
        )
    };
}

impl Held {
    /// All grants of the partner that are in the balance or were. The balance's row is locked.
    pub(super) async fn all(
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
    ) -> Result<Vec<Self>, StoreError> {
        lock(tx, partner).await?;
        let rows =
            sqlx::query(held!("usable_since is not null order by id")).bind(partner.0).fetch_all(&mut **tx).await?;
        with_parts(tx, partner, &rows).await
    }

    /// Those, and the ones whose time has come by `now`, as they will be then. Nothing is locked.
    pub(super) async fn begun(
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        now: Timestamp,
    ) -> Result<Vec<Self>, StoreError> {
        let due = held!("(usable_since is not null or ended_at is null and effective_at <= $2) order by id");
        let rows = sqlx::query(due).bind(partner.0).bind(Ts(now)).fetch_all(&mut **tx).await?;
        with_parts(tx, partner, &rows).await
    }

    /// As the burn order sees what is common of it: what has expired can still have been used in an hour before.
    pub(super) fn burnable(&self) -> GrantLeft {
        let elsewhere: i64 = self.parts.iter().map(|part| part.expired).sum();
        self.seen(self.left, self.expired - elsewhere)
    }

    /// The same of what an allocation has of it.
    pub(super) fn burnable_of(&self, allocation: AllocationId) -> Option<GrantLeft> {
        let part = self.part(allocation)?;
        Some(self.seen(part.left, part.expired))
    }

    /// What the allocation has of it, or had.
    pub(super) fn part(&self, allocation: AllocationId) -> Option<&AllocatedPart> {
        self.parts.iter().find(|part| part.allocation == allocation)
    }

    /// Units that nobody has used, where they were when it began.
    pub(super) fn unused(&self) -> i64 {
        match self.purse {
            Some(purse) => self.part(purse).map_or(0, |part| part.left),
            None => self.left,
        }
    }

    fn seen(&self, left: i64, expired: i64) -> GrantLeft {
        let Self { id, kind, priority, effective_at, expires_at, .. } = *self;
        let left = u64::try_from(left.saturating_add(expired)).unwrap_or(0);
        GrantLeft { id, kind, priority, effective_at, expires_at, left }
    }

    fn gone(&self) -> i64 {
        self.used + self.expired + self.voided
    }

    /// What so many units stand for, from what was gone to what is gone then. Below zero where units come back.
    fn worth(&self, from: i64, to: i64) -> Option<Money> {
        let cost = self.cost?;
        let count = |units: i64| u64::try_from(units).unwrap_or(0);
        let earned = |gone: i64| earned_micros(cost.micros, count(self.units), count(gone));
        Some(Money { micros: earned(to) - earned(from), ..cost })
    }

    /// What the next so many units that go are worth.
    pub(super) fn worth_of_next(&self, units: i64) -> Option<Money> {
        self.worth(self.gone(), self.gone() + units)
    }

    fn sum(&mut self, account: UnitAccount) -> Option<&mut i64> {
        match account {
            UnitAccount::Available => Some(&mut self.left),
            UnitAccount::Allocated(_) => Some(&mut self.allocated),
            UnitAccount::Used | UnitAccount::AllocatedUsed(_) => Some(&mut self.used),
            UnitAccount::Expired | UnitAccount::AllocatedExpired(_) => Some(&mut self.expired),
            UnitAccount::Voided => Some(&mut self.voided),
            UnitAccount::Issued | UnitAccount::Owed => None,
        }
    }

    fn move_part(&mut self, account: UnitAccount, moved: i64) {
        let Some(allocation) = account.allocation() else { return };
        if self.part(allocation).is_none() {
            self.parts.push(AllocatedPart { allocation, left: 0, used: 0, expired: 0 });
        }
        let Some(part) = self.parts.iter_mut().find(|part| part.allocation == allocation) else { return };
        match account {
            UnitAccount::Allocated(_) => part.left += moved,
            UnitAccount::AllocatedUsed(_) => part.used += moved,
            _ => part.expired += moved,
        }
    }

    /// Books it, and moves the balances that gateways spend where they change: by what is issued, allocated, expires, is taken back or
    /// comes back.
    pub(super) async fn book(
        &mut self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        movement: &Movement<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let Movement { key, description, hour, from, to, units, covers, money } = *movement;
        let before = self.gone();
        for (account, moved) in [(from, -units), (to, units)] {
            if let Some(sum) = self.sum(account) {
                *sum += moved;
            }
            self.move_part(account, moved);
        }
        // What only changes its name among what is gone is worth what so many of the first units are.
        let (first, last) = if before == self.gone() { (0, units) } else { (before, self.gone()) };
        let worth = match from {
            UnitAccount::Issued => self.cost,
            _ => self.worth(first, last),
        };
        let entries = match (money, worth.filter(|worth| worth.micros != 0)) {
            (Some([debit, credit]), Some(worth)) => {
                vec![(debit, worth), (credit, Money { micros: -worth.micros, ..worth })]
            }
            _ => Vec::new(),
        };
        let posting = Posting { partner, key, description, grant: Some(self.id), hour };
        let transaction = posting.begin(tx, now).await?;
        ledger::enter(tx, partner, transaction, &entries).await?;
        let mut moved = vec![(from, Some(self.id), -units), (to, Some(self.id), units)];
        if covers {
            moved.extend([(UnitAccount::Owed, None, units), (UnitAccount::Used, None, -units)]);
        }
        posting.enter(tx, transaction, &moved).await?;
        self.keep(tx, partner).await?;
        let into = |is_in: fn(UnitAccount) -> bool| (i64::from(is_in(to)) - i64::from(is_in(from))) * units;
        if let Some(allocation) = from.allocation().or(to.allocation()) {
            self.keep_part(tx, partner, allocation, into(UnitAccount::is_own)).await?;
        }
        move_balance(tx, partner, into(UnitAccount::is_common)).await
    }

    /// What the entries come to, beside the grant.
    async fn keep(&self, tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
        sqlx::query(
            "update credit_grants set left_units = $3, used_units = $4, expired_units = $5, voided_units = $6, allocated_units = $7
             where partner_id = $1 and id = $2",
        )
        .bind(partner.0)
        .bind(self.id.0)
        .bind(self.left)
        .bind(self.used)
        .bind(self.expired)
        .bind(self.voided)
        .bind(self.allocated)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// The same beside the allocation, whose balance moves by so much.
    async fn keep_part(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        partner: PartnerId,
        allocation: AllocationId,
        by: i64,
    ) -> Result<(), StoreError> {
        let Some(part) = self.part(allocation) else { return Ok(()) };
        sqlx::query(
            "insert into credit_allocation_parts (partner_id, allocation_id, grant_id, left_units, used_units, expired_units)
             values ($1, $2, $3, $4, $5, $6)
             on conflict (partner_id, allocation_id, grant_id) do update set left_units = excluded.left_units,
                 used_units = excluded.used_units, expired_units = excluded.expired_units",
        )
        .bind(partner.0)
        .bind(allocation.0)
        .bind(self.id.0)
        .bind(part.left)
        .bind(part.used)
        .bind(part.expired)
        .execute(&mut **tx)
        .await?;
        if by != 0 {
            sqlx::query(
                "update credit_allocation_balances set units = units + $3 where partner_id = $1 and allocation_id = $2",
            )
            .bind(partner.0)
            .bind(allocation.0)
            .bind(by)
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

/// Books money that is about a grant and moves none of its units.
pub(super) async fn book_money(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (key, description, grant): (&str, &str, CreditGrantId),
    entries: &[(LedgerAccount, Money)],
    now: Timestamp,
) -> Result<(), StoreError> {
    let posting = Posting { partner, key, description, grant: Some(grant), hour: None };
    let transaction = posting.begin(tx, now).await?;
    ledger::enter(tx, partner, transaction, entries).await
}

/// Books units that were used and that no grant had; below zero where some come back.
pub(super) async fn book_owed(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (key, hour, units): (&str, Timestamp, i64),
    now: Timestamp,
) -> Result<(), StoreError> {
    let description = if units > 0 { "Used beyond all grants" } else { "Back from beyond all grants" };
    let posting = Posting { partner, key, description, grant: None, hour: Some(hour) };
    let transaction = posting.begin(tx, now).await?;
    posting.enter(tx, transaction, &[(UnitAccount::Used, None, units), (UnitAccount::Owed, None, -units)]).await
}

/// Locks the partner's balance; whoever books credit waits here for the others.
pub(super) async fn lock(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
    sqlx::query("insert into credit_balances (partner_id, units) values ($1, 0) on conflict do nothing")
        .bind(partner.0)
        .execute(&mut **tx)
        .await?;
    sqlx::query("select from credit_balances where partner_id = $1 for update")
        .bind(partner.0)
        .fetch_one(&mut **tx)
        .await?;
    Ok(())
}

async fn move_balance(tx: &mut Transaction<'static, Postgres>, partner: PartnerId, by: i64) -> Result<(), StoreError> {
    if by != 0 {
        sqlx::query("update credit_balances set units = units + $2 where partner_id = $1")
            .bind(partner.0)
            .bind(by)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

/// A transaction that is about units.
struct Posting<'a> {
    partner: PartnerId,
    key: &'a str,
    description: &'a str,
    grant: Option<CreditGrantId>,
    hour: Option<Timestamp>,
}

impl Posting<'_> {
    async fn begin(&self, tx: &mut Transaction<'static, Postgres>, now: Timestamp) -> Result<Uuid, StoreError> {
        let id = Uuid::now_v7();
        sqlx::query(
            "insert into ledger_transactions (partner_id, id, idempotency_key, description, at, credit_grant_id)
             values ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.partner.0)
        .bind(id)
        .bind(self.key)
        .bind(self.description)
        .bind(Ts(now))
        .bind(self.grant.map(|id| id.0))
        .execute(&mut **tx)
        .await?;
        Ok(id)
    }

    async fn enter(
        &self,
        tx: &mut Transaction<'static, Postgres>,
        transaction: Uuid,
        entries: &[(UnitAccount, Option<CreditGrantId>, i64)],
    ) -> Result<(), StoreError> {
        for (position, (account, grant, units)) in (0_i32..).zip(entries) {
            sqlx::query(
                "insert into ledger_unit_entries (partner_id, transaction_id, position, account, grant_id, hour, units, allocation_id)
                 values ($1, $2, $3, $4, $5, $6, $7, $8)",
            )
            .bind(self.partner.0)
            .bind(transaction)
            .bind(position)
            .bind(account.code())
            .bind(grant.map(|id| id.0))
            .bind(self.hour.map(Ts))
            .bind(*units)
            .bind(account.allocation().map(|id| id.0))
            .execute(&mut **tx)
            .await?;
        }
        Ok(())
    }
}

/// The grants of the rows, each with what allocations have of it.
async fn with_parts(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    rows: &[PgRow],
) -> Result<Vec<Held>, StoreError> {
    let mut all: Vec<Held> = rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?;
    for (grant, part) in parts(tx, partner).await? {
        if let Some(held) = all.iter_mut().find(|held| held.id == grant) {
            held.parts.push(part);
        }
    }
    Ok(all)
}

async fn parts(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
) -> Result<Vec<(CreditGrantId, AllocatedPart)>, StoreError> {
    let rows = sqlx::query(
        "select allocation_id, grant_id, left_units, used_units, expired_units from credit_allocation_parts
         where partner_id = $1 order by allocation_id, grant_id",
    )
    .bind(partner.0)
    .fetch_all(&mut **tx)
    .await?;
    let part = |row: &PgRow| {
        let part = AllocatedPart {
            allocation: AllocationId(row.try_get("allocation_id")?),
            left: row.try_get("left_units")?,
            used: row.try_get("used_units")?,
            expired: row.try_get("expired_units")?,
        };
        Ok((CreditGrantId(row.try_get("grant_id")?), part))
    };
    Ok(rows.iter().map(part).collect::<Result<_, sqlx::Error>>()?)
}

fn read(row: &PgRow) -> Result<Held, sqlx::Error> {
    let cost: Option<i64> = row.try_get("cost_micros")?;
    let cost = match cost {
        Some(micros) => Some(Money::new(row.parsed("currency")?, micros)),
        None => None,
    };
    Ok(Held {
        id: CreditGrantId(row.try_get("id")?),
        kind: row.parsed("kind")?,
        priority: u8::try_from(row.try_get::<i16, _>("priority")?).unwrap_or(u8::MAX),
        effective_at: row.at("effective_at")?,
        expires_at: row.at_if_any("expires_at")?,
        units: row.try_get("units")?,
        cost,
        is_invoiced: row.try_get("is_invoiced")?,
        left: row.try_get("left_units")?,
        allocated: row.try_get("allocated_units")?,
        used: row.try_get("used_units")?,
        expired: row.try_get("expired_units")?,
        voided: row.try_get("voided_units")?,
        has_ended: row.try_get("has_ended")?,
        purse: row.try_get::<Option<Uuid>, _>("purse_id")?.map(AllocationId),
        parts: Vec::new(),
    })
}
