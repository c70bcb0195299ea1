//! What was credited on threshold invoices of a stretch, of what costs less by now. The next invoice takes off all that was billed, and
//! would give that back once more.
//!
//! Of a line that is what was credited beyond what the line costs. Of all usage together it is what was credited beyond what that costs with
//! what lowers it: some is credited of no line, or before discounts, or at Stripe. The larger of both counts.

use super::{
    before::{self, BilledBefore},
    papers::{self, Paper, Papers},
};
use crate::{Invoice, NewInvoice, NewInvoiceLine, Store, StoreError, Ts, row::ReadRow as _};
use domain::{
    id::{PartnerId, SubscriptionId},
    money::{Currency, Money},
    rating::LineKind,
};
use jiff::Timestamp;
use sqlx::{PgConnection, Row as _, postgres::PgRow};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// So much of a threshold invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreditedBeyond {
    /// The invoice's number.
    pub number: i64,
    /// Above zero.
    pub amount: Money,
}

impl CreditedBeyond {
    /// `TP-000042`
    pub fn code(&self) -> String {
        Invoice::code_of(self.number)
    }
}

/// The stretch that begins then.
type Stretch = (PartnerId, SubscriptionId, Timestamp);
/// What a line is for: kind, product, operation and meter.
type For = (String, Option<Uuid>, Option<Uuid>, Option<String>);

impl Store {
    /// What was credited on the threshold invoices of the stretch beyond what these lines of the next one cost, or beyond what all usage of it
    /// costs with what lowers it, by invoice. `before` is [`Store::billed_before`].
    pub async fn credited_beyond(
        &self,
        partner: PartnerId,
        subscription: SubscriptionId,
        start: Timestamp,
        before: &[BilledBefore],
        (lines, usage): (&[NewInvoiceLine], Money),
    ) -> Result<Vec<CreditedBeyond>, StoreError> {
        let mut connection = self.pool().acquire().await?;
        beyond(&mut connection, (partner, subscription, start), before, (lines, usage.micros)).await
    }
}

/// Whether an invoice takes off what there is to take off in a transaction that holds what was billed before.
pub(crate) async fn is_made_of(
    tx: &mut PgConnection,
    of: Stretch,
    before: &[BilledBefore],
    invoice: Option<&NewInvoice>,
) -> Result<bool, StoreError> {
    let Some(invoice) = invoice else {
        return Ok(before.iter().all(|one| one.is_void && one.credited.micros == 0));
    };
    if before::standing(before) != invoice.billed_before.invoices {
        return Ok(false);
    }
    if before.is_empty() {
        return Ok(true);
    }
    let lines = invoice.lines.as_slice();
    let credited = beyond(tx, of, before, (lines, invoice.billed_before.usage_micros)).await?;
    let credited: i64 = credited.iter().fold(0, |sum, one| sum.saturating_add(one.amount.micros));
    let billed = before.iter().fold(0_i64, |sum, one| sum.saturating_add(one.taken_off().micros));
    let off = lines.iter().filter(|line| line.kind == LineKind::BilledBefore);
    let off = off.fold(0_i64, |sum, line| sum.saturating_sub(line.amount.micros));
    Ok(billed.saturating_sub(credited) == off)
}

async fn beyond(
    connection: &mut PgConnection,
    (partner, subscription, start): Stretch,
    before: &[BilledBefore],
    (lines, usage_micros): (&[NewInvoiceLine], i64),
) -> Result<Vec<CreditedBeyond>, StoreError> {
    if before.iter().all(|one| one.credited.micros == 0) {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select i.id, i.number, i.currency, i.status = 'void' as is_void, i.takes_off, l.kind, l.product_id, l.operation_id, l.meter,
             coalesce(l.amount_micros, 0) as billed,
             (select coalesce(sum(n.amount_micros), 0)::bigint from credit_notes c
                  join credit_note_lines n on n.partner_id = c.partner_id and n.credit_note_id = c.id
                  where c.partner_id = i.partner_id and c.invoice_id = i.id and c.kind = 'credit' and c.state = 'issued'
                      and n.invoice_position = l.position) as credited
         from invoices i
         left join invoice_lines l on l.partner_id = i.partner_id and l.invoice_id = i.id and l.kind in ('usage', 'meter')
         where i.partner_id = $1 and i.subscription_id = $2 and i.period_start = $3 and i.threshold_number > 0
         order by i.threshold_number",
    )
    .bind(partner.0)
    .bind(subscription.0)
    .bind(Ts(start))
    .fetch_all(connection)
    .await?;
    let Some(row) = rows.first() else { return Ok(Vec::new()) };
    let currency: Currency = row.parsed("currency")?;
    let (mut papers, mut of) = (Vec::<Paper>::new(), HashMap::<(Uuid, For), (i64, i64)>::new());
    let mut credited = BTreeSet::<For>::new();
    for row in &rows {
        let paper = papers::read(row, 0, 0)?;
        if let Some(kind) = row.try_get::<Option<String>, _>("kind")? {
            let line = line_of(row, kind)?;
            let (billed, off): (i64, i64) = (row.try_get("billed")?, row.try_get("credited")?);
            if off > 0 {
                credited.insert(line.clone());
            }
            of.insert((paper.invoice, line), (billed, off));
        }
        if papers.last().is_none_or(|last| last.invoice != paper.invoice) {
            papers.push(paper);
        }
    }
    let mut sums = BTreeMap::<i64, i64>::new();
    for line in &credited {
        let each = papers.iter().map(|paper| {
            let (billed, credited) = of.get(&(paper.invoice, line.clone())).copied().unwrap_or_default();
            Paper { billed, credited, ..paper.clone() }
        });
        let all = Papers(each.chain([next(&papers, lines, line)]).collect());
        for (place, micros) in all.credited_beyond() {
            let Some(paper) = all.0.get(place) else { continue };
            let sum = sums.entry(paper.number).or_default();
            *sum = sum.saturating_add(micros);
        }
    }
    of_all(&mut sums, before, usage_micros);
    let one = |(number, micros)| CreditedBeyond { number, amount: Money::new(currency, micros) };
    Ok(sums.into_iter().map(one).collect())
}

