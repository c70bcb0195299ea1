//! Invoices: ours first. Lines never change; the status follows what happens at Stripe and only moves forward.

use crate::{
    CouponsTaken, GivenBack, Overdrawn, Store, StoreError, Ts, advance_fees, coupons,
    ledger::{self, LedgerAccount},
    outside,
    page::Page,
    row::{ReadRow as _, unreadable},
};
use domain::{
    id::{InvoiceId, OperationId, PartnerId, PlanVersionId, ProductId, SubscriptionId},
    money::{Currency, Money},
    period::Period,
    plan::Collect,
    policy::Policy,
    rating::LineKind,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sqlx::{Postgres, Row as _, Transaction, postgres::PgRow, types::Json};
use std::collections::BTreeSet;
use uuid::Uuid;

/// What is owed for one stretch of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invoice {
    pub id: InvoiceId,
    pub partner: PartnerId,
    pub partner_name: String,
    /// Counts up over all partners, without a hole.
    pub number: i64,
    pub subscription: SubscriptionId,
    pub plan_version: PlanVersionId,
    pub plan_name: String,
    pub period: Period,
    /// IANA name: the zone in which the period is shown.
    pub time_zone: String,
    pub total: Money,
    /// What Stripe Tax computed on it, which comes on top of the total; `None` where Stripe computes none, or has not said yet.
    pub tax: Option<Money>,
    pub status: InvoiceStatus,
    pub collect: Collect,
    /// Who has taken it; `None` where nobody has.
    pub collected_by: Option<Collector>,
    /// Why Stripe does not hold it as it should, for the operator.
    pub push_problem: Option<String>,
    /// Which calls of its products counted, as the rules were when the period was closed. Empty on invoices made before this was
    /// kept, and where there is no usage.
    pub counting: Vec<CountingNote>,
    /// Made after the last period of the subscription, for usage of closed periods that came or was corrected later: no other
    /// follows it by itself.
    pub is_final: bool,
    /// For no period: what it bills was bought by itself, as prepaid units are.
    pub stands_alone: bool,
    /// Which threshold invoice of its period it is, from 1 on: it bills what was used until its `period` ends, and is taken off the
    /// invoices after it. 0 where it is none.
    pub threshold_number: u32,
    /// When it is due; `None` until somebody collects it.
    pub due_at: Option<Timestamp>,
    /// Stripe's page on which it is paid.
    pub pay_url: Option<String>,
    /// How often Stripe tried to collect it in vain.
    pub failed_payments: u64,
    /// When Stripe tries again.
    pub next_payment_at: Option<Timestamp>,
    /// Why it is disputed, while it is: it has no consequence meanwhile.
    pub dispute_reason: Option<String>,
    pub created_at: Timestamp,
}

/// A product's rule in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountingNote {
    /// The product's name.
    pub product: String,
    /// As [`domain::policy::Counting::sentence`] told it.
    pub rule: String,
}

/// A line of an invoice, as it was when the period was closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// Counts from zero.
    pub position: i32,
    pub kind: LineKind,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// The product's code, for usage.
    pub product_code: Option<String>,
    /// The operation's code, for usage.
    pub operation_code: Option<String>,
    pub description: String,
    /// Units, for usage; 1 for a fee or credit. Below zero where an adjustment takes units back.
    pub quantity: i64,
    /// Of those, how many were free.
    pub free: u64,
    /// Of those, how many prepaid credit paid: they cost nothing here. Zero on lines from before this was kept.
    pub prepaid: u64,
    /// The meter's code, for meters; `None` on lines of long ago.
    pub meter: Option<String>,
    /// In whole coins of the currency.
    pub amount: Money,
    /// What each team's part of it is, which add up to it; that of no team is the last. Empty where none of it is a team's, and where
    /// nobody can say.
    pub teams: Vec<LineTeam>,
}

