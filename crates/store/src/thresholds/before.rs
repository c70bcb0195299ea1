//! What the threshold invoices of a stretch come to, for the invoices after them.

use crate::{Invoice, Store, StoreError, Ts, invoices, row::ReadRow as _};
use domain::{
    id::{InvoiceId, PartnerId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use uuid::Uuid;

/// A threshold invoice of a stretch, as the invoices after it see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BilledBefore {
    pub invoice: InvoiceId,
    /// The invoice's number.
    pub number: i64,
    /// Which of the stretch it is, from 1 on.
    pub threshold_number: u32,
    pub period: Period,
    pub total: Money,
    /// What the stretch came to when it was cut: the total, and what the invoice took off as billed before.
    pub rated: Money,
    /// What credit notes took off it, here or at Stripe.
    pub credited: Money,
    /// Then it has billed nothing, and the next one bills that.
    pub is_void: bool,
}

impl BilledBefore {
    /// `TP-000042`
    pub fn code(&self) -> String {
        Invoice::code_of(self.number)
    }

    /// What the invoices after it take off: what it billed, or of a void one what was credited, which the partner keeps.
    pub const fn taken_off(&self) -> Money {
        if self.is_void { self.credited } else { self.total }
    }
}

impl Store {
    /// The threshold invoices of the stretch that begins then, the first of them first, void ones included.
    pub async fn billed_before(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        start: Timestamp,
    ) -> Result<Vec<BilledBefore>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        before(&mut connection, partner, subscription, start).await
    }
}

/// The invoices among them that have billed something.
pub(super) fn standing(before: &[BilledBefore]) -> Vec<InvoiceId> {
    before.iter().filter(|one| !one.is_void).map(|one| one.invoice).collect()
}

/// As [`Store::billed_before`], in a transaction that holds the subscription: none of them becomes void until it ends, and on those that
/// are void nothing is credited any more.
pub(crate) async fn hold_before(
    tx: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
    start: Timestamp,
) -> Result<Vec<BilledBefore>, StoreError> {
    let held = sqlx::query(
        "select from invoices where partner_id = $1 and subscription_id = $2 and period_start = $3 and threshold_number > 0
         order by threshold_number for no key update",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .bind(Ts(start))
    .fetch_all(&mut *tx)
    .await?;
    // Whoever makes one holds the subscription.
    if held.is_empty() {
        return Ok(Vec::new());
    }
    before(tx, partner, subscription, start).await
}

async fn before(
    connection: &mut PgConnection,
    partner: PartnerId,
    subscription: SubscriptionId,
    start: Timestamp,
) -> Result<Vec<BilledBefore>, StoreError> {
    let rows = sqlx::query(
        "select i.id, i.number, i.threshold_number, i.period_start, i.period_end, i.currency, i.total_micros, i.status = 'void' as is_void,
             (select coalesce(-sum(l.amount_micros), 0)::bigint from invoice_lines l
                 where l.partner_id = i.partner_id and l.invoice_id = i.id and l.kind = 'billed_before') as taken_off_micros,
             (select coalesce(sum(c.total_micros), 0)::bigint from credit_notes c
                 where c.partner_id = i.partner_id and c.invoice_id = i.id and c.kind = 'credit' and c.state = 'issued')
             + (select coalesce(sum(r.amount_micros), 0)::bigint from stripe_returns r
                 where r.partner_id = i.partner_id and r.invoice_id = i.id and r.is_carried) as credited_micros
         from invoices i
         where i.partner_id = $1 and i.subscription_id = $2 and i.period_start = $3 and i.threshold_number > 0
         order by i.threshold_number",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .bind(Ts(start))
    .fetch_all(connection)
    .await?;
    let one = |row: &PgRow| {
        let currency: Currency = row.parsed("currency")?;
        let (total, taken_off): (i64, i64) = (row.try_get("total_micros")?, row.try_get("taken_off_micros")?);
        Ok(BilledBefore {
            invoice: InvoiceId(row.try_get::<Uuid, _>("id")?),
            number: row.try_get("number")?,
            threshold_number: invoices::read_threshold_number(row)?,
            period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
            total: Money::new(currency, total),
            rated: Money::new(currency, total.saturating_add(taken_off)),
            credited: Money::new(currency, row.try_get("credited_micros")?),
            is_void: row.try_get("is_void")?,
        })
    };
    Ok(rows.iter().map(one).collect::<Result<_, sqlx::Error>>()?)
}