/// Adds what was credited beyond what all usage costs and beyond these sums of lines, of the latest invoices first.
fn of_all(sums: &mut BTreeMap<i64, i64>, before: &[BilledBefore], usage_micros: i64) {
    let credited = before.iter().fold(0_i64, |sum, one| sum.saturating_add(one.credited.micros));
    let of_lines = sums.values().copied().fold(0_i64, i64::saturating_add);
    let mut rest = credited.saturating_sub(usage_micros.max(0)).saturating_sub(of_lines);
    for one in before.iter().rev() {
        let counted = sums.get(&one.number).copied().unwrap_or(0);
        let more = one.credited.micros.saturating_sub(counted).min(rest);
        if more > 0 {
            sums.insert(one.number, counted.saturating_add(more));
            rest -= more;
        }
    }
}

fn line_of(row: &PgRow, kind: String) -> Result<For, sqlx::Error> {
    Ok((kind, row.try_get("product_id")?, row.try_get("operation_id")?, row.try_get("meter")?))
}

/// The invoice that is made: it takes off all that stand.
fn next(papers: &[Paper], lines: &[NewInvoiceLine], of: &For) -> Paper {
    let (kind, product, operation, meter) = of;
    let same = lines.iter().filter(|line| {
        line.kind.code() == kind
            && (line.product.map(|id| id.0), line.operation.map(|id| id.0)) == (*product, *operation)
            && line.meter == *meter
    });
    Paper {
        invoice: Uuid::nil(),
        number: 0,
        is_void: false,
        takes_off: papers.iter().filter(|paper| !paper.is_void).map(|paper| paper.invoice).collect(),
        billed: same.fold(0, |sum, line| sum.saturating_add(line.amount.micros)),
        credited: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{id::InvoiceId, period::Period};

    /// Threshold invoices of which that was credited, by number from 1 on.
    fn credited(each: &[i64]) -> Vec<BilledBefore> {
        let one = |(number, credited): (i64, &i64)| BilledBefore {
            invoice: InvoiceId(Uuid::nil()),
            number,
            threshold_number: 1,
            period: Period { start: Timestamp::UNIX_EPOCH, end: Timestamp::UNIX_EPOCH },
            total: Money::new(Currency::Usd, 1_000),
            rated: Money::new(Currency::Usd, 1_000),
            credited: Money::new(Currency::Usd, *credited),
            is_void: false,
        };
        (1_i64..).zip(each).map(one).collect()
    }

    #[test]
    fn what_was_credited_beyond_all_usage_is_that_of_the_latest_invoices() {
        for (each, of_lines, usage, all) in [
            (vec![150], vec![], 100, vec![(1, 50)]),
            (vec![150], vec![], 150, vec![]),
            // Of a line there is more, although all usage costs that much.
            (vec![150], vec![(1, 50)], 400, vec![(1, 50)]),
            (vec![150], vec![(1, 20)], 100, vec![(1, 50)]),
            (vec![100, 50], vec![], 20, vec![(1, 80), (2, 50)]),
            (vec![100, 50], vec![(2, 40)], 90, vec![(1, 10), (2, 50)]),
            (vec![100, 50], vec![(1, 60)], 90, vec![(1, 60)]),
            (vec![0, 30], vec![], -5, vec![(2, 30)]),
        ] {
            let mut sums = BTreeMap::from_iter(of_lines.iter().copied());
            of_all(&mut sums, &credited(&each), usage);
            assert_eq!(sums.into_iter().collect::<Vec<_>>(), all, "{each:?} {of_lines:?} {usage}");
        }
    }
}
