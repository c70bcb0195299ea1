//! What Stripe holds otherwise than we: what comparisons found, and what an operator decided about it.

mod compare;

pub use compare::{HeldCustomer, StripeComparison};

use crate::{
    Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    page::{Page, Place},
    reconcile::listed::reason,
    row::{ReadRow as _, unreadable},
};
use domain::id::{DriftId, PartnerId};
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::str::FromStr;

/// What kind of thing differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DriftKind {
    Customer,
    Product,
    Price,
    Meter,
    /// Money that went back at Stripe, and that is not taken over or was taken over for nothing; and what was to go back and could not.
    Invoice,
    /// One that a partner has, of a plan that Stripe rates.
    Subscription,
}

/// One field that Stripe holds otherwise than we.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    pub kind: DriftKind,
    /// Our name of it: a partner's identifier, Stripe's name of a product, a price's lookup key, a meter's event name, an invoice's identifier or that of a
    /// page on which something was paid.
    pub object: String,
    /// As Stripe's parameter is called; `object` where all of it is missing.
    pub field: String,
    /// Of customers and invoices only.
    pub partner: Option<PartnerId>,
    /// Empty where Stripe does not have it.
    pub stripe_id: String,
    pub ours: String,
    pub theirs: String,
}

/// What was decided about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriftState {
    Open,
    /// Ours is to be written to Stripe.
    Asked,
    /// It may stand as it is.
    Accepted,
}

/// Which ones; an empty filter shows all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DriftFilter {
    pub state: Option<DriftState>,
    pub kind: Option<DriftKind>,
    pub partner: Option<PartnerId>,
}

/// One of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDrift {
    /// Of these two values: where one changes, it is another.
    pub id: DriftId,
    pub drift: Drift,
    /// Empty where there is no partner.
    pub partner_name: String,
    pub state: DriftState,
    /// Since when the field is known to differ.
    pub first_seen_at: Timestamp,
    pub last_seen_at: Timestamp,
    /// Why it was accepted.
    pub note: String,
    /// Why it was not written; empty where nobody asked, or it is to be tried yet.
    pub problem: String,
}

impl DriftKind {
    pub const ALL: [Self; 6] =
        [Self::Customer, Self::Product, Self::Price, Self::Meter, Self::Invoice, Self::Subscription];

    /// As the table, addresses and the REST API have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Product => "product",
            Self::Price => "price",
            Self::Meter => "meter",
            Self::Invoice => "invoice",
            Self::Subscription => "subscription",
        }
    }
}

impl FromStr for DriftKind {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|kind| kind.code() == text);
        known.ok_or_else(|| {
            StoreError::invalid("kind", "Choose customer, product, price, meter, invoice or subscription")
        })
    }
}

impl DriftState {
    pub const ALL: [Self; 3] = [Self::Open, Self::Asked, Self::Accepted];

    /// As addresses and the REST API have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Asked => "asked",
            Self::Accepted => "accepted",
        }
    }
}

impl FromStr for DriftState {
    type Err = StoreError;
    fn from_str(text: &str) -> Result<Self, StoreError> {
        let known = Self::ALL.into_iter().find(|state| state.code() == text);
        known.ok_or_else(|| StoreError::invalid("state", "Choose open, asked or accepted"))
    }
}

/// The rows with a name of their own: key and values make it.
macro_rules! listed {
    ($rest:literal) => {
        concat!(
            "select * from (
                 select d.*, coalesce(p.name, '') as partner_name,
                     case when d.accepted_at is not null then 'accepted' when d.asked_at is not null then 'asked' else 'open' end as state,
                     md5(jsonb_build_array(d.kind, d.object, d.field, d.ours, d.theirs)::text)::uuid as id
                 from stripe_drift d left join partners p on p.id = d.partner_id
             ) as d ",
            $rest
        )
    };
}

