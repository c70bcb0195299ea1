//! Purchases of prepaid units: an invoice each, and a grant from when that is paid.
//!
//! From the invoice on the money is owed to us (`receivable`) and its units to the partner (`credits`); payment makes `cash` of the
//! first, use makes `revenue` of the second. Nobody spends a unit before it is paid: until then there is no grant.

use super::{post, settle::signed};
use crate::{
    InvoiceStatus, Store, StoreError, Ts,
    audit::{self, Actor, Entry},
    invoices::{self, NewInvoice, NewInvoiceLine},
    ledger::LedgerAccount,
    partners,
    row::ReadRow as _,
};
use domain::{
    credit::package::{CreditPackage, MOST_MICROS, MOST_PACKAGES},
    id::{CreditGrantId, InvoiceId, PartnerId, PlanVersionId, SubscriptionId},
    money::{Money, group_thousands},
    period::{Cycle, Period},
    plan::{Collect, PlanTerms},
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use uuid::Uuid;

/// How long the time is that an invoice for no period tells.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(1);
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
    let NewCreditPurchase { code, quantity, reference, cost: expected } = new;
    if !(1..=MOST_PACKAGES).contains(quantity) {
        return Err(StoreError::invalid("quantity", "Buy 1 to 10,000 packages"));
    }
    if !(1..=200).contains(&reference.chars().count()) {
        return Err(StoreError::invalid("reference", "A reference is 1 to 200 characters"));
    }
    if let Some(first) = bought(tx, partner, reference).await? {
        return match (&first.code, first.quantity) == (code, *quantity) {
            true => Ok(first),
            false => Err(StoreError::conflict("reference", "Another purchase already has this reference")),
        };
    }
    let terms: Option<Json<CreditPackage>> = sqlx::query_scalar("select terms from credit_packages where code = $1")
        .bind(code)
        .fetch_optional(&mut **tx)
        .await?;
    let package = terms.map(|Json(package)| package).filter(|package| !package.withdrawn);
    let subscription = sqlx::query(
        "select s.id, s.plan_version_id, s.time_zone, s.anchor, s.started_at, v.terms, plans.code
         from subscriptions s join plan_versions v on v.id = s.plan_version_id join plans on plans.id = v.plan_id
         where s.partner_id = $1 and s.status = 'active'",
    )
    .bind(partner.0)
    .fetch_optional(&mut **tx)
    .await?;
    let subscription = subscription.ok_or_else(|| StoreError::conflict("package", "Choose a plan first"))?;
    let Json(terms): Json<PlanTerms> = subscription.try_get("terms")?;
    if !terms.admission.credit.required {
        return Err(StoreError::conflict(
            "package",
            "The plan takes no prepaid units: calls would be billed all the same",
        ));
    }
    // One answer: what is sold with other plans is nobody's business.
    let plan: &str = subscription.try_get("code")?;
    let package = package.filter(|package| package.is_sold_to(plan, terms.currency));
    let package = package.ok_or_else(|| StoreError::conflict("package", "No such package is sold with this plan"))?;
    let too_large = |_| StoreError::invalid("quantity", "Buy fewer at once");
    let cost = package.cost(*quantity).map_err(too_large)?;
    let units = signed(package.units_of(*quantity).map_err(too_large)?);
    if !(1..=MOST_MICROS).contains(&cost.micros) {
        return Err(StoreError::invalid("quantity", format!("So many cost {cost}: buy another number of them")));
    }
    if expected.is_some_and(|expected| expected != cost) {
        return Err(StoreError::conflict("cost", format!("It costs {cost}: the offer is another one by now")));
    }
    let time_zone: String = subscription.try_get("time_zone")?;
    let cycle = Cycle { anchor: subscription.at("anchor")?, interval: terms.interval, time_zone: time_zone.clone() };
    let invoice = NewInvoice {
        plan_version: PlanVersionId(subscription.try_get("plan_version_id")?),
        time_zone,
        collect: Collect::InvoiceItems,
        total: cost,
        lines: vec![line(&package, *quantity, units, cost)],
        late: Vec::new(),
        in_advance: false,
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    };
    let started_at = subscription.at_if_any("started_at")?;
    let subscription = SubscriptionId(subscription.try_get("id")?);
    let start = own_instant(tx, subscription, (&cycle, started_at), now).await?;
    let at_once = Period { start, end: start.saturating_add(A_MOMENT).unwrap_or(start) };
    let id = invoices::stand_alone(tx, partner, subscription, at_once, invoice, now).await?;
    let grant = CreditGrantId(Uuid::now_v7());
    let owed = [(LedgerAccount::Receivable, cost), (LedgerAccount::Credits, Money { micros: -cost.micros, ..cost })];
    post::book_money(tx, partner, (&id.to_string(), "Invoice for prepaid credit", grant), &owed, now).await?;
    sqlx::query(
        "insert into credit_purchases (partner_id, id, code, terms, quantity, units, cost_micros, currency, reference, invoice_id,
             grant_id, bought_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(partner.0)
    .bind(Uuid::now_v7())
    .bind(code)
    .bind(Json(&package))
    .bind(i32::try_from(*quantity).unwrap_or(i32::MAX))
    .bind(units)
    .bind(cost.micros)
    .bind(cost.currency.code())
    .bind(reference)
    .bind(id.0)
    .bind(grant.0)
    .bind(Ts(now))
    .execute(&mut **tx)
    .await?;
    let subject = id.to_string();
    let after = json!({
        "package": code, "quantity": quantity, "units": units, "cost": cost.to_string(), "reference": reference,
    });
    audit::append(tx, Entry::new(actor, partner, "credit.buy", &subject).after(after), now).await?;
    bought(tx, partner, reference).await?.ok_or(StoreError::NotFound)
}

/// What is not paid waits at the price that it was sold for, and each is an invoice that somebody is sent.
async fn check_unpaid(tx: &mut Transaction<'static, Postgres>, partner: PartnerId) -> Result<(), StoreError> {
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

/// From now on the first instant at which neither a period of the subscription nor another invoice of it begins: there is one invoice from
/// each instant on, and that of a period is the period's.
async fn own_instant(
    tx: &mut Transaction<'static, Postgres>,
    subscription: SubscriptionId,
    (cycle, started_at): (&Cycle, Option<Timestamp>),
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    let mut micros = now.as_microsecond();
    loop {
        let at = Timestamp::from_microsecond(micros).unwrap_or(now);
        let begins = started_at == Some(at) || cycle.period_at(at).is_ok_and(|period| period.start == at);
        let is_taken: bool =
            sqlx::query_scalar("select exists (select from invoices where subscription_id = $1 and period_start = $2)")
                .bind(subscription.0)
                .bind(Ts(at))
                .fetch_one(&mut **tx)
                .await?;
        if !begins && !is_taken {
            return Ok(at);
        }
        micros += 1;
    }
}

/// The purchase that has the reference already.
async fn bought(
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

fn line(package: &CreditPackage, quantity: u32, units: i64, cost: Money) -> NewInvoiceLine {
    let percent = package.percent_off(quantity).normalize();
    let off = if percent.is_zero() { String::new() } else { format!(", {percent} % off") };
    let all = group_thousands(units.unsigned_abs());
    NewInvoiceLine {
        kind: LineKind::CreditPackage,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: format!("{quantity} × {}: {all} prepaid units{off}", package.name),
        quantity: units,
        free: 0,
        prepaid: 0,
        amount: cost,
    }
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
