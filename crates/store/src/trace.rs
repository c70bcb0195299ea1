//! The way of single calls, from the event to the invoice line: for whoever asks after one.

mod call;
mod changed;
mod invoiced;

pub use changed::{TracedCorrection, TracedLateCall};
pub use invoiced::{TracedInvoice, TracedLine};

use crate::{
    Store, StoreError,
    ingest::{StoredSeal, signed},
    outside::NODE,
    row::ReadRow as _,
    usage::Place,
};
use domain::{
    credit::allocation::Holder,
    id::{AllocationId, OperationId, PartnerId, ProductId},
    key_text::Environment,
    period::Period,
};
use invoiced::Counted;
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

/// Calls that are told of one request id. There is one, unless somebody sends ids of their own twice.
pub const MOST: i64 = 20;

/// A call as it is stored, and what was made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedCall {
    pub partner: PartnerId,
    /// Its name where it has no code; empty where the partner is not known.
    pub partner_code: String,
    pub at: Timestamp,
    /// Who told it, where that was no gateway of ours: then it has no log, lane or seal.
    pub source: Option<String>,
    pub node: String,
    pub lane: u16,
    pub sequence: u64,
    pub environment: Environment,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub outcome: String,
    pub units: u64,
    /// Of those, the units that were paid with credit.
    pub credits: u64,
    /// What of the credit an app or a team had for itself.
    pub allocation: Option<TracedAllocation>,
    pub product_code: String,
    pub operation_code: String,
    product: Option<ProductId>,
    operation: Option<OperationId>,
    /// Records of its lane that are stored.
    pub stored_to: u64,
    /// The seal that covers it.
    pub seal: Option<StoredSeal>,
    /// Its hour, and the calls and units of the same kind that the roll-up has there.
    pub hour: Timestamp,
    pub hour_calls: u64,
    pub hour_units: u64,
    pub billing: Option<TracedBilling>,
    /// Threshold invoices of its period that end after it, the first of them first; the invoice at the period's end takes them off. A call
    /// that came after one was made is on none before the next.
    pub thresholds: Vec<TracedInvoice>,
    /// What corrections did to it, in the order in which they did.
    pub corrections: Vec<TracedCorrection>,
    /// Where its period was closed when it came.
    pub late: Option<TracedLateCall>,
}

/// Whose own units paid for a call, or units for calls of which products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedAllocation {
    pub id: AllocationId,
    /// `None` where only calls of some products spend them.
    pub of: Option<Holder>,
    /// The app's or the team's, or the products'; empty where it is not known.
    pub name: String,
    pub units: u64,
}

impl TracedCall {
    /// How many calls and units the sums have of it.
    pub fn counted(&self) -> (u64, u64) {
        let in_place = self.corrections.iter().filter(|one| one.in_place);
        let (calls, units) = in_place.fold((1_i64, signed(self.units)), |(calls, units), one| {
            (calls.saturating_add(one.calls), units.saturating_add(one.units))
        });
        (u64::try_from(calls).unwrap_or(0), u64::try_from(units).unwrap_or(0))
    }

    /// Why no invoice has it; `None` where one has, or will have.
    pub fn unbilled(&self) -> Option<Unbilled> {
        if self.environment == Environment::Test {
            return Some(Unbilled::TestKey);
        }
        if self.units == 0 && self.counted().1 == 0 {
            return Some(if self.outcome == "refused" { Unbilled::Refused } else { Unbilled::NoUnits });
        }
        if self.counted().1 == 0 {
            return Some(Unbilled::TakenBack);
        }
        self.billing.is_none().then_some(Unbilled::NoSubscription)
    }
}

/// Why a call is on no invoice, and never will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unbilled {
    /// A test key made it.
    TestKey,
    /// It was refused, at no price.
    Refused,
    /// It has no units: the API failed, or what it did costs nothing.
    NoUnits,
    /// A correction took its units back before its period was closed.
    TakenBack,
    /// The partner had no subscription then.
    NoSubscription,
}

impl Unbilled {
    pub const fn code(self) -> &'static str {
        match self {
            Self::TestKey => "test_key",
            Self::Refused => "refused",
            Self::NoUnits => "no_units",
            Self::TakenBack => "taken_back",
            Self::NoSubscription => "no_subscription",
        }
    }
}

