//! Purchases of prepaid units: an invoice each, and a grant from when that is paid.
//!
//! From the invoice on the money is owed to us (`receivable`) and its units to the partner (`credits`); payment makes `cash` of the
//! first, use makes `revenue` of the second. Nobody spends a unit before it is paid: until then there is no grant.

use super::{checkouts, order};
use crate::{InvoiceStatus, Store, StoreError, audit::Actor, partners, row::ReadRow as _};
use domain::{
    credit::package::CreditPackage,
    id::{InvoiceId, PartnerId},
    money::Money,
};
use jiff::Timestamp;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};

/// Purchases of a partner that may wait to be paid.
const MOST_UNPAID: i64 = 20;
/// How many purchases a list has.
const MOST_PURCHASES: i64 = 200;

/// What somebody buys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCreditPurchase {
    /// The package's.
    pub code: String,
    pub quantity: u32,
    /// 1 to 200 characters of the buyer's own: the same one again buys nothing more.
    pub reference: String,
    /// What the buyer takes it to cost, where it says so.
    pub cost: Option<Money>,
}

/// A purchase, and how its invoice stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditPurchase {
    pub invoice: InvoiceId,
    /// The invoice's number.
    pub number: i64,
    pub status: InvoiceStatus,
    /// The package's, as it was sold.
    pub code: String,
    pub package: CreditPackage,
    pub quantity: u32,
    pub units: u64,
    pub cost: Money,
    pub reference: String,
    pub bought_at: Timestamp,
}

impl Store {
    /// Buys packages: an invoice, which is open. The same reference again is the same purchase.
    ///
    /// # Errors
    /// There is no such package for the partner's plan and currency, it costs something else, too many purchases wait to be paid, the
    /// account is suspended, or the reference stands for another purchase.
    pub async fn buy_credit(
        &self,
        partner: PartnerId,
        new: &NewCreditPurchase,
        actor: Actor,
        now: Timestamp,
    ) -> Result<CreditPurchase, StoreError> {
        let mut tx = self.begin().await?;
        // Who buys twice at once waits here.
        let held = partners::lock(&mut tx, partner).await?;
        if held.suspended_at.is_some() && !matches!(actor, Actor::Operator(_)) {
            return Err(StoreError::conflict("package", "The account is suspended; nothing can be bought"));
        }
        if bought(&mut tx, partner, &new.reference).await?.is_none() {
            check_unpaid(&mut tx, partner).await?;
        }
        let purchase = sell(&mut tx, partner, new, actor, now).await?;
        tx.commit().await?;
        Ok(purchase)
    }

    /// Whether the invoice is one for prepaid units.
    pub async fn sold_credit(&self, partner: PartnerId, invoice: InvoiceId) -> Result<bool, StoreError> {
        let sold = sqlx::query_scalar(
            "select exists (select from credit_purchases where partner_id = $1 and invoice_id = $2)",
        );
        Ok(sold.bind(partner.0).bind(invoice.0).fetch_one(self.pool()).await?)
    }

    /// The partner's purchases, the newest first.
    pub async fn credit_purchases(&self, partner: PartnerId) -> Result<Vec<CreditPurchase>, StoreError> {
        let rows = sqlx::query(
            "select p.invoice_id, i.number, i.status, p.code, p.terms, p.quantity, p.units, p.cost_micros, p.currency, p.reference,
                 p.bought_at
             from credit_purchases p join invoices i on i.partner_id = p.partner_id and i.id = p.invoice_id
             where p.partner_id = $1 order by p.bought_at desc, p.id desc limit $2",
        )
        .bind(partner.0)
        .bind(MOST_PURCHASES)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, sqlx::Error>>()?)
    }
}

/// Buys, for a partner whose row is locked.
pub(super) async fn sell(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    new: &NewCreditPurchase,
    actor: Actor,
    now: Timestamp,
) -> Result<CreditPurchase, StoreError> {
    let NewCreditPurchase { code, quantity, reference, .. } = new;
    order::check_form(new)?;
    if let Some(first) = bought(tx, partner, reference).await? {
        return match (&first.code, first.quantity) == (code, *quantity) {
            true => Ok(first),
            false => Err(StoreError::conflict("reference", "Another purchase already has this reference")),
        };
    }
    checkouts::refuse_reference(tx, partner, reference).await?;
    let order = order::check(tx, partner, new).await?;
    order::bill(tx, partner, &order, reference, actor, now).await
}

/// What is not paid waits at the price that it was sold for, and each is an invoice that somebody is sent.
pub(super) async fn check_unpaid(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
) -> Result<(), StoreError> {
    let unpaid: i64 = sqlx::query_scalar(
        "select count(*) from credit_purchases p join invoices i on i.partner_id = p.partner_id and i.id = p.invoice_id
         where p.partner_id = $1 and i.status in ('open', 'sent')",
    )
    .bind(partner.0)
    .fetch_one(&mut **tx)
    .await?;
    if unpaid >= MOST_UNPAID {
        let message = format!("{unpaid} purchases wait to be paid: pay one of them first, or ask for one to be voided");
        return Err(StoreError::conflict("package", message));
    }
    Ok(())
}

/// The purchase that has the reference already.
pub(super) async fn bought(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    reference: &str,
) -> Result<Option<CreditPurchase>, StoreError> {
    let row = sqlx::query(
        "select p.invoice_id, i.number, i.status, p.code, p.terms, p.quantity, p.units, p.cost_micros, p.currency, p.reference,
             p.bought_at
         from credit_purchases p join invoices i on i.partner_id = p.partner_id and i.id = p.invoice_id
         where p.partner_id = $1 and p.reference = $2",
    )
    .bind(partner.0)
    .bind(reference)
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.as_ref().map(read).transpose()?)
}

fn read(row: &PgRow) -> Result<CreditPurchase, sqlx::Error> {
    Ok(CreditPurchase {
        invoice: InvoiceId(row.try_get("invoice_id")?),
        number: row.try_get("number")?,
        status: row.parsed("status")?,
        code: row.try_get("code")?,
        package: row.try_get::<Json<CreditPackage>, _>("terms")?.0,
        quantity: u32::try_from(row.try_get::<i32, _>("quantity")?).unwrap_or(u32::MAX),
        units: row.count("units")?,
        cost: Money::new(row.parsed("currency")?, row.try_get("cost_micros")?),
        reference: row.try_get("reference")?,
        bought_at: row.at("bought_at")?,
    })
}
