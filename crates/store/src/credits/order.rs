//! What somebody buys of prepaid units: checked against plan and offer as they are, and billed as it was ordered.

use super::{CreditPurchase, NewCreditPurchase, post, purchases, settle::signed};
use crate::{
    StoreError, Ts,
    audit::{self, Actor, Entry},
    invoices::{self, BilledAlready, NewInvoice, NewInvoiceLine},
    ledger::LedgerAccount,
    row::ReadRow as _,
};
use domain::{
    credit::package::{CreditPackage, MOST_MICROS, MOST_PACKAGES},
    id::{CreditGrantId, PartnerId, PlanVersionId, SubscriptionId},
    money::{Money, group_thousands},
    period::{Cycle, Period},
    plan::{Collect, PlanTerms},
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::{Postgres, Row as _, Transaction, types::Json};
use uuid::Uuid;

/// How long the time is that an invoice for no period tells.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(1);

/// Packages that a partner may buy, at what they cost when that was checked.
pub(super) struct Order {
    pub subscription: SubscriptionId,
    /// The package's.
    pub code: String,
    pub package: CreditPackage,
    pub quantity: u32,
    pub units: i64,
    pub cost: Money,
}

impl Order {
    /// As it stands on the invoice and on Stripe's page.
    pub fn description(&self) -> String {
        let percent = self.package.percent_off(self.quantity).normalize();
        let off = if percent.is_zero() { String::new() } else { format!(", {percent} % off") };
        let all = group_thousands(self.units.unsigned_abs());
        format!("{} × {}: {all} prepaid units{off}", self.quantity, self.package.name)
    }
}

/// What can be said without looking anything up.
pub(super) fn check_form(new: &NewCreditPurchase) -> Result<(), StoreError> {
    if !(1..=MOST_PACKAGES).contains(&new.quantity) {
        return Err(StoreError::invalid("quantity", "Buy 1 to 10,000 packages"));
    }
    if !(1..=200).contains(&new.reference.chars().count()) {
        return Err(StoreError::invalid("reference", "A reference is 1 to 200 characters"));
    }
    Ok(())
}

/// Whether the partner may buy that now, and what it costs.
pub(super) async fn check(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    new: &NewCreditPurchase,
) -> Result<Order, StoreError> {
    let NewCreditPurchase { code, quantity, cost: expected, .. } = new;
    let terms: Option<Json<CreditPackage>> = sqlx::query_scalar("select terms from credit_packages where code = $1")
        .bind(code)
        .fetch_optional(&mut **tx)
        .await?;
    let package = terms.map(|Json(package)| package).filter(|package| !package.withdrawn);
    let subscription = sqlx::query(
        "select s.id, v.terms, plans.code
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
    Ok(Order {
        subscription: SubscriptionId(subscription.try_get("id")?),
        code: code.clone(),
        package,
        quantity: *quantity,
        units,
        cost,
    })
}

/// Makes the invoice, and owes the units from when it is paid on.
pub(super) async fn bill(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    order: &Order,
    reference: &str,
    actor: Actor,
    now: Timestamp,
) -> Result<CreditPurchase, StoreError> {
    let Order { subscription, code, package, quantity, units, cost } = order;
    let (subscription, cost) = (*subscription, *cost);
    let row = sqlx::query(
        "select s.plan_version_id, s.time_zone, s.anchor, s.started_at, v.terms
         from subscriptions s join plan_versions v on v.id = s.plan_version_id
         where s.partner_id = $1 and s.id = $2",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .fetch_one(&mut **tx)
    .await?;
    let Json(terms): Json<PlanTerms> = row.try_get("terms")?;
    let time_zone: String = row.try_get("time_zone")?;
    let cycle = Cycle { anchor: row.at("anchor")?, interval: terms.interval, time_zone: time_zone.clone() };
    let invoice = NewInvoice {
        plan_version: PlanVersionId(row.try_get("plan_version_id")?),
        time_zone,
        collect: Collect::InvoiceItems,
        total: cost,
        lines: vec![line(order)],
        late: Vec::new(),
        in_advance: false,
        threshold_number: 0,
        billed_before: BilledAlready::default(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    };
    let started_at = row.at_if_any("started_at")?;
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
    .bind(Json(package))
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
    purchases::bought(tx, partner, reference).await?.ok_or(StoreError::NotFound)
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

fn line(order: &Order) -> NewInvoiceLine {
    NewInvoiceLine {
        kind: LineKind::CreditPackage,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: order.description(),
        quantity: order.units,
        free: 0,
        prepaid: 0,
        amount: order.cost,
        teams: Vec::new(),
    }
}