/// An invoice as it is closed.
#[derive(Debug, Clone)]
pub struct NewInvoice {
    pub plan_version: PlanVersionId,
    pub time_zone: String,
    pub collect: Collect,
    pub total: Money,
    pub lines: Vec<NewInvoiceLine>,
    /// The late units that it bills ([`Store::late_units`]).
    pub late: Vec<i64>,
    /// For a fee that is billed when its period begins; another of the same period follows for what is used.
    pub in_advance: bool,
    /// From 1 on where it is a threshold invoice of its stretch; else 0.
    pub threshold_number: u32,
    /// The threshold invoices that it takes off, and what they are compared with.
    pub billed_before: BilledAlready,
    /// The fees that it gives back in part ([`Store::unused_fees`]).
    pub given_back: Vec<GivenBack>,
    /// Units beyond all credit that it bills ([`Store::overdrawn_credit`]).
    pub overdrawn: Vec<Overdrawn>,
    /// What coupons take off it ([`Store::coupons_of_bill`]); `None` where none can count.
    pub coupons: Option<CouponsTaken>,
}

/// What of its stretch was billed before an invoice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BilledAlready {
    /// The threshold invoices that stand.
    pub invoices: Vec<InvoiceId>,
    /// What the usage of the stretch costs by now with all that lowers it, in micro-units of the invoice's currency; `0` where there was no
    /// threshold invoice before.
    pub usage_micros: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewInvoiceLine {
    pub kind: LineKind,
    pub product: Option<ProductId>,
    pub operation: Option<OperationId>,
    /// The code of the meter that it is for, which is compared later with what was measured.
    pub meter: Option<String>,
    /// How many calls it counts, for meters.
    pub calls: Option<u64>,
    pub description: String,
    /// Below zero where an adjustment takes units back.
    pub quantity: i64,
    pub free: u64,
    /// Of the quantity, how many units prepaid credit paid.
    pub prepaid: u64,
    pub amount: Money,
    /// Its parts, which add up to it; empty where none of it is a team's.
    #[serde(default)]
    pub teams: Vec<LineTeam>,
}

macro_rules! invoices {
    ($rest:expr) => {
        concat!(
            "select i.id, i.partner_id, p.name as partner_name, i.number, i.subscription_id, i.plan_version_id,
                 plans.name as plan_name, i.period_start, i.period_end, i.time_zone, i.currency, i.total_micros, i.status,
                 i.collect, i.collected_by, i.push_problem, i.counting, i.is_final, i.stands_alone, i.threshold_number,
                 i.created_at, i.due_at, i.pay_url, i.failed_payments::bigint,
                 i.next_payment_at, i.dispute_reason, i.tax_micros
             from invoices i
             join partners p on p.id = i.partner_id
             join plan_versions v on v.id = i.plan_version_id
             join plans on plans.id = v.plan_id ",
            $rest
        )
    };
}

mod by_team;
mod collected;
mod many;
mod status;

pub use by_team::LineTeam;
pub use collected::{Collector, LeftBehind};
pub use many::WithLines;
pub use status::InvoiceStatus;
pub(crate) use status::{become_void, move_to};

impl Invoice {
    /// `TP-000042`: the number as people write it.
    pub fn code(&self) -> String {
        Self::code_of(self.number)
    }

    /// What is to be paid where Stripe computes a tax.
    pub fn total_with_tax(&self) -> Option<Money> {
        let tax = self.tax?;
        Some(Money { micros: self.total.micros.saturating_add(tax.micros), ..tax })
    }

    pub(crate) fn code_of(number: i64) -> String {
        format!("TP-{number:06}")
    }
}

