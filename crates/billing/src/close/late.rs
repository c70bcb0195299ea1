//! Late and corrected units become lines of the next invoice: what their period would have cost with them, less what it cost.
//!
//! The terms are those of then, and what it cost is what its own lines and earlier adjustments say: what was stored since is not on
//! them. A closed period's bill stands; all of the difference, by operation and in included credit, is on
//! the invoice that is made next, whatever period that is of. It is below zero where a correction took units back.

use super::{
    Stretch, billed_meters, by_team,
    coupons::{CouponsNow, closed_coupons},
    rate,
};
use crate::BillingError;
use domain::{
    id::PartnerId,
    money::{Currency, Money},
    period::Period,
    rating::{
        Charge, LineKind, Rated, Used, coupon,
        late::{Shift, shifted},
        teams::Whole,
    },
};
use jiff::Timestamp;
use store::{CouponsTaken, LateTaken, NewInvoiceLine, Store, outside::LateUnits};

/// Lines, and which adjustments they are.
#[derive(Debug, Default)]
pub(super) struct LateLines {
    pub lines: Vec<NewInvoiceLine>,
    pub sequences: Vec<i64>,
    /// What coupons take off them, where no bill of theirs notes it.
    pub coupons: Vec<LateTaken>,
}

/// The partner's late units as lines in that currency. Those of a period in another one wait for an invoice in theirs, or a final one
/// ([`super::stranded`]), and those of a period whose usage is in doubt until it is not. `taken` is what the invoice takes of coupons
/// that they are to be on.
pub(super) async fn lines(
    store: &Store,
    partner: PartnerId,
    currency: Currency,
    taken: Option<&CouponsTaken>,
) -> Result<LateLines, BillingError> {
    let mut all = LateLines::default();
    let mut now: Vec<CouponsNow> =
        taken.into_iter().flat_map(|own| CouponsNow::of(own.period_start, &own.taken)).collect();
    for late in store.late_units(partner).await? {
        if late.subscription.terms.currency != currency {
            tracing::warn!(%partner, "late units of a period in another currency wait");
            continue;
        }
        if let Some(finding) = store.doubt(partner, late.period).await? {
            tracing::warn!(%partner, %finding, "late units wait: two places that count usage then do not say the same");
            continue;
        }
        let whole = late.subscription.cycle.period_at(late.period.start)?;
        let stretch = Stretch { part: late.period, whole };
        let units = store.billed_units(partner, late.subscription.id, late.period).await?;
        let used: Vec<Used> = units.into_iter().map(|line| line.used).collect();
        // What is told late or corrected has no meters; those on the bill have their part of the minimum and the included credit.
        let metered = billed_meters(store, &late.subscription, late.period).await?;
        let codes = |moved: &store::outside::Moved| (moved.product_code.clone(), moved.operation_code.clone());
        let billed = |moved: &store::outside::Moved| Shift { units: moved.billed, prepaid: moved.prepaid_billed };
        let used = shifted(&used, late.moved.iter().map(|moved| (codes(moved), billed(moved))));
        let coupons = closed_coupons(store, &late.subscription, stretch, &now).await?;
        let mut before = rate(&late.subscription, stretch, &used, &metered)?;
        let off_before = coupon::take_off(&mut before, &coupons.before)?;
        let more = |moved: &store::outside::Moved| Shift { units: moved.units, prepaid: moved.prepaid };
        let used = shifted(&used, late.moved.iter().map(|moved| (codes(moved), more(moved))));
        let mut after = rate(&late.subscription, stretch, &used, &metered)?;
        let off_after = coupon::take_off(&mut after, &coupons.after)?;
        if coupons.is_noted {
            let more = off_after.into_iter().zip(off_before).zip(coupons.after).map(|((after, before), off)| {
                (off.code, Money { micros: after.micros.saturating_sub(before.micros), ..after })
            });
            let taken: Vec<(String, Money)> = more.collect();
            now.extend(CouponsNow::of(whole.start, &taken));
            let (subscription, period_start, part_start) = (late.subscription.id, whole.start, late.period.start);
            let returned = coupons.returned;
            all.coupons.push(LateTaken { subscription, period_start, part_start, taken, returned });
        }
        all.lines.extend(differences(&late, &before, &after)?);
        all.sequences.extend(late.sequences);
    }
    Ok(all)
}

