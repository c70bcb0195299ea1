//! Base fees in advance: each is an invoice at the start of its period, and what is given back of one is on the next invoice.

use super::{ClosingReport, coupons::CouponsOf};
use crate::BillingError;
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    period::{Period, PeriodError},
    plan::Collect,
    rating::{Charge, LineKind, PlanPeriod, Rated, advance, coupon::Billed},
};
use jiff::Timestamp;
use store::{BilledAlready, FeeInAdvance, GivenBack, NewInvoice, NewInvoiceLine, Store, UnusedFee};

/// Bills every fee whose period has begun.
pub(super) async fn bill(store: &Store, now: Timestamp, report: &mut ClosingReport) -> Result<(), BillingError> {
    for due in store.all_partners_fees_due(now).await? {
        let partner = due.partner;
        if let Err(error) = bill_one(store, due, now, report).await {
            tracing::error!(%partner, %error, "a fee could not be billed in advance");
            report.problems.push((Some(partner), error));
        }
    }
    Ok(())
}

async fn bill_one(
    store: &Store,
    mut due: FeeInAdvance,
    now: Timestamp,
    report: &mut ClosingReport,
) -> Result<(), BillingError> {
    while due.from <= now && due.ended_at.is_none_or(|end| due.from < end) {
        let whole = due.cycle.period_at(due.from)?;
        // What ended before its fee was billed owes for the part alone.
        let end = due.ended_at.map_or(whole.end, |end| end.min(whole.end));
        let part = Period { start: due.from, end };
        let mut fee = advance::fee(&due.terms, plan_period(&due, whole)?, part, whole)?;
        let gross = fee.total;
        let of = CouponsOf { partner: due.partner, subscription: due.subscription, are_there: true };
        let bill = Billed { terms: &due.terms, cycle: &due.cycle, trial_until: due.trial_until, part, whole };
        let coupons = of.take_off(store, bill, &mut fee).await?;
        let back = given_back(store, due.partner, fee.total.currency).await?;
        let currency = fee.total.currency;
        let lines: Vec<NewInvoiceLine> = fee_lines(fee, part == whole).into_iter().chain(back.lines).collect();
        let total = sum(currency, &lines)?;
        let invoice = (!lines.is_empty()).then(|| NewInvoice {
            plan_version: due.plan_version,
            time_zone: due.cycle.time_zone.clone(),
            // No unit is on it for Stripe to rate.
            collect: Collect::InvoiceItems,
            total,
            lines,
            late: Vec::new(),
            in_advance: true,
            threshold_number: 0,
            billed_before: BilledAlready::default(),
            given_back: back.fees,
            overdrawn: Vec::new(),
            coupons: Some(coupons),
        });
        if let Some(id) = store.bill_fee_in_advance(&due, part, (gross, invoice), now).await? {
            tracing::info!(partner = %due.partner, invoice = %id, "billed a fee in advance");
            report.invoices.push(id);
        }
        due.from = part.end;
    }
    Ok(())
}

/// The lines of a fee in advance; of a whole period or of a part of one.
pub(crate) fn fee_lines(fee: Rated, is_whole: bool) -> Vec<NewInvoiceLine> {
    let usual = if is_whole { "Base fee, in advance" } else { "Base fee for part of the period, in advance" };
    let charges = fee.charges.into_iter();
    let fee_line = |charge: Charge| {
        let words = charge.label.clone().unwrap_or_else(|| usual.to_owned());
        line(charge.kind, charge.described(words), charge.amount)
    };
    charges.map(fee_line).collect()
}

fn plan_period(of: &FeeInAdvance, whole: Period) -> Result<PlanPeriod, PeriodError> {
    PlanPeriod::of(&of.cycle, of.plan_since, of.trial_until, whole)
}

/// Lines that give fees back, and which fees.
#[derive(Debug, Default)]
pub(crate) struct Back {
    pub lines: Vec<NewInvoiceLine>,
    pub fees: Vec<GivenBack>,
}

/// What the partner's next invoice in that currency gives back of fees that were paid for longer than their plan ran.
pub(crate) async fn given_back(store: &Store, partner: PartnerId, currency: Currency) -> Result<Back, BillingError> {
    let mut back = Back::default();
    for unused in store.unused_fees(partner).await? {
        let of = &unused.of;
        let (Some(ended_at), true) = (of.ended_at, unused.paid.currency == currency) else { continue };
        let money = gross(&unused)?;
        // What a credit note gave back is not given back again.
        let money = advance::less_coupons(money, unused.paid, unused.coupons)?;
        let money = Money { micros: money.micros.min(unused.left.micros), ..money };
        if money.micros == 0 {
            continue;
        }
        let day =
            |at: Timestamp| at.in_tz(&of.cycle.time_zone).map_or_else(|_| at.to_string(), |at| at.date().to_string());
        let label =
            format!("Base fee given back, paid to {} and unused from {} on", day(unused.period.end), day(ended_at));
        back.lines.push(line(LineKind::BaseFee, label, Money { micros: -money.micros, ..money }));
        let (subscription, period_start) = (of.subscription, unused.period.start);
        back.fees.push(GivenBack { subscription, period_start, amount: money });
    }
    Ok(back)
}

/// What is unused of a fee, before coupons.
fn gross(unused: &UnusedFee) -> Result<Money, BillingError> {
    let of = &unused.of;
    let whole = of.cycle.period_at(unused.period.start)?;
    let ran = Period { start: unused.period.start, end: of.ended_at.unwrap_or(unused.period.end) };
    Ok(advance::unused(&of.terms, plan_period(of, whole)?, unused.paid, (unused.period, ran), whole)?)
}

/// What coupons have again of what they took off fees in the billing period that begins then, by code: what of a fee was neither used nor
/// paid is theirs, whether or not an invoice has given the fee back yet.
pub(super) async fn back_to_coupons(
    store: &Store,
    partner: PartnerId,
    period_start: Timestamp,
) -> Result<Vec<(String, Money)>, BillingError> {
    let mut returned = Vec::new();
    for (code, taken, unused) in store.unused_fees_with_coupons(partner, period_start).await? {
        let money = advance::back_to_coupon(gross(&unused)?, unused.paid, unused.coupons, taken)?;
        returned.push((code, money));
    }
    Ok(returned)
}

fn line(kind: LineKind, description: String, amount: Money) -> NewInvoiceLine {
    NewInvoiceLine {
        kind,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description,
        quantity: 1,
        free: 0,
        prepaid: 0,
        amount,
        teams: Vec::new(),
    }
}

fn sum(currency: Currency, lines: &[NewInvoiceLine]) -> Result<Money, BillingError> {
    Ok(lines.iter().try_fold(Money::zero(currency), |sum, line| sum.checked_add(line.amount))?)
}
