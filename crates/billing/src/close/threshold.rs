//! Threshold invoices: a stretch is cut at the last hour that is complete, once what was used since its last invoice comes to the plan's
//! threshold, or its partner's own.
//!
//! A cut closes nothing. Its invoice has all usage of the stretch up to that hour, rated as the close will rate it, less what the threshold
//! invoices before it have billed; so usage that comes after the cut for an hour before it is on the next invoice of the stretch, and
//! every invoice may be made of what was known then. Coupons lower it and are not taken: the close takes them.

use super::{
    Closing, ClosingReport, Stretch,
    compared::{Known, compared},
    less,
    lines::Usage,
    metered, next_stretch, open_coupons,
};
use crate::BillingError;
use domain::{
    credit::hour_of,
    key_text::Environment,
    money::{Currency, Money, MoneyError},
    period::Period,
    rating::{self, Charge, LineKind, Rated, proration},
};
use jiff::Timestamp;
use store::{BilledBefore, Cut, NewInvoice, NewInvoiceLine, OpenSubscription, Store, ThresholdOf, reconcile::Compared};

/// Makes every threshold invoice that is due.
pub(super) async fn bill(
    store: &Store,
    closing: Closing,
    now: Timestamp,
    report: &mut ClosingReport,
) -> Result<(), BillingError> {
    let Some(through) = closing.ingested_through else { return Ok(()) };
    let Ok(complete) = now.min(through).checked_sub(closing.grace) else { return Ok(()) };
    let hour = hour_of(complete);
    for of in store.all_partners_with_thresholds().await? {
        if of.looked_through.is_some_and(|looked| looked >= hour) {
            continue;
        }
        let partner = of.subscription.partner;
        if let Err(error) = bill_one(store, &of, hour, now, report).await {
            tracing::error!(%partner, %error, "a threshold invoice could not be made");
            report.problems.push((Some(partner), error));
        }
    }
    Ok(())
}

async fn bill_one(
    store: &Store,
    of: &ThresholdOf,
    hour: Timestamp,
    now: Timestamp,
    report: &mut ClosingReport,
) -> Result<(), BillingError> {
    let subscription = &of.subscription;
    let Some(stretch) = next_stretch(subscription)? else { return Ok(()) };
    // At its end it is closed.
    if hour <= stretch.part.start || hour >= stretch.part.end {
        return Ok(());
    }
    let cut = Period { start: stretch.part.start, end: hour };
    let before = store.billed_before(subscription.partner, subscription.id, cut.start).await?;
    if before.last().is_some_and(|last| last.period.end >= hour) {
        return Ok(());
    }
    let (rated, usage) = rated_until(store, subscription, stretch, cut).await?;
    // From the last cut, whatever became of it: a void one is billed with the next, and makes that come neither sooner nor later.
    let at_last_cut = before.last().map_or(0, |last| last.rated.micros);
    if rated.total.micros.saturating_sub(at_last_cut) < of.amount.micros {
        return Ok(store.note_threshold_look(subscription.partner, subscription.id, hour).await?);
    }
    match compared(store, &mut Known::new(), subscription, cut, now).await? {
        Compared::Agrees => {}
        Compared::NotYet => return Ok(()),
        Compared::Differs(finding) => {
            report.doubtful.push((subscription.partner, finding));
            return Ok(());
        }
    }
    let number = before.last().map_or(0, |last| last.threshold_number).saturating_add(1);
    let invoice = invoice(subscription, stretch, (rated, &usage), (number, &before))?;
    match store.cut_at_threshold(subscription.partner, subscription.id, cut, invoice, now).await? {
        Cut::Invoiced(id) => {
            tracing::info!(partner = %subscription.partner, invoice = %id, "made a threshold invoice");
            report.invoices.push(id);
        }
        // The next run reads it again.
        Cut::Changed => {}
    }
    Ok(())
}

/// What was used until the cut, and what it costs.
async fn rated_until(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
    cut: Period,
) -> Result<(Rated, Usage), BillingError> {
    let units = store.units_between(subscription.partner, cut, Environment::Live).await?;
    let usage = Usage { units, metered: metered(store, subscription, cut, cut.end).await? };
    let number = subscription.cycle.periods_between(subscription.plan_since, stretch.whole.start)?;
    let terms = subscription.terms.in_force(number, subscription.trial_until, stretch.whole).usage_only();
    // What is included is for the stretch as long as it is by now.
    let terms = proration::for_part(&terms, stretch.part, stretch.whole)?;
    let rated = rating::rate_all(&terms, &usage.used(), &usage.of_meters())?;
    let coupons = open_coupons(store, subscription, stretch).await?;
    Ok((less(rated, &coupons)?, usage))
}

fn invoice(
    subscription: &OpenSubscription,
    stretch: Stretch,
    (rated, usage): (Rated, &Usage),
    (threshold_number, before): (u32, &[BilledBefore]),
) -> Result<NewInvoice, BillingError> {
    let mut lines: Vec<NewInvoiceLine> = rated.charges.into_iter().map(|charge| usage.line(charge, stretch)).collect();
    lines.extend(taken_off(before, &subscription.cycle.time_zone));
    let total = lines.iter().try_fold(Money::zero(rated.total.currency), |sum, line| sum.checked_add(line.amount))?;
    Ok(NewInvoice {
        plan_version: subscription.plan_version,
        time_zone: subscription.cycle.time_zone.clone(),
        collect: subscription.terms.collect,
        total,
        lines,
        late: Vec::new(),
        in_advance: false,
        threshold_number,
        billed_before: standing(before).map(|one| one.invoice).collect(),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    })
}

/// Those that count.
pub(super) fn standing(before: &[BilledBefore]) -> impl Iterator<Item = &BilledBefore> {
    before.iter().filter(|one| !one.is_void)
}

/// What was billed, and what was credited on void ones, as lines of the next invoice of the stretch.
pub(super) fn taken_off(before: &[BilledBefore], time_zone: &str) -> Vec<NewInvoiceLine> {
    let line = |charge: Charge| NewInvoiceLine {
        kind: charge.kind,
        product: None,
        operation: None,
        meter: None,
        calls: None,
        description: charge.label.unwrap_or_default(),
        quantity: 1,
        free: 0,
        prepaid: 0,
        amount: charge.amount,
    };
    charges(before, time_zone).into_iter().map(line).collect()
}

/// The same as charges, for the bill so far.
pub(crate) fn charges(before: &[BilledBefore], time_zone: &str) -> Vec<Charge> {
    let charge = |one: &BilledBefore| {
        let label = match one.is_void {
            true => format!("Credited already on threshold invoice {}, which is void", one.code()),
            false => {
                let end = one.period.end;
                let until = end.in_tz(time_zone).map(|at| at.strftime("%Y-%m-%d %H:%M").to_string());
                let until = until.unwrap_or_else(|_| end.to_string());
                format!("Billed already by threshold invoice {}: usage until {until}", one.code())
            }
        };
        let off = one.taken_off();
        Charge {
            kind: LineKind::BilledBefore,
            product: None,
            operation: None,
            meter: None,
            label: Some(label),
            quantity: 1,
            free: 0,
            prepaid: 0,
            amount: Money { micros: -off.micros, ..off },
        }
    };
    before.iter().filter(|one| !one.is_void || one.credited.micros != 0).map(charge).collect()
}

/// What threshold invoices that stand have billed.
pub(crate) fn sum(before: &[BilledBefore], currency: Currency) -> Result<Money, MoneyError> {
    standing(before).try_fold(Money::zero(currency), |sum, one| sum.checked_add(one.total))
}