impl Store {
    /// The partner's invoices, newest first.
    pub async fn invoices(&self, partner: PartnerId) -> Result<Vec<Invoice>, StoreError> {
        let rows = sqlx::query(invoices!("where i.partner_id = $1 order by i.period_end desc, i.number desc"))
            .bind(partner.0)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// One invoice of the partner with its lines.
    pub async fn invoice(
        &self,
        partner: PartnerId,
        invoice: InvoiceId,
    ) -> Result<(Invoice, Vec<InvoiceLine>), StoreError> {
        let row = sqlx::query(invoices!("where i.partner_id = $1 and i.id = $2"))
            .bind(partner.0)
            .bind(invoice.0)
            .fetch_one(self.pool())
            .await?;
        let invoice_row = read(&row)?;
        let rows = sqlx::query(
            "select l.position, l.kind, l.product_id, l.operation_id, p.code as product_code, o.code as operation_code,
                 l.description, l.quantity, l.free, l.meter, l.amount_micros,
                 coalesce(abs(l.prepaid), 0) as prepaid
             from invoice_lines l left join products p on p.id = l.product_id left join operations o on o.id = l.operation_id
             where l.partner_id = $1 and l.invoice_id = $2 order by l.position",
        )
        .bind(partner.0)
        .bind(invoice.0)
        .fetch_all(self.pool())
        .await?;
        let currency = invoice_row.total.currency;
        let lines = rows.iter().map(|row| read_line(row, currency)).collect::<Result<Vec<_>, _>>()?;
        let mut all = [(invoice_row, lines)];
        by_team::add(self.pool(), &mut all).await?;
        let [with_lines] = all;
        Ok(with_lines)
    }

    /// All invoices, newest first, for the operator; `after` is the `next` of the page before.
    pub async fn all_partners_invoices(&self, after: Option<&str>, size: u32) -> Result<Page<Invoice>, StoreError> {
        let before = match after {
            None => i64::MAX,
            Some(text) => text.parse().map_err(|_| StoreError::invalid("after", "This is not a place in the list"))?,
        };
        let rows = sqlx::query(invoices!("where i.number < $1 order by i.number desc limit $2"))
            .bind(before)
            .bind(Page::<Invoice>::rows(size))
            .fetch_all(self.pool())
            .await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, size, |invoice| invoice.number.to_string()))
    }

    /// Invoices that Stripe has to get: those that it has taken, and where `takes_new` those that nobody has. First those whose usage its
    /// meters still take, for so long after a period's end; of either kind longest unseen first, so that one with a problem does not hold up the
    /// others.
    pub async fn all_partners_invoices_to_push(
        &self,
        takes_new: bool,
        now: Timestamp,
        meters_open: SignedDuration,
        at_most: u32,
    ) -> Result<Vec<Invoice>, StoreError> {
        let rows = sqlx::query(invoices!(
            "where i.status = 'open' and (i.collected_by = 'stripe' or $1 and i.collected_by is null)
             order by (i.collect = 'meter_events' and i.period_end > $3) desc, i.updated_at, i.number limit $2"
        ))
        .bind(takes_new)
        .bind(i64::from(at_most))
        .bind(Ts(now.checked_sub(meters_open).unwrap_or(Timestamp::MIN)))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Invoices that Stripe has taken and refused and that were paid elsewhere, of which it is to be told; longest unseen first.
    pub async fn all_partners_invoices_paid_elsewhere(&self, at_most: u32) -> Result<Vec<Invoice>, StoreError> {
        let rows =
            sqlx::query(invoices!("where i.paid_elsewhere = 'to_tell' order by i.updated_at, i.number limit $1"))
                .bind(i64::from(at_most))
                .fetch_all(self.pool())
                .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Invoices that Stripe collects and that nobody looked at since `before`, longest unseen first.
    pub async fn all_partners_invoices_to_look_at(
        &self,
        before: Timestamp,
        at_most: u32,
    ) -> Result<Vec<Invoice>, StoreError> {
        let rows = sqlx::query(invoices!(
            "where i.status = 'sent' and i.collected_by = 'stripe' and i.updated_at < $1
                 and (i.collect = 'invoice_items' or exists (select from stripe_objects o
                     where o.partner_id = i.partner_id and o.subject = 'invoice:invoice_' || replace(i.id::text, '-', '')
                         and o.stripe_id is not null))
             order by i.updated_at limit $2"
        ))
        .bind(Ts(before))
        .bind(i64::from(at_most))
        .fetch_all(self.pool())
        .await?;
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }
}

/// Writes invoice and lines, whose sum must be the total, and posts what is owed; `what` says in the ledger what it is.
pub(crate) async fn bill(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    subscription: SubscriptionId,
    (period, what): (Period, &str),
    invoice: NewInvoice,
    now: Timestamp,
) -> Result<InvoiceId, StoreError> {
    let (id, total) = (InvoiceId(Uuid::now_v7()), invoice.total);
    if total.micros != 0 {
        let owed =
            [(LedgerAccount::Receivable, total), (LedgerAccount::Revenue, Money { micros: -total.micros, ..total })];
        ledger::post(tx, partner, &id.to_string(), what, &owed, now).await?;
    }
    insert(tx, (partner, id), subscription, (period, false), invoice, now).await?;
    Ok(id)
}

/// Writes an invoice for no period, and posts nothing.
pub(crate) async fn stand_alone(
    tx: &mut Transaction<'static, Postgres>,
    partner: PartnerId,
    subscription: SubscriptionId,
    at: Period,
    invoice: NewInvoice,
    now: Timestamp,
) -> Result<InvoiceId, StoreError> {
    let id = InvoiceId(Uuid::now_v7());
    insert(tx, (partner, id), subscription, (at, true), invoice, now).await?;
    Ok(id)
}

/// Writes the invoice and all of its lines at once. From then on everybody else who writes an invoice waits for its number: what can be
/// done before is.
async fn insert(
    tx: &mut Transaction<'static, Postgres>,
    (partner, id): (PartnerId, InvoiceId),
    subscription: SubscriptionId,
    (period, stands_alone): (Period, bool),
    invoice: NewInvoice,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sum: i64 = invoice.lines.iter().map(|line| line.amount.micros).sum();
    if sum != invoice.total.micros || invoice.lines.iter().any(|line| line.amount.currency != invoice.total.currency) {
        return Err(StoreError::invalid("total", "The lines of an invoice add up to its total"));
    }
    by_team::check(&invoice.lines)?;
    let counting = counting(tx, &invoice.lines).await?;
    if let Some(taken) = &invoice.coupons {
        coupons::hold(tx, partner, taken).await?;
    }
    let lines = &invoice.lines;
    let at_most = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
    sqlx::query(
        "with made as (
             insert into invoices (partner_id, id, subscription_id, plan_version_id, period_start, period_end, time_zone,
                 currency, total_micros, status, collect, created_at, updated_at, counting, in_advance, stands_alone,
                 threshold_number, takes_off)
             values ($1, $2, $13, $14, $15, $16, $17, $18, $19, 'open', $20, $21, $21, $22, $23, $24, $25, $26)
         )
         insert into invoice_lines (partner_id, invoice_id, position, kind, product_id, operation_id, description,
             quantity, free, amount_micros, meter, calls, prepaid)
         select $1, $2, position - 1, kind, product, operation, description, quantity, free, amount, meter, calls, prepaid
         from unnest($3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::text[],
             $11::bigint[], $12::bigint[]) with ordinality
             as lines (kind, product, operation, description, quantity, free, amount, meter, calls, prepaid, position)",
    )
    .bind(partner.0)
    .bind(id.0)
    .bind(each(lines, |line| line.kind.code()))
    .bind(each(lines, |line| line.product.map(|id| id.0)))
    .bind(each(lines, |line| line.operation.map(|id| id.0)))
    .bind(each(lines, |line| line.description.clone()))
    .bind(each(lines, |line| line.quantity))
    .bind(each(lines, |line| at_most(line.free)))
    .bind(each(lines, |line| line.amount.micros))
    .bind(each(lines, |line| line.meter.clone()))
    .bind(each(lines, |line| line.calls.map(at_most)))
    .bind(each(lines, |line| at_most(line.prepaid)))
    .bind(subscription.0)
    .bind(invoice.plan_version.0)
    .bind(Ts(period.start))
    .bind(Ts(period.end))
    .bind(&invoice.time_zone)
    .bind(invoice.total.currency.code())
    .bind(invoice.total.micros)
    .bind(invoice.collect.code())
    .bind(Ts(now))
    .bind(Json(counting))
    .bind(invoice.in_advance)
    .bind(stands_alone)
    .bind(i32::try_from(invoice.threshold_number).unwrap_or(i32::MAX))
    .bind(invoice.billed_before.invoices.iter().map(|one| one.0).collect::<Vec<_>>())
    .execute(&mut **tx)
    .await?;
    by_team::insert(tx, (partner, id), lines).await?;
    if !invoice.late.is_empty() {
        outside::bill(tx, partner, &invoice.late, id).await?;
    }
    advance_fees::give_back(tx, partner, &invoice.given_back, id).await?;
    if let Some(taken) = &invoice.coupons {
        coupons::note(tx, partner, (subscription, id, invoice.in_advance), taken).await?;
    }
    Ok(())
}