impl Store {
    /// What differs, the newest first; `after` is the previous page's `next`.
    pub async fn all_partners_stripe_drift(
        &self,
        filter: &DriftFilter,
        after: Option<&str>,
        size: u32,
    ) -> Result<Page<ListedDrift>, StoreError> {
        let after = after.map(Place::read).transpose()?;
        let rows = sqlx::query(listed!(
            "where ($1::text is null or d.state = $1) and ($2::text is null or d.kind = $2)
                 and ($3::uuid is null or d.partner_id = $3) and ($4::timestamptz is null or (d.first_seen_at, d.id) < ($4, $5::uuid))
             order by d.first_seen_at desc, d.id desc limit $6"
        ))
        .bind(filter.state.map(DriftState::code))
        .bind(filter.kind.map(DriftKind::code))
        .bind(filter.partner.map(|partner| partner.0))
        .bind(after.map(|place| Ts(place.at)))
        .bind(after.map(|place| place.id))
        .bind(Page::<()>::rows(size))
        .fetch_all(self.pool())
        .await?;
        let found = rows.iter().map(read_listed).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(found, size, |one| Place { at: one.first_seen_at, id: one.id.0 }.text()))
    }

    /// Has ours written to Stripe by the next run. `NotFound` where the two values are others by now, or it was asked before.
    pub async fn ask_to_write_stripe_drift(&self, id: DriftId, actor: Actor, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.begin().await?;
        let drift = lock(&mut tx, id).await?;
        let done = sqlx::query(
            "update stripe_drift set asked_at = $4, accepted_at = null, note = '', problem = ''
             where kind = $1 and object = $2 and field = $3 and asked_at is null",
        )
        .bind(drift.kind.code())
        .bind(&drift.object)
        .bind(&drift.field)
        .bind(Ts(now))
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::NotFound);
        }
        let subject = id.to_string();
        let entry = Entry::new(actor, drift.partner, "stripe_drift.write", &subject)
            .before(drift.told(&drift.theirs))
            .after(drift.told(&drift.ours));
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Lets Stripe's value stand, on record. `NotFound` where the two values are others by now, or somebody decided before.
    pub async fn accept_stripe_drift(
        &self,
        id: DriftId,
        note: &str,
        actor: Actor,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let note = reason(note)?;
        let mut tx = self.begin().await?;
        let drift = lock(&mut tx, id).await?;
        let done = sqlx::query(
            "update stripe_drift set accepted_at = $4, note = $5, problem = ''
             where kind = $1 and object = $2 and field = $3 and asked_at is null and accepted_at is null",
        )
        .bind(drift.kind.code())
        .bind(&drift.object)
        .bind(&drift.field)
        .bind(Ts(now))
        .bind(note)
        .execute(&mut *tx)
        .await?;
        if done.rows_affected() != 1 {
            return Err(StoreError::NotFound);
        }
        let subject = id.to_string();
        let mut after = drift.told(&drift.theirs);
        after["note"] = json!(note);
        let entry = Entry::new(actor, drift.partner, "stripe_drift.accept", &subject)
            .before(drift.told(&drift.ours))
            .after(after);
        audit::append(&mut tx, entry, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

impl Drift {
    /// For the audit log.
    fn told(&self, value: &str) -> Value {
        json!({ "kind": self.kind.code(), "object": self.object, "field": self.field, "stripe_id": self.stripe_id, "value": value })
    }
}

/// The row of these two values, locked.
async fn lock(tx: &mut PgConnection, id: DriftId) -> Result<Drift, StoreError> {
    let row = sqlx::query(
        "select * from stripe_drift d
         where md5(jsonb_build_array(d.kind, d.object, d.field, d.ours, d.theirs)::text)::uuid = $1 for update",
    )
    .bind(id.0)
    .fetch_optional(tx)
    .await?
    .ok_or(StoreError::NotFound)?;
    Ok(read(&row)?)
}

fn read(row: &PgRow) -> Result<Drift, sqlx::Error> {
    let code: &str = row.try_get("kind")?;
    Ok(Drift {
        kind: code.parse().map_err(|error: StoreError| unreadable("kind", error))?,
        object: row.try_get("object")?,
        field: row.try_get("field")?,
        partner: row.try_get::<Option<uuid::Uuid>, _>("partner_id")?.map(PartnerId),
        stripe_id: row.try_get("stripe_id")?,
        ours: row.try_get("ours")?,
        theirs: row.try_get("theirs")?,
    })
}

fn read_listed(row: &PgRow) -> Result<ListedDrift, sqlx::Error> {
    let state: &str = row.try_get("state")?;
    Ok(ListedDrift {
        id: DriftId(row.try_get("id")?),
        drift: read(row)?,
        partner_name: row.try_get("partner_name")?,
        state: state.parse().map_err(|error: StoreError| unreadable("state", error))?,
        first_seen_at: row.at("first_seen_at")?,
        last_seen_at: row.at("last_seen_at")?,
        note: row.try_get("note")?,
        problem: row.try_get("problem")?,
    })
}

#[cfg(test)]
mod tests;