fn differences(late: &LateUnits, before: &Rated, after: &Rated) -> Result<Vec<NewInvoiceLine>, BillingError> {
    let when = when(late.period, &late.subscription.cycle.time_zone);
    let same = |charge: &Charge, other: &Charge| {
        (charge.kind, &charge.product, &charge.operation, &charge.meter, &charge.label)
            == (other.kind, &other.product, &other.operation, &other.meter, &other.label)
    };
    // Lines of the same words, as of two coupons that are called the same, are told apart by their order.
    let counterpart = |charges: &[Charge], at: usize, others: &[Charge]| {
        let charge = charges.get(at)?;
        let nth = charges.iter().take(at).filter(|earlier| same(charge, earlier)).count();
        others.iter().filter(|other| same(charge, other)).nth(nth).cloned()
    };
    // What is there no more is taken back whole.
    let nothing = |gone: &Charge| Charge {
        quantity: 0,
        free: 0,
        prepaid: 0,
        amount: Money::zero(gone.amount.currency),
        ..gone.clone()
    };
    let kept = after.charges.iter().enumerate().map(|(at, charge)| {
        let old = counterpart(&after.charges, at, &before.charges);
        (charge.clone(), old.unwrap_or_else(|| nothing(charge)))
    });
    let gone = before.charges.iter().enumerate();
    let gone = gone.filter(|(at, _)| counterpart(&before.charges, *at, &after.charges).is_none());
    let gone = gone.map(|(_, old)| (nothing(old), old.clone()));
    let mut lines = Vec::new();
    for (charge, old) in kept.chain(gone).filter(|(charge, _)| charge.kind != LineKind::BaseFee) {
        let amount = charge.amount.checked_add(Money::new(old.amount.currency, -old.amount.micros))?;
        let quantity = signed(charge.quantity).saturating_sub(signed(old.quantity));
        // An operation without late units is here where they moved its units along the price curve.
        let is_unmoved = quantity == 0 || !matches!(charge.kind, LineKind::Usage | LineKind::Meter);
        if is_unmoved && amount.micros == 0 {
            continue;
        }
        let of = late.moved.iter().find(|moved| {
            Some(&moved.product_code) == charge.product.as_ref()
                && Some(&moved.operation_code) == charge.operation.as_ref()
                && moved.units != 0
        });
        let label = match (charge.kind, of, &charge.label) {
            (LineKind::IncludedCredit, ..) => "included credit".to_owned(),
            (.., Some(label)) => label.clone(),
            (_, Some(of), _) => of.label.clone(),
            (_, None, _) => {
                [charge.product.as_deref(), charge.operation.as_deref()].map(Option::unwrap_or_default).join(", ")
            }
        };
        let free =
            if quantity < 0 { old.free.saturating_sub(charge.free) } else { charge.free.saturating_sub(old.free) };
        let quantity = if charge.kind == LineKind::Usage { quantity } else { 1 };
        let free = free.min(quantity.unsigned_abs());
        let prepaid = charge.prepaid.abs_diff(old.prepaid).min(quantity.unsigned_abs());
        let whole = Whole { quantity, free, prepaid, amount };
        let teams = match (charge.kind, of) {
            (LineKind::Usage, Some(of)) => by_team::parts(whole, (of.product, of.operation), &late.teams),
            _ => Vec::new(),
        };
        lines.push(NewInvoiceLine {
            kind: LineKind::Adjustment,
            product: of.and_then(|moved| moved.product),
            operation: of.and_then(|moved| moved.operation),
            meter: None,
            calls: None,
            description: charge.described(format!("{} of {when}: {label}", what(late))),
            quantity,
            free,
            prepaid,
            amount,
            teams,
        });
    }
    Ok(lines)
}

fn what(late: &LateUnits) -> &'static str {
    let is_late = late.moved.iter().any(|moved| moved.is_late);
    match (is_late, late.moved.iter().any(|moved| moved.is_corrected)) {
        (true, true) => "Late and corrected usage",
        (false, true) => "Corrected usage",
        (_, false) => "Late usage",
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// `2026-02-10 to 2026-03-10`, by the partner's days.
pub(crate) fn when(period: Period, time_zone: &str) -> String {
    let day = |at: Timestamp| at.in_tz(time_zone).map_or_else(|_| at.to_string(), |at| at.date().to_string());
    format!("{} to {}", day(period.start), day(period.end))
}