/// A column of all lines.
fn each<T>(lines: &[NewInvoiceLine], of: impl Fn(&NewInvoiceLine) -> T) -> Vec<T> {
    lines.iter().map(of).collect()
}

/// The rules of the products that the lines are for, by name.
async fn counting(
    tx: &mut Transaction<'static, Postgres>,
    lines: &[NewInvoiceLine],
) -> Result<Vec<CountingNote>, sqlx::Error> {
    let products: BTreeSet<Uuid> = lines.iter().filter_map(|line| Some(line.product?.0)).collect();
    if products.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query("select name, policy from products where id = any($1) order by lower(name), id")
        .bind(products.into_iter().collect::<Vec<_>>())
        .fetch_all(&mut **tx)
        .await?;
    let note = |row: &PgRow| {
        let Json(policy): Json<Policy> = row.try_get("policy")?;
        Ok(CountingNote { product: row.try_get("name")?, rule: policy.counting_sentence() })
    };
    rows.iter().map(note).collect()
}

fn read(row: &PgRow) -> Result<Invoice, sqlx::Error> {
    let currency: Currency = row.parsed("currency")?;
    Ok(Invoice {
        id: InvoiceId(row.try_get("id")?),
        partner: PartnerId(row.try_get("partner_id")?),
        partner_name: row.try_get("partner_name")?,
        number: row.try_get("number")?,
        subscription: SubscriptionId(row.try_get("subscription_id")?),
        plan_version: PlanVersionId(row.try_get("plan_version_id")?),
        plan_name: row.try_get("plan_name")?,
        period: Period { start: row.at("period_start")?, end: row.at("period_end")? },
        time_zone: row.try_get("time_zone")?,
        total: Money::new(currency, row.try_get("total_micros")?),
        tax: row.try_get::<Option<i64>, _>("tax_micros")?.map(|micros| Money::new(currency, micros)),
        status: row.parsed("status")?,
        collect: row.parsed("collect")?,
        collected_by: match row.try_get::<Option<&str>, _>("collected_by")? {
            Some(code) => Some(code.parse().map_err(|error: String| unreadable("collected_by", error))?),
            None => None,
        },
        push_problem: row.try_get("push_problem")?,
        counting: row.try_get::<Json<Vec<CountingNote>>, _>("counting")?.0,
        is_final: row.try_get("is_final")?,
        stands_alone: row.try_get("stands_alone")?,
        threshold_number: read_threshold_number(row)?,
        due_at: row.at_if_any("due_at")?,
        pay_url: row.try_get("pay_url")?,
        failed_payments: row.count("failed_payments")?,
        next_payment_at: row.at_if_any("next_payment_at")?,
        dispute_reason: row.try_get("dispute_reason")?,
        created_at: row.at("created_at")?,
    })
}