/// What came too late for its period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracedLate {
    pub partner: PartnerId,
    /// Who told it.
    pub source: String,
    pub at: Timestamp,
    /// Below zero where it takes some back.
    pub units: i64,
    /// The invoice that has it; `None` until there is one.
    pub invoice: Option<TracedInvoice>,
    /// What corrections did to it later.
    pub corrections: Vec<TracedCorrection>,
}

/// The stretch of a subscription that a call falls in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TracedBilling {
    /// It is not closed yet.
    Open {
        /// Since when the subscription runs.
        since: Timestamp,
        /// What the next invoice of it is for, as it stands: a change of plan may end it earlier.
        stretch: Period,
    },
    Closed {
        stretch: Period,
        /// `None` where nothing was owed.
        invoice: Option<TracedInvoice>,
    },
}

impl Store {
    /// Calls with that request id, of every partner or of the one that is named, the oldest first and 20 at most.
    pub async fn all_partners_trace(
        &self,
        request_id: &str,
        of: Option<PartnerId>,
    ) -> Result<Vec<TracedCall>, StoreError> {
        let mut tx = self.begin().await?;
        let mut calls = call::by_request_id(&mut tx, request_id, of, MOST).await?;
        for call in &mut calls {
            follow(&mut tx, call).await?;
        }
        tx.commit().await?;
        Ok(calls)
    }

    /// The partner's one call at this place.
    ///
    /// # Errors
    /// Not found where the partner has no call there, whoever else has.
    pub async fn trace_at(&self, partner: PartnerId, place: &Place) -> Result<TracedCall, StoreError> {
        let mut tx = self.begin().await?;
        let mut call = call::at(&mut tx, partner, place).await?;
        follow(&mut tx, &mut call).await?;
        tx.commit().await?;
        Ok(call)
    }

    /// What others told us with that id after its period was closed, of every partner or of the one that is named, 20 at most: it is owed
    /// with a later invoice.
    pub async fn all_partners_late(&self, id: &str, of: Option<PartnerId>) -> Result<Vec<TracedLate>, StoreError> {
        let mut tx = self.begin().await?;
        let rows = sqlx::query(
            "select partner_id, sequence, source, at, units, product_id, operation_id, invoice_id from usage_adjustments
             where id = $1 and ($3::uuid is null or partner_id = $3) and node is null and correction_id is null
             order by at limit $2",
        )
        .bind(id)
        .bind(MOST)
        .bind(of.map(|partner| partner.0))
        .fetch_all(&mut *tx)
        .await?;
        let mut late = Vec::with_capacity(rows.len());
        for row in &rows {
            let (partner, at) = (PartnerId(row.try_get("partner_id")?), row.at("at")?);
            let sequence = row.try_get("sequence")?;
            let standing = changed::Standing { partner, at, node: NODE, lane: 0, sequence };
            let of = (row.try_get::<Option<Uuid>, _>("product_id")?, row.try_get::<Option<Uuid>, _>("operation_id")?);
            let of = (of.0.map(ProductId), of.1.map(OperationId));
            let invoice = match row.try_get::<Option<Uuid>, _>("invoice_id")? {
                Some(id) => Some(invoiced::on(&mut tx, partner, id, Counted::Adjusted, of).await?),
                None => None,
            };
            late.push(TracedLate {
                partner,
                source: row.try_get("source")?,
                at,
                units: row.try_get("units")?,
                invoice,
                corrections: changed::corrections(&mut tx, &standing, of).await?,
            });
        }
        tx.commit().await?;
        Ok(late)
    }
}

/// What was made of a call.
async fn follow(tx: &mut PgConnection, call: &mut TracedCall) -> Result<(), StoreError> {
    let of = (call.product, call.operation);
    let standing = changed::Standing {
        partner: call.partner,
        at: call.at,
        node: &call.node,
        lane: i32::from(call.lane),
        sequence: signed(call.sequence),
    };
    let corrections = changed::corrections(tx, &standing, of).await?;
    let can_be_late = call.environment == Environment::Live && call.units > 0;
    let late = match can_be_late {
        true => changed::late_call(tx, &standing, of).await?,
        false => None,
    };
    (call.corrections, call.late) = (corrections, late);
    if call.environment != Environment::Live {
        return Ok(());
    }
    call.thresholds = invoiced::thresholds(tx, call.partner, call.at, of, MOST).await?;
    call.billing = invoiced::billing(tx, call.partner, call.at, of).await?;
    Ok(())
}
