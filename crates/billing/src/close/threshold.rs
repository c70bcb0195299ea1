//! Threshold invoices: a stretch is cut at the last hour that is complete, once what was used since its last invoice comes to the plan's
//! threshold, or its partner's own.
//!
//! A cut closes nothing. Its invoice has all usage of the stretch up to that hour, rated as the close will rate it, less what the threshold
//! invoices before it have billed; so usage that comes after the cut for an hour before it is on the next invoice of the stretch, and
//! every invoice may be made of what was known then. Coupons lower it and are not taken: the close takes them.

use super::{
    Closing, ClosingReport, Stretch, compared::compared, less, lines::Usage, metered, next_stretch, open_coupons,
    plan_period,
};
use crate::BillingError;
use domain::{
    credit::hour_of,
    money::{Currency, Money, MoneyError},
    period::Period,
    rating::{self, Charge, LineKind, MeterUsed, Rated, Used, coupon::Off, proration, threshold::is_due},
};
use jiff::Timestamp;
use store::{
    BilledAlready, BilledBefore, CreditedBeyond, Cut, NewInvoice, NewInvoiceLine, OpenSubscription, Store, ThresholdOf,
    reconcile::Compared,
};

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
    if !is_due(rated.total, Money { micros: at_last_cut, ..rated.total }, of.amount) {
        return Ok(store.note_threshold_look(subscription.partner, subscription.id, hour).await?);
    }
    match compared(store, subscription.partner, cut, now).await? {
        Compared::Agrees => {}
        Compared::NotYet => return Ok(()),
        Compared::Differs(finding) => {
            report.doubtful.push((subscription.partner, finding));
            return Ok(());
        }
    }
    let number = before.last().map_or(0, |last| last.threshold_number).saturating_add(1);
    let invoice = invoice(store, subscription, stretch, (rated, &usage), (number, &before)).await?;
    // More was billed and credited than is used: that goes back with the last invoice, unless more is used until then.
    if invoice.total.micros <= 0 {
        return Ok(store.note_threshold_look(subscription.partner, subscription.id, hour).await?);
    }
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
    let (units, teams) = store.units_and_teams_between(subscription.partner, cut).await?;
    let usage = Usage { units, teams, metered: metered(store, subscription, cut, cut.end).await? };
    let coupons = open_coupons(store, subscription, stretch).await?;
    Ok((of_usage((subscription, stretch), &usage.used(), &usage.of_meters(), &coupons)?, usage))
}

/// What that usage of the stretch costs with all that lowers it, and without fees and what is missing to a minimum or a commitment.
pub(crate) fn of_usage(
    (subscription, stretch): (&OpenSubscription, Stretch),
    used: &[Used],
    metered: &[MeterUsed],
    coupons: &[Off],
) -> Result<Rated, BillingError> {
    let terms = subscription.terms.in_force(plan_period(subscription, stretch.whole)?).usage_only();
    // What is included is for the stretch as long as it is by now.
    let terms = proration::for_part(&terms, stretch.part, stretch.whole)?;
    less(rating::rate_all(&terms, used, metered)?, coupons)
}

async fn invoice(
    store: &Store,
    subscription: &OpenSubscription,
    stretch: Stretch,
    (rated, usage): (Rated, &Usage),
    (threshold_number, before): (u32, &[BilledBefore]),
) -> Result<NewInvoice, BillingError> {
    let mut lines: Vec<NewInvoiceLine> = rated.charges.into_iter().map(|charge| usage.line(charge, stretch)).collect();
    let off = taken_off(store, (subscription, stretch), before, (&lines, rated.total)).await?;
    lines.extend(off);
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
        billed_before: billed_already(before, rated.total),
        given_back: Vec::new(),
        overdrawn: Vec::new(),
        coupons: None,
    })
}

/// What the next invoice says of them, where the usage of the stretch costs that much by now.
pub(super) fn billed_already(before: &[BilledBefore], usage: Money) -> BilledAlready {
    match before.is_empty() {
        true => BilledAlready::default(),
        false => {
            BilledAlready { invoices: standing(before).map(|one| one.invoice).collect(), usage_micros: usage.micros }
        }
    }
}

/// Those that count.
pub(super) fn standing(before: &[BilledBefore]) -> impl Iterator<Item = &BilledBefore> {
    before.iter().filter(|one| !one.is_void)
}

/// What was billed, and what was credited on void ones, as lines of the next invoice of the stretch, which has these besides. What was credited
/// of what costs less by now, as a line or as [`of_usage`], is not given back once more.
pub(super) async fn taken_off(
    store: &Store,
    (subscription, stretch): (&OpenSubscription, Stretch),
    before: &[BilledBefore],
    costs: (&[NewInvoiceLine], Money),
) -> Result<Vec<NewInvoiceLine>, BillingError> {
    let all = charges(store, (subscription, stretch), before, costs).await?;
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
        teams: Vec::new(),
    };
    Ok(all.into_iter().map(line).collect())
}

/// The same as charges, for the bill so far.
pub(crate) async fn charges(
    store: &Store,
    (subscription, stretch): (&OpenSubscription, Stretch),
    before: &[BilledBefore],
    costs: (&[NewInvoiceLine], Money),
) -> Result<Vec<Charge>, BillingError> {
    if before.is_empty() {
        return Ok(Vec::new());
    }
    let time_zone = subscription.cycle.time_zone.as_str();
    let charge = |label: String, amount: Money| Charge {
        kind: LineKind::BilledBefore,
        product: None,
        operation: None,
        meter: None,
        label: Some(label),
        quantity: 1,
        free: 0,
        prepaid: 0,
        amount,
        offer: None,
    };
    let billed = |one: &BilledBefore| {
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
        charge(label, Money { micros: -off.micros, ..off })
    };
    let beyond = |one: &CreditedBeyond| {
        let code = one.code();
        charge(format!("Credited already on threshold invoice {code} of what costs less by now"), one.amount)
    };
    let (partner, start) = (subscription.partner, stretch.part.start);
    let credited = store.credited_beyond(partner, subscription.id, start, before, costs).await?;
    let billed = before.iter().filter(|one| !one.is_void || one.credited.micros != 0).map(billed);
    Ok(billed.chain(credited.iter().map(beyond)).collect())
}

/// What threshold invoices that stand have billed.
pub(crate) fn sum(before: &[BilledBefore], currency: Currency) -> Result<Money, MoneyError> {
    standing(before).try_fold(Money::zero(currency), |sum, one| sum.checked_add(one.total))
}
