//! What a stretch came to on meters, as its invoice has it.
//!
//! A stretch is a part of a period where the plan changed within it. Sums and levels of the parts add up to those of the period; what is
//! different counts once: in a later part only what the parts before it have not counted, as long as their plans had a price for it, too.
//! The largest and the latest value are those of the part.

use crate::BillingError;
use domain::{period::Period, rating::MeterUsed, usage::MeterKind};
use jiff::Timestamp;
use std::collections::BTreeMap;
use store::{OpenSubscription, Store, usage::MeteredUnits};

/// What the stretch came to until `now` on meters, where the plan has a price for any.
pub(crate) async fn metered(
    store: &Store,
    subscription: &OpenSubscription,
    part: Period,
    now: Timestamp,
) -> Result<Vec<MeteredUnits>, BillingError> {
    if subscription.terms.meters.is_empty() {
        return Ok(Vec::new());
    }
    let partner = subscription.partner;
    let mut metered = store.metered_between(partner, part, now).await?;
    let whole = subscription.cycle.period_at(part.start)?;
    let is_counted = |line: &MeteredUnits| line.kind == MeterKind::Unique && prices(subscription, line);
    if part.start <= whole.start || !metered.iter().any(is_counted) {
        return Ok(metered);
    }
    let before = store.subscriptions_until(partner, part.start, whole.start).await?;
    let mut known: BTreeMap<Timestamp, [Vec<MeteredUnits>; 2]> = BTreeMap::new();
    for line in metered.iter_mut().filter(|line| is_counted(line)) {
        let since = counted_since(&before, line, part.start, whole.start);
        if since >= part.start {
            continue;
        }
        if let std::collections::btree_map::Entry::Vacant(place) = known.entry(since) {
            let until = |end| store.metered_between(partner, Period { start: since, end }, now);
            place.insert([until(part.start).await?, until(part.end).await?]);
        }
        let of = |lines: &[MeteredUnits]| {
            let same = |other: &&MeteredUnits| {
                other.kind == line.kind
                    && (&other.used.product, &other.used.meter) == (&line.used.product, &line.used.meter)
            };
            lines.iter().find(same).map_or(0, |other| other.used.quantity)
        };
        if let Some([earlier, all]) = known.get(&since) {
            line.used.quantity = of(all).saturating_sub(of(earlier));
        }
    }
    Ok(metered)
}

/// What the closed stretch came to on meters, as its bill has it: what came after the close is on no bill, and nothing is rated with it.
pub(crate) async fn billed_meters(
    store: &Store,
    subscription: &OpenSubscription,
    part: Period,
) -> Result<Vec<MeterUsed>, BillingError> {
    let billed = store.billed_meters(subscription.partner, subscription.id, part).await?;
    let is_told = |line: &store::usage::BilledMeter| line.meter.is_some() && line.calls.is_some();
    // Lines of long ago do not say of which meter they are, or of how many calls: then what is stored by now has to do.
    let measured: Vec<MeterUsed> = match billed.iter().all(is_told) {
        true => Vec::new(),
        false => metered(store, subscription, part, part.end).await?.into_iter().map(|line| line.used).collect(),
    };
    let used = billed.into_iter().map(|line| {
        let (product, meter) = (line.product, line.meter?);
        let is_same = |used: &&MeterUsed| (&used.product, &used.meter) == (&product, &meter);
        let stored = || measured.iter().filter(is_same).fold(0_u64, |sum, used| sum.saturating_add(used.calls));
        let calls = line.calls.unwrap_or_else(stored);
        Some(MeterUsed { product, meter, quantity: line.quantity, calls })
    });
    Ok(used.collect::<Option<Vec<_>>>().unwrap_or(measured))
}

fn prices(subscription: &OpenSubscription, line: &MeteredUnits) -> bool {
    let of = (&line.used.product, &line.used.meter);
    subscription.terms.meters.iter().any(|price| (&price.product, &price.meter) == of)
}

/// Since when plans have had a price for it without a gap, up to `until` and not before the period began.
fn counted_since(before: &[OpenSubscription], line: &MeteredUnits, until: Timestamp, began: Timestamp) -> Timestamp {
    let mut since = until;
    // `billed_until` of what has ended is when it began.
    while let Some(earlier) = before.iter().find(|one| one.ended_at == Some(since) && one.billed_until < since) {
        if since <= began || !prices(earlier, line) {
            break;
        }
        since = earlier.billed_until;
    }
    since.max(began)
}
