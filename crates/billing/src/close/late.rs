//! Late units become lines of the next invoice: what their period would have cost with them, less what it cost.
//!
//! The terms are those of then. A closed period's bill stands; all of the difference, by operation and in included credit, is on
//! the invoice that is made next, whatever period that is of.

use super::{Stretch, metered, rate};
use crate::BillingError;
use domain::{
    id::PartnerId,
    key_text::Environment,
    money::{Currency, Money},
    period::Period,
    rating::{Charge, LineKind, Rated, Used},
};
use jiff::Timestamp;
use store::{NewInvoiceLine, Store, outside::LateUnits};

/// Lines, and which adjustments they are.
#[derive(Debug, Default)]
pub(super) struct LateLines {
    pub lines: Vec<NewInvoiceLine>,
    pub sequences: Vec<i64>,
}

/// The partner's late units as lines in that currency. Those of a period in another one wait for an invoice in theirs.
pub(super) async fn lines(store: &Store, partner: PartnerId, currency: Currency) -> Result<LateLines, BillingError> {
    let mut all = LateLines::default();
    for late in store.late_units(partner).await? {
        if late.subscription.terms.currency != currency {
            tracing::warn!(%partner, "late units of a period in another currency wait");
            continue;
        }
        let whole = late.subscription.cycle.period_at(late.period.start)?;
        let stretch = Stretch { part: late.period, whole };
        let units = store.units_between(partner, late.period, Environment::Live).await?;
        let mut used: Vec<Used> = units.into_iter().map(|line| line.used).chain(late.billed.iter().cloned()).collect();
        // What is told late has no meters; those that there were have their part of the included credit.
        let metered = metered(store, &late.subscription, late.period, late.period.end).await?;
        let metered: Vec<_> = metered.into_iter().map(|line| line.used).collect();
        let before = rate(&late.subscription, stretch, &used, &metered)?;
        used.extend(late.units.iter().map(|line| line.used.clone()));
        let after = rate(&late.subscription, stretch, &used, &metered)?;
        all.lines.extend(differences(&late, &before, &after)?);
        all.sequences.extend(late.sequences);
    }
    Ok(all)
}

fn differences(late: &LateUnits, before: &Rated, after: &Rated) -> Result<Vec<NewInvoiceLine>, BillingError> {
    let when = when(late.period, &late.subscription.cycle.time_zone);
    let same = |charge: &Charge, other: &Charge| {
        (charge.kind, &charge.product, &charge.operation, &charge.meter)
            == (other.kind, &other.product, &other.operation, &other.meter)
    };
    let mut lines = Vec::new();
    for charge in after.charges.iter().filter(|charge| charge.kind != LineKind::BaseFee) {
        let old = before.charges.iter().find(|old| same(charge, old));
        let zero = Money::zero(charge.amount.currency);
        let old_amount = old.map_or(zero, |old| old.amount);
        let amount = charge.amount.checked_add(Money::new(old_amount.currency, -old_amount.micros))?;
        let quantity = charge.quantity.saturating_sub(old.map_or(0, |old| old.quantity));
        // An operation without late units is here where they moved its units along the price curve.
        if quantity == 0 && amount.micros == 0 {
            continue;
        }
        let of = late.units.iter().find(|line| {
            Some(&line.used.product) == charge.product.as_ref()
                && Some(&line.used.operation) == charge.operation.as_ref()
        });
        let label = match (charge.kind, of) {
            (LineKind::IncludedCredit, _) => "included credit".to_owned(),
            (_, Some(of)) => of.label.clone(),
            (_, None) => {
                [charge.product.as_deref(), charge.operation.as_deref()].map(Option::unwrap_or_default).join(", ")
            }
        };
        lines.push(NewInvoiceLine {
            kind: LineKind::Adjustment,
            product: of.and_then(|line| line.product),
            operation: of.and_then(|line| line.operation),
            description: format!("Late usage of {when}: {label}"),
            quantity: if charge.kind == LineKind::Usage { quantity } else { 1 },
            free: charge.free.saturating_sub(old.map_or(0, |old| old.free)).min(quantity),
            amount,
        });
    }
    Ok(lines)
}

/// `2026-02-10 to 2026-03-10`, by the partner's days.
fn when(period: Period, time_zone: &str) -> String {
    let day = |at: Timestamp| at.in_tz(time_zone).map_or_else(|_| at.to_string(), |at| at.date().to_string());
    format!("{} to {}", day(period.start), day(period.end))
}
