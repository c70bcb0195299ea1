//! The calculator of the price list: a month's calls in, each plan's bill out, by the engine that makes the invoice.
//!
//! The server renders it from the address, so it works without a script; in the browser the same code goes on as somebody types.

mod bill;
mod entry;

pub use entry::{CalculatorField, CalculatorGroup, FieldOf};

use bill::{bills, totals};
use domain::{plan::PlanTerms, rating::PlanPeriod};
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

/// A plan to compare.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedPlan {
    pub code: String,
    pub name: String,
    /// Whether it is the one that the viewer's company is on, in the version that it has.
    pub own: bool,
    /// Which of the plan's billing periods is quoted: its own partner's running one, and of other plans the first.
    pub period: PlanPeriod,
    /// As [`PlanTerms::for_quotes`] leaves them.
    pub terms: PlanTerms,
}

/// What was typed into a field.
type Typed = RwSignal<String>;

#[island]
pub fn Calculator(plans: Vec<QuotedPlan>, groups: Vec<CalculatorGroup>) -> impl IntoView {
    let typed: Vec<(CalculatorGroup, Vec<Typed>)> = groups
        .into_iter()
        .map(|group| {
            let signals = group.fields.iter().map(|field| RwSignal::new(field.value.clone())).collect();
            (group, signals)
        })
        .collect();
    let fields = typed.clone().into_iter().map(|(group, signals)| entry::group(group, signals)).collect_view();
    let filled = Memo::new(move |_| {
        let filled = typed.iter().map(|(group, signals)| {
            let values = signals.iter().map(|signal| signal.get());
            let fields = group.fields.iter().cloned().zip(values);
            let fields = fields.map(|(field, value)| CalculatorField { value, ..field }).collect();
            CalculatorGroup { fields, ..group.clone() }
        });
        filled.collect::<Vec<_>>()
    });
    let plans = StoredValue::new(plans);
    let said = move || plans.with_value(|plans| filled.with(|filled| totals(plans, filled)));
    let shown = move || plans.with_value(|plans| filled.with(|filled| bills(plans, filled)));
    view! {
        <div class="calculator">
            <form method="get" action="/pricing#calculator" class="form calculator-form" aria-label="Calls in a month">
                {fields}
                <div class="form-actions">
                    <button type="submit" class="button button-secondary">"Calculate"</button>
                    <a class="button button-quiet" href="/pricing?empty=true#calculator">"Start from nothing"</a>
                </div>
            </form>
            <p class="visually-hidden" aria-live="polite">{said}</p>
            <div class="calculator-bills">{shown}</div>
        </div>
    }
}
