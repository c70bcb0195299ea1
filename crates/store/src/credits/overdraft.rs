//! Units beyond all credit, where the plan of their hour has an overdraft: they are billed with the period in which the hour begins, and
//! no grant pays them before. With the invoice they become a grant that is used at once, so that the balance is what its entries come to.

use super::{
    grant,
    post::{Held, Movement, UnitAccount, lock},
    settle::{Keys, settle},
};
use crate::{
    Store, StoreError, Ts,
    row::{ReadRow as _, unreadable},
};
use domain::{
    credit::{GrantKind, USUAL_PRIORITY},
    id::{CreditGrantId, InvoiceId, PartnerId, SubscriptionId},
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use uuid::Uuid;

/// Units of one hour that were used beyond all credit, and what each costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdrawn {
    /// When the hour began.
    pub hour: Timestamp,
    pub units: u64,
    pub unit_price: Decimal,
}

impl Store {
    /// Units that the subscription's next invoice bills, of hours that began before `until`; what was used until then is booked first.
    ///
    /// Hours belong to the last plan that was in force in them. What comes late of earlier plans in the same currency is in it, too.
    pub async fn overdrawn_credit(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Overdrawn>, StoreError> {
        let mut tx = self.begin().await?;
        let due = due(&mut tx, partner, (subscription, until), now).await?;
        tx.commit().await?;
        Ok(due)
    }

    /// The same, if nothing more were used: for the bill so far. Nothing is booked by it, for a grant of the running hour may still pay.
    pub async fn overdrawn_credit_so_far(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Overdrawn>, StoreError> {
        let mut tx = self.begin().await?;
        let due = due(&mut tx, partner, (subscription, until), now).await?;
        tx.rollback().await?;
        Ok(due)
    }
}

/// What is to be billed, booked up to there. Locks as [`settle`] does, where a plan of the partner has ever had an overdraft.
pub(crate) async fn due(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (subscription, until): (SubscriptionId, Timestamp),
    now: Timestamp,
) -> Result<Vec<Overdrawn>, StoreError> {
    if !may_overdraw(tx, partner).await? {
        return Ok(Vec::new());
    }
    settle(tx, partner, (until, i64::MAX), now).await?;
    owed(tx, partner, (subscription, until)).await
}

/// Makes a grant of what an invoice bills, and uses it for those very units.
pub(crate) async fn bill(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (invoice, overdrawn): (InvoiceId, &[Overdrawn]),
    now: Timestamp,
) -> Result<(), StoreError> {
    for (unit_price, units) in by_price(overdrawn) {
        let id = CreditGrantId(Uuid::now_v7());
        sqlx::query(
            "insert into credit_grants (partner_id, id, units, reason, granted_at, kind, priority, effective_at, is_invoiced)
             values ($1, $2, $3, 'Used beyond the prepaid units, and billed', $4, $5, $6, $4, true)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(units)
        .bind(Ts(now))
        .bind(GrantKind::Paid.code())
        .bind(i16::from(USUAL_PRIORITY))
        .execute(&mut **tx)
        .await?;
        sqlx::query(
            "insert into credit_overdraft_bills (partner_id, grant_id, invoice_id, units, unit_price)
             values ($1, $2, $3, $4, $5::numeric)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(invoice.0)
        .bind(units)
        .bind(unit_price.to_string())
        .execute(&mut **tx)
        .await?;
        lock(tx, partner).await?;
        grant::begin(tx, partner, id, now).await?;
        let own = |grant: &Held| grant.id == id;
        let mut grant = Held::all(tx, partner).await?.into_iter().find(own).ok_or(StoreError::NotFound)?;
        for one in overdrawn.iter().filter(|one| one.unit_price == unit_price) {
            let key = Keys::of(tx, partner, one.hour).await?.next();
            let movement = Movement {
                key: &key,
                description: "Billed after it was used",
                hour: Some(one.hour),
                from: UnitAccount::Available,
                to: UnitAccount::Used,
                units: super::settle::signed(one.units),
                covers: true,
                // The invoice has posted it: no money waits in the grant.
                money: None,
            };
            grant.book(tx, partner, &movement, now).await?;
        }
    }
    Ok(())
}

/// In the order of their first hours.
fn by_price(overdrawn: &[Overdrawn]) -> Vec<(Decimal, i64)> {
    let mut prices: Vec<(Decimal, i64)> = Vec::new();
    for one in overdrawn {
        let units = super::settle::signed(one.units);
        match prices.iter_mut().find(|(price, _)| *price == one.unit_price) {
            Some((_, sum)) => *sum = sum.saturating_add(units),
            None => prices.push((one.unit_price, units)),
        }
    }
    prices
}

/// Most partners have no plan that lets them, and wait for nobody.
async fn may_overdraw(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar(
        "select exists (select from subscriptions s join plan_versions v on v.id = s.plan_version_id
             where s.partner_id = $1 and v.terms #> '{admission,credit,overdraft}' is not null)",
    );
    Ok(may.bind(partner.0).fetch_one(&mut **tx).await?)
}

async fn owed(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    (subscription, until): (SubscriptionId, Timestamp),
) -> Result<Vec<Overdrawn>, StoreError> {
    let rows = sqlx::query(
        "select o.hour, o.units, p.unit_price::text as unit_price
         from (
             select hour, -sum(units)::bigint as units from ledger_unit_entries
             where partner_id = $1 and account = 'owed' and hour < $3 group by hour having sum(units) < 0
         ) as o
         cross join lateral credit_overdraft_in($1, o.hour) as p
         join subscriptions s on s.partner_id = $1 and s.id = $2
         join plan_versions v on v.id = s.plan_version_id
         where p.unit_price is not null and p.began_at <= s.started_at and p.currency = v.terms ->> 'currency'
         order by o.hour",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .bind(Ts(until))
    .fetch_all(&mut **tx)
    .await?;
    let one =
        |row: &PgRow| Ok(Overdrawn { hour: row.at("hour")?, units: row.count("units")?, unit_price: price(row)? });
    Ok(rows.iter().map(one).collect::<Result<_, sqlx::Error>>()?)
}

fn price(row: &PgRow) -> Result<Decimal, sqlx::Error> {
    let text: &str = row.try_get("unit_price")?;
    text.parse().map_err(|error| unreadable("unit_price", error))
}
