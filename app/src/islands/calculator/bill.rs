//! Each plan's bill, line by line.

use super::{CalculatorField, CalculatorGroup, FieldOf, QuotedPlan, entry::asked};
use domain::{
    money::group_thousands,
    rating::{
        Charge, LineKind,
        quote::{Asked, Quote, quote},
    },
};
use leptos::prelude::*;

pub(super) fn bills(plans: &[QuotedPlan], groups: &[CalculatorGroup]) -> AnyView {
    match asked(groups) {
        Some(asked) => plans.iter().map(|plan| bill(plan, groups, &asked)).collect_view().into_any(),
        None => {
            view! { <p class="notice tone-warning">"Correct the field that is no number; then the bills are here."</p> }
                .into_any()
        }
    }
}

/// For screen readers: what changes as somebody types, in one sentence.
pub(super) fn totals(plans: &[QuotedPlan], groups: &[CalculatorGroup]) -> String {
    let Some(asked) = asked(groups) else { return String::new() };
    let total = |plan: &QuotedPlan| {
        let quoted = quote(&plan.terms, plan.period, &asked).ok()?;
        Some(format!("{}: {} a {}", plan.name, quoted.rated.total, plan.terms.interval.word()))
    };
    plans.iter().filter_map(total).collect::<Vec<_>>().join(", ")
}

fn bill(plan: &QuotedPlan, groups: &[CalculatorGroup], asked: &Asked) -> impl IntoView + use<> {
    let every = plan.terms.interval.word();
    let body = match quote(&plan.terms, plan.period, asked) {
        Ok(quoted) => {
            let total = quoted.rated.total.to_string();
            let lines = quoted.rated.charges.iter().map(|charge| line(charge, groups)).collect_view();
            let notes = notes(plan, &quoted, groups);
            let notes = notes.into_iter().map(|note| view! { <li>{note}</li> }).collect_view();
            view! {
                <p class="plan-price">
                    <strong data-total=plan.code.clone()>{total}</strong>
                    <span>{format!("a {every}")}</span>
                </p>
                <dl class="calculator-lines">{lines}</dl>
                <ul class="calculator-notes">{notes}</ul>
            }
            .into_any()
        }
        Err(_) => view! { <p class="calculator-notes">"More than an invoice can hold."</p> }.into_any(),
    };
    let (name, label) = (plan.name.clone(), format!("{}, bill", plan.name));
    view! {
        <section class="calculator-bill" aria-label=label>
            <header>
                <h3>{name}</h3>
                {plan.own.then(|| view! { <span class="badge tone-success">"Your plan"</span> })}
            </header>
            {body}
        </section>
    }
}

fn line(charge: &Charge, groups: &[CalculatorGroup]) -> impl IntoView + use<> {
    let amount = charge.amount.to_string();
    let units = match (charge.kind, charge.quantity, charge.free) {
        (LineKind::Usage, units, 0) => format!("{} units", group_thousands(units)),
        (LineKind::Usage, units, free) => {
            format!("{} units, {} of them free", group_thousands(units), group_thousands(free))
        }
        (LineKind::Meter, quantity, 0) => group_thousands(quantity),
        (LineKind::Meter, quantity, free) => {
            format!("{}, {} of them free", group_thousands(quantity), group_thousands(free))
        }
        _ => String::new(),
    };
    let units = (!units.is_empty()).then(|| view! { <span class="field-hint">{units}</span> });
    view! {
        <div>
            <dt>{charge.described(label(charge, groups))} {units}</dt>
            <dd>{amount}</dd>
        </div>
    }
}

fn label(charge: &Charge, groups: &[CalculatorGroup]) -> String {
    if let Some(label) = &charge.label {
        return label.clone();
    }
    let product = charge.product.as_deref().unwrap_or_default();
    match charge.kind {
        LineKind::Usage => named(groups, product, charge.operation.as_deref().unwrap_or_default(), |of| {
            matches!(of, FieldOf::Calls { .. })
        }),
        LineKind::Meter => named(groups, product, charge.meter.as_deref().unwrap_or_default(), |of| {
            matches!(of, FieldOf::Quantity { .. })
        }),
        // `base_fee` as `Base fee`.
        other => {
            let words = other.code().replace('_', " ");
            format!("{}{}", words[..1].to_uppercase(), &words[1..])
        }
    }
}

/// The field's label of what has these codes.
fn named(groups: &[CalculatorGroup], product: &str, code: &str, is: impl Fn(FieldOf) -> bool) -> String {
    let own = groups.iter().filter(|group| group.product == product).flat_map(|group| &group.fields);
    let found = own.into_iter().find(|field: &&CalculatorField| field.code == code && is(field.of));
    found.map_or_else(|| code.to_owned(), |field| field.label.clone())
}

/// What the figures do not say by themselves.
fn notes(plan: &QuotedPlan, quoted: &Quote, groups: &[CalculatorGroup]) -> Vec<String> {
    let every = plan.terms.interval.word();
    let mut notes = Vec::new();
    if let Some(trial) = plan.terms.trial.filter(|_| !plan.own) {
        let days = if trial.days == 1 { "1 day".to_owned() } else { format!("{} days", trial.days) };
        notes.push(format!("Who never had the plan tries it for {days} first; this is the first bill after that"));
    }
    if let Some(later) = quoted.later {
        notes.push(format!("{later} a {every} once all offers are over"));
    }
    if plan.terms.interval != domain::period::Interval::Month {
        notes.push(format!("For a {every} of as many calls"));
    }
    if plan.terms.periods == domain::period::Alignment::Calendar {
        let begins = plan.terms.interval.begins();
        notes.push(format!(
            "Billed {begins}: who begins within a {every} pays for the part that is left of it, to the second"
        ));
    }
    if quoted.refused > 0 {
        let units = group_thousands(quoted.refused);
        notes.push(format!("{units} units more than its quota: they are refused, and not in this bill"));
    }
    if quoted.prepaid > 0 {
        notes.push(format!("{} units take prepaid credit, which is bought apart", group_thousands(quoted.prepaid)));
    }
    if !quoted.closed.is_empty() {
        let names: Vec<String> = quoted
            .closed
            .iter()
            .map(|(product, operation)| named(groups, product, operation, |of| matches!(of, FieldOf::Calls { .. })))
            .collect();
        notes.push(format!("Not opened by this plan, and not in this bill: {}", names.join(", ")));
    }
    notes
}
