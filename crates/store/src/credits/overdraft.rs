//! Units beyond all credit, in hours in which a plan has an overdraft: an invoice bills them at the price of the hour's first plan that has
//! one, and no grant that begins after their hour pays them before. With the invoice they become a grant that is used at once, so that the
//! balance is what its entries come to.
//!
//! An hour is billed when it is over, by the first invoice of a period that ends after it. Where no such invoice comes, by a final one.

use super::{
    cover::{cover, owed},
    grant, outlook,
    post::{Held, Movement, UnitAccount, lock},
    settle::{Keys, settle, signed},
};
use crate::{
    Store, StoreError, Ts,
    row::{ReadRow as _, unreadable},
};
use domain::{
    credit::{GrantKind, USUAL_PRIORITY, hour_of},
    id::{CreditGrantId, InvoiceId, PartnerId, SubscriptionId},
    money::Currency,
};
use jiff::Timestamp;
use rust_decimal::Decimal;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// Units of one hour that were used beyond all credit, and what each costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overdrawn {
    /// When the hour began.
    pub hour: Timestamp,
    pub units: u64,
    pub unit_price: Decimal,
}

/// Whether a plan of the partner has ever had an overdraft.
macro_rules! has_overdraft {
    ($partner:literal) => {
        concat!(
            "exists (select from subscriptions s join plan_versions v on v.id = s.plan_version_id
                 where s.partner_id = ",
            $partner,
            " and v.terms #> '{admission,credit,overdraft}' is not null)"
        )
    };
}
pub(crate) use has_overdraft;

/// The invoice that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BilledBy {
    /// The subscription's, of a period that ends then.
    Period(SubscriptionId, Timestamp),
    /// A final one.
    Final(Currency),
}

/// What a plan charges for an hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Price {
    unit_price: Decimal,
    currency: Currency,
    /// When the plan began.
    began_at: Timestamp,
}

