//! What the calculator begins with: the plans that the viewer may choose, what the viewer may know of, and numbers from the
//! address or else from the partner's own last 30 days.

use super::partner_of;
use crate::{
    islands::calculator::{Calculator, CalculatorField, CalculatorGroup, FieldOf, QuotedPlan},
    page::PageError,
    quotes::{self, Quotable},
    viewer::{Cx, Viewer},
};
use domain::{
    id::PartnerId,
    key_text::Environment,
    period::Period,
    rating::{MeterUsed, Used, price::Price},
    usage::MeterKind,
};
use jiff::SignedDuration;
use leptos::prelude::*;
use leptos_router::params::ParamsMap;
use store::{Store, VisibleProduct};

/// Fields of a product that are seen at once.
const MOST_SEEN: usize = 12;
const LAST_DAYS: i64 = 30;

/// The section of the page; nothing where there is nothing to tell calls of.
pub(super) async fn load(cx: &Cx<Viewer>, query: &ParamsMap) -> Result<Option<impl IntoView + use<>>, PageError> {
    let store = &cx.state.store;
    let partner = partner_of(&cx.viewer);
    let Quotable { plans, known } = quotes::quotable(store, partner, cx.now).await?;
    let mut groups = groups(&known, &plans);
    if groups.is_empty() {
        return Ok(None);
    }
    let is_asked = query.get("empty").is_some() || fill_from(&mut groups, query);
    let is_own = match partner {
        Some(partner) if !is_asked => fill_own(&mut groups, store, partner, cx.now).await?,
        _ => false,
    };
    let whose = if is_own {
        "It begins with what counted of your own live calls in the last 30 days. Change any of it."
    } else {
        "Tell how many calls you think of in a month."
    };
    Ok(Some(view! {
        <section class="pricing-calculator" id="calculator" aria-labelledby="calculator-title">
            <header>
                <h2 id="calculator-title">"What would it cost?"</h2>
                <p>{whose} " Bills are worked out as invoices are, before tax."</p>
            </header>
            <Calculator plans groups/>
        </section>
    }))
}

/// A field for each operation that costs units on some plan, and for each meter that has a price on one.
fn groups(known: &[VisibleProduct], plans: &[QuotedPlan]) -> Vec<CalculatorGroup> {
    let group = |product: &VisibleProduct| {
        let code = product.line.code.as_str();
        let opened = |operation: &str| plans.iter().any(|plan| plan.terms.opens(code, operation));
        let operations = product.operations.iter().filter(|one| one.weight > 0 && opened(&one.code));
        let mut fields: Vec<CalculatorField> = operations
            .map(|one| {
                let label = if one.summary.trim().is_empty() { one.code.clone() } else { one.summary.clone() };
                let units = if one.weight == 1 { "1 unit".to_owned() } else { format!("{} units", one.weight) };
                let hint = format!("{} {}, {units} a call", one.method, one.path);
                field(FieldOf::Calls { weight: one.weight }, &one.code, label, hint)
            })
            .collect();
        for meter in &product.meters {
            let mut prices = plans.iter().flat_map(|plan| &plan.terms.meters);
            let own = prices.by_ref().filter(|price| price.product == code && price.meter == meter.code);
            let own: Vec<_> = own.collect();
            if own.is_empty() {
                continue;
            }
            let grows = matches!(meter.kind, MeterKind::Sum | MeterKind::Gauge);
            let unit = if meter.unit.is_empty() { String::new() } else { format!(" In {}.", meter.unit) };
            let hint = format!("{}{unit}", meter.sentence);
            fields.push(field(FieldOf::Quantity { grows }, &meter.code, meter.name.clone(), hint));
            let by_call = |price: &Price| matches!(price, Price::Percentage(own) if !own.fixed.is_zero());
            if own.iter().any(|price| by_call(&price.price)) {
                let label = format!("{}, calls", meter.name);
                let hint = "Each has a fixed part of the price".to_owned();
                fields.push(field(FieldOf::MeasuredCalls, &meter.code, label, hint));
            }
        }
        let open = fields.len() <= MOST_SEEN;
        CalculatorGroup { product: code.to_owned(), name: product.line.name.clone(), fields, open }
    };
    known.iter().map(group).filter(|group| !group.fields.is_empty()).collect()
}

fn field(of: FieldOf, code: &str, label: String, hint: String) -> CalculatorField {
    CalculatorField { of, code: code.to_owned(), label, hint, value: String::new() }
}

/// What the address says; whether it says anything.
fn fill_from(groups: &mut [CalculatorGroup], query: &ParamsMap) -> bool {
    let mut any = false;
    for group in groups {
        for field in &mut group.fields {
            let Some(value) = query.get(&field.name(&group.product)) else { continue };
            any = true;
            group.open |= !value.trim().is_empty();
            field.value = value;
        }
    }
    any
}

/// What the partner used, a call for as many units as the operation's weight; whether there was anything.
async fn fill_own(
    groups: &mut [CalculatorGroup],
    store: &Store,
    partner: PartnerId,
    now: jiff::Timestamp,
) -> Result<bool, PageError> {
    let start = now.saturating_sub(SignedDuration::from_hours(24 * LAST_DAYS)).unwrap_or(jiff::Timestamp::MIN);
    let range = Period { start, end: now };
    let used: Vec<Used> =
        store.units_between(partner, range, Environment::Live).await?.into_iter().map(|line| line.used).collect();
    let measures =
        groups.iter().flat_map(|group| &group.fields).any(|field| !matches!(field.of, FieldOf::Calls { .. }));
    let metered: Vec<MeterUsed> = match measures {
        true => store.metered_between(partner, range, now).await?.into_iter().map(|line| line.used).collect(),
        false => Vec::new(),
    };
    let mut any = false;
    for group in groups {
        let mut is_used = false;
        for field in &mut group.fields {
            let of_meter = || metered.iter().find(|own| own.product == group.product && own.meter == field.code);
            let count = match field.of {
                FieldOf::Calls { weight } => used
                    .iter()
                    .filter(|own| own.product == group.product && own.operation == field.code)
                    .fold(0_u64, |sum, own| sum.saturating_add(own.units))
                    .div_ceil(u64::from(weight.max(1))),
                FieldOf::Quantity { .. } => of_meter().map_or(0, |own| own.quantity),
                FieldOf::MeasuredCalls => of_meter().map_or(0, |own| own.calls),
            };
            if count > 0 {
                field.value = count.to_string();
                is_used = true;
            }
        }
        group.open |= is_used;
        any |= is_used;
    }
    Ok(any)
}