pub(crate) fn read_threshold_number(row: &PgRow) -> Result<u32, sqlx::Error> {
    let number: i32 = row.try_get("threshold_number")?;
    u32::try_from(number).map_err(|error| unreadable("threshold_number", error))
}

fn read_line(row: &PgRow, currency: Currency) -> Result<InvoiceLine, sqlx::Error> {
    let kind: &str = row.try_get("kind")?;
    Ok(InvoiceLine {
        position: row.try_get("position")?,
        kind: LineKind::ALL
            .into_iter()
            .find(|known| known.code() == kind)
            .ok_or_else(|| unreadable("kind", "not a kind of line"))?,
        product: row.try_get::<Option<Uuid>, _>("product_id")?.map(ProductId),
        operation: row.try_get::<Option<Uuid>, _>("operation_id")?.map(OperationId),
        product_code: row.try_get("product_code")?,
        operation_code: row.try_get("operation_code")?,
        description: row.try_get("description")?,
        quantity: row.try_get("quantity")?,
        free: row.count("free")?,
        prepaid: row.count("prepaid")?,
        meter: row.try_get("meter")?,
        amount: Money::new(currency, row.try_get("amount_micros")?),
        teams: Vec::new(),
    })
}

#[cfg(test)]
pub(crate) mod tests;