impl Store {
    /// Units that the subscription's invoice of a period that ends at `until` bills; what was used until then is booked first.
    ///
    /// Of hours that are over by then. What comes late of earlier plans in the same currency is in it, too.
    pub async fn overdrawn_credit(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Overdrawn>, StoreError> {
        let mut tx = self.begin().await?;
        let due = due(&mut tx, partner, BilledBy::Period(subscription, until), now).await?;
        tx.commit().await?;
        Ok(due)
    }

    /// The same, with the hour that runs, if nothing more were used: for the bill so far. It books nothing, and waits for nobody.
    pub async fn overdrawn_credit_so_far(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Overdrawn>, StoreError> {
        let by = BilledBy::Period(subscription, until);
        let mut tx = self.one_planned_instant().await?;
        if !may_overdraw(&mut tx, partner).await? {
            return Ok(Vec::new());
        }
        let owed = outlook::owed_then(&mut tx, partner, (by.until(), None), now).await?;
        let billed = billed(&mut tx, partner, by, owed).await?;
        tx.commit().await?;
        Ok(billed)
    }

    /// What a final invoice in that currency bills, booked first.
    pub async fn stranded_credit(
        &self,
        partner: PartnerId,
        currency: Currency,
        now: Timestamp,
    ) -> Result<Vec<Overdrawn>, StoreError> {
        let mut tx = self.begin().await?;
        let due = due(&mut tx, partner, BilledBy::Final(currency), now).await?;
        tx.commit().await?;
        Ok(due)
    }
}

/// What is to be billed, of hours that are over and booked. Locks as [`settle`] does, where a plan of the partner has ever had an overdraft.
pub(crate) async fn due(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    by: BilledBy,
    now: Timestamp,
) -> Result<Vec<Overdrawn>, StoreError> {
    if !may_overdraw(tx, partner).await? {
        return Ok(Vec::new());
    }
    // A grant of the hour that runs may still pay for it.
    let until = by.until().min(hour_of(now));
    settle(tx, partner, (until, i64::MAX), now).await?;
    cover(tx, partner, now).await?;
    let mut owed = owed(tx, partner).await?;
    owed.retain(|hour, _| *hour < until);
    billed(tx, partner, by, owed).await
}

/// Units that an invoice will bill if nothing more is used. Grants that begin at `young` or later are left out.
pub(super) async fn lent(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    young: Option<Timestamp>,
    now: Timestamp,
) -> Result<i64, StoreError> {
    if !may_overdraw(tx, partner).await? {
        return Ok(0);
    }
    let owed = outlook::owed_then(tx, partner, (Timestamp::MAX, young), now).await?;
    let prices = prices(tx, partner, owed.keys().copied()).await?;
    let billed = owed.iter().filter(|(hour, _)| prices.contains_key(hour));
    Ok(signed(billed.fold(0, |sum, (_, units)| units.saturating_add(sum))))
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
        // What is taken back of its hours and comes again is its own.
        let own = overdrawn.iter().filter(|one| one.unit_price == unit_price);
        let first = own.map(|one| one.hour).min().unwrap_or(now);
        sqlx::query(
            "insert into credit_grants (partner_id, id, units, reason, granted_at, kind, priority, effective_at, is_invoiced)
             values ($1, $2, $3, 'Used beyond the prepaid units, and billed', $4, $5, $6, $7, true)",
        )
        .bind(partner.0)
        .bind(id.0)
        .bind(units)
        .bind(Ts(now))
        .bind(GrantKind::Paid.code())
        .bind(i16::from(USUAL_PRIORITY))
        .bind(Ts(first))
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
                units: signed(one.units),
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
        let units = signed(one.units);
        match prices.iter_mut().find(|(price, _)| *price == one.unit_price) {
            Some((_, sum)) => *sum = sum.saturating_add(units),
            None => prices.push((one.unit_price, units)),
        }
    }
    prices
}

/// Most partners have no plan that lets them, and wait for nobody.
async fn may_overdraw(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<bool, StoreError> {
    let may = sqlx::query_scalar(concat!("select ", has_overdraft!("$1")));
    Ok(may.bind(partner.0).fetch_one(&mut **tx).await?)
}

/// Which of the units that are owed the invoice bills.
async fn billed(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    by: BilledBy,
    owed: BTreeMap<Timestamp, u64>,
) -> Result<Vec<Overdrawn>, StoreError> {
    if owed.is_empty() {
        return Ok(Vec::new());
    }
    let (currency, began_by) = match by {
        BilledBy::Final(currency) => (currency, Timestamp::MAX),
        BilledBy::Period(subscription, _) => {
            let row = sqlx::query(
                "select s.started_at, v.terms ->> 'currency' as currency
                 from subscriptions s join plan_versions v on v.id = s.plan_version_id where s.partner_id = $1 and s.id = $2",
            )
            .bind(partner.0)
            .bind(subscription.0)
            .fetch_one(&mut **tx)
            .await?;
            (row.parsed("currency")?, row.at("started_at")?)
        }
    };
    let prices = prices(tx, partner, owed.keys().copied()).await?;
    let one = |(hour, units): (Timestamp, u64)| {
        let price = prices.get(&hour).filter(|price| price.currency == currency && price.began_at <= began_by)?;
        Some(Overdrawn { hour, units, unit_price: price.unit_price })
    };
    Ok(owed.into_iter().filter_map(one).collect())
}

impl BilledBy {
    /// Before when the hours begin that it bills: those that are over when its period ends.
    fn until(self) -> Timestamp {
        match self {
            Self::Period(_, until) => hour_of(until),
            Self::Final(_) => Timestamp::MAX,
        }
    }
}

/// Prices of those of the hours in which a plan has one.
pub(super) async fn prices(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    hours: impl Iterator<Item = Timestamp>,
) -> Result<HashMap<Timestamp, Price>, StoreError> {
    let rows = sqlx::query(
        "select asked.hour, p.began_at, p.currency, p.unit_price::text as unit_price
         from unnest($2::timestamptz[]) as asked (hour) cross join lateral credit_overdraft_in($1, asked.hour) as p",
    )
    .bind(partner.0)
    .bind(hours.map(Ts).collect::<Vec<_>>())
    .fetch_all(&mut **tx)
    .await?;
    let one = |row: &PgRow| {
        let text: &str = row.try_get("unit_price")?;
        let unit_price = text.parse().map_err(|error| unreadable("unit_price", error))?;
        let price = Price { unit_price, currency: row.parsed("currency")?, began_at: row.at("began_at")? };
        Ok((row.at("hour")?, price))
    };
    Ok(rows.iter().map(one).collect::<Result<_, sqlx::Error>>()?)
}
